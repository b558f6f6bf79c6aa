//! Removing for good: runs that are many, and tokens that are to be known no more.
//!
//! What stays is told anew from the runs that stay, and the file is written anew, so that nothing of what went is in it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use jiff::{Timestamp, civil::Date, tz::TimeZone};

use crate::{
    model::{Actor, Run, RunOutcome, Scope, TokenId, is_ahead},
    progress::Progress,
};

use super::{
    AuditEvent, Error, Rewritten, Vault,
    anew::{self, Beside, Erased, NewRun, NewSource},
    bodies::{AppBody, Packed, TokenBody},
    fold::each_row,
    ids::TokenIds,
    merge::Union,
    open::write_anew,
    reader::Reader,
    rows::Body,
    story::{self, Stories, Story},
};

/// How many runs of each source stay: the newest ones, and the newest of each of so many days, ISO weeks, months and
/// years. `None` = no such rule.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Retention {
    /// So many of the newest.
    pub last: Option<u32>,
    /// One of each of so many days that have any.
    pub daily: Option<u32>,
    /// One of each of so many weeks that have any.
    pub weekly: Option<u32>,
    /// One of each of so many months that have any.
    pub monthly: Option<u32>,
    /// One of each of so many years that have any.
    pub yearly: Option<u32>,
}

/// Why a run stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// One of the newest.
    Last,
    /// The newest of its day.
    Daily,
    /// The newest of its week.
    Weekly,
    /// The newest of its month.
    Monthly,
    /// The newest of its year.
    Yearly,
    /// The newest of its source, or of its user there; or the newest of all.
    Newest,
    /// It is dated otherwise than it was recorded: an old copy. No rule counts it, so none removes it.
    DatedBack,
    /// Recorded by a clock that was ahead of its time.
    Ahead,
    /// Not everything was read, and no complete run has followed.
    NotFollowed,
    /// The only one among those that would stay which holds so many tokens, or apps with a secret.
    Holds {
        /// Tokens.
        tokens: u64,
        /// Apps.
        apps: u64,
    },
}

/// What becomes of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedRun {
    /// The run.
    pub run: Run,
    /// Why it stays; without a reason, it goes.
    pub reasons: Vec<Reason>,
}

/// What thinning runs would do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ForgetPlan {
    /// Every run, by source and then from the newest to the oldest as they were recorded.
    pub runs: Vec<PlannedRun>,
    /// How many tokens are in none of the runs of their source that stay.
    pub lost_tokens: u64,
    /// How many apps with a secret are in none of them.
    pub lost_apps: u64,
}

impl ForgetPlan {
    /// Numbers of the runs that go.
    pub fn going(&self) -> BTreeSet<u64> {
        let going = self
            .runs
            .iter()
            .filter(|planned| planned.reasons.is_empty());
        going.map(|planned| planned.run.id).collect()
    }
}

/// What is to be removed.
#[derive(Debug, Clone, Default)]
pub struct Forgotten {
    /// Runs, by number.
    pub runs: BTreeSet<u64>,
    /// Tokens, in every source and at every time.
    pub tokens: HashSet<TokenId>,
    /// The selector that names them, for the audit log.
    pub selector: Option<String>,
}

/// What a rule takes one run of: a day, say. Given the run's place among the newest, and its day.
type Bucket<'b> = &'b dyn Fn(usize, Date) -> (i32, i32);

type Reasons = BTreeMap<u64, BTreeSet<Reason>>;

impl Vault {
    /// Which runs these rules keep, and why. Days are those of `zone`, and the times that count are those at which the
    /// runs were recorded: a run that is dated back displaces no other, nor does one that a clock ahead of `now` recorded.
    /// Unless `even_last`, a run stays where it is the only one that holds a token.
    ///
    /// # Errors
    /// [`Error`] when the vault can't be read.
    pub fn plan_forgetting(
        &self,
        retention: &Retention,
        even_last: bool,
        (now, zone): (Timestamp, &TimeZone),
    ) -> Result<ForgetPlan, Error> {
        let readers = [self.reader()?];
        let union = Union::of(&[self], &readers, &[])?;
        let all = union.sources.iter().flat_map(|source| &source.runs);
        // So that no number is ever given twice.
        let newest = all.map(|run| run.run.id).max();
        let mut plan = ForgetPlan::default();
        for source in &union.sources {
            let mut runs: Vec<&Run> = source.runs.iter().map(|run| &run.run).collect();
            runs.sort_by_key(|run| std::cmp::Reverse((run.recorded_at, run.id)));
            let mut reasons = Reasons::new();
            if let Some(newest) = newest {
                give(&mut reasons, newest, Reason::Newest);
            }
            // They rule nothing until their time has come.
            let (ahead, known): (Vec<&Run>, Vec<&Run>) = runs
                .iter()
                .copied()
                .partition(|run| is_ahead(run.recorded_at, now));
            for run in ahead {
                give(&mut reasons, run.id, Reason::Ahead);
            }
            retention.judge(&known, zone, &mut reasons);
            let (tokens, apps) = protect(source, even_last, &mut reasons)?;
            plan.lost_tokens += tokens;
            plan.lost_apps += apps;
            plan.runs.extend(runs.into_iter().map(|run| PlannedRun {
                run: run.clone(),
                reasons: reasons.remove(&run.id).into_iter().flatten().collect(),
            }));
        }
        Ok(plan)
    }

    /// Writes what is left of this vault's contents into an empty database.
    pub(super) fn forget_into(
        &self,
        forgotten: &Forgotten,
        database: &redb::Database,
        (actor, now): (&Actor, Timestamp),
        progress: &dyn Progress,
    ) -> Result<(), Error> {
        let readers = [self.reader()?];
        let [reader] = &readers;
        let mut sources = Union::of(&[self], &readers, &[])?.sources;
        for source in &mut sources {
            source
                .runs
                .retain(|run| !forgotten.runs.contains(&run.run.id));
        }
        let erased = self.erased(reader, &forgotten.tokens)?;
        let event = AuditEvent::Forgot {
            runs: forgotten.runs.iter().copied().collect(),
            selector: forgotten.selector.clone(),
            tokens: forgotten.tokens.len() as u64,
        };
        anew::write(
            database,
            (reader.store(), &self.keys),
            sources,
            &erased,
            Beside {
                entries: vec![(now, actor.clone(), event)],
                ..Beside::default()
            },
            progress,
        )
    }

    /// With the tokens go the apps and accounts that only they refer to.
    fn erased(&self, reader: &Reader<'_>, tokens: &HashSet<TokenId>) -> Result<Erased, Error> {
        let mut erased = Erased {
            tokens: tokens.clone(),
            ..Erased::default()
        };
        if tokens.is_empty() {
            return Ok(erased);
        }
        let ids = TokenIds::new(&self.keys.digest);
        for source in reader.sources()? {
            let (mut apps, mut accounts) = (References::default(), References::default());
            for told in Stories::<TokenBody>::of(reader.store(), source.id) {
                for body in told?.1.iter().filter_map(|step| step.body.as_ref()) {
                    let goes = body
                        .model()
                        .is_some_and(|token| tokens.contains(&ids.of(&token)));
                    apps.add(body.app, goes);
                    accounts.add(body.account, goes);
                }
            }
            let apps = apps.orphans();
            for told in Stories::<AppBody>::of(reader.store(), source.id) {
                let (key, story) = told?;
                for body in story.iter().filter_map(|step| step.body.as_ref()) {
                    accounts.add(body.owner, apps.contains(&key));
                }
            }
            let of_source = |rows: HashSet<u64>| rows.into_iter().map(move |row| (source.id, row));
            erased.apps.extend(of_source(apps));
            erased.accounts.extend(of_source(accounts.orphans()));
        }
        Ok(erased)
    }
}

/// Removes runs and tokens for good. With `keep`, the former file, which still holds them, stays as `.prev`.
///
/// # Errors
/// [`Error::RewriteDiffers`], or when a file can't be read or written; the vault is as it was then.
pub fn forget(
    vault: Vault,
    forgotten: &Forgotten,
    keep: bool,
    (actor, now): (&Actor, Timestamp),
    progress: &dyn Progress,
) -> Result<Rewritten, Error> {
    let done = write_anew(vault, keep, 0, progress, |vault, database| {
        vault.forget_into(forgotten, database, (actor, now), progress)
    });
    done.map(|((), rewritten)| rewritten)
}

/// Rows that are referred to, by what goes and by what stays.
#[derive(Default)]
struct References {
    going: HashSet<u64>,
    staying: HashSet<u64>,
}

impl References {
    fn add(&mut self, row: Option<u64>, goes: bool) {
        let rows = if goes {
            &mut self.going
        } else {
            &mut self.staying
        };
        rows.extend(row);
    }

    fn orphans(self) -> HashSet<u64> {
        &self.going - &self.staying
    }
}

impl Retention {
    /// Gives reasons to the runs of a source, which come from the newest to the oldest.
    fn judge(&self, runs: &[&Run], zone: &TimeZone, reasons: &mut Reasons) {
        if let Some(newest) = runs.iter().max_by_key(|run| run.effective_at) {
            give(reasons, newest.id, Reason::Newest);
        }
        // What was recorded before a complete run of everything.
        let tells_everything = |run: &&Run| {
            run.is_live() && run.scope == Scope::All && run.outcome == RunOutcome::Complete
        };
        let after = runs
            .iter()
            .position(tells_everything)
            .map_or(runs.len(), |at| at + 1);
        let followed: HashSet<u64> = runs.iter().skip(after).map(|run| run.id).collect();
        let mut series: HashMap<&Scope, Vec<&Run>> = HashMap::new();
        for run in runs {
            series.entry(&run.scope).or_default().push(run);
        }
        for runs in series.into_values() {
            let mut complete = Vec::new();
            for run in runs {
                if !run.is_live() {
                    give(reasons, run.id, Reason::DatedBack);
                } else if run.outcome == RunOutcome::Complete {
                    complete.push(run);
                } else if complete.is_empty() && !followed.contains(&run.id) {
                    give(reasons, run.id, Reason::NotFollowed);
                }
            }
            if let Some(newest) = complete.first() {
                give(reasons, newest.id, Reason::Newest);
            }
            self.count(&complete, zone, reasons);
        }
    }

    fn count(&self, runs: &[&Run], zone: &TimeZone, reasons: &mut Reasons) {
        let day = |run: &Run| zone.to_datetime(run.recorded_at).date();
        let week = |date: Date| {
            let week = date.iso_week_date();
            (i32::from(week.year()), i32::from(week.week()))
        };
        let month = |date: Date| (i32::from(date.year()), i32::from(date.month()));
        let rules: [(Option<u32>, Reason, Bucket<'_>); 5] = [
            (self.last, Reason::Last, &|index, _| {
                (i32::try_from(index).unwrap_or(i32::MAX), 0)
            }),
            (self.daily, Reason::Daily, &|_, date| {
                (i32::from(date.year()), i32::from(date.day_of_year()))
            }),
            (self.weekly, Reason::Weekly, &|_, date| week(date)),
            (self.monthly, Reason::Monthly, &|_, date| month(date)),
            (self.yearly, Reason::Yearly, &|_, date| {
                (i32::from(date.year()), 0)
            }),
        ];
        for (count, reason, bucket) in rules {
            let mut filled = BTreeSet::new();
            for (index, run) in runs.iter().enumerate() {
                let is_wanted = filled.len() < count.unwrap_or(0) as usize;
                if is_wanted && filled.insert(bucket(index, day(run))) {
                    give(reasons, run.id, reason);
                }
            }
        }
    }
}

fn give(reasons: &mut Reasons, run: u64, reason: Reason) {
    reasons.entry(run).or_default().insert(reason);
}

/// Keeps the last run that holds a token, or an app with a secret, which none of the others that stay holds. With
/// `even_last`, answers how many there are of both instead.
fn protect(
    source: &NewSource<'_>,
    even_last: bool,
    reasons: &mut Reasons,
) -> Result<(u64, u64), Error> {
    let runs = source.runs.iter();
    let mut guard = Guard {
        source,
        even_last,
        stays: runs.map(|run| reasons.contains_key(&run.run.id)).collect(),
        kept: BTreeSet::new(),
        holding: BTreeMap::new(),
    };
    let mut lost = (0, 0);
    each_row::<TokenBody>(&source.sides, &|_, _| false, |key, stories| {
        let Some(story) = stories.first() else {
            return Ok(());
        };
        for token in tokens_of(story) {
            if let Some(run) = guard.missing(key, story, |body| body.token == *token) {
                guard.holding.entry(run).or_default().0 += 1;
                lost.0 += 1;
            }
        }
        Ok(())
    })?;
    each_row::<AppBody>(&source.sides, &|_, _| false, |key, stories| {
        let Some(story) = stories.first() else {
            return Ok(());
        };
        if let Some(run) = guard.missing(key, story, AppBody::has_secret) {
            guard.holding.entry(run).or_default().1 += 1;
            lost.1 += 1;
        }
        Ok(())
    })?;
    if even_last {
        return Ok(lost);
    }
    for (index, (tokens, apps)) in guard.holding {
        if let Some(run) = source.runs.get(index) {
            give(reasons, run.run.id, Reason::Holds { tokens, apps });
        }
    }
    Ok((0, 0))
}

/// Looks for what no run that stays holds.
struct Guard<'s> {
    source: &'s NewSource<'s>,
    even_last: bool,
    /// Of each run, whether a rule keeps it.
    stays: Vec<bool>,
    /// Places of the runs that stay for what they hold.
    kept: BTreeSet<usize>,
    /// How many tokens and apps keep a run, by its place.
    holding: BTreeMap<usize, (u64, u64)>,
}

impl Guard<'_> {
    /// The place of a run that holds what is asked for, where none does that a rule keeps: one that stays already for
    /// what it holds, else the last one, which stays from here on.
    fn missing<B: Body>(
        &mut self,
        key: u64,
        story: &Story<B>,
        is_it: impl Fn(&B) -> bool,
    ) -> Option<usize> {
        let holds = |run: &NewRun| {
            let body = story::at(story, run.telling.known_at());
            run.telling.saw::<B>(key) && body.is_some_and(&is_it)
        };
        let runs = || self.source.runs.iter().enumerate().rev();
        if runs().any(|(index, run)| self.stays.get(index) == Some(&true) && holds(run)) {
            return None;
        }
        let kept = runs().find(|(index, run)| self.kept.contains(index) && holds(run));
        let (index, _) = kept.or_else(|| runs().find(|(_, run)| holds(run)))?;
        if !self.even_last {
            self.kept.insert(index);
        }
        Some(index)
    }
}

/// The tokens that a row ever held.
fn tokens_of(story: &Story<TokenBody>) -> Vec<&Packed> {
    let mut tokens: Vec<&Packed> = Vec::new();
    for body in story.iter().filter_map(|step| step.body.as_ref()) {
        if !tokens.contains(&&body.token) {
            tokens.push(&body.token);
        }
    }
    tokens
}
