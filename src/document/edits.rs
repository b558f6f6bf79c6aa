//! Spans of a text and what will stand there instead.

use std::ops::Range;

use zeroize::Zeroizing;

/// Replacements that leave every other byte as it is.
#[derive(Default)]
pub struct Edits(Vec<(Range<usize>, Zeroizing<String>)>);

impl Edits {
    /// Replaces a span of `bytes`, unless that text stands there already. An empty span inserts. Spans must not
    /// overlap.
    pub fn replace(&mut self, bytes: &[u8], span: &Range<usize>, text: &str) {
        if bytes.get(span.clone()) != Some(text.as_bytes()) {
            self.0.push((span.clone(), Zeroizing::new(text.to_owned())));
        }
    }

    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many spans change so far: tells whether a record added any.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Forgets the spans beyond the first `len`.
    pub fn truncate(&mut self, len: usize) {
        self.0.truncate(len);
    }

    /// The text with the spans replaced; insertions at one place stand in the order given.
    pub fn apply(mut self, bytes: &[u8]) -> Zeroizing<Vec<u8>> {
        self.0.sort_by_key(|(span, _)| (span.start, span.end));
        let added: usize = self.0.iter().map(|(_, text)| text.len()).sum();
        let mut out = Zeroizing::new(Vec::with_capacity(bytes.len() + added));
        let mut from = 0;
        for (span, text) in &self.0 {
            out.extend_from_slice(bytes.get(from..span.start).unwrap_or_default());
            out.extend_from_slice(text.as_bytes());
            from = span.end.max(from);
        }
        out.extend_from_slice(bytes.get(from..).unwrap_or_default());
        out
    }
}
