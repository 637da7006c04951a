//! The built modules: they contain what the host needs, and import only what the consumer uses.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "this is test code")]

use std::collections::BTreeSet;
use std::path::Path;

use reactor_tests::guest;
use wasmparser::{KnownCustom, Name, Parser, Payload};

/// The checked parts of a module.
#[derive(Default)]
struct Module {
    imports: BTreeSet<String>,
    exports: BTreeSet<String>,
    has_component_type: bool,
    functions: Vec<String>,
}

impl Module {
    fn read(path: &Path) -> Self {
        let bytes = std::fs::read(path).expect("the module was built");
        let mut module = Self::default();
        for payload in Parser::new(0).parse_all(&bytes) {
            match payload.expect("a valid module") {
                Payload::ImportSection(section) => {
                    let imports = section.into_imports().map(|import| import.expect("an import"));
                    module.imports.extend(imports.map(|import| import.module.to_owned()));
                }
                Payload::ExportSection(section) => {
                    module.exports.extend(section.into_iter().map(|export| export.expect("an export").name.to_owned()));
                }
                Payload::CustomSection(section) => match section.as_known() {
                    KnownCustom::Name(names) => {
                        for name in names {
                            if let Name::Function(map) = name.expect("a name subsection") {
                                module
                                    .functions
                                    .extend(map.into_iter().map(|naming| naming.expect("a name").name.to_owned()));
                            }
                        }
                    }
                    _ => module.has_component_type |= section.name().starts_with("component-type:"),
                },
                _ => {}
            }
        }
        module
    }
}

/// The handler's name and the interfaces that it uses: everything logs, if only a panic.
const MODULES: [(&str, &str, &[&str]); 5] = [
    ("example-inventory", "orders", &["config", "emit", "log", "state"]),
    ("example-payments", "capture", &["attempt", "config", "emit", "log", "state"]),
    ("example-notifications", "notify", &["emit", "log", "state"]),
    ("example-analytics", "count", &["log", "state"]),
    ("guest-tally", "added", &["log", "state"]),
];

#[test]
fn a_module_imports_what_it_uses_and_nothing_else() {
    for (package, _, interfaces) in MODULES {
        let module = Module::read(&guest(package));
        let expected: BTreeSet<_> =
            interfaces.iter().map(|interface| format!("reactor:guest/{interface}@0.2.0")).collect();
        assert_eq!(module.imports, expected, "{package}");
        assert!(module.exports.contains("handle"), "{package}: {:?}", module.exports);
        assert!(module.has_component_type, "{package}");
    }
}

#[test]
fn a_module_keeps_the_names_of_its_functions_for_backtraces() {
    for (package, handler, _) in MODULES {
        let functions = Module::read(&guest(package)).functions;
        let expected = [package.replace('-', "_"), handler.to_owned()];
        // The handler itself may be inlined into the export, whose name contains the crate's name.
        let found = functions.iter().any(|name| expected.iter().any(|part| name.contains(part.as_str())));
        assert!(found && functions.len() > 50, "{package}: {} names", functions.len());
    }
}
