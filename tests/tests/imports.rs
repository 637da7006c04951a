//! The modules of a crate form no circle: what a file knows can be read from top to bottom.
//!
//! The rule, for every folder of every crate in `runtime`, and of the guest SDK: draw an arrow from each child of the folder
//! (a file, or a folder with all that is in it) to each sibling that it names, in a `use` line or by a path in its code.
//! Then no way along the arrows leads back to where it began. Not counted are:
//!
//! - arrows to the folder's own `mod.rs` or `lib.rs`: a file may use the types that all files of the folder share;
//! - calls of methods, since only paths are read: the chapters of `impl Host` know `Host`, which does not name them;
//! - tests, which may know everything.
#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::collections::{BTreeMap, BTreeSet};

use reactor_tests::root;

/// Modules, and the modules that each one names.
type Names = BTreeMap<String, BTreeSet<String>>;

#[test]
fn no_module_leads_back_to_itself() {
    let sources = sources();
    assert!(sources.len() > 150, "only {} files were found", sources.len());
    let names = names(&sources);
    let folders = folders(&sources);
    assert!(
        ["", "host", "host::decode", "config", "cli", "guest_sdk::host"].iter().all(|folder| folders.contains(*folder))
    );
    let circles: Vec<_> = folders
        .iter()
        .flat_map(|folder| circles(&siblings(&names, folder)).into_iter().map(move |circle| (folder, circle)))
        .map(|(folder, circle)| format!("in `{folder}`: {}", circle.join(" -> ")))
        .collect();
    assert!(circles.is_empty(), "modules that name each other in a circle:\n{}", circles.join("\n"));
}

#[test]
fn the_sandbox_knows_the_world_of_a_run_and_nothing_behind_it() {
    let sandbox: Names = names(&sources())
        .into_iter()
        .filter(|(module, _)| module.starts_with("sandbox") && !module.starts_with("sandbox::http_client"))
        .collect();
    let knows = |behind: &str| sandbox.values().flatten().any(|named| named.starts_with(behind));
    assert!(knows("core::world"), "{sandbox:?}");
    for behind in ["core::clock", "core::store", "core::channel", "sandbox::http_client"] {
        assert!(!knows(behind), "the sandbox names `{behind}`, which a run asks only through its world");
    }
}

#[test]
fn a_message_has_one_way_into_the_pipeline() {
    let sources = sources();
    let with = |words: &str| {
        let of_host = |name: &str| name.starts_with("host::");
        let has = |text: &str| {
            let text = text.split("#[cfg(test)]").next().unwrap_or_default();
            text.lines().any(|line| !line.trim_start().starts_with("//") && line.contains(words))
        };
        sources
            .iter()
            .filter(|(name, text)| of_host(name) && has(text))
            .map(|(name, _)| name.as_str())
            .collect::<Vec<_>>()
    };
    // What is decoded and routed for the host, where that is placed, and what the store is asked to enter, is made once.
    assert_eq!(with("reading.matching("), ["host::intake"]);
    assert_eq!(with("decode(message, &self.settings)"), ["host::intake::reading"]);
    assert_eq!(with("Routes::compile("), ["host::intake::reading"]);
    assert_eq!(with(".sort("), ["host::host::enter"]);
    assert_eq!(with("NewDelivery {"), ["host::host::enter"]);
    assert_eq!(with("deliveries.place("), ["host::host::enter"]);
    // One file moves deliveries.
    assert_eq!(with("scheduler.offer("), ["host::delivery::registry"]);
    assert_eq!(with("scheduler.gave_back("), ["host::delivery::registry"]);
}

#[test]
fn a_circle_is_found_and_named() {
    let made_up = |files: &[(&str, &str)]| {
        let files = files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        circles(&siblings(&names(&files), "p"))
    };
    let (host, shared) = (("p", "mod a; use a::A;"), ("p::shared", "pub struct S;"));
    // By the three ways to name a sibling: grouped, over the root, and by a path in the code.
    let a = ("p::a", "use super::{\n    B, shared::{self, S},\n    b::{self as other, X},\n};\n");
    let b = ("p::b", "pub(super) use crate::c::deep::Thing as T;\n");
    let c = ("p::c::deep", "fn f() { super::super::a::f() }\n");
    assert_eq!(made_up(&[host, shared, a, b, c]), [["a", "b", "c", "a"]]);
    // Without one of them there is none; neither the parent, nor a comment, nor a test is an arrow.
    let harmless = "// super::super::a::f()\nuse crate::A;\n#[cfg(test)]\nmod tests {\n    use crate::a;\n}\n";
    assert!(made_up(&[host, shared, a, b, ("p::c::deep", harmless)]).is_empty());
    // Two circles are two.
    let two =
        [("p::a", "use super::b;"), ("p::b", "use super::a;"), ("p::c", "use super::d;"), ("p::d", "use super::c;")];
    assert_eq!(made_up(&two), [["a", "b", "a"], ["c", "d", "c"]]);
    // A line that is commented out below an attribute, and a name that only begins like another.
    assert!(made_up(&[("p::a", "use super::ab::X;"), ("p::ab", "use super::abc::X;"), ("p::abc", "")]).is_empty());
}

/// The text of every file of the crates in `runtime` and of the guest SDK, but their tests, by the module's path, which
/// begins with the crate.
fn sources() -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let runtime = std::fs::read_dir(root().join("runtime")).unwrap().map(|of_crate| of_crate.unwrap().path());
    for of_crate in runtime.chain([root().join("guest-sdk")]) {
        let name = of_crate.file_name().unwrap().to_str().unwrap().replace('-', "_");
        let root = of_crate.join("src");
        let mut left = vec![root.clone()];
        while let Some(folder) = left.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let below = path.strip_prefix(&root).unwrap().with_extension("").display().to_string();
                let module = format!("{name}::{}", below.replace('/', "::"));
                if path.is_dir() {
                    left.push(path);
                } else if path.extension().is_some_and(|end| end == "rs") && !module.contains("::tests") {
                    let ends = ["::mod", "::lib"].iter().find_map(|end| module.strip_suffix(end));
                    found.insert(ends.unwrap_or(&module).to_owned(), std::fs::read_to_string(&path).unwrap());
                }
            }
        }
    }
    found
}

/// The folders that there are; the top one is empty.
fn folders(sources: &BTreeMap<String, String>) -> BTreeSet<String> {
    sources.keys().map(|name| name.rsplit_once("::").map_or("", |(folder, _)| folder).to_owned()).collect()
}

/// What each module names.
fn names(sources: &BTreeMap<String, String>) -> Names {
    let known = |path: Vec<&str>| {
        let lengths = (1..=path.len()).rev();
        lengths.map(|length| path[..length].join("::")).find(|name| sources.contains_key(name))
    };
    let of = |(name, text): (&String, &String)| {
        let here: Vec<&str> = name.split("::").collect();
        let paths = paths(text);
        let absolute = |path: &String| {
            if let Some(other) = path.strip_prefix("reactor_") {
                return known(other.split("::").collect());
            }
            let up = path.split("::").take_while(|part| *part == "super").count();
            let rest = path.split("::").skip(up.max(1));
            let above = if up > 0 { &here[..here.len().saturating_sub(up)] } else { &here[..1] };
            known(above.iter().copied().chain(rest).collect())
        };
        (name.clone(), paths.iter().filter_map(absolute).collect())
    };
    sources.iter().map(of).collect()
}

/// Every path in a text that begins with `crate`, `super` or one of our crates, groups resolved.
fn paths(text: &str) -> Vec<String> {
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let code: String =
        text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n");
    let mut found = Vec::new();
    for (at, _) in ["crate::", "super::", "reactor_"].iter().flat_map(|begin| code.match_indices(*begin)) {
        let begins = !code[..at].ends_with(|before: char| before.is_alphanumeric() || "_:".contains(before));
        if begins {
            resolve("", &code[at..], &mut found);
        }
    }
    found
}

/// Reads one path, with its groups, from the beginning of a text, and returns what is behind it.
fn resolve<'t>(prefix: &str, text: &'t str, found: &mut Vec<String>) -> &'t str {
    let text = text.trim_start();
    let length = text.find(|one: char| !(one.is_alphanumeric() || "_:".contains(one))).unwrap_or(text.len());
    let (name, mut rest) = text.split_at(length);
    let path = format!("{prefix}{name}");
    if !path.ends_with("::") || !rest.starts_with('{') {
        found.push(path.trim_end_matches(':').to_owned());
        return rest;
    }
    while let Some(inner) = rest.strip_prefix(['{', ',']) {
        let behind = resolve(&path, inner, found);
        // Behind the name there may be `as other`.
        rest = &behind[behind.find([',', '}']).unwrap_or(behind.len())..];
    }
    rest.strip_prefix('}').unwrap_or(rest)
}

/// The arrows between the children of a folder.
fn siblings(names: &Names, folder: &str) -> Names {
    let child = |name: &str| {
        let below = if folder.is_empty() { name } else { name.strip_prefix(folder)?.strip_prefix("::")? };
        Some(below.split("::").next()?.to_owned())
    };
    let mut found = Names::new();
    for (name, named) in names {
        let Some(from) = child(name) else { continue };
        let to = named.iter().filter_map(|name| child(name)).filter(|to| *to != from).collect::<Vec<_>>();
        found.entry(from).or_default().extend(to);
    }
    found
}

/// The shortest way back from the first module of each circle, in the order of names.
fn circles(arrows: &Names) -> Vec<Vec<String>> {
    let (mut found, mut seen) = (Vec::new(), BTreeSet::new());
    for start in arrows.keys() {
        if let Some(circle) = way_back(arrows, start).filter(|_| !seen.contains(start)) {
            seen.extend(circle.iter().cloned());
            found.push(circle);
        }
    }
    found
}

/// The shortest way from a module to itself.
fn way_back(arrows: &Names, start: &str) -> Option<Vec<String>> {
    let (mut ways, mut been) = (vec![vec![start.to_owned()]], BTreeSet::new());
    while !ways.is_empty() {
        let mut longer = Vec::new();
        for way in ways {
            for next in arrows.get(&way[way.len() - 1]).into_iter().flatten() {
                let way: Vec<_> = way.iter().chain([next]).cloned().collect();
                if next == start {
                    return Some(way);
                }
                if been.insert(next.clone()) {
                    longer.push(way);
                }
            }
        }
        ways = longer;
    }
    None
}
