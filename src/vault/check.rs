//! `check`: whether the relations, their indexes and the audit log say what they must.

use std::collections::HashSet;

use crate::{
    model::{Moment, Relation, Run, SourceId, TokenId},
    progress::Progress,
};

use super::{
    AuditEvent, AuditLink, Error, Vault, audit,
    bodies::{AccountBody, AppBody, TokenBody},
    facts::tells_everything,
    index::{self, ByAccount, ByDigest, ByName, Touched},
    reader::Reader,
    rows::Body,
    story::{self, Step, Stories},
    verified,
};

/// What a check found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CheckReport {
    /// Sources.
    pub sources: u64,
    /// Runs.
    pub runs: u64,
    /// Token rows, with all their versions.
    pub tokens: u64,
    /// App rows, with all their versions.
    pub apps: u64,
    /// Account rows, with all their versions.
    pub accounts: u64,
    /// Entries of the audit log.
    pub audit_entries: u64,
    /// What is wrong, one sentence each. Empty = all is well.
    pub problems: Vec<String>,
}

impl CheckReport {
    fn problem(&mut self, text: String) {
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(text);
        }
    }
}

impl Vault {
    /// Reads everything and checks it: every block in use is authenticated on the way, redb's own structure, versions
    /// that don't overlap, indexes that lead to every row, the links of the audit log. Writes nothing.
    ///
    /// # Errors
    /// [`Error`] when something can't be read at all.
    pub fn check(&mut self, progress: &dyn Progress) -> Result<CheckReport, Error> {
        let mut report = CheckReport::default();
        progress.start("checking the database", None);
        for problem in self.check_database()? {
            report.problem(problem);
        }
        progress.finish();
        match self.check_contents(&mut report, progress) {
            // What is said already tells why.
            Err(_) if !report.problems.is_empty() => Ok(report),
            other => other.map(|()| report),
        }
    }

    fn check_contents(
        &self,
        report: &mut CheckReport,
        progress: &dyn Progress,
    ) -> Result<(), Error> {
        let reader = self.reader()?;
        let runs = super::run::runs(reader.store())?;
        report.runs = runs.len() as u64;
        let log = audit::links(reader.store(), &self.keys.audit);
        let log = log.collect::<Result<Vec<_>, Error>>()?;
        if let Some(number) = missing(&runs, &log) {
            report.problem(format!("run {number} is missing"));
        }
        let total = runs.iter().map(|run| run.counts.tokens.added).sum();
        progress.start("checking tokens", Some(total));
        for source in reader.sources()? {
            report.sources += 1;
            let times: HashSet<Moment> = runs
                .iter()
                .filter(|run| run.source.id == source.id)
                .map(|run| Moment::from(run.effective_at))
                .collect();
            report.apps += relation::<AppBody>(&reader, source.id, &times, report)?;
            report.accounts += relation::<AccountBody>(&reader, source.id, &times, report)?;
            report.tokens += relation::<TokenBody>(&reader, source.id, &times, report)?;
            indexes(&reader, source.id, report, progress)?;
        }
        for run in &runs {
            seen(&reader, run, report)?;
        }
        progress.finish();
        index_entries(&reader, report)?;
        answers(&reader, report)?;
        report.audit_entries = log.len() as u64;
        for problem in log.iter().filter_map(problem_of) {
            report.problem(problem);
        }
        Ok(())
    }
}

impl Vault {
    /// What is wrong with the audit log, as a check says it.
    pub(super) fn log_problems(&self) -> Result<Vec<String>, Error> {
        let reader = self.reader()?;
        let mut problems = Vec::new();
        for link in audit::links(reader.store(), &self.keys.audit) {
            problems.extend(problem_of(&link?));
        }
        Ok(problems)
    }
}

fn problem_of(link: &AuditLink) -> Option<String> {
    let number = link.number;
    match &link.entry {
        None => Some(format!("entry {number} of the audit log can't be read")),
        Some(_) if !link.holds => Some(format!(
            "entry {number} of the audit log does not follow the one before"
        )),
        Some(_) => None,
    }
}

/// The first number that no run has, though none was forgotten that had it.
fn missing(runs: &[Run], log: &[AuditLink]) -> Option<u64> {
    let mut known: HashSet<u64> = runs.iter().map(|run| run.id).collect();
    for entry in log.iter().filter_map(|link| link.entry.as_ref()) {
        if let AuditEvent::Forgot { runs, .. } = &entry.event {
            known.extend(runs);
        }
    }
    (1..=runs.last().map_or(0, |run| run.id)).find(|number| !known.contains(number))
}

/// Stories begin with a body, go on in time, say something else at every step, and every step is at a run of the source.
/// Answers how many versions there are.
fn relation<B: Body>(
    reader: &Reader<'_>,
    source: SourceId,
    runs: &HashSet<Moment>,
    report: &mut CheckReport,
) -> Result<u64, Error> {
    let mut versions = 0;
    for told in Stories::<B>::of(reader.store(), source) {
        let (row, story) = told?;
        let mut problem = |what: &str| {
            report.problem(format!(
                "{}, source {}, row {row}: {what}",
                B::WHAT,
                source.0
            ));
        };
        let follows = |(before, after): (&Step<B>, &Step<B>)| {
            before.since < after.since && before.body != after.body
        };
        if !story.iter().zip(story.iter().skip(1)).all(follows) {
            problem("its versions overlap");
        }
        if !story.iter().all(|step| runs.contains(&step.since)) {
            problem("a version of no run");
        }
        versions += story.iter().filter(|step| step.body.is_some()).count() as u64;
    }
    Ok(versions)
}

/// Every row that a run is kept to have seen was there then; a run that tells everything needs none kept.
fn seen(reader: &Reader<'_>, run: &Run, report: &mut CheckReport) -> Result<(), Error> {
    let mut is_well = true;
    for range in index::seen(run.id).scan(reader.store()) {
        let range = range?;
        is_well &= !tells_everything(&run.scope, run.outcome)
            && match range.relation {
                Relation::Apps => were_there::<AppBody>(reader, run, range)?,
                Relation::Accounts => were_there::<AccountBody>(reader, run, range)?,
                Relation::Tokens => were_there::<TokenBody>(reader, run, range)?,
            };
    }
    if !is_well {
        report.problem(format!("the rows that run {} saw are not those", run.id));
    }
    Ok(())
}

/// Whether every row of the range was there at the run.
fn were_there<B: Body>(reader: &Reader<'_>, run: &Run, range: Touched) -> Result<bool, Error> {
    let at = Moment::from(run.effective_at);
    let mut expected = Some(range.first);
    for told in Stories::<B>::from(reader.store(), run.source.id, range.first)? {
        let (row, story) = told?;
        if row > range.last {
            break;
        }
        if Some(row) != expected || story::at(&story, at).is_none() {
            return Ok(false);
        }
        expected = row.checked_add(1);
    }
    Ok(expected == range.last.checked_add(1))
}

/// Every row is found through its indexes. The indexes are read into memory: 24 bytes a token.
fn indexes(
    reader: &Reader<'_>,
    source: SourceId,
    report: &mut CheckReport,
    progress: &dyn Progress,
) -> Result<(), Error> {
    let store = reader.store();
    let digests = index::by_digest()
        .scan(store)
        .filter(|entry| entry.as_ref().map_or(true, |e| e.source == source.0));
    let digests: HashSet<ByDigest> = digests.collect::<Result<_, _>>()?;
    let of_accounts: HashSet<ByAccount> = index::by_account(source)
        .scan(store)
        .collect::<Result<_, _>>()?;
    let names = index::by_name()
        .scan(store)
        .filter(|entry| entry.as_ref().map_or(true, |e| e.source == source.0));
    let names: HashSet<ByName> = names.collect::<Result<_, _>>()?;
    for (done, row) in (0..).zip(reader.tokens_ever(source, Moment::MAX)) {
        let version = row?.version;
        let (row, token) = (version.key, version.body);
        if done % 10_000 == 0 {
            progress.at(done);
        }
        let digest = reader.id_of(&token).index_digest();
        let found = digests.contains(&ByDigest {
            digest,
            source: source.0,
            row,
        }) && token
            .account
            .is_none_or(|account| of_accounts.contains(&ByAccount { account, row }));
        if !found {
            report.problem(format!(
                "token row {row} of source {} is missing in an index",
                source.0
            ));
        }
    }
    for row in reader.accounts_ever(source, Moment::MAX) {
        let version = row?.version;
        let Some(name) = &version.body.username else {
            continue;
        };
        if !names.contains(&ByName::new(
            name,
            &version.body.instance,
            source,
            version.key,
        )) {
            report.problem(format!(
                "account row {} of source {} is missing in an index",
                version.key, source.0
            ));
        }
    }
    Ok(())
}

/// Every index entry leads to a row.
fn index_entries(reader: &Reader<'_>, report: &mut CheckReport) -> Result<(), Error> {
    let mut rows: HashSet<(u32, u64)> = HashSet::new();
    for source in reader.sources()? {
        for row in reader.tokens_ever(source.id, Moment::MAX) {
            rows.insert((source.id.0, row?.version.key));
        }
    }
    for entry in index::by_digest().scan(reader.store()) {
        let entry = entry?;
        if !rows.contains(&(entry.source, entry.row)) {
            report.problem(format!(
                "the index by digest names token row {} of source {}",
                entry.row, entry.source
            ));
        }
    }
    for entry in index::by_name().scan(reader.store()) {
        let entry = entry?;
        if reader
            .account_versions(SourceId(entry.source), entry.row)?
            .is_empty()
        {
            report.problem(format!(
                "the index by name names account row {} of source {}",
                entry.row, entry.source
            ));
        }
    }
    Ok(())
}

/// Every answer of an instance can be read, is about a token that is here, and is found by the user that it tells.
fn answers(reader: &Reader<'_>, report: &mut CheckReport) -> Result<(), Error> {
    let store = reader.store();
    let users: HashSet<_> = verified::by_user().scan(store).collect::<Result<_, _>>()?;
    for row in verified::space().scan(store) {
        let row = row?;
        let is_found = row.by_user()?.is_none_or(|user| users.contains(&user));
        if !is_found || !verified::is_known(store, row.id)? {
            report.problem(format!(
                "an answer about {} is missing in an index, or is about no token",
                row.id.short(TokenId::LEAST_DIGITS)
            ));
        }
    }
    Ok(())
}

/// More than these help nobody.
const MAX_PROBLEMS: usize = 100;
