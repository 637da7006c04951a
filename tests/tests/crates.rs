//! What each crate of the host may know: the arrows between the crates in `runtime`, and what no build of the core holds.
#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::collections::BTreeSet;
use std::process::Command;

use reactor_tests::root;
use serde_json::Value;

/// Each crate, and those that it may depend on outside of its tests. Nothing depends on `cli`, and `host` on no
/// store, sandbox or channel.
const MAY_KNOW: [(&str, &[&str]); 12] = [
    ("core", &[]),
    ("config", &["core"]),
    ("signal", &["core"]),
    ("host", &["config", "core", "signal"]),
    ("store", &["core"]),
    ("store-sqlite", &["core"]),
    ("channel", &["config", "core"]),
    ("channel-aws", &["channel", "config", "core"]),
    ("sandbox", &["config", "core"]),
    ("history", &["core"]),
    ("observe", &["core", "signal"]),
    (
        "cli",
        &[
            "channel",
            "channel-aws",
            "config",
            "core",
            "history",
            "host",
            "observe",
            "sandbox",
            "signal",
            "store",
            "store-sqlite",
        ],
    ),
];

/// What an implementation of a seam brings along.
const OF_IMPLEMENTATIONS: [&str; 6] = ["aws-sdk-sns", "aws-sdk-sqs", "hyper", "rusqlite", "wasmparser", "wasmtime"];

fn cargo(args: &[&str]) -> String {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let output = Command::new(cargo).args(args).arg("--locked").current_dir(root()).output().unwrap();
    assert!(output.status.success(), "cargo {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn arrows_between_crates_point_one_way() {
    let metadata: Value = serde_json::from_str(&cargo(&["metadata", "--format-version", "1", "--no-deps"])).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let ours = |name: &str| MAY_KNOW.iter().find(|(ours, _)| name.strip_prefix("reactor-") == Some(ours));
    let mut seen = BTreeSet::new();
    for package in packages {
        let name = package["name"].as_str().unwrap();
        let Some((name, may_know)) = ours(name) else { continue };
        seen.insert(*name);
        for dependency in package["dependencies"].as_array().unwrap() {
            let known = ours(dependency["name"].as_str().unwrap()).filter(|_| dependency["kind"].is_null());
            if let Some((known, _)) = known {
                assert!(may_know.contains(known), "`{name}` depends on `{known}`, which it must not know");
            }
        }
    }
    let folders = std::fs::read_dir(root().join("runtime")).unwrap();
    let folders: BTreeSet<_> = folders.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert!(seen.iter().eq(folders.iter()), "`MAY_KNOW` has {seen:?}, and the folder `runtime` {folders:?}");
}

#[test]
fn what_decides_is_built_without_what_it_decides_for() {
    for name in ["core", "config", "signal", "host", "store", "channel", "history"] {
        let package = format!("reactor-{name}");
        let tree = cargo(&["tree", "--package", &package, "--edges", "normal", "--prefix", "none", "--format", "{p}"]);
        assert!(tree.starts_with(&package), "{tree}");
        let found: BTreeSet<_> = tree
            .lines()
            .filter_map(|line| line.split(' ').next())
            .filter(|line| OF_IMPLEMENTATIONS.contains(line))
            .collect();
        assert!(found.is_empty(), "`{name}` is built with {found:?}");
    }
}

#[test]
fn implementations_do_bring_them_along() {
    let tree = cargo(&["tree", "--package", "reactor-cli", "--edges", "normal", "--prefix", "none", "--format", "{p}"]);
    for name in OF_IMPLEMENTATIONS {
        assert!(tree.lines().any(|line| line.starts_with(&format!("{name} v"))), "`cli` is built without {name}");
    }
}
