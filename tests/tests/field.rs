//! What people send: every case in `tests/field` against the right value beside it. `tests/field/README.md` says how a case is written.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use reactor_tests::{Ran, Sandbox, guest, root};
use serde_json::Value;

/// What comes beside an input.
const RIGHT: &str = ".right.json";

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of cases") {
        let path = entry.expect("an entry").path();
        if path.is_dir() { files(&path, found) } else { found.push(path) }
    }
}

fn texts(value: &Value) -> Vec<&str> {
    value.as_array().into_iter().flatten().map(|text| text.as_str().expect("a text")).collect()
}

/// A folder with the module and the configuration of a case.
fn sandbox(folder: &Path, case: &Value, guest: &Path) -> Sandbox {
    let config = match case["config"].as_str() {
        Some(name) => fs::read_to_string(folder.join(name)).expect("the configuration of a case"),
        None => format!(
            "[channels.in]\nkind = \"local\"\nformat = {}\n\n[reactors.seen]\nmodule = \"seen.wasm\"\nfrom = [\"in\"]\non = [\"**\"]\n",
            case["format"].as_str().unwrap_or("\"auto\"")
        ),
    };
    // It writes down what it sees.
    let module = "module = \"seen.wasm\"";
    assert!(config.contains(module), "{config}");
    let sandbox =
        Sandbox::new(&config.replace(module, &format!("allow = {{ state = true }}\nconcurrency = 1\n{module}")));
    fs::copy(guest, sandbox.path("seen.wasm")).expect("the module can be copied");
    sandbox
}

/// What is wrong with what a command said.
fn compare_ran(what: &str, ran: &Ran, right: &Value, wrong: &mut Vec<String>) {
    let code = right["code"].as_i64().unwrap_or(0);
    if i64::from(ran.code) != code {
        wrong.push(format!("{what} exited with {}, not {code}: {}", ran.code, ran.stderr));
    }
    for text in texts(&right["says"]) {
        if !ran.stderr.contains(text) {
            wrong.push(format!("{what} does not say `{text}`: {}", ran.stderr));
        }
    }
}

/// Whether a module saw what it has to see.
fn is_right(body: &str, seen: &Value, right: &Value) -> bool {
    let data = seen["data"].as_str().unwrap_or_default();
    right.as_object().expect("what has to be seen").iter().all(|(name, value)| match name.as_str() {
        "contains" => texts(value).iter().all(|part| data.contains(part)),
        "dataIsTheFile" => data == body.trim_end(),
        name => seen[name] == *value,
    })
}

/// In any order: without `order-by`, an event that read what another one changes runs again after it.
fn compare_seen(body: &str, mut seen: Vec<Value>, right: &[Value], wrong: &mut Vec<String>) {
    if seen.len() != right.len() {
        wrong.push(format!("{} events were seen, not {}: {seen:?}", seen.len(), right.len()));
    }
    for right in right {
        match seen.iter().position(|seen| is_right(body, seen, right)) {
            Some(place) => drop(seen.remove(place)),
            None => wrong.push(format!("{right} is not among {seen:?}")),
        }
    }
}

fn run(folder: &Path, case: &Value, guest: &Path) -> Vec<String> {
    let mut wrong = Vec::new();
    let sandbox = sandbox(folder, case, guest);
    let file = case["file"].as_str().expect("the name of an input");
    let body = fs::read(folder.join(file)).expect("an input");
    sandbox.write(file, &body);
    let attributes: Vec<String> = case["attributes"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, value)| format!("--attribute={name}={}", value.as_str().expect("a text")))
        .collect();
    let mut args = vec!["publish", "in", file, "--input", case["input"].as_str().unwrap_or("auto")];
    args.extend(attributes.iter().map(String::as_str));
    compare_ran("publish", &sandbox.run(&args), case, &mut wrong);
    if case["invoke"].is_object() {
        compare_ran("invoke", &sandbox.run(&["invoke", "seen", file]), &case["invoke"], &mut wrong);
    }
    sandbox.until_idle();
    let right = case["seen"].as_array().map_or(&[][..], Vec::as_slice);
    compare_seen(&String::from_utf8_lossy(&body), sandbox.given("seen"), right, &mut wrong);
    let mut dead = sandbox.dead(&[]);
    dead.reverse();
    let right = case["dead"].as_array().map_or(&[][..], Vec::as_slice);
    if dead.len() != right.len() {
        wrong.push(format!("{} dead letters, not {}: {dead:?}", dead.len(), right.len()));
    }
    for (letter, right) in dead.iter().zip(right) {
        let detail = letter["detail"].as_str().unwrap_or_default();
        if letter["reason"] != right["reason"] || !texts(&right["detail"]).iter().all(|part| detail.contains(part)) {
            wrong.push(format!("the dead letter is not {right}: {letter}"));
        }
    }
    wrong
}

#[test]
fn every_case_has_its_right_value() {
    let (folder, guest) = (root().join("tests/field"), guest("guest-seen"));
    let mut all = Vec::new();
    files(&folder, &mut all);
    all.sort();
    let name = |path: &Path| path.strip_prefix(&folder).expect("a path below it").to_string_lossy().into_owned();
    let (mut count, mut used, mut wrong) =
        (0, BTreeSet::from(["README.md".to_owned(), "outcomes.md".to_owned()]), Vec::new());
    for path in all.iter().filter(|path| path.to_string_lossy().ends_with(RIGHT)) {
        let case: Value = serde_json::from_slice(&fs::read(path).expect("a case")).expect("a case is JSON");
        let beside = path.parent().expect("a folder");
        let belongs = ["file", "config"].into_iter().filter_map(|member| case[member].as_str());
        used.extend(belongs.map(|file| name(&beside.join(file))).chain([name(path)]));
        count += 1;
        let about = format!("{} ({})", name(path), case["what"].as_str().unwrap_or_default());
        wrong.extend(run(beside, &case, &guest).into_iter().map(|what| format!("{about}: {what}")));
    }
    // Others are compared by other tests, which is said beside them.
    let outcomes = fs::read_to_string(folder.join("outcomes.md")).expect("what is said of outcomes");
    let is_told = |path: &Path| {
        ["md", "txt"].iter().any(|ending| path.with_extension(ending).is_file()) || outcomes.contains(&name(path))
    };
    let left: Vec<_> =
        all.iter().filter(|path| !is_told(path)).map(|path| name(path)).filter(|file| !used.contains(file)).collect();
    assert!(left.is_empty(), "files that no case names: {left:?}");
    assert!(count >= 25, "only {count} cases");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
