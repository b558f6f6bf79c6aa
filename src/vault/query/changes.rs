//! What came, changed and went: between two moments, and in one run.

use std::collections::{BTreeSet, HashSet};

use crate::model::{App, Moment, Record, RecordKey, Relation, SourceId, TokenId, User};
use crate::vault::{Change, ChangeKind, Error, Reader, Vault, Version};

use super::Questioner;

/// How a record differs between two moments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DifferenceKind {
    /// In no source at the first moment, in one at the second.
    Came,
    /// There at both, with other contents.
    Changed,
    /// Was there, and is no more.
    Went,
}

impl DifferenceKind {
    /// The word used in JSON and tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Came => "came",
            Self::Changed => "changed",
            Self::Went => "went",
        }
    }
}

/// One record that differs between two moments.
#[derive(Debug, Clone)]
pub struct Difference {
    /// How.
    pub kind: DifferenceKind,
    /// The record at the second moment (for one that went: as it was last known).
    pub record: Record,
    /// What changed: one sentence each, without secrets.
    pub details: Vec<String>,
}

/// One row that a run found new, changed or gone.
#[derive(Debug, Clone)]
pub struct RunChange {
    /// Which relation it is of.
    pub relation: Relation,
    /// What the run found.
    pub kind: ChangeKind,
    /// Id of the token, where it is one, with its characters needed.
    pub id: Option<(TokenId, usize)>,
    /// The key of the token, or the app or account as a key of its own.
    pub key: RecordKey,
}

impl Vault {
    /// Every record that differs between two moments, sorted by key. Costs what changed, not what there is, as long
    /// as no app changed; which tokens an app has is found by reading its source.
    ///
    /// # Errors
    /// [`Error`] when the vault can't be read.
    pub fn differences(&self, from: Moment, to: Moment) -> Result<Vec<Difference>, Error> {
        let reader = self.reader()?;
        let before = Questioner::new(&reader, from)?;
        let after = Questioner::new(&reader, to)?;
        let mut differences = Vec::new();
        for id in self.touched(&reader, from, to)? {
            let (old, new) = (before.record(id)?, after.record(id)?);
            differences.extend(compare(old.as_ref(), new));
        }
        // Time alone changes things too: what expired in between was not touched by any run.
        differences.sort_by_cached_key(|difference| {
            (
                difference.record.key(),
                difference.kind,
                difference.record.first_seen(),
            )
        });
        Ok(differences)
    }

    /// Apps that a server's own database held at the first moment and no more at the second, sorted by key: their clients
    /// are refused as unknown, whether or not a token went with them. Costs what changed.
    ///
    /// # Errors
    /// [`Error`] when the vault can't be read.
    pub fn server_apps_gone(&self, from: Moment, to: Moment) -> Result<Vec<RecordKey>, Error> {
        let reader = self.reader()?;
        let mut touched: BTreeSet<(SourceId, u64)> = BTreeSet::new();
        for run in self.runs()? {
            let at = Moment::from(run.effective_at);
            if at <= from || at > to || run.source.instance.is_none() {
                continue;
            }
            let source = run.source.id;
            reader.changes(run.id, source, at, &mut |change| {
                if change.relation == Relation::Apps {
                    touched.insert((source, change.row));
                }
                Ok(())
            })?;
        }
        let mut gone = Vec::new();
        for (source, row) in touched {
            let versions = reader.app_versions(source, row)?;
            let at = |moment: Moment| {
                let is_then = |version: &&Version<App>| {
                    version.since <= moment && version.until.is_none_or(|until| moment < until)
                };
                versions.iter().find(is_then)
            };
            if let (Some(version), None) = (at(from), at(to)) {
                gone.push(app_key(version.body.clone()));
            }
        }
        gone.sort();
        Ok(gone)
    }

    /// What a run found new, changed and gone, tokens first. Costs what changed.
    ///
    /// # Errors
    /// [`Error`] when the vault can't be read.
    pub fn run_changes(&self, number: u64) -> Result<Vec<RunChange>, Error> {
        let Some(run) = self.run(number)? else {
            return Ok(Vec::new());
        };
        let reader = self.reader()?;
        let at = Moment::from(run.effective_at);
        let questioner = Questioner::new(&reader, at)?;
        let mut changes = Vec::new();
        let source = run.source.id;
        reader.changes(number, source, at, &mut |change| {
            changes.extend(describe(&questioner, source, &change)?);
            Ok(())
        })?;
        changes.sort_by_cached_key(|change| {
            (
                std::cmp::Reverse(change.relation),
                change.key.clone(),
                change.id,
            )
        });
        Ok(changes)
    }

    /// Ids of the tokens that runs in (from, to] changed, themselves or through their app or account.
    fn touched(
        &self,
        reader: &Reader<'_>,
        from: Moment,
        to: Moment,
    ) -> Result<BTreeSet<TokenId>, Error> {
        let mut ids = BTreeSet::new();
        let mut apps: HashSet<(SourceId, u64)> = HashSet::new();
        for run in self.runs()? {
            let at = Moment::from(run.effective_at);
            if at <= from || at > to {
                continue;
            }
            let source = run.source.id;
            reader.changes(run.id, source, at, &mut |change| {
                match change.relation {
                    Relation::Tokens => ids.extend(reader.token_ids(source, change.row)?),
                    Relation::Accounts => {
                        for row in reader.tokens_of_account(source, change.row)? {
                            ids.extend(reader.token_ids(source, row)?);
                        }
                    }
                    Relation::Apps if change.kind == ChangeKind::Changed => {
                        apps.insert((source, change.row));
                    }
                    // Its tokens came or went with it and are listed themselves.
                    Relation::Apps => {}
                }
                Ok(())
            })?;
        }
        let sources: BTreeSet<SourceId> = apps.iter().map(|(source, _)| *source).collect();
        for source in sources {
            for ever in reader.tokens_ever(source, to) {
                let token = ever?.version.body;
                if token.app.is_some_and(|app| apps.contains(&(source, app))) {
                    ids.insert(reader.id_of(&token));
                }
            }
        }
        Ok(ids)
    }
}

fn is_there(record: &Record) -> bool {
    record
        .sightings
        .iter()
        .any(|sighting| sighting.gone_at.is_none())
}

fn compare(old: Option<&Record>, new: Option<Record>) -> Option<Difference> {
    let new = new?;
    let there_before = old.is_some_and(is_there);
    let kind = match (there_before, is_there(&new)) {
        (false, true) => DifferenceKind::Came,
        (true, false) => DifferenceKind::Went,
        (true, true) => DifferenceKind::Changed,
        (false, false) => return None,
    };
    let details = match (old, kind) {
        (Some(old), DifferenceKind::Changed) => details(old, &new),
        _ => Vec::new(),
    };
    if kind == DifferenceKind::Changed && details.is_empty() {
        return None;
    }
    Some(Difference {
        kind,
        record: new,
        details,
    })
}

fn details(old: &Record, new: &Record) -> Vec<String> {
    let mut lines = Vec::new();
    if old.status != new.status {
        lines.push(format!("{} → {}", old.status.as_str(), new.status.as_str()));
    }
    let scopes = |record: &Record| {
        record
            .scopes
            .as_ref()
            .map_or("unknown".to_owned(), |s| format!("\"{s}\""))
    };
    if old.scopes != new.scopes {
        lines.push(format!("scopes {} → {}", scopes(old), scopes(new)));
    }
    if old.user != new.user || old.app.name != new.app.name {
        lines.push(format!("{} → {}", old.key(), new.key()));
    }
    if old.expires_at != new.expires_at {
        lines.push("time of expiry changed".to_owned());
    }
    if old.revoked_at != new.revoked_at && old.status == new.status {
        lines.push("time of revocation changed".to_owned());
    }
    if old.created_at != new.created_at {
        lines.push("time of issue changed".to_owned());
    }
    if old.refresh_token != new.refresh_token {
        lines.push("refresh token changed".to_owned());
    }
    for (name, differs) in [
        ("client_id", old.app.client_id != new.app.client_id),
        (
            "client_secret",
            old.app.client_secret != new.app.client_secret,
        ),
        (
            "redirect URIs",
            old.app.redirect_uris != new.app.redirect_uris,
        ),
        ("scopes", old.app.scopes != new.app.scopes),
        ("web site", old.app.website != new.app.website),
        ("address", old.app.base_url != new.app.base_url),
    ] {
        if differs {
            lines.push(format!("{name} of the app changed"));
        }
    }
    for sighting in &new.sightings {
        let before = old
            .sightings
            .iter()
            .find(|known| known.source.id == sighting.source.id);
        let place = format!(
            "{} ({})",
            sighting.source.key.connector, sighting.source.key.location
        );
        match (
            before.is_some_and(|known| known.gone_at.is_none()),
            sighting.gone_at.is_none(),
        ) {
            (false, true) => lines.push(format!("also in {place}")),
            (true, false) => lines.push(format!("no longer in {place}")),
            _ => {}
        }
    }
    lines
}

/// An app as a key of its own.
fn app_key(app: App) -> RecordKey {
    RecordKey {
        instance: app.instance,
        user: User::Application,
        app: app.name.or(app.client_id),
    }
}

fn describe(
    q: &Questioner<'_, '_>,
    source: SourceId,
    change: &Change,
) -> Result<Option<RunChange>, Error> {
    let (id, key) = match change.relation {
        Relation::Tokens => {
            let versions = q.reader.token_versions(source, change.row)?;
            let Some(version) = versions.iter().rfind(|version| version.since <= q.at) else {
                return Ok(None);
            };
            let id = q.reader.id_of(&version.body);
            let Some(record) = q.record(id)? else {
                return Ok(None);
            };
            (Some((id, record.id_digits)), record.key())
        }
        Relation::Apps => {
            let Some(version) = q.reader.app_versions(source, change.row)?.pop() else {
                return Ok(None);
            };
            (None, app_key(version.body))
        }
        Relation::Accounts => {
            let Some(version) = q.reader.account_versions(source, change.row)?.pop() else {
                return Ok(None);
            };
            let user = version.body.username.map_or(User::Unknown, User::Named);
            (
                None,
                RecordKey {
                    instance: version.body.instance,
                    user,
                    app: None,
                },
            )
        }
    };
    Ok(Some(RunChange {
        relation: change.relation,
        kind: change.kind,
        id,
        key,
    }))
}
