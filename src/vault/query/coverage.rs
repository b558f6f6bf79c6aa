//! How well sources and tokens are backed up: what an audit is made from.

use std::collections::{BTreeMap, HashMap};

use jiff::{SignedDuration, Timestamp};

use crate::model::{
    Moment, Record, Run, RunOutcome, Scope, Selector, Source, SourceId, Status, is_ahead,
    is_overdue, rhythm,
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
    /// Active ones about which their instance was asked.
    pub verified: u64,
    /// Active ones that did not work when it was last asked.
    pub not_working: u64,
}

/// Something that a person should know of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Finding {
    /// It is active, and one source alone holds it.
    OneSource,
    /// It is active, and the secret of its app is not known: it can be put back, but not revoked, for which RFC 7009
    /// asks for the app's credentials.
    NoAppSecret,
    /// It is active as far as sources know, and did not work when its instance was last asked.
    NotWorking,
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
            Self::NotWorking => "not_working",
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
    /// Backups that a clock recorded which was ahead of its time: none of them is the last one, nor makes a rhythm.
    pub ahead: u64,
    /// The usual time between two backups into this vault; `None` before there were two.
    pub rhythm: Option<SignedDuration>,
    /// Whether the next backup into this vault is overdue. Material of no machine, and what only another vault has backed
    /// up, never is.
    pub is_overdue: bool,
    /// Active tokens that it holds.
    pub tokens: u64,
}

impl Vault {
    /// How well everything is backed up. Calls `each` with every token and what there is to say of it, in no particular
    /// order and one at a time.
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
            let Some(entry) = link?.entry else { continue };
            match entry.event {
                AuditEvent::Imported { run } => {
                    entered.insert(run, entry.at);
                }
                // Brought in by a merge: another vault's backup.
                AuditEvent::FromMerged { event, .. } => {
                    if let AuditEvent::Imported { run } = *event {
                        entered.entry(run).or_insert(Timestamp::MAX);
                    }
                }
                _ => {}
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
        if let Some(answer) = &record.verified {
            self.verified += 1;
            if !answer.verdict.is_good() {
                self.not_working += 1;
                findings.push(Finding::NotWorking);
            }
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
        // What a clock that was ahead has recorded is never the latest.
        let first = backups.first().cloned();
        let (ahead, known): (Vec<Run>, Vec<Run>) = backups
            .into_iter()
            .partition(|run| is_ahead(run.recorded_at, now));
        let last = known.last().or(ahead.last()).cloned();
        Self {
            source,
            runs: count,
            backups: (ahead.len() + known.len()) as u64,
            first,
            last,
            last_complete: known.iter().rfind(complete).cloned(),
            ahead: ahead.len() as u64,
            rhythm: rhythm(&times, now),
            is_overdue: !times.is_empty() && is_overdue(&times, now),
            tokens,
        }
    }
}

/// Whether a run was about the whole source as it was when it was recorded.
fn is_backup(run: &Run) -> bool {
    run.is_live() && run.scope == Scope::All
}

/// The sources that hold a token.
fn holders(record: &Record) -> impl Iterator<Item = SourceId> {
    let held = record.sightings.iter();
    held.filter(|sighting| sighting.gone_at.is_none())
        .map(|sighting| sighting.source.id)
}

#[cfg(test)]
mod tests {
    use redb::{Database, backends::InMemoryBackend};

    use crate::{
        model::{Actor, Completeness, Snapshot, SourceKey},
        vault::{ImportContext, Origin},
    };

    use super::*;

    /// Noon of that day of January 2026.
    fn day(day: i64) -> Timestamp {
        let first: Timestamp = "2026-01-01T12:00:00Z".parse().unwrap();
        first + SignedDuration::from_hours(24 * (day - 1))
    }

    fn actor() -> Actor {
        Actor {
            user: "me".to_owned(),
            host: "here".to_owned(),
        }
    }

    fn vault() -> Vault {
        let database = Database::builder().create_with_backend(InMemoryBackend::new());
        Vault::in_database(database.unwrap()).unwrap()
    }

    /// Backs up an empty client store on that day, as `change` has it.
    fn back_up(vault: &mut Vault, on: i64, change: impl Fn(&mut Snapshot, &mut ImportContext)) {
        let mut snapshot = Snapshot::of_client(SourceKey {
            connector: "toot".to_owned(),
            location: "/toot".to_owned(),
            host: "here".to_owned(),
        });
        let mut context = ImportContext {
            now: day(on),
            actor: actor(),
            note: None,
            accept_shrink: false,
            origin: None,
        };
        change(&mut snapshot, &mut context);
        vault.import(&snapshot, &context).unwrap();
    }

    fn audited(vault: &Vault, now: Timestamp) -> SourceCoverage {
        let query = AuditQuery {
            selector: &Selector::all(),
            at: Moment::MAX,
            known_by: now,
            now,
        };
        let each = |_: &Record, _: &[Finding]| Ok::<(), Error>(());
        vault.coverage(&query, each).unwrap().sources.remove(0)
    }

    #[test]
    fn a_daily_source_is_overdue_after_two_days_and_an_hour() {
        let mut vault = vault();
        for on in 1..=4 {
            back_up(&mut vault, on, |_, _| {});
        }
        let daily = Some(SignedDuration::from_hours(24));
        let hour = SignedDuration::from_hours(1);
        let source = audited(&vault, day(6) + hour);
        assert_eq!((source.rhythm, source.is_overdue), (daily, false));
        assert!(audited(&vault, day(6) + hour + hour).is_overdue);
        // On the second day, two backups were known.
        let source = audited(&vault, day(2));
        assert_eq!((source.backups, source.rhythm), (2, daily));
        assert_eq!(source.last.unwrap().id, 2);
    }

    #[test]
    fn a_backup_in_part_keeps_the_rhythm() {
        let mut vault = vault();
        for on in 1..=3 {
            back_up(&mut vault, on, |_, _| {});
        }
        back_up(&mut vault, 4, |snapshot, _| {
            snapshot.completeness = Completeness::Partial;
        });
        let source = audited(&vault, day(6));
        assert!(!source.is_overdue);
        assert_eq!(source.last.unwrap().id, 4);
        assert_eq!(source.last_complete.unwrap().id, 3);
    }

    #[test]
    fn what_is_no_backup_of_the_present_hides_no_overdue_one() {
        let mut vault = vault();
        for on in 1..=3 {
            back_up(&mut vault, on, |_, _| {});
        }
        // An old copy, a run of one user, and what another vault has recorded.
        back_up(&mut vault, 10, |snapshot, _| {
            snapshot.effective_at = Some(day(2) + SignedDuration::from_secs(1));
        });
        back_up(&mut vault, 11, |snapshot, _| {
            snapshot.scope = Scope::User("ada".to_owned());
        });
        back_up(&mut vault, 13, |snapshot, context| {
            snapshot.effective_at = Some(day(12));
            context.origin = Some(Origin {
                recorded_at: day(12),
                actor: actor(),
                tool_version: "0".to_owned(),
            });
        });
        let source = audited(&vault, day(13));
        assert_eq!((source.runs, source.backups), (6, 4));
        assert_eq!(source.rhythm, Some(SignedDuration::from_hours(24)));
        assert!(source.is_overdue);
        // That it was backed up elsewhere is told.
        assert_eq!(source.last.unwrap().id, 6);
    }

    #[test]
    fn a_clock_that_was_ahead_hides_no_overdue_backup() {
        let mut vault = vault();
        for on in [1, 2, 4000, 3, 4] {
            back_up(&mut vault, on, |_, _| {});
        }
        let all = Selector::all();
        let query = |now| AuditQuery {
            selector: &all,
            at: Moment::from(now),
            known_by: Timestamp::MAX,
            now,
        };
        let source = |now| {
            let each = |_: &Record, _: &[Finding]| Ok::<(), Error>(());
            let sources = vault.coverage(&query(now), each).unwrap().sources;
            sources.into_iter().next().unwrap()
        };
        let soon = source(day(5));
        assert_eq!((soon.ahead, soon.is_overdue), (1, false));
        assert_eq!(soon.last.unwrap().recorded_at, day(4));
        assert_eq!(soon.rhythm, Some(SignedDuration::from_hours(24)));
        assert!(source(day(9)).is_overdue);
    }

    #[test]
    fn material_of_no_machine_is_never_overdue() {
        let mut vault = vault();
        for on in 1..=4 {
            back_up(&mut vault, on, |snapshot, _| snapshot.source.host.clear());
        }
        let source = audited(&vault, day(300));
        assert_eq!((source.backups, source.rhythm), (4, None));
        assert!(!source.is_overdue);
    }
}
