//! How well sources and tokens are backed up: what an audit is made from.

use std::collections::{BTreeMap, HashMap};

use jiff::{SignedDuration, Timestamp};

use crate::model::{
    Moment, Record, Run, RunOutcome, Scope, Selector, Source, SourceId, Status, is_overdue, rhythm,
};
use crate::vault::{AuditEvent, Error, Vault, audit};

use super::Query;

/// What is audited.
#[derive(Debug, Clone)]
pub struct AuditQuery<'a> {
    /// Which tokens; `~N` is ignored here.
    pub selector: &'a Selector,
    /// The moment at which tokens are looked at.
    pub at: Moment,
    /// Runs count that were recorded up to then.
    pub known_by: Timestamp,
    /// The time at which a source is overdue or not.
    pub now: Timestamp,
}

/// How well everything is backed up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coverage {
    /// The tokens in figures.
    pub tokens: TokenCoverage,
    /// Every source that was known, by number.
    pub sources: Vec<SourceCoverage>,
}

/// How many tokens there are, and of how many there is something to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TokenCoverage {
    /// All that any source ever held.
    pub total: u64,
    /// Active ones.
    pub active: u64,
    /// Revoked ones.
    pub revoked: u64,
    /// Expired ones.
    pub expired: u64,
    /// Those in no source any more.
    pub gone: u64,
    /// Active ones that one source alone holds.
    pub one_source: u64,
    /// Active ones whose app's secret is not known.
    pub no_app_secret: u64,
}

/// Something that a person should know of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Finding {
    /// It is active, and one source alone holds it.
    OneSource,
    /// It is active, and the secret of its app is not known: it can be put back, but not revoked, for which RFC 7009
    /// asks for the app's credentials.
    NoAppSecret,
    /// It was revoked.
    Revoked,
    /// Its time is over.
    Expired,
    /// It is in no source any more, and not known to be revoked.
    Gone,
}

impl Finding {
    /// The word used in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OneSource => "one_source",
            Self::NoAppSecret => "no_app_secret",
            Self::Revoked => "revoked",
            Self::Expired => "expired",
            Self::Gone => "gone",
        }
    }
}

/// How well a source is backed up. A *backup* is a run that was about the whole source as it was just then, however much
/// of it could be read: neither an old copy nor a run of one user is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceCoverage {
    /// The source.
    pub source: Source,
    /// Its runs.
    pub runs: u64,
    /// Those of them that are backups.
    pub backups: u64,
    /// The backup that was recorded first.
    pub first: Option<Run>,
    /// The backup that was recorded last.
    pub last: Option<Run>,
    /// The last one that was complete.
    pub last_complete: Option<Run>,
    /// The usual time between two backups into this vault; `None` before there were two.
    pub rhythm: Option<SignedDuration>,
    /// Whether the next backup into this vault is overdue. Material of no machine, and what only another vault has backed
    /// up, never is.
    pub is_overdue: bool,
    /// Active tokens that it holds.
    pub tokens: u64,
}

impl Vault {
    /// How well everything is backed up. Calls `each` with every token of which there is something to say, in no
    /// particular order and one at a time.
    ///
    /// # Errors
    /// [`Error`] when the vault can't be read, or the one that `each` returns.
    pub fn coverage<E: From<Error>>(
        &self,
        query: &AuditQuery<'_>,
        mut each: impl FnMut(&Record, &[Finding]) -> Result<(), E>,
    ) -> Result<Coverage, E> {
        let mut tokens = TokenCoverage::default();
        let mut held: HashMap<SourceId, u64> = HashMap::new();
        let records = Query {
            selector: query.selector,
            at: query.at,
            all: true,
        };
        self.records::<E>(&records, |record| {
            if record.status == Status::Active {
                for source in holders(&record) {
                    *held.entry(source).or_default() += 1;
                }
            }
            let findings = tokens.count(&record);
            if findings.is_empty() {
                return Ok(());
            }
            each(&record, &findings)
        })?;
        let sources = self.sources_covered(query, &held)?;
        Ok(Coverage { tokens, sources })
    }

    fn sources_covered(
        &self,
        query: &AuditQuery<'_>,
        held: &HashMap<SourceId, u64>,
    ) -> Result<Vec<SourceCoverage>, Error> {
        let mut runs: BTreeMap<SourceId, Vec<Run>> = BTreeMap::new();
        for run in self.runs()? {
            if run.recorded_at <= query.known_by {
                runs.entry(run.source.id).or_default().push(run);
            }
        }
        let entered = self.entered()?;
        let sources = self.sources()?.into_iter().filter_map(|source| {
            let tokens = held.get(&source.id).copied().unwrap_or(0);
            let runs = runs.remove(&source.id).unwrap_or_default();
            let is_known = tokens > 0 || !runs.is_empty();
            is_known.then(|| SourceCoverage::new(source, runs, &entered, query.now, tokens))
        });
        Ok(sources.collect())
    }

    /// When each run came into this vault: later than it was recorded where it was taken over from another one.
    fn entered(&self) -> Result<HashMap<u64, Timestamp>, Error> {
        let reader = self.reader()?;
        let mut entered = HashMap::new();
        for link in audit::links(reader.store(), &self.keys.audit) {
            if let Some(entry) = link?.entry
                && let AuditEvent::Imported { run } = entry.event
            {
                entered.insert(run, entry.at);
            }
        }
        Ok(entered)
    }
}

impl TokenCoverage {
    /// Counts a token, and answers what there is to say of it.
    fn count(&mut self, record: &Record) -> Vec<Finding> {
        self.total += 1;
        let (count, finding) = match record.status {
            Status::Active => return self.count_active(record),
            Status::Revoked => (&mut self.revoked, Finding::Revoked),
            Status::Expired => (&mut self.expired, Finding::Expired),
            Status::Gone => (&mut self.gone, Finding::Gone),
        };
        *count += 1;
        vec![finding]
    }

    fn count_active(&mut self, record: &Record) -> Vec<Finding> {
        self.active += 1;
        let mut findings = Vec::new();
        if holders(record).count() == 1 {
            self.one_source += 1;
            findings.push(Finding::OneSource);
        }
        if record.app.client_secret.is_none() {
            self.no_app_secret += 1;
            findings.push(Finding::NoAppSecret);
        }
        findings
    }
}

impl SourceCoverage {
    /// `runs` are those of the source that were known, by number.
    fn new(
        source: Source,
        runs: Vec<Run>,
        entered: &HashMap<u64, Timestamp>,
        now: Timestamp,
        tokens: u64,
    ) -> Self {
        let count = runs.len() as u64;
        let mut backups: Vec<Run> = runs.into_iter().filter(is_backup).collect();
        backups.sort_by_key(|run| (run.recorded_at, run.id));
        let has_rhythm = |run: &&Run| {
            let is_of_here = |at: &Timestamp| *at <= run.recorded_at;
            !source.key.host.is_empty() && entered.get(&run.id).is_none_or(is_of_here)
        };
        let times = backups.iter().filter(has_rhythm);
        let times: Vec<Timestamp> = times.map(|run| run.recorded_at).collect();
        let complete = |run: &&Run| run.outcome == RunOutcome::Complete;
        Self {
            source,
            runs: count,
            backups: backups.len() as u64,
            first: backups.first().cloned(),
            last: backups.last().cloned(),
            last_complete: backups.iter().rfind(complete).cloned(),
            rhythm: rhythm(&times),
            is_overdue: !times.is_empty() && is_overdue(&times, now),
            tokens,
        }
    }
}

/// Whether a run was about the whole source as it was when it was recorded.
fn is_backup(run: &Run) -> bool {
    run.effective_at >= run.recorded_at && run.scope == Scope::All
}

/// The sources that hold a token.
fn holders(record: &Record) -> impl Iterator<Item = SourceId> {
    let held = record.sightings.iter();
    held.filter(|sighting| sighting.gone_at.is_none())
        .map(|sighting| sighting.source.id)
}
