//! What is wrong with a text, and where.

/// The text is not of the format. Says where and what, never any of its contents.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {what}")]
pub struct SyntaxError {
    /// The line, counted from 1.
    pub line: usize,
    /// The column in characters, counted from 1.
    pub column: usize,
    /// What is wrong; lower case, no full stop.
    pub what: String,
}

impl SyntaxError {
    /// The error at a byte offset of the text.
    pub(super) fn at(bytes: &[u8], offset: usize, what: impl Into<String>) -> Self {
        let before = bytes.get(..offset).unwrap_or(bytes);
        let start = before.iter().rposition(|byte| *byte == b'\n');
        let start = start.map_or(0, |newline| newline + 1);
        let line = String::from_utf8_lossy(before.get(start..).unwrap_or_default());
        Self {
            line: before.split(|byte| *byte == b'\n').count(),
            column: line.trim_start_matches('\u{feff}').chars().count() + 1,
            what: what.into(),
        }
    }
}

/// Where the lines of a text begin.
pub struct Lines(Vec<usize>);

impl Lines {
    /// Finds the lines.
    pub fn of(bytes: &[u8]) -> Self {
        let breaks = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
        Self(breaks.map(|(at, _)| at).collect())
    }

    /// The number of the line that this byte stands in, counted from 1.
    pub fn number(&self, offset: usize) -> usize {
        self.0.partition_point(|newline| *newline < offset) + 1
    }
}

/// The text without its byte order mark, and how many bytes that is.
pub(super) fn text(bytes: &[u8]) -> Result<(&str, usize), SyntaxError> {
    let text = std::str::from_utf8(bytes)
        .map_err(|error| SyntaxError::at(bytes, error.valid_up_to(), "it is not UTF-8 text"))?;
    Ok(match text.strip_prefix('\u{feff}') {
        Some(rest) => (rest, text.len() - rest.len()),
        None => (text, 0),
    })
}

/// An error's message as the second half of a sentence.
pub(super) fn lower_case(message: &str) -> String {
    let mut letters = message.chars();
    let first = letters.next().map(|c| c.to_ascii_lowercase());
    first.into_iter().chain(letters).collect()
}
