//! The rows of the three relations: the first version of each row, and what changed in it later.

use std::borrow::Cow;

use crate::model::{Moment, Relation, SourceId};

use super::{
    codec::{Columnar, Reader, Writer},
    facts::AccountScope,
    fold::NewKeys,
    packed::{Row, Space},
    store::tag,
};

/// What a row says, without its key and its time, as small as it stands in a block.
pub(super) trait Body: Columnar + Clone + PartialEq {
    const TAG: u8;
    const RELATION: Relation;
    const WHAT: &'static str;
    /// The part that changes in the life of a row; written before the rest.
    type State: Columnar + Clone + PartialEq;
    /// The row as others know it.
    type Model;
    /// The state, if nothing else differs from `before`.
    fn state_since(&self, before: &Self) -> Option<Self::State>;
    /// The same row in another state.
    fn in_state(self, state: Self::State) -> Self;
    /// Whether it is a row of these accounts. An app is nobody's: that one user has it no more says nothing of it.
    fn is_in(&self, scope: &AccountScope) -> bool;
    /// Whether both are about the same thing: a server may give a row to another token.
    fn is_same_thing(&self, _other: &Self) -> bool {
        true
    }
    /// Refers to the new keys of other rows.
    fn rename(&mut self, new_keys: &NewKeys);
    /// The new key of a row of this relation.
    fn new_key(key: u64, new_keys: &NewKeys) -> u64;
    /// `None` when a text in it is none (never, in an authentic vault).
    fn model(&self) -> Option<Self::Model>;
}

/// A row as it was first seen.
#[derive(Clone, PartialEq)]
pub(super) struct First<B> {
    pub(super) key: u64,
    pub(super) since: Moment,
    pub(super) body: B,
}

/// What became of a row at some later time.
#[derive(Clone, PartialEq)]
pub(super) struct Later<B: Body> {
    pub(super) key: u64,
    pub(super) since: Moment,
    pub(super) change: Change<B>,
}

/// A difference from the last time that the row was there.
#[derive(Clone, PartialEq)]
pub(super) enum Change<B: Body> {
    Gone,
    State(B::State),
    Whole(B),
}

/// The first versions of a source's rows.
pub(super) fn first<B: Body>(source: SourceId) -> Space<First<B>> {
    Space::new([[B::TAG].as_slice(), &source.0.to_be_bytes()].concat())
}

/// What became of them.
pub(super) fn later<B: Body>(source: SourceId) -> Space<Later<B>> {
    Space::new([[B::TAG + tag::LATER].as_slice(), &source.0.to_be_bytes()].concat())
}

impl<B: Body> Change<B> {
    /// What makes `before` become `after`.
    pub(super) fn between(before: &B, after: Option<&B>) -> Self {
        match after {
            None => Self::Gone,
            Some(after) => after
                .state_since(before)
                .map_or_else(|| Self::Whole(after.clone()), Self::State),
        }
    }

    /// Applies it to the row as it was last there. Answers whether the row is there now.
    pub(super) fn apply(self, body: &mut Cow<'_, B>) -> bool {
        match self {
            Self::Gone => return false,
            Self::State(state) => *body = Cow::Owned(body.clone().into_owned().in_state(state)),
            Self::Whole(new) => *body = Cow::Owned(new),
        }
        true
    }
}

impl<B: Body> Columnar for First<B> {
    fn write(&self, to: &mut Writer) {
        to.ascending(self.key);
        to.symbol(&self.since.0.to_le_bytes());
        self.body.write(to);
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            key: from.ascending()?,
            since: moment(from)?,
            body: B::read(from)?,
        })
    }
}

impl<B: Body> Row for First<B> {
    type Key = u64;
    const WHAT: &'static str = B::WHAT;

    fn key(&self) -> u64 {
        self.key
    }

    fn put_key(key: &u64, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&key.to_be_bytes());
    }
}

impl<B: Body> Columnar for Later<B> {
    fn write(&self, to: &mut Writer) {
        to.ascending(self.key);
        to.symbol(&self.since.0.to_le_bytes());
        match &self.change {
            Change::Gone => to.symbol(&[0]),
            Change::State(state) => {
                to.symbol(&[1]);
                state.write(to);
            }
            Change::Whole(body) => {
                to.symbol(&[2]);
                body.write(to);
            }
        }
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            key: from.ascending()?,
            since: moment(from)?,
            change: match *from.symbol()? {
                [0] => Change::Gone,
                [1] => Change::State(B::State::read(from)?),
                [2] => Change::Whole(B::read(from)?),
                _ => return None,
            },
        })
    }
}

impl<B: Body> Row for Later<B> {
    type Key = (u64, Moment);
    const WHAT: &'static str = B::WHAT;

    fn key(&self) -> (u64, Moment) {
        (self.key, self.since)
    }

    fn put_key((key, since): &(u64, Moment), bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&key.to_be_bytes());
        // Flipping the sign bit makes bytes sort as numbers do.
        bytes.extend_from_slice(&(since.0.cast_unsigned() ^ (1 << 63)).to_be_bytes());
    }
}

fn moment(from: &mut Reader<'_>) -> Option<Moment> {
    Some(Moment(i64::from_le_bytes(
        (*from.symbol()?).try_into().ok()?,
    )))
}
