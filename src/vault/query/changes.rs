//! What came, changed and went: between two moments, and in one run.

use std::collections::BTreeSet;

use crate::model::{App, Moment, Record, RecordKey, Relation, Source, SourceId, TokenId, User};
use crate::vault::{Change, ChangeKind, Error, Reader, Vault, Version};

use super::{
    FieldChange, Questioner,
    fields::{AppFields, between},
};

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
    /// What changed.
    pub changes: Vec<FieldChange>,
}

/// An app that differs between two moments in one source: told once, however many tokens it has.
#[derive(Debug, Clone)]
pub struct AppDifference {
    /// [`DifferenceKind::Changed`]; or [`DifferenceKind::Went`] of an app that a server's own database held: its clients
    /// are refused as unknown, whether or not a token went with it.
    pub kind: DifferenceKind,
    /// The app as a key of its own: as it was last known.
    pub key: RecordKey,
    /// The source.
    pub source: Source,
    /// What changed.
    pub changes: Vec<FieldChange>,
}

/// Everything that differs between two moments.
#[derive(Debug, Clone, Default)]
pub struct Differences {
    /// Records, sorted by key. What changed about an app is not told of its tokens.
    pub records: Vec<Difference>,
    /// Apps, sorted by key.
    pub apps: Vec<AppDifference>,
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
    /// Everything that runs between two moments made differ. Costs these runs and what changed in them, not what there
    /// is; so what merely expired in between is not told.
    ///
    /// # Errors
    /// [`Error`] when the vault can't be read.
    pub fn differences(&self, from: Moment, to: Moment) -> Result<Differences, Error> {
        let reader = self.reader()?;
        let before = Questioner::new(&reader, from)?;
        let after = Questioner::new(&reader, to)?;
        let touched = self.touched(&reader, from, to)?;
        let mut differences = Differences::default();
        for id in touched.tokens {
            let (old, new) = (before.record(id)?, after.record(id)?);
            differences.records.extend(compare(old.as_ref(), new));
        }
        for (source, row) in touched.apps {
            let Some(source) = after.sources.by_id.get(&source) else {
                continue;
            };
            let versions = reader.app_versions(source.id, row)?;
            differences
                .apps
                .extend(compare_app(source, &versions, from, to));
        }
        differences.records.sort_by_cached_key(|difference| {
            (
                difference.record.key(),
                difference.kind,
                difference.record.first_seen(),
            )
        });
        let apps = &mut differences.apps;
        apps.sort_by(|a, b| (&a.key, &a.source.key).cmp(&(&b.key, &b.source.key)));
        Ok(differences)
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

    /// What runs in (from, to] changed: tokens, themselves or through their account, and apps.
    fn touched(&self, reader: &Reader<'_>, from: Moment, to: Moment) -> Result<TouchedRows, Error> {
        let mut touched = TouchedRows::default();
        for run in self.runs()? {
            let at = Moment::from(run.effective_at);
            if at <= from || at > to {
                continue;
            }
            let source = run.source.id;
            reader.changes(run.id, source, at, &mut |change| {
                match change.relation {
                    Relation::Tokens => {
                        touched.tokens.extend(reader.token_ids(source, change.row)?);
                    }
                    Relation::Accounts => {
                        for row in reader.tokens_of_account(source, change.row)? {
                            touched.tokens.extend(reader.token_ids(source, row)?);
                        }
                    }
                    Relation::Apps => {
                        touched.apps.insert((source, change.row));
                    }
                }
                Ok(())
            })?;
        }
        Ok(touched)
    }
}

#[derive(Default)]
struct TouchedRows {
    tokens: BTreeSet<TokenId>,
    apps: BTreeSet<(SourceId, u64)>,
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
    let mut changes = match (old, kind) {
        (Some(old), DifferenceKind::Changed) => between(old, &new),
        _ => Vec::new(),
    };
    changes.retain(|change| !change.is_of_app());
    if kind == DifferenceKind::Changed && changes.is_empty() {
        return None;
    }
    Some(Difference {
        kind,
        record: new,
        changes,
    })
}

/// How an app of one source differs: what came is told by its tokens, what went only of a server's own database.
fn compare_app(
    source: &Source,
    versions: &[Version<App>],
    from: Moment,
    to: Moment,
) -> Option<AppDifference> {
    let at = |moment: Moment| {
        let is_then = |version: &&Version<App>| {
            version.since <= moment && version.until.is_none_or(|until| moment < until)
        };
        versions.iter().find(is_then).map(|version| &version.body)
    };
    let before = at(from)?;
    let (kind, app, changes) = match at(to) {
        Some(now) => {
            let changes = AppFields::of_row(now).since(&AppFields::of_row(before));
            (DifferenceKind::Changed, now, changes)
        }
        None => (DifferenceKind::Went, before, Vec::new()),
    };
    let is_told = match kind {
        DifferenceKind::Changed => !changes.is_empty(),
        _ => source.instance.is_some(),
    };
    is_told.then(|| AppDifference {
        kind,
        key: app_key(app.clone()),
        source: source.clone(),
        changes,
    })
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
