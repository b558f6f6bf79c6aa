//! Each write, cut and sync fails once: a full disk, a broken one.

use tuskvault::{crypto::MasterKey, progress::Silent, storage::Access};

use crate::{
    disk::{Disk, Effect, Fault, Op, after_power_cut, apply},
    power::described,
    random::Random,
    vaults::{Seen, Session, Step, open},
};

#[test]
fn a_failing_disk_loses_nothing_that_was_acknowledged() {
    let mut session = Session::create();
    session.step(&import(0..6, 0, 0));
    session.step(&Step::AddSlot);
    session.close();
    let (image, master) = (session.disk.bytes(), session.master.clone());
    let (operations, expected) = without_faults(&image, &master);
    let (mut cases, mut doubtful, mut landed) = (0, 0, 0);
    for at in 0..operations {
        for effect in [Effect::None, Effect::Half, Effect::Whole] {
            for errno in [ENOSPC, EIO] {
                let fault = Fault { at, effect, errno };
                let outcome = with_fault(&image, &master, &expected, fault);
                let outcome = outcome.unwrap_or_else(|what| panic!("{fault:?}: {what}"));
                cases += 1;
                doubtful += u32::from(outcome.doubtful);
                landed += u32::from(outcome.landed);
            }
        }
    }
    println!("{cases} faults: {doubtful} changes in doubt, {landed} of them were saved");
    assert!(landed > 0, "no fault came after its effect");
}

fn import(tokens: std::ops::Range<u32>, state: u8, note_bytes: usize) -> Step {
    Step::Import {
        source: 0,
        tokens,
        state,
        note_bytes,
    }
}

/// What is done, each thing at the moment of its number.
fn steps() -> [Step; 5] {
    [
        import(1..9, 1, 0),
        Step::Audit(1),
        Step::RemoveSlot(1),
        import(0..9, 0, 150_000),
        Step::Audit(2),
    ]
}

/// How many operations the disk is asked for, and what is seen before and after each step.
fn without_faults(image: &[u8], master: &MasterKey) -> (u64, Vec<Seen>) {
    let disk = Disk::holding(image.to_vec());
    disk.fail(None);
    let mut vault = open(&disk, master, Access::Write).unwrap();
    let mut seen = vec![Seen::of(&vault).unwrap()];
    for (now, step) in (1_000..).zip(steps()) {
        step.run(&mut vault, now).unwrap();
        seen.push(Seen::of(&vault).unwrap());
    }
    drop(vault);
    (disk.asked(), seen)
}

struct Outcome {
    /// An error said that the change may have been saved.
    doubtful: bool,
    /// A change whose error was reported is there.
    landed: bool,
}

fn with_fault(
    image: &[u8],
    master: &MasterKey,
    expected: &[Seen],
    fault: Fault,
) -> Result<Outcome, String> {
    let disk = Disk::holding(image.to_vec());
    disk.fail(Some(fault));
    let (mut acknowledged, mut error) = (0, None);
    if let Ok(mut vault) = open(&disk, master, Access::Write) {
        for (now, step) in (1_000..).zip(steps()) {
            if let Err(why) = step.run(&mut vault, now) {
                error = Some(described(&why));
                break;
            }
            acknowledged += 1;
        }
        if error.is_some() && Step::Audit(3).run(&mut vault, 2_000).is_ok() {
            return Err("it went on after a failure".to_owned());
        }
    }
    disk.fail(None);
    let mut landed = false;
    for disk in [Disk::holding(disk.bytes()), power_cut(image, &disk, fault)] {
        let mut vault = open(&disk, master, Access::Write).map_err(|why| described(&why))?;
        let seen = Seen::of(&vault).map_err(|why| described(&why))?;
        if seen != expected[acknowledged] {
            landed |= error.is_some() && expected.get(acknowledged + 1) == Some(&seen);
            if !landed {
                return Err(format!("after {acknowledged} steps: {}", seen.in_short()));
            }
        }
        let report = vault.check(&Silent).map_err(|why| described(&why))?;
        if !report.problems.is_empty() {
            return Err(report.problems.join("; "));
        }
        let again = Step::Audit(4).run(&mut vault, 3_000);
        again.map_err(|why| format!("after reopening: {}", described(&why)))?;
    }
    let doubtful = error
        .as_ref()
        .is_some_and(|text| text.contains("may or may not have been saved"));
    if landed && !doubtful {
        return Err(format!("saved, but reported as {error:?}"));
    }
    Ok(Outcome { doubtful, landed })
}

/// What the power leaves of a disk that began with this image.
fn power_cut(image: &[u8], disk: &Disk, fault: Fault) -> Disk {
    let log = disk.log();
    let synced = log.iter().rposition(|op| matches!(op, Op::Sync));
    let (before, since) = log.split_at(synced.map_or(0, |at| at + 1));
    let mut durable = image.to_vec();
    for op in before {
        apply(&mut durable, op);
    }
    let mut random = Random::of_case(7, fault.at);
    Disk::holding(after_power_cut(&durable, since, &mut random))
}

const ENOSPC: i32 = 28;
const EIO: i32 = 5;
