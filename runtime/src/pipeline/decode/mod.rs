//! Step: turn bytes and attributes into events, or say why not.
