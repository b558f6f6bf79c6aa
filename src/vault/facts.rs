//! What a run says of a row: the fact that stays true whatever runs come to lie beside it.
//!
//! A complete run of a whole source tells everything: what it did not see was gone. Any other run speaks of the rows
//! that it saw and, where it read all of one user, of that user's rows that it did not see. Of all others it is silent,
//! and what was known before goes on through it. So the rows that such a run saw are kept with it; without them, a run
//! that is put before it later would end at it.

use std::{collections::BTreeSet, sync::Arc};

use redb::WriteTransaction;

use crate::model::{Moment, Relation, Run, RunOutcome, Scope, SourceId};

use super::{
    Error,
    bodies::AccountBody,
    index::{self, Touched},
    packed::{Fate, Merge, Row},
    relation::Place,
    rows::Body,
    run::RunFacts,
    store::Store,
    story::{self, Stories, Story, story},
    writer::accounts_named,
};

/// The accounts that a run of one user is about.
#[derive(Debug, Clone)]
pub(super) struct AccountScope {
    /// The name, as names are compared.
    pub(super) user: Arc<str>,
    /// Rows of accounts that had this name before the run, or that the run saw under it.
    pub(super) rows: BTreeSet<u64>,
}

impl AccountScope {
    /// The scope of the run of `source` at this moment.
    pub(super) fn read(
        store: Store<'_>,
        source: SourceId,
        user: &str,
        at: Moment,
    ) -> Result<Self, Error> {
        let mut scope = Self {
            user: index::folded(user),
            rows: BTreeSet::new(),
        };
        for row in candidates(store, source, user)? {
            scope.judge(row, &story(store, source, row)?, at);
        }
        Ok(scope)
    }

    /// Whose rows a run ends if it did not see them, before it is known which accounts those are.
    pub(super) fn ended_by(run: &Run) -> Option<Self> {
        match &run.scope {
            Scope::User(user) if run.outcome == RunOutcome::Complete => Some(Self {
                user: index::folded(user),
                rows: BTreeSet::new(),
            }),
            _ => None,
        }
    }

    /// Takes an account in or out, by its story up to the run at this moment.
    pub(super) fn judge(&mut self, row: u64, story: &Story<AccountBody>, run: Moment) {
        // Not there, it may have been ended by this very run.
        let before = story::at(story, Moment(run.0.saturating_sub(1)));
        let body = story::at(story, run).or(before);
        self.take(row, body.is_some_and(|body| body.is_named(&self.user)));
    }

    /// Takes an account in or out.
    pub(super) fn take(&mut self, row: u64, is_in: bool) {
        if is_in {
            self.rows.insert(row);
        } else {
            self.rows.remove(&row);
        }
    }
}

/// Rows of accounts of a source that ever had a name.
fn candidates(store: Store<'_>, source: SourceId, user: &str) -> Result<Vec<u64>, Error> {
    let named = accounts_named(store, user, None)?;
    let of_source = named.into_iter().filter(|(of, _)| *of == source.0);
    Ok(of_source.map(|(_, row)| row).collect())
}

/// A run that follows the one which is being recorded.
#[derive(Debug, Clone)]
pub(super) struct Follower {
    pub(super) at: Moment,
    pub(super) number: u64,
    /// Rows that it saw; `None` = it tells everything.
    seen: Option<Vec<Touched>>,
    /// Whose rows it ends if it did not see them.
    pub(super) ends: Option<AccountScope>,
}

impl Follower {
    /// The runs after `at`, up to the first that tells everything; `of_source` by time.
    pub(super) fn of(
        store: Store<'_>,
        of_source: &[RunFacts],
        at: Moment,
    ) -> Result<Vec<Self>, Error> {
        let mut followers = Vec::new();
        for run in of_source.iter().filter(|run| run.effective_at > at) {
            let tells_everything = tells_everything(&run.scope, run.outcome);
            let seen: Option<Result<_, _>> =
                (!tells_everything).then(|| index::seen(run.number).scan(store).collect());
            let ends = match &run.scope {
                Scope::User(user) if run.outcome == RunOutcome::Complete => Some(
                    AccountScope::read(store, run.source, user, run.effective_at)?,
                ),
                _ => None,
            };
            followers.push(Self {
                at: run.effective_at,
                number: run.number,
                seen: seen.transpose()?,
                ends,
            });
            if tells_everything {
                break;
            }
        }
        Ok(followers)
    }

    /// What it says of a row which would say `before` without it; `story` is the row's as it was known so far.
    pub(super) fn says<'s, B: Body>(
        &self,
        key: u64,
        before: Option<&B>,
        story: &'s Story<B>,
    ) -> Says<'s, B> {
        let told = story.iter().rfind(|step| step.since <= self.at);
        let body = told.and_then(|step| step.body.as_ref());
        let Some(seen) = &self.seen else {
            return Says::ForGood(body);
        };
        // A version that begins with a run was seen by it.
        let is_new = told.is_some_and(|step| step.since == self.at) && body.is_some();
        if is_new || is_among(seen, B::RELATION, key) {
            return Says::This(body);
        }
        let is_ended = self.ends.as_ref().zip(before);
        if is_ended.is_some_and(|(scope, before)| before.is_in(scope)) {
            return Says::This(None);
        }
        Says::Nothing
    }

    /// Judges its accounts anew, after a run before it told of some. Answers whether that changed whose rows it ends.
    pub(super) fn rejudge(&mut self, accounts: &[(u64, Story<AccountBody>)]) -> bool {
        let Some(scope) = &mut self.ends else {
            return false;
        };
        let before = scope.rows.clone();
        for (row, story) in accounts {
            scope.judge(*row, story, self.at);
        }
        scope.rows != before
    }
}

/// What a run says of a row.
pub(super) enum Says<'s, B> {
    /// This, and what was known of later moments stays true.
    ForGood(Option<&'s B>),
    /// This.
    This(Option<&'s B>),
    /// Nothing.
    Nothing,
}

/// Whether a run tells of every row of its source.
pub(super) fn tells_everything(scope: &Scope, outcome: RunOutcome) -> bool {
    *scope == Scope::All && outcome == RunOutcome::Complete
}

/// The rows that a run saw, as ranges of keys that follow each other.
#[derive(Default)]
pub(super) struct Seen(Vec<Touched>);

impl Seen {
    /// Adds a row; they come by relation and key.
    pub(super) fn add(&mut self, relation: Relation, row: u64) {
        match self.0.last_mut() {
            Some(last) if last.relation == relation && last.last.checked_add(1) == Some(row) => {
                last.last = row;
            }
            _ => self.0.push(Touched {
                relation,
                first: row,
                last: row,
            }),
        }
    }

    /// Adds the rows of a relation that were there at a moment, but those of which the run is silent.
    pub(super) fn add_all_but<B: Body>(
        &mut self,
        mut silent: Vec<u64>,
        store: Store<'_>,
        Place { source, at }: Place,
    ) -> Result<(), Error> {
        silent.sort_unstable();
        for told in Stories::<B>::of(store, source) {
            let (key, story) = told?;
            if story::at(&story, at).is_some() && silent.binary_search(&key).is_err() {
                self.add(B::RELATION, key);
            }
        }
        Ok(())
    }

    /// Keeps them with a run.
    pub(super) fn keep(self, transaction: &WriteTransaction, run: u64) -> Result<(), Error> {
        let mut merge = Merge::new(index::seen(run));
        for range in self.0 {
            merge.at(transaction, &range.key(), &mut |_| Fate::Keep, |_| {
                Fate::Put(range)
            })?;
        }
        merge.close(transaction)
    }
}

/// Whether a row is in one of these ranges.
pub(super) fn is_among(ranges: &[Touched], relation: Relation, row: u64) -> bool {
    let after = ranges.partition_point(|range| (range.relation, range.first) <= (relation, row));
    let range = after.checked_sub(1).and_then(|at| ranges.get(at));
    range.is_some_and(|range| range.relation == relation && row <= range.last)
}
