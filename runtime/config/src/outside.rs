//! What every remote channel of this host has, whatever its kind.

use std::any::Any;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use reactor_core::channel::Limits;

use super::Written;

/// What a lease must have left when an attempt's time-out is over, to commit and to delete the message.
pub const COMMIT_BUDGET: Duration = Duration::from_secs(5);

/// A channel whose messages live outside of this host.
#[derive(Clone, Debug)]
pub struct Outside {
    /// The name of its kind, by which the program finds out how to reach it.
    pub kind: &'static str,
    /// What the kind allows.
    pub limits: Limits,
    /// When received messages are deleted.
    pub settle: Settle,
    /// How long a received message is leased at a time; a multiple of the longest time-out if absent.
    pub lease: Option<Duration>,
    /// What the keys of this kind alone say.
    pub settings: Arc<dyn Settings>,
}

impl Outside {
    /// What the keys of this kind alone say; `None` if they are those of another kind.
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

/// What the keys of one kind say.
pub trait Settings: Same + Debug + Send + Sync {
    /// What the channel is called outside.
    fn address(&self) -> &Written;

    /// Why nothing can be read from it, and which line would change that; `None` if it can be read.
    fn write_only(&self) -> Option<WriteOnly> {
        None
    }
}

/// Why nothing can be read from a channel.
#[derive(Clone, Copy, Debug)]
pub struct WriteOnly {
    /// The reason, such as `a topic is read through a queue`.
    pub why: &'static str,
    /// The line to add, such as `queue = "..."`.
    pub line: &'static str,
}

/// Equality with what may be of another type.
pub trait Same: Any {
    /// Whether the other one is of the same type, and the same.
    fn same(&self, other: &dyn Any) -> bool;
}

impl<T: PartialEq + Any> Same for T {
    fn same(&self, other: &dyn Any) -> bool {
        other.downcast_ref() == Some(self)
    }
}
