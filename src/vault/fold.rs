//! What the runs of a source say, told anew: for vaults that come together, and for runs and tokens that go.
//!
//! The state at a moment is what the runs up to it said. So whoever has for each run what it says of a row (see
//! [`super::facts`]) can tell the row's story for any set of runs, wherever each of them is kept.

use std::{collections::BTreeMap, iter::Peekable};

use crate::model::{Moment, Relation, SourceId};

use super::{
    Error,
    facts::{AccountScope, is_among},
    index::{self, Touched},
    rows::Body,
    store::Store,
    story::{self, Step, Stories, Story},
};

/// A run among those that are told.
pub(super) struct Telling {
    /// When it is true.
    pub(super) at: Moment,
    /// Its number.
    pub(super) number: u64,
    /// The sides that have it, and when it is true there.
    pub(super) known: Vec<(usize, Moment)>,
    /// Rows that it saw; `None` = it tells everything.
    pub(super) seen: Option<Vec<Touched>>,
    /// Whose rows it ends if it did not see them.
    pub(super) ends: Option<AccountScope>,
}

impl Telling {
    /// Whether it saw a row.
    pub(super) fn saw<B: Body>(&self, key: u64) -> bool {
        let seen = self.seen.as_ref();
        seen.is_none_or(|seen| is_among(seen, B::RELATION, key))
    }

    /// When it is true on the first side that has it.
    pub(super) fn known_at(&self) -> Moment {
        self.known.first().map_or(self.at, |(_, at)| *at)
    }

    fn body<'s, B>(&self, sides: &'s [Story<B>]) -> Option<&'s B> {
        let mut bodies = self.known.iter();
        bodies.find_map(|(side, at)| story::at(sides.get(*side)?, *at))
    }

    /// Whether it is kept to have seen a row that is told of.
    pub(super) fn keeps_sight_of<B: Body>(&self, key: u64) -> bool {
        self.seen.is_some() && self.saw::<B>(key)
    }
}

/// The story of a row, as `runs` in time order tell it; `sides` = its story on each side.
pub(super) fn told<B: Body>(key: u64, sides: &[Story<B>], runs: &[Telling]) -> Story<B> {
    let mut new: Story<B> = Vec::new();
    let mut before: Option<&B> = None;
    for run in runs {
        let body = if run.saw::<B>(key) {
            run.body(sides)
        } else if run
            .ends
            .as_ref()
            .zip(before)
            .is_some_and(|(scope, before)| before.is_in(scope))
        {
            None
        } else {
            continue;
        };
        let is_same = match (before, body) {
            // Most runs find a row as the one before did: the very same step of its story.
            (Some(before), Some(body)) => std::ptr::eq(before, body) || before == body,
            (None, None) => true,
            _ => false,
        };
        if !is_same {
            new.push(Step {
                since: run.at,
                body: body.cloned(),
            });
        }
        before = body;
    }
    new
}

/// What the row keys of a side become, where both sides made them of the same things under different keys.
#[derive(Default)]
pub(super) struct NewKeys {
    pub(super) apps: BTreeMap<u64, u64>,
    pub(super) accounts: BTreeMap<u64, u64>,
    pub(super) tokens: BTreeMap<u64, u64>,
}

impl NewKeys {
    pub(super) fn of(&self, relation: Relation) -> &BTreeMap<u64, u64> {
        match relation {
            Relation::Apps => &self.apps,
            Relation::Accounts => &self.accounts,
            Relation::Tokens => &self.tokens,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.apps.is_empty() && self.accounts.is_empty() && self.tokens.is_empty()
    }
}

/// Rows of a side that are left out as if they had never been.
pub(super) type LeftOut<'f, B> = &'f dyn Fn(u64, &B) -> bool;

/// A source as one vault has it.
pub(super) struct Side<'v> {
    pub(super) store: Store<'v>,
    pub(super) source: SourceId,
    pub(super) new_keys: NewKeys,
}

type Rows<'s, B> = Peekable<Box<dyn Iterator<Item = Result<(u64, Story<B>), Error>> + 's>>;

impl Side<'_> {
    /// The rows that a run saw, by its number on this side.
    pub(super) fn seen(&self, run: u64) -> Result<Vec<Touched>, Error> {
        let mut seen = Vec::new();
        for range in index::seen(run).scan(self.store) {
            let range = range?;
            if self.new_keys.is_empty() {
                seen.push(range);
                continue;
            }
            let keys = self.new_keys.of(range.relation);
            let mut push = |first, last| {
                if first <= last {
                    seen.push(Touched {
                        relation: range.relation,
                        first,
                        last,
                    });
                }
            };
            let mut rest = Some(range.first);
            for (old, new) in keys.range(range.first..=range.last) {
                if let Some(before) = old.checked_sub(1) {
                    rest.inspect(|rest| push(*rest, before));
                }
                push(*new, *new);
                rest = old.checked_add(1);
            }
            rest.inspect(|rest| push(*rest, range.last));
        }
        seen.sort_by_key(|range| (range.relation, range.first));
        Ok(seen)
    }

    fn rows<'s, B: Body + 's>(&'s self, left_out: LeftOut<'s, B>) -> Result<Rows<'s, B>, Error> {
        let stories = Stories::<B>::of(self.store, self.source).map(move |told| {
            let (key, mut story) = told?;
            for step in &mut story {
                step.body = step.body.take().filter(|body| !left_out(key, body));
            }
            Ok((key, story))
        });
        if self.new_keys.is_empty() {
            let stories: Box<dyn Iterator<Item = _> + 's> = Box::new(stories);
            return Ok(stories.peekable());
        }
        // Only clients' sources get new keys, and those are small.
        let mut renamed: BTreeMap<u64, Story<B>> = BTreeMap::new();
        for told in stories {
            let (key, mut story) = told?;
            for body in story.iter_mut().filter_map(|step| step.body.as_mut()) {
                body.rename(&self.new_keys);
            }
            renamed.insert(B::new_key(key, &self.new_keys), story);
        }
        let stories: Box<dyn Iterator<Item = _> + 's> = Box::new(renamed.into_iter().map(Ok));
        Ok(stories.peekable())
    }
}

/// Walks the rows of a relation on all sides at once, by key; shows the story of each on every side.
pub(super) fn each_row<B: Body>(
    sides: &[Side<'_>],
    left_out: LeftOut<'_, B>,
    mut show: impl FnMut(u64, &[Story<B>]) -> Result<(), Error>,
) -> Result<(), Error> {
    let rows = sides.iter().map(|side| side.rows::<B>(left_out));
    let mut rows = rows.collect::<Result<Vec<_>, Error>>()?;
    loop {
        let mut next: Option<u64> = None;
        for side in &mut rows {
            match side.peek() {
                Some(Ok((key, _))) => next = Some(next.map_or(*key, |next| next.min(*key))),
                Some(Err(_)) => return side.next().map_or(Ok(()), |told| told.map(drop)),
                None => {}
            }
        }
        let Some(key) = next else { return Ok(()) };
        let mut stories = Vec::with_capacity(rows.len());
        for side in &mut rows {
            let told = side.next_if(|told| told.as_ref().is_ok_and(|(next, _)| *next == key));
            stories.push(
                told.transpose()?
                    .map(|(_, story)| story)
                    .unwrap_or_default(),
            );
        }
        show(key, &stories)?;
    }
}
