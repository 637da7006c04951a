//! Commands of the configuration, run by a shell that gets their variables through its environment.
//!
//! The text of a command comes from the file only. In place of each variable, the shell expands its own variable, so
//! that a value is never parsed as part of the command and never appears in a list of processes.

use std::process::Command;

use reactor_config::{Part, Written};

/// The names of the shell's variables, followed by a number. They differ from those in the file: a name that the shell
/// itself uses, such as `PWD`, would get another value, and the command must not see a default.
const PREFIX: &str = "REACTOR_BUILD_";

/// `sh -c` with the command.
pub(super) fn shell(command: &Written) -> Command {
    let mut quoting = Quoting::default();
    let (mut text, mut values) = (String::new(), Vec::new());
    for part in command.parts() {
        match part {
            Part::Literal(literal) => {
                quoting.read(literal);
                text += literal;
            }
            Part::Variable { value, .. } => {
                let name = format!("{PREFIX}{}", values.len() + 1);
                text += &quoting.expansion(&name);
                values.push((name, value));
                quoting.value();
            }
        }
    }
    let mut shell = Command::new("sh");
    shell.args(["-c", &text]).envs(values);
    shell
}

/// The context of a place in a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Inside {
    /// `'...'`, in which the shell expands nothing.
    Single,
    /// `"..."`
    Double,
    /// `$(...)` or `(...)`, in which quoting starts over.
    Parentheses,
    /// `` `...` ``, likewise.
    Backquotes,
    /// `${...}`
    Braces,
    /// `# ...`
    Comment,
}

/// The state of reading a command.
#[derive(Debug, Default)]
struct Quoting {
    open: Vec<Inside>,
    /// The previous character, unless a backslash escaped it.
    before: Option<char>,
    escaped: bool,
}

impl Quoting {
    fn read(&mut self, text: &str) {
        for c in text.chars() {
            if std::mem::take(&mut self.escaped) {
                self.before = Some('\\');
                continue;
            }
            self.next(c);
            self.before = Some(c);
        }
    }

    /// A value was inserted: the next character is inside a word.
    fn value(&mut self) {
        (self.before, self.escaped) = (Some('}'), false);
    }

    fn next(&mut self, c: char) {
        use Inside::{Backquotes, Braces, Comment, Double, Parentheses, Single};
        let begins_word = self.before.is_none_or(|before| before.is_whitespace() || ";&|()`".contains(before));
        match (self.open.last(), c) {
            (Some(Single), '\'') | (Some(Comment), '\n') => drop(self.open.pop()),
            (Some(Single | Comment), _) => {}
            (_, '\\') => self.escaped = true,
            (Some(Double), '"') | (Some(Backquotes), '`') | (Some(Parentheses), ')') | (Some(Braces), '}') => {
                self.open.pop();
            }
            (_, '"') => self.open.push(Double),
            (_, '`') => self.open.push(Backquotes),
            (_, '(') if self.before == Some('$') => self.open.push(Parentheses),
            (_, '{') if self.before == Some('$') => self.open.push(Braces),
            (Some(Double), _) => {}
            (_, '\'') if !self.in_quotes() => self.open.push(Single),
            (_, '(') => self.open.push(Parentheses),
            (_, '#') if begins_word => self.open.push(Comment),
            _ => {}
        }
    }

    /// Whether a quote is literal: in `"${name:-it's}"`.
    fn in_quotes(&self) -> bool {
        self.open.ends_with(&[Inside::Double, Inside::Braces])
    }

    /// The text that expands a variable here. It leaves single quotes first, and stays one word in double quotes.
    fn expansion(&self, name: &str) -> String {
        match self.open.last() {
            Some(Inside::Single) => format!("'\"${{{name}}}\"'"),
            _ => format!("${{{name}}}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// The output of a command, if a variable has this value.
    fn printed(command: &str, value: &str) -> String {
        let file = format!(
            "[channels.a]\nkind = \"local\"\n[reactors.r]\nmodule = \"r.wasm\"\nfrom = \"a\"\non = \"a\"\nbuild = '''{command}'''\n"
        );
        let env = |name: &str| (name == "X").then(|| value.to_owned());
        let loaded = reactor_config::parse(&file, Path::new("reactors.toml"), &env, crate::kinds::KINDS);
        let loaded = loaded.unwrap_or_else(|problems| panic!("{}", problems.render(false)));
        let build = loaded.config.reactors["r"].build.clone().expect("a command");
        let mut shell = shell(&build);
        assert!(value.len() < 4 || !format!("{:?}", shell.get_args()).contains(value), "{command}");
        let output = shell.output().expect("a shell");
        assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    }

    #[test]
    fn a_value_is_never_a_part_of_the_command() {
        let places = [
            "printf %s \"${X}\"",
            "printf %s '${X}'",
            "printf %s ''\"${X}\"",
            "printf %s \"$$(printf %s \"${X}\")\"",
            "printf %s \"$$(printf %s '${X}')\"",
            "Y=${X}; printf %s \"$$Y\"",
            "# it's a comment\nprintf %s '${X}'",
            "printf %s \"it's\" >/dev/null; printf %s '${X}'",
            "printf %s \\' >/dev/null; printf %s '${X}'",
            "(printf %s '${X}')",
            "printf %s \"`printf %s '${X}'`\"",
            "printf %s a#'${X}' | cut -c 3-",
            "printf %s \"$${NONE:-it's}\" >/dev/null; printf %s '${X}'",
        ];
        for value in ["canary one", "'; echo no; '", "\"; echo no; \"", "$(echo no)", "`echo no`", "*", "a\\b", "#", ""]
        {
            for place in places {
                assert_eq!(printed(place, value).trim_end_matches('\n'), value, "{place}");
            }
        }
    }

    #[test]
    fn what_worked_goes_on_working() {
        for (command, value, expected) in [
            ("printf '<%s>' ${X}", "--release  --target x", "<--release><--target><x>"),
            ("printf '<%s>' \"${X}\"", "--release --target x", "<--release --target x>"),
            ("printf %s ${NONE:-a} ${NONE:-b}", "", "ab"),
            ("Y=5; printf %s $$Y $${Y}", "", "55"),
            ("printf %s \"${X}/${X}\"", "a", "a/a"),
            ("${X} %s a", "printf", "a"),
            ("printf %s pre${X}post", "-", "pre-post"),
            ("printf %s $$((${X} + 1))", "41", "42"),
        ] {
            assert_eq!(printed(command, value), expected, "{command}");
        }
    }
}
