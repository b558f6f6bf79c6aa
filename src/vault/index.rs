//! Indexes: packed tables that lead from what is asked for to the rows. Entries are only ever added: a row that is
//! history is found in the same way.

use std::sync::Arc;

use crate::model::{Domain, Relation, SourceId};

use redb::WriteTransaction;

use super::{
    Error,
    codec::{Columnar, Reader, Writer},
    packed::{Fate, Merge, Row, Space},
    store::tag,
};

/// From the first 40 bits of a token's digest to its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct ByDigest {
    pub(super) digest: u64,
    pub(super) source: u32,
    pub(super) row: u64,
}

/// From an account's row to the rows of its tokens, in one source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct ByAccount {
    pub(super) account: u64,
    pub(super) row: u64,
}

/// From a user name in lower case to the rows of its accounts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct ByName {
    pub(super) name: Arc<str>,
    pub(super) instance: Arc<str>,
    pub(super) source: u32,
    pub(super) row: u64,
}

/// From a run to the rows that it found new, changed or gone: all from `first` to `last`, in the order of their keys.
/// Others may stand between them; what became of each, the rows themselves tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Touched {
    pub(super) relation: Relation,
    pub(super) first: u64,
    pub(super) last: u64,
}

/// What a run found of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChangeKind {
    /// It is there now and was not before.
    Added,
    /// It says something else.
    Changed,
    /// It is there no more.
    Gone,
}

impl ChangeKind {
    /// The word used in JSON and tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Changed => "changed",
            Self::Gone => "gone",
        }
    }
}

pub(super) fn by_digest() -> Space<ByDigest> {
    Space::new(vec![tag::TOKENS_BY_DIGEST])
}

pub(super) fn by_account(source: SourceId) -> Space<ByAccount> {
    Space::new([[tag::TOKENS_BY_ACCOUNT].as_slice(), &source.0.to_be_bytes()].concat())
}

pub(super) fn by_name() -> Space<ByName> {
    Space::new(vec![tag::ACCOUNTS_BY_NAME])
}

pub(super) fn touched(run: u64) -> Space<Touched> {
    Space::new([[tag::TOUCHED].as_slice(), &run.to_be_bytes()].concat())
}

/// The rows that a run saw, where it did not tell everything: each range holds every number from its first to its last.
pub(super) fn seen(run: u64) -> Space<Touched> {
    Space::new([[tag::SEEN].as_slice(), &run.to_be_bytes()].concat())
}

impl ByName {
    pub(super) fn new(name: &str, instance: &Domain, source: SourceId, row: u64) -> Self {
        Self {
            name: folded(name),
            instance: instance.as_str().into(),
            source: source.0,
            row,
        }
    }
}

/// A user name as it is compared: in lower case, without the zero bytes that end names in keys.
pub(super) fn folded(name: &str) -> Arc<str> {
    let is_so = |byte: u8| byte.is_ascii_graphic() && !byte.is_ascii_uppercase();
    if name.bytes().all(is_so) {
        return name.into();
    }
    name.to_lowercase().replace('\0', "\u{fffd}").into()
}

/// Adds entries to an index.
pub(super) fn insert<R: Row<Key = R> + Ord>(
    transaction: &WriteTransaction,
    space: Space<R>,
    entries: &mut Vec<R>,
) -> Result<(), Error> {
    entries.sort_unstable();
    entries.dedup();
    let mut merge = Merge::new(space);
    for entry in entries.drain(..) {
        merge.jump(transaction, &entry, |known| {
            if known.is_some() {
                Fate::Keep
            } else {
                Fate::Put(entry.clone())
            }
        })?;
    }
    merge.close(transaction)
}

impl Columnar for ByDigest {
    fn write(&self, to: &mut Writer) {
        to.ascending(self.digest);
        to.symbol(&self.source.to_le_bytes());
        to.plain(self.row);
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        let digest = from.ascending()?;
        let source = u32::from_le_bytes((*from.symbol()?).try_into().ok()?);
        Some(Self {
            digest,
            source,
            row: from.plain()?,
        })
    }
}

impl Row for ByDigest {
    type Key = Self;
    const WHAT: &'static str = "a block of the index by digest";

    fn key(&self) -> Self {
        *self
    }

    fn put_key(key: &Self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&key.digest.to_be_bytes());
        bytes.extend_from_slice(&key.source.to_be_bytes());
        bytes.extend_from_slice(&key.row.to_be_bytes());
    }
}

impl Columnar for ByAccount {
    fn write(&self, to: &mut Writer) {
        to.ascending(self.account);
        to.plain(self.row);
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            account: from.ascending()?,
            row: from.plain()?,
        })
    }
}

impl Row for ByAccount {
    type Key = Self;
    const WHAT: &'static str = "a block of the index by account";

    fn key(&self) -> Self {
        *self
    }

    fn put_key(key: &Self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&key.account.to_be_bytes());
        bytes.extend_from_slice(&key.row.to_be_bytes());
    }
}

impl Columnar for ByName {
    fn write(&self, to: &mut Writer) {
        to.sorted_text(self.name.as_bytes());
        to.symbol(self.instance.as_bytes());
        to.symbol(&self.source.to_le_bytes());
        to.plain(self.row);
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            name: std::str::from_utf8(from.sorted_text()?).ok()?.into(),
            instance: std::str::from_utf8(&from.symbol()?).ok()?.into(),
            source: u32::from_le_bytes((*from.symbol()?).try_into().ok()?),
            row: from.plain()?,
        })
    }
}

impl Row for ByName {
    type Key = Self;
    const WHAT: &'static str = "a block of the index by name";

    fn key(&self) -> Self {
        self.clone()
    }

    fn put_key(key: &Self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(key.name.as_bytes());
        bytes.push(0);
        bytes.extend_from_slice(key.instance.as_bytes());
        bytes.push(0);
        bytes.extend_from_slice(&key.source.to_be_bytes());
        bytes.extend_from_slice(&key.row.to_be_bytes());
    }
}

impl Columnar for Touched {
    fn write(&self, to: &mut Writer) {
        to.symbol(&[self.relation as u8]);
        to.ascending(self.first);
        to.plain(self.last.saturating_sub(self.first));
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        let relation = match *from.symbol()? {
            [0] => Relation::Apps,
            [1] => Relation::Accounts,
            [2] => Relation::Tokens,
            _ => return None,
        };
        let first = from.ascending()?;
        Some(Self {
            relation,
            first,
            last: first.checked_add(from.plain()?)?,
        })
    }
}

impl Row for Touched {
    type Key = (Relation, u64);
    const WHAT: &'static str = "a block of a run's changes";

    fn key(&self) -> (Relation, u64) {
        (self.relation, self.first)
    }

    fn put_key((relation, first): &(Relation, u64), bytes: &mut Vec<u8>) {
        bytes.push(*relation as u8);
        bytes.extend_from_slice(&first.to_be_bytes());
    }
}

/// Entries are sorted and merged in batches of this size: 24 MB of numbers.
pub(super) const BATCH: usize = 1 << 20;
/// Names are sorted and merged in batches of this size: about 25 MB, with their texts.
pub(super) const NAME_BATCH: usize = 1 << 18;
