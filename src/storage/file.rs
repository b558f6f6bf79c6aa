//! `EncryptedFile`: the bytes that redb believes it writes to, sealed block by block.

use std::{
    collections::HashMap,
    fmt, io,
    ops::Bound,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use redb::{BackendError, StorageBackend};
use zeroize::{Zeroize, Zeroizing};

use crate::crypto::{MasterKey, NONCE_BYTES, PageKey, Seal};

use super::{
    Error, Medium, VaultId,
    header::Header,
    layout::{MAX_BLOCKS, UNIT, UNIT_U64, block_unit},
    open::previous_of,
    tree::{HEAD_BYTES, Kind, Tree, associated},
};

/// An unlocked vault file. A cheap handle: one clone goes to redb as its [`StorageBackend`], another stays with the
/// vault. The file stays locked until the last handle is dropped.
#[derive(Clone)]
pub struct EncryptedFile(Arc<Inner>);

struct Inner {
    path: PathBuf,
    medium: Arc<dyn Medium>,
    vault: VaultId,
    master: MasterKey,
    key: PageKey,
    found_commit: u64,
    state: Mutex<State>,
    written: AtomicU64,
}

/// What writes do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// They are refused.
    Read,
    /// They go to the file.
    Write,
    /// They stay in memory: how a vault that a crash left unclean is repaired on a read-only medium.
    Overlay,
}

#[expect(
    clippy::struct_excessive_bools,
    reason = "four independent facts about what the file still needs"
)]
struct State {
    mode: Mode,
    header: Header,
    tree: Tree,
    pending: Pending,
    /// Whether anything changed since the last sync.
    dirty: bool,
    /// Whether blocks were written to the file since the last sync.
    unsynced: bool,
    /// Whether the file may be longer than it needs to be.
    trim: bool,
    failed: bool,
    /// The first error that redb was told, to be told to the person.
    failure: Option<Error>,
}

/// Blocks that redb has written and that are not yet sealed, one after the other, and where each stands.
#[derive(Default)]
struct Pending {
    places: HashMap<u64, usize>,
    bytes: Zeroizing<Vec<u8>>,
}

impl Pending {
    /// Forgets the blocks from `end` on.
    fn cut(&mut self, end: u64) {
        let before = std::mem::take(self);
        for (block, at) in before.places.into_iter().filter(|(block, _)| *block < end) {
            self.places.insert(block, self.bytes.len());
            let bytes = before.bytes.get(at..at + UNIT).unwrap_or_default();
            self.bytes.extend_from_slice(bytes);
        }
    }
}

impl EncryptedFile {
    pub(super) fn new(
        path: &Path,
        medium: Arc<dyn Medium>,
        header: Header,
        tree: Tree,
        master: MasterKey,
        mode: Mode,
    ) -> Self {
        let (vault, key) = (header.vault_id, master.page_key());
        let found_commit = tree.commit;
        let state = State {
            mode,
            header,
            tree,
            pending: Pending::default(),
            dirty: false,
            unsynced: false,
            trim: true,
            failed: false,
            failure: None,
        };
        let (state, written) = (Mutex::new(state), AtomicU64::new(0));
        Self(Arc::new(Inner {
            path: path.to_owned(),
            medium,
            vault,
            master,
            key,
            found_commit,
            state,
            written,
        }))
    }

    /// The path as it was given.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// The vault's id.
    pub fn vault_id(&self) -> VaultId {
        self.0.vault
    }

    /// How many syncs the vault has seen in its life. Only ever grows: a smaller number than was seen before means that
    /// an older file was put in place.
    pub fn commit_counter(&self) -> u64 {
        self.state().tree.commit
    }

    /// The same as it was found. Compare this one with what was seen before: repairing after a crash counts on.
    pub fn found_commit_counter(&self) -> u64 {
        self.0.found_commit
    }

    /// Bytes written to the file through this handle, for tests and measurements.
    pub fn bytes_written(&self) -> u64 {
        self.0.written.load(Ordering::Relaxed)
    }

    /// Length of the file in bytes.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn file_len(&self) -> Result<u64, Error> {
        self.0
            .medium
            .len()
            .map_err(|source| Error::io("read", &self.0.path, source))
    }

    /// The first error that redb was told, if there was one: for when redb itself only says that there was an error
    /// before.
    pub fn take_failure(&self) -> Option<Error> {
        self.state().failure.take()
    }

    /// Removes what a rewrite kept of the vault as it was before; answers where that was, if there was anything.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn remove_previous(&self) -> Result<Option<PathBuf>, Error> {
        let path = std::fs::canonicalize(&self.0.path).unwrap_or_else(|_| self.0.path.clone());
        let previous = previous_of(&path);
        match std::fs::remove_file(&previous) {
            Ok(()) => Ok(Some(previous)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(Error::io("remove", &previous, source)),
        }
    }

    /// Changes the header, both copies, durably.
    pub(super) fn update_header(&self, change: impl FnOnce(&mut Header)) -> Result<(), Error> {
        let mut state = self.state();
        self.check_usable(&state)?;
        if state.mode != Mode::Write {
            return Err(Error::ReadOnly {
                path: self.0.path.clone(),
            });
        }
        let mut header = state.header.clone();
        change(&mut header);
        if let Err(source) = header.write(&*self.0.medium, &self.0.master) {
            state.failed = true;
            return Err(self.unsure(source));
        }
        self.0.written.fetch_add(2 * UNIT_U64, Ordering::Relaxed);
        state.header = header;
        Ok(())
    }

    fn unsure(&self, source: io::Error) -> Error {
        Error::Unsure {
            path: self.0.path.clone(),
            source: Some(source),
        }
    }

    pub(super) fn mode(&self) -> Mode {
        self.state().mode
    }

    /// From here on writes stay in memory, over the file as it is.
    pub(super) fn overlay(&self) -> Result<(), Error> {
        let tree = Tree::read(self.0.vault, &self.0.key, &*self.0.medium, &self.0.path)?;
        let mut state = self.state();
        (state.tree, state.mode) = (tree, Mode::Overlay);
        Ok(())
    }

    pub(super) fn medium(&self) -> &Arc<dyn Medium> {
        &self.0.medium
    }

    /// Blocks up to the last one written.
    pub(super) fn blocks(&self) -> u64 {
        self.state().tree.blocks
    }

    /// Whether the tree vouches for a block.
    pub(super) fn is_written(&self, block: u64) -> Result<bool, Error> {
        let inner = &*self.0;
        let mut state = self.state();
        let seal = state
            .tree
            .seal(block, &inner.key, &*inner.medium, &inner.path)?;
        Ok(seal.is_some())
    }

    /// Puts one block, as redb sees it, into `out`.
    pub(super) fn read_one(&self, block: u64, out: &mut [u8; UNIT]) -> Result<(), Error> {
        self.read_block(&mut self.state(), block, out)
    }

    pub(super) fn header(&self) -> Header {
        self.state().header.clone()
    }

    pub(super) fn master(&self) -> &MasterKey {
        &self.0.master
    }

    /// Makes everything that redb has written durable and shortens the file to what it needs.
    pub(super) fn sync(&self) -> Result<(), Error> {
        let mut state = self.state();
        if state.mode != Mode::Write || !state.dirty {
            return Ok(());
        }
        self.check_usable(&state)?;
        let result = self.commit(&mut state);
        state.failed |= result.is_err();
        result.map_err(|source| match source.downcast::<Error>() {
            Ok(error) => error,
            Err(source) => self.unsure(source),
        })
    }

    fn commit(&self, state: &mut State) -> io::Result<()> {
        self.flush(state)?;
        let mut out = |unit: u64, bytes: &[u8]| self.write_unit(unit, bytes);
        state.unsynced |= state.tree.write_nodes(&self.0.key, &mut out)?;
        if state.unsynced {
            self.0.medium.sync()?;
        }
        let (superblock, [first, second]) = state.tree.next_superblock(&self.0.key)?;
        self.write_unit(first, &*superblock)?;
        self.0.medium.sync()?;
        state.tree.committed();
        (state.dirty, state.unsynced) = (false, false);
        // From here on the commit is durable. The copy only spares the next reader an older state should the first
        // place be damaged; it becomes durable with the next sync.
        self.write_unit(second, &*superblock)?;
        if state.trim {
            let needed = state
                .tree
                .blocks
                .checked_sub(1)
                .map_or(4, |last| block_unit(last) + 1)
                * UNIT_U64;
            if self.0.medium.len()? > needed {
                self.0.medium.set_len(needed)?;
            }
            state.trim = false;
        }
        Ok(())
    }

    /// Seals what is pending and writes it, adjacent blocks in one call.
    fn flush(&self, state: &mut State) -> io::Result<()> {
        let Pending { places, bytes } = &mut state.pending;
        let mut blocks: Vec<(usize, u64)> = places.drain().map(|(block, at)| (at, block)).collect();
        if blocks.is_empty() {
            return Ok(());
        }
        blocks.sort_unstable();
        let numbers: Vec<u64> = blocks.iter().map(|(_, block)| *block).collect();
        // In place: what was plain is overwritten.
        let seals = seal_all(&self.0.key, self.0.vault, &numbers, bytes)?;
        let sealed = numbers.iter().zip(seals).zip(bytes.chunks_exact(UNIT));
        let mut sealed: Vec<(u64, Seal, &[u8])> = sealed
            .map(|((block, seal), bytes)| (*block, seal, bytes))
            .collect();
        sealed.sort_unstable_by_key(|(block, ..)| *block);
        let (tree, path) = (&mut state.tree, &self.0.path);
        for (block, seal, _) in &sealed {
            tree.set_seal(*block, Some(*seal), &self.0.key, &*self.0.medium, path)
                .map_err(io::Error::other)?;
            tree.blocks = tree.blocks.max(block + 1);
        }
        state.unsynced = true;
        for run in sealed.chunk_by(|(a, ..), (b, ..)| block_unit(*a) + 1 == block_unit(*b)) {
            let first = run.first().map_or(0, |(block, ..)| block_unit(*block));
            let together: Vec<&[u8]> = run.iter().map(|(.., bytes)| *bytes).collect();
            self.write_unit(first, &together.concat())?;
        }
        state.pending.bytes.clear();
        Ok(())
    }

    fn write_unit(&self, unit: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.medium.write(unit * UNIT_U64, bytes)?;
        self.0
            .written
            .fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    /// Puts one block, as redb sees it, into `out`.
    fn read_block(&self, state: &mut State, block: u64, out: &mut [u8; UNIT]) -> Result<(), Error> {
        if let Some(&at) = state.pending.places.get(&block)
            && let Some(bytes) = state.pending.bytes.get(at..at + UNIT)
        {
            out.copy_from_slice(bytes);
            return Ok(());
        }
        let (path, unit) = (&self.0.path, block_unit(block));
        let damaged = |what: &str| Error::Damaged {
            path: path.clone(),
            what: format!("block {block} {what}"),
        };
        let Some(seal) = state.tree.seal(block, &self.0.key, &*self.0.medium, path)? else {
            return Err(damaged("was never written"));
        };
        match self.0.medium.read(unit * UNIT_U64, out) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(damaged("lies behind the end of the file"));
            }
            Err(source) => return Err(Error::io("read", path, source)),
        }
        if self
            .0
            .key
            .open(&seal, &associated(self.0.vault, Kind::Block, block), out)
        {
            Ok(())
        } else {
            out.zeroize();
            Err(damaged("is not authentic"))
        }
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<(), Error> {
        let mut state = self.state();
        let mut block = Zeroizing::new([0; UNIT]);
        for (page, range, place) in pages(offset, out.len()) {
            let to = out.get_mut(place).unwrap_or_default();
            match page.checked_sub(1) {
                None => copy_head(&state.tree.head, range.start, to),
                Some(number) => {
                    self.read_block(&mut state, number, &mut block)?;
                    to.copy_from_slice(block.get(range).unwrap_or_default());
                }
            }
        }
        Ok(())
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        let mut state = self.state();
        self.check_usable(&state)?;
        state.dirty = true;
        for (page, range, place) in pages(offset, bytes.len()) {
            let from = bytes.get(place).unwrap_or_default();
            let Some(number) = page.checked_sub(1) else {
                let Some(to) = state.tree.head.get_mut(range) else {
                    let what = "redb wrote behind its header".to_owned();
                    return Err(Error::Damaged {
                        path: self.0.path.clone(),
                        what,
                    });
                };
                to.copy_from_slice(from);
                continue;
            };
            if number >= MAX_BLOCKS {
                return Err(Error::Full {
                    path: self.0.path.clone(),
                });
            }
            self.stage(&mut state, number, range, from)?;
        }
        Ok(())
    }

    fn stage(
        &self,
        state: &mut State,
        number: u64,
        range: std::ops::Range<usize>,
        from: &[u8],
    ) -> Result<(), Error> {
        let at = if let Some(&at) = state.pending.places.get(&number) {
            at
        } else {
            self.add_pending(state, number, from.len() == UNIT)?
        };
        if let Some(to) = state
            .pending
            .bytes
            .get_mut(at + range.start..at + range.end)
        {
            to.copy_from_slice(from);
        }
        Ok(())
    }

    /// Makes room for a block among the pending ones; what it held before stands there unless all of it is to be
    /// overwritten.
    fn add_pending(
        &self,
        state: &mut State,
        number: u64,
        overwritten: bool,
    ) -> Result<usize, Error> {
        let mut before = None;
        if !overwritten
            && state
                .tree
                .seal(number, &self.0.key, &*self.0.medium, &self.0.path)?
                .is_some()
        {
            let block = before.insert(Zeroizing::new([0; UNIT]));
            self.read_block(state, number, block)?;
        }
        if state.pending.places.len() >= BATCH_BLOCKS && state.mode == Mode::Write {
            self.flush(state).map_err(|source| {
                state.failed = true;
                Error::io("write", &self.0.path, source)
            })?;
        }
        let pending = &mut state.pending;
        if pending.bytes.capacity() == 0 {
            pending.bytes.reserve_exact(BATCH_BLOCKS * UNIT);
        }
        let at = pending.bytes.len();
        pending.bytes.resize(at + UNIT, 0);
        if let (Some(before), Some(to)) = (before, pending.bytes.get_mut(at..)) {
            to.copy_from_slice(&*before);
        }
        pending.places.insert(number, at);
        Ok(at)
    }

    /// Where one of redb's blocks stands among the blocks here.
    pub(super) fn place_of(&self, block: u64) -> io::Result<u64> {
        let place = self.state().tree.order.place_of(block);
        self.tell(place.ok_or_else(|| Error::Damaged {
            path: self.0.path.clone(),
            what: format!("redb's block {block} was never written"),
        }))
    }

    /// The same before it is written.
    pub(super) fn place_for(&self, block: u64) -> io::Result<u64> {
        let place = self.state().tree.order.place_for(block);
        self.tell(place.ok_or_else(|| Error::Full {
            path: self.0.path.clone(),
        }))
    }

    /// Sets the length that redb sees, where its blocks stand in an order of their own.
    pub(super) fn set_len_in_order(&self, len: u64) -> io::Result<()> {
        let blocks = (len / UNIT_U64).saturating_sub(1);
        let kept = self.state().tree.order.cut(blocks);
        self.tell(self.resize(len, kept))
    }

    /// Sets redb's length; of a shorter one, only the first `kept` blocks stay.
    fn resize(&self, len: u64, kept: u64) -> Result<(), Error> {
        let mut state = self.state();
        self.check_usable(&state)?;
        if len > (MAX_BLOCKS + 1) * UNIT_U64 {
            return Err(Error::Full {
                path: self.0.path.clone(),
            });
        }
        let shrinks = len < state.tree.logical_len;
        state.dirty = true;
        state.tree.logical_len = len;
        if shrinks {
            // What the durable superblock reaches stays in the file until the next one is durable.
            state.pending.cut(kept);
            while state.tree.blocks > kept {
                let last = state.tree.blocks - 1;
                state
                    .tree
                    .set_seal(last, None, &self.0.key, &*self.0.medium, &self.0.path)?;
                state.tree.blocks = last;
            }
            while let Some(last) = state.tree.blocks.checked_sub(1) {
                if state
                    .tree
                    .seal(last, &self.0.key, &*self.0.medium, &self.0.path)?
                    .is_some()
                {
                    break;
                }
                state.tree.blocks = last;
            }
            state.trim = true;
        }
        Ok(())
    }

    fn check_usable(&self, state: &State) -> Result<(), Error> {
        if state.mode == Mode::Read {
            return Err(Error::ReadOnly {
                path: self.0.path.clone(),
            });
        }
        if state.failed {
            return Err(Error::Unsure {
                path: self.0.path.clone(),
                source: None,
            });
        }
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives redb the error to pass on, and keeps the first for [`EncryptedFile::take_failure`].
    fn tell<T>(&self, result: Result<T, Error>) -> io::Result<T> {
        result.map_err(|error| {
            let mut state = self.state();
            if state.failure.is_none() {
                state.failure = error.again();
            }
            io::Error::other(error)
        })
    }
}

impl StorageBackend for EncryptedFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.state().tree.logical_len)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.tell(self.read_at(offset, out))
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let blocks = (len / UNIT_U64).saturating_sub(1);
        self.tell(self.resize(len, blocks))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.tell(self.sync())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.tell(self.write_at(offset, data))
    }

    fn close(&self) -> io::Result<()> {
        self.tell(self.sync())
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        whole(start, end)
    }

    fn try_lock_shared_range(
        &self,
        start: Bound<u64>,
        end: Bound<u64>,
    ) -> Result<bool, BackendError> {
        whole(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        whole(start, end).map(drop)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        whole(start, end).map(drop)
    }
}

impl fmt::Debug for EncryptedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EncryptedFile")
            .field("path", &self.0.path)
            .finish_non_exhaustive()
    }
}

/// The file itself is locked from before its header was read: the whole is ours, and parts are never shared.
fn whole(start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
    match (start, end) {
        (Bound::Unbounded | Bound::Included(0), Bound::Unbounded) => Ok(true),
        _ => Err(BackendError::Unsupported),
    }
}

/// The parts of a range that lie in each page: page number, range within it, and range within the caller's bytes.
pub(super) fn pages(
    offset: u64,
    len: usize,
) -> impl Iterator<Item = (u64, std::ops::Range<usize>, std::ops::Range<usize>)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        if done >= len {
            return None;
        }
        let at = offset + done as u64;
        let within = usize::try_from(at % UNIT_U64).unwrap_or_default();
        let part = (UNIT - within).min(len - done);
        let place = done..done + part;
        done += part;
        Some((at / UNIT_U64, within..within + part, place))
    })
}

fn copy_head(head: &[u8; HEAD_BYTES], start: usize, to: &mut [u8]) {
    let known = head.iter().copied().skip(start);
    for (to, from) in to.iter_mut().zip(known.chain(std::iter::repeat(0))) {
        *to = from;
    }
}

/// Seals blocks that lie one after the other in `bytes`, with two threads where there are enough of them.
fn seal_all(
    key: &PageKey,
    vault: VaultId,
    numbers: &[u64],
    bytes: &mut [u8],
) -> io::Result<Vec<Seal>> {
    let mut nonces = vec![0; numbers.len() * NONCE_BYTES];
    getrandom::fill(&mut nonces).map_err(io::Error::other)?;
    let seal_part = |numbers: &[u64], nonces: &[u8], bytes: &mut [u8]| -> Vec<Seal> {
        let parts = numbers
            .iter()
            .zip(nonces.as_chunks::<NONCE_BYTES>().0)
            .zip(bytes.chunks_exact_mut(UNIT));
        parts
            .map(|((number, nonce), block)| {
                key.seal_with(*nonce, &associated(vault, Kind::Block, *number), block)
            })
            .collect()
    };
    if numbers.len() < PARALLEL_BLOCKS {
        return Ok(seal_part(numbers, &nonces, bytes));
    }
    let half = numbers.len() / 2;
    let (numbers_a, numbers_b) = numbers.split_at(half);
    let (nonces_a, nonces_b) = nonces.split_at(half * NONCE_BYTES);
    let (bytes_a, bytes_b) = bytes.split_at_mut(half * UNIT);
    thread::scope(|scope| {
        let other = scope.spawn(|| seal_part(numbers_b, nonces_b, bytes_b));
        let mut seals = seal_part(numbers_a, nonces_a, bytes_a);
        seals.extend(
            other
                .join()
                .map_err(|_| io::Error::other("a sealing thread died"))?,
        );
        Ok(seals)
    })
}

/// Blocks that are sealed and written at once: 4 MiB, so that two threads and long writes pay.
const BATCH_BLOCKS: usize = 1024;
/// From so many blocks on a second thread is worth its start (measured: 30 µs to start, 4 µs a block).
const PARALLEL_BLOCKS: usize = 64;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::{collection::vec, prelude::*};

    use super::*;
    use crate::{
        crypto::{Credentials, KdfParams, Passphrase},
        storage::{
            Access, LockedVault, StagedVault, layout::BLOCKS_PER_LEAF, layout::LEAVES_PER_MID,
        },
    };

    #[derive(Debug, Clone)]
    enum Step {
        Write(u64, u8),
        /// Cuts behind this block.
        Cut(u64),
        Sync,
        Reopen,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let mid = BLOCKS_PER_LEAF * LEAVES_PER_MID;
        let edges = vec![
            0,
            1,
            BLOCKS_PER_LEAF - 1,
            BLOCKS_PER_LEAF,
            3 * BLOCKS_PER_LEAF,
            mid - 1,
            mid,
            mid + 1,
        ];
        let block = prop::sample::select(edges);
        vec(
            prop_oneof![
                4 => (block.clone(), 1u8..).prop_map(|(block, byte)| Step::Write(block, byte)),
                2 => block.prop_map(Step::Cut),
                1 => Just(Step::Sync),
                2 => Just(Step::Reopen),
            ],
            1..20,
        )
    }

    fn offset(block: u64) -> u64 {
        (block + 1) * UNIT_U64
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

        #[test]
        fn it_is_a_file_to_redb(steps in steps()) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("v.tusk");
            let credentials = Credentials { passphrase: Some(Passphrase::new("a".to_owned())), key_file: None };
            let staged = StagedVault::create(&path, &credentials, KdfParams::LEAST, 1).unwrap();
            StorageBackend::set_len(staged.file(), UNIT_U64).unwrap();
            let mut file = staged.file().clone();
            file.sync().unwrap();
            staged.publish().unwrap();
            let mut blocks: BTreeMap<u64, u8> = BTreeMap::new();
            let mut len = UNIT_U64;
            for step in steps {
                match step {
                    Step::Write(block, byte) => {
                        if len < offset(block + 1) {
                            len = offset(block + 1);
                            StorageBackend::set_len(&file, len).unwrap();
                        }
                        StorageBackend::write(&file, offset(block), &[byte; UNIT]).unwrap();
                        blocks.insert(block, byte);
                    }
                    Step::Cut(block) => {
                        len = offset(block + 1);
                        StorageBackend::set_len(&file, len).unwrap();
                        blocks.retain(|known, _| *known <= block);
                    }
                    Step::Sync => file.sync().unwrap(),
                    Step::Reopen => {
                        file.sync().unwrap();
                        let master = file.master().clone();
                        drop(file);
                        let locked = LockedVault::open(&path, Access::Write, std::time::Duration::ZERO).unwrap();
                        file = locked.unlock_with(master).unwrap();
                    }
                }
                prop_assert_eq!(StorageBackend::len(&file).unwrap(), len);
                for (block, byte) in &blocks {
                    let mut bytes = [0; UNIT];
                    StorageBackend::read(&file, offset(*block), &mut bytes).unwrap();
                    prop_assert!(bytes == [*byte; UNIT], "block {}", block);
                }
            }
            file.sync().unwrap();
            let needed = blocks.keys().next_back().map_or(4, |last| block_unit(*last) + 1) * UNIT_U64;
            prop_assert_eq!(file.file_len().unwrap(), needed, "the file ends with the last block");
        }
    }
}
