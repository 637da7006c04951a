//! Files of events: how they are opened, and the messages in them. The same for every command that reads one.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Cursor, ErrorKind, Read};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use clap::ValueEnum;
use rustix::fs::{OFlags, fcntl_setfl};
use serde::de::IgnoredAny;

use super::exit::{self, Exit};

/// How long to wait for a writer to a named pipe, and how often to check.
const FOR_A_WRITER: Duration = Duration::from_secs(2);
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// A mark that some systems put at the beginning of a text; not part of a line.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// How an input is cut into messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Cut {
    /// One message if the input is a single JSON document; lines if any of its lines is JSON by itself; otherwise one message
    Auto,
    /// One message per line, without its line end; empty lines are skipped
    Lines,
    /// The whole input is one message, byte for byte
    Whole,
}

/// One message of an input.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Piece {
    /// Its line, from 1 on; `None` if it is the whole input.
    pub(super) line: Option<u64>,
    /// Its bytes; only the first ones if it exceeds the limit.
    pub(super) body: Vec<u8>,
    /// Its size in bytes.
    pub(super) size: usize,
}

impl Piece {
    /// Its place in the input, in words.
    pub(super) fn place(&self) -> String {
        place(self.line)
    }
}

/// The place of a piece, in words, by its line.
pub(super) fn place(line: Option<u64>) -> String {
    line.map_or_else(|| "the input as a whole".to_owned(), |line| format!("line {line}"))
}

/// The messages of an input, read on demand.
pub(super) struct Pieces {
    input: Box<dyn BufRead>,
    cut: Cut,
    limit: usize,
    line: u64,
    is_over: bool,
}

impl Pieces {
    /// Opens a file, a pipe, or standard input if the path is `-`. Keeps little more of a message than `limit`.
    pub(super) fn open(path: &Path, cut: Cut, limit: usize) -> Result<Self, Exit> {
        let input = if path.as_os_str() == "-" { Box::new(io::stdin().lock()) } else { open(path)? };
        Ok(Self::new(input, cut, limit)?)
    }

    /// Examines the beginning of an input to decide how to split it.
    fn new(mut input: Box<dyn BufRead>, cut: Cut, limit: usize) -> io::Result<Self> {
        let most = match cut {
            Cut::Auto => limit + BYTE_ORDER_MARK.len() + 1,
            Cut::Lines => BYTE_ORDER_MARK.len(),
            Cut::Whole => 0,
        };
        let mut head = Vec::new();
        input.by_ref().take(most as u64).read_to_end(&mut head)?;
        let bare = head.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&head);
        let cut = if cut == Cut::Auto && has_lines(bare, head.len() < most) { Cut::Lines } else { cut };
        if cut == Cut::Lines {
            head.drain(..head.len() - bare.len());
        }
        let cut = if cut == Cut::Auto { Cut::Whole } else { cut };
        Ok(Self { input: Box::new(Cursor::new(head).chain(input)), cut, limit, line: 0, is_over: false })
    }

    /// The next message.
    pub(super) fn next(&mut self) -> io::Result<Option<Piece>> {
        if self.cut == Cut::Whole { self.whole() } else { self.next_line() }
    }

    fn whole(&mut self) -> io::Result<Option<Piece>> {
        let mut body = Vec::new();
        if !std::mem::replace(&mut self.is_over, true) {
            self.input.by_ref().take(self.limit as u64 + 1).read_to_end(&mut body)?;
        }
        if body.is_empty() {
            return Ok(None);
        }
        let rest = if body.len() > self.limit { io::copy(&mut self.input, &mut io::sink())? } else { 0 };
        let size = body.len().saturating_add(usize::try_from(rest).unwrap_or(usize::MAX));
        Ok(Some(Piece { line: None, body, size }))
    }

    fn next_line(&mut self) -> io::Result<Option<Piece>> {
        loop {
            let mut body = Vec::new();
            // The line end may have two bytes.
            let most = self.limit + 3;
            let kept = self.input.by_ref().take(most as u64).read_until(b'\n', &mut body)?;
            if kept == 0 {
                return Ok(None);
            }
            self.line += 1;
            let mut size = kept;
            if kept == most && !body.ends_with(b"\n") {
                size += self.input.skip_until(b'\n')?;
            } else {
                size = without_end(&body).len();
                body.truncate(size);
            }
            if !body.trim_ascii().is_empty() {
                return Ok(Some(Piece { line: Some(self.line), body, size }));
            }
        }
    }
}

/// A line without its line end, which may have two bytes.
fn without_end(line: &[u8]) -> &[u8] {
    let Some(line) = line.strip_suffix(b"\n") else { return line };
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Whether an input is lines, judged by its beginning, or by `all` of it.
///
/// One broken line must not decide for the others, so any line can show it by being JSON by itself; if none is, then
/// all of them must look like objects. The lines of a single document are only parts of it.
fn has_lines(head: &[u8], all: bool) -> bool {
    let is_json = |text: &[u8]| serde_json::from_slice::<IgnoredAny>(text).map(|_| ());
    let mut lines: Vec<&[u8]> = head.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).collect();
    let cut_off = if all { None } else { lines.pop() };
    lines.retain(|line| !line.is_empty());
    let whole = is_json(head);
    match (lines.as_slice(), &whole) {
        // A long line that is cut off leaves nothing.
        ([], _) => return true,
        ([_], _) if cut_off.is_none() => return true,
        (_, Ok(())) => return false,
        // The beginning of a document above the limit.
        (_, Err(error)) if !all && error.is_eof() => return false,
        _ => {}
    }
    let is_object = |line: &&[u8]| line.starts_with(b"{") && line[1..].trim_ascii_start().starts_with(b"\"");
    let is_document = |line: &&[u8]| (is_object(line) || line.starts_with(b"[")) && line.len() > 2;
    let any = lines.iter().any(|line| is_document(line) && is_json(line).is_ok());
    any || is_json(lines[0]).is_ok() || lines.iter().all(is_object) || cut_off.is_some_and(|line| is_object(&line))
}

/// Opens a file. Opening a pipe without a writer would block for ever, so there is a time limit.
fn open(path: &Path) -> Result<Box<dyn BufRead>, Exit> {
    let shown = path.display();
    let cannot = || format!("cannot read {shown}");
    let nonblocking = OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(nonblocking).open(path).with_context(cannot)?;
    let kind = file.metadata().with_context(cannot)?.file_type();
    if kind.is_dir() {
        return Err(Exit::new(exit::USAGE, anyhow!("{shown} is a folder; give a file, or - for standard input")));
    }
    let first = if kind.is_fifo() { first_of_pipe(&file).with_context(cannot)? } else { Vec::new() };
    if kind.is_fifo() && first.is_empty() {
        let seconds = FOR_A_WRITER.as_secs();
        let error =
            anyhow!("{shown} is a pipe, and nothing was written to it within {seconds} s; start the writer first");
        return Err(Exit::new(exit::FAILURE, error));
    }
    fcntl_setfl(&file, OFlags::empty()).map_err(io::Error::from).with_context(cannot)?;
    Ok(Box::new(Cursor::new(first).chain(BufReader::with_capacity(1 << 20, file))))
}

/// The first bytes of a pipe; empty if there was no writer in time. An existing writer may take as long as it likes.
fn first_of_pipe(mut pipe: &File) -> io::Result<Vec<u8>> {
    let mut first = vec![0; 4_096];
    let (start, mut has_writer) = (Instant::now(), false);
    loop {
        match pipe.read(&mut first) {
            Ok(0) if has_writer || start.elapsed() >= FOR_A_WRITER => return Ok(Vec::new()),
            Ok(0) => {}
            Ok(read) => {
                first.truncate(read);
                return Ok(first);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => has_writer = true,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMIT: usize = 200;

    fn pieces(input: &[u8], cut: Cut) -> Vec<Piece> {
        let mut pieces = Pieces::new(Box::new(Cursor::new(input.to_vec())), cut, LIMIT).unwrap();
        std::iter::from_fn(|| pieces.next().unwrap()).collect()
    }

    fn bodies(input: &[u8], cut: Cut) -> Vec<(Option<u64>, String)> {
        let text = |piece: Piece| (piece.line, String::from_utf8_lossy(&piece.body).into_owned());
        pieces(input, cut).into_iter().map(text).collect()
    }

    fn event(n: usize) -> String {
        format!("{{\"eventId\":\"{n}\",\"eventType\":\"t\",\"data\":{{\"n\":{n}}}}}")
    }

    #[test]
    fn a_document_is_one_event_and_lines_are_many() {
        for document in [
            "{\n \"a\": [\n  {}\n ]\n}\n",
            "[\n{\"a\":1},\n{\"a\":2}\n]",
            "{\"a\":\n1,\n oops }",
            "a\nb\n",
            "\0\n\n{\n",
        ] {
            assert_eq!(bodies(document.as_bytes(), Cut::Auto), [(None, document.to_owned())], "byte for byte");
        }
        for (lines, expected) in [
            ("{\"a\":1}\n\n {\"a\":2} \r\n", &[(1, "{\"a\":1}"), (3, " {\"a\":2} ")][..]),
            ("1\n2", &[(1, "1"), (2, "2")]),
            ("hello \n", &[(1, "hello ")]),
            ("{\"a\":1\n{\"b\":2\n", &[(1, "{\"a\":1"), (2, "{\"b\":2")]),
            ("\u{feff}oops\r\n{\"a\":1}", &[(1, "oops"), (2, "{\"a\":1}")]),
            ("\u{feff}{\"a\":1}\r\n{\"a\":2}\r\n", &[(1, "{\"a\":1}"), (2, "{\"a\":2}")]),
            ("\n \n", &[]),
            ("", &[]),
        ] {
            let expected: Vec<_> = expected.iter().map(|(line, text)| (Some(*line), (*text).to_owned())).collect();
            assert_eq!(bodies(lines.as_bytes(), Cut::Auto), expected, "{lines:?}");
        }
        assert_eq!(bodies(b"\xef\xbb\xbfa\n\nb", Cut::Lines), [(Some(1), "a".to_owned()), (Some(3), "b".to_owned())]);
    }

    #[test]
    fn the_whole_input_is_taken_as_it_is_and_its_size_is_told() {
        for input in [&b"\x01\x02\x03 \n"[..], b" ", b"\xef\xbb\xbf{}\n"] {
            assert_eq!(pieces(input, Cut::Whole), [Piece { line: None, body: input.to_vec(), size: input.len() }]);
        }
        let long = vec![b'x'; 3 * LIMIT];
        let found = pieces(&long, Cut::Whole);
        assert_eq!((found.len(), found[0].size, found[0].body.len()), (1, 3 * LIMIT, LIMIT + 1));
    }

    #[test]
    fn lines_up_to_the_limit_are_whole_and_longer_ones_are_measured() {
        for end in ["", "\n", "\r\n"] {
            for length in [LIMIT - 1, LIMIT, LIMIT + 1, LIMIT + 2, LIMIT + 5, 7 * LIMIT] {
                let input = format!("{}{end}", "x".repeat(length));
                let found = pieces(format!("{}\n{input}", event(1)).as_bytes(), Cut::Auto);
                assert_eq!(found.len(), 2);
                assert!(found[1].size.abs_diff(length) <= 2 && (found[1].size > LIMIT) == (length > LIMIT), "{length}");
                assert!(length > LIMIT || found[1].body.len() == length);
            }
        }
        let document = format!("{{\n\"a\":\n\"{}\"\n}}", "x".repeat(2 * LIMIT));
        assert_eq!(pieces(document.as_bytes(), Cut::Auto).len(), 1, "too large, and still one");
    }

    proptest! {
        /// Damage to one line, even the first, does not change how the others are read, however long the file is.
        #[test]
        fn a_broken_line_decides_nothing_about_the_others(
            count in 2usize..40, at in any::<prop::sample::Index>(), keep in any::<prop::sample::Index>(),
            broken in prop_oneof![Just(String::new()), "[ -~]{1,20}", Just("x".repeat(3 * LIMIT)), Just("{\"".repeat(LIMIT))],
            end in prop_oneof![Just("\n"), Just("\r\n")], mark in any::<bool>(),
        ) {
            let mut lines: Vec<String> = (0..count).map(event).collect();
            let at = at.index(count);
            // The line is cut off, or is other text.
            lines[at] = if broken.is_empty() { lines[at][..keep.index(lines[at].len() - 1) + 1].to_owned() } else { broken };
            let text = format!("{}{}", if mark { "\u{feff}" } else { "" }, lines.join(end));
            let found = bodies(text.as_bytes(), Cut::Auto);
            for (index, line) in lines.iter().enumerate().filter(|(index, _)| *index != at) {
                prop_assert!(found.contains(&(Some(index as u64 + 1), line.clone())), "{index} of {text}");
            }
        }
    }
}
