//! The tree that vouches for every block: the superblock names the mids, a mid its leaves, a leaf its blocks, each by
//! nonce and tag. Blocks carry neither themselves, so an older, moved or altered one can't be opened.
//!
//! Mids, leaves and the superblock have two places each. What the last durable superblock reaches is never touched: a
//! changed leaf goes to the place that it doesn't name.

use std::{collections::BTreeMap, io, path::Path};

use zeroize::Zeroizing;

use crate::crypto::{NONCE_BYTES, PageKey, Seal};

use super::{
    Error, Medium, VaultId,
    dense::Order,
    layout::{
        BLOCKS_PER_LEAF, CHILD_BYTES, LEAVES_PER_MID, MIDS, SEAL_BYTES, STRETCHES, SUPERBLOCKS,
        UNIT, UNIT_U64, leaf_unit, mid_unit, seal_from, seal_to,
    },
};

/// Bytes of redb's first page that mean something: its header. The rest of that page stays zero.
pub(super) const HEAD_BYTES: usize = 320;

/// What a sealed unit is; part of what its tag authenticates.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Superblock = 1,
    Mid = 2,
    Leaf = 3,
    Block = 4,
}

/// Associated data of a sealed unit: format, vault, kind and number.
pub(super) fn associated(vault: VaultId, kind: Kind, number: u64) -> [u8; 33] {
    let mut bytes = [0; 33];
    let parts = b"TUSKVLT1"
        .iter()
        .chain(&vault.0)
        .copied()
        .chain([kind as u8])
        .chain(number.to_le_bytes());
    for (to, from) in bytes.iter_mut().zip(parts) {
        *to = from;
    }
    bytes
}

/// A mid or leaf as its parent names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Child {
    copy: u8,
    seal: Seal,
}

/// A mid or a leaf in memory.
#[derive(Debug)]
struct Node<T> {
    entries: Vec<Option<T>>,
    dirty: bool,
}

/// The superblock and what was read of the tree so far.
#[derive(Debug)]
pub(super) struct Tree {
    vault: VaultId,
    /// Counts syncs. Only ever grows.
    pub(super) commit: u64,
    /// redb's length in bytes.
    pub(super) logical_len: u64,
    /// Blocks up to the last one written.
    pub(super) blocks: u64,
    /// redb's header.
    pub(super) head: Zeroizing<[u8; HEAD_BYTES]>,
    /// Which of redb's blocks each of ours is.
    pub(super) order: Order,
    roots: Node<Child>,
    mids: BTreeMap<u64, Node<Child>>,
    leaves: BTreeMap<u64, Node<Seal>>,
    /// Which of the two superblocks is known to be durable.
    durable: usize,
}

impl Tree {
    /// The tree of an empty vault.
    pub(super) fn new(vault: VaultId) -> Self {
        Self {
            vault,
            commit: 0,
            logical_len: 0,
            blocks: 0,
            head: Zeroizing::new([0; HEAD_BYTES]),
            order: Order::default(),
            roots: empty(MIDS),
            mids: BTreeMap::new(),
            leaves: BTreeMap::new(),
            durable: 1,
        }
    }

    /// Reads the newest authentic superblock.
    pub(super) fn read(
        vault: VaultId,
        key: &PageKey,
        medium: &dyn Medium,
        path: &Path,
    ) -> Result<Self, Error> {
        let mut newest: Option<Self> = None;
        for (place, unit) in SUPERBLOCKS.into_iter().enumerate() {
            let mut bytes = Zeroizing::new([0; UNIT]);
            match medium.read(unit * UNIT_U64, &mut *bytes) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => continue,
                Err(source) => return Err(Error::io("read", path, source)),
            }
            let Some(tree) = Self::open(vault, key, &mut bytes, place) else {
                continue;
            };
            if newest
                .as_ref()
                .is_none_or(|newest| newest.commit < tree.commit)
            {
                newest = Some(tree);
            }
        }
        newest.ok_or_else(|| Error::Damaged {
            path: path.to_owned(),
            what: "neither copy of its superblock is authentic".to_owned(),
        })
    }

    fn open(vault: VaultId, key: &PageKey, bytes: &mut [u8; UNIT], place: usize) -> Option<Self> {
        let (seal, body) = bytes.split_at_mut(SEAL_BYTES);
        let seal = seal_from(seal)?;
        if !key.open(&seal, &associated(vault, Kind::Superblock, 0), body) {
            return None;
        }
        let (commit, rest) = body.split_first_chunk::<8>()?;
        let (logical_len, rest) = rest.split_first_chunk::<8>()?;
        let (blocks, rest) = rest.split_first_chunk::<8>()?;
        let (head, rest) = rest.split_first_chunk::<HEAD_BYTES>()?;
        let (order, rest) = rest.split_at_checked(2 * STRETCHES)?;
        Some(Self {
            commit: u64::from_le_bytes(*commit),
            logical_len: u64::from_le_bytes(*logical_len),
            blocks: u64::from_le_bytes(*blocks),
            head: Zeroizing::new(*head),
            order: Order::from_bytes(order)?,
            roots: Node {
                entries: children_from(rest, MIDS),
                dirty: false,
            },
            durable: place,
            ..Self::new(vault)
        })
    }

    /// The seal of a block; `None` when it was never written.
    pub(super) fn seal(
        &mut self,
        block: u64,
        key: &PageKey,
        medium: &dyn Medium,
        path: &Path,
    ) -> Result<Option<Seal>, Error> {
        let leaf = self.leaf(block / BLOCKS_PER_LEAF, key, medium, path)?;
        Ok(entry(&leaf.entries, block % BLOCKS_PER_LEAF))
    }

    /// Sets or clears the seal of a block.
    pub(super) fn set_seal(
        &mut self,
        block: u64,
        seal: Option<Seal>,
        key: &PageKey,
        medium: &dyn Medium,
        path: &Path,
    ) -> Result<(), Error> {
        let leaf = self.leaf(block / BLOCKS_PER_LEAF, key, medium, path)?;
        set(&mut leaf.entries, block % BLOCKS_PER_LEAF, seal);
        leaf.dirty = true;
        Ok(())
    }

    fn leaf(
        &mut self,
        number: u64,
        key: &PageKey,
        medium: &dyn Medium,
        path: &Path,
    ) -> Result<&mut Node<Seal>, Error> {
        if !self.leaves.contains_key(&number) {
            let mid = self.mid(number / LEAVES_PER_MID, key, medium, path)?;
            let node = match entry(&mid.entries, number % LEAVES_PER_MID) {
                None => empty(BLOCKS_PER_LEAF),
                Some(child) => {
                    let unit = leaf_unit(number, child.copy);
                    let bytes =
                        self.read_node(child, Kind::Leaf, number, unit, key, medium, path)?;
                    let seals = bytes.chunks_exact(SEAL_BYTES).map(seal_from).collect();
                    Node {
                        entries: seals,
                        dirty: false,
                    }
                }
            };
            self.leaves.insert(number, node);
        }
        self.leaves
            .get_mut(&number)
            .ok_or_else(|| unreachable_node(path))
    }

    fn mid(
        &mut self,
        number: u64,
        key: &PageKey,
        medium: &dyn Medium,
        path: &Path,
    ) -> Result<&mut Node<Child>, Error> {
        if number >= MIDS {
            return Err(Error::Full {
                path: path.to_owned(),
            });
        }
        if !self.mids.contains_key(&number) {
            let node = match entry(&self.roots.entries, number) {
                None => empty(LEAVES_PER_MID),
                Some(child) => {
                    let unit = mid_unit(number, child.copy);
                    let bytes =
                        self.read_node(child, Kind::Mid, number, unit, key, medium, path)?;
                    Node {
                        entries: children_from(&*bytes, LEAVES_PER_MID),
                        dirty: false,
                    }
                }
            };
            self.mids.insert(number, node);
        }
        self.mids
            .get_mut(&number)
            .ok_or_else(|| unreachable_node(path))
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "one private reader for two kinds of node"
    )]
    fn read_node(
        &self,
        child: Child,
        kind: Kind,
        number: u64,
        unit: u64,
        key: &PageKey,
        medium: &dyn Medium,
        path: &Path,
    ) -> Result<Zeroizing<[u8; UNIT]>, Error> {
        let mut bytes = Zeroizing::new([0; UNIT]);
        let read = medium.read(unit * UNIT_U64, &mut *bytes);
        let authentic = match read {
            Ok(()) => key.open(
                &child.seal,
                &associated(self.vault, kind, number),
                &mut *bytes,
            ),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => false,
            Err(source) => return Err(Error::io("read", path, source)),
        };
        if authentic {
            return Ok(bytes);
        }
        let what = format!("unit {unit} (part of the tree of tags) is not authentic");
        Err(Error::Damaged {
            path: path.to_owned(),
            what,
        })
    }

    /// Writes the changed leaves and mids to the places that the durable superblock doesn't name. Answers whether
    /// there were any.
    ///
    /// One that vouches for nothing any more is forgotten: the file may end before its place.
    pub(super) fn write_nodes(
        &mut self,
        key: &PageKey,
        out: &mut dyn FnMut(u64, &[u8]) -> io::Result<()>,
    ) -> io::Result<bool> {
        let mut any = false;
        for (&number, leaf) in self.leaves.iter_mut().filter(|(_, leaf)| leaf.dirty) {
            let mid = self
                .mids
                .entry(number / LEAVES_PER_MID)
                .or_insert_with(|| empty(LEAVES_PER_MID));
            let mut child = None;
            if leaf.entries.iter().any(Option::is_some) {
                let mut bytes = Zeroizing::new([0; UNIT]);
                for (to, seal) in bytes.chunks_exact_mut(SEAL_BYTES).zip(&leaf.entries) {
                    seal_to(*seal, to);
                }
                let copy = other_copy(entry(&mid.entries, number % LEAVES_PER_MID));
                let seal = key
                    .seal(&associated(self.vault, Kind::Leaf, number), &mut *bytes)
                    .map_err(io::Error::other)?;
                out(leaf_unit(number, copy), &*bytes)?;
                child = Some(Child { copy, seal });
                any = true;
            }
            set(&mut mid.entries, number % LEAVES_PER_MID, child);
            mid.dirty = true;
            leaf.dirty = false;
        }
        for (&number, mid) in self.mids.iter_mut().filter(|(_, mid)| mid.dirty) {
            let mut child = None;
            if mid.entries.iter().any(Option::is_some) {
                let mut bytes = Zeroizing::new([0; UNIT]);
                children_to(&mid.entries, &mut *bytes);
                let copy = other_copy(entry(&self.roots.entries, number));
                let seal = key
                    .seal(&associated(self.vault, Kind::Mid, number), &mut *bytes)
                    .map_err(io::Error::other)?;
                out(mid_unit(number, copy), &*bytes)?;
                child = Some(Child { copy, seal });
                any = true;
            }
            set(&mut self.roots.entries, number, child);
            mid.dirty = false;
        }
        Ok(any)
    }

    /// The next superblock, sealed, and the two places for it: first the one that is not known to be durable. Once that
    /// one is synced, call [`Tree::committed`]; the other place then gets the same bytes, so that no single damaged
    /// unit brings an older state back.
    pub(super) fn next_superblock(
        &self,
        key: &PageKey,
    ) -> io::Result<(Zeroizing<[u8; UNIT]>, [u64; 2])> {
        let mut bytes = Zeroizing::new([0; UNIT]);
        let (seal_place, body) = bytes.split_at_mut(SEAL_BYTES);
        let numbers = [self.commit + 1, self.logical_len, self.blocks];
        let (to, rest) = body.split_at_mut(8 * numbers.len());
        for (to, number) in to.chunks_exact_mut(8).zip(numbers) {
            to.copy_from_slice(&number.to_le_bytes());
        }
        let (to, rest) = rest.split_at_mut(HEAD_BYTES);
        to.copy_from_slice(&*self.head);
        let (to, rest) = rest.split_at_mut(2 * STRETCHES);
        self.order.to_bytes(to);
        children_to(&self.roots.entries, rest);
        let seal = key
            .seal(&associated(self.vault, Kind::Superblock, 0), body)
            .map_err(io::Error::other)?;
        seal_to(Some(seal), seal_place);
        let [a, b] = SUPERBLOCKS;
        Ok((bytes, if self.durable == 0 { [b, a] } else { [a, b] }))
    }

    /// The superblock is durable in its first place.
    pub(super) fn committed(&mut self) {
        self.commit += 1;
        self.durable = 1 - self.durable;
    }
}

fn empty<T>(entries: u64) -> Node<T> {
    Node {
        entries: (0..entries).map(|_| None).collect(),
        dirty: false,
    }
}

fn entry<T: Copy>(entries: &[Option<T>], at: u64) -> Option<T> {
    usize::try_from(at)
        .ok()
        .and_then(|at| entries.get(at).copied().flatten())
}

fn other_copy(child: Option<Child>) -> u8 {
    child.map_or(0, |child| 1 - child.copy.min(1))
}

fn set<T>(entries: &mut [Option<T>], at: u64, value: Option<T>) {
    if let Some(to) = usize::try_from(at).ok().and_then(|at| entries.get_mut(at)) {
        *to = value;
    }
}

fn children_from(bytes: &[u8], count: u64) -> Vec<Option<Child>> {
    let count = usize::try_from(count).unwrap_or_default();
    let parse = |bytes: &[u8]| {
        let (copy, seal) = bytes.split_first()?;
        Some(Child {
            copy: *copy,
            seal: seal_from(seal)?,
        })
    };
    bytes
        .chunks_exact(CHILD_BYTES)
        .take(count)
        .map(parse)
        .collect()
}

fn children_to(children: &[Option<Child>], bytes: &mut [u8]) {
    for (to, child) in bytes.chunks_exact_mut(CHILD_BYTES).zip(children) {
        if let Some((copy, seal)) = to.split_first_mut() {
            *copy = child.map_or(0, |child| child.copy);
            seal_to(child.map(|child| child.seal), seal);
        }
    }
}

fn unreachable_node(path: &Path) -> Error {
    Error::Damaged {
        path: path.to_owned(),
        what: "its tree of tags is inconsistent".to_owned(),
    }
}

const _: () = assert!(
    SEAL_BYTES + 24 + HEAD_BYTES + 2 * STRETCHES + 65 * CHILD_BYTES <= UNIT && MIDS == 65,
    "the superblock fits its unit"
);
const _: () = assert!(NONCE_BYTES == 24, "XChaCha20");
