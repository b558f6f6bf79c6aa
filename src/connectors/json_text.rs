//! Writing into JSON that somebody else wrote, in their style.

use std::{collections::BTreeMap, fmt::Write as _};

use super::{place::Loaded, rewrite::Edits, tree::Node};

/// How a document is laid out.
pub(crate) struct Layout {
    /// One step of indentation; `None` when everything stands on one line.
    indent: Option<String>,
    newline: &'static str,
}

impl Layout {
    /// Takes over the style of the root's members.
    pub(crate) fn of(bytes: &[u8], root: &Node) -> Self {
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
    pub(crate) fn add_members(
        &self,
        edits: &mut Edits,
        file: &Loaded,
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
                edits.replace(file, &object.span, &text);
            }
            return;
        };
        let sorted = members.is_sorted_by(|one, other| one.key <= other.key);
        for (key, value) in new {
            let text = format!("{}: {value}", quoted(key));
            let next = members.iter().find(|member| sorted && member.key > *key);
            match next {
                Some(next) => {
                    let at = next.key_span.start;
                    edits.replace(file, &(at..at), &format!("{text}{separator}"));
                }
                None => {
                    let at = last.value.span.end;
                    edits.replace(file, &(at..at), &format!("{separator}{text}"));
                }
            }
        }
    }
}

/// An object of strings whose members stand one deeper than `depth`.
pub(crate) fn object(layout: &Layout, depth: usize, members: &[(&str, &str)]) -> String {
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
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2 + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            ' '..='\u{7f}' => out.push(c),
            _ => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    // Writing to a string can't fail.
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
        }
    }
    out.push('"');
    out
}
