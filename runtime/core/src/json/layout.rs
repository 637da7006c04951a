//! Reformats JSON token by token: digits, escapes and the order of members stay as they were sent.

/// On one line, without spaces.
pub fn compact(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    tokens(json, |token| out.push_str(token));
    out
}

/// One member or element per line, indented by two spaces.
pub fn pretty(json: &str) -> String {
    let mut out = String::with_capacity(json.len() * 2);
    let (mut depth, mut opened) = (0_usize, false);
    let new_line = |out: &mut String, depth: usize| {
        out.push('\n');
        out.extend(std::iter::repeat_n("  ", depth));
    };
    tokens(json, |token| {
        let closes = matches!(token, "}" | "]");
        if closes {
            depth = depth.saturating_sub(1);
        }
        // An empty array or object stays on its line.
        if opened != closes {
            new_line(&mut out, depth);
        }
        opened = matches!(token, "{" | "[");
        out.push_str(token);
        match token {
            "{" | "[" => depth += 1,
            ":" => out.push(' '),
            "," => new_line(&mut out, depth),
            _ => {}
        }
    });
    out
}

/// Passes on brackets, commas, colons and values, one by one. Text that is not JSON is passed on as some text.
fn tokens<'j>(json: &'j str, mut take: impl FnMut(&'j str)) {
    let bytes = json.as_bytes();
    let mut at = 0;
    while let Some(first) = bytes.get(at) {
        let length = match first {
            b' ' | b'\t' | b'\r' | b'\n' => {
                at += 1;
                continue;
            }
            b'{' | b'}' | b'[' | b']' | b',' | b':' => 1,
            b'"' => string(&bytes[at..]),
            _ => bytes[at..].iter().position(|byte| b" \t\r\n{}[],:\"".contains(byte)).unwrap_or(bytes.len() - at),
        };
        take(&json[at..at + length]);
        at += length;
    }
}

/// The length of a string with its quotes.
fn string(bytes: &[u8]) -> usize {
    let mut escaped = false;
    let end = bytes.iter().skip(1).position(|byte| {
        let ends = *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        ends
    });
    end.map_or(bytes.len(), |end| end + 2)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn digits_and_escapes_stay() {
        let sent =
            r#"{ "n" : 123456789012345678901234567890 , "d":[ 0.10,1e400 ],"s":"\u00e4 \"x\" \\", "e" : {} ,"l":[ ]}"#;
        assert_eq!(
            compact(sent),
            r#"{"n":123456789012345678901234567890,"d":[0.10,1e400],"s":"\u00e4 \"x\" \\","e":{},"l":[]}"#
        );
        let lines = [
            "{",
            r#"  "n": 123456789012345678901234567890,"#,
            r#"  "d": ["#,
            "    0.10,",
            "    1e400",
            "  ],",
            r#"  "s": "\u00e4 \"x\" \\","#,
            r#"  "e": {},"#,
            r#"  "l": []"#,
            "}",
        ];
        assert_eq!(pretty(sent), lines.join("\n"));
        for scalar in ["0.10", "\"a b\"", "null", "-1E+2"] {
            assert_eq!((compact(scalar), pretty(scalar)), (scalar.to_owned(), scalar.to_owned()));
        }
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf =
            prop_oneof![Just(Value::Null), any::<i64>().prop_map(|n| json!(n)), any::<String>().prop_map(|s| json!(s))];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(any::<String>(), inner, 0..4).prop_map(|map| json!(map)),
            ]
        })
    }

    proptest! {
        #[test]
        fn it_is_laid_out_as_others_do(value in value()) {
            let (short, long) = (value.to_string(), serde_json::to_string_pretty(&value).expect("JSON"));
            prop_assert_eq!(&compact(&long), &short);
            prop_assert_eq!(&pretty(&short), &long);
            prop_assert_eq!(&pretty(&long), &long);
        }

        #[test]
        fn any_text_is_survived(text in any::<String>()) {
            compact(&text);
            pretty(&text);
        }
    }
}
