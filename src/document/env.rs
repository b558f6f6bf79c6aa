//! Environment files (`.env`): assignments that know where they stand.
//!
//! What shells that source such a file and the usual loaders (python-dotenv, the dotenv packages of Node.js and Ruby)
//! agree on is read as they do: an optional `export `, `KEY=value`, single quotes for literal text, double quotes with
//! `\n`, `\"`, `\\`, `\$` and `` \` ``, text without quotes up to ` #`, comments, CRLF, a byte order mark; quoted text
//! may go over several lines. Nothing is ever expanded or run. What is no assignment is told and left out.

use std::ops::Range;

use zeroize::Zeroizing;

/// An environment file.
pub struct Env {
    /// The assignments, as they stand.
    pub assignments: Vec<Assignment>,
    /// Lines that are none.
    pub unreadable: Vec<Unreadable>,
}

/// `KEY=value`.
pub struct Assignment {
    /// The key: ASCII letters, digits, `_`, `.`, `-`.
    pub key: String,
    /// The value, without quotes and escapes.
    pub value: Zeroizing<String>,
    /// The bytes of the value's text, quotes included; empty where there is none.
    pub span: Range<usize>,
    /// How it is quoted.
    pub quoting: Quoting,
    /// Whether a shell would put something else in: a `$` or backtick that is neither escaped nor in single quotes.
    pub is_reference: bool,
    /// Whether `export` stands before it.
    pub is_exported: bool,
    /// Its line, counted from 1.
    pub line: u64,
    /// Where its last line ends, before the line break.
    pub end: usize,
}

/// How a value is quoted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quoting {
    /// Not at all.
    Bare,
    /// `'literal'`.
    Single,
    /// `"with escapes"`.
    Double,
}

/// A line that is no assignment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// Its number, counted from 1.
    pub line: u64,
    /// The bytes of the line, without its line break.
    pub span: Range<usize>,
    /// What is wrong with it.
    pub fault: Fault,
}

/// Why a line is no assignment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// There is no `=`.
    #[error("expected KEY=value")]
    NoAssignment,
    /// What stands before the `=` is none.
    #[error("expected a name before \"=\"")]
    NoName,
    /// From here on, nobody can tell what is quoted.
    #[error("a quote is not closed")]
    OpenQuote,
    /// A shell would join it to the value; loaders differ.
    #[error("text follows the closing quote")]
    TextAfterQuote,
}

/// The bytes are not UTF-8 text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is not UTF-8 text")]
pub struct NotText;

impl Env {
    /// Reads a file.
    ///
    /// # Errors
    /// [`NotText`].
    pub fn parse(bytes: &[u8]) -> Result<Self, NotText> {
        let text = std::str::from_utf8(bytes).map_err(|_| NotText)?;
        let mut reader = Reader {
            text,
            at: text.len() - text.trim_start_matches('\u{feff}').len(),
            line: 1,
        };
        let mut env = Self {
            assignments: Vec::new(),
            unreadable: Vec::new(),
        };
        while reader.at < text.len() {
            let line = reader.line;
            match reader.assignment() {
                Ok(None) => reader.pass_line(reader.at),
                Ok(Some(assignment)) => {
                    reader.pass_line(assignment.end);
                    env.assignments.push(assignment);
                }
                Err(fault) => {
                    let span = reader.at..reader.end_of_line(reader.at);
                    reader.pass_line(reader.at);
                    env.unreadable.push(Unreadable { line, span, fault });
                }
            }
        }
        Ok(env)
    }

    /// The first line whose quote is not closed: a value changed below it could mean something else.
    pub fn open_quote(&self) -> Option<&Unreadable> {
        let mut lines = self.unreadable.iter();
        lines.find(|line| line.fault == Fault::OpenQuote)
    }
}

/// The text of a value: quoted like the former one, or as the value needs it. `None` where no text is read the same by
/// a shell and by every loader.
///
/// python-dotenv 1.2 takes `\\` and `\'` for escapes in single quotes, `\$` for two characters in double quotes, and
/// expands `${…}` in both.
pub fn literal(value: &str, former: Quoting) -> Option<Zeroizing<String>> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_./:@%+,=-".contains(&byte);
    let (single, double) = (!value.contains(['\'', '\\']), !value.contains(['$', '`']));
    if value.contains("${") || value.contains(char::is_control) {
        return None;
    }
    let quote = match former {
        Quoting::Bare if value.bytes().all(is_plain) => None,
        Quoting::Double if double => Some('"'),
        _ if single => Some('\''),
        _ if double => Some('"'),
        _ => return None,
    };
    // Twice the length: what is escaped takes two bytes.
    let mut text = Zeroizing::new(String::with_capacity(value.len() * 2 + 2));
    text.extend(quote);
    for c in value.chars() {
        if quote == Some('"') && matches!(c, '"' | '\\') {
            text.push('\\');
        }
        text.push(c);
    }
    text.extend(quote);
    Some(text)
}

/// Stands at the beginning of a line.
struct Reader<'a> {
    text: &'a str,
    at: usize,
    line: u64,
}

impl<'a> Reader<'a> {
    fn rest(&self, at: usize) -> &'a str {
        self.text.get(at..).unwrap_or_default()
    }

    /// The end of the line that `at` is in, before its line break.
    fn end_of_line(&self, at: usize) -> usize {
        let rest = self.rest(at);
        let line = rest.split('\n').next().unwrap_or_default();
        at + line.strip_suffix('\r').unwrap_or(line).len()
    }

    /// Moves behind the line that `at` is in.
    fn pass_line(&mut self, at: usize) {
        let next = self.rest(at).find('\n');
        let next = next.map_or(self.text.len(), |length| at + length + 1);
        let passed = self.text.get(self.at..next).unwrap_or_default();
        self.line += passed.bytes().filter(|&byte| byte == b'\n').count() as u64;
        self.at = next;
    }

    /// The assignment that begins in this line; `None` for a comment, an empty line and a mere `export KEY`.
    fn assignment(&self) -> Result<Option<Assignment>, Fault> {
        let end = self.end_of_line(self.at);
        let line = self.text.get(self.at..end).unwrap_or_default().trim();
        if line.is_empty() || line.starts_with('#') {
            return Ok(None);
        }
        let exported = line
            .strip_prefix("export")
            .filter(|rest| rest.starts_with([' ', '\t']));
        let inside = exported.unwrap_or(line);
        let Some((key, _)) = inside.split_once('=') else {
            return match exported {
                Some(_) => Ok(None),
                None => Err(Fault::NoAssignment),
            };
        };
        // Everything is a part of the text: its address says where it stands.
        let value_at = key.as_ptr().addr() - self.text.as_ptr().addr() + key.len() + 1;
        let key = key.trim();
        let in_keys = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
        if key.is_empty() || !key.bytes().all(in_keys) {
            return Err(Fault::NoName);
        }
        let value = self.value(value_at, end)?;
        Ok(Some(Assignment {
            key: key.to_owned(),
            value: value.text,
            end: self.end_of_line(value.span.end),
            span: value.span,
            quoting: value.quoting,
            is_reference: value.is_reference,
            is_exported: exported.is_some(),
            line: self.line,
        }))
    }

    /// The value between the `=` and the end of the line, or of the line where its quote is closed.
    fn value(&self, from: usize, end: usize) -> Result<Value, Fault> {
        let line = self.text.get(from..end).unwrap_or_default();
        let start = end - line.trim_start().len();
        if let Some(quote @ ('\'' | '"')) = line.trim_start().chars().next() {
            return self.quoted(start, quote);
        }
        let mut before = '=';
        let comment = line.find(|c| {
            let found = c == '#' && matches!(before, ' ' | '\t');
            before = c;
            found
        });
        let text = line.get(..comment.unwrap_or(line.len())).unwrap_or(line);
        let text = text.trim();
        // Where there is nothing, a value goes right behind the `=`, so that a comment stays one.
        let start = if text.is_empty() { from } else { start };
        Ok(Value {
            text: Zeroizing::new(text.to_owned()),
            span: start..start + text.len(),
            quoting: Quoting::Bare,
            is_reference: text.contains(['$', '`']),
        })
    }

    /// The quoted value whose opening quote stands at `start`.
    fn quoted(&self, start: usize, quote: char) -> Result<Value, Fault> {
        let is_double = quote == '"';
        let inside = self.rest(start + 1);
        let length = closing(inside, quote).ok_or(Fault::OpenQuote)?;
        let raw = inside.get(..length).unwrap_or_default();
        let span = start..start + length + 2;
        let tail = self.text.get(span.end..self.end_of_line(span.end));
        let tail = tail.unwrap_or_default();
        let is_comment = tail.starts_with([' ', '\t']) && tail.trim().starts_with('#');
        if !is_comment && !tail.trim().is_empty() {
            return Err(if raw.contains('\n') {
                Fault::OpenQuote
            } else {
                Fault::TextAfterQuote
            });
        }
        let mut text = Zeroizing::new(String::with_capacity(length));
        let mut is_reference = false;
        let mut rest = raw.chars().peekable();
        while let Some(c) = rest.next() {
            let escaped = rest.peek().copied();
            match (c, escaped) {
                ('\\', Some('n')) if is_double => text.push('\n'),
                ('\\', Some(c @ ('"' | '\\' | '$' | '`'))) if is_double => text.push(c),
                _ => {
                    is_reference |= is_double && matches!(c, '$' | '`');
                    text.push(c);
                    continue;
                }
            }
            rest.next();
        }
        Ok(Value {
            text,
            span,
            quoting: if is_double {
                Quoting::Double
            } else {
                Quoting::Single
            },
            is_reference,
        })
    }
}

struct Value {
    text: Zeroizing<String>,
    span: Range<usize>,
    quoting: Quoting,
    is_reference: bool,
}

/// The length of what stands before the closing quote.
fn closing(inside: &str, quote: char) -> Option<usize> {
    let mut is_escaped = false;
    inside.find(|c| {
        let found = c == quote && !is_escaped;
        is_escaped = c == '\\' && quote == '"' && !is_escaped;
        found
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn one(text: &str) -> Assignment {
        let mut env = Env::parse(text.as_bytes()).unwrap();
        assert_eq!(env.unreadable, [], "{text}");
        assert_eq!(env.assignments.len(), 1, "{text}");
        env.assignments.remove(0)
    }

    #[test]
    fn values_are_read_as_shells_and_loaders_read_them() {
        for (text, value, literal) in [
            ("A=b", "b", "b"),
            ("export A=b", "b", "b"),
            ("  export\tA = b  ", "b", "b"),
            ("A=", "", ""),
            ("A=   ", "", ""),
            ("A= # nothing", "", ""),
            ("A=#b", "#b", "#b"),
            ("A=b#c # d", "b#c", "b#c"),
            ("A=b\t# 'd'", "b", "b"),
            ("A=b=c==", "b=c==", "b=c=="),
            ("A=it's", "it's", "it's"),
            ("A=b\\nc", "b\\nc", "b\\nc"),
            (
                "A='b \\n\"$c\" # d' # e",
                "b \\n\"$c\" # d",
                "'b \\n\"$c\" # d'",
            ),
            (
                r#"A="b\n\"c\\d\$e\`f\g'#""#,
                "b\n\"c\\d$e`f\\g'#",
                r#""b\n\"c\\d\$e\`f\g'#""#,
            ),
            ("A=\"\"", "", "\"\""),
            ("A=\"b\nc\"", "b\nc", "\"b\nc\""),
            ("A='b\r\nB=c'\r\n", "b\r\nB=c", "'b\r\nB=c'"),
            ("\u{feff}A=b\r\n", "b", "b"),
            ("# x\r\n\r\nexport B\nA=é", "é", "é"),
        ] {
            let read = one(text);
            assert_eq!(
                (read.key.as_str(), read.value.as_str()),
                ("A", value),
                "{text}"
            );
            assert_eq!(&text[read.span.clone()], literal, "{text}");
            assert!(!read.is_reference, "{text}");
            assert!(text[read.end..].chars().all(char::is_whitespace), "{text}");
        }
    }

    #[test]
    fn what_a_shell_would_put_in_is_a_reference() {
        for (text, is_reference) in [
            ("A=$B", true),
            ("A=x${B}", true),
            ("A=$(id)", true),
            ("A=`id`", true),
            ("A=\"x$B\"", true),
            ("A=\"`id`\"", true),
            ("A=\"\\\\$B\"", true),
            ("A=\"\\$B\\`\"", false),
            ("A='$B `id`'", false),
            ("A=b # $B", false),
        ] {
            assert_eq!(one(text).is_reference, is_reference, "{text}");
        }
    }

    #[test]
    fn what_is_no_assignment_is_told_and_the_others_are_read() {
        let text = "A=1\nnonsense\nB C=2\n=3\nD='x' y\nE=\"not closed\nF=4 # \\\"\n'\nG=5";
        let env = Env::parse(text.as_bytes()).unwrap();
        let keys = env.assignments.iter();
        let keys: Vec<_> = keys.map(|one| (one.key.as_str(), one.line)).collect();
        assert_eq!(keys, [("A", 1), ("F", 7), ("G", 9)]);
        let lines = env.unreadable.iter().map(|it| (it.line, it.fault));
        let expected = [
            (2, Fault::NoAssignment),
            (3, Fault::NoName),
            (4, Fault::NoName),
            (5, Fault::TextAfterQuote),
            (6, Fault::OpenQuote),
            (8, Fault::NoAssignment),
        ];
        assert_eq!(lines.collect::<Vec<_>>(), expected);
        assert_eq!(env.open_quote().unwrap().line, 6);
        assert!(Env::parse(b"A=\xff").is_err());
    }

    #[test]
    fn lines_are_counted_over_quoted_ones() {
        let env = Env::parse(b"A='1\n2\n3'\r\nB=4").unwrap();
        assert_eq!(env.assignments[1].line, 4);
        assert_eq!(env.assignments[0].end, 9);
    }

    #[test]
    fn a_literal_keeps_its_quotes_or_gets_what_it_needs() {
        use Quoting::{Bare, Double, Single};
        for (value, former, text) in [
            ("a-b_c=", Bare, Some("a-b_c=")),
            ("a b", Bare, Some("'a b'")),
            ("", Bare, Some("")),
            ("a$b", Bare, Some("'a$b'")),
            ("it's", Bare, Some("\"it's\"")),
            ("ab", Single, Some("'ab'")),
            ("it's", Single, Some("\"it's\"")),
            ("a\\", Single, Some("\"a\\\\\"")),
            ("ab", Double, Some("\"ab\"")),
            ("a\"\\", Double, Some("\"a\\\"\\\\\"")),
            ("a$`", Double, Some("'a$`'")),
            ("it's $5", Double, None),
            ("a\\`", Single, None),
            ("a${B}", Single, None),
            ("a\nb", Double, None),
        ] {
            let written = literal(value, former);
            assert_eq!(written.as_ref().map(|text| text.as_str()), text, "{value}");
        }
    }

    fn quoting() -> impl Strategy<Value = Quoting> {
        prop_oneof![
            Just(Quoting::Bare),
            Just(Quoting::Single),
            Just(Quoting::Double)
        ]
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(value in "[^$]*|[ -~]*|['\"\\\\# =a]*|[\"$`{# =a]*", former in quoting()) {
            let written = literal(&value, former);
            prop_assume!(written.is_some());
            let text = format!("B=1\n  export A={} # c\r\nC=2", *written.unwrap());
            let env = Env::parse(text.as_bytes()).unwrap();
            prop_assert_eq!(&env.unreadable, &[]);
            prop_assert_eq!(env.assignments.len(), 3);
            prop_assert_eq!(env.assignments[1].value.as_str(), &value);
            prop_assert!(!env.assignments[1].is_reference);
        }

        #[test]
        fn one_value_can_be_replaced_in_any_text(
            text in "([AB#'\"\\\\$ \t]|=|\r?\n|export |\nKEY=|\nKEY='x'|\\PC){0,40}",
            value in "[!-~]*",
        ) {
            let env = Env::parse(text.as_bytes()).unwrap();
            prop_assume!(env.open_quote().is_none());
            for (at, one) in env.assignments.iter().enumerate() {
                let Some(written) = literal(&value, one.quoting) else {
                    continue;
                };
                let mut after = text.clone();
                after.replace_range(one.span.clone(), &written);
                let read = Env::parse(after.as_bytes()).unwrap();
                prop_assert_eq!(read.assignments.len(), env.assignments.len(), "{:?}", after);
                for (number, (new, old)) in read.assignments.iter().zip(&env.assignments).enumerate() {
                    let expected = if number == at { &value } else { old.value.as_str() };
                    prop_assert_eq!(new.value.as_str(), expected, "{:?}", after);
                    prop_assert_eq!(&new.key, &old.key);
                }
            }
        }

        #[test]
        fn any_text_is_read_and_every_span_is_where_it_says(
            text in "([AB#='\"\\\\$ \t\r\n\u{feff}é]|export |KEY=|\\PC){0,60}"
        ) {
            let env = Env::parse(text.as_bytes()).unwrap();
            let mut before = 0;
            for one in &env.assignments {
                prop_assert!(before <= one.span.start && one.span.end <= one.end);
                prop_assert!(one.end <= text.len() && text.is_char_boundary(one.end));
                let literal = &text[one.span.clone()];
                let quote = match one.quoting {
                    Quoting::Bare => {
                        prop_assert_eq!(literal, one.value.as_str());
                        continue;
                    }
                    Quoting::Single => '\'',
                    Quoting::Double => '"',
                };
                prop_assert!(literal.len() > 1 && literal.starts_with(quote) && literal.ends_with(quote));
                before = one.end;
            }
        }
    }
}
