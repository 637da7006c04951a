//! The cost of emptying a queue: `cargo xtask bench sqs`, which starts an emulator and passes its address.
//!
//! Each side empties its own queue of the same messages, one side after the other, several times over, so that a
//! temporary slowdown of the machine affects all of them. The output is medians of messages/s and of this process's CPU
//! time, and their ratio to the first side. CPU time is ours only; the emulator shares the machine, and the last column
//! says how many cores both together kept busy: if that is all cores, a side is as fast as its CPU time allows. Then
//! everything is repeated as if the emulator were as far away as SQS is, where waiting keeps no core busy.
//!
//! Options: `--messages N`, `--loops N` (concurrent receivers), `--rounds N`, `--away MS`; `--smoke` for a few
//! messages, to check that it runs.
#![allow(clippy::disallowed_methods, reason = "these run by the machine's clocks")]
#![allow(clippy::print_stdout, clippy::expect_used, reason = "a program that prints figures")]

mod distance;
#[allow(dead_code, reason = "each program uses its part of it")]
mod host;

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_sqs::types::{
    DeleteMessageBatchRequestEntry, Message, MessageSystemAttributeName, SendMessageBatchRequestEntry,
};
use futures_util::future::{join_all, select_all};
use tokio::sync::Notify;

use reactor_channel_aws::aws::Aws;
use reactor_channel_aws::sqs::SqsQueue;
use reactor_cli::bench::rig;
use reactor_core::channel::{Remote, Sink, Source};
use reactor_core::store::StoreClient;

/// Maximum number of messages in one call.
const BATCH: usize = 10;
const SENDERS: usize = 16;
/// Maximum seconds that a receive waits.
const LONG_POLL: i32 = 20;

/// A way to empty a queue. It gets a filled queue, prepares itself, and times only the rest.
struct Side {
    name: &'static str,
    empty: fn(&Setting, &str) -> Spent,
}

/// The others are compared with the first.
const SIDES: &[Side] = &[Side { name: "SDK loop", empty: sdk_loop }, Side { name: "Reactor", empty: reactor }];

/// The server's address.
const ENDPOINT: &str = "REACTOR_BENCH_ENDPOINT";
/// Set for a process that only measures: the delay of responses, in milliseconds.
const AWAY: &str = "REACTOR_BENCH_AWAY";

/// The settings that all sides share.
struct Setting {
    endpoint: String,
    away: String,
    messages: usize,
    loops: usize,
    rounds: usize,
}

fn main() {
    let Ok(endpoint) = std::env::var(ENDPOINT) else {
        println!("queues: left out; `cargo xtask bench sqs` starts an emulator for them");
        return;
    };
    match std::env::var(AWAY) {
        Ok(away) => measure(endpoint, away),
        Err(_) => [0, host::number("--away", 10)].iter().for_each(|away| from_afar(&endpoint, *away)),
    }
}

/// Measures in a separate process, so that the figures exclude the CPU time of forwarding.
fn from_afar(endpoint: &str, away: usize) {
    let server = endpoint.strip_prefix("http://").and_then(|address| address.parse().ok());
    let forwarder = distance::forward(server.expect("an address"), Duration::from_millis(away as u64)).expect("a port");
    let endpoint = if away == 0 { endpoint.to_owned() } else { format!("http://{}", forwarder.address) };
    let mut program = Command::new(std::env::current_exe().expect("this program"));
    program.args(std::env::args().skip(1)).env(AWAY, away.to_string());
    // The host reads the second variable, as it does in the program.
    let status = program.env(ENDPOINT, &endpoint).env("AWS_ENDPOINT_URL", &endpoint).status();
    assert!(status.expect("it can be started").success(), "measuring failed");
}

fn measure(endpoint: String, away: String) {
    let (messages, rounds) = if host::is_smoke() { (200, 1) } else { (20_000, 5) };
    let setting = Setting {
        endpoint,
        away,
        messages: host::number("--messages", messages),
        loops: host::number("--loops", 16),
        rounds: host::number("--rounds", rounds),
    };
    let mut spent: Vec<Vec<Spent>> = SIDES.iter().map(|_| Vec::new()).collect();
    for round in 0..setting.rounds {
        for (side, spent) in SIDES.iter().zip(&mut spent) {
            let name = format!("{}-{round}-{}", side.name.replace(' ', "-"), setting.away);
            let queue = filled(&setting, &name);
            spent.push((side.empty)(&setting, &queue));
        }
    }
    print(&setting, &spent);
}

fn print(setting: &Setting, spent: &[Vec<Spent>]) {
    let Setting { messages, away, loops, rounds, .. } = setting;
    println!(
        "{messages} messages of {} bytes, {away} ms away, {loops} loops, {BATCH} messages a call, medians of {rounds} rounds",
        body(0).len()
    );
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let heads = ["", "messages/s", "ratio", "CPU per 1,000 messages", "ratio"];
    println!("  {:<12} {:>12} {:>8} {:>24} {:>8}   of {cores} cores", heads[0], heads[1], heads[2], heads[3], heads[4]);
    let count = *messages as f64;
    let figures = spent.iter().map(|spent| {
        let rate = host::median(spent.iter().map(|one| count / one.wall.as_secs_f64()));
        let cpu = host::median(spent.iter().map(|one| one.cpu.as_secs_f64() * 1e6 / count));
        let busy =
            host::median(spent.iter().map(|one| (one.cpu + one.emulator).as_secs_f64() / one.wall.as_secs_f64()));
        (rate, cpu, busy)
    });
    let figures: Vec<(f64, f64, f64)> = figures.collect();
    for (side, (rate, cpu, busy)) in SIDES.iter().zip(&figures) {
        let (first_rate, first_cpu, _) = figures[0];
        let (rates, cpus) = (rate / first_rate, cpu / first_cpu);
        println!("  {:<12} {rate:>12.0} {rates:>8.2} {cpu:>21.1} ms {cpus:>8.2} {busy:>12.1}", side.name);
    }
}

/// The cost of emptying a queue.
struct Spent {
    wall: Duration,
    cpu: Duration,
    /// The emulator's CPU time.
    emulator: Duration,
}

/// Measures from its creation on.
struct Stopwatch {
    start: Instant,
    cpu: Duration,
    emulator: Duration,
}

impl Stopwatch {
    fn start() -> Self {
        Self { start: Instant::now(), cpu: cpu("self"), emulator: emulator() }
    }

    fn stop(self) -> Spent {
        let (cpu, emulator) = (cpu("self").saturating_sub(self.cpu), emulator().saturating_sub(self.emulator));
        Spent { wall: self.start.elapsed(), cpu, emulator }
    }
}

fn emulator() -> Duration {
    std::env::var("REACTOR_BENCH_EMULATOR").map_or(Duration::ZERO, |process| cpu(&process))
}

/// User and system time of a process, from the kernel's accounting (10 ms steps).
fn cpu(process: &str) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks: u64 = after_name.split_whitespace().skip(11).take(2).filter_map(|n| n.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

/// System attributes that the host also requests with each message: at least emulators are slower with them.
const SYSTEM: [MessageSystemAttributeName; 4] = [
    MessageSystemAttributeName::SentTimestamp,
    MessageSystemAttributeName::ApproximateReceiveCount,
    MessageSystemAttributeName::MessageGroupId,
    MessageSystemAttributeName::MessageDeduplicationId,
];

/// The minimal consumer: receive and delete, in one loop per receiver.
fn sdk_loop(setting: &Setting, queue: &str) -> Spent {
    let runtime = rig::threads("sdk", 2).expect("threads");
    let client = client(setting);
    let (left, done) = (AtomicUsize::new(setting.messages), Notify::new());
    runtime.block_on(async {
        let watch = Stopwatch::start();
        let loops = (0..setting.loops).map(|_| Box::pin(receive_and_delete(&client, queue, &left, &done)));
        // The loops never end: most of them wait for a message that does not come.
        tokio::select! {
            () = done.notified() => {}
            _ = select_all(loops) => unreachable!("a loop ended"),
        }
        watch.stop()
    })
}

/// All the work of a host: each event is decoded, routed, entered in the ledger, run in a fresh sandbox that reads and
/// writes its state, committed with an fsync, and only then deleted.
fn reactor(setting: &Setting, queue: &str) -> Spent {
    let config = format!(
        "[channels.in]\nkind = \"sqs\"\nqueue = \"{queue}\"\n\n[reactors.tally]\nmodule = \"tally.wasm\"\n\
         from = [\"in\"]\non = [\"added\"]\nallow = {{ state = true }}\n"
    );
    let looking = rig::threads("look", 1).expect("threads");
    // The endpoint is in the environment, as it is for the program.
    let queue = Arc::new(SqsQueue::new(looking.block_on(Aws::connect()), queue.into(), false));
    let remote = Remote { source: Some(Arc::clone(&queue) as Arc<dyn Source>), sink: queue.clone() as Arc<dyn Sink> };
    let rig = host::rig(&config).with_remotes(BTreeMap::from([("in".to_owned(), remote)]));
    let watch = Stopwatch::start();
    let mut running = rig.run().expect("a host");
    while running.store.stats().expect("counts").reactors.iter().map(|r| r.done).sum::<u64>() < setting.messages as u64
    {
        std::thread::sleep(Duration::from_millis(5));
    }
    while looking.block_on(queue.depth()).expect("a depth").total() > 0 {
        std::thread::sleep(Duration::from_millis(5));
    }
    let spent = watch.stop();
    running.stop().expect("the host ends");
    spent
}

async fn receive_and_delete(client: &Client, queue: &str, left: &AtomicUsize, done: &Notify) {
    loop {
        let receive = client.receive_message().queue_url(queue).max_number_of_messages(10).visibility_timeout(60);
        let receive = receive.message_attribute_names("All").set_message_system_attribute_names(Some(SYSTEM.to_vec()));
        let received = receive.wait_time_seconds(LONG_POLL).send().await.expect("messages").messages;
        let messages = received.unwrap_or_default();
        if messages.is_empty() {
            continue;
        }
        let entry = |(id, message): (usize, &Message)| {
            let entry = DeleteMessageBatchRequestEntry::builder().id(id.to_string());
            entry.set_receipt_handle(message.receipt_handle.clone()).build().expect("an entry")
        };
        let entries = messages.iter().enumerate().map(entry).collect();
        let delete = client.delete_message_batch().queue_url(queue).set_entries(Some(entries));
        let deleted = delete.send().await.expect("deleted").successful.len();
        if left.fetch_sub(deleted, Ordering::Relaxed) == deleted {
            done.notify_one();
        }
    }
}

/// A new queue that holds the messages.
fn filled(setting: &Setting, name: &str) -> String {
    let runtime = rig::threads("fill", 2).expect("threads");
    let client = client(setting);
    runtime.block_on(async {
        let made = client.create_queue().queue_name(name).send().await.expect("a queue");
        let queue = made.queue_url.expect("its URL");
        let send = |first: usize| {
            let client = &client;
            let queue = &queue;
            async move {
                for first in (first * BATCH..setting.messages).step_by(SENDERS * BATCH) {
                    let entry = |id: usize| {
                        let entry = SendMessageBatchRequestEntry::builder().id(id.to_string());
                        entry.message_body(body(id)).build().expect("an entry")
                    };
                    let entries = (first..setting.messages.min(first + BATCH)).map(entry).collect();
                    let send = client.send_message_batch().queue_url(queue).set_entries(Some(entries));
                    assert!(send.send().await.expect("sent").failed.is_empty(), "a message was refused");
                }
            }
        };
        join_all((0..SENDERS).map(send)).await;
        queue
    })
}

fn body(id: usize) -> String {
    String::from_utf8(host::event(id, id % host::ACCOUNTS).body.to_vec()).expect("JSON")
}

fn client(setting: &Setting) -> Client {
    let config = aws_sdk_sqs::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "bench"))
        .endpoint_url(&setting.endpoint);
    Client::from_conf(config.build())
}
