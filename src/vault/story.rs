//! The story of a row: what it said from when on, put together from its first version and what became of it.

use std::{borrow::Cow, iter::Peekable};

use crate::model::{Moment, SourceId};

use super::{
    Error,
    index::ChangeKind,
    packed::Scan,
    rows::{Body, Change, First, Later, first, later},
    store::Store,
};

/// A row says this from `since` until its next step; without a body it is gone. Stories begin with a body, and no two
/// steps that follow each other say the same.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Step<B> {
    pub(super) since: Moment,
    pub(super) body: Option<B>,
}

/// The steps of a row, in time order.
pub(super) type Story<B> = Vec<Step<B>>;

/// What a row said at a moment.
pub(super) fn at<B>(story: &[Step<B>], moment: Moment) -> Option<&B> {
    let step = story.iter().rfind(|step| step.since <= moment)?;
    step.body.as_ref()
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

/// A story as it is kept.
pub(super) fn encoded<B: Body>(key: u64, story: &[Step<B>]) -> (Option<First<B>>, Vec<Later<B>>) {
    let Some((begin, rest)) = story.split_first() else {
        return (None, Vec::new());
    };
    let Some(mut last) = begin.body.as_ref() else {
        return (None, Vec::new());
    };
    let first = First {
        key,
        since: begin.since,
        body: last.clone(),
    };
    let mut laters = Vec::new();
    for step in rest {
        laters.push(Later {
            key,
            since: step.since,
            change: Change::between(last, step.body.as_ref()),
        });
        last = step.body.as_ref().unwrap_or(last);
    }
    (Some(first), laters)
}

/// The stories of the rows of a source, by key.
pub(super) struct Stories<'s, B: Body> {
    first: Scan<'s, First<B>>,
    later: Peekable<Scan<'s, Later<B>>>,
}

impl<'s, B: Body> Stories<'s, B> {
    /// Of all rows.
    pub(super) fn of(store: Store<'s>, source: SourceId) -> Self {
        Self {
            first: first(source).scan(store),
            later: later(source).scan(store).peekable(),
        }
    }

    /// Of the rows from this key on.
    pub(super) fn from(store: Store<'s>, source: SourceId, key: u64) -> Result<Self, Error> {
        let later = later(source).scan_from(store, &(key, Moment::MIN))?;
        Ok(Self {
            first: first(source).scan_from(store, &key)?,
            later: later.peekable(),
        })
    }

    fn step(&mut self) -> Result<Option<(u64, Story<B>)>, Error> {
        match self.first.next().transpose()? {
            Some(first) => Ok(Some((first.key, told(first, &mut self.later)?))),
            None => match self.later.next() {
                Some(later) => later.and(Err(Error::Inconsistent { what: B::WHAT })),
                None => Ok(None),
            },
        }
    }
}

impl<B: Body> Iterator for Stories<'_, B> {
    type Item = Result<(u64, Story<B>), Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.step().transpose()
    }
}

/// The story of one row; empty when there is none.
pub(super) fn story<B: Body>(
    store: Store<'_>,
    source: SourceId,
    row: u64,
) -> Result<Story<B>, Error> {
    let Some(first) = first::<B>(source).get(store, &row)? else {
        return Ok(Vec::new());
    };
    let later = later(source).scan_from(store, &(row, Moment::MIN))?;
    told(first, &mut later.peekable())
}

/// Puts a story together, taking what became of the row from `later`.
fn told<B: Body>(
    first: First<B>,
    later: &mut Peekable<Scan<'_, Later<B>>>,
) -> Result<Story<B>, Error> {
    let inconsistent = Error::Inconsistent { what: B::WHAT };
    let key = first.key;
    let mut story = vec![Step {
        since: first.since,
        body: Some(first.body),
    }];
    let is_due = |row: &Result<Later<B>, Error>| row.as_ref().map_or(true, |row| row.key <= key);
    while let Some(row) = later.next_if(is_due) {
        let row = row?;
        let last = story.iter().rev().find_map(|step| step.body.as_ref());
        let Some(last) = last.filter(|_| row.key == key) else {
            return Err(inconsistent);
        };
        let mut body = Cow::Borrowed(last);
        let is_there = row.change.apply(&mut body);
        let body = is_there.then(|| body.into_owned());
        story.push(Step {
            since: row.since,
            body,
        });
    }
    Ok(story)
}
