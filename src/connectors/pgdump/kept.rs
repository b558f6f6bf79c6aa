//! Rows of a table in memory until all have come, each in few bytes, and wiped afterwards.

use zeroize::Zeroizing;

use crate::connectors::mastodon::MAX_TEXT_BYTES;

/// Rows of `N` fields by key.
pub(super) struct Kept<const N: usize> {
    index: Vec<Entry>,
    /// Never grown: that would leave copies of secrets behind.
    chunks: Vec<Zeroizing<Vec<u8>>>,
}

#[derive(Clone, Copy)]
struct Entry {
    key: u64,
    chunk: u32,
    start: u32,
}

impl<const N: usize> Default for Kept<N> {
    fn default() -> Self {
        Self {
            index: Vec::new(),
            chunks: Vec::new(),
        }
    }
}

impl<const N: usize> Kept<N> {
    /// Takes a row, in any order of keys. Of a longer text than any reader takes, no more is kept than tells that.
    pub(super) fn push(&mut self, key: u64, fields: [Option<&[u8]>; N]) {
        let fields = fields.map(|field| field.map(|text| text.get(..MAX_KEPT).unwrap_or(text)));
        let length: usize = fields
            .iter()
            .map(|field| 2 + field.map_or(0, <[u8]>::len))
            .sum();
        let is_full = |chunk: &Zeroizing<Vec<u8>>| chunk.capacity() - chunk.len() < length;
        if self.chunks.last().is_none_or(is_full) {
            let chunk = Vec::with_capacity(CHUNK_BYTES.max(length));
            self.chunks.push(Zeroizing::new(chunk));
        }
        let at = self.chunks.len() - 1;
        let Some(chunk) = self.chunks.last_mut() else {
            return;
        };
        let (at, start) = (u32::try_from(at), u32::try_from(chunk.len()));
        if let (Ok(chunk), Ok(start)) = (at, start) {
            self.index.push(Entry { key, chunk, start });
        }
        for field in fields {
            let length = field.map_or(NULL, |text| u16::try_from(text.len()).unwrap_or(NULL));
            chunk.extend_from_slice(&length.to_le_bytes());
            chunk.extend_from_slice(field.unwrap_or_default());
        }
    }

    /// How many rows there are.
    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    /// How much memory they take.
    pub(super) fn bytes(&self) -> u64 {
        let chunks: usize = self.chunks.iter().map(|chunk| chunk.capacity()).sum();
        (chunks + self.index.len() * size_of::<Entry>()) as u64
    }

    /// All have come; answers a key that came twice.
    pub(super) fn sort(&mut self) -> Option<u64> {
        self.index.sort_unstable_by_key(|entry| entry.key);
        let (before, after) = (self.index.iter(), self.index.iter().skip(1));
        let mut pairs = before.zip(after);
        let twice = pairs.find(|(before, after)| before.key == after.key);
        twice.map(|(entry, _)| entry.key)
    }

    /// Every row, by key once they are sorted.
    pub(super) fn rows(&self) -> impl Iterator<Item = (u64, [Option<&[u8]>; N])> {
        let row = |entry: &Entry| {
            let chunk = self.chunks.get(entry.chunk as usize)?;
            let mut rest = chunk.get(entry.start as usize..)?;
            let mut fields = [None; N];
            for field in &mut fields {
                let (length, after) = rest.split_first_chunk()?;
                rest = after;
                let length = u16::from_le_bytes(*length);
                if length != NULL {
                    let (text, after) = rest.split_at_checked(usize::from(length))?;
                    (*field, rest) = (Some(text), after);
                }
            }
            Some((entry.key, fields))
        };
        self.index.iter().filter_map(row)
    }
}

/// One byte more than a text may have.
const MAX_KEPT: usize = MAX_TEXT_BYTES + 1;
/// Stands for the length of a field that is NULL.
const NULL: u16 = u16::MAX;
const CHUNK_BYTES: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use proptest::{collection::btree_map, option, prelude::*};

    use super::*;

    proptest! {
        #[test]
        fn rows_come_back_as_they_were_in_the_order_of_their_keys(
            rows in btree_map(any::<u64>(), [(); 3].map(|()| option::of("[a-z]{0,9}")), 0..40),
        ) {
            let mut kept = Kept::<3>::default();
            for (key, fields) in rows.iter().rev() {
                kept.push(*key, [0, 1, 2].map(|at| fields[at].as_deref().map(str::as_bytes)));
            }
            prop_assert_eq!(kept.sort(), None);
            prop_assert_eq!(kept.rows().count(), rows.len());
            for ((key, fields), (expected, texts)) in kept.rows().zip(&rows) {
                prop_assert_eq!(key, *expected);
                let texts = [0, 1, 2].map(|at| texts[at].as_deref().map(str::as_bytes));
                prop_assert_eq!(fields, texts);
            }
        }
    }

    #[test]
    fn a_key_that_comes_twice_is_told() {
        let mut kept = Kept::<1>::default();
        for key in [7, 3, 9, 3] {
            kept.push(key, [None]);
        }
        assert_eq!(kept.sort(), Some(3));
    }

    #[test]
    fn long_texts_fill_chunks_and_stay_too_long() {
        let long = vec![b'x'; 100_000];
        let mut kept = Kept::<2>::default();
        for key in 0..50 {
            kept.push(key, [Some(&long), Some(b"y")]);
        }
        for (_, [text, other]) in kept.rows() {
            assert_eq!(text.map(<[u8]>::len), Some(MAX_TEXT_BYTES + 1));
            assert_eq!(other, Some(&b"y"[..]));
        }
        assert_eq!(kept.rows().count(), 50);
        assert!(kept.bytes() < 5 << 20);
    }
}
