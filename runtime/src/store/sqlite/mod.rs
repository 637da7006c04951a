//! The embedded store: `SQLite`, one writer thread, group commit.
