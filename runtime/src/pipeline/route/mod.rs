//! Step: match an event against every subscription, through one compiled index.
