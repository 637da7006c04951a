//! The way of an event, one file a step, in the order of the walk.

pub mod decode;
pub mod invoke;
pub mod route;
pub mod view;
