//! Runs that the sandbox ends.

use std::time::Instant;

use super::*;

const LOOP: &str = "(loop $l (br $l))";

async fn fault_of(imports: &str, body: &str) -> (Fault, String) {
    let bench = Bench::new();
    let run = run(&bench.load(&core(imports, "boom", body))).await;
    assert!(run.effects.is_empty());
    let (fault, detail) = fault(&run);
    (fault, detail.to_owned())
}

#[tokio::test]
async fn a_trap_names_its_cause_its_place_and_the_last_error_logged() {
    let (fault, detail) =
        fault_of(LOG, "(call $log (i32.const 4) (i32.const 64) (i32.const 4)) (call $log (i32.const 2) (i32.const 65) (i32.const 2)) unreachable").await;
    assert_eq!(fault, Fault::Trap);
    for part in ["unreachable", "last error logged: boom", "handle"] {
        assert!(detail.contains(part), "{part} is missing in: {detail}");
    }
}

#[tokio::test]
async fn an_endless_loop_ends_at_its_cpu_limit() {
    let start = Instant::now();
    let (fault, detail) = fault_of("", LOOP).await;
    assert_eq!(fault, Fault::CpuLimit, "{detail}");
    assert!(start.elapsed() >= Duration::from_millis(300));
}

#[tokio::test]
async fn a_looping_start_function_ends_at_its_cpu_limit() {
    let wat = core("", "", "")
        .replace("(func (export \"cabi_post", &format!("(start $s) (func $s {LOOP}) (func (export \"cabi_post"));
    let run = run(&Bench::new().load(&wat)).await;
    assert_eq!(fault(&run).0, Fault::CpuLimit);
}

#[tokio::test]
async fn a_bulk_memory_loop_ends_at_its_cpu_limit() {
    let body = "(loop $l (memory.fill (i32.const 0) (i32.const 0) (i32.const 131072)) (br $l))";
    assert_eq!(fault_of("", body).await.0, Fault::CpuLimit);
}

#[tokio::test]
async fn the_wall_clock_ends_a_run_whose_cpu_budget_is_larger() {
    let bench = Bench::new();
    let (timeout, cpu) = (Duration::from_millis(100), Duration::from_secs(60));
    let module = bench.load_bytes(&component(&core("", "", LOOP)), GuestSpec { timeout, cpu, ..spec() }).unwrap();
    let start = Instant::now();
    assert_eq!(fault(&run(&module).await).0, Fault::Timeout);
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn endless_recursion_is_a_trap() {
    let wat = core("", "", "(call $deep)")
        .replace("(func (export \"cabi_post", "(func $deep (call $deep)) (func (export \"cabi_post");
    let run = run(&Bench::new().load(&wat)).await;
    let (fault, detail) = fault(&run);
    assert_eq!(fault, Fault::Trap);
    assert!(detail.contains("call stack exhausted") && detail.lines().count() < 60, "{detail}");
}

#[tokio::test]
async fn memories_and_tables_share_one_budget() {
    let body = "(loop $l (br_if $l (i32.ne (memory.grow (i32.const 1)) (i32.const -1)))) unreachable";
    let bench = Bench::new();
    let run1 = run(&bench.load(&core("", "", body))).await;
    assert_eq!(fault(&run1).0, Fault::MemoryLimit);
    assert_eq!(run1.usage.memory, 4 << 20);

    // 60,000 table elements take 480,000 bytes, which do not fit beside 128 KiB of memory in 512 KiB.
    let table = "(if (i32.eq (table.grow (ref.null func) (i32.const 60000)) (i32.const -1)) (then unreachable))";
    let wat = core("", "", table).replace("(memory (export", "(table 1 funcref) (memory (export");
    let small = bench.load_bytes(&component(&wat), GuestSpec { memory: 512 << 10, ..spec() }).unwrap();
    assert_eq!(fault(&run(&small).await).0, Fault::MemoryLimit);
    assert_eq!(run(&bench.load(&wat)).await.outcome, Outcome::Done, "fits in 4 MiB");
}

#[tokio::test]
async fn a_refused_growth_that_the_guest_survives_is_no_fault() {
    let run = run(&Bench::new().load(&core("", "", "(drop (memory.grow (i32.const 1000)))"))).await;
    assert_eq!(run.outcome, Outcome::Done);
}

#[tokio::test]
async fn host_calls_are_counted() {
    let bench = Bench::new();
    let run = run(&bench.load(&core(RANDOM, "", "(loop $l (drop (call $random)) (br $l))"))).await;
    assert_eq!(fault(&run).0, Fault::HostCallLimit);
    assert_eq!(run.usage.host_calls, 10_000);
}

#[tokio::test]
async fn a_huge_argument_is_refused_before_it_is_copied() {
    let body = "(drop (memory.grow (i32.const 50))) (call $log (i32.const 2) (i32.const 0) (i32.const 3000000))";
    let (fault, detail) = fault_of(LOG, body).await;
    assert_eq!(fault, Fault::HostCallLimit, "{detail}");
    assert!(detail.contains("2097152"), "{detail}");
}

#[tokio::test]
async fn state_writes_are_bounded_in_sum() {
    // Keys of 1 to 64 bytes, each with 1,000,000 bytes of value.
    let body = "(drop (memory.grow (i32.const 30))) (loop $l (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (call $set (i32.const 64) (local.get $i) (i32.const 128) (i32.const 1000000) (i32.const 32))
      (br_if $l (i32.lt_u (local.get $i) (i32.const 60))))";
    // Copying megabytes costs CPU time, too, which is not the subject here.
    let spec = GuestSpec { cpu: Duration::from_secs(60), timeout: Duration::from_secs(60), ..spec() };
    let module = Bench::new().load_bytes(&component(&core(STATE, "boom", body)), spec).unwrap();
    assert_eq!(fault(&run(&module).await).0, Fault::StateLimit);
}

#[tokio::test]
async fn pointers_beyond_the_memory_and_bad_text_are_traps() {
    let (beyond, _) = fault_of(LOG, "(call $log (i32.const 2) (i32.const 130000) (i32.const 100000))").await;
    assert_eq!(beyond, Fault::Trap);
    let bad = "(i32.store8 (i32.const 64) (i32.const 255)) (call $log (i32.const 2) (i32.const 64) (i32.const 1))";
    assert_eq!(fault_of(LOG, bad).await.0, Fault::Trap);
    let (tag, _) = fault_of("", "(i32.store8 (i32.const 0) (i32.const 9))").await;
    assert_eq!(tag, Fault::Trap, "an answer that is no result");
}

#[tokio::test]
async fn a_host_call_that_fails_or_panics_ends_the_run_only() {
    let bench = Bench::new();
    let get = |key: &str| {
        let body = format!("(call $get (i32.const 64) (i32.const {}) (i32.const 128))", key.len());
        bench.load(&core(STATE, key, &body))
    };
    let (broken, panic) = (run(&get("broken")).await, run(&get("panic")).await);
    assert_eq!(fault(&broken).0, Fault::Host);
    assert!(fault(&broken).1.contains("disk on fire"), "{broken:?}");
    assert_eq!(fault(&panic).0, Fault::Host);
    assert!(fault(&panic).1.contains("planted"), "{panic:?}");
    assert_eq!(run(&get("a")).await.outcome, Outcome::Done);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endless_loops_do_not_stop_others() {
    let bench = Bench::new();
    let spec = GuestSpec { cpu: Duration::from_secs(30), timeout: Duration::from_secs(3), ..spec() };
    let stuck = bench.load_bytes(&component(&core("", "", LOOP)), spec).unwrap();
    let quick = bench.load(&core("", "", ""));
    let loops: Vec<_> = (0..10).map(|_| tokio::spawn(stuck.guest.run(call()))).collect();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let start = Instant::now();
    for _ in 0..5 {
        assert_eq!(tokio::spawn(quick.guest.run(call())).await.unwrap().outcome, Outcome::Done);
    }
    let took = start.elapsed();
    assert!(loops.iter().all(|task| !task.is_finished()), "the loops must still be running, after {took:?}");
    for task in loops {
        assert_eq!(fault(&task.await.unwrap()).0, Fault::Timeout);
    }
}

#[tokio::test]
async fn dropping_a_run_frees_its_slot() {
    let bench = Bench::new();
    let stuck = bench.load(&core("", "", LOOP));
    for _ in 0..40 {
        let run = tokio::time::timeout(Duration::from_millis(8), run(&stuck)).await;
        assert!(run.is_err());
    }
    assert_eq!(run(&bench.load(&core("", "", ""))).await.outcome, Outcome::Done);
}
