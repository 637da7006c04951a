//! JSON pointers (RFC 6901).

use std::fmt;

use super::{Pointer, SyntaxError};

impl Pointer {
    /// Parses `/data/orderId`; `~1` stands for `/` and `~0` for `~` inside a token.
    ///
    /// # Errors
    /// If the text is empty (the whole event), does not begin with `/`, or has a `~` without 0 or 1.
    pub fn parse(text: &str) -> Result<Self, SyntaxError> {
        let fail = |at: usize, reason: String| Err(SyntaxError { at, reason });
        let Some(path) = text.strip_prefix('/') else {
            let hint = if text.is_empty() || text.contains(char::is_whitespace) { "data/orderId" } else { text };
            let hint = hint.trim_start_matches(['$', '.']).replace('.', "/");
            return fail(0, format!("a JSON pointer begins with `/`; write `/{hint}`"));
        };
        if let Some((at, _)) = text.match_indices('~').find(|(at, _)| !text[at + 1..].starts_with(['0', '1'])) {
            return fail(at, "`~` must be followed by 0 or 1; write `~0` for `~` and `~1` for `/`".to_owned());
        }
        // In this order, so that `~01` becomes `~1` and not `/` (RFC 6901, section 4).
        let tokens = path.split('/').map(|token| token.replace("~1", "/").replace("~0", "~")).collect();
        Ok(Self { text: text.to_owned(), tokens })
    }
}

impl fmt::Debug for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.text)
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn tokens_are_unescaped() {
        for (text, tokens) in [
            ("/data/orderId", &["data", "orderId"][..]),
            ("/a~1b/m~0n", &["a/b", "m~n"]),
            ("/~01", &["~1"]),
            ("/", &[""]),
            ("/a//b", &["a", "", "b"]),
            ("/items/0", &["items", "0"]),
        ] {
            let pointer = Pointer::parse(text).expect(text);
            assert_eq!(pointer.tokens, tokens, "{text}");
            assert_eq!(pointer.to_string(), text);
        }
    }

    #[test]
    fn mistakes_are_shown_where_they_are() {
        for (text, at, words) in [
            ("", 0, "write `/data/orderId`"),
            ("data/orderId", 0, "write `/data/orderId`"),
            ("$.data.orderId", 0, "write `/data/orderId`"),
            ("/a/b~c", 4, "followed by 0 or 1"),
            ("/a~", 2, "followed by 0 or 1"),
        ] {
            let error = Pointer::parse(text).expect_err(text);
            assert!(error.reason.contains(words), "{text}: {error}");
            assert_eq!(error.at, at, "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn a_pointer_finds_what_serde_json_finds(keys in proptest::collection::vec("[a/~01é]{0,3}", 1..4)) {
            let text: String = keys.iter().map(|key| format!("/{}", key.replace('~', "~0").replace('/', "~1"))).collect();
            let pointer = Pointer::parse(&text).expect("escaped");
            prop_assert_eq!(pointer.tokens, keys);
        }
    }
}
