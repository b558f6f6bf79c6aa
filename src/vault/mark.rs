//! What makes a run the same run in every vault, and gives it its place among the others of its source.
//!
//! A number names a run in one vault, and two runs of a source are never true at the same microsecond. Both are matters
//! of the vault that a run is in. So each run also has a mark, which goes with it from vault to vault: from a set of
//! marks alone, every vault comes to the same order of the runs.

use std::collections::{BTreeSet, HashMap};

use bincode::{Decode, Encode};
use redb::WriteTransaction;

use crate::{
    crypto::random,
    model::{Moment, Run, Scope},
};

use super::{
    Error, codec,
    store::{self, Store, number_key, number_of, tag},
};

/// Names a run in any vault: 16 random bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub(super) struct RunId([u8; 16]);

/// The mark of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub(super) struct Mark {
    pub(super) id: RunId,
    /// When it is said to have been true: microseconds since 1970-01-01 UTC. Where another run was true just then, it
    /// is dated a little later.
    asked_at: i64,
    /// One more than that of every run which the vault knew when it was recorded (a Lamport clock).
    order: u64,
}

impl Mark {
    /// The mark of a run that is recorded now.
    pub(super) fn new(store: Store<'_>, asked_at: Moment) -> Result<Self, Error> {
        let mut order = run_numbers(store)?;
        for entry in store.all(&[tag::MARKS]) {
            order = order.max(decode(&entry?.1)?.order);
        }
        Ok(Self {
            id: RunId(random()?),
            asked_at: asked_at.0,
            order: order.saturating_add(1),
        })
    }

    /// The mark of a known run. One that was recorded without gets what its facts make of it, the same in every copy.
    pub(super) fn of(store: Store<'_>, run: &Run) -> Result<Self, Error> {
        if let Some(value) = store.get(&number_key(tag::MARKS, run.id))? {
            return decode(&value);
        }
        let asked_at = Moment::from(run.effective_at).0;
        let (source, scope) = (&run.source, &run.scope);
        let mut hasher = blake3::Hasher::new();
        for part in [
            source.key.connector.as_bytes(),
            source.key.location.as_bytes(),
            source.key.host.as_bytes(),
            source
                .instance
                .as_ref()
                .map_or("", |it| it.as_str())
                .as_bytes(),
            &asked_at.to_le_bytes(),
            &Moment::from(run.recorded_at).0.to_le_bytes(),
            run.actor.to_string().as_bytes(),
            match scope {
                Scope::All => b"",
                Scope::User(name) => name.as_bytes(),
            },
        ] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        let hash = hasher.finalize();
        let id = hash.as_bytes().first_chunk().copied().unwrap_or_default();
        Ok(Self {
            id: RunId(id),
            asked_at,
            order: run.id,
        })
    }

    /// Keeps it with the run of this number.
    pub(super) fn keep(self, transaction: &WriteTransaction, run: u64) -> Result<(), Error> {
        let key = number_key(tag::MARKS, run);
        store::put(transaction, &key, &codec::encode(&self)?)
    }
}

/// When the runs of these marks are true: each as soon as it is asked to be, and as no run before it in order is.
/// Answers in the order of `marks`.
pub(super) fn places(marks: &[Mark]) -> Vec<Moment> {
    let mut by_order: Vec<(usize, &Mark)> = marks.iter().enumerate().collect();
    by_order.sort_by_key(|(_, mark)| (mark.order, mark.id));
    let mut taken = BTreeSet::new();
    // Where to look on for those who ask for the same.
    let mut next = HashMap::new();
    let mut places = vec![Moment::MIN; marks.len()];
    for (index, mark) in by_order {
        let next = next.entry(mark.asked_at).or_insert(Moment(mark.asked_at));
        while !taken.insert(*next) {
            *next = Moment(next.0.saturating_add(1));
        }
        let at = *next;
        if let Some(place) = places.get_mut(index) {
            *place = at;
        }
    }
    places
}

fn run_numbers(store: Store<'_>) -> Result<u64, Error> {
    let last = store.last(&number_key(tag::RUNS, 0), &number_key(tag::RUNS, u64::MAX))?;
    Ok(last.and_then(|(key, _)| number_of(&key)).unwrap_or(0))
}

fn decode(value: &[u8]) -> Result<Mark, Error> {
    let what = "the mark of a run";
    let mark: Mark = codec::decode(value, what)?;
    let asked_at = Moment(mark.asked_at);
    // A time that can't be: looking for a free one after it might never end.
    if Moment::from(asked_at.timestamp()) != asked_at {
        return Err(Error::Inconsistent { what });
    }
    Ok(mark)
}
