//! The name of a function, for a message about it.

use wasmparser::{ExternalKind, KnownCustom, Name, Parser, Payload};

/// Characters of a name that are shown.
const SHOWN: usize = 80;

/// The name of a function, by the number of its module in the file and its index: from the name section, otherwise from
/// its export.
pub(in super::super) fn name_of(bytes: &[u8], module: usize, index: u32) -> Option<String> {
    let (mut seen, mut open, mut exported) = (0, Vec::new(), None);
    for payload in Parser::new(0).parse_all(bytes) {
        let payload = payload.ok()?;
        if matches!(payload, Payload::Version { .. }) {
            open.push(seen);
            seen += 1;
        }
        if open.last() != Some(&module) {
            if matches!(payload, Payload::End(_)) {
                open.pop();
            }
            continue;
        }
        match payload {
            Payload::ExportSection(exports) => {
                let mut exports = exports.into_iter().flatten();
                let found = exports.find(|export| export.kind == ExternalKind::Func && export.index == index);
                exported = found.map(|export| shown(export.name));
            }
            Payload::CustomSection(section) => {
                if let KnownCustom::Name(names) = section.as_known() {
                    let maps = names.into_iter().flatten();
                    let mut names =
                        maps.filter_map(|name| if let Name::Function(map) = name { Some(map) } else { None });
                    let named = names.find_map(|map| map.into_iter().flatten().find(|name| name.index == index));
                    if let Some(named) = named {
                        return Some(shown(named.name));
                    }
                }
            }
            Payload::End(_) => break,
            _ => {}
        }
    }
    exported
}

fn shown(name: &str) -> String {
    name.chars().take(SHOWN).collect::<String>().escape_debug().to_string()
}
