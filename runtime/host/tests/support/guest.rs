//! A guest that is a function.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;

use reactor_core::event::{Outcome, Version};
use reactor_core::guest::{Call, Effect, Guest, Run};

/// What a guest does.
pub(crate) type Behaviour = Arc<dyn Fn(Call) -> BoxFuture<'static, Run> + Send + Sync>;

/// A guest that is a function, and what its module is called.
struct Native(&'static str, Behaviour);

impl Guest for Native {
    fn run(&self, call: Call) -> BoxFuture<'static, Run> {
        (self.1)(call)
    }

    fn digest(&self) -> &str {
        self.0
    }
}

/// A guest whose module has this digest.
pub(crate) fn guest(digest: &'static str, run: Behaviour) -> Arc<dyn Guest> {
    Arc::new(Native(digest, run))
}

/// A transient failure; with the delay that the guest asks for, if any.
pub(crate) fn retry(after: Option<Duration>) -> Outcome {
    Outcome::Retry { reason: "not yet".into(), after }
}

/// Ends each run with the function's outcome.
pub(crate) fn answering(run: impl Fn(&Call) -> Outcome + Send + Sync + 'static) -> Behaviour {
    Arc::new(move |call| {
        let outcome = run(&call);
        Box::pin(async move { Run::ended(outcome) })
    })
}

/// Ends each run in the same way.
pub(crate) fn always(outcome: Outcome) -> Behaviour {
    answering(move |_| outcome.clone())
}

/// Ends no run.
pub(crate) fn stuck() -> Behaviour {
    Arc::new(|_| Box::pin(std::future::pending()))
}

/// Counts the runs of another behaviour.
pub(crate) fn counting(count: &Arc<AtomicUsize>, run: Behaviour) -> Behaviour {
    let count = Arc::clone(count);
    Arc::new(move |call| {
        count.fetch_add(1, Ordering::SeqCst);
        run(call)
    })
}

/// Reads a key, yields to others, and writes the result of the function.
pub(crate) async fn update(call: Call, key: &str, change: impl FnOnce(&str) -> String) -> Run {
    let found = call.world.state(key).expect("the state can be read");
    let (before, version) = found.unwrap_or((bytes::Bytes::new(), Version(0)));
    tokio::task::yield_now().await;
    let after = change(std::str::from_utf8(&before).expect("text"));
    let (key, reads) = (key.to_owned(), vec![(key.to_owned(), version)]);
    Run { reads, effects: vec![Effect::Set { key, value: after.into() }], ..Run::ended(Outcome::Done) }
}
