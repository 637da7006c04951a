//! A host's surroundings: two reactors, `a` and `b`, that read `in` and emit to `out`.

use std::sync::Arc;
use std::time::Duration;

use reactor_core::channel::{Remote, Source};
use reactor_core::clock::Clock;
use reactor_core::event::Outcome;
use reactor_core::guest::{Call, Effect, Emit, Run};
use reactor_store::memory::MemoryStore;

use crate::support::clock::DrivenClock;
use crate::support::guest::{Behaviour, guest};
use crate::support::queue::Queue;
use crate::support::rig::{Guests, Rig, Running, Time};

/// See the module.
pub(crate) struct World {
    pub(crate) clock: DrivenClock,
    pub(crate) rig: Rig,
    pub(crate) source: Arc<Queue>,
    pub(crate) sink: Arc<Queue>,
    pub(crate) config: String,
    store: MemoryStore,
}

impl World {
    pub(crate) fn new(channel: &str, reactor: &str) -> Self {
        Self::with(channel, reactor, false)
    }

    /// With FIFO queues.
    pub(crate) fn fifo() -> Self {
        Self::with("", "", true)
    }

    fn with(channel: &str, reactor: &str, fifo: bool) -> Self {
        let table = |name: &str| {
            format!(
                "[reactors.{name}]\nmodule = \"{name}.wasm\"\nfrom = [\"in\"]\non = [\"t\"]\n\
                 emit = {{ emitted = \"out\" }}\ntimeout = \"1s\"\ncpu = \"1s\"\n{reactor}\n\
                 dead-letter = {{ channel = \"out\" }}\n\
                 retry = {{ initial = \"5ms\", max = \"10ms\", max-attempts = 3 }}\n"
            )
        };
        let config = format!(
            "[channels.in]\nkind = \"sqs\"\nqueue = \"in\"\nlease = \"6s\"\n{channel}\n\
             [channels.out]\nkind = \"sqs\"\nqueue = \"out\"\n{}{}",
            table("a"),
            table("b"),
        );
        let (clock, store) = (DrivenClock::default(), MemoryStore::new(256));
        let (source, sink) = (Queue::new(&clock, fifo), Queue::new(&clock, fifo));
        let mut rig = Rig::on(Arc::new(store.reopen()), Time::driven(clock.clone()));
        let received: Arc<dyn Source> = Arc::clone(&source) as _;
        rig.remotes.insert("in".to_owned(), Remote { source: Some(received), sink: Arc::clone(&source) as _ });
        rig.remotes.insert("out".to_owned(), Remote { source: None, sink: Arc::clone(&sink) as _ });
        Self { clock, rig, source, sink, config, store }
    }

    /// Starts a host, as another process would after the one before it.
    pub(crate) async fn start(&mut self, a: Behaviour, b: Behaviour) -> Running {
        self.store = self.store.reopen();
        self.rig.store = Arc::new(self.store.reopen());
        self.rig.start(&self.config, guests(a, b)).await
    }

    pub(crate) async fn until_empty(&self) {
        self.rig.time.until("the queue is empty", || self.source.left() == 0).await;
    }

    /// Takes this long, and ends with the function's outcome.
    pub(crate) fn slow(&self, time: Duration, run: impl Fn(&Call) -> Outcome + Send + Sync + 'static) -> Behaviour {
        let clock = self.clock.clone();
        Arc::new(move |call| {
            let (sleep, outcome) = (clock.sleep(time), run(&call));
            Box::pin(async move {
                sleep.await;
                Run::ended(outcome)
            })
        })
    }
}

/// The guests of both, which emit the data of events that ask for it.
pub(crate) fn guests(a: Behaviour, b: Behaviour) -> Guests {
    vec![("a", guest("native", emitting(a))), ("b", guest("native", emitting(b)))]
}

fn emitting(run: Behaviour) -> Behaviour {
    Arc::new(move |call| {
        let data: serde_json::Value = serde_json::from_slice(&call.event.data).unwrap_or_default();
        let run = run(call);
        Box::pin(async move {
            let run = run.await;
            let emits = run.outcome == Outcome::Done && data["emit"] == true;
            Run { effects: if emits { vec![emit(&data)] } else { Vec::new() }, ..run }
        })
    })
}

fn emit(data: &serde_json::Value) -> Effect {
    let message = Emit {
        event_type: "emitted".into(),
        version: 1,
        subject: None,
        partition_key: data["group"].as_str().map(str::to_owned),
        content_type: "application/json".into(),
        data: data.to_string().into(),
    };
    Effect::Put { target: "out".into(), message }
}

pub(crate) fn done() -> Behaviour {
    crate::support::guest::always(Outcome::Done)
}
