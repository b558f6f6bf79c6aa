//! One relation of one source while a run is recorded: the merge join of what comes in with what is known.

use std::{borrow::Cow, cell::RefCell, collections::VecDeque};

use redb::WriteTransaction;

use crate::model::{Counts, Moment, Novelty, Relation, SourceId};

use super::{
    Error,
    between::Between,
    bodies::AccountBody,
    facts::{AccountScope, Follower},
    packed::{Fate, Merge},
    present::Present,
    rows::{Body, Change, First, Later, first, later},
    store::Store,
    story::Story,
};

/// Where a run stands among the runs of its source.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) source: SourceId,
    pub(super) at: Moment,
}

/// What became of one incoming row.
pub(super) enum Verdict<B> {
    Unchanged,
    Added,
    /// It replaces this.
    Changed(B),
}

impl<B> Verdict<B> {
    pub(super) fn novelty(&self) -> Novelty {
        match self {
            Self::Added => Novelty::New,
            Self::Unchanged | Self::Changed(_) => Novelty::Known,
        }
    }
}

/// One relation while its rows come in.
#[expect(clippy::large_enum_variant, reason = "a run has three of them")]
pub(super) enum Relating<B: Body> {
    /// The run is the newest of its source: differences go straight into the tables.
    Newest(Newest<B>),
    /// The run lies before others.
    Between(Between<B>),
}

impl<B: Body> Relating<B> {
    /// `followers` = the runs of the source that this one is dated before.
    pub(super) fn new(
        transaction: &WriteTransaction,
        place: Place,
        followers: &[Follower],
    ) -> Self {
        if !followers.is_empty() {
            let store = Store::Write(transaction);
            return Self::Between(Between::new(store, place, followers.to_vec()));
        }
        Self::Newest(Newest {
            merges: Some((
                Merge::new(first(place.source)),
                Merge::new(later(place.source)),
            )),
            ..Newest::closed(place)
        })
    }

    /// Moves it out; what stays takes no rows.
    pub(super) fn taken(&mut self) -> Self {
        let place = match self {
            Self::Newest(newest) => newest.place,
            Self::Between(between) => between.place,
        };
        std::mem::replace(self, Self::Newest(Newest::closed(place)))
    }

    /// Takes one row, in ascending order of keys. `scope` tells of known rows that did not come whether the run would
    /// have had them; without it, it would have had all.
    pub(super) fn take(
        &mut self,
        transaction: &WriteTransaction,
        key: u64,
        body: B,
        scope: Option<&AccountScope>,
    ) -> Result<Verdict<B>, Error> {
        match self {
            Self::Newest(newest) => newest.take(transaction, key, body, scope),
            Self::Between(between) => between.take(key, body, scope),
        }
    }

    /// From now on only rows come that may have changed; `known` = how many there were. Answers whether that will do:
    /// not where runs follow that were recorded before.
    pub(super) fn only_changes(&mut self, known: u64) -> bool {
        match self {
            Self::Newest(newest) => {
                newest.known = Some(known);
                true
            }
            Self::Between(_) => false,
        }
    }

    /// After the changes: the keys of the rows that are there follow.
    pub(super) fn keys_follow(&mut self, transaction: &WriteTransaction) -> Result<(), Error> {
        match self {
            Self::Newest(newest) => newest.keys_follow(transaction),
            Self::Between(_) => Err(Error::OutOfOrder),
        }
    }

    /// A row that is there.
    pub(super) fn is_there(
        &mut self,
        transaction: &WriteTransaction,
        key: u64,
    ) -> Result<Novelty, Error> {
        match self {
            Self::Newest(newest) => newest.is_there(transaction, key),
            Self::Between(_) => Err(Error::OutOfOrder),
        }
    }

    /// No more rows come.
    pub(super) fn end_of_rows(
        &mut self,
        transaction: &WriteTransaction,
        scope: Option<&AccountScope>,
    ) -> Result<(), Error> {
        match self {
            Self::Newest(newest) => newest.end_of_rows(transaction, scope),
            Self::Between(between) => between.end_of_rows(scope),
        }
    }

    /// Rows that came, and known rows that didn't.
    pub(super) fn counts(&self) -> (Counts, u64) {
        match self {
            Self::Newest(newest) => (newest.counts(), newest.missing.len() as u64),
            Self::Between(between) => between.counts(),
        }
    }

    /// The run's accounts may have changed whose rows the runs after it end.
    pub(super) fn rejudge(&mut self, accounts: &[(u64, Story<AccountBody>)]) {
        if let Self::Between(between) = self {
            between.rejudge(accounts);
        }
    }

    /// Ends the rows that did not come, if `bury`; then everything is written. Tells `note` which rows it touched.
    pub(super) fn finish(
        self,
        transaction: &WriteTransaction,
        bury: bool,
        note: &mut dyn FnMut(Noted),
    ) -> Result<Finished<B>, Error> {
        match self {
            Self::Newest(newest) => newest.finish(transaction, bury, note),
            Self::Between(between) => between.finish(transaction, bury, note),
        }
    }
}

/// A relation once a run is recorded.
pub(super) struct Finished<B> {
    pub(super) counts: Counts,
    /// Known rows of which the run says nothing, because it did not see them.
    pub(super) silent: Vec<u64>,
    /// Rows of which the runs that follow tell another story now.
    pub(super) retold: Vec<(u64, Story<B>)>,
}

/// A row to note for a run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Noted {
    pub(super) relation: Relation,
    pub(super) row: u64,
    pub(super) of: Of,
}

/// Which run a change is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    /// The one that is being recorded.
    This,
    /// The one of this number, which follows it: its changes are counted from this one now.
    Later(u64),
}

type Merges<B> = (Merge<First<B>>, Merge<Later<B>>);

pub(super) struct Newest<B: Body> {
    place: Place,
    merges: Option<Merges<B>>,
    /// How many rows there were, if only those come that may have changed.
    known: Option<u64>,
    /// Among them, those that are there still, where that is told.
    present: Option<Present<B>>,
    /// What became of the rows that are looked at next.
    ahead: VecDeque<Later<B>>,
    /// Keys of known rows in scope that did not come.
    missing: Vec<u64>,
    counts: Counts,
}

impl<B: Body> Newest<B> {
    fn closed(place: Place) -> Self {
        Self {
            place,
            merges: None,
            known: None,
            present: None,
            ahead: VecDeque::new(),
            missing: Vec::new(),
            counts: Counts::default(),
        }
    }

    fn take(
        &mut self,
        transaction: &WriteTransaction,
        key: u64,
        body: B,
        scope: Option<&AccountScope>,
    ) -> Result<Verdict<B>, Error> {
        let since = self.place.at;
        let (first, later) = self.merges.as_mut().ok_or(Error::OutOfOrder)?;
        let (ahead, missing) = (&mut self.ahead, &mut self.missing);
        let jumps = self.known.is_some();
        later.pass(transaction, &(key, since), &mut |row| {
            if !jumps || row.key == key {
                ahead.push_back(row.clone());
            }
            Fate::Keep
        })?;
        let mut verdict = Verdict::Unchanged;
        let mut change = None;
        // Both closures look ahead, one after the other.
        let ahead = RefCell::new(ahead);
        let mut passed = |row: &First<B>| {
            let (last, is_there) = now(row, &mut ahead.borrow_mut());
            if is_there && is_in(scope, &*last) {
                missing.push(row.key);
            }
            Fate::Keep
        };
        let decide = |known: Option<&First<B>>| {
            let Some(known) = known else {
                verdict = Verdict::Added;
                return Fate::Put(First { key, since, body });
            };
            let (last, is_there) = now(known, &mut ahead.borrow_mut());
            if !is_there {
                verdict = Verdict::Added;
            } else if *last != body {
                verdict = Verdict::Changed(last.clone().into_owned());
            } else {
                return Fate::Keep;
            }
            change = Some(Change::between(&*last, Some(&body)));
            Fate::Keep
        };
        if jumps {
            first.jump(transaction, &key, decide)?;
        } else {
            first.at(transaction, &key, &mut passed, decide)?;
        }
        if let Some(change) = change {
            let row = Later { key, since, change };
            later.at(transaction, &(key, since), &mut |_| Fate::Keep, |_| {
                Fate::Put(row)
            })?;
        }
        self.counts.seen += 1;
        match &verdict {
            Verdict::Unchanged => self.counts.unchanged += 1,
            Verdict::Added => self.counts.added += 1,
            Verdict::Changed(_) => self.counts.changed += 1,
        }
        Ok(verdict)
    }

    fn end_of_rows(
        &mut self,
        transaction: &WriteTransaction,
        scope: Option<&AccountScope>,
    ) -> Result<(), Error> {
        if let Some(mut present) = self.present.take() {
            present.pass(Store::Write(transaction), None, &mut self.missing)?;
            return Ok(());
        }
        let (ahead, missing) = (&mut self.ahead, &mut self.missing);
        let Some((first, later)) = self.merges.take() else {
            return Ok(());
        };
        if self.known.is_some() {
            first.close(transaction)?;
            return later.close(transaction);
        }
        later.finish(transaction, &mut |row| {
            ahead.push_back(row.clone());
            Fate::Keep
        })?;
        first.finish(transaction, &mut |row| {
            let (last, is_there) = now(row, ahead);
            if is_there && is_in(scope, &*last) {
                missing.push(row.key);
            }
            Fate::Keep
        })
    }

    fn keys_follow(&mut self, transaction: &WriteTransaction) -> Result<(), Error> {
        // The changes are among what is known from here on.
        let (first, later) = self.merges.take().ok_or(Error::OutOfOrder)?;
        first.close(transaction)?;
        later.close(transaction)?;
        self.present = Some(Present::new(self.place.source));
        Ok(())
    }

    fn is_there(&mut self, transaction: &WriteTransaction, key: u64) -> Result<Novelty, Error> {
        let present = self.present.as_mut().ok_or(Error::OutOfOrder)?;
        let is_known = present.pass(Store::Write(transaction), Some(key), &mut self.missing)?;
        Ok(if is_known {
            Novelty::Known
        } else {
            Novelty::New
        })
    }

    /// What became of the rows so far; rows that did not come because they did not change are counted as seen.
    fn counts(&self) -> Counts {
        let Some(known) = self.known else {
            return self.counts;
        };
        let (missing, counts) = (self.missing.len() as u64, self.counts);
        let unchanged = known.saturating_sub(counts.changed + missing);
        Counts {
            seen: counts.added + counts.changed + unchanged,
            unchanged,
            ..counts
        }
    }

    fn finish(
        self,
        transaction: &WriteTransaction,
        bury: bool,
        note: &mut dyn FnMut(Noted),
    ) -> Result<Finished<B>, Error> {
        let mut finished = Finished {
            counts: self.counts(),
            silent: Vec::new(),
            retold: Vec::new(),
        };
        if !bury {
            finished.silent = self.missing;
            return Ok(finished);
        }
        let mut merge = Merge::new(later::<B>(self.place.source));
        for key in self.missing {
            let since = self.place.at;
            merge.jump(transaction, &(key, since), |_| {
                Fate::Put(Later {
                    key,
                    since,
                    change: Change::Gone,
                })
            })?;
            finished.counts.gone += 1;
            note(Noted {
                relation: B::RELATION,
                row: key,
                of: Of::This,
            });
        }
        merge.close(transaction)?;
        Ok(finished)
    }
}

/// Whether the run would have had a row; without a scope, it would have had all.
pub(super) fn is_in<B: Body>(scope: Option<&AccountScope>, body: &B) -> bool {
    scope.is_none_or(|scope| body.is_in(scope))
}

/// What a row says now, or last said, and whether it is there; takes what became of it from `ahead`.
fn now<'r, B: Body>(row: &'r First<B>, ahead: &mut VecDeque<Later<B>>) -> (Cow<'r, B>, bool) {
    let (mut body, mut is_there) = (Cow::Borrowed(&row.body), true);
    while ahead.front().is_some_and(|later| later.key == row.key)
        && let Some(later) = ahead.pop_front()
    {
        is_there = later.change.apply(&mut body);
    }
    (body, is_there)
}
