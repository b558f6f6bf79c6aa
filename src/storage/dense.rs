//! `Dense`: keeps redb's pages together at the beginning of the file.
//!
//! redb lets its file grow by doubling, and hands out the smallest free piece first, wherever it lies: often at the very
//! end. A file that ends with the last page used would be nearly as long as all of it almost at once. So stretches of
//! redb's blocks stand in the file in the order in which they were first written; the superblock holds that order.
//! Each doubling has 32 stretches, so that what stays unused in those that were begun is little.

use std::{
    io,
    ops::{Bound, Range},
};

use redb::{BackendError, StorageBackend};

use super::{
    EncryptedFile,
    file::pages,
    layout::{STRETCHES, UNIT_U64},
};

/// A vault file as redb sees it: its blocks in redb's order.
#[derive(Debug)]
pub(super) struct Dense(pub(super) EncryptedFile);

impl Dense {
    /// The offset in the file of a part of one of redb's pages, given the place of the page's block.
    fn offset_of(
        page: u64,
        within: &Range<usize>,
        place: impl FnOnce(u64) -> io::Result<u64>,
    ) -> io::Result<u64> {
        let page = match page.checked_sub(1) {
            Some(block) => place(block)? + 1,
            None => 0,
        };
        Ok(page * UNIT_U64 + within.start as u64)
    }
}

impl StorageBackend for Dense {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        for (page, within, part) in pages(offset, out.len()) {
            let at = Self::offset_of(page, &within, |block| self.0.place_of(block))?;
            self.0.read(at, out.get_mut(part).unwrap_or_default())?;
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len_in_order(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        for (page, within, part) in pages(offset, data.len()) {
            let at = Self::offset_of(page, &within, |block| self.0.place_for(block))?;
            self.0.write(at, data.get(part).unwrap_or_default())?;
        }
        Ok(())
    }

    fn close(&self) -> io::Result<()> {
        self.0.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.try_lock_range(start, end)
    }

    fn try_lock_shared_range(
        &self,
        start: Bound<u64>,
        end: Bound<u64>,
    ) -> Result<bool, BackendError> {
        self.0.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.lock_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.unlock_range(start, end)
    }
}

/// In which order stretches of blocks were first written, which is the order in which they stand in the file.
#[derive(Debug, Clone, Default)]
pub(super) struct Order {
    used: Vec<u16>,
    /// The place of the first block of each stretch that was used.
    starts: Vec<Option<u64>>,
    /// Places taken by all of them.
    end: u64,
}

impl Order {
    /// Where a block stands; `None` before its stretch was used.
    pub(super) fn place_of(&self, block: u64) -> Option<u64> {
        let (stretch, offset) = stretch_of(block);
        let start = self.starts.get(usize::from(stretch)).copied().flatten()?;
        Some(start + offset)
    }

    /// Where a block is to be written; `None` when there is no place for it.
    pub(super) fn place_for(&mut self, block: u64) -> Option<u64> {
        if let Some(place) = self.place_of(block) {
            return Some(place);
        }
        let (stretch, offset) = stretch_of(block);
        self.push(stretch).map(|start| start + offset)
    }

    fn push(&mut self, stretch: u16) -> Option<u64> {
        self.starts.resize(STRETCHES, None);
        let start = self.starts.get_mut(usize::from(stretch))?;
        if start.is_some() {
            return None;
        }
        *start = Some(self.end);
        self.used.push(stretch);
        let start = self.end;
        self.end += blocks_in(stretch);
        Some(start)
    }

    /// Forgets stretches behind the first `blocks` blocks, as far as they stand last, and answers how many places stay.
    pub(super) fn cut(&mut self, blocks: u64) -> u64 {
        while let Some(stretch) = self.used.pop_if(|last| first_of(*last) >= blocks) {
            self.end -= blocks_in(stretch);
            if let Some(start) = self.starts.get_mut(usize::from(stretch)) {
                *start = None;
            }
        }
        self.end
    }

    /// Reads it from a superblock: each stretch's number and one more, then zeroes. `None` when it is none.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut order = Self::default();
        let numbers = bytes.as_chunks::<2>().0.iter();
        for number in numbers.map(|bytes| u16::from_le_bytes(*bytes)) {
            let Some(stretch) = number.checked_sub(1) else {
                break;
            };
            order.push(stretch)?;
        }
        Some(order)
    }

    /// Writes it to a superblock.
    pub(super) fn to_bytes(&self, bytes: &mut [u8]) {
        for (to, stretch) in bytes.as_chunks_mut::<2>().0.iter_mut().zip(&self.used) {
            *to = (stretch + 1).to_le_bytes();
        }
    }
}

/// In which stretch a block lies, and where in it. The first 64 blocks are stretches of their own; from there on each
/// doubling is cut into 32.
fn stretch_of(block: u64) -> (u16, u64) {
    let shift = block.max(32).ilog2() - 5;
    let level = if block < 32 { 0 } else { shift + 1 };
    let within = block - if level == 0 { 0 } else { 32 << shift };
    let stretch = u64::from(level) * 32 + (within >> shift);
    let offset = within & ((1 << shift) - 1);
    (u16::try_from(stretch).unwrap_or(u16::MAX), offset)
}

fn blocks_in(stretch: u16) -> u64 {
    1 << (stretch / 32).saturating_sub(1)
}

fn first_of(stretch: u16) -> u64 {
    match stretch / 32 {
        0 => u64::from(stretch),
        _ => (32 + u64::from(stretch % 32)) * blocks_in(stretch),
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, path::Path};

    use proptest::{collection::vec, prelude::*};
    use redb::TableDefinition;

    use super::*;
    use crate::{
        crypto::{Credentials, KdfParams, Passphrase},
        storage::{Redb, StagedVault, layout::MAX_BLOCKS, open_redb},
    };

    /// Units of a vault file into which so many values of a page each were put in one transaction.
    fn units_for(folder: &Path, values: u64) -> u64 {
        const TABLE: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("t");
        let credentials = Credentials {
            passphrase: Some(Passphrase::new("a".to_owned())),
            key_file: None,
        };
        let path = folder.join("v.tusk");
        let staged = StagedVault::create(&path, &credentials, KdfParams::LEAST, 1).unwrap();
        let Redb::Write(database) = open_redb(staged.file(), 1 << 20).unwrap() else {
            panic!()
        };
        let mut transaction = database.begin_write().unwrap();
        transaction.set_two_phase_commit(true);
        transaction.set_quick_repair(true);
        {
            let mut table = transaction.open_table(TABLE).unwrap();
            for key in 0..values {
                table.insert(key, [7; 4_000].as_slice()).unwrap();
            }
        }
        transaction.commit().unwrap();
        staged.file().file_len().unwrap() / UNIT_U64
    }

    #[test]
    fn a_file_is_hardly_longer_than_what_is_in_it() {
        // Just after redb has doubled its file, and just before it does so again.
        for values in [10, 30, 100, 600, 1_100, 2_000, 2_300, 4_000] {
            let folder = tempfile::tempdir().unwrap();
            let units = units_for(folder.path(), values);
            assert!(units < 30 + values + values / 12, "{units} for {values}");
        }
    }

    #[test]
    fn stretches_cover_every_block_once() {
        let mut next = 0;
        for stretch in 0..u16::try_from(STRETCHES).unwrap() {
            assert_eq!(first_of(stretch), next);
            next += blocks_in(stretch);
            for block in [first_of(stretch), next - 1] {
                assert_eq!(stretch_of(block), (stretch, block - first_of(stretch)));
            }
        }
        assert!(next >= MAX_BLOCKS, "as many as a vault can hold");
    }

    proptest! {
        #[test]
        fn places_are_never_shared_and_survive_their_superblock(
            blocks in vec((prop_oneof![0u64..100, 0u64..MAX_BLOCKS], any::<bool>()), 1..200),
        ) {
            let mut order = Order::default();
            let mut known: BTreeMap<u64, u64> = BTreeMap::new();
            for (block, cuts) in blocks {
                if cuts {
                    known.retain(|known, _| *known < block);
                    let end = order.cut(block);
                    prop_assert!(known.values().all(|place| *place < end));
                }
                known.insert(block, order.place_for(block).unwrap());
                let mut bytes = vec![0; 2 * STRETCHES];
                order.to_bytes(&mut bytes);
                let read = Order::from_bytes(&bytes).unwrap();
                for (block, place) in &known {
                    prop_assert_eq!(read.place_of(*block), Some(*place));
                }
            }
            let mut places: Vec<u64> = known.values().copied().collect();
            places.sort_unstable();
            places.dedup();
            prop_assert_eq!(places.len(), known.len());
        }
    }
}
