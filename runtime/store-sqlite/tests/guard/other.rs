//! Another process, which is in the way.

use std::fs::{self, OpenOptions as FileOptions};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rusqlite::Connection;

use reactor_core::store::{Result, StoreClient};

use crate::support::{SHORT, fixture, mode, own, owned};

/// A separate process that does what it is told by name, until it is dropped.
pub(crate) struct Other(Child);

impl Other {
    pub(crate) fn that(what: &str, dir: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "other::child_that_is_in_the_way", "--nocapture"])
            .envs([("GUARD_WHAT", what), ("GUARD_DIR", dir.to_str().unwrap())])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
        assert!(lines.map_while(Result::ok).any(|line| line.contains("it is so")), "the child has failed");
        Self(child)
    }

    pub(crate) fn named(&self) -> String {
        format!("process {}", self.0.id())
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Not a test of its own: the process that [`Other`] starts.
#[test]
fn child_that_is_in_the_way() {
    let Ok(what) = std::env::var("GUARD_WHAT") else { return };
    let dir = std::env::var("GUARD_DIR").unwrap();
    let dir = Path::new(&dir);
    let file = |name: &str| FileOptions::new().read(true).write(true).open(dir.join(name)).unwrap();
    let until_killed = || {
        println!("it is so");
        let _ = std::io::stdin().read(&mut [0]);
    };
    match what.as_str() {
        "holds the turn" => {
            let turn = FileOptions::new().create(true).append(true).open(dir.join("turn")).unwrap();
            turn.lock().unwrap();
            until_killed();
        }
        "writes" => {
            let conn = Connection::open(dir.join("reactor.db")).unwrap();
            conn.execute_batch("BEGIN IMMEDIATE").unwrap();
            until_killed();
        }
        "reads an old state" => {
            let conn = Connection::open(dir.join("reactor.db")).unwrap();
            conn.execute_batch("BEGIN; SELECT * FROM meta").unwrap();
            until_killed();
        }
        "locks the index" => {
            let index = file("reactor.db-shm");
            rustix::fs::fcntl_lock(&index, rustix::fs::FlockOperation::NonBlockingLockShared).unwrap();
            until_killed();
        }
        "makes a store without a umask" => {
            let mask = u32::from_str_radix(&std::env::var("GUARD_UMASK").unwrap(), 8).unwrap();
            rustix::process::umask(rustix::fs::Mode::from_raw_mode(mask));
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let store = own(dir, &owned());
            fixture(&store).publish(&["a"]);
            runtime.block_on(async { tokio::time::timeout(SHORT, store.rung()).await }).unwrap();
            for entry in [Ok(dir.to_owned())].into_iter().chain(fs::read_dir(dir).unwrap().map(|e| Ok(e?.path()))) {
                let path: std::io::Result<_> = entry;
                let path = path.unwrap();
                println!("{:o} {}", mode(&path), path.file_name().unwrap().to_str().unwrap());
            }
            println!("it is so");
        }
        other => panic!("{other}"),
    }
}
