//! `reactors.toml`: what the file says, turned into what the program needs, with every error at once.
//!
//! `reader` walks the parsed file with its places; one file a section (`runtime`, `channel`, `reactor`, `filter`) says
//! which keys there are and what they may be; `cross` checks what only shows when sections meet.

mod channel;
mod cross;
mod filter;
pub mod model;
mod problem;
mod reactor;
mod reader;
mod runtime;
pub mod units;

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::de::DeTable;

use model::Config;
pub use problem::{Place, Problem, Problems, Source};
use reader::{Reader, Section};

/// Largest configuration file, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// Where variables of the environment come from.
pub type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// A configuration that can be run.
#[derive(Debug)]
pub struct Loaded {
    /// What the program needs.
    pub config: Config,
    /// What is odd but no error.
    pub warnings: Problems,
    /// Where things stand in the file, for checks that come later.
    pub places: Places,
}

/// Where the keys of each reactor stand in the file.
#[derive(Clone, Debug)]
pub struct Places {
    source: Arc<Source>,
    /// By reactor and key; the empty key is the table itself.
    spans: BTreeMap<(String, String), Range<usize>>,
}

impl Places {
    /// A reactor's key, or its table if the key is not written.
    pub fn reactor(&self, name: &str, key: &str) -> Place {
        let find = |key: &str| self.spans.get(&(name.to_owned(), key.to_owned())).cloned();
        Place::new(Arc::clone(&self.source), find(key).or_else(|| find("")).unwrap_or(0..0))
    }
}

/// Reads and checks a file.
///
/// # Errors
/// Everything that is wrong with it, each with its place.
pub fn load(path: &Path, env: Env<'_>) -> Result<Loaded, Problems> {
    let shown = path.display();
    let fail = |title: String, help: &str| {
        let source = Arc::new(Source { path: shown.to_string(), text: String::new() });
        Problems::from(Problem::at(Place::new(source, 0..0), "file", title).help(help))
    };
    let found = std::fs::metadata(path).map_err(|error| {
        fail(
            format!("cannot read {shown}: {error}"),
            "run in the folder of a `reactors.toml`, or name one with --config",
        )
    })?;
    if found.is_dir() {
        return Err(fail(format!("{shown} is a folder"), "name the file in it"));
    }
    if found.len() > MAX_FILE {
        let size = found.len();
        return Err(fail(format!("{shown} has {size} bytes, more than {MAX_FILE}"), "is it really a configuration?"));
    }
    let bytes =
        std::fs::read(path).map_err(|error| fail(format!("cannot read {shown}: {error}"), "check its permissions"))?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        fail(format!("{shown} is not UTF-8: byte {at} begins no character"), "save it as UTF-8")
    })?;
    parse(&text, path, env)
}

/// Checks the text of a file. Relative paths in it start from the folder of `path`.
///
/// # Errors
/// Everything that is wrong with it, each with its place.
pub fn parse(text: &str, path: &Path, env: Env<'_>) -> Result<Loaded, Problems> {
    let source = Arc::new(Source { path: path.display().to_string(), text: text.to_owned() });
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut reader = Reader::new(Arc::clone(&source), env);
    for error in &errors {
        let span = error.span().unwrap_or(0..0);
        reader.error(span, "syntax", format!("not TOML: {}", error.message()));
    }
    // What could be recovered is checked only if all of it is there: guesses would add errors that are none.
    if !errors.is_empty() {
        return Err(reader.errors);
    }
    let root = root_of(path).map_err(|error| {
        let place = Place::new(Arc::clone(&source), 0..0);
        Problems::from(Problem::at(place, "file", format!("{} has no folder: {error}", path.display())))
    })?;
    let (config, places) = sections(&mut reader, &table, path, root);
    cross::check(&config, &places, &mut reader);
    if reader.errors.is_empty() {
        return Ok(Loaded { config, warnings: reader.warnings, places });
    }
    reader.errors.sort();
    Err(reader.errors)
}

fn root_of(path: &Path) -> std::io::Result<PathBuf> {
    let absolute = std::path::absolute(path)?;
    Ok(absolute.parent().map_or_else(|| PathBuf::from("/"), Path::to_path_buf))
}

/// The sections a file may have.
const SECTIONS: &[&str] = &["runtime", "channels", "reactors"];

/// Every key that may stand in a file, but for the names of sections.
pub fn known_keys() -> impl Iterator<Item = &'static str> {
    let channel = [channel::COMMON, channel::LOCAL, channel::SQS, channel::SNS, channel::RAW];
    let reactor = [reactor::KEYS, reactor::ALLOW, reactor::RETRY, reactor::DEDUP, reactor::DEAD_LETTER];
    let rest = [runtime::KEYS, filter::FORMS];
    channel.into_iter().chain(reactor).chain(rest).flatten().copied()
}

fn sections(
    reader: &mut Reader<'_>,
    table: &toml::Spanned<DeTable<'_>>,
    path: &Path,
    root: PathBuf,
) -> (Config, Places) {
    let file = Section::new("", table.get_ref(), table.span());
    reader.known_keys(&file, SECTIONS);
    let runtime = reader.table(&file, "runtime");
    let runtime = runtime::read(reader, runtime.as_ref(), &root);
    let mut config = Config {
        file: path.to_path_buf(),
        runtime,
        root: root.clone(),
        channels: BTreeMap::new(),
        reactors: BTreeMap::new(),
    };
    let mut places = Places { source: reader.source(), spans: BTreeMap::new() };
    for (name, section) in reader.named_tables(&file, "channels") {
        config.channels.insert(name.clone(), channel::read(reader, &section, name));
    }
    for (name, section) in reader.named_tables(&file, "reactors") {
        places.spans.insert((name.clone(), String::new()), section.header());
        for (key, value) in section.table {
            places.spans.insert((name.clone(), key.get_ref().to_string()), value.span());
        }
        config.reactors.insert(name.clone(), reactor::read(reader, &section, name, &root));
    }
    (config, places)
}
