//! Runs that end with an answer.

use super::*;

/// publish("order.x", 1, none, none, "t", "{}"): type, version, subject, key, content type, data, where the id goes.
const PUBLISH: &str = r#"(call $publish (i32.const 64) (i32.const 7) (i32.const 1)
      (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
      (i32.const 71) (i32.const 1) (i32.const 72) (i32.const 2) (i32.const 32))"#;

#[tokio::test]
async fn a_plain_run_is_done() {
    let bench = Bench::new();
    let module = bench.load(&core("", "", ""));
    let run = run(&module).await;
    assert_eq!(run.outcome, Outcome::Done);
    assert_eq!((run.reads.len(), run.effects.len()), (0, 0));
    assert_eq!((run.usage.memory, run.usage.host_calls), (128 << 10, 0));
    assert_eq!(module.unused_grants, ["state", "emit"]);
    assert_eq!(module.guest.digest(), module.digest);
}

#[tokio::test]
async fn retry_and_reject_are_passed_on() {
    let bench = Bench::new();
    // failure is { tag at 8: retry = 0, reject = 1 }; retry is { reason at 16, after at 24: some(1500 ms) }.
    let retry = core(
        "",
        "later",
        r#"(i32.store8 (i32.const 0) (i32.const 1)) (i32.store8 (i32.const 8) (i32.const 0))
           (i32.store (i32.const 16) (i32.const 64)) (i32.store (i32.const 20) (i32.const 5))
           (i32.store8 (i32.const 24) (i32.const 1)) (i64.store (i32.const 32) (i64.const 1500))"#,
    );
    let after = Some(Duration::from_millis(1500));
    assert_eq!(run(&bench.load(&retry)).await.outcome, Outcome::Retry { reason: "later".to_owned(), after });
    let reject = core(
        STATE,
        "never",
        r#"(call $set (i32.const 64) (i32.const 1) (i32.const 65) (i32.const 3) (i32.const 128))
           (i32.store8 (i32.const 0) (i32.const 1)) (i32.store8 (i32.const 8) (i32.const 1))
           (i32.store (i32.const 16) (i32.const 64)) (i32.store (i32.const 20) (i32.const 5))"#,
    );
    let run = run(&bench.load(&reject)).await;
    assert_eq!(run.outcome, Outcome::Reject { reason: "never".to_owned() });
    assert!(run.effects.is_empty(), "only a run that is done has effects");
}

#[tokio::test]
async fn state_is_read_once_and_written_last_wins() {
    let bench = Bench::new();
    // Reads a twice and b (absent), checks that a is "one", writes c twice and deletes a, then reads its own c.
    let body = r#"
      (call $get (i32.const 64) (i32.const 1) (i32.const 128))
      (call $get (i32.const 64) (i32.const 1) (i32.const 128))
      (if (i32.ne (i32.load8_u (i32.const 136)) (i32.const 1)) (then unreachable))
      (if (i32.ne (i32.load (i32.const 144)) (i32.const 3)) (then unreachable))
      (if (i32.ne (i32.load8_u (i32.load (i32.const 140))) (i32.const 111)) (then unreachable))
      (call $get (i32.const 65) (i32.const 1) (i32.const 128))
      (if (i32.load8_u (i32.const 136)) (then unreachable))
      (call $set (i32.const 66) (i32.const 1) (i32.const 64) (i32.const 1) (i32.const 128))
      (call $set (i32.const 66) (i32.const 1) (i32.const 64) (i32.const 2) (i32.const 128))
      (call $delete (i32.const 64) (i32.const 1) (i32.const 128))
      (call $get (i32.const 66) (i32.const 1) (i32.const 128))
      (if (i32.ne (i32.load (i32.const 144)) (i32.const 2)) (then unreachable))
      (call $get (i32.const 64) (i32.const 0) (i32.const 128))
      (if (i32.ne (i32.load8_u (i32.const 128)) (i32.const 1)) (then unreachable))"#;
    let run = run(&bench.load(&core(STATE, "abc", body))).await;
    assert_eq!(run.outcome, Outcome::Done);
    assert_eq!(run.reads, [("a".to_owned(), Version(41)), ("b".to_owned(), Version(0))]);
    let set = Effect::Set { key: "c".to_owned(), value: Bytes::from_static(b"ab") };
    assert_eq!(run.effects, [Effect::Delete { key: "a".to_owned() }, set]);
    assert_eq!(run.usage.host_calls, 8);
}

#[tokio::test]
async fn emitted_events_get_their_channel_and_a_stable_id() {
    let bench = Bench::new();
    // The id's first byte becomes the state key, so that the test can see it.
    let body = format!(
        "{PUBLISH} (call $set (i32.load (i32.const 32)) (i32.const 36) (i32.const 72) (i32.const 0) (i32.const 128))"
    );
    let imports = format!("{EMIT}\n{STATE}");
    let run = run(&bench.load(&core(&imports, "order.xt{}", &body))).await;
    assert_eq!(run.outcome, Outcome::Done);
    let expected = reactor_core::guest::emitted_id(Identity([7; 16]), "orders", 0);
    let [Effect::Put { target, message: emit }, Effect::Set { key, .. }] = &run.effects[..] else { panic!("{run:?}") };
    assert_eq!(*key, expected);
    assert_eq!((target.as_str(), emit.event_type.as_str(), &emit.data[..]), ("out", "order.x", &b"{}"[..]));
    assert_eq!(emit.partition_key.as_deref(), Some("customer-7"), "the incoming event's where none is given");
}

#[tokio::test]
async fn ids_of_emitted_events_count_no_writes() {
    let bench = Bench::new();
    // Between two events, the first one's id becomes a key; after them, the second one's.
    let keep = "(call $set (i32.load (i32.const 32)) (i32.const 36) (i32.const 72) (i32.const 0) (i32.const 128))";
    let imports = format!("{EMIT}\n{STATE}");
    let run = run(&bench.load(&core(&imports, "order.xt{}", &format!("{PUBLISH} {keep} {PUBLISH} {keep}")))).await;
    assert_eq!(run.outcome, Outcome::Done);
    let mut keys: Vec<_> = run.effects.iter().filter_map(Effect::write).map(|(key, _)| key.clone()).collect();
    let mut ids = [0, 1].map(|index| reactor_core::guest::emitted_id(Identity([7; 16]), "orders", index));
    keys.sort();
    ids.sort();
    assert_eq!(keys, ids);
}

#[tokio::test]
async fn emitting_is_bounded_by_grant_hops_and_number() {
    let bench = Bench::new();
    let denied = bench.load(&core(EMIT, "audit.xt{}", PUBLISH));
    assert_eq!(fault(&run(&denied).await).0, Fault::EmitDenied);

    let module = bench.load(&core(EMIT, "order.xt{}", PUBLISH));
    let mut chained = call();
    Arc::make_mut(&mut chained.event).hop = 15;
    assert_eq!(module.guest.run(chained.clone()).await.outcome, Outcome::Done);
    Arc::make_mut(&mut chained.event).hop = 16;
    assert_eq!(fault(&module.guest.run(chained).await).0, Fault::HopLimit);

    let flood = bench.load(&core(EMIT, "order.xt{}", &format!("(loop $l {PUBLISH} (br $l))")));
    let run = run(&flood).await;
    assert_eq!(fault(&run).0, Fault::EmitLimit);
    assert_eq!((run.usage.host_calls, run.effects.len()), (101, 0));
}

#[tokio::test]
async fn each_run_has_a_fresh_instance() {
    let bench = Bench::new();
    let body = "(if (i32.load (i32.const 60000)) (then unreachable)) (i32.store (i32.const 60000) (i32.const 1))";
    let module = bench.load(&core("", "", body));
    for _ in 0..50 {
        assert_eq!(run(&module).await.outcome, Outcome::Done);
    }
}

/// Collects what the subscriber writes.
#[derive(Clone, Default)]
struct Lines(Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

async fn logged(body: &str) -> String {
    let lines = Lines::default();
    let writer = lines.clone();
    let lines_of = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone());
    let subscriber = lines_of.fmt_fields(reactor_observe::log::Fields).finish();
    let module = Bench::new().load(&core(LOG, "hi\\nyou", body));
    let _guard = tracing::subscriber::set_default(subscriber);
    assert_eq!(run(&module).await.outcome, Outcome::Done);
    let bytes = lines.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

#[tokio::test]
async fn a_log_flood_is_cut_off_by_one_line() {
    let flood = |times: u32, at: u32, size: u32| {
        format!(
            "(loop $l (local.set $i (i32.add (local.get $i) (i32.const 1)))
               (call $log (i32.const 2) (i32.const {at}) (i32.const {size}))
               (br_if $l (i32.lt_u (local.get $i) (i32.const {times}))))"
        )
    };
    let many = logged(&flood(5_000, 64, 6)).await;
    assert_eq!(many.lines().count(), 1_001);
    let first = many.lines().next().unwrap();
    // The span in which the host runs the guest says whose line it is.
    assert!(first.contains(r"hi\nyou") && first.contains("reactor::guest"), "{first}");
    assert!(many.lines().last().unwrap().contains("truncated"));
    let long = logged(&flood(100, 10_000, 30_000)).await;
    assert_eq!(long.lines().count(), 3, "two lines of 30,000 bytes fit in 64 KiB");
}
