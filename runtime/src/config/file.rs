//! Reading the file itself.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use super::{Place, Problem, Problems, Source};

/// Largest configuration file, in bytes.
const MOST: u64 = 1 << 20;

/// The text of a file.
///
/// # Errors
/// It cannot be read, is a folder, is too large or is not UTF-8.
pub(super) fn read(path: &Path) -> Result<String, Problems> {
    let shown = path.display();
    let fail = |text: String, at: usize, title: String, help: &str| {
        let place = Place::new(Arc::new(Source { path: shown.to_string(), text }), at..at + 1);
        Problems::from(Problem::at(place, "file", title).help(help))
    };
    let unreadable = |error: std::io::Error| {
        let help = match error.kind() {
            std::io::ErrorKind::NotFound => "run in the folder of a `reactors.toml`, or name one with --config",
            std::io::ErrorKind::IsADirectory => "name the file in it",
            _ => "check its permissions",
        };
        fail(String::new(), 0, format!("cannot read {shown}: {error}"), help)
    };
    let file = File::open(path).map_err(unreadable)?;
    if file.metadata().map_err(unreadable)?.is_dir() {
        return Err(fail(String::new(), 0, format!("{shown} is a folder"), "name the file in it"));
    }
    let mut bytes = Vec::new();
    // What a pipe or a device has is known only by reading.
    file.take(MOST + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MOST {
        let title = format!("{shown} is larger than 1MiB");
        return Err(fail(String::new(), 0, title, "is it really a configuration?"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
        fail(text, at, format!("{shown} is not UTF-8: no character begins so"), "save it as UTF-8")
    })
}
