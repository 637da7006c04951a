//! Reading the file itself.

use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{OFlags, fcntl_setfl};

use super::{Place, Problem, Problems, Source};

/// Largest allowed configuration file, in bytes.
const MOST: u64 = 1 << 20;

/// The text of a file.
///
/// # Errors
/// If it cannot be read, is a folder, is too large or is not UTF-8.
pub(super) fn read(path: &Path) -> Result<String, Problems> {
    let shown = path.display();
    let fail = |text: String, at: usize, title: String, help: &str| {
        let place = Place::new(Arc::new(Source { path: shown.to_string(), text }), at..at + 1);
        Problems::from(Problem::at(place, "file", title).help(help))
    };
    let unreadable = |error: std::io::Error| {
        let help = match error.kind() {
            std::io::ErrorKind::NotFound => {
                "run in the folder of a `reactors.toml`, give its path with --config, or create one with `reactor new NAME`"
            }
            std::io::ErrorKind::IsADirectory => "give the path of the file in it",
            _ => "check its permissions",
        };
        fail(String::new(), 0, format!("cannot read {shown}: {error}"), help)
    };
    // Opening a pipe without a writer would block for ever; with this flag it reads as empty.
    let nonblocking = OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(nonblocking).open(path).map_err(unreadable)?;
    if file.metadata().map_err(unreadable)?.is_dir() {
        return Err(fail(String::new(), 0, format!("{shown} is a folder"), "give the path of the file in it"));
    }
    fcntl_setfl(&file, OFlags::empty()).map_err(|error| unreadable(error.into()))?;
    let is_pipe = file.metadata().is_ok_and(|metadata| metadata.file_type().is_fifo());
    let mut bytes = Vec::new();
    // The size of a pipe's or a device's content is known only after reading it.
    file.take(MOST + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MOST {
        let title = format!("{shown} is larger than 1MiB");
        return Err(fail(String::new(), 0, title, "check that it is a configuration"));
    }
    if bytes.is_empty() && is_pipe {
        let title = format!("{shown} is a pipe, and nothing was written to it");
        return Err(fail(String::new(), 0, title, "give a file, or write the configuration into the pipe"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
        fail(text, at, format!("{shown} is not UTF-8: no character begins like this"), "save it as UTF-8")
    })
}
