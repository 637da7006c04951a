//! Both stores do what every store must do.
#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::path::Path;

use tempfile::TempDir;

use reactor_core::store::StoreOwner;
use reactor_store::conformance::Harness;
use reactor_store::memory::MemoryStore;
use reactor_store_sqlite::{OpenOptions, SqliteOwner};

mod memory {
    use super::*;

    struct Memory(MemoryStore);

    impl Harness for Memory {
        fn store(&self) -> &(dyn StoreOwner + 'static) {
            &self.0
        }

        fn reopen(&mut self) {
            self.0 = self.0.reopen();
        }

        fn crash(&mut self) {
            self.reopen();
        }
    }

    fn new() -> Memory {
        Memory(MemoryStore::new(8))
    }

    reactor_store::store_conformance!(new);
}

mod sqlite {
    use super::*;

    struct Sqlite {
        dir: TempDir,
        store: Option<SqliteOwner>,
    }

    fn open(dir: &Path) -> SqliteOwner {
        // Small, so that a few hundred deliveries span several segments.
        let options = OpenOptions { segment_rows: 64, reserve: 64 << 10, ..OpenOptions::owner(8) };
        SqliteOwner::own(dir, &options).unwrap()
    }

    impl Harness for Sqlite {
        fn store(&self) -> &(dyn StoreOwner + 'static) {
            self.store.as_ref().unwrap()
        }

        fn reopen(&mut self) {
            self.store = None;
            self.store = Some(open(self.dir.path()));
        }

        /// After `kill -9` only the current content of the files is left, without a clean shutdown.
        fn crash(&mut self) {
            let next = TempDir::new().unwrap();
            for name in ["reactor.db", "reactor.db-wal", "claims"] {
                let from = self.dir.path().join(name);
                if from.exists() {
                    std::fs::copy(from, next.path().join(name)).unwrap();
                }
            }
            self.store = Some(open(next.path()));
            self.dir = next;
        }
    }

    fn new() -> Sqlite {
        let dir = TempDir::new().unwrap();
        let store = Some(open(dir.path()));
        Sqlite { dir, store }
    }

    reactor_store::store_conformance!(new);
}
