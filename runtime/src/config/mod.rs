//! `reactors.toml`: what the file says, turned into what the program needs, with every error at once.

pub mod model;
pub mod units;
