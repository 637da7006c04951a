//! Between `SQLite` and its files: seals pages on their way into the database file, and checks pages read from it and
//! from the write-ahead log. It also notes checkpoints, by any process, in the file `durable` (`note`).
//!
//! This is the only file of the store that calls C directly. Everything except reads and writes passes through to
//! `SQLite`'s own file system. There is no `xFetch`, so no page is ever mapped past the checks, and pages are never
//! read in part except for the header, which `SQLite` only takes as a hint.
#![allow(unsafe_code, reason = "SQLite's interface to file systems is one of C")]

use std::cell::RefCell;
use std::ffi::{CStr, OsStr, c_char, c_int, c_void};
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::ptr::{null, null_mut};
use std::sync::OnceLock;

use rusqlite::ffi::{self, sqlite3_file, sqlite3_int64, sqlite3_io_methods, sqlite3_vfs};
use rusqlite::{Connection, OpenFlags};

use super::checks::{self, State};
use super::fault::Sql;
use super::frames::{Position, Salts};
use super::index::Index;
use super::note;
use super::seal::{self, PAGE, Page};

const NAME: &CStr = c"reactor";
const OFFSET: usize = size_of::<Shim>();
const INDEX: c_int = 0x5263_0002;
/// Bytes of a region of the wal-index.
const REGION: c_int = 32_768;

/// The place of a page whose content is not what was written.
#[derive(Clone, Debug)]
pub(super) struct Damage {
    pub(super) file: PathBuf,
    pub(super) detail: String,
}

thread_local! {
    static FOUND: RefCell<Option<Damage>> = const { RefCell::new(None) };
}

/// The damage that made the last read of this thread fail.
pub(super) fn found() -> Option<Damage> {
    FOUND.take()
}

/// Opens a database with these checks.
pub(super) fn open(file: &Path, flags: OpenFlags) -> Sql<Connection> {
    static REGISTERED: OnceLock<c_int> = OnceLock::new();
    let code = *REGISTERED.get_or_init(register);
    if code != ffi::SQLITE_OK {
        return Err(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None).into());
    }
    Ok(Connection::open_with_flags_and_vfs(file, flags, NAME)?)
}

/// Reserves room for seals in every page; call it before creating the first table, or before a `VACUUM`.
pub(super) fn make_room(conn: &Connection) -> Sql<()> {
    let mut bytes = c_int::try_from(seal::SEAL).unwrap_or(0);
    control(conn, ffi::SQLITE_FCNTL_RESERVE_BYTES, (&raw mut bytes).cast())
}

/// The salts of the frame that this connection wrote last.
pub(super) fn salts(conn: &Connection) -> Option<Salts> {
    let mut log: *mut sqlite3_file = null_mut();
    control(conn, ffi::SQLITE_FCNTL_JOURNAL_POINTER, (&raw mut log).cast()).ok()?;
    // SAFETY: the pointer is null or an open file of this connection, which lives as long as the connection; only a
    // file with our methods is used.
    unsafe {
        if log.is_null() || (*log).pMethods != &raw const METHODS {
            return None;
        }
        parts(log).0.salts
    }
}

/// The length of the log for this connection, which has to be inside a transaction; `None` while it cannot be
/// determined.
pub(super) fn index(conn: &Connection) -> Sql<Option<Position>> {
    let mut position: Option<Position> = None;
    control(conn, INDEX, (&raw mut position).cast())?;
    Ok(position)
}

fn control(conn: &Connection, op: c_int, argument: *mut c_void) -> Sql<()> {
    // SAFETY: the connection is open, and each operation gets the argument that it expects.
    let code = unsafe { ffi::sqlite3_file_control(conn.handle(), c"main".as_ptr(), op, argument) };
    if code == ffi::SQLITE_OK {
        return Ok(());
    }
    Err(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None).into())
}

fn register() -> c_int {
    // SAFETY: SQLite's default file system lives for ever, and so does the copy, which is leaked. The copy differs in
    // its name, its size and how it opens files; the other functions of the original do not depend on these.
    unsafe {
        let real = ffi::sqlite3_vfs_find(null());
        if real.is_null() {
            return ffi::SQLITE_ERROR;
        }
        let mut ours = *real;
        ours.zName = NAME.as_ptr();
        ours.szOsFile = (*real).szOsFile + OFFSET as c_int;
        ours.pNext = null_mut();
        ours.xOpen = Some(x_open);
        ours.pAppData = real.cast();
        // The original's functions find their own data through the original.
        ours.xDelete = Some(x_delete);
        ours.xAccess = Some(x_access);
        ours.xFullPathname = Some(x_full_pathname);
        ffi::sqlite3_vfs_register(Box::into_raw(Box::new(ours)), 0)
    }
}

/// `SQLite`'s file object: this, followed by the file object of the real file system.
#[repr(C)]
struct Shim {
    base: sqlite3_file,
    state: *mut State,
}

static METHODS: sqlite3_io_methods = sqlite3_io_methods {
    iVersion: 2,
    xClose: Some(x_close),
    xRead: Some(x_read),
    xWrite: Some(x_write),
    xTruncate: Some(x_truncate),
    xSync: Some(x_sync),
    xFileSize: Some(x_file_size),
    xLock: Some(x_lock),
    xUnlock: Some(x_unlock),
    xCheckReservedLock: Some(x_check_reserved_lock),
    xFileControl: Some(x_file_control),
    xSectorSize: Some(x_sector_size),
    xDeviceCharacteristics: Some(x_device_characteristics),
    xShmMap: Some(x_shm_map),
    xShmLock: Some(x_shm_lock),
    xShmBarrier: Some(x_shm_barrier),
    xShmUnmap: Some(x_shm_unmap),
    xFetch: None,
    xUnfetch: None,
};

/// SAFETY: `file` was opened by [`x_open`] with our methods, and is used by one thread at a time, as `SQLite` promises.
unsafe fn parts<'a>(file: *mut sqlite3_file) -> (&'a mut State, *mut sqlite3_file) {
    unsafe { (&mut *(*file.cast::<Shim>()).state, file.byte_add(OFFSET)) }
}

/// Calls a method of the real file, or returns an error if it has none.
macro_rules! real {
    ($file:expr, $method:ident $(, $argument:expr)*) => {
        match (*(*$file).pMethods).$method {
            Some(method) => method($file $(, $argument)*),
            None => ffi::SQLITE_IOERR,
        }
    };
}

/// Methods that only pass through.
macro_rules! through {
    ($($name:ident = $method:ident($($argument:ident: $kind:ty),*);)*) => {$(
        unsafe extern "C" fn $name(file: *mut sqlite3_file $(, $argument: $kind)*) -> c_int {
            // SAFETY: SQLite calls this with a file that we have opened.
            unsafe { let (_, real) = parts(file); real!(real, $method $(, $argument)*) }
        }
    )*};
}

through! {
    x_truncate = xTruncate(size: sqlite3_int64);
    x_file_size = xFileSize(size: *mut sqlite3_int64);
    x_lock = xLock(level: c_int);
    x_unlock = xUnlock(level: c_int);
    x_check_reserved_lock = xCheckReservedLock(held: *mut c_int);
    x_sector_size = xSectorSize();
    x_shm_map = xShmMap(region: c_int, size: c_int, extend: c_int, out: *mut *mut c_void);
    x_shm_lock = xShmLock(offset: c_int, count: c_int, flags: c_int);
    x_shm_unmap = xShmUnmap(delete: c_int);
}

unsafe extern "C" fn x_shm_barrier(file: *mut sqlite3_file) {
    // SAFETY: SQLite calls this with a file that we have opened.
    unsafe {
        let (_, real) = parts(file);
        if let Some(method) = (*(*real).pMethods).xShmBarrier {
            method(real);
        }
    }
}

/// Partial reads of pages would bypass the checks.
unsafe extern "C" fn x_device_characteristics(file: *mut sqlite3_file) -> c_int {
    // SAFETY: SQLite calls this with a file that we have opened.
    let all = unsafe {
        let (_, real) = parts(file);
        real!(real, xDeviceCharacteristics)
    };
    all & !ffi::SQLITE_IOCAP_SUBPAGE_READ
}

/// File-system functions that are called with the original.
macro_rules! original {
    ($($name:ident = $method:ident($($argument:ident: $kind:ty),*);)*) => {$(
        unsafe extern "C" fn $name(vfs: *mut sqlite3_vfs $(, $argument: $kind)*) -> c_int {
            // SAFETY: SQLite calls this with our copy, which names the original.
            unsafe {
                let real = (*vfs).pAppData.cast::<sqlite3_vfs>();
                match (*real).$method { Some(method) => method(real $(, $argument)*), None => ffi::SQLITE_IOERR }
            }
        }
    )*};
}

original! {
    x_delete = xDelete(name: *const c_char, sync: c_int);
    x_access = xAccess(name: *const c_char, flags: c_int, out: *mut c_int);
    x_full_pathname = xFullPathname(name: *const c_char, size: c_int, out: *mut c_char);
}

unsafe extern "C" fn x_open(
    vfs: *mut sqlite3_vfs,
    name: ffi::sqlite3_filename,
    file: *mut sqlite3_file,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    // SAFETY: SQLite gives us room for both files, and a name that is null or ends with a zero.
    unsafe {
        let original = (*vfs).pAppData.cast::<sqlite3_vfs>();
        let Some(open) = (*original).xOpen else { return ffi::SQLITE_CANTOPEN };
        let log = flags & ffi::SQLITE_OPEN_WAL != 0;
        if name.is_null() || !(log || flags & ffi::SQLITE_OPEN_MAIN_DB != 0) {
            // Journals and temporary files go to the original only.
            return open(original, name, file, flags, out);
        }
        (*file).pMethods = null();
        let real = file.byte_add(OFFSET);
        (*real).pMethods = null();
        let code = open(original, name, real, flags, out);
        if code != ffi::SQLITE_OK {
            if let Some(close) = (*real).pMethods.as_ref().and_then(|methods| methods.xClose) {
                close(real);
            }
            return code;
        }
        let path = PathBuf::from(OsStr::from_bytes(CStr::from_ptr(name).to_bytes()));
        let state = State::new(path, log);
        (*file.cast::<Shim>()).state = Box::into_raw(Box::new(state));
        (*file).pMethods = &raw const METHODS;
        ffi::SQLITE_OK
    }
}

unsafe extern "C" fn x_close(file: *mut sqlite3_file) -> c_int {
    // SAFETY: SQLite closes each file once; the state is not used afterwards.
    unsafe {
        let (_, real) = parts(file);
        let code = real!(real, xClose);
        drop(Box::from_raw((*file.cast::<Shim>()).state));
        (*file).pMethods = null();
        code
    }
}

unsafe extern "C" fn x_read(file: *mut sqlite3_file, buffer: *mut c_void, bytes: c_int, at: sqlite3_int64) -> c_int {
    // SAFETY: SQLite gives us `bytes` bytes of room, and the read sets all of them, to zero behind the end of the file.
    unsafe {
        let (state, real) = parts(file);
        let code = real!(real, xRead, buffer, bytes, at);
        let (Ok(bytes), Ok(at)) = (usize::try_from(bytes), u64::try_from(at)) else { return code };
        if bytes != PAGE {
            if code == ffi::SQLITE_OK && !state.log && at == 0 {
                state.sealed = seal::is_sealed(std::slice::from_raw_parts(buffer.cast(), bytes));
            }
            return code;
        }
        let page = &mut *buffer.cast::<Page>();
        let read = |at: u64, into: &mut [u8]| {
            let (Ok(bytes), Ok(at)) = (c_int::try_from(into.len()), sqlite3_int64::try_from(at)) else { return false };
            real!(real, xRead, into.as_mut_ptr().cast(), bytes, at) == ffi::SQLITE_OK
        };
        let wrong = match code {
            ffi::SQLITE_OK | ffi::SQLITE_IOERR_SHORT_READ if state.log => state.check_frame(page, at, &read),
            ffi::SQLITE_OK => state.check_page(page, at, &read),
            ffi::SQLITE_IOERR_SHORT_READ if at > 0 && state.sealed && !checks::everything_passes() => {
                Some(format!("page {} (byte {at}) lies beyond the end of the file", at / PAGE as u64 + 1))
            }
            _ => None,
        };
        let Some(detail) = wrong else { return code };
        FOUND.set(Some(Damage { file: state.path.clone(), detail }));
        ffi::SQLITE_IOERR_DATA
    }
}

unsafe extern "C" fn x_write(file: *mut sqlite3_file, buffer: *const c_void, bytes: c_int, at: sqlite3_int64) -> c_int {
    // SAFETY: SQLite gives us `bytes` bytes to write.
    unsafe {
        let (state, real) = parts(file);
        if let Some(code) = state.refuse {
            return code;
        }
        let (Ok(size), Ok(place)) = (usize::try_from(bytes), u64::try_from(at)) else { return ffi::SQLITE_IOERR_WRITE };
        let content = std::slice::from_raw_parts(buffer.cast::<u8>(), size);
        if state.log {
            state.note_frame(content, place);
            return real!(real, xWrite, buffer, bytes, at);
        }
        if place == 0 {
            state.sealed = seal::is_sealed(content);
        } else if !state.sealed {
            state.sealed = is_sealed(real);
        }
        if !state.sealed || size != PAGE || place % PAGE as u64 != 0 {
            return real!(real, xWrite, buffer, bytes, at);
        }
        // A copy: the original is in SQLite's cache.
        let mut page = *buffer.cast::<Page>();
        seal::put(place / PAGE as u64 + 1, &mut page);
        real!(real, xWrite, page.as_ptr().cast(), bytes, at)
    }
}

unsafe extern "C" fn x_sync(file: *mut sqlite3_file, flags: c_int) -> c_int {
    // SAFETY: SQLite calls this with a file that we have opened.
    unsafe {
        let (state, real) = parts(file);
        let code = real!(real, xSync, flags);
        // Within a checkpoint, SQLite syncs the database only after moving everything in the log.
        if code == ffi::SQLITE_OK
            && let Some(moving) = state.moving.take()
            && note::moved(&state.path, &moving).is_err()
        {
            return ffi::SQLITE_IOERR_FSYNC;
        }
        code
    }
}

unsafe extern "C" fn x_file_control(file: *mut sqlite3_file, op: c_int, argument: *mut c_void) -> c_int {
    // SAFETY: SQLite calls this with a file that we have opened; our own operation comes from `index` only.
    unsafe {
        let (state, real) = parts(file);
        match op {
            INDEX if !state.log => {
                *argument.cast::<Option<Position>>() = match wal_index(real) {
                    Some(index) => index.position(),
                    None => Some(Position::default()),
                };
                return ffi::SQLITE_OK;
            }
            ffi::SQLITE_FCNTL_CKPT_START => {
                state.moving = None;
                // What is moved is in the log and synced, and the log must keep it until all of it is in the database.
                // A log does not start over during a checkpoint, so its salts stay.
                match wal_index(real).map(|index| note::moving(&state.path, index.salts(), index.attempted())) {
                    Some(Ok(moving)) => state.moving = moving,
                    Some(Err(error)) if error.kind() == ErrorKind::StorageFull => state.refuse = Some(ffi::SQLITE_FULL),
                    Some(Err(_)) | None => state.refuse = Some(ffi::SQLITE_IOERR_WRITE),
                }
            }
            ffi::SQLITE_FCNTL_CKPT_DONE => state.refuse = None,
            _ => {}
        }
        real!(real, xFileControl, op, argument)
    }
}

/// Whether another connection has sealed the pages of a database since it was opened.
///
/// SAFETY: `real` is an open file of the original file system.
unsafe fn is_sealed(real: *mut sqlite3_file) -> bool {
    let mut header = [0_u8; 100];
    // SAFETY: the buffer has room for what is read.
    let code = unsafe { real!(real, xRead, header.as_mut_ptr().cast(), 100, 0) };
    code == ffi::SQLITE_OK && seal::is_sealed(&header)
}

/// SAFETY: `real` is an open database file of the original file system, and stays open as long as the result is used.
unsafe fn wal_index(real: *mut sqlite3_file) -> Option<Index> {
    let mut region: *mut c_void = null_mut();
    // SAFETY: SQLite writes a pointer there, which may be null.
    let code = unsafe { real!(real, xShmMap, 0, REGION, 0, &raw mut region) };
    // SAFETY: it is the region that was requested, and the caller keeps the file open.
    (code == ffi::SQLITE_OK && !region.is_null()).then(|| unsafe { Index::new(region) })
}
