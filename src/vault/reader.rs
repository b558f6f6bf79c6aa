//! One read snapshot of a vault: rows as of a moment, and what the indexes lead to.

use std::collections::{BTreeSet, HashMap, HashSet};

use redb::ReadOnlyTable;

use crate::model::{Account, App, Domain, Moment, Relation, Source, SourceId, Token, TokenId};

use super::{
    Error,
    bodies::{AccountBody, AppBody, TokenBody},
    ids::TokenIds,
    index::{self, ByAccount, ByDigest, ChangeKind, Touched},
    packed::Scan,
    rows::Body,
    run::{self, RunFacts},
    store::Store,
    story::{self, Step, Stories, Story, kind_of},
    writer::accounts_named,
};

/// A row and the time in which it was so: since ≤ t < until, in effective time; `until` is `None` while it lasts.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Version<T> {
    pub(super) key: u64,
    pub(super) since: Moment,
    pub(super) until: Option<Moment>,
    pub(super) body: T,
}

/// The last version of a row at a moment, and when it was first seen.
pub(super) struct Ever<T> {
    pub(super) first_seen: Moment,
    pub(super) version: Version<T>,
}

/// A row that a run found new, changed or gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) relation: Relation,
    pub(super) row: u64,
    pub(super) kind: ChangeKind,
}

/// Where a token stands, and how many characters of its id name no other: at least 8.
pub(super) struct Found {
    pub(super) places: Vec<Place>,
    pub(super) digits: usize,
}

/// A row that holds, or held, a token, and its versions in which it did, in time order.
pub(super) struct Place {
    pub(super) source: SourceId,
    pub(super) versions: Vec<Version<Token>>,
}

/// One read snapshot.
pub(super) struct Reader<'v> {
    pub(super) table: ReadOnlyTable<&'static [u8], &'static [u8]>,
    pub(super) ids: TokenIds<'v>,
}

impl Reader<'_> {
    pub(super) fn store(&self) -> Store<'_> {
        Store::Read(&self.table)
    }

    pub(super) fn sources(&self) -> Result<Vec<Source>, Error> {
        run::sources(self.store())
    }

    pub(super) fn run_facts(&self) -> Result<Vec<RunFacts>, Error> {
        run::facts(self.store())
    }

    /// The id of a token.
    pub(super) fn id_of(&self, token: &Token) -> TokenId {
        self.ids.of(token)
    }

    /// The ids of all tokens that a row ever held: a server whose database was rebuilt gives its row ids anew.
    pub(super) fn token_ids(&self, source: SourceId, row: u64) -> Result<BTreeSet<TokenId>, Error> {
        let versions = self.token_versions(source, row)?;
        Ok(versions
            .iter()
            .map(|version| self.id_of(&version.body))
            .collect())
    }

    /// Every version of a token row, in time order.
    pub(super) fn token_versions(
        &self,
        source: SourceId,
        row: u64,
    ) -> Result<Vec<Version<Token>>, Error> {
        versions::<TokenBody>(self.store(), source, row)
    }

    /// Every version of an app row, in time order.
    pub(super) fn app_versions(
        &self,
        source: SourceId,
        row: u64,
    ) -> Result<Vec<Version<App>>, Error> {
        versions::<AppBody>(self.store(), source, row)
    }

    /// Every version of an account row, in time order.
    pub(super) fn account_versions(
        &self,
        source: SourceId,
        row: u64,
    ) -> Result<Vec<Version<Account>>, Error> {
        versions::<AccountBody>(self.store(), source, row)
    }

    /// What was last known of an app at a moment, even if it is gone since.
    pub(super) fn app(&self, source: SourceId, row: u64, at: Moment) -> Result<Option<App>, Error> {
        last_known::<AppBody>(self.store(), source, row, at)
    }

    /// What was last known of an account at a moment, even if it is gone since.
    pub(super) fn account(
        &self,
        source: SourceId,
        row: u64,
        at: Moment,
    ) -> Result<Option<Account>, Error> {
        last_known::<AccountBody>(self.store(), source, row, at)
    }

    /// Every token that a row of a source ever held up to a moment, each in its last version then, by key of the row.
    pub(super) fn tokens_ever(
        &self,
        source: SourceId,
        at: Moment,
    ) -> impl Iterator<Item = Result<Ever<Token>, Error>> {
        modelled(self.ever::<TokenBody>(source, at))
    }

    /// The same of apps.
    #[cfg(test)]
    pub(super) fn apps_ever(
        &self,
        source: SourceId,
        at: Moment,
    ) -> impl Iterator<Item = Result<Ever<App>, Error>> {
        modelled(self.ever::<AppBody>(source, at))
    }

    /// The same of accounts.
    pub(super) fn accounts_ever(
        &self,
        source: SourceId,
        at: Moment,
    ) -> impl Iterator<Item = Result<Ever<Account>, Error>> {
        modelled(self.ever::<AccountBody>(source, at))
    }

    /// The same of any relation, as it stands in blocks.
    pub(super) fn ever<B: Body>(
        &self,
        source: SourceId,
        at: Moment,
    ) -> impl Iterator<Item = Result<Ever<B>, Error>> {
        Stories::of(self.store(), source).flat_map(move |story| {
            let (known, failed) = match story {
                Ok((key, story)) => (as_known(key, story, at), None),
                Err(error) => (Vec::new(), Some(Err(error))),
            };
            known.into_iter().map(Ok).chain(failed)
        })
    }

    /// Where a token stands.
    pub(super) fn find(&self, id: TokenId) -> Result<Found, Error> {
        let mut found = Found {
            places: Vec::new(),
            digits: TokenId::LEAST_DIGITS,
        };
        for entry in self.digests_from(id.index_digest())? {
            let ByDigest {
                digest,
                source,
                row,
            } = entry?;
            if digest != id.index_digest() {
                break;
            }
            // 40 bits seldom meet by accident; the row knows.
            let versions = self.token_versions(SourceId(source), row)?;
            let (own, others): (Vec<_>, Vec<_>) = versions
                .into_iter()
                .partition(|version| self.id_of(&version.body) == id);
            for other in others {
                let shared = id.common_digits(self.id_of(&other.body));
                found.digits = found.digits.max(shared + 1);
            }
            if !own.is_empty() {
                found.places.push(Place {
                    source: SourceId(source),
                    versions: own,
                });
            }
        }
        Ok(found)
    }

    /// The token of an id.
    pub(super) fn token(&self, id: TokenId) -> Result<Option<Token>, Error> {
        let place = self.find(id)?.places.into_iter().next();
        let version = place.and_then(|place| place.versions.into_iter().next());
        Ok(version.map(|version| version.body))
    }

    /// Ids that begin with these characters of base32.
    pub(super) fn token_ids_with_prefix(&self, prefix: &str) -> Result<BTreeSet<TokenId>, Error> {
        let mut ids = BTreeSet::new();
        let Some(start) = TokenId::least_with_prefix(prefix) else {
            return Ok(ids);
        };
        for entry in self.digests_from(start.index_digest())? {
            let entry = entry?;
            let mut within = false;
            for version in self.token_versions(SourceId(entry.source), entry.row)? {
                let id = self.id_of(&version.body);
                if id.to_base32().starts_with(prefix) {
                    ids.insert(id);
                }
                within |= id.index_digest() == entry.digest && id.to_base32().starts_with(prefix);
            }
            if !within && entry.digest > start.index_digest() {
                break;
            }
        }
        Ok(ids)
    }

    fn digests_from(&self, digest: u64) -> Result<Scan<'_, ByDigest>, Error> {
        index::by_digest().scan_from(
            self.store(),
            &ByDigest {
                digest,
                source: 0,
                row: 0,
            },
        )
    }

    /// Which ids need more than the least number of characters: found in one pass over the index.
    pub(super) fn crowded_ids(&self) -> Result<Crowded, Error> {
        let mut crowded = Crowded::default();
        let mut last: Option<ByDigest> = None;
        for entry in self.digests_from(0)? {
            let entry = entry?;
            if let Some(last) = last
                && last.digest == entry.digest
            {
                for (source, row) in [(last.source, last.row), (entry.source, entry.row)] {
                    for id in self.token_ids(SourceId(source), row)? {
                        crowded.digits.insert(id, self.find(id)?.digits);
                    }
                }
                if (last.digest, last.source) == (entry.digest, entry.source) {
                    crowded.in_several_rows.insert(entry.digest);
                }
            }
            last = Some(entry);
        }
        Ok(crowded)
    }

    /// Rows of accounts of this name (compared without case), at one instance or at any.
    pub(super) fn accounts_named(
        &self,
        name: &str,
        instance: Option<&Domain>,
    ) -> Result<Vec<(SourceId, u64)>, Error> {
        let rows = accounts_named(self.store(), name, instance)?;
        Ok(rows
            .into_iter()
            .map(|(source, row)| (SourceId(source), row))
            .collect())
    }

    /// Rows of tokens that an account ever had.
    pub(super) fn tokens_of_account(
        &self,
        source: SourceId,
        account: u64,
    ) -> Result<Vec<u64>, Error> {
        let mut rows = Vec::new();
        let entries =
            index::by_account(source).scan_from(self.store(), &ByAccount { account, row: 0 })?;
        for entry in entries {
            let entry = entry?;
            if entry.account != account {
                break;
            }
            rows.push(entry.row);
        }
        Ok(rows)
    }

    /// Calls `each` with every row that a run of `source` at `at` found new, changed or gone, by relation and key. Costs
    /// what changed.
    pub(super) fn changes(
        &self,
        run: u64,
        source: SourceId,
        at: Moment,
        each: &mut dyn FnMut(Change) -> Result<(), Error>,
    ) -> Result<(), Error> {
        // Rows before this one were told already: ranges may overlap.
        let mut next = (Relation::Apps, 0);
        for touched in index::touched(run).scan(self.store()) {
            let touched = touched?;
            let from = (touched.relation, touched.first).max(next);
            let range = Touched {
                first: from.1,
                ..touched
            };
            if from > (touched.relation, touched.last) {
                continue;
            }
            match touched.relation {
                Relation::Apps => self.changes_in::<AppBody>(range, source, at, each)?,
                Relation::Accounts => self.changes_in::<AccountBody>(range, source, at, each)?,
                Relation::Tokens => self.changes_in::<TokenBody>(range, source, at, each)?,
            }
            next = match touched.last.checked_add(1) {
                Some(row) => (touched.relation, row),
                None => continue,
            };
        }
        Ok(())
    }

    fn changes_in<B: Body>(
        &self,
        range: Touched,
        source: SourceId,
        at: Moment,
        each: &mut dyn FnMut(Change) -> Result<(), Error>,
    ) -> Result<(), Error> {
        for told in Stories::<B>::from(self.store(), source, range.first)? {
            let (row, told) = told?;
            if row > range.last {
                break;
            }
            let before = story::at(&told, Moment(at.0.saturating_sub(1)));
            if let Some(kind) = kind_of(before, story::at(&told, at)) {
                let relation = B::RELATION;
                each(Change {
                    relation,
                    row,
                    kind,
                })?;
            }
        }
        Ok(())
    }

    /// About how many token rows a source has: only their order of magnitude matters.
    pub(super) fn token_rows(&self, source: SourceId) -> Result<u64, Error> {
        let runs = run::runs(self.store())?;
        let seen = runs
            .iter()
            .filter(|run| run.source.id == source)
            .map(|run| run.counts.tokens.seen);
        Ok(seen.max().unwrap_or(0))
    }
}

/// Ids that resemble others, and tokens that stand in several rows of one source.
#[derive(Default)]
pub(super) struct Crowded {
    digits: HashMap<TokenId, usize>,
    in_several_rows: HashSet<u64>,
}

impl Crowded {
    /// How many characters the id needs.
    pub(super) fn digits(&self, id: TokenId) -> usize {
        self.digits
            .get(&id)
            .copied()
            .unwrap_or(TokenId::LEAST_DIGITS)
    }

    /// Whether the token may stand in several rows of one source.
    pub(super) fn is_in_several_rows(&self, id: TokenId) -> bool {
        self.in_several_rows.contains(&id.index_digest())
    }
}

/// A step of a story as a version.
fn versions_of<B>(key: u64, story: Story<B>) -> impl Iterator<Item = Version<B>> {
    let mut steps = story.into_iter().peekable();
    std::iter::from_fn(move || {
        loop {
            let Step { since, body } = steps.next()?;
            let until = steps.peek().map(|next| next.since);
            if let Some(body) = body {
                return Some(Version {
                    key,
                    since,
                    until,
                    body,
                });
            }
        }
    })
}

/// What a story says at a moment of each thing that its row was up to then.
fn as_known<B: Body>(key: u64, story: Story<B>, at: Moment) -> Vec<Ever<B>> {
    let mut known: Vec<Ever<B>> = Vec::new();
    for version in versions_of(key, story).take_while(|version| version.since <= at) {
        let same = |ever: &&mut Ever<B>| ever.version.body.is_same_thing(&version.body);
        match known.iter_mut().find(same) {
            Some(ever) => ever.version = version,
            None => known.push(Ever {
                first_seen: version.since,
                version,
            }),
        }
    }
    known
}

fn model<B: Body>(version: &Version<B>) -> Result<Version<B::Model>, Error> {
    Ok(Version {
        key: version.key,
        since: version.since,
        until: version.until,
        body: version
            .body
            .model()
            .ok_or(Error::Inconsistent { what: B::WHAT })?,
    })
}

fn modelled<B: Body>(
    rows: impl Iterator<Item = Result<Ever<B>, Error>>,
) -> impl Iterator<Item = Result<Ever<B::Model>, Error>> {
    rows.map(|ever| {
        let Ever {
            first_seen,
            version,
        } = ever?;
        Ok(Ever {
            first_seen,
            version: model(&version)?,
        })
    })
}

/// Every version of a row, in time order.
fn versions<B: Body>(
    store: Store<'_>,
    source: SourceId,
    row: u64,
) -> Result<Vec<Version<B::Model>>, Error> {
    let told = story::story::<B>(store, source, row)?;
    versions_of(row, told)
        .map(|version| model(&version))
        .collect()
}

fn last_known<B: Body>(
    store: Store<'_>,
    source: SourceId,
    row: u64,
    at: Moment,
) -> Result<Option<B::Model>, Error> {
    let told = story::story::<B>(store, source, row)?;
    let known = versions_of(row, told).take_while(|version| version.since <= at);
    let known = known.last().map(|version| model(&version)).transpose()?;
    Ok(known.map(|version| version.body))
}
