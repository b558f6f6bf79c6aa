//! YAML: reading it, and spelling strings.
//!
//! YAML 1.1 and 1.2 read some words differently (`no`, `0o17`, `12:30`), and programs of both are in use: only what is
//! a string to both is one here, and what would not be is written in quotes.

use std::{borrow::Cow, collections::HashMap, fmt::Write as _, ops::Range};

use serde_saphyr::granit_parser::{Event, Parser, ScalarStyle, Span, Tag};
use zeroize::Zeroizing;

use super::{
    Kind, Member, Node, SyntaxError,
    syntax::{lower_case, text},
};

/// Parses one document. An alias of a scalar is a value like it, at the place of the alias; an alias of a list or a map
/// is not followed, so that nothing can be told to grow. A file without a document is null.
pub(super) fn parse(bytes: &[u8]) -> Result<Node, SyntaxError> {
    let (text, shift) = text(bytes)?;
    let mut builder = Builder::default();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| {
            let start = error.marker().byte_offset().unwrap_or_default() + shift;
            SyntaxError::at(bytes, start, lower_case(&error.kind().to_string()))
        })?;
        let mut range = range(&span, shift);
        if let Event::Scalar(_, ScalarStyle::Literal | ScalarStyle::Folded, ..) = event {
            // The line breaks after the last line of a block are not its text.
            let spelled = span.slice(text).unwrap_or_default();
            range.end -= spelled.len() - spelled.trim_end().len();
        }
        builder
            .event(event, range.clone())
            .map_err(|what| SyntaxError::at(bytes, range.start, what))?;
    }
    Ok(builder.root.unwrap_or(Node {
        span: bytes.len()..bytes.len(),
        kind: Kind::Null,
    }))
}

fn range(span: &Span, shift: usize) -> Range<usize> {
    let range = span.byte_range().unwrap_or_default();
    range.start + shift..range.end + shift
}

#[derive(Default)]
struct Builder {
    root: Option<Node>,
    documents: usize,
    /// The lists and maps that are open.
    open: Vec<Open>,
    /// Scalars that an alias may name.
    anchored: HashMap<usize, Scalar>,
    /// Bytes that aliases have repeated.
    repeated: usize,
}

/// A list or map that is being read.
struct Open {
    start: usize,
    /// Whether its tag makes it something else.
    is_tagged: bool,
    kind: OpenKind,
}

enum OpenKind {
    List(Vec<Node>),
    /// The members, and the key whose value comes next.
    Map(Vec<Member>, Option<(String, Range<usize>)>),
}

#[derive(Clone)]
struct Scalar {
    text: Zeroizing<String>,
    what: What,
}

#[derive(Clone, Copy)]
enum What {
    Text,
    Null,
    Other,
}

impl Builder {
    fn event(&mut self, event: Event<'_>, span: Range<usize>) -> Result<(), &'static str> {
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err("it holds several documents, of which only one can be read");
                }
                Ok(())
            }
            Event::Scalar(text, style, anchor, tag) => {
                let scalar = Scalar {
                    what: what(&text, style, tag.as_deref()),
                    text: Zeroizing::new(text.into_owned()),
                };
                if anchor != 0 {
                    self.anchored.insert(anchor, scalar.clone());
                }
                self.scalar(scalar, span)
            }
            Event::Alias(anchor) => {
                let Some(scalar) = self.anchored.get(&anchor).cloned() else {
                    return self.node(Node {
                        span,
                        kind: Kind::Other,
                    });
                };
                self.repeated += scalar.text.len();
                if self.repeated > MAX_REPEATED {
                    return Err("its aliases repeat too much");
                }
                self.scalar(scalar, span)
            }
            Event::SequenceStart(_, _, tag) => {
                self.open(span.start, tag, OpenKind::List(Vec::new()))
            }
            Event::MappingStart(_, _, tag) => {
                self.open(span.start, tag, OpenKind::Map(Vec::new(), None))
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(span.end),
            // The stream's and the document's ends, and comments.
            _ => Ok(()),
        }
    }

    fn scalar(&mut self, scalar: Scalar, span: Range<usize>) -> Result<(), &'static str> {
        if let Some(Open {
            kind: OpenKind::Map(_, key @ None),
            ..
        }) = self.open.last_mut()
        {
            *key = Some((scalar.text.as_str().to_owned(), span));
            return Ok(());
        }
        let kind = match scalar.what {
            What::Text => Kind::Text(scalar.text),
            What::Null => Kind::Null,
            What::Other => Kind::Other,
        };
        self.node(Node { span, kind })
    }

    fn open(
        &mut self,
        start: usize,
        tag: Option<Cow<'_, Tag>>,
        kind: OpenKind,
    ) -> Result<(), &'static str> {
        if self.open.len() >= MAX_DEPTH {
            return Err("it is nested too deeply");
        }
        if self.expects_key() {
            return Err(COMPLEX_KEY);
        }
        self.open.push(Open {
            start,
            is_tagged: tag.is_some_and(|tag| tag.core_suffix().is_none()),
            kind,
        });
        Ok(())
    }

    fn close(&mut self, end: usize) -> Result<(), &'static str> {
        let Some(open) = self.open.pop() else {
            return Ok(());
        };
        let kind = match open.kind {
            _ if open.is_tagged => Kind::Other,
            OpenKind::List(nodes) => Kind::List(nodes),
            OpenKind::Map(members, _) => Kind::Map(members),
        };
        self.node(Node {
            span: open.start..end,
            kind,
        })
    }

    /// Puts a value where it belongs.
    fn node(&mut self, node: Node) -> Result<(), &'static str> {
        match self.open.last_mut().map(|open| &mut open.kind) {
            None => self.root = Some(node),
            Some(OpenKind::List(nodes)) => nodes.push(node),
            Some(OpenKind::Map(members, key)) => {
                let (key, key_span) = key.take().ok_or(COMPLEX_KEY)?;
                members.push(Member {
                    key,
                    key_span,
                    value: node,
                });
            }
        }
        Ok(())
    }

    fn expects_key(&self) -> bool {
        let open = self.open.last().map(|open| &open.kind);
        matches!(open, Some(OpenKind::Map(_, None)))
    }
}

fn what(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> What {
    if let Some(tag) = tag {
        return if tag.is_yaml_core_schema_tag("str") {
            What::Text
        } else {
            What::Other
        };
    }
    match text {
        _ if style != ScalarStyle::Plain => What::Text,
        "" | "~" | "null" | "Null" | "NULL" => What::Null,
        _ if is_word(text) => What::Text,
        _ => What::Other,
    }
}

/// Whether text without quotes is a string to YAML 1.1 and 1.2 alike (yaml.org/type, YAML 1.2.2 section 10.3.2).
fn is_word(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let special = matches!(
        lower.as_str(),
        "" | "~" | "null" | "true" | "false" | "yes" | "no" | "on" | "off" | "y" | "n" | "<<" | "="
    );
    !special && !is_number(&lower) && !is_time(&lower)
}

fn is_number(lower: &str) -> bool {
    let text = lower.trim_start_matches(['+', '-']).replace('_', "");
    let are_digits = |text: &str| !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit());
    let radix = ["0x", "0o", "0b"].iter().any(|prefix| {
        let rest = text.strip_prefix(prefix).unwrap_or_default();
        !rest.is_empty() && rest.bytes().all(|c| c.is_ascii_hexdigit())
    });
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let decimal = are_digits(&mantissa.replacen('.', "", 1))
        && are_digits(exponent.trim_start_matches(['+', '-']));
    // Base 60, of YAML 1.1: `12:30:45.5`.
    let sexagesimal = text.contains(':') && are_digits(&text.replace([':', '.'], ""));
    matches!(text.as_str(), ".inf" | ".nan") || radix || decimal || sexagesimal
}

/// Whether the text begins with a date and goes on like a time.
fn is_time(text: &str) -> bool {
    let mut parts = text.splitn(3, '-');
    let mut number = |len: &[usize]| {
        let part = parts.next().unwrap_or_default();
        let digits = part.bytes().take_while(u8::is_ascii_digit).count();
        let rest = part.get(digits..).unwrap_or_default();
        (
            len.contains(&digits),
            rest.is_empty() || rest.starts_with(['t', ' ', '\t']),
        )
    };
    number(&[4]) == (true, true)
        && number(&[1, 2]) == (true, true)
        && number(&[1, 2]) == (true, true)
}

/// A scalar on one line in the style of the former one: plain or in single quotes where that can hold the text, else
/// in double quotes.
pub(super) fn literal(former: &[u8], text: &str) -> Zeroizing<String> {
    match former.first() {
        Some(b'\'') if text.chars().all(is_printable) => {
            return Zeroizing::new(format!("'{}'", text.replace('\'', "''")));
        }
        Some(b'"' | b'\'') => {}
        _ if is_plain(text) => return Zeroizing::new(text.to_owned()),
        _ => {}
    }
    let mut out = Zeroizing::new(String::with_capacity(text.len() * 10 + 2));
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if is_printable(c) => out.push(c),
            c => {
                // Writing to a string can't fail.
                let _ = write!(out, "\\U{:08x}", u32::from(c));
            }
        }
    }
    out.push('"');
    out
}

/// Whether text can stand without quotes, in flow and block context alike. Stricter than YAML.
fn is_plain(text: &str) -> bool {
    let inside =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | '+' | '=');
    let first = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '/');
    text.starts_with(first) && text.replace("://", "/").chars().all(inside) && is_word(text)
}

/// Whether a character can stand in quotes as it is (YAML 1.2.2 section 5.1, without what breaks lines).
fn is_printable(c: char) -> bool {
    let is_noncharacter = u32::from(c) & 0xfffe == 0xfffe;
    !c.is_control() && !is_noncharacter && !matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}')
}

const COMPLEX_KEY: &str = "a key that is a list or a map can't be read";

/// Far beyond any file that people write, and safe to recurse into.
const MAX_DEPTH: usize = 64;

/// What aliases of scalars may repeat in all.
const MAX_REPEATED: usize = 1 << 20;
