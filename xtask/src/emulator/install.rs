//! Installing something once.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::run::{gone, show, tail};

/// Runs `install` unless it has been done in the folder `home` for exactly this `input`, and `works` still confirms it.
///
/// The stamp is written last and removed first, so an interrupted installation is repeated. Concurrent installations
/// wait.
pub(super) fn once(
    home: &Path,
    input: &str,
    works: impl FnOnce() -> bool,
    install: impl FnOnce() -> Result<()>,
) -> Result<()> {
    fs::create_dir_all(home).with_context(|| format!("cannot make {}", home.display()))?;
    let lock = File::create(home.join("install.lock"))?;
    lock.lock().context("cannot wait for another installation")?;
    let stamp = home.join("installed");
    if fs::read_to_string(&stamp).is_ok_and(|text| text == input) && works() {
        return Ok(());
    }
    gone(&stamp, fs::remove_file(&stamp))?;
    install()?;
    fs::write(&stamp, input).with_context(|| format!("cannot write {}", stamp.display()))
}

/// Runs a verbose installer, with its output in a log that is shown if it fails.
pub(super) fn quietly(command: &mut Command, log: &Path) -> Result<()> {
    let file = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
    let shown = show(command);
    let status = command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file).status();
    let status = status.with_context(|| format!("cannot run `{shown}`"))?;
    if !status.success() {
        bail!("`{shown}` failed ({status}); the end of {}:\n{}", log.display(), tail(log));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_installed_once_and_anew_if_it_is_broken_changed_or_was_interrupted() {
        let home = tempfile::tempdir().unwrap();
        let home = home.path().join("not/there/yet");
        let mut installed = 0;
        let mut install = |input: &str, works: bool, succeeds: bool| {
            let ended = once(
                &home,
                input,
                || works,
                || {
                    installed += 1;
                    if succeeds { Ok(()) } else { bail!("interrupted") }
                },
            );
            (ended.is_ok(), installed)
        };
        assert_eq!(install("a", true, true), (true, 1));
        assert_eq!(install("a", true, true), (true, 1), "it is there");
        assert_eq!(install("a", false, true), (true, 2), "it was broken");
        assert_eq!(install("b", true, true), (true, 3), "its versions have changed");
        assert_eq!(install("c", true, false), (false, 4));
        assert_eq!(install("b", true, true), (true, 5), "another installation was begun in its place");
    }

    #[test]
    fn a_failed_installer_is_shown_with_the_end_of_its_log() {
        let home = tempfile::tempdir().unwrap();
        let error =
            quietly(Command::new("sh").args(["-c", "echo told; exit 3"]), &home.path().join("log")).unwrap_err();
        let error = error.to_string();
        assert!(error.contains("told") && error.contains("exit status: 3"), "{error}");
    }
}
