//! Every command that the documentation shows is run, in the order in which it is shown.

use std::fs;
use std::process::{Command, Stdio};

use reactor_tests::{program, root};
use tempfile::TempDir;

fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The lines of all blocks of a kind.
fn lines(text: &str, kind: &str) -> Vec<String> {
    let fence = format!("```{kind}\n");
    let blocks = text.split(&fence).skip(1).filter_map(|rest| rest.split("```").next());
    blocks.flat_map(str::lines).map(str::to_owned).collect()
}

#[test]
fn the_commands_of_the_readme_run_as_shown() {
    let data = TempDir::new().expect("a temporary folder");
    let commands = lines(&read("README.md"), "sh");
    assert!(commands.len() >= 8, "{commands:?}");
    for command in commands {
        let mut words = command.split_whitespace();
        assert_eq!(words.next(), Some("reactor"), "a command that this test cannot run: {command}");
        let ran = Command::new(program())
            .arg("--data-dir")
            .arg(data.path())
            .args(words)
            .current_dir(root())
            .env("CARGO_TARGET_DIR", root().join("target"))
            .stdin(Stdio::null())
            .output()
            .expect("the program can be run");
        assert!(ran.status.success(), "{command}: {}\n{}", ran.status, String::from_utf8_lossy(&ran.stderr));
    }
    the_query_of_the_store_page_runs(&data);
}

fn the_query_of_the_store_page_runs(data: &TempDir) {
    let text = read("docs/store.md");
    let query = text.split('"').find(|part| part.starts_with("SELECT")).expect("a query in docs/store.md");
    let store = rusqlite::Connection::open(data.path().join("reactor.db")).expect("the store");
    let mut select = store.prepare(query).expect("a valid query");
    let rows = select.query_map([], |row| row.get::<_, i64>(2)).expect("rows");
    let counts: Vec<i64> = rows.collect::<Result<_, _>>().expect("counts");
    assert_eq!(counts.iter().sum::<i64>(), 5, "six dead letters less the one that was dropped");
}

#[test]
fn the_numbers_of_the_readme_are_those_of_the_demo() {
    let (readme, orders) = (read("README.md"), read("examples/orders/README.md"));
    for reactor in ["analytics", "inventory", "notifications", "payments"] {
        let row = readme.lines().find(|line| line.starts_with(&format!("│ {reactor}"))).expect("a row of the table");
        let shown: Vec<&str> = row.split_whitespace().skip(2).take(3).collect();
        let row = orders.lines().find(|line| line.starts_with(&format!("| {reactor} |"))).expect("a row of the table");
        let derived: Vec<&str> = row.split('|').map(str::trim).skip(2).take(3).collect();
        assert_eq!(shown, derived, "{reactor}");
    }
}

#[test]
fn every_xtask_that_is_named_exists() {
    let usage = Command::new(env!("CARGO")).args(["xtask", "help"]).current_dir(root()).output();
    let usage = String::from_utf8_lossy(&usage.expect("cargo can be run").stderr).into_owned();
    for name in ["README.md", "CONTRIBUTING.md", "ARCHITECTURE.md", "examples/orders/README.md"] {
        for rest in read(name).split("cargo xtask ").skip(1) {
            let task: String = rest.chars().take_while(char::is_ascii_alphabetic).collect();
            assert!(usage.contains(&format!("cargo xtask {task} ")), "{name} names `cargo xtask {task}`");
        }
    }
}
