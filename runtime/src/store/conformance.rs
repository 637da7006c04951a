//! What every store must do, as cases that any implementation can be run against.
