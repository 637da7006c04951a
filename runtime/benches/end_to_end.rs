//! End to end, with every event durable before it is acknowledged and its effects before it is settled: events/s for
//! 10,000 and 200,000 events, latency at 200 events/s, and where the CPU time goes. Prints figures; asserts nothing.
//!
//! One reactor (tests/guests/tally) that parses JSON, reads and writes one state key of 10,000, in a fresh instance for
//! each event of about 500 bytes. Options: the numbers of events, as arguments.
#![allow(clippy::print_stdout, clippy::expect_used, reason = "a program that prints figures")]

#[allow(dead_code, reason = "each program uses its part of it")]
mod host;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use reactor_runtime::event::Message;
use reactor_runtime::pipeline::host::Control;
use reactor_runtime::store::Store;

use host::{Ready, Running};

const ACCOUNTS: usize = 10_000;
const BATCH: usize = 256;
const CONFIG: &str = r#"
[channels.in]
kind = "local"
[reactors.tally]
module = "tally.wasm"
from = ["in"]
on = ["added"]
allow = { state = true }
"#;

fn main() {
    let mut sizes: Vec<usize> = std::env::args().skip(1).filter_map(|text| text.parse().ok()).collect();
    if sizes.is_empty() {
        sizes = vec![10_000, 200_000];
    }
    let bytes = host::tally();
    for size in sizes {
        throughput(&bytes, size);
    }
    latency(&bytes);
}

fn event(id: usize, account: &str) -> Message {
    let pad = "x".repeat(330);
    Message::from_body(format!(
        r#"{{"eventId":"event-{id:09}","eventType":"added","eventVersion":1,"timestamp":"2026-03-02T09:00:00Z","source":"bench","correlationId":"flow-{id:09}","data":{{"account":"{account}","amount":{id},"pad":"{pad}"}}}}"#
    ))
}

/// Publishes as fast as it can while the host runs; from the first event to the last one done.
fn throughput(module: &[u8], events: usize) {
    let bench = Ready::new(CONFIG, module, BTreeMap::new()).run();
    let channel = bench.store.channel_id("in").expect("a channel");
    let before = cpu_by_thread();
    let start = Instant::now();
    let publisher = Arc::clone(&bench.store);
    let publish = bench.runtime.spawn(async move {
        for first in (0..events).step_by(BATCH) {
            let batch = (first..events.min(first + BATCH)).map(|id| event(id, &format!("a{:05}", id % ACCOUNTS)));
            publisher.append(channel, batch.collect()).await.expect("accepted");
        }
        start.elapsed()
    });
    let Running { dir, store, runtime, tell, host, .. } = bench;
    let published = runtime.block_on(publish).expect("published");
    tell.blocking_send(Control::WhenIdle).expect("the host listens");
    runtime.block_on(host).expect("the host ends");
    let took = start.elapsed();
    let stats = store.stats().expect("counts");
    let done = stats.reactors.iter().map(|reactor| reactor.done).sum::<u64>();
    println!("\n{events} events of {} bytes, published while the host runs", event(0, "a00000").size());
    let rate = |time: Duration| events as f64 / time.as_secs_f64();
    println!("  done                  {done}");
    println!("  publish               {:>10.0} events/s", rate(published));
    println!("  publish to done       {:>10.0} events/s", rate(took));
    let mut sum = 0.0;
    for (name, time) in cpu_by_thread() {
        let used = time.saturating_sub(before.get(&name).copied().unwrap_or_default());
        let each = used.as_secs_f64() * 1e6 / events as f64;
        sum += each;
        if each >= 0.05 {
            println!(
                "  CPU of `{name}`{:width$} {each:>8.1} us/event",
                "",
                width = 12_usize.saturating_sub(name.len())
            );
        }
    }
    println!("  CPU in all            {sum:>8.1} us/event");
    drop(store);
    drop(dir);
}

/// One event every 5 ms: from before it is published until its effect can be read, which is after the fsync.
fn latency(module: &[u8]) {
    const EVENTS: usize = 2_000;
    let bench = Ready::new(CONFIG, module, BTreeMap::new()).run();
    let channel = bench.store.channel_id("in").expect("a channel");
    let reactor = bench.store.reactor_id("tally").expect("a reactor");
    let (mut accepted, mut done) = (Vec::new(), Vec::new());
    let begin = Instant::now();
    for id in 0..EVENTS {
        let due = begin + Duration::from_millis(5) * u32::try_from(id).expect("small");
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let key = format!("single-{id}");
        let start = Instant::now();
        bench.runtime.block_on(bench.store.append(channel, vec![event(id, &key)])).expect("accepted");
        accepted.push(start.elapsed());
        while bench.store.state(reactor, &key).expect("readable").is_none() {
            std::thread::sleep(Duration::from_micros(50));
        }
        done.push(start.elapsed());
    }
    println!("\nlatency at 200 events/s, {EVENTS} events");
    for (what, times) in [("accepted (one fsync)", &mut accepted), ("done", &mut done)] {
        times.sort();
        let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
        println!("  {what:<21} p50 {:.2} ms, p99 {:.2} ms, most {:.2} ms", at(0.5), at(0.99), at(1.0));
    }
    bench.tell.blocking_send(Control::Drain).expect("the host listens");
    bench.runtime.block_on(bench.host).expect("the host ends");
}

/// CPU time of this process's threads, by name.
fn cpu_by_thread() -> BTreeMap<String, Duration> {
    let mut times: BTreeMap<String, Duration> = BTreeMap::new();
    let Ok(tasks) = std::fs::read_dir("/proc/self/task") else { return times };
    for task in tasks.flatten() {
        // Nanoseconds on a CPU come first.
        let Ok(stat) = std::fs::read_to_string(task.path().join("schedstat")) else { continue };
        let Ok(name) = std::fs::read_to_string(task.path().join("comm")) else { continue };
        let spent = stat.split(' ').next().and_then(|text| text.parse().ok()).unwrap_or(0);
        *times.entry(name.trim().to_owned()).or_default() += Duration::from_nanos(spent);
    }
    times
}
