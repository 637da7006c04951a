//! The last filter before text leaves the program: replaces values of the configuration's variables, which text from
//! elsewhere may contain, with `${NAME}`.
//!
//! Everything on stderr passes through it: messages, log lines (including those of modules), and the output of `build`
//! commands with variables; on stdout, the texts of errors and channels. The content of events is data, and is printed
//! as it is.

use std::borrow::Cow;
use std::io::{self, BufRead, BufReader, Read};
use std::sync::{Arc, PoisonError, RwLock};

use reactor_config::Secrets;
use reactor_core::event::AttemptRecord;
use reactor_core::store::{DeadLetter, StoredDead};

/// The secrets of each configuration read so far: after a reload, messages may still refer to the earlier ones.
static KNOWN: RwLock<Vec<Arc<Secrets>>> = RwLock::new(Vec::new());

/// Hides these, too, from now on.
pub(super) fn learn(secrets: &Arc<Secrets>) {
    let mut known = KNOWN.write().unwrap_or_else(PoisonError::into_inner);
    if !secrets.is_empty() && !known.contains(secrets) {
        known.push(Arc::clone(secrets));
    }
}

/// A text without the values of variables.
pub(super) fn hide(text: &str) -> Cow<'_, str> {
    let known = KNOWN.read().unwrap_or_else(PoisonError::into_inner);
    known.iter().fold(text.into(), |text, secrets| match secrets.hide(&text) {
        Cow::Borrowed(_) => text,
        Cow::Owned(hidden) => hidden.into(),
    })
}

/// The type or source of an event: as written in the configuration, if a channel's `raw` format sets it for every
/// event.
pub(super) fn name(text: &str) -> String {
    let known = KNOWN.read().unwrap_or_else(PoisonError::into_inner);
    known.iter().find_map(|secrets| secrets.constant(text)).unwrap_or(text).to_owned()
}

/// A dead letter without the values of variables in its own texts; its message stays as it was received.
pub(super) fn letter(mut dead: StoredDead) -> StoredDead {
    let DeadLetter { detail, history, event_type, .. } = &mut dead.letter;
    (*detail, *event_type) = (hide(detail).into_owned(), event_type.as_deref().map(name));
    *history = attempts(std::mem::take(history));
    dead
}

/// The same for attempts.
pub(super) fn attempts(mut history: Vec<AttemptRecord>) -> Vec<AttemptRecord> {
    history.iter_mut().for_each(|attempt| attempt.error = hide(&attempt.error).into_owned());
    history
}

/// The same for bytes; parts that are not text stay as they are.
pub(super) fn hide_bytes(bytes: &[u8]) -> Cow<'_, [u8]> {
    match std::str::from_utf8(bytes) {
        Ok(text) => match hide(text) {
            Cow::Borrowed(_) => bytes.into(),
            Cow::Owned(hidden) => hidden.into_bytes().into(),
        },
        Err(_) => match hide(&String::from_utf8_lossy(bytes)) {
            Cow::Borrowed(_) => bytes.into(),
            Cow::Owned(hidden) if hidden == String::from_utf8_lossy(bytes) => bytes.into(),
            Cow::Owned(hidden) => hidden.into_bytes().into(),
        },
    }
}

/// Copies the output of a child, a line at a time, until it ends.
pub(super) fn pass_on(from: impl Read, mut to: impl io::Write) -> io::Result<()> {
    let mut from = BufReader::new(from);
    let mut line = Vec::new();
    while from.read_until(b'\n', &mut line)? > 0 {
        to.write_all(&hide_bytes(&line))?;
        line.clear();
    }
    Ok(())
}
