//! Files that are modules, and files that are not.

use std::os::unix::fs::PermissionsExt;

use super::*;

fn refused(bytes: &[u8]) -> LoadError {
    Bench::new().load_bytes(bytes, spec()).unwrap_err()
}

#[test]
fn files_that_are_no_modules_say_what_they_are() {
    let bench = Bench::new();
    let missing = bench.engine.load(&bench.dir.path().join("none.wasm"), spec()).unwrap_err();
    assert!(matches!(missing, LoadError::Missing(_)), "{missing}");
    assert!(matches!(bench.engine.load(bench.dir.path(), spec()), Err(LoadError::NotWasm(..))));
    assert!(matches!(refused(b""), LoadError::Empty(_)));
    let text = refused(b"(module)");
    assert!(text.to_string().contains("WebAssembly text"), "{text}");
    assert!(matches!(refused(b"#!/bin/sh\n"), LoadError::NotWasm(..)));
    assert!(matches!(refused(b"\0asm"), LoadError::Invalid(..)));
    assert!(matches!(refused(b"\0asm\x09\0\0\0"), LoadError::Invalid(..)));
    let large = refused(&vec![0; usize::try_from(MAX_MODULE).unwrap() + 1]);
    assert!(matches!(large, LoadError::TooLarge { size: 16_777_217, .. }), "{large}");
}

#[test]
fn a_core_module_needs_its_component_type() {
    let bytes = wat::parse_str(core("", "", "")).unwrap();
    assert!(matches!(refused(&bytes), LoadError::NoComponentType(_)));
    let typed = testing::typed_core(&bytes).unwrap();
    assert_eq!(Bench::new().load_bytes(&typed, spec()).unwrap().imports, ["reactor:guest/types@0.2.0"]);
}

#[test]
fn a_component_needs_handle_of_the_right_type() {
    let none = wat::parse_str("(component)").unwrap();
    assert!(matches!(refused(&none), LoadError::NoHandle(_)));
    let wrong = r#"(component (core module $m (func (export "f"))) (core instance $i (instantiate $m))
      (func (export "handle") (canon lift (core func $i "f"))))"#;
    assert!(matches!(refused(&wat::parse_str(wrong).unwrap()), LoadError::Mismatch(..)));
}

#[test]
fn imports_that_are_not_granted_are_listed_with_their_remedies() {
    let bench = Bench::new();
    let bytes = component(&core(&format!("{STATE} {EMIT} {LOG}"), "", ""));
    let nothing = GuestSpec { allow_state: false, emit: Vec::new(), ..spec() };
    let Err(LoadError::Denied { imports, .. }) = bench.load_bytes(&bytes, nothing) else { panic!("not denied") };
    let names: Vec<_> = imports.iter().map(|denied| denied.import.as_str()).collect();
    assert_eq!(names, ["reactor:guest/state@0.1.0", "reactor:guest/emit@0.1.0"]);
    let module = bench.load_bytes(&bytes, spec()).unwrap();
    assert!(module.unused_grants.is_empty() && module.imports.iter().any(|i| i == "reactor:guest/log@0.1.0"));
    let wasi = wat::parse_str(r#"(component (import "wasi:sockets/tcp@0.2.0" (instance)))"#).unwrap();
    assert!(matches!(refused(&wasi), LoadError::Denied { .. }));
    let preview1 = core(r#"(import "wasi_snapshot_preview1" "sched_yield" (func (result i32)))"#, "", "");
    let error = refused(&wat::parse_str(preview1).unwrap());
    assert!(error.to_string().contains("no WASI of the first generation"), "{error}");
}

#[test]
fn a_file_that_imports_from_everywhere_is_refused_without_a_list() {
    let imports = |text: fn(usize) -> String| (0..1_001).fold(String::new(), |all, at| all + &text(at));
    let core = imports(|at| format!(r#"(import "{at}" "f" (func))"#));
    let components = imports(|at| format!(r#"(import "a{at}" (func))"#));
    for wat in [format!("(module {core})"), format!("(component {components})")] {
        let error = refused(&wat::parse_str(wat).unwrap());
        assert!(matches!(error, LoadError::Invalid(..)), "{error}");
        assert!(error.to_string().contains("it imports more than 1000 interfaces"), "{error}");
    }
    let one = r#"(component (import "a" (instance)))"#;
    assert!(matches!(refused(&wat::parse_str(one).unwrap()), LoadError::Denied { .. }));
}

#[test]
fn what_is_no_file_is_refused_at_once() {
    let bench = Bench::new();
    let path = |name: &str| bench.dir.path().join(name);
    rustix::fs::mkfifoat(rustix::fs::CWD, path("pipe"), rustix::fs::Mode::RUSR).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(path("socket")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", path("device")).unwrap();
    std::os::unix::fs::symlink("loop", path("loop")).unwrap();
    for name in ["pipe", "socket", "device"] {
        let error = bench.engine.load(&path(name), spec()).unwrap_err();
        assert!(matches!(error, LoadError::NotWasm(..)), "{name}: {error}");
        assert!(error.to_string().contains("a pipe, a socket or a device"), "{name}: {error}");
    }
    let error = bench.engine.load(&path("loop"), spec()).unwrap_err();
    assert!(matches!(error, LoadError::Unreadable(..)), "{error}");
}

#[test]
fn features_beyond_the_contract_are_refused() {
    let modules = [
        ("threads", r#"(memory 1 1 shared)"#),
        ("memory64", "(memory i64 1)"),
        ("gc", "(type (struct (field i32)))"),
        ("exceptions", "(tag)"),
    ];
    for (name, item) in modules {
        let wat = format!("(component (core module {item}))");
        let error = refused(&wat::parse_str(wat).unwrap());
        assert!(matches!(error, LoadError::Invalid(..)), "{name}: {error}");
    }
}

#[test]
fn memory_that_cannot_be_had_is_refused_at_load() {
    let bench = Bench::new();
    let bytes = component(&core("", "", ""));
    for memory in [64 << 10, 65 << 20] {
        let refused = bench.load_bytes(&bytes, GuestSpec { memory, ..spec() });
        assert!(matches!(refused, Err(LoadError::Memory(..))), "{memory}: {refused:?}");
    }
}

#[test]
fn truncated_and_damaged_modules_never_panic() {
    let bench = Bench::new();
    let typed = testing::typed_core(&wat::parse_str(core(LOG, "x", "")).unwrap()).unwrap();
    for whole in [component(&core(LOG, "x", "")), typed] {
        let loads = |cut: &usize| bench.load_bytes(&whole[..*cut], spec()).is_ok();
        // The remainder is intact only where the cut removes nothing but trailing custom sections.
        let sound: Vec<usize> = (0..whole.len()).step_by(3).filter(loads).collect();
        assert!(sound.len() <= 3, "cut at {sound:?} of {}", whole.len());
        for at in (0..whole.len()).step_by(11) {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x55;
            // A flipped name or constant may leave a valid module.
            let _ = bench.load_bytes(&damaged, spec());
        }
    }
}

#[test]
fn the_content_of_a_type_section_does_not_matter() {
    let mut wat = core("", "", "");
    wat.truncate(wat.len() - 1);
    wat.push_str(r#" (@custom "component-type:evil" "\00asm\0d\00\01\00"))"#);
    Bench::new().load_bytes(&wat::parse_str(wat).unwrap(), spec()).unwrap();
}

#[test]
fn deep_nesting_is_refused_at_once() {
    // Components within components, as deep as a file can hold; each level is a header, a section id and a size.
    let (mut headers, mut size) = (vec![b"\0asm\x0d\0\x01\0".to_vec()], 8);
    while size < usize::try_from(MAX_MODULE).unwrap() - 16 {
        let mut header = b"\0asm\x0d\0\x01\0\x04".to_vec();
        let mut rest = size;
        while rest >= 128 {
            header.push((rest & 127) as u8 | 128);
            rest >>= 7;
        }
        header.push(rest as u8);
        size += header.len();
        headers.push(header);
    }
    headers.reverse();
    let error = refused(&headers.concat());
    assert!(error.to_string().contains("nests them deeper"), "{error}");
}

#[test]
fn too_many_functions_are_refused_before_compiling() {
    let mut wat = String::from("(component (core module (type (func))");
    wat.push_str(&"(func (type 0))".repeat(100_001));
    wat.push_str("))");
    let error = refused(&wat::parse_str(wat).unwrap());
    assert!(error.to_string().contains("100001 functions"), "{error}");
}

fn entries(bench: &Bench) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(bench.dir.path().join("cache")).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

#[tokio::test]
async fn compiled_code_is_kept_and_checked() {
    let bench = Bench::new();
    let wat = core("", "", "");
    assert!(!bench.load(&wat).from_cache);
    let again = bench.load(&wat);
    assert!(again.from_cache);
    assert_eq!(run(&again).await.outcome, Outcome::Done);
    let restarted = Bench { engine: engine(&bench.dir), dir: bench.dir };
    assert!(restarted.load(&wat).from_cache, "the key is the same in another engine");

    let [entry] = &entries(&restarted)[..] else { panic!("one entry, nothing aside") };
    let sound = std::fs::read(entry).unwrap();
    let mut flipped = sound.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    for damaged in [&flipped[..], &sound[..sound.len() / 3], b""] {
        std::fs::write(entry, damaged).unwrap();
        let module = restarted.load(&wat);
        assert!(!module.from_cache, "a damaged entry is compiled anew");
        assert_eq!(run(&module).await.outcome, Outcome::Done);
        assert_eq!(std::fs::read(entry).unwrap(), sound);
    }
}

#[tokio::test]
async fn a_folder_that_others_can_enter_is_not_used() {
    let bench = Bench::new();
    let wat = core("", "", "");
    assert!(!bench.load(&wat).from_cache);
    let cache = bench.dir.path().join("cache");
    std::fs::set_permissions(&cache, std::fs::Permissions::from_mode(0o755)).unwrap();
    assert!(!bench.load(&wat).from_cache, "opened to others while running");
    let other = Bench { engine: engine(&bench.dir), dir: bench.dir };
    let module = other.load(&wat);
    assert!(!module.from_cache);
    assert_eq!(run(&module).await.outcome, Outcome::Done);
}

#[test]
fn the_ticker_ends_with_the_engine() {
    let bench = Bench::new();
    let weak = bench.engine.inner.wasm.weak();
    drop(bench);
    let gone = (0..200).any(|_| {
        std::thread::sleep(Duration::from_millis(10));
        weak.upgrade().is_none()
    });
    assert!(gone);
}
