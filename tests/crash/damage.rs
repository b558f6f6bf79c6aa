//! Bytes that somebody altered: no read gives wrong data, and nothing panics.

use std::{
    collections::BTreeSet,
    panic::{self, AssertUnwindSafe},
    path::Path,
};

use redb::StorageBackend;
use tuskvault::{
    crypto::{KdfParams, MasterKey},
    progress::Silent,
    storage::{Access, EncryptedFile, Error, LockedVault, SlotInfo},
    vault,
};

use crate::{
    disk::{Disk, Op, apply},
    power::described,
    random::Random,
    vaults::{Seen, Session, Step, histories, open, passphrase},
};

/// A vault with a past.
struct Victim {
    master: MasterKey,
    seen: Seen,
    told: String,
    commits: u64,
    /// Before the last change.
    before: Seen,
    /// After it was closed, after its process was killed, and after the power failed.
    images: [Vec<u8>; 3],
    /// Every content that a unit ever had.
    versions: Vec<BTreeSet<Vec<u8>>>,
}

impl Victim {
    fn new() -> Self {
        let mut session = Session::create();
        for (source, tokens, state) in [(0, 0..9, 0), (1, 0..3, 0), (0, 2..9, 1), (0, 0..12, 1)] {
            session.step(&Step::Import {
                source,
                tokens,
                state,
                note_bytes: 0,
            });
            session.step(&Step::Audit(state));
        }
        session.step(&Step::AddSlot);
        session.step(&Step::RemoveSlot(1));
        let before = Seen::of(session.vault()).unwrap();
        session.step(&Step::Audit(5));
        let seen = Seen::of(session.vault()).unwrap();
        let told = format!("{:?}", histories(session.vault()).unwrap());
        let commits = session.vault().file().unwrap().commit_counter();
        let (killed, mut cut) = (session.disk.bytes(), Vec::new());
        let log = session.disk.log();
        let synced = log.iter().rposition(|op| matches!(op, Op::Sync)).unwrap();
        for op in &log[..synced] {
            apply(&mut cut, op);
        }
        session.close();
        let mut versions = vec![BTreeSet::new(); session.disk.bytes().len() / UNIT];
        for op in session.disk.log() {
            let Op::Write(offset, bytes) = op else {
                continue;
            };
            let first = usize::try_from(offset).unwrap() / UNIT;
            for (unit, bytes) in (first..).zip(bytes.chunks(UNIT)) {
                if let Some(versions) = versions.get_mut(unit) {
                    versions.insert(bytes.to_vec());
                }
            }
        }
        Self {
            master: session.master.clone(),
            seen,
            told,
            commits,
            before,
            images: [session.disk.bytes(), killed, cut],
            versions,
        }
    }

    fn clean(&self) -> &[u8] {
        &self.images[0]
    }

    /// Panics unless the altered image gives an error or what the vault held. When the power failed before the second
    /// superblock was durable and somebody alters the first, the commit before is what is left: an older vault, as its
    /// counter tells.
    fn judge(&self, image: &[u8], older_is_fine: bool, what: &str) -> Verdict {
        let access = if what.len().is_multiple_of(2) {
            Access::Read
        } else {
            Access::Write
        };
        let disk = Disk::holding(image.to_vec());
        let answer = AssertUnwindSafe(|| {
            let vault = open(&disk, &self.master, access)?;
            let commits = vault.file().map(EncryptedFile::found_commit_counter);
            let (seen, histories) = (Seen::of(&vault)?, histories(&vault)?);
            Ok((seen, format!("{histories:?}"), commits.unwrap_or_default()))
        });
        let Ok(answer) = panic::catch_unwind(answer) else {
            panic!("{what}: it panicked");
        };
        match answer {
            Err(vault::Error::Storage(Error::Damaged { .. })) => Verdict::Refused,
            Err(vault::Error::Storage(Error::NotAVault { .. })) if image.len() < UNIT => {
                Verdict::Refused
            }
            Err(error) => panic!("{what}: not told as damage: {}", described(&error)),
            Ok((seen, told, _)) if seen == self.seen && told == self.told => Verdict::Right,
            Ok((seen, _, commits))
                if older_is_fine && commits < self.commits && seen == self.before =>
            {
                Verdict::Older
            }
            Ok((seen, _, _)) => panic!("{what}: wrong data: {}", seen.in_short()),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    Refused,
    Right,
    Older,
}

/// Counts verdicts.
#[derive(Debug, Default)]
struct Tally(std::collections::BTreeMap<Verdict, u32>);

impl Tally {
    fn add(&mut self, verdict: Verdict) {
        *self.0.entry(verdict).or_default() += 1;
    }

    fn of(&self, verdict: Verdict) -> u32 {
        self.0.get(&verdict).copied().unwrap_or_default()
    }
}

fn unit(image: &[u8], number: usize) -> &[u8] {
    &image[number * UNIT..(number + 1) * UNIT]
}

fn with_unit(image: &[u8], number: usize, bytes: &[u8]) -> Vec<u8> {
    let mut altered = image.to_vec();
    altered[number * UNIT..number * UNIT + bytes.len()].copy_from_slice(bytes);
    altered
}

#[test]
fn no_older_version_of_a_unit_is_taken_for_the_current_one() {
    let victim = Victim::new();
    let mut tally = Tally::default();
    for (state, image) in STATES.into_iter().zip(&victim.images) {
        assert_eq!(victim.judge(image, false, state), Verdict::Right);
        for (number, versions) in victim.versions.iter().enumerate() {
            if (number + 1) * UNIT > image.len() {
                continue;
            }
            let older = state == STATES[2] && SUPERBLOCKS.contains(&number);
            for version in versions.iter().filter(|old| *old != unit(image, number)) {
                let altered = with_unit(image, number, version);
                let what = format!("{state}, unit {number}");
                tally.add(victim.judge(&altered, older, &what));
            }
        }
    }
    println!("older versions put back: {tally:?}");
    assert!(tally.of(Verdict::Refused) > 50);
}

#[test]
fn no_unit_is_taken_for_another() {
    let victim = Victim::new();
    let mut tally = Tally::default();
    for (state, image) in STATES.into_iter().zip(&victim.images) {
        let units = image.len() / UNIT;
        let mut random = Random::of_case(11, image.len() as u64);
        for a in 0..units {
            let mut others: BTreeSet<usize> = (0..8).map(|_| random.index(units)).collect();
            others.insert((a + 1) % units);
            others.remove(&a);
            for b in others {
                let older =
                    state == STATES[2] && (SUPERBLOCKS.contains(&a) || SUPERBLOCKS.contains(&b));
                let moved = with_unit(image, b, unit(image, a));
                let what = format!("{state}, unit {a} moved to {b}");
                tally.add(victim.judge(&moved, older, &what));
                let swapped = with_unit(&moved, a, unit(image, b));
                let what = format!("{state}, units {a} and {b} swapped");
                tally.add(victim.judge(&swapped, older, &what));
            }
        }
    }
    println!("units moved and swapped: {tally:?}");
    assert!(tally.of(Verdict::Refused) > 200);
}

#[test]
fn zeroed_and_altered_units_are_noticed() {
    let victim = Victim::new();
    let mut tally = Tally::default();
    for (state, image) in STATES.into_iter().zip(&victim.images) {
        for number in 0..image.len() / UNIT {
            let older = state == STATES[2] && SUPERBLOCKS.contains(&number);
            let what = format!("{state}, unit {number}");
            let zeroed = with_unit(image, number, &[0; UNIT]);
            tally.add(victim.judge(&zeroed, older, &what));
            for at in [0, 23, 39, 41, 2047, 4063, 4095] {
                let mut altered = image.clone();
                altered[number * UNIT + at] ^= 0x10;
                tally.add(victim.judge(&altered, older, &what));
            }
        }
    }
    println!("units zeroed or altered: {tally:?}");
    assert!(tally.of(Verdict::Refused) > 100);
}

#[test]
fn a_vault_that_is_cut_off_or_longer_is_whole_or_refused() {
    let victim = Victim::new();
    let image = victim.clean();
    let mut tally = Tally::default();
    for number in 0..=image.len() / UNIT {
        for (more, less) in [(0, 0), (1, 0), (0, 1), (512, 0), (2047, 0)] {
            let Some(len) = (number * UNIT + more).checked_sub(less) else {
                continue;
            };
            let mut altered = image.to_vec();
            altered.resize(len, 0);
            let what = format!("cut at {len}");
            tally.add(victim.judge(&altered, false, &what));
        }
    }
    println!("vaults of other lengths: {tally:?}");
    assert!(tally.of(Verdict::Refused) > 100);
}

/// Below redb, which would remember what it read: every byte as redb would see it.
#[test]
fn every_flipped_byte_is_refused_or_without_effect() {
    let victim = Victim::new();
    let disk = Disk::holding(victim.clean().to_vec());
    let unlocked = || -> Result<EncryptedFile, Error> {
        let locked = LockedVault::over(Path::new("vault"), disk.medium(), Access::Read)?;
        locked.unlock_with(victim.master.clone())
    };
    let file = unlocked().unwrap();
    let pages = usize::try_from(StorageBackend::len(&file).unwrap()).unwrap() / UNIT;
    let slots: Vec<SlotInfo> = file.slots();
    let page = |file: &EncryptedFile, number: usize| -> Option<Vec<u8>> {
        let mut bytes = vec![0; UNIT];
        let read = StorageBackend::read(file, (number * UNIT) as u64, &mut bytes);
        read.ok().map(|()| bytes)
    };
    let before: Vec<Option<Vec<u8>>> = (0..pages).map(|number| page(&file, number)).collect();
    let mut refused = 0;
    for at in 0..victim.clean().len() {
        disk.flip(at, 1 << (at % 8));
        // Blocks follow header, superblocks, mids and leaf; each is read anew, the tree above them only at opening.
        if let Some(number) = (at / UNIT).checked_sub(FIRST_BLOCK) {
            let now = page(&file, number + 1);
            refused += u32::from(now.is_none());
            assert!(now.is_none(), "byte {at}");
        } else if let Ok(file) = unlocked() {
            assert_eq!(file.slots(), slots, "byte {at}");
            for (number, before) in before.iter().enumerate() {
                let now = page(&file, number);
                refused += u32::from(now.is_none());
                assert!(now.is_none() || now == *before, "byte {at}, page {number}");
            }
        } else {
            refused += 1;
        }
        disk.flip(at, 1 << (at % 8));
    }
    println!(
        "{} bytes flipped, {refused} reads refused",
        victim.clean().len()
    );
    assert!(refused > 80_000);
}

/// Whoever alters a header can mend its unkeyed checksum, and both copies.
#[test]
fn a_forged_header_is_refused_at_a_bounded_cost() {
    let victim = Victim::new();
    let forged = |at: usize, mask: u8| {
        let mut image = victim.clean().to_vec();
        for copy in image[..2 * UNIT].chunks_mut(UNIT) {
            copy[at] ^= mask;
            let (body, checksum) = copy.split_at_mut(UNIT - 32);
            checksum.copy_from_slice(blake3::hash(body).as_bytes());
        }
        LockedVault::over(
            Path::new("vault"),
            Disk::holding(image).medium(),
            Access::Read,
        )
    };
    for at in 0..UNIT - 32 {
        let opened = forged(at, 1).and_then(|locked| locked.unlock_with(victim.master.clone()));
        assert!(opened.is_err(), "byte {at}");
    }
    // Kind, memory, passes and lanes of the first slot, bit by bit; then a bit of everything else in it.
    let parameters = (0..128).map(|bit| (64 + bit / 8, 1 << (bit % 8)));
    for (at, mask) in parameters.chain((80..192).map(|at| (at, 1))) {
        let locked = forged(at, mask).unwrap();
        let asked = locked.slots().first().map(|slot| slot.kdf);
        let cheap = asked.is_none_or(|kdf| {
            let work = u64::from(kdf.memory_kib) * u64::from(kdf.iterations);
            kdf.check().is_err() || work <= 16 * u64::from(KdfParams::LEAST.memory_kib)
        });
        // What is dearer is within the bounds that `KdfParams::check` keeps, and has a test there.
        if cheap {
            let opened = locked.unlock(&passphrase("first"));
            assert!(opened.is_err(), "byte {at}, mask {mask}");
        }
    }
}

#[test]
fn damage_that_is_met_while_reading_is_told_as_damage() {
    let mut session = Session::create();
    session.step(&Step::Import {
        source: 0,
        tokens: 0..900,
        state: 0,
        note_bytes: 0,
    });
    session.close();
    let disk = session.disk.clone();
    let vault = open(&disk, &session.master, Access::Read).unwrap();
    for unit in FIRST_BLOCK..disk.bytes().len() / UNIT {
        disk.flip(unit * UNIT + 5, 1);
    }
    let told = Seen::of(&vault).unwrap_err();
    let is_damage = matches!(told, vault::Error::Storage(Error::Damaged { .. }));
    assert!(is_damage, "{}", described(&told));
}

#[test]
fn check_names_every_block_that_is_missed_and_no_other() {
    let victim = Victim::new();
    let (mut named, mut unused) = (0, 0);
    for access in [Access::Read, Access::Write] {
        for number in FIRST_BLOCK..victim.clean().len() / UNIT {
            let disk = Disk::holding(victim.clean().to_vec());
            let mut vault = open(&disk, &victim.master, access).unwrap();
            assert_eq!(vault.check(&Silent).unwrap().problems.len(), 0);
            // Everything is in redb's cache by now.
            Seen::of(&vault).unwrap();
            disk.flip(number * UNIT + 77, 1);
            let problems = vault.check(&Silent).unwrap().problems;
            if problems.is_empty() {
                let damaged = disk.bytes();
                drop(vault);
                assert_eq!(victim.judge(&damaged, false, "unused"), Verdict::Right);
                let mut vault = open(&Disk::holding(damaged), &victim.master, Access::Write);
                let again = Step::Audit(1).run(vault.as_mut().unwrap(), 5_000);
                again.unwrap();
                unused += 1;
            } else {
                let block = number - FIRST_BLOCK;
                assert_eq!(problems, [format!("block {block} can't be read")]);
                named += 1;
            }
        }
    }
    println!("{named} damaged blocks named, {unused} not in use");
    assert!(named > 10);
}

const UNIT: usize = 4096;
const SUPERBLOCKS: [usize; 2] = [2, 3];
/// After two headers, two superblocks, two places of the first mid and two of its first leaf.
const FIRST_BLOCK: usize = 8;
const STATES: [&str; 3] = ["closed", "killed", "power cut"];
