//! Every command that the documentation shows is run, in the order in which it is shown: the README's first, then those of
//! the pages in `docs`, by name, all on one data directory.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use reactor_tests::{program as program_path, root};
use tempfile::TempDir;

fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The README and the pages in `docs`, in the order in which their commands are run.
fn pages() -> Vec<String> {
    let found = fs::read_dir(root().join("docs")).expect("the folder docs");
    let names = found.map(|entry| entry.expect("an entry").file_name().into_string().expect("a name in UTF-8"));
    let mut pages: Vec<String> =
        names.filter(|name| name.ends_with(".md")).map(|name| format!("docs/{name}")).collect();
    // It has a folder of its own, and a test.
    pages.retain(|page| page != "docs/tutorial.md");
    pages.sort();
    pages.insert(0, "README.md".into());
    pages
}

/// The commands in `sh` blocks, one a line, and those after a `$` in `console` blocks, whose other lines are output.
/// Empty lines and comments are none.
fn commands(text: &str) -> Vec<String> {
    let (mut block, mut found) = (None, Vec::new());
    for line in text.lines().map(str::trim) {
        if let Some(kind) = line.strip_prefix("```") {
            block = if block.is_some() { None } else { Some(kind) };
            continue;
        }
        let command = match block {
            Some("sh") => Some(line),
            Some("console") => line.strip_prefix("$ "),
            _ => None,
        };
        found.extend(command.filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned));
    }
    found
}

#[test]
fn commands_are_told_from_what_they_print() {
    let text = "reactor no\n```sh\nreactor a\n\n# talk\nreactor b\n```\nreactor no\n```toml\nreactor = 1\n```\n\
                ```console\n$ reactor c\nreactor said this\n```\n- in a list:\n  ```sh\n  reactor d\n  ```\n";
    assert_eq!(commands(text), ["reactor a", "reactor b", "reactor c", "reactor d"]);
}

#[test]
fn the_commands_of_the_documentation_run_as_shown() {
    let data = TempDir::new().expect("a temporary folder");
    let shown: Vec<(String, String)> = pages()
        .into_iter()
        .flat_map(|page| commands(&read(&page)).into_iter().map(move |command| (page.clone(), command)))
        .collect();
    for wanted in ["build", "check", "publish", "up", "dead list", "dead show", "dead redrive", "dead drop"] {
        let has = |(page, command): &(String, String)| {
            page == "README.md" && command.starts_with(&format!("reactor {wanted}"))
        };
        assert!(shown.iter().any(has), "the README shows no `reactor {wanted}`");
    }
    for (page, command) in shown {
        // What these are called is compared with the usage; the demo and the tests are run by others.
        if command.starts_with("cargo xtask ") {
            continue;
        }
        let mut words = command.split_whitespace();
        assert_eq!(words.next(), Some("reactor"), "{page}: a command that this test cannot run: {command}");
        let ran = Command::new(program_path())
            .arg("--data-dir")
            .arg(data.path())
            .args(words)
            .current_dir(root())
            .env("CARGO_TARGET_DIR", root().join("target"))
            .stdin(Stdio::null())
            .output()
            .expect("the program can be run");
        let said = String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.success(), "{page}: {command}: {}\n{said}", ran.status);
    }
    the_query_of_the_store_page_runs(&data);
}

/// The blocks of a page that are files, by their names, and its commands, in order.
fn steps(text: &str) -> Vec<(Option<String>, String)> {
    let mut steps = Vec::new();
    for block in text.split("\n```").skip(1).step_by(2) {
        let (kind, body) = block.split_once('\n').expect("a block has lines");
        match kind.split_once(" file=") {
            Some((_, name)) => steps.push((Some(name.to_owned()), format!("{body}\n"))),
            None => steps.extend(commands(&format!("```{kind}\n{body}\n```")).into_iter().map(|line| (None, line))),
        }
    }
    steps
}

#[test]
fn the_tutorial_runs_as_shown_in_an_empty_folder() {
    let folder = TempDir::new().expect("a temporary folder");
    let text = read("docs/tutorial.md");
    let steps = steps(&text);
    assert!(steps.len() > 15 && steps.iter().filter(|(file, _)| file.is_some()).count() == 2, "{steps:?}");
    let mut said = String::new();
    for (file, step) in steps {
        if let Some(name) = file {
            fs::write(folder.path().join(name), step).expect("a file in a temporary folder");
            continue;
        }
        let (program, words) = step.split_once(' ').expect("a program and its words");
        let mut command = match program {
            "reactor" => Command::new(program_path()),
            "cargo" => Command::new(env!("CARGO")),
            other => panic!("a command that this test cannot run: {other}"),
        };
        command.args(words.split_whitespace()).current_dir(folder.path()).stdin(Stdio::null()).env("NO_COLOR", "1");
        // Of the tests, so that what the crate depends on is built once.
        let ran = command.env("CARGO_TARGET_DIR", root().join("target/new")).output().expect("the program can be run");
        assert!(ran.status.success(), "{step}: {}\n{}", ran.status, String::from_utf8_lossy(&ran.stderr));
        said += &String::from_utf8_lossy(&ran.stdout);
    }
    for part in
        ["greeter:done", "dead letter 1 of greeter: rejected", "nobody was greeted", "writes  ada = 1", "flowchart LR"]
    {
        assert!(said.contains(part), "no command printed `{part}`:\n{said}");
    }
    assert!(said.contains("greeter: done"), "the dead letter is done after its redrive:\n{said}");
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
        // delivered, done and, behind the other outcomes and the duplicates, retried
        let cells: Vec<&str> = row.split_whitespace().skip(2).collect();
        let shown = vec![cells[0], cells[1], cells[9]];
        let row = orders.lines().find(|line| line.starts_with(&format!("| {reactor} |"))).expect("a row of the table");
        let derived: Vec<&str> = row.split('|').map(str::trim).skip(2).take(3).collect();
        assert_eq!(shown, derived, "{reactor}");
    }
}

#[test]
fn every_xtask_that_is_named_exists() {
    let usage = Command::new(env!("CARGO")).args(["xtask", "help"]).current_dir(root()).output();
    let usage = String::from_utf8_lossy(&usage.expect("cargo can be run").stderr).into_owned();
    let others = ["CONTRIBUTING.md", "ARCHITECTURE.md", "examples/orders/README.md"].map(str::to_owned);
    for name in pages().into_iter().chain(others) {
        for rest in read(&name).split("cargo xtask ").skip(1) {
            let task: String = rest.chars().take_while(char::is_ascii_alphabetic).collect();
            assert!(usage.contains(&format!("cargo xtask {task} ")), "{name} names `cargo xtask {task}`");
        }
    }
}

fn collect_rust(folder: &Path, sources: &mut String) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect_rust(&path, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            *sources += &fs::read_to_string(&path).expect("Rust in UTF-8");
        }
    }
}

#[test]
fn the_tests_that_show_the_invariants_exist() {
    let mut sources = String::new();
    ["runtime", "tests"].iter().for_each(|part| collect_rust(&root().join(part), &mut sources));
    let text = read("docs/internals/invariants.md");
    let is_test = |name: &&str| {
        name.contains('_') && name.chars().all(|c| c.is_ascii_lowercase() || c == '_' || c.is_ascii_digit())
    };
    let named: Vec<&str> = text.split('`').skip(1).step_by(2).filter(is_test).collect();
    assert!(named.len() > 40, "{named:?}");
    for name in named {
        assert!(
            sources.contains(&format!("fn {name}(")),
            "docs/internals/invariants.md names a test `{name}` that is not there"
        );
    }
}

#[test]
fn the_files_that_the_architecture_names_exist() {
    let text = read("ARCHITECTURE.md");
    let is_path = |name: &&str| name.contains('/') && !name.contains(' ') && !name.starts_with('/');
    let named: Vec<&str> = text.split('`').skip(1).step_by(2).filter(is_path).collect();
    assert!(named.len() > 40, "{named:?}");
    for name in named {
        let is_there = ["", "runtime", "runtime/host/src"].iter().any(|folder| root().join(folder).join(name).exists());
        assert!(is_there, "ARCHITECTURE.md names `{name}`, which is not in the repository");
    }
}
