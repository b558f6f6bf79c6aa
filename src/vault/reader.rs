//! One read snapshot of a vault: rows as of a moment, and what the indexes lead to.

use std::collections::{BTreeSet, HashMap, HashSet};

use redb::ReadOnlyTable;

use crate::{
    crypto::SubKey,
    model::{Account, App, Domain, Moment, Source, SourceId, Token, TokenId},
};

use super::{
    Error,
    index::{self, ByAccount, ByDigest, Change},
    packed::Scan,
    rows::{Body, Current, Past, TokenBody, current, past},
    run::{self, RunFacts},
    store::Store,
    token_id,
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

/// One read snapshot.
pub(super) struct Reader<'v> {
    pub(super) table: ReadOnlyTable<&'static [u8], &'static [u8]>,
    pub(super) digest_key: &'v SubKey,
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
        token_id(
            self.digest_key,
            &token.instance,
            token.access_token.expose(),
        )
    }

    /// The ids of all tokens that a row ever held: a server whose database was rebuilt gives its row ids anew.
    pub(super) fn token_ids(&self, source: SourceId, row: u64) -> Result<BTreeSet<TokenId>, Error> {
        let versions = self.token_versions(source, row)?;
        Ok(versions
            .iter()
            .map(|version| self.id_of(&version.body))
            .collect())
    }

    /// The versions of a row in which it held this token, in time order.
    pub(super) fn versions_of_token(
        &self,
        id: TokenId,
        source: SourceId,
        row: u64,
    ) -> Result<Vec<Version<Token>>, Error> {
        let mut versions = self.token_versions(source, row)?;
        versions.retain(|version| self.id_of(&version.body) == id);
        Ok(versions)
    }

    /// Every version of a token row, in time order.
    pub(super) fn token_versions(
        &self,
        source: SourceId,
        row: u64,
    ) -> Result<Vec<Version<Token>>, Error> {
        let versions = versions::<TokenBody>(self.store(), source, row)?;
        versions.into_iter().map(unpacked).collect()
    }

    /// Every version of an app row, in time order.
    pub(super) fn app_versions(
        &self,
        source: SourceId,
        row: u64,
    ) -> Result<Vec<Version<App>>, Error> {
        versions(self.store(), source, row)
    }

    /// Every version of an account row, in time order.
    pub(super) fn account_versions(
        &self,
        source: SourceId,
        row: u64,
    ) -> Result<Vec<Version<Account>>, Error> {
        versions(self.store(), source, row)
    }

    /// What was last known of an app at a moment, even if it is gone since.
    pub(super) fn app(&self, source: SourceId, row: u64, at: Moment) -> Result<Option<App>, Error> {
        last_known(self.store(), source, row, at)
    }

    /// What was last known of an account at a moment, even if it is gone since.
    pub(super) fn account(
        &self,
        source: SourceId,
        row: u64,
        at: Moment,
    ) -> Result<Option<Account>, Error> {
        last_known(self.store(), source, row, at)
    }

    /// Every token that a row of a source ever held up to a moment, each in its last version then, by key of the row.
    pub(super) fn tokens_ever(
        &self,
        source: SourceId,
        at: Moment,
    ) -> impl Iterator<Item = Result<Ever<Token>, Error>> {
        let same = |a: &TokenBody, b: &TokenBody| a.token == b.token && a.instance == b.instance;
        ever::<TokenBody>(self.store(), source, at, same).map(|ever| {
            let Ever {
                first_seen,
                version,
            } = ever?;
            Ok(Ever {
                first_seen,
                version: unpacked(version)?,
            })
        })
    }

    /// The same of apps.
    pub(super) fn apps_ever(
        &self,
        source: SourceId,
        at: Moment,
    ) -> impl Iterator<Item = Result<Ever<App>, Error>> {
        ever(self.store(), source, at, |_, _| true)
    }

    /// The same of accounts.
    pub(super) fn accounts_ever(
        &self,
        source: SourceId,
        at: Moment,
    ) -> impl Iterator<Item = Result<Ever<Account>, Error>> {
        ever(self.store(), source, at, |_, _| true)
    }

    /// Rows in which a token stands.
    pub(super) fn token_places(&self, id: TokenId) -> Result<Vec<(SourceId, u64)>, Error> {
        let mut places = Vec::new();
        for entry in self.digests_from(id.index_digest())? {
            let entry = entry?;
            if entry.digest != id.index_digest() {
                break;
            }
            let source = SourceId(entry.source);
            // 48 bits rarely meet by accident; the row knows.
            if !self.versions_of_token(id, source, entry.row)?.is_empty() {
                places.push((source, entry.row));
            }
        }
        Ok(places)
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

    /// How many characters of the id name no other token, at least 8.
    pub(super) fn shortest_unique_digits(&self, id: TokenId) -> Result<usize, Error> {
        let own = id.index_digest();
        let mut digits = TokenId::LEAST_DIGITS;
        let low = own & !((1 << (48 - 5 * 8)) - 1);
        for entry in self.digests_from(low)? {
            let entry = entry?;
            if entry.digest >> 8 != own >> 8 {
                break;
            }
            for version in self.token_versions(SourceId(entry.source), entry.row)? {
                let other = self.id_of(&version.body);
                if other != id {
                    digits = digits.max(id.common_digits(other) + 1);
                }
            }
        }
        Ok(digits)
    }

    /// Which ids need more than the least number of characters: found in one pass over the index.
    pub(super) fn crowded_ids(&self) -> Result<Crowded, Error> {
        let mut crowded = Crowded::default();
        let mut last: Option<ByDigest> = None;
        for entry in self.digests_from(0)? {
            let entry = entry?;
            if let Some(last) = last
                && last.digest >> 8 == entry.digest >> 8
            {
                for (source, row) in [(last.source, last.row), (entry.source, entry.row)] {
                    for id in self.token_ids(SourceId(source), row)? {
                        crowded.digits.insert(id, self.shortest_unique_digits(id)?);
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

    /// What a run found new, changed and gone.
    pub(super) fn changes(&self, run: u64) -> Scan<'_, Change> {
        index::changes(run).scan(self.store())
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

fn unpacked(version: Version<TokenBody>) -> Result<Version<Token>, Error> {
    let body = version.body.token().ok_or(Error::Inconsistent {
        what: TokenBody::WHAT,
    })?;
    Ok(Version {
        key: version.key,
        since: version.since,
        until: version.until,
        body,
    })
}

/// Every version of a row, in time order.
pub(super) fn versions<B: Body>(
    store: Store<'_>,
    source: SourceId,
    row: u64,
) -> Result<Vec<Version<B>>, Error> {
    let mut versions = Vec::new();
    for past in past::<B>(source).scan_from(store, &(row, Moment::MIN))? {
        let past = past?;
        if past.key != row {
            break;
        }
        versions.push(Version {
            key: row,
            since: past.since,
            until: Some(past.until),
            body: past.body,
        });
    }
    if let Some(now) = current::<B>(source).get(store, &row)? {
        versions.push(Version {
            key: row,
            since: now.since,
            until: None,
            body: now.body,
        });
    }
    Ok(versions)
}

fn last_known<B: Body>(
    store: Store<'_>,
    source: SourceId,
    row: u64,
    at: Moment,
) -> Result<Option<B>, Error> {
    let versions = versions::<B>(store, source, row)?;
    Ok(versions
        .into_iter()
        .rfind(|version| version.since <= at)
        .map(|version| version.body))
}

/// Walks the current and the former rows of a source side by side. Versions of a row that are not the `same` thing are
/// told apart.
fn ever<B: Body>(
    store: Store<'_>,
    source: SourceId,
    at: Moment,
    same: fn(&B, &B) -> bool,
) -> impl Iterator<Item = Result<Ever<B>, Error>> {
    let mut live = current::<B>(source).scan(store).peekable();
    let mut former = past::<B>(source).scan(store).peekable();
    let mut ready: Vec<Ever<B>> = Vec::new();
    std::iter::from_fn(move || {
        loop {
            if let Some(ever) = ready.pop() {
                return Some(Ok(ever));
            }
            let versions = match step(&mut live, &mut former) {
                Ok(None) => return None,
                Err(error) => return Some(Err(error)),
                Ok(Some(versions)) => versions,
            };
            for version in versions.into_iter().filter(|version| version.since <= at) {
                let known = |ever: &&mut Ever<B>| same(&ever.version.body, &version.body);
                if let Some(known) = ready.iter_mut().find(known) {
                    known.version = version;
                } else {
                    ready.push(Ever {
                        first_seen: version.since,
                        version,
                    });
                }
            }
        }
    })
}

/// Every version of the next row.
fn step<B: Body>(
    live: &mut std::iter::Peekable<Scan<'_, Current<B>>>,
    former: &mut std::iter::Peekable<Scan<'_, Past<B>>>,
) -> Result<Option<Vec<Version<B>>>, Error> {
    let live_key = match live.peek() {
        Some(Ok(row)) => Some(row.key),
        Some(Err(_)) => return live.next().transpose().map(|_| None),
        None => None,
    };
    let former_key = match former.peek() {
        Some(Ok(row)) => Some(row.key),
        Some(Err(_)) => return former.next().transpose().map(|_| None),
        None => None,
    };
    let Some(key) = live_key.into_iter().chain(former_key).min() else {
        return Ok(None);
    };
    let mut versions = Vec::new();
    while let Some(row) = former.next_if(|row| row.as_ref().is_ok_and(|row| row.key == key)) {
        let row = row?;
        versions.push(Version {
            key,
            since: row.since,
            until: Some(row.until),
            body: row.body,
        });
    }
    if let Some(row) = live.next_if(|row| row.as_ref().is_ok_and(|row| row.key == key)) {
        let row = row?;
        versions.push(Version {
            key,
            since: row.since,
            until: None,
            body: row.body,
        });
    }
    Ok(Some(versions))
}
