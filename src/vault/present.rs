//! The keys of the rows that a source holds, walked beside the keys that it says it holds.

use crate::model::SourceId;

use super::{
    Error, codec,
    packed::{Cursor, rows_of},
    rows::{Body, Change, First, Later, first, later},
    store::Store,
};

/// Walks the known rows of a relation that are there now, reading no more of them than their keys.
pub(super) struct Present<B: Body> {
    first: Cursor<First<B>, u64>,
    later: Cursor<Later<B>>,
}

impl<B: Body> Present<B> {
    /// Before the first row.
    pub(super) fn new(source: SourceId) -> Self {
        Self {
            first: Cursor::new(first(source)),
            later: Cursor::new(later(source)),
        }
    }

    /// Goes on to `key` (without one, to the end) and adds the keys of rows on the way to `missing`. Answers whether
    /// the row of `key` is known and there.
    pub(super) fn pass(
        &mut self,
        store: Store<'_>,
        key: Option<u64>,
        missing: &mut Vec<u64>,
    ) -> Result<bool, Error> {
        while let Some(&known) = self
            .first
            .peek(store, |block| codec::ascending(block, B::WHAT))?
            && key.is_none_or(|key| known <= key)
        {
            self.first.pop();
            let is_there = self.is_there(store, known)?;
            if Some(known) == key {
                return Ok(is_there);
            }
            if is_there {
                missing.push(known);
            }
        }
        Ok(false)
    }

    fn is_there(&mut self, store: Store<'_>, key: u64) -> Result<bool, Error> {
        let mut is_there = true;
        while let Some(row) = self.later.peek(store, rows_of)?
            && row.key <= key
        {
            is_there = !matches!(row.change, Change::Gone);
            self.later.pop();
        }
        Ok(is_there)
    }
}
