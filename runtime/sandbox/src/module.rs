//! Loads a file as a module that is ready to run.

use std::fs::{Metadata, OpenOptions};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::fs::OFlags;
use wasmtime::component::{Component, HasSelf, Linker};

use reactor_config::model::{Config, ReactorConfig};
use reactor_core::guest::{Call, Guest};
use reactor_core::subscription::TypePattern;

use super::bindings::{ReactorPre, previous::ReactorPre as PreviousPre, reactor::guest as wit};
use super::cache::fresh;
use super::engine::{Engine, Inner};
use super::error::LoadError;
use super::format::{MAX_IMPORTS, inspect, too_many_imports};
use super::grants::{Grants, is_wasi};
use super::host::Host;
use super::http::Http;
use super::limits::Limits;
use super::run::{Module, Ready, make_instance};
use super::shared::Code;
use super::{previous, wasi};

/// Maximum size of a module file, in bytes.
pub const MAX_MODULE: u64 = 16 << 20;

/// What a module's runs may do; from the reactor's table.
#[derive(Clone)]
pub struct GuestSpec {
    /// The reactor's name.
    pub reactor: String,
    /// Wall-clock limit of a run.
    pub timeout: Duration,
    /// CPU limit of a run.
    pub cpu: Duration,
    /// Sum of memories and tables, in bytes.
    pub memory: usize,
    /// Whether the state interface is granted.
    pub allow_state: bool,
    /// Origins that requests may be sent to, such as `https://api.example.com`.
    pub allow_http: Vec<String>,
    /// Which types may be emitted and the channels they go to; the first match counts.
    pub emit: Vec<(TypePattern, String)>,
    /// Longest chain of emitted events.
    pub hop_limit: u32,
    /// The other limits.
    pub limits: Limits,
}

impl GuestSpec {
    /// The spec of a reactor in the configuration.
    pub fn of(config: &Config, reactor: &ReactorConfig) -> Self {
        Self {
            reactor: reactor.name.clone(),
            timeout: reactor.timeout,
            cpu: reactor.cpu,
            memory: reactor.memory,
            allow_state: reactor.allow.state,
            allow_http: reactor.allow.http.iter().map(|origin| origin.meaning().to_owned()).collect(),
            emit: reactor.emit.clone(),
            hop_limit: config.runtime.hop_limit,
            limits: Limits::default(),
        }
    }
}

/// A module that is ready to run.
pub struct LoadedModule {
    /// Runs it.
    pub guest: Arc<dyn Guest>,
    /// blake3 of the file, in hex.
    pub digest: String,
    /// The interfaces it imports, with versions.
    pub imports: Vec<String>,
    /// Grants that it does not use: `state`, `emit`, `http`.
    pub unused_grants: Vec<String>,
    /// Whether compiled code was found on disk.
    pub from_cache: bool,
    module: Arc<Module>,
}

impl LoadedModule {
    /// Creates a fresh instance for a call and drops it without calling it, to measure the time that takes.
    ///
    /// # Errors
    /// No instance can be created.
    pub async fn make_instance(&self, call: Call) -> anyhow::Result<()> {
        make_instance(&self.module, call).await.map_err(|error| anyhow::anyhow!("{error:#}"))
    }

    /// The address of its machine code.
    #[cfg(test)]
    pub(super) fn code(&self) -> usize {
        self.module.shared.code.component.image_range().start as usize
    }
}

impl std::fmt::Debug for LoadedModule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoadedModule")
            .field("digest", &self.digest)
            .field("imports", &self.imports)
            .finish_non_exhaustive()
    }
}

/// What all runs of a module share.
pub(super) struct Shared {
    pub(super) spec: GuestSpec,
    pub(super) digest: String,
    pub(super) engine: Arc<Inner>,
    /// Whether the module imports WASI.
    pub(super) wasi: bool,
    /// For modules that import wasi:http.
    pub(super) http: Option<Arc<Http>>,
    /// Keeps the code for other modules with the same content.
    #[cfg_attr(not(test), expect(dead_code, reason = "it is kept, not read"))]
    pub(super) code: Arc<Code>,
}

impl Engine {
    /// Loads modules on all cores. The results are in the order of the requests; see [`Engine::load`].
    pub fn load_all(&self, requests: Vec<(&Path, GuestSpec)>) -> Vec<Result<LoadedModule, LoadError>> {
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get).min(requests.len());
        let requests = Mutex::new(requests.into_iter().enumerate());
        // The lock is not held while loading.
        let next = || requests.lock().unwrap_or_else(PoisonError::into_inner).next();
        let work =
            || std::iter::from_fn(next).map(|(at, (path, spec))| (at, self.load(path, spec))).collect::<Vec<_>>();
        let mut loaded = std::thread::scope(|scope| {
            let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
            let mut loaded = work();
            for other in others {
                loaded.extend(other.join().unwrap_or_else(|panic| resume_unwind(panic)));
            }
            loaded
        });
        loaded.sort_unstable_by_key(|(at, _)| *at);
        loaded.into_iter().map(|(_, module)| module).collect()
    }

    /// Reads, checks, compiles and links a module. Blocking: up to seconds for a large module that is not in the cache.
    ///
    /// # Errors
    /// What is wrong with the file, and what to do about it. No file content, however hostile, has any other effect.
    pub fn load(&self, path: &Path, spec: GuestSpec) -> Result<LoadedModule, LoadError> {
        let bytes = read(path)?;
        let content = blake3::hash(&bytes);
        let http = !spec.allow_http.is_empty();
        let grants = Grants { state: spec.allow_state, emit: !spec.emit.is_empty(), http };
        // A module can make the compiler panic only through a bug in the compiler; that must not end the caller,
        // either.
        let compiled = catch_unwind(AssertUnwindSafe(|| {
            self.inner.compiled.get(content, || self.code(path, &bytes, &content, grants))
        }));
        let code = compiled
            .unwrap_or_else(|_| Err(LoadError::Invalid(path.to_owned(), "the compiler failed on it".to_owned())))?;
        let (component, from_cache) = (&code.component, code.from_cache);
        let wasm = &self.inner.wasm;
        let ty = component.component_type();
        let imports: Vec<String> = ty.imports(wasm).map(|(name, _)| name.to_owned()).collect();
        if imports.len() > MAX_IMPORTS {
            return Err(too_many_imports(path));
        }
        let denied = grants.check(&imports);
        if !denied.is_empty() {
            return Err(LoadError::Denied { path: path.to_owned(), imports: denied });
        }
        if ty.get_export(wasm, "handle").is_none() {
            return Err(LoadError::NoHandle(path.to_owned()));
        }
        check_memory(path, component, spec.memory, self.inner.max_memory)?;
        let mismatch = |error: wasmtime::Error| LoadError::Mismatch(path.to_owned(), format!("{error:#}"));
        let is_wasi = imports.iter().any(|import| is_wasi(import));
        let linker =
            linker(wasm, grants, is_wasi).map_err(|error| LoadError::Host(path.to_owned(), format!("{error:#}")))?;
        let http = (is_wasi && grants.http).then(|| Arc::new(Http::new(&spec)));
        let ready = linker.instantiate_pre(component).and_then(|pre| {
            let is_previous = imports.iter().any(|import| previous::is_import(import));
            Ok(if is_previous {
                Ready::Previous(PreviousPre::new(pre)?)
            } else {
                Ready::Present(ReactorPre::new(pre)?)
            })
        });
        let ready = ready.map_err(mismatch)?;
        let digest = content.to_hex().to_string();
        let unused_grants = grants.unused(&imports);
        let shared = Shared { spec, digest: digest.clone(), engine: self.inner.clone(), wasi: is_wasi, http, code };
        let shared = Arc::new(shared);
        let module = Arc::new(Module { ready, shared });
        let guest = Arc::clone(&module) as Arc<dyn Guest>;
        Ok(LoadedModule { guest, digest, imports, unused_grants, from_cache, module })
    }

    /// The compiled code of a file, from the cache or newly compiled.
    fn code(&self, path: &Path, bytes: &[u8], content: &blake3::Hash, grants: Grants) -> Result<Code, LoadError> {
        let Inner { wasm, cache, compiler, .. } = &*self.inner;
        if let Some(component) = cache.as_ref().and_then(|cache| cache.load(wasm, content)) {
            return Ok(Code { component, from_cache: true });
        }
        inspect(path, bytes, grants)?;
        let artefact = compiler.compile(wasm, path, bytes)?;
        let component =
            fresh(wasm, &artefact).map_err(|error| LoadError::Host(path.to_owned(), format!("{error:#}")))?;
        if let Some(Err(error)) = cache.as_ref().map(|cache| cache.store(content, &artefact)) {
            tracing::warn!("a compiled module could not be cached for the next start: {error:#}");
        }
        Ok(Code { component, from_cache: false })
    }
}

/// Reads at most the limit, regardless of the reported file size.
fn read(path: &Path) -> Result<Vec<u8>, LoadError> {
    let failed = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => LoadError::Missing(path.to_owned()),
        _ => LoadError::Unreadable(path.to_owned(), error),
    };
    let regular = |metadata: &Metadata| {
        if metadata.is_file() {
            return Ok(());
        }
        let what = "is a folder, a pipe, a socket or a device; correct `module` in the reactor's table";
        Err(LoadError::NotWasm(path.to_owned(), what.to_owned()))
    };
    // Before opening, because opening a device may have effects; and after, in case the file has been replaced.
    regular(&std::fs::metadata(path).map_err(failed)?)?;
    // Opening a pipe would wait for its writer.
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    regular(&metadata)?;
    let mut bytes = Vec::new();
    file.take(MAX_MODULE + 1).read_to_end(&mut bytes).map_err(failed)?;
    let size = metadata.len().max(bytes.len() as u64);
    if size > MAX_MODULE {
        return Err(LoadError::TooLarge { path: path.to_owned(), size, most: MAX_MODULE });
    }
    Ok(bytes)
}

fn check_memory(path: &Path, component: &Component, budget: usize, most: usize) -> Result<(), LoadError> {
    let refuse = |why: String| Err(LoadError::Memory(path.to_owned(), why));
    if budget > most {
        return refuse(format!(
            "the reactor asks for {budget} bytes of memory, and this engine provides at most {most}"
        ));
    }
    let pages = component.resources_required().and_then(|needs| needs.max_initial_memory_size).unwrap_or(0);
    let start = pages.saturating_mul(64 << 10);
    if start > budget as u64 {
        return refuse(format!(
            "it starts with {start} bytes of memory, and the reactor may use {budget}; raise `memory`"
        ));
    }
    Ok(())
}

/// Links the granted interfaces only.
fn linker(wasm: &wasmtime::Engine, grants: Grants, is_wasi: bool) -> wasmtime::Result<Linker<Host>> {
    type Own = HasSelf<Host>;
    let mut linker = Linker::new(wasm);
    let link = &mut linker;
    wit::types::add_to_linker::<Host, Own>(link, |host| host)?;
    wit::attempt::add_to_linker::<Host, Own>(link, |host| host)?;
    wit::config::add_to_linker::<Host, Own>(link, |host| host)?;
    wit::log::add_to_linker::<Host, Own>(link, |host| host)?;
    wit::clock::add_to_linker::<Host, Own>(link, |host| host)?;
    wit::random::add_to_linker::<Host, Own>(link, |host| host)?;
    if grants.state {
        wit::state::add_to_linker::<Host, Own>(link, |host| host)?;
    }
    if grants.emit {
        wit::emit::add_to_linker::<Host, Own>(link, |host| host)?;
    }
    previous::link(link, grants)?;
    if is_wasi {
        // Links all of it, even denied interfaces: a module that imports those never gets here.
        wasmtime_wasi::p2::add_to_linker_async(link)?;
        wasi::link(link)?;
    }
    if is_wasi && grants.http {
        wasmtime_wasi_http::p2::add_only_http_to_linker_async(link)?;
    }
    Ok(linker)
}
