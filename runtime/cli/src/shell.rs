//! Commands of the configuration, run by a shell that gets their variables by its environment.
//!
//! The text of a command is the file's alone. Where a variable stands in it, the shell expands a variable of its own,
//! so that a value, whatever is in it, is never read as a part of the command, and stands in no list of processes.

use std::process::Command;

use reactor_config::{Part, Written};

/// The names of the variables that the shell gets, with their number behind. They are not those of the file: a name of
/// the shell's own, such as `PWD`, would get another value, and a default is not to be seen by what the command runs.
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

/// What a place in a command stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Inside {
    /// `'...'`, in which the shell expands nothing.
    Single,
    /// `"..."`
    Double,
    /// `$(...)` or `(...)`, in which quoting begins again.
    Parentheses,
    /// `` `...` ``, likewise.
    Backquotes,
    /// `${...}`
    Braces,
    /// `# ...`
    Comment,
}

/// How far a command has been read.
#[derive(Debug, Default)]
struct Quoting {
    open: Vec<Inside>,
    /// The character before, unless a backslash took its meaning away.
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

    /// A value was put in: the next character stands inside a word.
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

    /// Whether a quote stands for itself: in `"${name:-it's}"`.
    fn in_quotes(&self) -> bool {
        self.open.ends_with(&[Inside::Double, Inside::Braces])
    }

    /// What expands a variable here. In single quotes they are left for it, and in double quotes it stays one word.
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

    /// What a command prints, if a variable has this value.
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
