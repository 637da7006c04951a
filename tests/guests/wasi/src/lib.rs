//! Uses the standard library as a program for wasm32-wasip2 does, and keeps what it saw in its state.
#![allow(clippy::disallowed_methods, reason = "these run by the machine's clocks")]
#![allow(clippy::print_stdout, reason = "what a program prints is what is tested")]

use std::collections::HashMap;
use std::io::Write;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use reactor_guest::{Context, Event, Outcome, Raw, reactor};

/// Looks around. What the event's type says is done on top of that.
#[reactor]
pub fn look(event: Event<Raw>, cx: &Context) -> Outcome {
    let (start, wall) = (Instant::now(), SystemTime::now());
    println!("printed by {}", event.id);
    print!("no line end");
    // Nobody does it for a program that never leaves `main`.
    std::io::stdout().flush()?;
    eprintln!("and to the other stream");
    let seconds = wall.duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    let far = seconds.abs_diff(cx.now().as_millis() / 1_000);
    // A map takes its seed from the host.
    let words: HashMap<&str, usize> = ["a", "b"].into_iter().zip(0..).collect();
    let env: Vec<(String, String)> = std::env::vars().collect();
    let args: Vec<String> = std::env::args().collect();
    let file = std::fs::read("/etc/passwd").is_err() && std::fs::write("here", "x").is_err();
    let folders = std::fs::read_dir("/").map(Iterator::count).unwrap_or(0);
    std::thread::sleep(Duration::from_millis(20));
    let slept = start.elapsed() >= Duration::from_millis(20);
    cx.state().set("seen", &(far < 60, words.len(), env, args, file, folders, slept))?;
    match event.event_type.as_str() {
        "exit" => std::process::exit(0),
        "sleep" => std::thread::sleep(Duration::from_secs(3_600)),
        "shout" => (0..1_500).for_each(|line| println!("line {line}")),
        "spin" => loop {
            std::hint::black_box(SystemTime::now());
        },
        _ => {}
    }
    Ok(())
}
