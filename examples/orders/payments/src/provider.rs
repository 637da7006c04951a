//! A stand-in for a payment provider that fails at times.
//!
//! Which orders meet trouble, and in which attempts, depends on the order's id alone, so that the demo has the same
//! totals every time: of five orders, one is dropped in the first attempt, and one finds the provider busy in the first
//! two. For an order whose id ends in `-down` the provider never answers.

use std::fmt;

/// Why a charge did not work out this time.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// No answer.
    Dropped,
    /// Asked to come back later.
    Busy,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dropped => "the payment provider dropped the connection",
            Self::Busy => "the payment provider is busy",
        })
    }
}

impl std::error::Error for Trouble {}

/// Charges, and returns the provider's reference.
pub(crate) fn charge(order_id: &str, idempotency_key: &str, attempt: u32) -> Result<String, Trouble> {
    if order_id.ends_with("-down") {
        return Err(Trouble::Dropped);
    }
    match (fnv1a(order_id) % 5, attempt) {
        (0, 1) => Err(Trouble::Dropped),
        (1, 1 | 2) => Err(Trouble::Busy),
        _ => Ok(format!("ch_{idempotency_key}")),
    }
}

/// FNV-1a, 32 bits.
fn fnv1a(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_fnv_1a() {
        assert_eq!(fnv1a(""), 0x811c_9dc5);
        assert_eq!(fnv1a("foobar"), 0xbf9c_f968);
    }

    #[test]
    fn other_orders_succeed_by_their_third_attempt() {
        for number in 0..100 {
            assert!(charge(&format!("o-{number}"), "k", 3).is_ok());
        }
    }

    #[test]
    fn some_never_succeed() {
        assert_eq!(charge("o-1-down", "k", 100), Err(Trouble::Dropped));
    }
}
