//! A disk that remembers what was written to it, and what may be left of that when the power fails.

use std::{
    fmt, io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tuskvault::storage::Medium;

use crate::random::Random;

/// What a disk was told to do.
#[derive(Clone)]
pub(crate) enum Op {
    Write(u64, Arc<[u8]>),
    SetLen(u64),
    Sync,
}

/// A disk in memory. Clones are the same disk.
#[derive(Clone)]
pub(crate) struct Disk(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    bytes: Vec<u8>,
    log: Vec<Op>,
    fault: Option<Fault>,
    asked: u64,
}

/// One operation that fails.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fault {
    /// Which one, counted from 0 over writes, cuts and syncs.
    pub(crate) at: u64,
    /// How much of it takes effect.
    pub(crate) effect: Effect,
    /// What the system says.
    pub(crate) errno: i32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    None,
    Half,
    Whole,
}

impl Disk {
    pub(crate) fn holding(bytes: Vec<u8>) -> Self {
        Self(Arc::new(Mutex::new(State {
            bytes,
            ..State::default()
        })))
    }

    /// A disk whose last writes are not durable: a process died before it synced them, the machine goes on.
    pub(crate) fn after_kill(durable: &[u8], pending: &[Op]) -> Self {
        let mut bytes = durable.to_vec();
        for op in pending {
            apply(&mut bytes, op);
        }
        let disk = Self::holding(bytes);
        disk.state().log.extend_from_slice(pending);
        disk
    }

    pub(crate) fn medium(&self) -> Box<dyn Medium> {
        Box::new(self.clone())
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.state().bytes.clone()
    }

    pub(crate) fn log(&self) -> Vec<Op> {
        self.state().log.clone()
    }

    /// Alters a byte behind everybody's back.
    pub(crate) fn flip(&self, at: usize, mask: u8) {
        self.state().bytes[at] ^= mask;
    }

    /// How many operations it was told so far.
    pub(crate) fn position(&self) -> usize {
        self.state().log.len()
    }

    /// Lets one operation fail from now on.
    pub(crate) fn fail(&self, fault: Option<Fault>) {
        let mut state = self.state();
        (state.fault, state.asked) = (fault, 0);
    }

    /// How many operations were asked for since [`Disk::fail`].
    pub(crate) fn asked(&self) -> u64 {
        self.state().asked
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, op: Op) -> io::Result<()> {
        let mut state = self.state();
        let asked = state.asked;
        state.asked += 1;
        let fault = state.fault.filter(|fault| fault.at == asked);
        let effective = match (fault.map(|fault| fault.effect), op) {
            (Some(Effect::Half), Op::Write(offset, bytes)) => {
                Some(Op::Write(offset, bytes[..bytes.len() / 2].into()))
            }
            (Some(Effect::None | Effect::Half), _) => None,
            (Some(Effect::Whole) | None, op) => Some(op),
        };
        if let Some(op) = effective {
            apply(&mut state.bytes, &op);
            state.log.push(op);
        }
        fault.map_or(Ok(()), |fault| {
            Err(io::Error::from_raw_os_error(fault.errno))
        })
    }
}

impl fmt::Debug for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Disk")
    }
}

impl Medium for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.state().bytes.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let at = usize::try_from(offset).map_err(io::Error::other)?;
        let state = self.state();
        let from = state.bytes.get(at..at + out.len());
        out.copy_from_slice(from.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.run(Op::Write(offset, bytes.into()))
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.run(Op::SetLen(len))
    }

    fn sync(&self) -> io::Result<()> {
        self.run(Op::Sync)
    }
}

pub(crate) fn apply(image: &mut Vec<u8>, op: &Op) {
    match op {
        Op::Write(offset, bytes) => {
            let at = usize::try_from(*offset).unwrap();
            if image.len() < at + bytes.len() {
                image.resize(at + bytes.len(), 0);
            }
            image[at..at + bytes.len()].copy_from_slice(bytes);
        }
        Op::SetLen(len) => image.resize(usize::try_from(*len).unwrap(), 0),
        Op::Sync => {}
    }
}

/// Any of the images that a power cut can leave of a durable one and operations since its sync: each is lost, whole, or
/// torn between sectors; a cut of the file may come late.
pub(crate) fn after_power_cut(durable: &[u8], ops: &[Op], random: &mut Random) -> Vec<u8> {
    let mut image = durable.to_vec();
    let (lost, torn) = *random.one_of(&[
        (0, 0),
        (0, 30),
        (100, 0),
        (50, 0),
        (10, 10),
        (33, 33),
        (80, 20),
        (95, 5),
    ]);
    let mut late: Vec<(usize, &Op)> = Vec::new();
    for (at, op) in ops.iter().enumerate() {
        late.retain(|(due, op)| {
            if *due <= at {
                apply(&mut image, op);
            }
            *due > at
        });
        let fate = random.below(100);
        match op {
            _ if fate < lost => {}
            Op::Write(offset, bytes) if fate < lost + torn => {
                write_torn(&mut image, *offset, bytes, random);
            }
            Op::SetLen(_) if fate < lost + torn => {
                late.push((at + 1 + random.index(ops.len() - at), op));
            }
            op => apply(&mut image, op),
        }
    }
    for (_, op) in late {
        apply(&mut image, op);
    }
    image
}

/// Some of the sectors of a write: those before a point, those behind it, or any.
fn write_torn(image: &mut Vec<u8>, offset: u64, bytes: &[u8], random: &mut Random) {
    let sectors = bytes.len().div_ceil(SECTOR);
    let point = random.index(sectors + 1);
    let shape = random.below(3);
    for (number, sector) in bytes.chunks(SECTOR).enumerate() {
        let written = match shape {
            0 => number < point,
            1 => number >= point,
            _ => random.below(2) == 0,
        };
        if written {
            let at = offset + (number * SECTOR) as u64;
            apply(image, &Op::Write(at, sector.into()));
        }
    }
}

/// What disks write in one piece.
const SECTOR: usize = 512;
