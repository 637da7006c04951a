//! How attempts end, what becomes of their events, and what is said of that.

mod ends;
mod told;
