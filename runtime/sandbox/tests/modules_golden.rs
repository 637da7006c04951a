//! The messages about files that are not modules or may not run: every `modules/NAME.wat`, and some files without a
//! text form, against `modules/NAME.txt`. `BLESS=1` rewrites them.
//!
//! Comments at the beginning of a `.wat` say how to prepare it: `typed` adds the section with the world's type, as the
//! SDK does, `component` makes a component, `memory BYTES` sets the reactor's memory. Nothing is granted.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reactor_sandbox::{Compiler, Engine, EngineOptions, GuestSpec, Limits, LoadError, MAX_MODULE, testing};

const MEMORY: usize = 64 << 20;
const SOUND: &str = include_str!("modules/import_state.wat");

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/modules")
}

/// A file of a case and the memory of its reactor.
struct Case {
    bytes: Vec<u8>,
    memory: usize,
}

impl From<Vec<u8>> for Case {
    fn from(bytes: Vec<u8>) -> Self {
        Self { bytes, memory: MEMORY }
    }
}

fn from_text(wat: &str) -> Case {
    let mut case = Case::from(wat::parse_str(wat).expect("text"));
    for line in wat.lines().map_while(|line| line.strip_prefix(";; ")) {
        match line.split_once(' ').unwrap_or((line, "")) {
            ("typed", "") => case.bytes = testing::typed_core(&case.bytes).expect("a core module"),
            ("component", "") => case.bytes = testing::component(&case.bytes).expect("a component"),
            ("memory", bytes) => case.memory = bytes.parse().expect("bytes"),
            _ => {}
        }
    }
    case
}

fn components_in_components(depth: usize) -> Vec<u8> {
    let wat = format!("{}{}", "(component ".repeat(depth), ")".repeat(depth));
    wat::parse_str(wat).expect("components")
}

/// A function with many locals and many blocks.
fn costly_function() -> Vec<u8> {
    let (locals, blocks) = ("i32 ".repeat(6_000), "(block (br_if 0 (local.get 0)))".repeat(12_000));
    let uses: String = (0..6_000).map(|at| format!("(local.set {at} (i32.const 1))")).collect();
    wat::parse_str(format!("(component (core module (func $slow (local {locals}) {uses} {blocks})))")).expect("text")
}

/// Each component creates two instances of the previous one.
fn costly_components() -> Vec<u8> {
    let twice = "(instance (instantiate 0)) (instance (instantiate 0))";
    let more: String = (0..20).map(|at| format!("(component (alias outer 1 {at} (component)) {twice})")).collect();
    wat::parse_str(format!("(component (component) {more})")).expect("text")
}

/// Files without a text form, or with one that is too long.
fn generated() -> BTreeMap<String, Case> {
    // Without what the contract adds: positions in them stay the same when it grows.
    let sound = wat::parse_str(SOUND).expect("text");
    let component = wat::parse_str(include_str!("modules/import_of_another_type.wat")).expect("text");
    let functions = format!("(component (core module (type (func)) {}))", "(func (type 0))".repeat(100_001));
    let files: [(&str, Vec<u8>); 19] = [
        ("file_empty", Vec::new()),
        ("file_script", b"#!/bin/sh\nexec true\n".to_vec()),
        ("file_text", SOUND.as_bytes().to_vec()),
        ("file_elf", b"\x7fELF\x02\x01\x01\0".to_vec()),
        ("file_gzip", b"\x1f\x8b\x08\0\0\0\0\0".to_vec()),
        ("file_html", b"<!DOCTYPE html>\n<title>Not found</title>\n".to_vec()),
        ("file_header_cut", b"\0asm\x01".to_vec()),
        ("file_header_only", b"\0asm\x01\0\0\0".to_vec()),
        ("file_unknown_version", b"\0asm\x09\0\0\0".to_vec()),
        ("file_garbage_after_header", [b"\0asm\x01\0\0\0", [0xff; 32].as_slice()].concat()),
        ("file_cut", sound[..sound.len() / 2].to_vec()),
        ("file_cut_component", component[..component.len() / 2].to_vec()),
        ("file_garbage_at_the_end", [&sound[..], b"\xff\xff"].concat()),
        ("file_too_large", vec![0; usize::try_from(MAX_MODULE).expect("bytes") + 1]),
        ("too_many_functions", wat::parse_str(functions).expect("functions")),
        ("costly_function", costly_function()),
        ("costly_components", costly_components()),
        ("too_deep", components_in_components(17)),
        ("too_many_parts", wat::parse_str(format!("(component {})", "(core module)".repeat(1_000))).expect("modules")),
    ];
    files.into_iter().map(|(name, bytes)| (name.to_owned(), Case::from(bytes))).collect()
}

fn cases() -> BTreeMap<String, Case> {
    let mut cases = generated();
    for file in fs::read_dir(folder()).expect("the folder of cases").flatten().map(|entry| entry.path()) {
        if file.extension().is_some_and(|found| found == "wat") {
            let name = file.file_stem().expect("a name").to_string_lossy().into_owned();
            let text = fs::read_to_string(&file).expect("a case");
            assert!(cases.insert(name, from_text(&text)).is_none(), "{}: a second one", file.display());
        }
    }
    cases
}

struct Bench {
    dir: tempfile::TempDir,
    engine: Engine,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::TempDir::new().expect("a folder");
        let cache_dir = dir.path().join("cache");
        let options = EngineOptions { cache_dir, instances: 1, max_memory: MEMORY, compiler: Compiler::here() };
        Self { engine: Engine::new(options).expect("an engine"), dir }
    }

    /// The message about a file; one line per import that is not granted.
    fn told(&self, file: &str, memory: usize) -> String {
        let path = self.dir.path().join(file);
        let spec = GuestSpec {
            reactor: "r".to_owned(),
            timeout: Duration::from_secs(1),
            cpu: Duration::from_secs(1),
            memory,
            allow_state: false,
            allow_http: Vec::new(),
            emit: Vec::new(),
            hop_limit: 16,
            limits: Limits::default(),
        };
        let told = match self.engine.load(&path, spec) {
            Ok(_) => panic!("{file}: nothing is wrong with it"),
            Err(LoadError::Denied { imports, .. }) => {
                imports.iter().map(|import| format!("not granted: {import}\n")).collect()
            }
            Err(error) => format!("{error}\n"),
        };
        told.replace(&format!("{}/", self.dir.path().display()), "")
    }
}

fn compare(name: &str, found: &str, wrong: &mut Vec<String>) {
    let path = folder().join(name).with_extension("txt");
    if std::env::var_os("BLESS").is_some() {
        fs::write(path, found).expect("a golden file");
        return;
    }
    let expected = fs::read_to_string(path).unwrap_or_default();
    if expected != found {
        wrong.push(format!("--- {name}: expected\n{expected}--- {name}: found\n{found}"));
    }
}

#[test]
fn golden() {
    let (bench, mut wrong, mut names) = (Bench::new(), Vec::new(), BTreeSet::new());
    for (name, case) in cases() {
        let file = format!("{name}.wasm");
        fs::write(bench.dir.path().join(&file), &case.bytes).expect("a file");
        compare(&name, &bench.told(&file, case.memory), &mut wrong);
        names.insert(name);
    }
    fs::create_dir(bench.dir.path().join("file_folder.wasm")).expect("a folder");
    for name in ["file_folder", "file_missing"] {
        compare(name, &bench.told(&format!("{name}.wasm"), MEMORY), &mut wrong);
        names.insert(name.to_owned());
    }
    assert!(wrong.is_empty(), "{}\nBLESS=1 writes them anew", wrong.join("\n"));
    assert!(names.len() >= 40, "only {} cases", names.len());
    for file in fs::read_dir(folder()).expect("the folder of cases").flatten().map(|entry| entry.path()) {
        let name = file.file_stem().expect("a name").to_string_lossy().into_owned();
        assert!(names.contains(&name), "a golden file without a case: {}", file.display());
    }
}

/// The SDK's own text would be useless in a message that fills the screen.
#[test]
fn messages_are_short() {
    for file in fs::read_dir(folder()).expect("the folder of cases").flatten().map(|entry| entry.path()) {
        if file.extension().is_some_and(|found| found == "txt") {
            let text = fs::read_to_string(&file).expect("a golden file");
            assert!(
                text.lines().all(|line| line.len() <= 400) && text.lines().count() <= 6,
                "{}: {text}",
                file.display()
            );
        }
    }
}
