//! Bytes as text, and as JSON that has been checked.

use reactor_core::json;

use super::error::{DecodeError, Reason};

/// Text without the byte order mark that it may begin with: a reader of JSON may ignore one (RFC 8259, section 8.1).
pub(super) fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

/// Bytes as checked JSON text, without a byte order mark and the space around it.
pub(super) fn checked_json(bytes: &[u8]) -> Result<&str, DecodeError> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        // What Windows programs call Unicode.
        let other = if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
            " (the byte order mark is that of UTF-16)"
        } else {
            ""
        };
        let detail = format!(
            "the bytes from offset {} on are not UTF-8, which JSON has to be{other}; \
             send UTF-8, or set the channel's `format` to \"raw\"",
            error.valid_up_to()
        );
        DecodeError::new(Reason::NotUtf8, detail)
    })?;
    let text = without_mark(text);
    if text.trim_ascii().is_empty() {
        return Err(DecodeError::new(Reason::Empty, "the message has no body; send an event in it"));
    }
    json::check(text)?;
    Ok(text.trim_ascii())
}
