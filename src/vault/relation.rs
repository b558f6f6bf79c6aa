//! One relation of one source while a run is recorded: the merge join of what comes in with what is known.

use std::collections::BTreeMap;

use redb::WriteTransaction;

use crate::model::{Counts, Moment, SourceId};

use super::{
    Error,
    index::ChangeKind,
    packed::{Fate, Merge},
    rows::{Body, Current, Past, Relation, current, past},
    store::Store,
};

/// A row over some time: since ≤ t < until.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Span<B> {
    pub(super) since: Moment,
    pub(super) until: Option<Moment>,
    pub(super) body: B,
}

/// Where a run stands among the runs of its source.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) source: SourceId,
    pub(super) at: Moment,
    /// The next run of the source, where this one is dated before it.
    pub(super) next: Option<(Moment, u64)>,
}

/// What became of one incoming row.
pub(super) enum Verdict<B> {
    Unchanged,
    Added,
    /// It replaces this.
    Changed(B),
}

/// One relation while its rows come in.
pub(super) enum Relating<B: Body> {
    /// The run is the newest of its source: differences go straight into the tables.
    Newest(Newest<B>),
    /// The run lies before others.
    Between(Between<B>),
}

impl<B: Body> Relating<B> {
    pub(super) fn new(transaction: &WriteTransaction, place: Place) -> Self {
        if place.next.is_some() {
            return Self::Between(Between::new(Store::Write(transaction), place));
        }
        Self::Newest(Newest {
            place,
            merge: Some(Merge::new(current(place.source))),
            past: Some(Merge::new(past(place.source))),
            missing: Vec::new(),
            counts: Counts::default(),
        })
    }

    /// Moves it out; what stays takes no rows.
    pub(super) fn taken(&mut self) -> Self {
        let place = match self {
            Self::Newest(newest) => newest.place,
            Self::Between(between) => between.place,
        };
        let closed = Newest {
            place,
            merge: None,
            past: None,
            missing: Vec::new(),
            counts: Counts::default(),
        };
        std::mem::replace(self, Self::Newest(closed))
    }

    /// Takes one row, in ascending order of keys. `in_scope` tells of known rows that did not come whether the run
    /// would have had them.
    pub(super) fn take(
        &mut self,
        transaction: &WriteTransaction,
        key: u64,
        body: B,
        in_scope: &dyn Fn(u64, &B) -> bool,
    ) -> Result<Verdict<B>, Error> {
        match self {
            Self::Newest(newest) => newest.take(transaction, key, body, in_scope),
            Self::Between(between) => between.take(transaction, key, body, in_scope),
        }
    }

    /// No more rows come.
    pub(super) fn end_of_rows(
        &mut self,
        transaction: &WriteTransaction,
        in_scope: &dyn Fn(u64, &B) -> bool,
    ) -> Result<(), Error> {
        match self {
            Self::Newest(newest) => newest.end_of_rows(transaction, in_scope),
            Self::Between(between) => between.end_of_rows(transaction, in_scope),
        }
    }

    /// Rows that came, and known rows that didn't.
    pub(super) fn counts(&self) -> (Counts, u64) {
        match self {
            Self::Newest(newest) => (newest.counts, newest.missing.len() as u64),
            Self::Between(between) => (between.counts, between.missing.len() as u64),
        }
    }

    /// Ends the rows that did not come, if `bury`; then everything is written. Tells `note` what is to be noted.
    pub(super) fn finish(
        self,
        transaction: &WriteTransaction,
        bury: bool,
        note: &mut dyn FnMut(Noted),
    ) -> Result<Counts, Error> {
        match self {
            Self::Newest(newest) => newest.finish(transaction, bury, note),
            Self::Between(between) => between.finish(transaction, bury, note),
        }
    }
}

/// A change to note for a run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Noted {
    pub(super) relation: Relation,
    pub(super) row: u64,
    /// `None`: the row does not change in that run any more.
    pub(super) kind: Option<ChangeKind>,
    pub(super) of: Of,
}

/// Which run a change is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    /// The one that is being recorded.
    This,
    /// The one that follows it: its changes are counted from this one now.
    Next,
}

pub(super) struct Newest<B: Body> {
    place: Place,
    merge: Option<Merge<Current<B>>>,
    past: Option<Merge<Past<B>>>,
    /// Keys of known rows in scope that did not come.
    missing: Vec<u64>,
    counts: Counts,
}

impl<B: Body> Newest<B> {
    fn take(
        &mut self,
        transaction: &WriteTransaction,
        key: u64,
        body: B,
        in_scope: &dyn Fn(u64, &B) -> bool,
    ) -> Result<Verdict<B>, Error> {
        let since = self.place.at;
        let missing = &mut self.missing;
        let mut verdict = Verdict::Unchanged;
        let mut ended = None;
        let merge = self.merge.as_mut().ok_or(Error::OutOfOrder)?;
        merge.at(
            transaction,
            &key,
            &mut |row| {
                if in_scope(row.key, &row.body) {
                    missing.push(row.key);
                }
                Fate::Keep
            },
            |known| match known {
                Some(known) if known.body == body => Fate::Keep,
                Some(known) => {
                    ended = Some(known.since);
                    verdict = Verdict::Changed(known.body.clone());
                    Fate::Put(Current { key, since, body })
                }
                None => {
                    verdict = Verdict::Added;
                    Fate::Put(Current { key, since, body })
                }
            },
        )?;
        self.counts.seen += 1;
        match &verdict {
            Verdict::Unchanged => self.counts.unchanged += 1,
            Verdict::Added => self.counts.added += 1,
            Verdict::Changed(_) => self.counts.changed += 1,
        }
        if let (Some(began), Verdict::Changed(before)) = (ended, &verdict) {
            self.bury(
                transaction,
                Current {
                    key,
                    since: began,
                    body: before.clone(),
                },
            )?;
        }
        Ok(verdict)
    }

    fn bury(&mut self, transaction: &WriteTransaction, row: Current<B>) -> Result<(), Error> {
        let row = Past {
            key: row.key,
            since: row.since,
            until: self.place.at,
            body: row.body,
        };
        let past = self.past.as_mut().ok_or(Error::OutOfOrder)?;
        past.jump(transaction, &(row.key, row.since), |_| {
            Fate::Put(row.clone())
        })
    }

    fn end_of_rows(
        &mut self,
        transaction: &WriteTransaction,
        in_scope: &dyn Fn(u64, &B) -> bool,
    ) -> Result<(), Error> {
        let missing = &mut self.missing;
        let Some(merge) = self.merge.take() else {
            return Ok(());
        };
        merge.finish(transaction, &mut |row| {
            if in_scope(row.key, &row.body) {
                missing.push(row.key);
            }
            Fate::Keep
        })?;
        match self.past.take() {
            Some(past) => past.close(transaction),
            None => Ok(()),
        }
    }

    fn finish(
        mut self,
        transaction: &WriteTransaction,
        bury: bool,
        note: &mut dyn FnMut(Noted),
    ) -> Result<Counts, Error> {
        if !bury {
            return Ok(self.counts);
        }
        let mut merge = Merge::new(current::<B>(self.place.source));
        self.past = Some(Merge::new(past(self.place.source)));
        for key in std::mem::take(&mut self.missing) {
            let mut ended = None;
            merge.jump(transaction, &key, |row| {
                ended = row.cloned();
                Fate::Drop
            })?;
            if let Some(row) = ended {
                self.bury(transaction, row)?;
                self.counts.gone += 1;
                note(Noted {
                    relation: B::RELATION,
                    row: key,
                    kind: Some(ChangeKind::Gone),
                    of: Of::This,
                });
            }
        }
        merge.close(transaction)?;
        if let Some(past) = self.past.take() {
            past.close(transaction)?;
        }
        Ok(self.counts)
    }
}

/// A relation while a run is put between known ones. The run's state holds from its time until the next run's: what the
/// next run found stays what it found. Edits are collected and applied at the end: such runs are rare.
pub(super) struct Between<B: Body> {
    place: Place,
    /// Every version of every row, read ahead of the incoming rows.
    known: std::iter::Peekable<std::vec::IntoIter<(u64, Vec<Span<B>>)>>,
    /// The first error of reading ahead.
    failed: Option<Error>,
    /// New versions of rows.
    edits: BTreeMap<u64, (Vec<Span<B>>, Vec<Span<B>>)>,
    missing: Vec<(u64, Vec<Span<B>>)>,
    counts: Counts,
}

impl<B: Body> Between<B> {
    fn new(store: Store<'_>, place: Place) -> Self {
        let (known, failed) = match all_spans(store, place.source) {
            Ok(known) => (known, None),
            Err(error) => (Vec::new(), Some(error)),
        };
        Self {
            place,
            known: known.into_iter().peekable(),
            failed,
            edits: BTreeMap::new(),
            missing: Vec::new(),
            counts: Counts::default(),
        }
    }

    fn take(
        &mut self,
        _transaction: &WriteTransaction,
        key: u64,
        body: B,
        in_scope: &dyn Fn(u64, &B) -> bool,
    ) -> Result<Verdict<B>, Error> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        self.pass_until(Some(key), in_scope);
        let spans = self
            .known
            .next_if(|(known, _)| *known == key)
            .map(|(_, spans)| spans)
            .unwrap_or_default();
        let before = at(&spans, self.place.at).cloned();
        self.counts.seen += 1;
        let verdict = match before {
            Some(known) if known == body => {
                self.counts.unchanged += 1;
                return Ok(Verdict::Unchanged);
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
        self.edit(key, spans, Some(body));
        Ok(verdict)
    }

    fn pass_until(&mut self, key: Option<u64>, in_scope: &dyn Fn(u64, &B) -> bool) {
        while let Some((known, spans)) = self
            .known
            .next_if(|(known, _)| key.is_none_or(|key| *known < key))
        {
            if at(&spans, self.place.at).is_some_and(|body| in_scope(known, body)) {
                self.missing.push((known, spans));
            }
        }
    }

    fn edit(&mut self, key: u64, spans: Vec<Span<B>>, body: Option<B>) {
        let until = self.place.next.map(|(at, _)| at);
        let new = splice(&spans, self.place.at, until, body);
        self.edits.insert(key, (spans, new));
    }

    fn end_of_rows(
        &mut self,
        _transaction: &WriteTransaction,
        in_scope: &dyn Fn(u64, &B) -> bool,
    ) -> Result<(), Error> {
        self.pass_until(None, in_scope);
        self.failed.take().map_or(Ok(()), Err)
    }

    fn finish(
        mut self,
        transaction: &WriteTransaction,
        bury: bool,
        note: &mut dyn FnMut(Noted),
    ) -> Result<Counts, Error> {
        if bury {
            for (key, spans) in std::mem::take(&mut self.missing) {
                self.counts.gone += 1;
                note(Noted {
                    relation: B::RELATION,
                    row: key,
                    kind: Some(ChangeKind::Gone),
                    of: Of::This,
                });
                self.edit(key, spans, None);
            }
        }
        let mut live = Merge::new(current::<B>(self.place.source));
        let mut former = Merge::new(past::<B>(self.place.source));
        for (key, (old, new)) in &self.edits {
            let (was, is) = (live_of(old), live_of(new));
            if was != is {
                live.jump(transaction, key, |_| match is {
                    Some(span) => Fate::Put(Current {
                        key: *key,
                        since: span.since,
                        body: span.body.clone(),
                    }),
                    None => Fate::Drop,
                })?;
            }
            apply_past(transaction, &mut former, *key, old, new)?;
            if let Some((next, _)) = self.place.next {
                let (before, after) = (at(new, self.place.at), at(new, next));
                let kind = kind_of(before, after);
                note(Noted {
                    relation: B::RELATION,
                    row: *key,
                    kind,
                    of: Of::Next,
                });
            }
        }
        live.close(transaction)?;
        former.close(transaction)?;
        Ok(self.counts)
    }
}

fn apply_past<B: Body>(
    transaction: &WriteTransaction,
    former: &mut Merge<Past<B>>,
    key: u64,
    old: &[Span<B>],
    new: &[Span<B>],
) -> Result<(), Error> {
    let ended = |spans: &[Span<B>]| -> BTreeMap<Moment, Span<B>> {
        spans
            .iter()
            .filter(|span| span.until.is_some())
            .map(|span| (span.since, span.clone()))
            .collect()
    };
    let (old, new) = (ended(old), ended(new));
    let mut moments: Vec<Moment> = old.keys().chain(new.keys()).copied().collect();
    moments.sort_unstable();
    moments.dedup();
    for since in moments {
        let is = new.get(&since);
        if old.get(&since) == is {
            continue;
        }
        former.jump(transaction, &(key, since), |_| {
            match is.and_then(|span| span.until.map(|until| (span, until))) {
                Some((span, until)) => Fate::Put(Past {
                    key,
                    since,
                    until,
                    body: span.body.clone(),
                }),
                None => Fate::Drop,
            }
        })?;
    }
    Ok(())
}

fn live_of<B>(spans: &[Span<B>]) -> Option<&Span<B>> {
    spans.iter().find(|span| span.until.is_none())
}

/// What a row said at a moment.
pub(super) fn at<B>(spans: &[Span<B>], moment: Moment) -> Option<&B> {
    let span = spans.iter().rfind(|span| span.since <= moment)?;
    span.until
        .is_none_or(|until| moment < until)
        .then_some(&span.body)
}

/// How a row differs between two moments.
pub(super) fn kind_of<B: PartialEq>(before: Option<&B>, after: Option<&B>) -> Option<ChangeKind> {
    match (before, after) {
        (None, Some(_)) => Some(ChangeKind::Added),
        (Some(_), None) => Some(ChangeKind::Gone),
        (Some(before), Some(after)) if before != after => Some(ChangeKind::Changed),
        _ => None,
    }
}

/// Makes the row say `body` from `since` to `until` and leaves the rest as it is; spans that touch and say the same
/// become one.
fn splice<B: Clone + PartialEq>(
    spans: &[Span<B>],
    since: Moment,
    until: Option<Moment>,
    body: Option<B>,
) -> Vec<Span<B>> {
    let mut parts: Vec<Span<B>> = Vec::new();
    for span in spans {
        if span.since < since {
            let end = span.until.map_or(since, |end| end.min(since));
            parts.push(Span {
                until: Some(end),
                ..span.clone()
            });
        }
        if let Some(until) = until
            && span.until.is_none_or(|end| end > until)
        {
            parts.push(Span {
                since: span.since.max(until),
                ..span.clone()
            });
        }
    }
    parts.extend(body.map(|body| Span { since, until, body }));
    parts.sort_by_key(|span| span.since);
    let mut joined: Vec<Span<B>> = Vec::new();
    for part in parts {
        match joined.last_mut() {
            Some(last) if last.until == Some(part.since) && last.body == part.body => {
                last.until = part.until
            }
            _ => joined.push(part),
        }
    }
    joined
}

/// Every version of every row of a source, by key, each in time order.
fn all_spans<B: Body>(
    store: Store<'_>,
    source: SourceId,
) -> Result<Vec<(u64, Vec<Span<B>>)>, Error> {
    let mut rows: BTreeMap<u64, Vec<Span<B>>> = BTreeMap::new();
    for row in past::<B>(source).scan(store) {
        let row = row?;
        let span = Span {
            since: row.since,
            until: Some(row.until),
            body: row.body,
        };
        rows.entry(row.key).or_default().push(span);
    }
    for row in current::<B>(source).scan(store) {
        let row = row?;
        rows.entry(row.key).or_default().push(Span {
            since: row.since,
            until: None,
            body: row.body,
        });
    }
    Ok(rows.into_iter().collect())
}
