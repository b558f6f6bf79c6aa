//! Text formats as one kind of tree, whose nodes know where they stand.

use std::ops::Range;

use jsonc_parser::{ParseOptions, ast, common::Ranged, errors::ParseError};
use zeroize::Zeroizing;

use super::error::Problem;

/// A value and its place, quotes included.
pub(crate) struct Node {
    pub(crate) span: Range<usize>,
    pub(crate) kind: Kind,
}

/// What a value is.
pub(crate) enum Kind {
    Text(Zeroizing<String>),
    List(Vec<Node>),
    Map(Vec<Member>),
    /// `null`, or nothing at all (YAML).
    Null,
    /// A number, a boolean, a date.
    Other,
}

/// A key and its value.
pub(crate) struct Member {
    pub(crate) key: String,
    pub(crate) key_span: Range<usize>,
    pub(crate) value: Node,
}

impl Node {
    pub(crate) fn members(&self) -> Option<&[Member]> {
        match &self.kind {
            Kind::Map(members) => Some(members),
            _ => None,
        }
    }

    pub(crate) fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The value of a key; of a key that stands twice the last, as every client reads it.
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        let members = self.members()?;
        let member = members.iter().rev().find(|member| member.key == key);
        member.map(|member| &member.value)
    }
}

/// Parses JSON, strictly or with what JSON5 and JSONC allow.
pub(crate) fn json(bytes: &[u8], strict: bool) -> Result<Node, Problem> {
    let text =
        std::str::from_utf8(bytes).map_err(|_| Problem("it is not UTF-8 text".to_owned()))?;
    let (text, shift) = match text.strip_prefix('\u{feff}') {
        Some(rest) => (rest, 3),
        None => (text, 0),
    };
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
    let parsed =
        jsonc_parser::parse_to_ast(text, &jsonc_parser::CollectOptions::default(), &options);
    let value = parsed.map_err(|error| problem(&error))?.value;
    let value = value.ok_or_else(|| Problem("it is empty".to_owned()))?;
    Ok(node(value, shift))
}

fn problem(error: &ParseError) -> Problem {
    let what = error.kind().to_string();
    let mut letters = what.chars();
    let what = letters
        .next()
        .map(|c| c.to_ascii_lowercase())
        .into_iter()
        .chain(letters);
    let (line, column) = (error.line_display(), error.column_display());
    Problem(format!(
        "line {line}, column {column}: {}",
        what.collect::<String>()
    ))
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
