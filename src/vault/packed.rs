//! Packed tables: many sorted rows in one redb value.
//!
//! A space is all rows under one prefix (a tag, and a source where rows belong to one). Its rows are cut into blocks
//! that fill a redb page; a block's key is the prefix and the key of its first row. Rows come and go by [`Merge`], which
//! walks a space beside a sorted stream and rewrites only the blocks that change.

use std::{collections::VecDeque, marker::PhantomData};

use redb::WriteTransaction;

use super::{
    Error,
    codec::{self, Columnar, Writer},
    store::{self, Store},
};

/// A row of a packed table.
pub(super) trait Row: Columnar + Clone {
    /// What rows are sorted by; unique in a space.
    type Key: Ord + Clone;
    /// What the rows are, for errors.
    const WHAT: &'static str;
    /// The key.
    fn key(&self) -> Self::Key;
    /// The key as bytes that sort as keys do.
    fn put_key(key: &Self::Key, bytes: &mut Vec<u8>);
}

/// All rows under one prefix.
#[derive(Clone)]
pub(super) struct Space<R> {
    prefix: Vec<u8>,
    rows: PhantomData<R>,
}

impl<R: Row> Space<R> {
    pub(super) fn new(prefix: Vec<u8>) -> Self {
        Self {
            prefix,
            rows: PhantomData,
        }
    }

    fn key_of(&self, key: &R::Key) -> Vec<u8> {
        let mut bytes = self.prefix.clone();
        R::put_key(key, &mut bytes);
        bytes
    }

    /// The block in which a row of this key stands or would stand; `None` when it would come before the first.
    fn block_of(&self, store: Store<'_>, key: &R::Key) -> Result<Option<(Vec<u8>, Vec<R>)>, Error> {
        let entry = store.last(&self.prefix, &self.key_of(key))?;
        entry
            .map(|(at, bytes)| Ok((at, codec::rows(&bytes, R::WHAT)?)))
            .transpose()
    }

    /// The row of this key.
    pub(super) fn get(&self, store: Store<'_>, key: &R::Key) -> Result<Option<R>, Error> {
        let Some((_, rows)) = self.block_of(store, key)? else {
            return Ok(None);
        };
        let found = rows.binary_search_by(|row| row.key().cmp(key));
        Ok(found.ok().and_then(|at| rows.get(at).cloned()))
    }

    /// All rows, in order.
    pub(super) fn scan<'s>(&self, store: Store<'s>) -> Scan<'s, R> {
        Scan {
            space: self.clone(),
            store,
            last: Some(self.prefix.clone()),
            rows: VecDeque::new(),
        }
    }

    /// All rows from this key on, in order.
    pub(super) fn scan_from<'s>(
        &self,
        store: Store<'s>,
        key: &R::Key,
    ) -> Result<Scan<'s, R>, Error> {
        let Some((at, mut rows)) = self.block_of(store, key)? else {
            return Ok(self.scan(store));
        };
        rows.retain(|row| row.key() >= *key);
        Ok(Scan {
            space: self.clone(),
            store,
            last: Some(at),
            rows: rows.into(),
        })
    }
}

/// Walks a space.
pub(super) struct Scan<'s, R> {
    space: Space<R>,
    store: Store<'s>,
    /// Key of the block read last; `None` at the end.
    last: Option<Vec<u8>>,
    rows: VecDeque<R>,
}

impl<R: Row> Scan<'_, R> {
    fn step(&mut self) -> Result<Option<R>, Error> {
        loop {
            if let Some(row) = self.rows.pop_front() {
                return Ok(Some(row));
            }
            let Some(last) = &self.last else {
                return Ok(None);
            };
            match self.store.after(last, &self.space.prefix)? {
                Some((key, bytes)) => {
                    self.rows = codec::rows::<R>(&bytes, R::WHAT)?.into();
                    self.last = Some(key);
                }
                None => self.last = None,
            }
        }
    }
}

impl<R: Row> Iterator for Scan<'_, R> {
    type Item = Result<R, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let step = self.step();
        if step.is_err() {
            self.last = None;
        }
        step.transpose()
    }
}

/// What becomes of a row.
pub(super) enum Fate<R> {
    /// It stays as it is.
    Keep,
    /// It is this from now on.
    Put(R),
    /// It goes.
    Drop,
}

/// Walks a space beside a stream of keys in ascending order, deciding on the way what becomes of each row.
pub(super) struct Merge<R: Row> {
    space: Space<R>,
    state: State<R>,
    last: Option<R::Key>,
}

enum State<R> {
    /// No block is loaded; the next one comes after this key.
    Between(Vec<u8>),
    /// In a block.
    In(Open<R>),
    /// Behind the last block: rows are appended.
    Behind(Appender),
}

/// Packs rows that come in order into full blocks.
#[derive(Default)]
struct Appender {
    writer: Writer,
    /// Key of the first row in the writer.
    first: Vec<u8>,
}

impl Appender {
    fn push<R: Row>(
        &mut self,
        transaction: &WriteTransaction,
        space: &Space<R>,
        row: &R,
    ) -> Result<(), Error> {
        if self.writer.is_empty() {
            self.first = space.key_of(&row.key());
        }
        if self.writer.push(row, BLOCK_BYTES) {
            return Ok(());
        }
        self.flush(transaction)?;
        self.first = space.key_of(&row.key());
        self.writer.push(row, BLOCK_BYTES);
        Ok(())
    }

    fn flush(&mut self, transaction: &WriteTransaction) -> Result<(), Error> {
        if self.writer.is_empty() {
            return Ok(());
        }
        store::put(transaction, &self.first, &self.writer.finish()?)
    }
}

struct Open<R> {
    at: Vec<u8>,
    /// Rows not yet looked at.
    rest: VecDeque<R>,
    /// Rows that stand before them.
    kept: Vec<R>,
    changed: bool,
    /// Key of the block after this one.
    next: Option<Vec<u8>>,
}

impl<R: Row> Merge<R> {
    /// Begins before the first row.
    pub(super) fn new(space: Space<R>) -> Self {
        let state = State::Between(space.prefix.clone());
        Self {
            space,
            state,
            last: None,
        }
    }

    /// Decides on the row of `key`. Rows that are passed on the way are shown to `passed`, which decides on them.
    pub(super) fn at(
        &mut self,
        transaction: &WriteTransaction,
        key: &R::Key,
        passed: &mut dyn FnMut(&R) -> Fate<R>,
        decide: impl FnOnce(Option<&R>) -> Fate<R>,
    ) -> Result<(), Error> {
        if self.last.as_ref().is_some_and(|last| last >= key) {
            return Err(Error::OutOfOrder);
        }
        self.last = Some(key.clone());
        let bytes = self.space.key_of(key);
        loop {
            match &mut self.state {
                State::Between(after) => {
                    let after = std::mem::take(after);
                    self.load_after(transaction, &after)?;
                }
                State::Behind(appender) => {
                    return match decide(None) {
                        Fate::Put(row) => appender.push(transaction, &self.space, &row),
                        Fate::Keep | Fate::Drop => Ok(()),
                    };
                }
                State::In(open) => {
                    open.pass_until(key, passed);
                    if open.rest.is_empty() && open.next.as_ref().is_some_and(|next| *next <= bytes)
                    {
                        self.leave(transaction)?;
                        continue;
                    }
                    if open.is_overflowing() {
                        self.leave(transaction)?;
                        continue;
                    }
                    open.decide(key, decide);
                    return Ok(());
                }
            }
        }
    }

    /// The same, without looking at the rows in between: they stay. Blocks in between are not read.
    pub(super) fn jump(
        &mut self,
        transaction: &WriteTransaction,
        key: &R::Key,
        decide: impl FnOnce(Option<&R>) -> Fate<R>,
    ) -> Result<(), Error> {
        let bytes = self.space.key_of(key);
        let stay = match &self.state {
            State::In(open) => open.next.as_ref().is_none_or(|next| *next > bytes),
            State::Behind(_) => true,
            State::Between(_) => false,
        };
        if !stay {
            self.leave(transaction)?;
            let store = Store::Write(transaction);
            if let Some((at, block)) = store.last(&self.space.prefix, &bytes)? {
                self.load(transaction, at, &block)?;
            } else {
                let prefix = self.space.prefix.clone();
                self.load_after(transaction, &prefix)?;
            }
        }
        self.at(transaction, key, &mut |_| Fate::Keep, decide)
    }

    /// Decides on the rows that are left and writes what changed.
    pub(super) fn finish(
        mut self,
        transaction: &WriteTransaction,
        passed: &mut dyn FnMut(&R) -> Fate<R>,
    ) -> Result<(), Error> {
        loop {
            match &mut self.state {
                State::Between(after) => {
                    let after = std::mem::take(after);
                    self.load_after(transaction, &after)?;
                }
                State::Behind(appender) => return appender.flush(transaction),
                State::In(open) => {
                    open.pass_all(passed);
                    self.leave(transaction)?;
                }
            }
        }
    }

    /// Writes what changed; rows that are left stay as they are and are not read.
    pub(super) fn close(mut self, transaction: &WriteTransaction) -> Result<(), Error> {
        match self.state {
            State::In(_) => self.leave(transaction)?,
            State::Behind(_) | State::Between(_) => {}
        }
        match &mut self.state {
            State::Behind(appender) => appender.flush(transaction),
            State::In(_) | State::Between(_) => Ok(()),
        }
    }

    fn load_after(&mut self, transaction: &WriteTransaction, after: &[u8]) -> Result<(), Error> {
        match Store::Write(transaction).after(after, &self.space.prefix)? {
            Some((at, block)) => self.load(transaction, at, &block),
            None => {
                self.state = State::Behind(Appender::default());
                Ok(())
            }
        }
    }

    fn load(
        &mut self,
        transaction: &WriteTransaction,
        at: Vec<u8>,
        block: &[u8],
    ) -> Result<(), Error> {
        let rest = codec::rows::<R>(block, R::WHAT)?.into();
        let next = Store::Write(transaction)
            .after(&at, &self.space.prefix)?
            .map(|(key, _)| key);
        self.state = State::In(Open {
            at,
            rest,
            kept: Vec::new(),
            changed: false,
            next,
        });
        Ok(())
    }

    /// Leaves the open block, writing it if it changed.
    fn leave(&mut self, transaction: &WriteTransaction) -> Result<(), Error> {
        let State::In(open) = &mut self.state else {
            return Ok(());
        };
        open.kept.extend(open.rest.drain(..));
        if open.changed {
            store::remove(transaction, &open.at)?;
        }
        // The next block is the one that was next: those written just now lie before it.
        self.state = match (open.next.take(), open.changed) {
            (Some(mut next), changed) => {
                if changed {
                    spread(transaction, &self.space, &open.kept)?;
                }
                step_back(&mut next);
                State::Between(next)
            }
            (None, true) => {
                let mut appender = Appender::default();
                for row in &open.kept {
                    appender.push(transaction, &self.space, row)?;
                }
                State::Behind(appender)
            }
            (None, false) => State::Between(std::mem::take(&mut open.at)),
        };
        Ok(())
    }
}

impl<R: Row> Open<R> {
    fn pass_until(&mut self, key: &R::Key, passed: &mut dyn FnMut(&R) -> Fate<R>) {
        while self.rest.front().is_some_and(|row| row.key() < *key) {
            self.pass_one(passed);
        }
    }

    /// Whether so much was appended behind the last block that it is better written in between.
    fn is_overflowing(&self) -> bool {
        self.rest.is_empty()
            && self.next.is_none()
            && self.changed
            && self.kept.len() >= APPEND_ROWS
    }

    fn pass_all(&mut self, passed: &mut dyn FnMut(&R) -> Fate<R>) {
        while !self.rest.is_empty() {
            self.pass_one(passed);
        }
    }

    fn pass_one(&mut self, passed: &mut dyn FnMut(&R) -> Fate<R>) {
        let Some(row) = self.rest.pop_front() else {
            return;
        };
        match passed(&row) {
            Fate::Keep => self.kept.push(row),
            Fate::Put(new) => {
                self.kept.push(new);
                self.changed = true;
            }
            Fate::Drop => self.changed = true,
        }
    }

    fn decide(&mut self, key: &R::Key, decide: impl FnOnce(Option<&R>) -> Fate<R>) {
        let existing = self.rest.pop_front_if(|row| row.key() == *key);
        match (decide(existing.as_ref()), existing) {
            (Fate::Keep, Some(row)) => self.kept.push(row),
            (Fate::Keep | Fate::Drop, None) => {}
            (Fate::Put(row), _) => {
                self.kept.push(row);
                self.changed = true;
            }
            (Fate::Drop, Some(_)) => self.changed = true,
        }
    }
}

/// The largest key of the same length class below `key`: enough to make "after" find `key` itself.
fn step_back(key: &mut Vec<u8>) {
    while let Some(last) = key.last_mut() {
        if *last > 0 {
            *last -= 1;
            key.extend_from_slice(&[0xff; 4]);
            return;
        }
        key.pop();
    }
}

/// Writes the rows of a block that grew: as one block, or as several of about the same number of rows, so that the next
/// growth finds room.
fn spread<R: Row>(
    transaction: &WriteTransaction,
    space: &Space<R>,
    rows: &[R],
) -> Result<(), Error> {
    let mut writer = Writer::default();
    if rows.iter().all(|row| writer.push(row, BLOCK_BYTES)) {
        if !rows.is_empty() {
            write_block(transaction, space, rows.first(), &mut writer)?;
        }
        return Ok(());
    }
    let (left, right) = rows.split_at(rows.len() / 2);
    spread(transaction, space, left)?;
    spread(transaction, space, right)
}

fn write_block<R: Row>(
    transaction: &WriteTransaction,
    space: &Space<R>,
    first: Option<&R>,
    writer: &mut Writer,
) -> Result<(), Error> {
    let Some(first) = first else { return Ok(()) };
    store::put(transaction, &space.key_of(&first.key()), &writer.finish()?)
}

/// A redb leaf with one entry: 4,096 bytes less 4 of header, 8 of key and value ends, and the key (at most 30 but for
/// names).
const BLOCK_BYTES: usize = 4_040;
/// So many rows are collected behind the last block before they are packed.
const APPEND_ROWS: usize = 1_024;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::{collection::vec, prelude::*};
    use redb::{Database, backends::InMemoryBackend};

    use super::*;
    use crate::vault::store::TABLE;

    #[derive(Debug, Clone, PartialEq)]
    struct Sample(u64, Vec<u8>);

    impl Columnar for Sample {
        fn write(&self, to: &mut Writer) {
            to.delta(self.0.cast_signed());
            to.text(&self.1);
        }

        fn read(from: &mut codec::Reader<'_>) -> Option<Self> {
            Some(Self(from.delta()?.cast_unsigned(), from.text()?.to_vec()))
        }
    }

    impl Row for Sample {
        type Key = u64;
        const WHAT: &'static str = "sample";

        fn key(&self) -> u64 {
            self.0
        }

        fn put_key(key: &u64, bytes: &mut Vec<u8>) {
            bytes.extend_from_slice(&key.to_be_bytes());
        }
    }

    #[derive(Debug, Clone)]
    struct Batch {
        rows: BTreeMap<u64, Option<u16>>,
        drop_multiples_of: u64,
        jumps: bool,
    }

    fn batches() -> impl Strategy<Value = Vec<Batch>> {
        let key = prop_oneof![0u64..300, 0u64..5_000, any::<u64>()];
        let rows = prop::collection::btree_map(key, prop::option::weighted(0.8, 0u16..700), 0..400);
        let batch = (rows, prop_oneof![Just(0u64), 2u64..20], any::<bool>());
        vec(
            batch.prop_map(|(rows, drop_multiples_of, jumps)| Batch {
                rows,
                drop_multiples_of,
                jumps,
            }),
            1..6,
        )
    }

    fn apply(database: &Database, space: &Space<Sample>, batch: &Batch) {
        let transaction = database.begin_write().unwrap();
        let multiple =
            |key: u64| batch.drop_multiples_of > 0 && key.is_multiple_of(batch.drop_multiples_of);
        let mut passed = |row: &Sample| {
            if multiple(row.0) {
                Fate::Drop
            } else {
                Fate::Keep
            }
        };
        let mut merge = Merge::new(space.clone());
        for (key, value) in &batch.rows {
            let decide = |_: Option<&Sample>| match value {
                Some(len) => Fate::Put(Sample(*key, vec![1; usize::from(*len)])),
                None => Fate::Drop,
            };
            if batch.jumps {
                merge.jump(&transaction, key, decide).unwrap();
            } else {
                merge.at(&transaction, key, &mut passed, decide).unwrap();
            }
        }
        if batch.jumps {
            merge.close(&transaction).unwrap();
        } else {
            merge.finish(&transaction, &mut passed).unwrap();
        }
        transaction.commit().unwrap();
    }

    fn apply_to_map(map: &mut BTreeMap<u64, Vec<u8>>, batch: &Batch) {
        if !batch.jumps && batch.drop_multiples_of > 0 {
            map.retain(|key, _| {
                batch.rows.contains_key(key) || !key.is_multiple_of(batch.drop_multiples_of)
            });
        }
        for (key, value) in &batch.rows {
            match value {
                Some(len) => map.insert(*key, vec![1; usize::from(*len)]),
                None => map.remove(key),
            };
        }
    }

    proptest! {
        #[test]
        fn a_packed_table_is_a_map(batches in batches(), probes in vec(0u64..5_000, 20)) {
            let database = Database::builder().create_with_backend(InMemoryBackend::new()).unwrap();
            let space: Space<Sample> = Space::new(vec![7]);
            let neighbour: Space<Sample> = Space::new(vec![8]);
            let transaction = database.begin_write().unwrap();
            let mut merge = Merge::new(neighbour.clone());
            merge.at(&transaction, &1, &mut |_| Fate::Keep, |_| Fate::Put(Sample(1, vec![]))).unwrap();
            merge.close(&transaction).unwrap();
            transaction.commit().unwrap();
            let mut map = BTreeMap::new();
            for batch in &batches {
                apply(&database, &space, batch);
                apply_to_map(&mut map, batch);
                let transaction = database.begin_write().unwrap();
                let store = Store::Write(&transaction);
                let rows: Vec<(u64, Vec<u8>)> = space.scan(store).map(|row| row.map(|r| (r.0, r.1)).unwrap()).collect();
                prop_assert_eq!(&rows, &map.iter().map(|(k, v)| (*k, v.clone())).collect::<Vec<_>>());
                for probe in &probes {
                    let got = space.get(store, probe).unwrap().map(|row| row.1);
                    prop_assert_eq!(&got, &map.get(probe).cloned());
                    let from = space.scan_from(store, probe).unwrap().next().map(|row| row.unwrap().0);
                    prop_assert_eq!(from, map.range(probe..).next().map(|(key, _)| *key));
                }
                prop_assert_eq!(neighbour.scan(store).count(), 1);
                prop_assert_eq!(store.all(&[7]).filter(|e| e.as_ref().unwrap().1.len() > BLOCK_BYTES).count(), 0);
                drop(transaction.open_table(TABLE).unwrap());
                transaction.abort().unwrap();
            }
        }
    }
}
