//! What every remote channel of this host has, of any kind.

use std::any::Any;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use reactor_core::channel::Limits;

use super::Written;

/// Time that must remain of a lease after an attempt's time-out, to commit and to delete the message.
pub const COMMIT_BUDGET: Duration = Duration::from_secs(5);

/// A channel whose messages are outside this host.
#[derive(Clone, Debug)]
pub struct Outside {
    /// The name of its kind, by which the program finds how to connect to it.
    pub kind: &'static str,
    /// The limits of the kind.
    pub limits: Limits,
    /// When received messages are deleted.
    pub settle: Settle,
    /// How long a received message is leased at a time; a multiple of the longest time-out if absent.
    pub lease: Option<Duration>,
    /// The keys specific to this kind.
    pub settings: Arc<dyn Settings>,
}

impl Outside {
    /// The settings of this kind; `None` if they belong to another kind.
    pub fn own<S: Settings>(&self) -> Option<&S> {
        let settings: &dyn Any = &*self.settings;
        settings.downcast_ref()
    }
}

impl PartialEq for Outside {
    fn eq(&self, other: &Self) -> bool {
        let same =
            (self.kind, self.limits, self.settle, self.lease) == (other.kind, other.limits, other.settle, other.lease);
        same && self.settings.same(&*other.settings)
    }
}

/// When a received message is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Settle {
    /// When every matched reactor has ended.
    #[default]
    Completed,
    /// As soon as it is copied durably to the local log.
    Stored,
}

/// The settings of one kind.
pub trait Settings: Same + Debug + Send + Sync {
    /// The name or address of the remote channel.
    fn address(&self) -> &Written;

    /// Why it cannot be read, and the line that would change that; `None` if it can be read.
    fn write_only(&self) -> Option<WriteOnly> {
        None
    }
}

/// Why a channel cannot be read.
#[derive(Clone, Copy, Debug)]
pub struct WriteOnly {
    /// The reason, such as `a topic is read through a queue`.
    pub why: &'static str,
    /// The line to add, such as `queue = "..."`.
    pub line: &'static str,
}

/// Equality with a value of possibly another type.
pub trait Same: Any {
    /// Whether the other value has the same type and is equal.
    fn same(&self, other: &dyn Any) -> bool;
}

impl<T: PartialEq + Any> Same for T {
    fn same(&self, other: &dyn Any) -> bool {
        other.downcast_ref() == Some(self)
    }
}
