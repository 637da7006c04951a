//! The doorbell: a process that has appended or requested something rings, so the owner need not poll.
//!
//! Other processes ring through a named pipe in the store's directory. Without a pipe, or without an owner, ringing
//! does nothing, and the owner finds the new data at its next regular look.

use std::fs::{File, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use rustix::fs::{CWD, Mode, mkfifoat};
use tokio::net::unix::pipe;
use tokio::sync::Notify;

use super::folder;

/// One side of the bell.
#[derive(Debug)]
pub(super) struct Bell {
    path: PathBuf,
    /// Where this process rings; `None` in a client, which rings the pipe.
    inside: Option<Notify>,
    /// Where others ring. Created on first use, because it belongs to the runtime that waits for it. The file keeps the
    /// pipe open when no other process does.
    outside: OnceLock<Option<(pipe::Receiver, File)>>,
}

impl Bell {
    pub(super) fn new(dir: &Path, owner: bool) -> Self {
        Self { path: dir.join(folder::BELL), inside: owner.then(Notify::new), outside: OnceLock::new() }
    }

    /// Never blocks, and never fails: a full pipe has been rung already.
    pub(super) fn ring(&self) {
        match &self.inside {
            Some(inside) => inside.notify_one(),
            None => {
                let pipe = folder::open_pipe(&self.path, true);
                let _ = pipe.and_then(|mut pipe| pipe.write(&[1]));
            }
        }
    }

    /// Waits for a ring.
    pub(super) async fn rung(&self) {
        let inside = async {
            match &self.inside {
                Some(inside) => inside.notified().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased; // After the first call the pipe exists, whichever end rang.
            () = self.rung_outside() => {}
            () = inside => {}
        }
    }

    async fn rung_outside(&self) {
        let pipe = self.outside.get_or_init(|| listen(&self.path).ok());
        let Some((pipe, _)) = pipe.as_ref() else { return std::future::pending().await };
        if pipe.readable().await.is_err() {
            return std::future::pending().await;
        }
        let mut bytes = [0; 64];
        while pipe.try_read(&mut bytes).is_ok_and(|read| read == bytes.len()) {}
    }
}

fn listen(path: &Path) -> std::io::Result<(pipe::Receiver, File)> {
    match mkfifoat(CWD, path, Mode::from_raw_mode(0o600)) {
        // The umask may take rights from this user, too.
        Ok(()) => std::fs::set_permissions(path, Permissions::from_mode(0o600))?,
        Err(rustix::io::Errno::EXIST) => {}
        Err(error) => return Err(error.into()),
    }
    let receiver = pipe::Receiver::from_file(folder::open_pipe(path, false)?)?;
    let sender = folder::open_pipe(path, true)?;
    Ok((receiver, sender))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    const SOON: Duration = Duration::from_secs(20);
    const NEVER: Duration = Duration::from_millis(100);

    #[tokio::test]
    async fn it_is_heard_from_inside_and_from_outside() {
        let dir = tempfile::tempdir().unwrap();
        let (owner, client) = (Bell::new(dir.path(), true), Bell::new(dir.path(), false));
        client.ring();
        assert!(timeout(NEVER, owner.rung()).await.is_err(), "nobody was at home");
        for bell in [&owner, &client] {
            (0..100).for_each(|_| bell.ring());
            timeout(SOON, owner.rung()).await.expect("heard");
        }
        while timeout(NEVER, owner.rung()).await.is_ok() {}
        (0..100_000).for_each(|_| client.ring());
        timeout(SOON, owner.rung()).await.expect("a full pipe is heard");
    }

    #[tokio::test]
    async fn where_there_can_be_no_pipe_it_is_silent() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("bell"), "a file").unwrap();
        let owner = Bell::new(dir.path(), true);
        Bell::new(dir.path(), false).ring();
        assert!(timeout(NEVER, owner.rung()).await.is_err());
        owner.ring();
        timeout(SOON, owner.rung()).await.expect("heard");
    }
}
