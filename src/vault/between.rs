//! One relation of one source while a run is put between known ones.

use std::{collections::BTreeMap, iter::Peekable, vec::IntoIter};

use redb::WriteTransaction;

use crate::model::{Counts, Moment};

use super::{
    Error,
    bodies::AccountBody,
    facts::{AccountScope, Follower, Says},
    packed::{Fate, Merge},
    relation::{Finished, Noted, Of, Place, Verdict, is_in},
    rows::{Body, Later, first, later},
    store::Store,
    story::{Step, Stories, Story, at, encoded},
};

/// A relation while a run is put between known ones. The run's rows hold until a later run speaks of them; what that one said
/// stays said. Edits are collected and applied at the end: such runs are rare.
pub(super) struct Between<B: Body> {
    pub(super) place: Place,
    followers: Vec<Follower>,
    /// The story of every row, read ahead of the incoming rows.
    known: Peekable<IntoIter<(u64, Story<B>)>>,
    /// The first error of reading ahead.
    failed: Option<Error>,
    /// What the run says of rows, beside their stories so far.
    said: Vec<(u64, Story<B>, Said<B>)>,
    counts: Counts,
    missing: u64,
    /// Whether rows that the run left as they were may have changed later.
    retells_all: bool,
}

/// What the run itself says of a row.
enum Said<B> {
    This(B),
    /// It should have seen it, and did not.
    Missing,
    Nothing,
}

impl<B: Body> Between<B> {
    pub(super) fn new(store: Store<'_>, place: Place, followers: Vec<Follower>) -> Self {
        let known: Result<Vec<_>, Error> = Stories::of(store, place.source).collect();
        let (known, failed) = match known {
            Ok(known) => (known, None),
            Err(error) => (Vec::new(), Some(error)),
        };
        Self {
            place,
            followers,
            known: known.into_iter().peekable(),
            failed,
            said: Vec::new(),
            counts: Counts::default(),
            missing: 0,
            retells_all: false,
        }
    }

    pub(super) fn take(
        &mut self,
        key: u64,
        body: B,
        scope: Option<&AccountScope>,
    ) -> Result<Verdict<B>, Error> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        self.pass_until(Some(key), scope);
        let story = self
            .known
            .next_if(|(known, _)| *known == key)
            .map(|(_, story)| story)
            .unwrap_or_default();
        let before = at(&story, self.place.at).cloned();
        self.counts.seen += 1;
        let verdict = match before {
            Some(known) if known == body => {
                self.counts.unchanged += 1;
                Verdict::Unchanged
            }
            Some(known) => {
                self.counts.changed += 1;
                Verdict::Changed(known)
            }
            None => {
                self.counts.added += 1;
                Verdict::Added
            }
        };
        self.said.push((key, story, Said::This(body)));
        Ok(verdict)
    }

    /// Rows that came, and known rows that didn't.
    pub(super) fn counts(&self) -> (Counts, u64) {
        (self.counts, self.missing)
    }

    /// The run's accounts may have changed whose rows the runs after it end.
    pub(super) fn rejudge(&mut self, accounts: &[(u64, Story<AccountBody>)]) {
        for follower in &mut self.followers {
            self.retells_all |= follower.rejudge(accounts);
        }
    }

    fn pass_until(&mut self, key: Option<u64>, scope: Option<&AccountScope>) {
        while let Some((known, story)) = self
            .known
            .next_if(|(known, _)| key.is_none_or(|key| *known < key))
        {
            let body = at(&story, self.place.at);
            let said = if body.is_some_and(|body| is_in(scope, body)) {
                self.missing += 1;
                Said::Missing
            } else {
                Said::Nothing
            };
            self.said.push((known, story, said));
        }
    }

    /// The story of a row that says `body` at the run.
    fn retold(&self, key: u64, story: &Story<B>, body: Option<&B>) -> Story<B> {
        let mut new: Story<B> = Vec::new();
        let mut tell = |since, body: Option<&B>| {
            if new.last().and_then(|last: &Step<B>| last.body.as_ref()) != body {
                let body = body.cloned();
                new.push(Step { since, body });
            }
            new.last().and_then(|last| last.body.clone())
        };
        for step in story.iter().filter(|step| step.since < self.place.at) {
            tell(step.since, step.body.as_ref());
        }
        let mut before = tell(self.place.at, body);
        for follower in &self.followers {
            match follower.says(key, before.as_ref(), story) {
                Says::Nothing => {}
                Says::This(body) => before = tell(follower.at, body),
                Says::ForGood(body) => {
                    tell(follower.at, body);
                    for step in story.iter().filter(|step| step.since > follower.at) {
                        tell(step.since, step.body.as_ref());
                    }
                }
            }
        }
        new
    }

    pub(super) fn end_of_rows(&mut self, scope: Option<&AccountScope>) -> Result<(), Error> {
        self.pass_until(None, scope);
        self.failed.take().map_or(Ok(()), Err)
    }

    pub(super) fn finish(
        mut self,
        transaction: &WriteTransaction,
        bury: bool,
        note: &mut dyn FnMut(Noted),
    ) -> Result<Finished<B>, Error> {
        let relation = B::RELATION;
        let mut finished = Finished {
            counts: self.counts,
            silent: Vec::new(),
            retold: Vec::new(),
        };
        let mut firsts = Merge::new(first::<B>(self.place.source));
        let mut laters = Merge::new(later::<B>(self.place.source));
        for (key, old, said) in std::mem::take(&mut self.said) {
            let body = match &said {
                Said::This(body) => Some(body),
                Said::Missing if bury => {
                    finished.counts.gone += 1;
                    let (row, of) = (key, Of::This);
                    note(Noted { relation, row, of });
                    None
                }
                Said::Missing => {
                    finished.silent.push(key);
                    at(&old, self.place.at)
                }
                Said::Nothing => at(&old, self.place.at),
            };
            if body == at(&old, self.place.at) && !self.retells_all {
                continue;
            }
            let new = self.retold(key, &old, body);
            if new == old {
                continue;
            }
            let ((was_first, was_later), (first, later)) = (encoded(key, &old), encoded(key, &new));
            if was_first != first {
                firsts.jump(transaction, &key, |_| first.map_or(Fate::Drop, Fate::Put))?;
            }
            let gone = was_later.into_iter().map(|row| (row.since, Fate::Drop));
            let mut rows: BTreeMap<Moment, Fate<Later<B>>> = gone.collect();
            rows.extend(later.into_iter().map(|row| (row.since, Fate::Put(row))));
            for (since, fate) in rows {
                laters.jump(transaction, &(key, since), |_| fate)?;
            }
            for follower in &self.followers {
                if new.iter().any(|step| step.since == follower.at) {
                    let (row, of) = (key, Of::Later(follower.number));
                    note(Noted { relation, row, of });
                }
            }
            finished.retold.push((key, new));
        }
        firsts.close(transaction)?;
        laters.close(transaction)?;
        Ok(finished)
    }
}
