//! Which imports a module may have: what is not granted is not linked, and says so at load.

use std::fmt;

/// Interfaces that every reactor has.
const ALWAYS: [&str; 6] = ["types", "attempt", "config", "log", "clock", "random"];
const PACKAGE: &str = "reactor:guest/";

/// What a module is granted beyond the harmless interfaces.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grants {
    pub(super) state: bool,
    pub(super) emit: bool,
}

/// An import that the module is not granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeniedImport {
    /// The import's name, such as `reactor:guest/state@0.1.0`.
    pub import: String,
    /// What to do about it.
    pub remedy: String,
}

impl fmt::Display for DeniedImport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}", self.import.escape_debug(), self.remedy)
    }
}

impl Grants {
    /// Every import that is not granted.
    pub(super) fn check(self, imports: &[String]) -> Vec<DeniedImport> {
        imports
            .iter()
            .filter_map(|import| {
                let remedy = self.remedy(import)?;
                Some(DeniedImport { import: import.clone(), remedy })
            })
            .collect()
    }

    /// Grants that the module makes no use of.
    pub(super) fn unused(self, imports: &[String]) -> Vec<String> {
        let used = |name: &str| imports.iter().any(|import| interface(import) == Some(name));
        [("state", self.state), ("emit", self.emit)]
            .into_iter()
            .filter(|(name, granted)| *granted && !used(name))
            .map(|(name, _)| name.to_owned())
            .collect()
    }

    /// What to do about an import; `None` if it is granted.
    fn remedy(self, import: &str) -> Option<String> {
        let remedy = match interface(import) {
            Some(name) if ALWAYS.contains(&name) => return None,
            Some("state") if self.state => return None,
            Some("emit") if self.emit => return None,
            Some("state") => "grant it with `allow = { state = true }` in the reactor's table",
            Some("emit") => "grant it with an `emit` table that names event types and their channels",
            Some(_) => "this host has no such interface; build the module with this version's SDK",
            None if import.starts_with("wasi") => {
                "reactors get no WASI (files, sockets, environment); build for `wasm32-unknown-unknown` with the \
                 reactor-guest SDK"
            }
            None => "not part of a reactor's world; remove the dependency that imports it",
        };
        Some(remedy.to_owned())
    }
}

/// The interface's name without package and version.
fn interface(import: &str) -> Option<&str> {
    let name = import.strip_prefix(PACKAGE)?;
    Some(name.split_once('@').map_or(name, |(name, _)| name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn only_what_is_granted_passes() {
        let imports = names(&[
            "reactor:guest/log@0.1.0",
            "reactor:guest/state@0.1.0",
            "reactor:guest/emit@0.1.0",
            "reactor:guest/http@0.1.0",
            "wasi:sockets/tcp@0.2.0",
            "evil",
        ]);
        let none = Grants { state: false, emit: false }.check(&imports);
        assert_eq!(none.iter().map(|d| &d.import).collect::<Vec<_>>(), imports[1..].iter().collect::<Vec<_>>());
        assert!(none[0].remedy.contains("allow = { state = true }"), "{}", none[0]);
        assert!(none[1].remedy.contains("`emit` table"), "{}", none[1]);
        assert!(none[3].remedy.contains("WASI"), "{}", none[3]);
        let all = Grants { state: true, emit: true }.check(&imports);
        assert_eq!(all.iter().map(|d| &d.import).collect::<Vec<_>>(), imports[3..].iter().collect::<Vec<_>>());
    }

    #[test]
    fn unused_grants_are_named() {
        let grants = Grants { state: true, emit: true };
        assert_eq!(grants.unused(&names(&["reactor:guest/state@0.1.0"])), ["emit"]);
        assert!(Grants { state: false, emit: false }.unused(&[]).is_empty());
    }
}
