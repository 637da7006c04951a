//! SQS inside the test: the real protocol (AWS JSON 1.0) on a port of this machine, with time-outs, receipts, groups,
//! deduplication and dead letter queues, and with any fault that a test injects.
//!
//! - `state`: the server's state, behind one lock
//! - `server`: HTTP, long polls, the log of requests
//! - `protocol`: the operations, from JSON to JSON
//! - `refusal`: errors as SQS reports them
//! - `queue`: messages, leases, receipts; no I/O, no clock
//! - `faults`: faults and when they happen
//!
//! Where AWS leaves the behaviour open, the fake does the worse thing: on a standard queue, deleting with a stale
//! receipt succeeds but deletes nothing; extending an expired lease likewise succeeds without effect, on any queue.
//! [`FakeSqs::strict_receipts`] changes both.

mod faults;
mod protocol;
mod queue;
mod refusal;
mod server;
mod state;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

pub use faults::{Fault, Rule, RuleId};
pub use queue::{Counts, Message};
pub use state::Request;

use faults::Effects;
use queue::{Now, Queue};
use server::Shared;

/// The ARN of a queue.
pub fn arn(queue: &str) -> String {
    format!("arn:aws:sqs:us-east-1:000000000000:{queue}")
}

/// The `RedrivePolicy` that moves a message to the queue `dead` instead of delivering it more than `receives` times.
pub fn redrive_policy(dead: &str, receives: u32) -> String {
    json!({ "deadLetterTargetArn": arn(dead), "maxReceiveCount": receives }).to_string()
}

/// A running server; dropping it ends it and all its connections.
#[derive(Debug)]
pub struct FakeSqs {
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl FakeSqs {
    /// Starts a server without queues on a free port.
    pub fn start() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.set_nonblocking(true).expect("a socket that does not block");
        let port = listener.local_addr().expect("its address").port();
        let shared = Arc::new(Shared::new(format!("http://127.0.0.1:{port}")));
        let (stop, stopped) = oneshot::channel();
        let served = Arc::clone(&shared);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let thread = std::thread::spawn(move || {
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).expect("a listener");
                tokio::select! {
                    () = server::serve(listener, served) => {}
                    _ = stopped => {}
                }
            });
        });
        Self { shared, stop: Some(stop), thread: Some(thread) }
    }

    /// The endpoint, such as `http://127.0.0.1:40000`.
    pub fn url(&self) -> String {
        self.shared.lock().endpoint.clone()
    }

    /// Creates a standard queue, or a FIFO queue if the name ends in `.fifo`; returns its URL.
    pub fn create(&self, name: &str) -> String {
        self.create_with(name, &[])
    }

    /// Creates a queue with these attributes, such as `("VisibilityTimeout", "2")`; returns its URL.
    pub fn create_with(&self, name: &str, attributes: &[(&str, &str)]) -> String {
        let mut input = json!({ "QueueName": name, "Attributes": {} });
        if name.ends_with(".fifo") {
            input["Attributes"]["FifoQueue"] = json!("true");
        }
        for (name, value) in attributes {
            input["Attributes"][*name] = json!(value);
        }
        let answer = self.call("CreateQueue", &input);
        answer["QueueUrl"].as_str().expect("a URL").to_owned()
    }

    /// Sends a message, bypassing the faults and the log; returns its id. Panics if SQS would reject it.
    pub fn send(
        &self,
        queue: &str,
        body: &str,
        attributes: &[(&str, &str)],
        group: Option<&str>,
        dedup: Option<&str>,
    ) -> String {
        let mut input = json!({ "QueueUrl": queue, "MessageBody": body, "MessageAttributes": {} });
        for (name, value) in attributes {
            input["MessageAttributes"][*name] = json!({ "DataType": "String", "StringValue": value });
        }
        for (name, value) in [("MessageGroupId", group), ("MessageDeduplicationId", dedup)] {
            if let Some(value) = value {
                input[name] = json!(value);
            }
        }
        self.call("SendMessage", &input)["MessageId"].as_str().expect("an id").to_owned()
    }

    /// Sends a message with the body and attributes of an input of `SendMessage`, bypassing the faults and the log;
    /// returns its id.
    pub fn send_input(&self, queue: &str, input: &Value) -> String {
        let mut input = input.clone();
        input["QueueUrl"] = json!(queue);
        self.call("SendMessage", &input)["MessageId"].as_str().expect("an id").to_owned()
    }

    fn call(&self, operation: &str, input: &Value) -> Value {
        protocol::carry_out(&mut self.shared.lock(), operation, input, &Effects::default())
            .unwrap_or_else(|refusal| panic!("{operation} {input}: {}", refusal.message))
    }

    /// A queue, for inspection.
    pub fn queue<'a>(&'a self, name: &'a str) -> QueueView<'a> {
        QueueView { sqs: self, name }
    }

    /// All calls so far, in order of arrival.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.lock().requests.clone()
    }

    /// How many calls of an operation have arrived so far.
    pub fn calls(&self, operation: &str) -> usize {
        self.shared.lock().requests.iter().filter(|request| request.operation == operation).count()
    }

    /// Adds a fault from now on.
    pub fn inject(&self, rule: Rule) -> RuleId {
        self.shared.lock().faults.add(rule)
    }

    /// How many calls a rule has affected; 0 once it is removed.
    pub fn fired(&self, rule: RuleId) -> usize {
        self.shared.lock().faults.fired(rule)
    }

    /// Removes a rule.
    pub fn remove(&self, rule: RuleId) {
        self.shared.lock().faults.remove(rule);
    }

    /// Removes all rules.
    pub fn heal(&self) {
        self.shared.lock().faults.clear();
    }

    /// Reseeds the random numbers of [`Rule::chance`].
    pub fn seed(&self, seed: u64) {
        self.shared.lock().faults.seed(seed);
    }

    /// Whether a standard queue rejects a delete with a stale receipt with `ReceiptHandleIsInvalid`, and a change of an
    /// expired lease with `MessageNotInflight`, as some implementations of this protocol do.
    pub fn strict_receipts(&self, strict: bool) {
        self.shared.lock().strict = strict;
    }

    /// Advances the server's clock: leases end, delays pass, deduplication ids are forgotten.
    pub fn advance(&self, time: Duration) {
        let mut state = self.shared.lock();
        state.ahead += time;
        state.wake();
    }
}

impl Drop for FakeSqs {
    fn drop(&mut self) {
        drop(self.stop.take());
        // If it panicked, the test has failed in another way already.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// One queue, seen from inside. Panics if it does not exist.
#[derive(Clone, Copy, Debug)]
pub struct QueueView<'a> {
    sqs: &'a FakeSqs,
    name: &'a str,
}

impl QueueView<'_> {
    fn look<T>(&self, look: impl FnOnce(&mut Queue, Now) -> T) -> T {
        let mut state = self.sqs.shared.lock();
        let now = state.now();
        let queue = state.queues.get_mut(self.name);
        look(queue.unwrap_or_else(|| panic!("there is no queue `{}`", self.name)), now)
    }

    /// Its URL.
    pub fn url(&self) -> String {
        self.sqs.shared.lock().queue_url(self.name)
    }

    /// The current and past numbers of messages.
    pub fn counts(&self) -> Counts {
        self.look(|queue, now| queue.counts(now))
    }

    /// The messages that are not deleted, in the order in which they were sent.
    pub fn messages(&self) -> Vec<Message> {
        self.look(|queue, _| queue.live.values().cloned().collect())
    }

    /// The messages that were deleted individually, in the order of deletion; each was deleted with its last receipt.
    pub fn deleted(&self) -> Vec<Message> {
        self.look(|queue, _| queue.deleted.clone())
    }

    /// The receipts that deleted something, in order.
    pub fn deleted_receipts(&self) -> Vec<String> {
        self.deleted().into_iter().filter_map(|mut message| message.receipts.pop()).collect()
    }

    /// Ends every lease now; no receipt returned so far is valid any more.
    pub fn make_receipts_stale(&self) {
        self.look(Queue::make_stale);
        self.sqs.shared.lock().wake();
    }
}
