//! Reads `reactors.toml` into what the program needs, and reports all errors at once.
//!
//! `file` reads the text; `reader` and `scalar` walk it and keep positions. There is one file per section (`runtime`,
//! `channel`, `reactor` with `emit`, `filter`, `grants`, `guest` and `policy`), which defines its keys and their
//! values. `never`, `notation` and `cross` find what is valid by itself but makes no sense. Every error becomes a
//! `problem`. Texts and paths are kept as `written`, which shows `${NAME}` instead of its value; `secrets` hides values
//! in texts from elsewhere. `schema` describes the same file for editors.

#![warn(clippy::print_stderr, reason = "text from outside is escaped: see `say!` of the command line")]

mod channel;
mod cross;
mod destination;
mod emit;
mod file;
mod filter;
mod grants;
mod guest;
mod keys;
pub mod kind;
pub mod model;
mod never;
mod notation;
pub mod outside;
mod place;
mod pointer;
mod policy;
mod problem;
mod reactor;
mod reader;
mod route;
mod runtime;
mod scalar;
pub mod schema;
mod secrets;
mod tables;
mod text;
pub mod units;
mod versions;
mod written;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::de::DeTable;

use destination::Channels;
use kind::Kind;
use model::Config;
pub use place::{Place, Places, Source};
pub use problem::{Problem, Problems};
use reader::{Reader, Section};
pub use secrets::Secrets;
pub use written::{Located, Part, Written};

/// Looks up variables of the environment.
pub type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// A valid configuration.
#[derive(Debug)]
pub struct Loaded {
    /// What the program needs.
    pub config: Config,
    /// Oddities that are not errors.
    pub warnings: Problems,
    /// Where values are in the file, for later checks.
    pub places: Places,
    /// The values of variables, which must not appear in any output.
    pub secrets: Arc<Secrets>,
}

/// Reads and checks a file whose channels are of these kinds.
///
/// # Errors
/// Every error in it, with its place.
pub fn load<K: AsRef<Kind>>(path: &Path, env: Env<'_>, kinds: &[K]) -> Result<Loaded, Problems> {
    let text = file::read(path)?;
    parse(&text, path, env, kinds)
}

/// Checks the text of a file whose channels are of these kinds. Relative paths in it start from the folder of `path`.
///
/// # Errors
/// Every error in it, with its place.
pub fn parse<K: AsRef<Kind>>(text: &str, path: &Path, env: Env<'_>, kinds: &[K]) -> Result<Loaded, Problems> {
    let kinds: Vec<_> = kinds.iter().map(AsRef::as_ref).collect();
    checked(text, path, env, &kinds)
}

fn checked(text: &str, path: &Path, env: Env<'_>, kinds: &[&Kind]) -> Result<Loaded, Problems> {
    let source = Arc::new(Source { path: path.display().to_string(), text: text.to_owned() });
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut reader = Reader::new(Arc::clone(&source), env);
    for error in &errors {
        let title = format!("not TOML: {}", error.message());
        match error.span() {
            Some(span) => reader.error(span, "syntax", title),
            // Only the error about nesting has no place; the first line of the file would be a wrong one.
            None => {
                let source = Arc::new(Source { path: source.path.clone(), text: String::new() });
                let problem = Problem::at(Place::new(source, 0..0), "syntax", format!("{title} in {}", path.display()));
                reader.note(problem.help("nest tables, lists and dotted keys less deeply"));
            }
        }
    }
    // A partial table is not checked further: that would report errors that do not exist.
    if !errors.is_empty() {
        return Err(reader.errors);
    }
    let root = root_of(path).map_err(|error| {
        let place = Place::new(Arc::clone(&source), 0..0);
        Problems::from(Problem::at(place, "file", format!("{} has no folder: {error}", path.display())))
    })?;
    let config = sections(&mut reader, &table, (path, &root), kinds);
    let places = Places::collect(source, table.get_ref());
    if reader.errors.is_empty() {
        cross::check(&config, &places, &mut reader);
    }
    let Reader { mut errors, mut warnings, noted, .. } = reader;
    let secrets = Arc::new(noted.secrets(text));
    for problems in [&mut errors, &mut warnings] {
        problems.sort();
        problems.hide(&secrets);
    }
    if errors.is_empty() { Ok(Loaded { config, warnings, places, secrets }) } else { Err(errors) }
}

fn root_of(path: &Path) -> std::io::Result<PathBuf> {
    let absolute = std::path::absolute(path)?;
    Ok(absolute.parent().map_or_else(|| PathBuf::from("/"), Path::to_path_buf))
}

/// The sections a file may have.
const SECTIONS: &[&str] = &["runtime", "channels", "reactors"];

/// Every key allowed in a file whose channels are of these kinds, as table and key; tables are named as in the
/// reference.
pub fn known_keys<K: AsRef<Kind>>(kinds: &[K]) -> impl Iterator<Item = (&'static str, &'static str)> {
    let own = kinds.iter().map(|kind| ("channels", kind.as_ref().keys));
    let tables = [
        ("runtime", runtime::KEYS),
        ("channels", channel::COMMON),
        ("channels", channel::RETENTION),
        ("channel-dead-letter", channel::DEAD_LETTER),
        ("raw", channel::RAW),
        ("origin", channel::ORIGINS),
        ("reactors", keys::REACTOR),
        ("when", filter::FORMS),
        ("allow", keys::ALLOW),
        ("retry", keys::RETRY),
        ("breaker", keys::BREAKER),
        ("dedup", keys::DEDUP),
        ("dead-letter", keys::DEAD_LETTER),
    ];
    tables.into_iter().chain(own).flat_map(|(table, keys)| keys.iter().map(move |key| (table, *key)))
}

fn sections(
    reader: &mut Reader<'_>,
    table: &toml::Spanned<DeTable<'_>>,
    (path, root): (&Path, &Path),
    kinds: &[&Kind],
) -> Config {
    let file = Section::new("", table.get_ref(), table.span());
    reader.known_keys_or(&file, SECTIONS, &[("[runtime]", runtime::KEYS)]);
    let runtime = reader.table(&file, "runtime");
    let runtime = runtime::read(reader, runtime.as_ref(), root);
    let (mut channels, mut dead_letters) = (BTreeMap::new(), Vec::new());
    for (name, section) in reader.named_tables(&file, "channels") {
        channels.insert(name.clone(), channel::read(reader, &section, name, kinds, &mut dead_letters));
    }
    let names = reader.names(&file, "channels");
    let known = Channels { names, read: &channels };
    destination::dead_letters(reader, &dead_letters, &known);
    let mut reactors = BTreeMap::new();
    for (name, section) in reader.named_tables(&file, "reactors") {
        reactors.insert(name.clone(), reactor::read(reader, &section, name, root, &known));
    }
    Config { file: path.to_path_buf(), runtime, root: root.to_path_buf(), channels, reactors }
}
