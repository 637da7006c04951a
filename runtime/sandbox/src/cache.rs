//! Compiled modules on disk. Compiled code runs without a sandbox around it, so only this host's own files are loaded:
//! the folder must be ours and closed to all others, and each entry carries the hash of its own content.

use std::fs::{self, DirBuilder, OpenOptions};
use std::hash::{Hash, Hasher};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, bail};
use wasmtime::component::Component;

use super::contract::CONTRACT;

const EXTENSION: &str = "cwasm";
/// Entries kept; the oldest beyond that are removed. Far more than the modules of one host, or each start would compile
/// some again.
const ENTRIES: usize = 8_192;
const HASH: usize = blake3::OUT_LEN;

/// A folder of compiled modules, keyed by the module's content and by the engine that compiled it.
pub(super) struct Cache {
    dir: PathBuf,
    engine: blake3::Hash,
}

impl Cache {
    /// Creates the folder if it is absent.
    ///
    /// # Errors
    /// The folder cannot be created, is not a folder, or is open to others.
    pub(super) fn open(dir: PathBuf, wasm: &wasmtime::Engine) -> anyhow::Result<Self> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&dir)
            .with_context(|| format!("cannot create the folder {}", dir.display()))?;
        let cache = Self { dir, engine: engine_key(wasm) };
        cache.check_private()?;
        Ok(cache)
    }

    /// The module, if it was compiled before and the entry is intact; a damaged entry is removed.
    pub(super) fn load(&self, wasm: &wasmtime::Engine, content: &blake3::Hash) -> Option<Component> {
        let path = self.path(content);
        let bytes = fs::read(&path).ok()?;
        let loaded = self.check_private().and_then(|()| deserialize(wasm, &bytes));
        match loaded {
            Ok(component) => Some(component),
            Err(error) => {
                tracing::warn!(entry = %path.display(), "a cached module is unusable and will be compiled again: {error:#}");
                let _ = fs::remove_file(&path);
                None
            }
        }
    }

    /// Keeps a compiled module for the next start.
    ///
    /// # Errors
    /// The folder is no longer private, or the write fails. This only costs time.
    pub(super) fn store(&self, content: &blake3::Hash, artefact: &[u8]) -> anyhow::Result<()> {
        self.check_private()?;
        let aside = self.aside();
        let written = create_new(&aside).and_then(|mut file| {
            file.write_all(blake3::hash(artefact).as_bytes())?;
            file.write_all(artefact)
        });
        // Not synced: an entry that a power cut tears fails its hash and is compiled again.
        let kept = written.and_then(|()| fs::rename(&aside, self.path(content)));
        if let Err(error) = kept {
            let _ = fs::remove_file(&aside);
            return Err(error).with_context(|| format!("cannot write to {}", self.dir.display()));
        }
        self.prune();
        Ok(())
    }

    fn path(&self, content: &blake3::Hash) -> PathBuf {
        let mut key = blake3::Hasher::new();
        key.update(content.as_bytes()).update(self.engine.as_bytes());
        self.dir.join(format!("{}.{EXTENSION}", key.finalize()))
    }

    fn aside(&self) -> PathBuf {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        self.dir.join(format!(".new-{}-{number}-{:016x}", std::process::id(), rand::random::<u64>()))
    }

    /// Whether the folder is a real folder of this user that no other user can enter.
    fn check_private(&self) -> anyhow::Result<()> {
        let dir = self.dir.display();
        let found = fs::symlink_metadata(&self.dir).with_context(|| format!("cannot inspect {dir}"))?;
        if !found.is_dir() {
            bail!("{dir} is not a folder; move it away");
        }
        if found.mode() & 0o077 != 0 {
            bail!("{dir} is open to others (mode {:o}); run: chmod 700 '{dir}'", found.mode() & 0o777);
        }
        // The kernel decides which user owns the files we create; std has no other way to ask.
        let probe = self.aside();
        let us = create_new(&probe).and_then(|file| file.metadata()).map(|metadata| metadata.uid());
        let _ = fs::remove_file(&probe);
        let us = us.with_context(|| format!("cannot write to {dir}"))?;
        if found.uid() != us {
            bail!("{dir} belongs to user {}, not to {us}; remove it or choose another", found.uid());
        }
        Ok(())
    }

    /// Removes the oldest entries beyond the limit; a failure only costs disk space.
    fn prune(&self) {
        let Ok(entries) = fs::read_dir(&self.dir) else { return };
        let entries: Vec<_> =
            entries.flatten().filter(|entry| entry.path().extension().is_some_and(|e| e == EXTENSION)).collect();
        let excess = entries.len().saturating_sub(ENTRIES);
        if excess == 0 {
            return;
        }
        let dated = entries.iter().filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())));
        let mut found: Vec<_> = dated.collect();
        found.sort();
        let excess = excess.min(found.len());
        for (_, path) in found.drain(..excess) {
            let _ = fs::remove_file(path);
        }
    }
}

fn create_new(path: &Path) -> std::io::Result<fs::File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

fn deserialize(wasm: &wasmtime::Engine, bytes: &[u8]) -> anyhow::Result<Component> {
    let (stored, artefact) = bytes.split_first_chunk::<HASH>().context("it is cut short")?;
    if blake3::hash(artefact) != blake3::Hash::from_bytes(*stored) {
        bail!("its content does not match its hash");
    }
    // SAFETY: the bytes were written by `store`, which only gets what this program or a child of it compiled: they are
    // in a folder that only this user can enter (checked just before), under a name derived from the engine, and their
    // hash has just been checked on this very copy. wasmtime itself checks version and settings.
    #[allow(unsafe_code)]
    let component = unsafe { Component::deserialize(wasm, artefact) };
    component.map_err(|error| anyhow::anyhow!("{error:#}"))
}

/// A module that this process or a child of it has just compiled.
///
/// # Errors
/// It was compiled for another engine.
pub(super) fn fresh(wasm: &wasmtime::Engine, artefact: &[u8]) -> anyhow::Result<Component> {
    // SAFETY: the bytes come from `precompile_component` in this process, or in a child that runs this same program,
    // over a pipe that this process created and no other process has.
    #[allow(unsafe_code)]
    let component = unsafe { Component::deserialize(wasm, artefact) };
    component.map_err(|error| anyhow::anyhow!("{error:#}"))
}

/// What compiled code depends on besides the module: the engine's version and settings, and the contract by which core
/// modules are made into components.
pub(super) fn engine_key(wasm: &wasmtime::Engine) -> blake3::Hash {
    let mut hasher = StableHasher(blake3::Hasher::new());
    wasm.precompile_compatibility_hash().hash(&mut hasher);
    CONTRACT.hash(&mut hasher);
    hasher.0.finalize()
}

/// Feeds blake3, so that a key is the same in the next process.
struct StableHasher(blake3::Hasher);

impl Hasher for StableHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        let mut first = [0; 8];
        first.copy_from_slice(&self.0.finalize().as_bytes()[..8]);
        u64::from_le_bytes(first)
    }
}
