//! The last net before text leaves the program: values of the configuration's variables, which the words of others may
//! have in them, are replaced by `${NAME}`.
//!
//! Everything on stderr goes through it: messages, log lines (those of modules, too), and what a `build` command with
//! variables prints; on stdout, what errors and channels say. What events carry is data, and printed as it is.

use std::borrow::Cow;
use std::io::{self, BufRead, BufReader, Read};
use std::sync::{Arc, PoisonError, RwLock};

use reactor_config::Secrets;
use reactor_core::event::AttemptRecord;
use reactor_core::store::{DeadLetter, StoredDead};

/// Of each configuration that was read: after a reload, what began before it may still be told of.
static KNOWN: RwLock<Vec<Arc<Secrets>>> = RwLock::new(Vec::new());

/// From now on these are hidden, too.
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

/// The type or source of an event: as it was written, if a channel's `raw` format gives it to every event.
pub(super) fn name(text: &str) -> String {
    let known = KNOWN.read().unwrap_or_else(PoisonError::into_inner);
    known.iter().find_map(|secrets| secrets.constant(text)).unwrap_or(text).to_owned()
}

/// A dead letter without the values of variables in what it says of itself; its message is as it came.
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

/// The same for bytes, of which what is no text stays as it is.
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

/// Copies what a child prints, a line at a time, until it ends.
pub(super) fn pass_on(from: impl Read, mut to: impl io::Write) -> io::Result<()> {
    let mut from = BufReader::new(from);
    let mut line = Vec::new();
    while from.read_until(b'\n', &mut line)? > 0 {
        to.write_all(&hide_bytes(&line))?;
        line.clear();
    }
    Ok(())
}
