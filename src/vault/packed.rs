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
    store::{self, Entry, Store},
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
        let mut bytes = Vec::with_capacity(self.prefix.len() + KEY_BYTES);
        bytes.extend_from_slice(&self.prefix);
        R::put_key(key, &mut bytes);
        bytes
    }

    /// The block in which a row of this key stands or would stand; `None` when it would come before the first.
    fn block_of(&self, store: Store<'_>, key: &R::Key) -> Result<Option<Entry>, Error> {
        store.last(&self.prefix, &self.key_of(key))
    }

    /// The row of this key.
    pub(super) fn get(&self, store: Store<'_>, key: &R::Key) -> Result<Option<R>, Error> {
        let Some((_, block)) = self.block_of(store, key)? else {
            return Ok(None);
        };
        for row in codec::rows::<R>(&block, R::WHAT)? {
            let row = row?;
            if row.key() >= *key {
                return Ok((row.key() == *key).then_some(row));
            }
        }
        Ok(None)
    }

    /// All rows, in order.
    pub(super) fn scan<'s>(&self, store: Store<'s>) -> Scan<'s, R> {
        Scan {
            cursor: Cursor::new(self.clone()),
            store,
        }
    }

    /// All rows from this key on, in order.
    pub(super) fn scan_from<'s>(
        &self,
        store: Store<'s>,
        key: &R::Key,
    ) -> Result<Scan<'s, R>, Error> {
        let Some((at, block)) = self.block_of(store, key)? else {
            return Ok(self.scan(store));
        };
        let rows = codec::rows::<R>(&block, R::WHAT)?
            .skip_while(|row| row.as_ref().is_ok_and(|row| row.key() < *key));
        let mut cursor = Cursor::new(self.clone());
        cursor.items = rows.collect::<Result<_, _>>()?;
        cursor.last = Some(at);
        Ok(Scan { cursor, store })
    }
}

/// Walks a space block by block without holding on to where it is read from. What it takes out of a block is the rows,
/// or something smaller.
pub(super) struct Cursor<R, T = R> {
    space: Space<R>,
    /// Key of the block read last; `None` at the end.
    last: Option<Vec<u8>>,
    items: VecDeque<T>,
}

impl<R: Row, T> Cursor<R, T> {
    /// Before the first row.
    pub(super) fn new(space: Space<R>) -> Self {
        Self {
            last: Some(space.prefix.clone()),
            space,
            items: VecDeque::new(),
        }
    }

    /// What comes next; `take` takes it out of a block.
    pub(super) fn peek(
        &mut self,
        store: Store<'_>,
        take: impl Fn(&[u8]) -> Result<VecDeque<T>, Error>,
    ) -> Result<Option<&T>, Error> {
        while self.items.is_empty()
            && let Some(last) = &self.last
        {
            match store.after(last, &self.space.prefix)? {
                Some((key, block)) => {
                    self.items = take(&block)?;
                    self.last = Some(key);
                }
                None => self.last = None,
            }
        }
        Ok(self.items.front())
    }

    /// Takes what was peeked at.
    pub(super) fn pop(&mut self) -> Option<T> {
        self.items.pop_front()
    }
}

/// The rows of a block.
pub(super) fn rows_of<R: Row>(block: &[u8]) -> Result<VecDeque<R>, Error> {
    codec::rows::<R>(block, R::WHAT)?.collect()
}

/// Walks a space.
pub(super) struct Scan<'s, R> {
    cursor: Cursor<R>,
    store: Store<'s>,
}

impl<R: Row> Iterator for Scan<'_, R> {
    type Item = Result<R, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.cursor.peek(self.store, rows_of) {
            Ok(_) => self.cursor.pop().map(Ok),
            Err(error) => {
                self.cursor.last = None;
                Some(Err(error))
            }
        }
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
    /// Nothing was looked at yet.
    Before,
    /// Before this block.
    At(Entry),
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
        if self.writer.push(row, room(&self.first)) {
            return Ok(());
        }
        self.flush(transaction)?;
        self.push(transaction, space, row)
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
    /// The block after this one.
    next: Option<Entry>,
}

impl<R: Row> Merge<R> {
    /// Begins before the first row.
    pub(super) fn new(space: Space<R>) -> Self {
        Self {
            space,
            state: State::Before,
            last: None,
        }
    }

    /// Goes to where a row of `key` stands or would stand. Rows that are passed on the way are shown to `passed`, which
    /// decides on them.
    pub(super) fn pass(
        &mut self,
        transaction: &WriteTransaction,
        key: &R::Key,
        passed: &mut dyn FnMut(&R) -> Fate<R>,
    ) -> Result<(), Error> {
        loop {
            match &mut self.state {
                State::In(open) => {
                    open.pass_until(Some(key), passed);
                    if !open.ends_before(key, &self.space) && !open.is_overflowing() {
                        return Ok(());
                    }
                    self.leave(transaction)?;
                }
                State::Behind(_) => return Ok(()),
                State::Before | State::At(_) => self.enter(transaction)?,
            }
        }
    }

    /// Decides on the row of `key`, having passed those before it as [`Merge::pass`] does.
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
        self.pass(transaction, key, passed)?;
        match &mut self.state {
            State::In(open) => open.decide(key, decide),
            State::Behind(appender) => {
                if let Fate::Put(row) = decide(None) {
                    appender.push(transaction, &self.space, &row)?;
                }
            }
            // `pass` ends in or behind a block.
            State::Before | State::At(_) => {}
        }
        Ok(())
    }

    /// The same, without looking at the rows in between: they stay. Blocks in between are not read.
    pub(super) fn jump(
        &mut self,
        transaction: &WriteTransaction,
        key: &R::Key,
        decide: impl FnOnce(Option<&R>) -> Fate<R>,
    ) -> Result<(), Error> {
        let stays = match &self.state {
            State::In(open) => !open.ends_before(key, &self.space),
            State::Behind(_) => true,
            State::Before | State::At(_) => false,
        };
        if !stays {
            self.leave(transaction)?;
            self.state = match self.space.block_of(Store::Write(transaction), key)? {
                Some(entry) => State::At(entry),
                None => State::Before,
            };
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
                State::In(open) => {
                    open.pass_until(None, passed);
                    self.leave(transaction)?;
                }
                State::Behind(appender) => return appender.flush(transaction),
                State::Before | State::At(_) => self.enter(transaction)?,
            }
        }
    }

    /// Writes what changed; rows that are left stay as they are and are not read.
    pub(super) fn close(mut self, transaction: &WriteTransaction) -> Result<(), Error> {
        self.leave(transaction)?;
        match &mut self.state {
            State::Behind(appender) => appender.flush(transaction),
            _ => Ok(()),
        }
    }

    /// Enters the next block.
    fn enter(&mut self, transaction: &WriteTransaction) -> Result<(), Error> {
        let (store, prefix) = (Store::Write(transaction), &self.space.prefix);
        let next = match std::mem::replace(&mut self.state, State::Before) {
            State::At(entry) => Some(entry),
            _ => store.after(prefix, prefix)?,
        };
        self.state = match next {
            Some((at, block)) => State::In(Open {
                rest: codec::rows::<R>(&block, R::WHAT)?.collect::<Result<_, _>>()?,
                kept: Vec::new(),
                changed: false,
                next: store.after(&at, prefix)?,
                at,
            }),
            None => State::Behind(Appender::default()),
        };
        Ok(())
    }

    /// Leaves the block, writing it if it changed. The block that was next is next still: those written just now lie
    /// before it.
    fn leave(&mut self, transaction: &WriteTransaction) -> Result<(), Error> {
        let State::In(open) = &mut self.state else {
            return Ok(());
        };
        open.kept.extend(open.rest.drain(..));
        if open.changed {
            store::remove(transaction, &open.at)?;
        }
        let mut appender = Appender::default();
        let next = open.next.take();
        if open.changed && next.is_some() {
            spread(transaction, &self.space, &open.kept)?;
        } else if open.changed {
            for row in &open.kept {
                appender.push(transaction, &self.space, row)?;
            }
        }
        self.state = next.map_or(State::Behind(appender), State::At);
        Ok(())
    }
}

impl<R: Row> Open<R> {
    /// Shows the rows before `key` to `passed`; without a key, all.
    fn pass_until(&mut self, key: Option<&R::Key>, passed: &mut dyn FnMut(&R) -> Fate<R>) {
        let is_before = |row: &R| key.is_none_or(|key| row.key() < *key);
        while self.rest.front().is_some_and(is_before)
            && let Some(row) = self.rest.pop_front()
        {
            match passed(&row) {
                Fate::Keep => self.kept.push(row),
                Fate::Put(new) => {
                    self.kept.push(new);
                    self.changed = true;
                }
                Fate::Drop => self.changed = true,
            }
        }
    }

    /// Whether `key` belongs into a later block.
    fn ends_before(&self, key: &R::Key, space: &Space<R>) -> bool {
        let next = self.next.as_ref();
        let is_within = self.rest.back().is_some_and(|last| last.key() >= *key);
        !is_within && next.is_some_and(|(next, _)| *next <= space.key_of(key))
    }

    /// Whether so much was appended behind the last block that it is better written in between.
    fn is_overflowing(&self) -> bool {
        self.rest.is_empty()
            && self.next.is_none()
            && self.changed
            && self.kept.len() >= APPEND_ROWS
    }

    fn decide(&mut self, key: &R::Key, decide: impl FnOnce(Option<&R>) -> Fate<R>) {
        let is_it = self.rest.front().is_some_and(|row| row.key() == *key);
        let existing = if is_it { self.rest.pop_front() } else { None };
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

/// Writes the rows of a block that grew: as one block, or as several of about the same number of rows, so that the next
/// growth finds room.
fn spread<R: Row>(
    transaction: &WriteTransaction,
    space: &Space<R>,
    rows: &[R],
) -> Result<(), Error> {
    let Some(first) = rows.first() else {
        return Ok(());
    };
    let (mut writer, key) = (Writer::default(), space.key_of(&first.key()));
    if rows.iter().all(|row| writer.push(row, room(&key))) {
        return store::put(transaction, &key, &writer.finish()?);
    }
    let (left, right) = rows.split_at(rows.len() / 2);
    spread(transaction, space, left)?;
    spread(transaction, space, right)
}

/// How long a block under this key may be so that both fill one redb leaf: a page less 4 bytes of header and 8 of the
/// ends of key and value.
fn room(key: &[u8]) -> usize {
    (4_096 - 12usize).saturating_sub(key.len())
}

/// Keys are seldom longer.
const KEY_BYTES: usize = 32;
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
            to.ascending(self.0);
            to.text(&self.1);
        }

        fn read(from: &mut codec::Reader<'_>) -> Option<Self> {
            Some(Self(from.ascending()?, from.text()?.to_vec()))
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
                prop_assert!(store.all(&[7]).map(Result::unwrap).all(|(key, block)| block.len() <= room(&key)));
                drop(transaction.open_table(TABLE).unwrap());
                transaction.abort().unwrap();
            }
        }
    }
}
