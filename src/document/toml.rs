//! TOML: reading it, and spelling strings.

use std::{fmt::Write as _, ops::Range};

use toml_edit::{Document, InlineTable, Item, Key, Table, Value};
use zeroize::Zeroizing;

use super::{
    Kind, Member, Node, SyntaxError,
    syntax::{lower_case, text},
};

/// Parses TOML. Dotted keys, inline tables and arrays of tables become what they stand for. The parser refuses values
/// nested more than 80 levels and keys of more than 80 parts, which multiply: [`MAX_DEPTH`] bounds both.
pub(super) fn parse(bytes: &[u8]) -> Result<Node, SyntaxError> {
    let (text, shift) = text(bytes)?;
    let document = Document::parse(text).map_err(|error| {
        let start = error.span().map_or(0, |span| span.start + shift);
        SyntaxError::at(bytes, start, lower_case(error.message()))
    })?;
    let reader = Reader { shift };
    let members = reader.table(document.into_table(), 0);
    let members =
        members.map_err(|TooDeep(at)| SyntaxError::at(bytes, at, "it is nested too deeply"))?;
    Ok(Node {
        span: shift..bytes.len(),
        kind: Kind::Map(members),
    })
}

/// Where it is nested too deeply.
struct TooDeep(usize);

struct Reader {
    /// What was cut off before the text.
    shift: usize,
}

impl Reader {
    fn span(&self, span: Option<Range<usize>>) -> Range<usize> {
        let span = span.unwrap_or_default();
        span.start + self.shift..span.end + self.shift
    }

    fn key(&self, key: Option<&Key>) -> Range<usize> {
        self.span(key.and_then(Key::span))
    }

    fn table(&self, table: Table, depth: usize) -> Result<Vec<Member>, TooDeep> {
        let keys: Vec<_> = table
            .iter()
            .map(|(key, _)| self.key(table.key(key)))
            .collect();
        let items = table.into_iter().filter(|(_, item)| !item.is_none());
        let members = items.zip(keys).map(|((key, item), key_span)| {
            Ok(Member {
                key,
                key_span,
                value: self.item(item, depth + 1)?,
            })
        });
        members.collect()
    }

    fn inline(&self, table: InlineTable, depth: usize) -> Result<Vec<Member>, TooDeep> {
        let keys: Vec<_> = table
            .iter()
            .map(|(key, _)| self.key(table.key(key)))
            .collect();
        let members = table.into_iter().zip(keys).map(|((key, value), key_span)| {
            Ok(Member {
                key,
                key_span,
                value: self.value(value, depth + 1)?,
            })
        });
        members.collect()
    }

    fn item(&self, item: Item, depth: usize) -> Result<Node, TooDeep> {
        let span = self.span(item.span());
        if depth > MAX_DEPTH {
            return Err(TooDeep(span.start));
        }
        let kind = match item {
            Item::None => Kind::Null,
            Item::Value(value) => return self.value(value, depth),
            Item::Table(table) => Kind::Map(self.table(table, depth)?),
            Item::ArrayOfTables(tables) => {
                let tables = tables.into_iter().map(|table| {
                    Ok(Node {
                        span: self.span(table.span()),
                        kind: Kind::Map(self.table(table, depth + 1)?),
                    })
                });
                Kind::List(tables.collect::<Result<_, _>>()?)
            }
        };
        Ok(Node { span, kind })
    }

    fn value(&self, value: Value, depth: usize) -> Result<Node, TooDeep> {
        let span = self.span(value.span());
        if depth > MAX_DEPTH {
            return Err(TooDeep(span.start));
        }
        let kind = match value {
            Value::String(text) => Kind::Text(Zeroizing::new(text.into_value())),
            Value::Array(values) => {
                let values = values.into_iter().map(|value| self.value(value, depth + 1));
                Kind::List(values.collect::<Result<_, _>>()?)
            }
            Value::InlineTable(table) => Kind::Map(self.inline(table, depth)?),
            Value::Integer(_) | Value::Float(_) | Value::Boolean(_) | Value::Datetime(_) => {
                Kind::Other
            }
        };
        Ok(Node { span, kind })
    }
}

/// A string on one line: literal where the former one was and the text allows it, else basic.
pub(super) fn literal(former: &[u8], text: &str) -> Zeroizing<String> {
    let plain = |c: char| c != '\'' && (c == '\t' || !c.is_control());
    if former.starts_with(b"'") && text.chars().all(plain) {
        return Zeroizing::new(format!("'{text}'"));
    }
    let mut out = Zeroizing::new(String::with_capacity(text.len() * 6 + 2));
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => {
                // Writing to a string can't fail.
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// What to write at the end of the text, so that a table of strings follows the last one of an array of tables, in the
/// style of its first string.
pub(super) fn table_after(
    bytes: &[u8],
    list: &Member,
    fields: &[(&str, &str)],
) -> Option<(usize, Zeroizing<String>)> {
    let Kind::List(tables) = &list.value.kind else {
        return None;
    };
    let is_bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if list.key.is_empty() || !list.key.chars().all(is_bare) {
        return None;
    }
    // A list on one line takes no table after it.
    let behind = bytes.get(list.key_span.end..)?.trim_ascii_start();
    if behind.starts_with(b"=") {
        return None;
    }
    let strings = &mut tables.last()?.members()?.iter();
    let former = strings.find(|member| member.value.text().is_some())?;
    let former = bytes.get(former.value.span.clone())?;
    let newline = if bytes.windows(2).any(|pair| pair == b"\r\n") {
        "\r\n"
    } else {
        "\n"
    };
    let ends = bytes.ends_with(b"\n");
    let mut out = Zeroizing::new(if ends { "" } else { newline }.to_owned());
    out.push_str(newline);
    // Writing to a string can't fail.
    let _ = write!(out, "[[{}]]", list.key);
    for (key, text) in fields {
        out.push_str(newline);
        out.push_str(key);
        out.push_str(" = ");
        out.push_str(&literal(former, text));
    }
    if ends {
        out.push_str(newline);
    }
    Some((bytes.len(), out))
}

/// Far beyond any file that people write, and safe to recurse into.
const MAX_DEPTH: usize = 64;
