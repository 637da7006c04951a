//! Adds up amounts per account: parses JSON, reads and writes one state key.
//!
//! A crash that did something twice, or not at all, shows in the totals.

use reactor_guest::{Context, Event, Outcome, reactor};
use serde::Deserialize;

/// What is added to which account.
#[derive(Debug, Deserialize)]
pub struct Added {
    /// The state key.
    pub account: String,
    /// What to add.
    pub amount: u64,
}

/// Adds the amount to the account.
#[reactor]
pub fn added(event: Event<Added>, cx: &Context) -> Outcome {
    let state = cx.state();
    let total: u64 = state.get(&event.data.account)?.unwrap_or(0);
    state.set(&event.data.account, &(total + event.data.amount))?;
    Ok(())
}
