//! Which imports a module may have: an import that is not granted is not linked, and is reported when the module is
//! loaded.

use std::fmt;

/// Interfaces that every reactor gets.
const ALWAYS: [&str; 6] = ["types", "attempt", "config", "log", "clock", "random"];
const PACKAGE: &str = "reactor:guest/";
/// The WASI interfaces that every reactor gets if it imports them: the host implements all of them, and they are
/// harmless. There are no files; the C library looks for them all the same.
const HARMLESS: [&str; 5] = ["wasi:io/", "wasi:clocks/", "wasi:random/", "wasi:cli/", "wasi:filesystem/"];
const HTTP: [&str; 2] = ["wasi:http/types", "wasi:http/outgoing-handler"];

/// A module's grants beyond the harmless interfaces.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grants {
    pub(super) state: bool,
    pub(super) emit: bool,
    pub(super) http: bool,
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
        write!(f, "`{}`: {}", self.import, self.remedy)
    }
}

impl Grants {
    /// All imports that are not granted.
    pub(super) fn check(self, imports: &[String]) -> Vec<DeniedImport> {
        imports
            .iter()
            .filter_map(|import| {
                let remedy = self.remedy(import)?;
                Some(DeniedImport { import: import.clone(), remedy })
            })
            .collect()
    }

    /// Grants that the module does not use.
    pub(super) fn unused(self, imports: &[String]) -> Vec<String> {
        let used = |name: &str| match name {
            "http" => imports.iter().any(|import| is_http(import)),
            _ => imports.iter().any(|import| interface(import) == Some(name)),
        };
        [("state", self.state), ("emit", self.emit), ("http", self.http)]
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
            None => return self.remedy_of_standard(import).map(str::to_owned),
        };
        Some(remedy.to_owned())
    }

    fn remedy_of_standard(self, import: &str) -> Option<&'static str> {
        if HARMLESS.iter().any(|package| import.starts_with(package)) || is_http(import) && self.http {
            return None;
        }
        Some(if is_http(import) {
            "grant it with `allow = { http = [\"https://HOST\"] }` in the reactor's table, naming every host it sends to"
        } else if import.starts_with("wasi:sockets/") {
            "reactors get no sockets; send requests with wasi:http, which `allow.http` grants host by host"
        } else if import.starts_with("wasi_") {
            "reactors get no WASI of the first generation; build for `wasm32-unknown-unknown` with the reactor-guest SDK, or for `wasm32-wasip2`"
        } else if import.starts_with("wasi:") {
            "reactors get clocks, randomness, environment and standard streams of WASI 0.2, and wasi:http to send requests"
        } else {
            "not part of a reactor's world; remove the dependency that imports it"
        })
    }
}

/// Whether an import is used to send requests.
fn is_http(import: &str) -> bool {
    HTTP.iter().any(|name| import.split_once('@').map_or(import, |(name, _)| name) == *name)
}

/// Whether an import is from WASI.
pub(super) fn is_wasi(import: &str) -> bool {
    import.starts_with("wasi:")
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
            "wasi:io/streams@0.2.3",
            "wasi:cli/stdout@0.2.0",
            "reactor:guest/state@0.1.0",
            "reactor:guest/emit@0.1.0",
            "wasi:http/outgoing-handler@0.2.0",
            "reactor:guest/http@0.1.0",
            "wasi:sockets/tcp@0.2.0",
            "wasi:http/incoming-handler@0.2.0",
            "wasi_snapshot_preview1",
            "evil",
        ]);
        let none = Grants { state: false, emit: false, http: false }.check(&imports);
        assert_eq!(none.iter().map(|d| &d.import).collect::<Vec<_>>(), imports[3..].iter().collect::<Vec<_>>());
        for (denied, part) in none.iter().zip([
            "allow = { state = true }",
            "`emit` table",
            "allow = { http = [\"https://HOST\"] }",
            "no such interface",
            "no sockets",
            "wasi:http to send",
            "first generation",
            "not part of",
        ]) {
            assert!(denied.remedy.contains(part), "{denied}");
        }
        let all = Grants { state: true, emit: true, http: true }.check(&imports);
        assert_eq!(all.iter().map(|d| &d.import).collect::<Vec<_>>(), imports[6..].iter().collect::<Vec<_>>());
    }

    #[test]
    fn unused_grants_are_named() {
        let grants = Grants { state: true, emit: true, http: true };
        assert_eq!(grants.unused(&names(&["reactor:guest/state@0.1.0"])), ["emit", "http"]);
        assert_eq!(grants.unused(&names(&["wasi:http/outgoing-handler@0.2.0"])), ["state", "emit"]);
        assert!(Grants { state: false, emit: false, http: false }.unused(&[]).is_empty());
    }
}
