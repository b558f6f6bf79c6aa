//! The one redb table, seen from a read or a write transaction: sorted keys with values.
//!
//! All kinds of rows share it. Each has a tag, the first byte of its keys; every further redb table would cost a small
//! vault several pages.

use std::ops::Bound;

use redb::{ReadOnlyTable, ReadableTable, TableDefinition, WriteTransaction};

use super::Error;

/// The table.
pub(super) const TABLE: TableDefinition<'static, &[u8], &[u8]> = TableDefinition::new("rows");

/// First bytes of keys.
pub(super) mod tag {
    pub(in super::super) const FORMAT: u8 = 0;
    pub(in super::super) const SOURCES: u8 = 1;
    pub(in super::super) const RUNS: u8 = 2;
    pub(in super::super) const AUDIT: u8 = 3;
    pub(in super::super) const BOOKMARKS: u8 = 4;
    pub(in super::super) const MARKS: u8 = 5;
    pub(in super::super) const APPS: u8 = 16;
    pub(in super::super) const ACCOUNTS: u8 = 17;
    pub(in super::super) const TOKENS: u8 = 18;
    pub(in super::super) const VERIFIED: u8 = 19;
    /// Added to a relation's tag for what became of its rows later.
    pub(in super::super) const LATER: u8 = 8;
    pub(in super::super) const TOKENS_BY_DIGEST: u8 = 32;
    pub(in super::super) const TOKENS_BY_ACCOUNT: u8 = 33;
    pub(in super::super) const ACCOUNTS_BY_NAME: u8 = 34;
    pub(in super::super) const TOUCHED: u8 = 35;
    pub(in super::super) const SEEN: u8 = 36;
    pub(in super::super) const VERIFIED_BY_USER: u8 = 37;
}

/// A key and its value.
pub(super) type Entry = (Vec<u8>, Vec<u8>);

/// Where rows are read from.
#[derive(Clone, Copy)]
pub(super) enum Store<'a> {
    Read(&'a ReadOnlyTable<&'static [u8], &'static [u8]>),
    Write(&'a WriteTransaction),
}

impl Store<'_> {
    /// The entry of a key.
    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        let value = match self {
            Store::Read(table) => table.get(key)?.map(|value| value.value().to_vec()),
            Store::Write(transaction) => transaction
                .open_table(TABLE)?
                .get(key)?
                .map(|value| value.value().to_vec()),
        };
        Ok(value)
    }

    /// The last entry in `low..=high`.
    pub(super) fn last(&self, low: &[u8], high: &[u8]) -> Result<Option<Entry>, Error> {
        let bounds = (Bound::Included(low), Bound::Included(high));
        match self {
            Store::Read(table) => taken(table.range::<&[u8]>(bounds)?.next_back()),
            Store::Write(transaction) => taken(
                transaction
                    .open_table(TABLE)?
                    .range::<&[u8]>(bounds)?
                    .next_back(),
            ),
        }
    }

    /// The first entry after `low` whose key begins with `prefix`.
    pub(super) fn after(&self, low: &[u8], prefix: &[u8]) -> Result<Option<Entry>, Error> {
        let bounds = (Bound::Excluded(low), Bound::Unbounded);
        let entry = match self {
            Store::Read(table) => taken(table.range::<&[u8]>(bounds)?.next())?,
            Store::Write(transaction) => taken(
                transaction
                    .open_table(TABLE)?
                    .range::<&[u8]>(bounds)?
                    .next(),
            )?,
        };
        Ok(entry.filter(|(key, _)| key.starts_with(prefix)))
    }

    /// Every entry whose key begins with `prefix`, in order.
    pub(super) fn all<'s>(
        &'s self,
        prefix: &[u8],
    ) -> impl Iterator<Item = Result<Entry, Error>> + use<'s> {
        let prefix = prefix.to_vec();
        let mut last = prefix.clone();
        std::iter::from_fn(move || match self.after(&last, &prefix) {
            Ok(Some((key, value))) => {
                last.clone_from(&key);
                Some(Ok((key, value)))
            }
            Ok(None) => None,
            Err(error) => Some(Err(error)),
        })
    }
}

type Guard<'a> = redb::AccessGuard<'a, &'static [u8]>;

fn taken(
    entry: Option<Result<(Guard<'_>, Guard<'_>), redb::StorageError>>,
) -> Result<Option<Entry>, Error> {
    Ok(entry
        .transpose()?
        .map(|(key, value)| (key.value().to_vec(), value.value().to_vec())))
}

/// Puts an entry into a write transaction.
pub(super) fn put(transaction: &WriteTransaction, key: &[u8], value: &[u8]) -> Result<(), Error> {
    transaction.open_table(TABLE)?.insert(key, value)?;
    Ok(())
}

/// Removes an entry from a write transaction.
pub(super) fn remove(transaction: &WriteTransaction, key: &[u8]) -> Result<(), Error> {
    transaction.open_table(TABLE)?.remove(key)?;
    Ok(())
}

/// A `u64` key under a tag.
pub(super) fn number_key(tag: u8, number: u64) -> [u8; 9] {
    let mut key = [tag; 9];
    for (to, from) in key.iter_mut().skip(1).zip(number.to_be_bytes()) {
        *to = from;
    }
    key
}

/// The number in such a key.
pub(super) fn number_of(key: &[u8]) -> Option<u64> {
    key.get(1..)?.try_into().ok().map(u64::from_be_bytes)
}
