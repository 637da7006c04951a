//! For tests of printed output: texts that must not reach a terminal unescaped, and a decoder for escapes.

/// Characters of every kind that must not reach a terminal, listed independently of the tested table.
pub const FORBIDDEN: &str = "\0\u{7}\u{8}\t\n\u{b}\u{c}\r\u{1b}\u{7f}\u{80}\u{85}\u{9b}\u{9f}\u{ad}\u{34f}\u{61c}\u{115f}\u{180e}\
    \u{200b}\u{200c}\u{200d}\u{200e}\u{200f}\u{2028}\u{2029}\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2060}\u{2061}\u{2064}\
    \u{2066}\u{2067}\u{2068}\u{2069}\u{206a}\u{206f}\u{3164}\u{fe00}\u{fe0f}\u{feff}\u{ffa0}\u{fff9}\u{fffa}\u{fffb}\
    \u{1d173}\u{e0001}\u{e0020}\u{e007f}\u{e0100}\u{e01ef}";

/// The original of an escaped line.
pub fn read(shown: &str) -> String {
    let (mut text, mut chars) = (String::new(), shown.chars());
    while let Some(c) = chars.next() {
        if c != '\\' {
            text.push(c);
            continue;
        }
        text.push(match chars.next().expect("an escape") {
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            '\\' => '\\',
            '"' => '"',
            '0' => '\0',
            'u' => {
                let digits: String = chars.by_ref().take_while(|c| *c != '}').skip(1).collect();
                char::from_u32(u32::from_str_radix(&digits, 16).expect("digits")).expect("a character")
            }
            other => panic!("\\{other} in {shown}"),
        });
    }
    text
}

/// Whether a terminal shows every character of a line and acts on none.
pub fn hides_nothing(shown: &str) -> bool {
    !shown.contains(|c: char| c.is_control() || FORBIDDEN.contains(c))
}
