//! Opening, creating and replacing a vault file, and putting redb on top of it.

use std::{
    panic::{self, AssertUnwindSafe},
    path::{Path, PathBuf},
    time::Duration,
};

use redb::{Builder, Database, DatabaseError, ReadOnlyDatabase};

use crate::{
    crypto::{Credentials, KdfParams, KeySlot, MasterKey, random},
    files::{Staged, sync_folder},
};

use super::{
    Access, EncryptedFile, Error, Medium, SlotInfo, VaultId,
    dense::Dense,
    file::Mode,
    header::Header,
    layout::{UNIT_U64, block_unit},
    lock::open_locked,
    tree::Tree,
};

/// A vault file that is open and locked but not unlocked: its header is known, its contents are not.
#[derive(Debug)]
pub struct LockedVault {
    path: PathBuf,
    medium: Box<dyn Medium>,
    header: Header,
    mode: Mode,
}

impl LockedVault {
    /// Opens and locks the file, waiting up to `wait` for another process, and reads its header.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::InUse`], [`Error::NotAVault`], [`Error::NewerVersion`], [`Error::Damaged`],
    /// [`Error::Io`].
    pub fn open(path: &Path, access: Access, wait: Duration) -> Result<Self, Error> {
        let file = open_locked(path, access, wait)?;
        let locked = Self::over(path, Box::new(file), access)?;
        if access == Access::Write {
            // Nobody else writes the vault anew: we have it.
            Staged::remove_leftovers(path);
        }
        Ok(locked)
    }

    /// The same over any medium, which the caller has locked.
    ///
    /// # Errors
    /// As [`LockedVault::open`], without those of locking.
    pub fn over(path: &Path, medium: Box<dyn Medium>, access: Access) -> Result<Self, Error> {
        let header = Header::read(&*medium, path)?;
        let mode = match access {
            Access::Read => Mode::Read,
            Access::Write => Mode::Write,
        };
        Ok(Self {
            path: path.to_owned(),
            medium,
            header,
            mode,
        })
    }

    /// The vault's id, not yet authenticated.
    pub fn vault_id(&self) -> VaultId {
        self.header.vault_id
    }

    /// The key slots, not yet authenticated.
    pub fn slots(&self) -> Vec<SlotInfo> {
        self.header
            .slots()
            .map(|(number, slot)| SlotInfo::new(number, &slot))
            .collect()
    }

    /// Opens the vault with these credentials.
    ///
    /// # Errors
    /// [`Error::WrongCredentials`], [`Error::NoCredentials`], [`Error::Kdf`], [`Error::Damaged`], [`Error::Io`].
    pub fn unlock(self, credentials: &Credentials) -> Result<EncryptedFile, Error> {
        let (_, master) = self.header.unlock(credentials, &self.path)?;
        self.unlock_with(master)
    }

    /// Opens the vault with its master key: for tools and tests that have it.
    ///
    /// # Errors
    /// [`Error::Damaged`] when it is not this vault's, [`Error::Io`].
    pub fn unlock_with(self, master: MasterKey) -> Result<EncryptedFile, Error> {
        let Self {
            path,
            medium,
            mut header,
            mode,
        } = self;
        if !header.is_authentic(&master) {
            return Err(Error::Damaged {
                path,
                what: "its header was altered".to_owned(),
            });
        }
        let tree = Tree::read(header.vault_id, &master.page_key(), &*medium, &path)?;
        let needed = tree
            .blocks
            .checked_sub(1)
            .map_or(0, |last| (block_unit(last) + 1) * UNIT_U64);
        let len = medium
            .len()
            .map_err(|source| Error::io("read", &path, source))?;
        if len < needed {
            let what = format!("it is cut off: {len} bytes of at least {needed}");
            return Err(Error::Damaged { path, what });
        }
        if mode == Mode::Write {
            // Not before: a file that is refused stays as it is. What a process that died left to the system is not
            // durable yet; what we write over relies on it.
            medium
                .sync()
                .and_then(|()| header.double(&*medium))
                .map_err(|source| Error::io("write", &path, source))?;
        }
        Ok(EncryptedFile::new(
            &path,
            medium.into(),
            header,
            tree,
            master,
            mode,
        ))
    }
}

impl EncryptedFile {
    /// Makes a new vault with one key slot in an empty medium. `path` names it in errors.
    ///
    /// # Errors
    /// [`Error::NoCredentials`], [`Error::Kdf`], [`Error::Io`].
    pub fn create(
        path: &Path,
        medium: Box<dyn Medium>,
        credentials: &Credentials,
        kdf: KdfParams,
        now: i64,
    ) -> Result<Self, Error> {
        let master = MasterKey::generate()?;
        let mut header = Header::new(VaultId(random()?), now);
        let slot = KeySlot::wrap(&master, credentials, kdf, (&header.vault_id.0, 0), now)
            .map_err(|error| Error::unlock(path, error))?;
        header.set_slot(0, Some(&slot));
        Self::empty(path, medium, header, master, 0)
    }

    /// The same vault with the same keys and slots, without contents, in an empty medium. Its commit counter goes on from
    /// this one's, or from `seen` where a copy of the vault has come further (and no further than a vault ever comes: a
    /// copy may be forged).
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn like(&self, medium: Box<dyn Medium>, seen: u64) -> Result<Self, Error> {
        let (header, master) = (self.header(), self.master().clone());
        let own = self.commit_counter();
        let seen = if seen < MAX_COMMITS { seen } else { own };
        Self::empty(self.path(), medium, header, master, own.max(seen))
    }

    /// The same vault under a new master key, without contents, in an empty medium. Only the slot that `credentials`
    /// make is in it: a slot whose passphrase is not at hand can't wrap a key that it never saw.
    ///
    /// # Errors
    /// [`Error::NoCredentials`], [`Error::Kdf`], [`Error::Io`].
    pub fn rekeyed(
        &self,
        medium: Box<dyn Medium>,
        credentials: &Credentials,
        kdf: KdfParams,
        now: i64,
    ) -> Result<Self, Error> {
        let master = MasterKey::generate()?;
        let before = self.header();
        let mut header = Header::new(before.vault_id, before.created_at);
        header.sequence = before.sequence;
        let slot = KeySlot::wrap(&master, credentials, kdf, (&header.vault_id.0, 0), now)
            .map_err(|error| Error::unlock(self.path(), error))?;
        header.set_slot(0, Some(&slot));
        Self::empty(self.path(), medium, header, master, self.commit_counter())
    }

    fn empty(
        path: &Path,
        medium: Box<dyn Medium>,
        mut header: Header,
        master: MasterKey,
        commit: u64,
    ) -> Result<Self, Error> {
        header
            .write(&*medium, &master)
            .map_err(|source| Error::io("create", path, source))?;
        let mut tree = Tree::new(header.vault_id);
        tree.commit = commit;
        Ok(Self::new(
            path,
            medium.into(),
            header,
            tree,
            master,
            Mode::Write,
        ))
    }
}

/// A vault file in the making, beside the place where it will be.
#[derive(Debug)]
pub struct StagedVault {
    staged: Staged,
    file: EncryptedFile,
    path: PathBuf,
}

impl StagedVault {
    /// Makes a new vault with one key slot.
    ///
    /// # Errors
    /// [`Error::Exists`], [`Error::NoCredentials`], [`Error::Kdf`], [`Error::Io`].
    pub fn create(
        path: &Path,
        credentials: &Credentials,
        kdf: KdfParams,
        now: i64,
    ) -> Result<Self, Error> {
        if std::fs::symlink_metadata(path).is_ok() {
            return Err(Error::Exists {
                path: path.to_owned(),
            });
        }
        Self::stage(path, |medium| {
            EncryptedFile::create(path, medium, credentials, kdf, now)
        })
    }

    /// An empty file for the same vault with the same keys and slots, to be filled and put in its place.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn like(old: &EncryptedFile, seen: u64) -> Result<Self, Error> {
        Self::stage(old.path(), |medium| old.like(medium, seen))
    }

    /// An empty file for the same vault under a new master key, as [`EncryptedFile::rekeyed`] makes it.
    ///
    /// # Errors
    /// [`Error::NoCredentials`], [`Error::Kdf`], [`Error::Io`].
    pub fn rekeyed(
        old: &EncryptedFile,
        credentials: &Credentials,
        kdf: KdfParams,
        now: i64,
    ) -> Result<Self, Error> {
        Self::stage(old.path(), |medium| {
            old.rekeyed(medium, credentials, kdf, now)
        })
    }

    fn stage(
        path: &Path,
        make: impl FnOnce(Box<dyn Medium>) -> Result<EncryptedFile, Error>,
    ) -> Result<Self, Error> {
        let io = |source| Error::io("create", path, source);
        let staged = Staged::beside(path).map_err(io)?;
        let file = staged.file().try_clone().map_err(io)?;
        // Whoever finds it at its final place finds it locked until we are done.
        file.try_lock().map_err(|error| io(error.into()))?;
        Ok(Self {
            staged,
            file: make(Box::new(file))?,
            path: path.to_owned(),
        })
    }

    /// The file, to be filled.
    pub fn file(&self) -> &EncryptedFile {
        &self.file
    }

    /// Puts it in place; fails when something is there.
    ///
    /// # Errors
    /// [`Error::Exists`], [`Error::Io`].
    pub fn publish(self) -> Result<EncryptedFile, Error> {
        let Self { staged, file, path } = self;
        staged.publish_new().map_err(|source| match source.kind() {
            std::io::ErrorKind::AlreadyExists => Error::Exists { path: path.clone() },
            _ => Error::io("create", &path, source),
        })?;
        Ok(file)
    }

    /// Puts it in the place of the vault that it was made from. With `keep`, that one stays beside it under the name
    /// that is answered: its name and `.prev`.
    ///
    /// # Errors
    /// [`Error::Io`]; the vault is as it was then.
    pub fn replace(self, keep: bool) -> Result<(EncryptedFile, Option<PathBuf>), Error> {
        let Self { staged, file, path } = self;
        let io = |source| Error::io("replace", &path, source);
        let target = staged.target().to_owned();
        let previous = previous_of(&target);
        match std::fs::remove_file(&previous) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(io(error)),
            _ => {}
        }
        if keep {
            std::fs::hard_link(&target, &previous)
                .or_else(|_| std::fs::copy(&target, &previous).map(drop))
                .map_err(io)?;
            sync_folder(&target).map_err(io)?;
        }
        staged.replace().map_err(io)?;
        Ok((file, keep.then_some(previous)))
    }
}

/// Where the former file of a vault is kept.
pub(super) fn previous_of(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".prev");
    path.with_file_name(name)
}

/// redb over a vault.
pub enum Redb {
    /// For writing.
    Write(Database),
    /// For reading.
    Read(ReadOnlyDatabase),
}

/// Opens (or, in an empty file, creates) the database in a vault.
///
/// For reading, not a byte is written. A vault that a crash left unclean is then repaired in memory, over the file as it
/// is, which costs less than a millisecond because every commit records redb's allocator state; the next writer repairs
/// it for good.
///
/// # Errors
/// [`Error::Damaged`], [`Error::Database`], [`Error::Io`].
pub fn open_redb(file: &EncryptedFile, cache_bytes: usize) -> Result<Redb, Error> {
    let mut builder = Builder::new();
    builder.set_cache_size(cache_bytes);
    match file.mode() {
        Mode::Write | Mode::Overlay => {
            contained(file, || builder.create_with_backend(Dense(file.clone()))).map(Redb::Write)
        }
        Mode::Read => match contained(file, || {
            builder.open_read_only_with_backend(Dense(file.clone()))
        }) {
            Err(Error::Database { source, .. }) if needs_repair(&source) => {
                file.overlay()?;
                contained(file, || builder.create_with_backend(Dense(file.clone())))
                    .map(Redb::Write)
            }
            other => other.map(Redb::Read),
        },
    }
}

fn needs_repair(error: &redb::Error) -> bool {
    matches!(error, redb::Error::RepairAborted)
}

/// redb checks what it reads with assertions here and there; on a file that passes authentication none should ever fail,
/// but a panic must not take the program down with an unexplained message.
pub(super) fn contained<T>(
    file: &EncryptedFile,
    open: impl FnOnce() -> Result<T, DatabaseError>,
) -> Result<T, Error> {
    let path = || file.path().to_owned();
    match panic::catch_unwind(AssertUnwindSafe(open)) {
        Ok(Ok(database)) => Ok(database),
        Ok(Err(error)) => Err(Error::behind(error.into()).unwrap_or_else(|error| {
            file.take_failure().unwrap_or_else(|| Error::Database {
                path: path(),
                source: Box::new(error),
            })
        })),
        Err(_) => Err(file.take_failure().unwrap_or_else(|| Error::Damaged {
            path: path(),
            what: "the database in it is inconsistent".to_owned(),
        })),
    }
}

/// A commit each microsecond for nine years.
const MAX_COMMITS: u64 = 1 << 48;

#[cfg(test)]
mod tests {
    use redb::{ReadableDatabase, ReadableTable, TableDefinition};

    use super::*;
    use crate::crypto::Passphrase;

    const TABLE: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("t");
    const CACHE: usize = 1 << 20;
    const WAIT: Duration = Duration::ZERO;

    fn passphrase(text: &str) -> Credentials {
        Credentials {
            passphrase: Some(Passphrase::new(text.to_owned())),
            key_file: None,
        }
    }

    fn put(file: &EncryptedFile, key: u64, bytes: usize) {
        let Redb::Write(database) = open_redb(file, CACHE).unwrap() else {
            panic!()
        };
        let mut transaction = database.begin_write().unwrap();
        transaction.set_two_phase_commit(true);
        transaction.set_quick_repair(true);
        transaction
            .open_table(TABLE)
            .unwrap()
            .insert(key, vec![7; bytes].as_slice())
            .unwrap();
        transaction.commit().unwrap();
    }

    fn lens(file: &EncryptedFile) -> Vec<(u64, usize)> {
        let collect = |table: &dyn Fn() -> redb::ReadOnlyTable<u64, &'static [u8]>| {
            let table = table();

            table
                .iter()
                .unwrap()
                .map(|row| row.map(|(k, v)| (k.value(), v.value().len())).unwrap())
                .collect()
        };
        match open_redb(file, CACHE).unwrap() {
            Redb::Read(database) => {
                collect(&|| database.begin_read().unwrap().open_table(TABLE).unwrap())
            }
            Redb::Write(database) => {
                collect(&|| database.begin_read().unwrap().open_table(TABLE).unwrap())
            }
        }
    }

    fn created(path: &Path) {
        let staged = StagedVault::create(path, &passphrase("a"), KdfParams::LEAST, 1).unwrap();
        put(staged.file(), 1, 10);
        assert!(!path.exists());
        staged.publish().unwrap();
    }

    #[test]
    fn what_was_written_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("v.tusk");
        created(&path);
        let open = |access| {
            LockedVault::open(&path, access, WAIT)
                .unwrap()
                .unlock(&passphrase("a"))
                .unwrap()
        };
        put(&open(Access::Write), 2, 3_000_000);
        put(&open(Access::Write), 3, 5_000);
        assert_eq!(
            lens(&open(Access::Read)),
            [(1, 10), (2, 3_000_000), (3, 5_000)]
        );
        assert_eq!(
            std::fs::read_dir(folder.path()).unwrap().count(),
            1,
            "no temp file stays"
        );
    }

    #[test]
    fn what_a_killed_process_left_goes_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("v.tusk");
        created(&path);
        let file = |name: &str| folder.path().join(name);
        for name in [
            ".v.tusk.a1B2c3.tmp",
            ".v.tusk.tmp",
            ".v.tusk.a.b.tmp",
            ".w.tusk.a1B2c3.tmp",
        ] {
            std::fs::write(file(name), "x").unwrap();
        }
        let locked = std::fs::File::create(file(".v.tusk.locked.tmp")).unwrap();
        locked.lock().unwrap();
        std::os::unix::fs::symlink(&path, file(".v.tusk.link00.tmp")).unwrap();
        let names = || {
            let entries = std::fs::read_dir(folder.path()).unwrap();
            let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
            names.collect::<std::collections::BTreeSet<_>>()
        };
        let before = names();
        drop(LockedVault::open(&path, Access::Read, WAIT).unwrap());
        assert_eq!(names(), before);
        drop(LockedVault::open(&path, Access::Write, WAIT).unwrap());
        let gone = before.difference(&names()).cloned().collect::<Vec<_>>();
        assert_eq!(gone, [".v.tusk.a1B2c3.tmp"]);
    }

    #[test]
    fn reading_writes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("v.tusk");
        created(&path);
        let before = std::fs::read(&path).unwrap();
        let file = LockedVault::open(&path, Access::Read, WAIT)
            .unwrap()
            .unlock(&passphrase("a"))
            .unwrap();
        assert_eq!(lens(&file), [(1, 10)]);
        assert_eq!(file.bytes_written(), 0);
        assert_eq!(before, std::fs::read(&path).unwrap());
    }

    #[test]
    fn a_second_writer_is_told_who_holds_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("v.tusk");
        created(&path);
        let held = LockedVault::open(&path, Access::Write, WAIT).unwrap();
        for access in [Access::Read, Access::Write] {
            match LockedVault::open(&path, access, WAIT) {
                Err(Error::InUse { pid, .. }) => assert_eq!(pid, Some(std::process::id())),
                other => panic!("{other:?}"),
            }
        }
        drop(held);
        let readers = [0; 2].map(|_| LockedVault::open(&path, Access::Read, WAIT).unwrap());
        assert!(matches!(
            LockedVault::open(&path, Access::Write, WAIT),
            Err(Error::InUse { .. })
        ));
        drop(readers);
    }

    #[test]
    fn slots_come_and_go_but_never_the_last() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("v.tusk");
        created(&path);
        let open = |word: &str| {
            LockedVault::open(&path, Access::Write, WAIT)
                .unwrap()
                .unlock(&passphrase(word))
        };
        let file = open("a").unwrap();
        assert!(matches!(file.remove_slot(0), Err(Error::LastSlot { .. })));
        assert_eq!(
            file.add_slot(&passphrase("b"), KdfParams::LEAST, 2)
                .unwrap(),
            1
        );
        file.change_slot(0, &passphrase("c"), KdfParams::LEAST, 3)
            .unwrap();
        assert!(matches!(
            file.remove_slot(5),
            Err(Error::NoSuchSlot { slot: 5, .. })
        ));
        drop(file);
        assert!(matches!(open("a"), Err(Error::WrongCredentials { .. })));
        assert_eq!(lens(&open("c").unwrap()), [(1, 10)]);
        let file = open("b").unwrap();
        file.remove_slot(0).unwrap();
        assert_eq!(file.slots().len(), 1);
        drop(file);
        assert!(matches!(open("c"), Err(Error::WrongCredentials { .. })));
    }

    #[test]
    fn creating_and_replacing_never_lose_what_was_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("v.tusk");
        created(&path);
        let again = StagedVault::create(&path, &passphrase("x"), KdfParams::LEAST, 1);
        assert!(matches!(again, Err(Error::Exists { .. })));
        let old = LockedVault::open(&path, Access::Write, WAIT)
            .unwrap()
            .unlock(&passphrase("a"))
            .unwrap();
        let staged = StagedVault::rekeyed(&old, &passphrase("n"), KdfParams::LEAST, 4).unwrap();
        put(staged.file(), 9, 9);
        drop(StagedVault::like(&old, 0).unwrap());
        let (new, previous) = staged.replace(true).unwrap();
        assert!(new.commit_counter() > old.commit_counter());
        drop((old, new));
        let open = |path: &Path, word: &str| {
            LockedVault::open(path, Access::Read, WAIT)
                .unwrap()
                .unlock(&passphrase(word))
        };
        assert_eq!(lens(&open(&path, "n").unwrap()), [(9, 9)]);
        assert!(matches!(
            open(&path, "a"),
            Err(Error::WrongCredentials { .. })
        ));
        assert_eq!(lens(&open(&previous.unwrap(), "a").unwrap()), [(1, 10)]);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn the_file_is_private() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("v.tusk");
        created(&path);
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }
}
