//! Texts in which `*` stands for any characters, as in EventBridge.

use super::{SyntaxError, Wildcard};

impl Wildcard {
    /// Parses `dir/*.png`; `\*` is an asterisk, and `\\` a backslash.
    ///
    /// # Errors
    /// If two `*` are adjacent, or a backslash precedes any other character or ends the text.
    pub fn parse(text: &str) -> Result<Self, SyntaxError> {
        let fail = |at: usize, reason: &str| Err(SyntaxError { at, reason: reason.to_owned() });
        let (mut pieces, mut piece, mut after_star) = (Vec::new(), String::new(), false);
        let mut characters = text.char_indices();
        while let Some((at, character)) = characters.next() {
            match character {
                '*' if after_star => return fail(at, "two `*` side by side; one stands for any characters already"),
                '*' => pieces.push(std::mem::take(&mut piece)),
                '\\' => match characters.next() {
                    Some((_, escaped @ ('*' | '\\'))) => piece.push(escaped),
                    _ => {
                        return fail(at, "a backslash stands before `*` or another backslash only; write two for one");
                    }
                },
                other => piece.push(other),
            }
            after_star = character == '*';
        }
        pieces.push(piece);
        Ok(Self { pieces })
    }

    /// Whether the wildcard matches a text.
    pub fn matches(&self, text: &str) -> bool {
        let Some((first, rest)) = self.pieces.split_first() else { return false };
        let Some((last, middle)) = rest.split_last() else { return text == first };
        let Some(mut text) = text.strip_prefix(first.as_str()).and_then(|text| text.strip_suffix(last.as_str())) else {
            return false;
        };
        // Matching each piece as early as possible leaves the most room for later ones.
        middle.iter().all(|piece| match text.find(piece.as_str()) {
            Some(at) => {
                text = &text[at + piece.len()..];
                true
            }
            None => false,
        })
    }

    /// Whether it ends with a star.
    pub fn is_open_ended(&self) -> bool {
        self.pieces.len() > 1 && self.pieces.last().is_some_and(String::is_empty)
    }

    /// Whether it begins with a star.
    pub fn is_open_fronted(&self) -> bool {
        self.pieces.len() > 1 && self.pieces.first().is_some_and(String::is_empty)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn wildcard(text: &str) -> Wildcard {
        Wildcard::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn a_star_stands_for_any_characters() {
        for (text, found, expected) in [
            ("dir/*.png", "dir/a/b.png", true),
            ("dir/*.png", "dir/.png", true),
            ("dir/*.png", "dir/a.jpg", false),
            ("*", "", true),
            ("*", "anything", true),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("*b*", "abc", true),
            ("*b*c*", "acb", false),
            ("plain", "plain", true),
            ("plain", "plainly", false),
            ("", "", true),
            ("", "a", false),
            (r"1\*2", "1*2", true),
            (r"1\*2", "1x2", false),
            (r"a\\*", r"a\b", true),
        ] {
            assert_eq!(wildcard(text).matches(found), expected, "{text} on {found}");
        }
    }

    #[test]
    fn mistakes_are_shown_where_they_are() {
        for (text, at) in [("a**b", 2), (r"a\b", 1), (r"ab\", 2), (r"\", 0)] {
            assert_eq!(Wildcard::parse(text).expect_err(text).at, at, "{text}");
        }
    }

    /// Tries every length for every star.
    fn slowly(pattern: &[char], text: &[char]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some(('*', rest)) => (0..=text.len()).any(|skipped| slowly(rest, &text[skipped..])),
            Some((first, rest)) => text.first() == Some(first) && slowly(rest, &text[1..]),
        }
    }

    proptest! {
        #[test]
        fn it_decides_as_trying_everything_does(pattern in "([ab]|[ab]\\*){0,4}", start in "\\*?", text in "[ab]{0,8}") {
            let pattern = start + &pattern;
            let characters = |text: &str| text.chars().collect::<Vec<_>>();
            prop_assert_eq!(wildcard(&pattern).matches(&text), slowly(&characters(&pattern), &characters(&text)));
        }

        #[test]
        fn any_text_is_read_or_refused_within_itself(text in ".{0,20}") {
            if let Err(error) = Wildcard::parse(&text) {
                prop_assert!(error.at < text.len() && text.is_char_boundary(error.at));
            }
        }
    }
}
