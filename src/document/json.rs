//! JSON, strict or relaxed: reading it, and writing into what somebody else wrote, in their style.

use std::{collections::BTreeMap, fmt::Write as _};

use jsonc_parser::{
    CollectOptions, ParseOptions, ParseStringErrorKind, ast, common::Ranged, errors::ParseErrorKind,
};
use zeroize::Zeroizing;

use super::{
    Edits, Kind, Member, Node, SyntaxError,
    syntax::{lower_case, text},
};

/// Parses JSON, strictly or with what JSON5 and JSONC allow. The parser refuses more than 512 levels.
pub(super) fn parse(bytes: &[u8], strict: bool) -> Result<Node, SyntaxError> {
    let (text, shift) = text(bytes)?;
    let options = ParseOptions {
        allow_comments: !strict,
        allow_loose_object_property_names: !strict,
        allow_trailing_commas: !strict,
        allow_missing_commas: false,
        allow_single_quoted_strings: !strict,
        allow_hexadecimal_numbers: !strict,
        allow_unary_plus_numbers: !strict,
        allow_bare_decimal_point_numbers: !strict,
        allow_non_finite_numbers: true,
        allow_extended_string_escapes: !strict,
    };
    let parsed = jsonc_parser::parse_to_ast(text, &CollectOptions::default(), &options);
    let parsed = parsed.map_err(|error| SyntaxError {
        line: error.line_display(),
        column: error.column_display(),
        what: what(error.kind()),
    })?;
    match parsed.value {
        Some(value) => Ok(node(value, shift)),
        None => Err(SyntaxError::at(bytes, bytes.len(), "it is empty")),
    }
}

/// The parser's words, without the one that quotes the text.
fn what(kind: &ParseErrorKind) -> String {
    match kind {
        ParseErrorKind::String(ParseStringErrorKind::InvalidUnicodeEscapeSequence(_)) => {
            "invalid unicode escape sequence".to_owned()
        }
        other => lower_case(&other.to_string()),
    }
}

fn node(value: ast::Value<'_>, shift: usize) -> Node {
    let range = value.range();
    let span = range.start + shift..range.end + shift;
    let kind = match value {
        ast::Value::StringLit(text) => Kind::Text(Zeroizing::new(text.value.into_owned())),
        ast::Value::Array(list) => Kind::List(
            list.elements
                .into_iter()
                .map(|value| node(value, shift))
                .collect(),
        ),
        ast::Value::Object(object) => Kind::Map(
            object
                .properties
                .into_iter()
                .map(|property| {
                    let range = property.name.range();
                    Member {
                        key_span: range.start + shift..range.end + shift,
                        key: property.name.into_string(),
                        value: node(property.value, shift),
                    }
                })
                .collect(),
        ),
        ast::Value::NullKeyword(_) => Kind::Null,
        ast::Value::NumberLit(_) | ast::Value::BooleanLit(_) => Kind::Other,
    };
    Node { span, kind }
}

/// How a document is laid out.
pub struct Layout {
    /// One step of indentation; `None` when everything stands on one line.
    indent: Option<String>,
    newline: &'static str,
}

impl Layout {
    /// Takes over the style of the root's members.
    pub fn of(bytes: &[u8], root: &Node) -> Self {
        let first = root.members().and_then(|members| members.first());
        let before = first
            .and_then(|member| bytes.get(root.span.start..member.key_span.start))
            .and_then(|bytes| std::str::from_utf8(bytes).ok());
        let indent = before.and_then(|text| text.rsplit_once('\n'));
        let crlf = bytes.windows(2).any(|pair| pair == b"\r\n");
        Self {
            indent: indent.map(|(_, indent)| indent.to_owned()),
            newline: if crlf { "\r\n" } else { "\n" },
        }
    }

    /// What stands before a member at this depth.
    fn line(&self, depth: usize) -> String {
        match &self.indent {
            Some(indent) => format!("{}{}", self.newline, indent.repeat(depth)),
            None => String::new(),
        }
    }

    /// Adds members to an object that stands at `depth`, between those that are there where these are sorted.
    pub fn add_members(
        &self,
        edits: &mut Edits,
        bytes: &[u8],
        object: &Node,
        depth: usize,
        new: &BTreeMap<String, String>,
    ) {
        let Some(members) = object.members() else {
            return;
        };
        let separator = match &self.indent {
            Some(_) => format!(",{}", self.line(depth + 1)),
            None => ", ".to_owned(),
        };
        let Some(last) = members.last() else {
            let inside = new
                .iter()
                .map(|(key, value)| format!("{}: {value}", quoted(key)));
            let inside = inside.collect::<Vec<_>>().join(&separator);
            if !inside.is_empty() {
                let text = format!("{{{}{inside}{}}}", self.line(depth + 1), self.line(depth));
                edits.replace(bytes, &object.span, &text);
            }
            return;
        };
        let sorted = members.is_sorted_by(|one, other| one.key <= other.key);
        for (key, value) in new {
            let text = format!("{}: {value}", quoted(key));
            let next = members.iter().find(|member| sorted && member.key > *key);
            if let Some(next) = next {
                let at = next.key_span.start;
                edits.replace(bytes, &(at..at), &format!("{text}{separator}"));
            } else {
                let at = last.value.span.end;
                edits.replace(bytes, &(at..at), &format!("{separator}{text}"));
            }
        }
    }
}

/// An object of strings whose members stand one deeper than `depth`.
pub fn object(layout: &Layout, depth: usize, members: &[(&str, &str)]) -> String {
    let separator = match &layout.indent {
        Some(_) => format!(",{}", layout.line(depth + 1)),
        None => ", ".to_owned(),
    };
    let members = members
        .iter()
        .map(|(key, value)| format!("{}: {}", quoted(key), quoted(value)));
    let inside = members.collect::<Vec<_>>().join(&separator);
    format!(
        "{{{}{inside}{}}}",
        layout.line(depth + 1),
        layout.line(depth)
    )
}

/// A string literal in ASCII, as Python's `json.dump` writes it.
pub fn quoted(text: &str) -> String {
    spelled('"', text)
}

/// A string with the quotes of the former one.
pub(super) fn literal(former: &[u8], text: &str) -> Zeroizing<String> {
    let quote = if former.starts_with(b"'") { '\'' } else { '"' };
    Zeroizing::new(spelled(quote, text))
}

/// What to write right after a member whose value is a string, so that another follows it in the same style: on a line
/// of its own where that has one. `None` where comments or more stand on that line.
pub(super) fn member_after(
    bytes: &[u8],
    member: &Member,
    key: &str,
    text: &str,
) -> Option<Zeroizing<String>> {
    let part = |range| {
        bytes
            .get(range)
            .and_then(|part| std::str::from_utf8(part).ok())
    };
    let colon = part(member.key_span.end..member.value.span.start)?;
    if colon.trim() != ":" || colon.contains('\n') {
        return None;
    }
    let key = match bytes.get(member.key_span.start)? {
        b'"' => spelled('"', key),
        b'\'' => spelled('\'', key),
        _ => key.to_owned(),
    };
    let before = part(0..member.key_span.start)?;
    let after = part(member.value.span.end..bytes.len())?;
    let (above, indent) = before.rsplit_once('\n').unwrap_or(("", before));
    let separator = if above.is_empty() || !indent.trim().is_empty() {
        let gap = before.len() - before.trim_end_matches(' ').len();
        " ".repeat(gap.min(1))
    } else {
        let rest = after.lines().next().unwrap_or_default().trim();
        if !matches!(rest, "" | ",") {
            return None;
        }
        let newline = if above.ends_with('\r') { "\r\n" } else { "\n" };
        format!("{newline}{indent}")
    };
    let value = literal(bytes.get(member.value.span.clone())?, text);
    let value = value.as_str();
    Some(Zeroizing::new(format!(",{separator}{key}{colon}{value}")))
}

/// What to write, and where, so that an object of strings follows the last one of a list in the same style. `None` where
/// the list holds something else.
pub(super) fn item_after(
    bytes: &[u8],
    list: &Node,
    fields: &[(&str, &str)],
) -> Option<(usize, Zeroizing<String>)> {
    let Kind::List(items) = &list.kind else {
        return None;
    };
    let Some(last) = items.last() else {
        let members = fields
            .iter()
            .map(|(key, text)| format!("{}:{}", quoted(key), quoted(text)));
        let members = members.collect::<Vec<_>>().join(",");
        return Some((
            list.span.start + 1,
            Zeroizing::new(format!("{{{members}}}")),
        ));
    };
    let members = last.members()?;
    let first = members.first()?;
    let blank = |from: usize, to: usize| {
        let text = std::str::from_utf8(bytes.get(from..to)?).ok()?;
        // The white space right before, not the comments above it.
        Some(text.get(text.trim_end().len()..)?.to_owned())
    };
    let before = items.len().checked_sub(2).and_then(|at| items.get(at));
    let before = before.map_or(list.span.start + 1, |item| item.span.end);
    let gap = blank(before, last.span.start)?;
    let open = blank(last.span.start + 1, first.key_span.start)?;
    let between = match members.get(1) {
        Some(second) => blank(first.value.span.end, second.key_span.start)?,
        None => open.clone(),
    };
    let close = blank(members.last()?.value.span.end, last.span.end - 1)?;
    let colon = bytes.get(first.key_span.end..first.value.span.start)?;
    let colon = std::str::from_utf8(colon).ok()?;
    let colon = if colon.trim() == ":" { colon } else { ":" };
    let key_quote = bytes.get(first.key_span.start)?;
    let texts = &mut members
        .iter()
        .filter(|member| member.value.text().is_some());
    let former = texts
        .next()
        .map_or(0..0, |member| member.value.span.clone());
    let mut out = Zeroizing::new(format!(",{gap}{{{open}"));
    for (at, (key, text)) in fields.iter().enumerate() {
        if at > 0 {
            out.push(',');
            out.push_str(&between);
        }
        out.push_str(&match key_quote {
            b'"' => spelled('"', key),
            b'\'' => spelled('\'', key),
            _ => (*key).to_owned(),
        });
        out.push_str(colon);
        out.push_str(&literal(bytes.get(former.clone())?, text));
    }
    out.push_str(&close);
    out.push('}');
    Some((last.span.end, out))
}

fn spelled(quote: char, text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 6 + 2);
    out.push(quote);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            c if c == quote => out.extend(['\\', c]),
            ' '..='\u{7f}' => out.push(c),
            _ => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    // Writing to a string can't fail.
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
        }
    }
    out.push(quote);
    out
}
