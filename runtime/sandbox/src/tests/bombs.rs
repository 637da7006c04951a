//! Small files that take very long to compile.

use std::fmt::Write;

use super::*;
use crate::cost::{MAX_FUNCTION, Meter};

/// A component that contains a core module of this text.
fn around(items: &str) -> Vec<u8> {
    wat::parse_str(format!("(component (core module {items}))")).unwrap()
}

fn uses(locals: usize) -> String {
    (0..locals).fold(String::new(), |mut text, at| {
        let _ = write!(text, "(local.set {at} (i32.add (local.get {at}) (i32.const 1)))");
        text
    })
}

fn declared(locals: usize) -> String {
    format!("(local {})", "i32 ".repeat(locals))
}

fn types(count: usize) -> String {
    "i32 ".repeat(count)
}

/// Locals that are used in the innermost of this many loops.
fn locals_in_loops(locals: usize, loops: usize) -> String {
    format!(
        "(func {} {}{}{})",
        declared(locals),
        "(loop ".repeat(loops),
        uses(locals),
        "(br_if 0 (i32.const 0)))".repeat(loops)
    )
}

/// Locals that are used after this many blocks.
fn locals_after_blocks(locals: usize, blocks: usize) -> String {
    let block = "(block (br_if 0 (local.get 0)))";
    format!("(func {} {} {})", declared(locals), block.repeat(blocks), uses(locals))
}

/// This many diamonds in a row, with all locals in use around them.
fn locals_around_ifs(locals: usize, ifs: usize) -> String {
    let diamond = "(if (local.get 0) (then (local.set 1 (i32.const 1))) (else (local.set 1 (i32.const 2))))";
    format!("(func {} {} {} {})", declared(locals), uses(locals), diamond.repeat(ifs), uses(locals))
}

/// A table of branches to this many blocks, each of which takes this many values.
fn values_by_table(values: usize, targets: usize) -> String {
    let (pushes, drops) = ("(i32.const 7)".repeat(values), "drop ".repeat(values));
    let table: String = (0..targets).map(|at| format!("{at} ")).collect();
    let open = format!("(block (result {})", types(values));
    let close = format!(") {drops} {pushes}").repeat(targets - 1);
    format!(
        "(func {} {pushes} (i32.load (i32.const 0)) (br_table {table}) {close} ) {drops}) (memory 1)",
        open.repeat(targets)
    )
}

/// Blocks that each pass on this many values.
fn values_through_blocks(values: usize, blocks: usize) -> String {
    let ty = types(values);
    let (pushes, drops) = ("(i32.load (i32.const 0))".repeat(values), "drop ".repeat(values));
    format!(
        "(memory 1) (type $t (func (param {ty}) (result {ty}))) (func {pushes} {} {drops})",
        "(loop (type $t) (br_if 0 (i32.load (i32.const 0))))".repeat(blocks)
    )
}

/// Values that stay on the stack during this many calls.
fn values_over_calls(values: usize, calls: usize) -> String {
    let (pushes, drops) = ("(i32.load (i32.const 0))".repeat(values), "(i32.store (i32.const 0))".repeat(values / 2));
    format!("(memory 1) (func $f) (func {pushes} {} {drops})", "(call $f)".repeat(calls))
}

/// Values that stay on the stack below this many blocks.
fn values_under_blocks(values: usize, blocks: usize) -> String {
    let (pushes, drops) = ("(i32.load (i32.const 0))".repeat(values), "(i32.store (i32.const 0))".repeat(values / 2));
    let block = "(block (br_if 0 (i32.load (i32.const 0))))";
    format!("(memory 1) (func {pushes} {} {drops})", block.repeat(blocks))
}

/// Calls that take and return this many values.
fn values_by_calls(values: usize, calls: usize) -> String {
    let ty = types(values);
    let (pushes, drops) = ("(i32.load (i32.const 0))".repeat(values), "drop ".repeat(values));
    format!(
        "(import \"a\" \"b\" (func $f (param {ty}) (result {ty}))) (func {pushes} {} {drops}) (memory 1)",
        "(call $f)".repeat(calls)
    )
}

fn indirect_calls(calls: usize) -> String {
    format!("(type $t (func)) (table 10 funcref) (func {})", "(call_indirect (type $t) (i32.const 1))".repeat(calls))
}

fn nested_blocks(blocks: usize) -> String {
    format!("(func (param i32) {}{})", "(block ".repeat(blocks), "(br_if 0 (local.get 0)))".repeat(blocks))
}

fn nested_loops(loops: usize) -> String {
    format!(
        "(memory 1) (func {}{})",
        "(loop (drop (i32.load (i32.const 8)))".repeat(loops),
        "(br_if 0 (i32.load (i32.const 4))))".repeat(loops)
    )
}

fn loops_in_a_row(loops: usize) -> String {
    format!("(memory 1) (func {})", "(loop (br_if 0 (i32.load (i32.const 4))))".repeat(loops))
}

fn many(function: &str, count: usize) -> String {
    function.repeat(count)
}

fn wide_signatures(functions: usize) -> String {
    let ty = types(1000);
    let names: String = (0..functions).map(|at| format!("(export \"{at}\" (func {at}))")).collect();
    format!("(type $t (func (param {ty}) (result {ty}))) {} {names}", "(func (type $t) unreachable)".repeat(functions))
}

/// The cost of the most expensive function; `None` if the file is rejected.
fn measured(bytes: &[u8]) -> Option<u64> {
    let mut meter = Meter::default();
    for payload in wasmparser::Parser::new(0).parse_all(bytes) {
        if meter.take(&payload.unwrap()).unwrap().is_some() {
            return None;
        }
    }
    Some(meter.costs().0)
}

#[test]
fn bombs_are_refused_before_compiling() {
    let nested = "(component $c0) ".to_owned() + &(1..20).fold(String::new(), |mut text, at| {
        let _ = write!(
            text,
            "(component $c{at} (alias outer 1 {} (component)) (instance (instantiate 0)) (instance (instantiate 0)))",
            at - 1
        );
        text
    });
    let bombs = [
        ("locals in loops", around(&locals_in_loops(5_000, 2_000))),
        ("few locals in deep loops", around(&locals_in_loops(1_000, 100))),
        ("locals after blocks", around(&locals_after_blocks(25_000, 5_000))),
        ("locals around ifs", around(&locals_around_ifs(5_000, 5_000))),
        ("values by a table", around(&values_by_table(500, 1_000))),
        ("values through blocks", around(&values_through_blocks(1_000, 1_000))),
        ("values over calls", around(&values_over_calls(20_000, 20_000))),
        ("values under blocks", around(&values_under_blocks(20_000, 5_000))),
        ("values by calls", around(&values_by_calls(1_000, 1_000))),
        ("indirect calls", around(&indirect_calls(50_000))),
        ("nested blocks", around(&nested_blocks(80_000))),
        ("nested loops", around(&nested_loops(3_000))),
        ("loops in a row", around(&loops_in_a_row(20_000))),
        ("many functions, each below the limit", around(&many(&locals_in_loops(500, 40), 100))),
        ("wide signatures", around(&wide_signatures(60_000))),
        ("components that double", wat::parse_str(format!("(component {nested})")).unwrap()),
        (
            "in a nested component",
            wat::parse_str(format!("(component (component (core module {})))", locals_after_blocks(25_000, 5_000)))
                .unwrap(),
        ),
    ];
    let bench = Bench::new();
    for (name, bytes) in bombs {
        let error = bench.load_bytes(&bytes, spec()).unwrap_err();
        assert!(matches!(error, LoadError::TooCostly(..)), "{name}: {error}");
    }
}

#[test]
fn ordinary_code_stays_far_below_the_limits() {
    // A function as large as real compilers generate, with branches of all kinds.
    let ordinary = [
        locals_around_ifs(100, 500),
        locals_in_loops(200, 4),
        indirect_calls(300),
        values_over_calls(20, 1_000),
        nested_blocks(100),
    ];
    for wat in ordinary {
        let cost = measured(&around(&wat)).unwrap();
        assert!(cost < MAX_FUNCTION / 20, "{cost}: {}", &wat[..80]);
    }
}

/// The largest functions found in published programs.
#[test]
fn the_dearest_real_functions_pass_by_a_wide_margin() {
    let real = [
        // The lexer of a tree-sitter grammar: few locals, and a state machine of 100,000 branches.
        format!("(func (param i32) (local i32 i32) {})", "(block (br_if 0 (local.get 0)))".repeat(34_000)),
        // The interpreter of QuickJS, built without optimizations.
        locals_after_blocks(7_400, 900),
    ];
    for wat in real {
        let cost = measured(&around(&wat)).unwrap();
        assert!(cost < MAX_FUNCTION / 3, "{cost}: {}", &wat[..80]);
    }
}

#[test]
fn more_than_the_format_allows_is_not_kept() {
    // A number in five bytes, seven bits each.
    let number = |number: usize| [0, 7, 14, 21, 28].map(|at| (number >> at) as u8 & 0x7f | u8::from(at < 28) << 7);
    let section = |id: u8, count: usize, item: &[u8]| {
        let content = [&number(count)[..], &item.repeat(count)].concat();
        [&[id][..], &number(content.len()), &content].concat()
    };
    let (header, many) = (b"\0asm\x01\0\0\0".to_vec(), 3_000_000);
    let file = [header, section(1, many, b"\x60\0\0"), section(2, many, &[0; 4]), section(3, many, &[0])].concat();
    let mut meter = Meter::default();
    for payload in wasmparser::Parser::new(0).parse_all(&file).take(4) {
        meter.take(&payload.unwrap()).unwrap();
    }
    assert_eq!(meter.kept(), (1_000_001, 1_000_001));
}

#[test]
fn the_dearest_function_is_named() {
    let bomb = locals_after_blocks(25_000, 5_000).replacen("(func", "(func $slow", 1);
    let error = Bench::new().load_bytes(&around(&format!("(func $quick) {bomb}")), spec()).unwrap_err();
    assert!(error.to_string().contains("function 1 (`slow`) uses "), "{error}");
}

#[test]
fn modules_of_one_content_share_their_code_while_they_are_used() {
    let bench = Bench::new();
    let path = bench.file("shared.wasm", &component(&core("", "", "")));
    let load = |name: &str| bench.engine.load(&path, GuestSpec { reactor: name.to_owned(), ..spec() }).unwrap();
    let modules: Vec<_> = (0..8).map(|n| load(&format!("r{n}"))).collect();
    let places: std::collections::BTreeSet<_> = modules.iter().map(|module| module.code()).collect();
    assert_eq!((places.len(), bench.engine.inner.compiled.len()), (1, 1));
    let requests = (0..8).map(|n| (path.as_path(), GuestSpec { reactor: format!("s{n}"), ..spec() })).collect();
    let more: Vec<_> = bench.engine.load_all(requests).into_iter().map(Result::unwrap).collect();
    assert!(more.iter().all(|module| places.contains(&module.code())));
    drop((modules, more));
    assert_eq!(bench.engine.inner.compiled.len(), 0, "dropped when nothing uses it");
}
