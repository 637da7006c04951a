//! Connecting to shelves.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::BoxFuture;

use reactor_channel::inspect::{Finding, Level};
use reactor_channel::kind::{Connect, Connections, Opened};
use reactor_core::channel::{Remote, Source};

use super::config::ShelfSettings;
use super::list::Shelf;
use crate::support::clock::DrivenClock;

/// The shelves by name, which all channels share, and the clock by which they wait.
#[derive(Clone, Default)]
pub(crate) struct Shelves {
    shelves: Arc<Mutex<HashMap<String, Arc<Shelf>>>>,
    clock: DrivenClock,
}

impl Shelves {
    pub(crate) async fn of(with: &Connections) -> Self {
        Self::by(&DrivenClock::default(), with).await
    }

    /// The shelves by this clock, unless they have one already.
    pub(crate) async fn by(clock: &DrivenClock, with: &Connections) -> Self {
        let clock = clock.clone();
        with.get(Box::pin(async { Self { shelves: Arc::default(), clock } })).await
    }

    /// A shelf, created at first use.
    pub(crate) fn shelf(&self, name: &str) -> Arc<Shelf> {
        let mut shelves = self.shelves.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(shelves.entry(name.to_owned()).or_insert_with(|| Arc::new(Shelf::new(&self.clock))))
    }

    fn has(&self, name: &str) -> bool {
        self.shelves.lock().unwrap_or_else(PoisonError::into_inner).contains_key(name)
    }
}

pub(crate) struct Reach;

impl Connect for Reach {
    fn open<'a>(&'a self, with: &'a Connections, channel: Opened<'a>) -> BoxFuture<'a, Option<Remote>> {
        Box::pin(async move {
            let ShelfSettings { shelf } = channel.own()?;
            let shelf = Shelves::of(with).await.shelf(shelf.meaning());
            let source = (!channel.readers.is_empty()).then(|| Arc::clone(&shelf) as Arc<dyn Source>);
            Some(Remote { source, sink: shelf })
        })
    }

    fn source<'a>(&'a self, with: &'a Connections, channel: Opened<'a>) -> BoxFuture<'a, Option<Arc<dyn Source>>> {
        Box::pin(async move {
            let ShelfSettings { shelf } = channel.own()?;
            Some(Shelves::of(with).await.shelf(shelf.meaning()) as Arc<dyn Source>)
        })
    }

    fn inspect<'a>(
        &'a self,
        with: &'a Connections,
        channel: Opened<'a>,
        is_written: bool,
    ) -> BoxFuture<'a, Vec<Finding>> {
        Box::pin(async move {
            let Some(ShelfSettings { shelf }) = channel.own() else { return Vec::new() };
            let is_there = Shelves::of(with).await.has(shelf.meaning());
            let level = if is_there { Level::Ok } else { Level::Warning };
            let (is, used) = (if is_there { "is" } else { "is not" }, if is_written { "written" } else { "read" });
            vec![Finding::new(level, format!("shelf `{shelf}` {is} there, and is {used}"))]
        })
    }
}
