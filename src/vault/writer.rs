//! Recording a run: rows come in, sorted, and go through the merge join straight into one transaction.

use std::collections::BTreeMap;

use jiff::Timestamp;
use redb::WriteTransaction;

use crate::model::{
    Account, Actor, App, Completeness, Domain, Keys, Moment, Novelty, Relation, RowSink, Run,
    RunCounts, RunOutcome, Scope, Source, SourceKey, TokenRow,
};

use super::{
    AuditEvent, Error, Origin, Vault, audit,
    bodies::{AccountBody, AppBody, Symbols, TokenBody},
    facts::{AccountScope, Follower, Seen, tells_everything},
    ids::TokenIds,
    index::{self, ByAccount, ByDigest, ByName, Touched},
    mark::Mark,
    packed::{Fate, Merge, Row},
    relation::{Noted, Of, Place, Relating, Verdict},
    run,
    store::Store,
    verified,
};

/// What is known of a run before its rows come.
#[derive(Debug, Clone)]
pub struct RunStart {
    /// The source.
    pub source: SourceKey,
    /// The one instance that the source is about, where there is just one.
    pub instance: Option<Domain>,
    /// What part of the source the run speaks of.
    pub scope: Scope,
    /// What the row keys mean.
    pub keys: Keys,
    /// When the rows were true; `None` = now.
    pub effective_at: Option<Timestamp>,
    /// Now.
    pub now: Timestamp,
    /// Who records it.
    pub actor: Actor,
    /// A person's note.
    pub note: Option<String>,
    /// Whether rows may end even though suspiciously many are missing.
    pub accept_shrink: bool,
    /// Who recorded the run before, where it is taken over from another vault.
    pub origin: Option<Origin>,
}

/// What a connector left with the last run of a source, to go on from there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bookmark {
    /// The connector's own words.
    pub bytes: Vec<u8>,
    /// Whether the source's relations are as they were when it was left: no run was recorded since.
    pub is_current: bool,
}

/// A run that is being recorded. Dropping it without [`RunWriter::finish`] records nothing.
pub struct RunWriter<'v> {
    vault: &'v Vault,
    ids: TokenIds<'v>,
    transaction: WriteTransaction,
    start: RunStart,
    source: Source,
    number: u64,
    mark: Mark,
    place: Place,
    stage: Relation,
    apps: Relating<AppBody>,
    accounts: Relating<AccountBody>,
    tokens: Relating<TokenBody>,
    /// The accounts that a scoped run is about, and the rows that it saw; `None` when everything is in scope.
    scope: Option<(AccountScope, Seen)>,
    touched: Merge<Touched>,
    /// The rows touched last: more may follow them.
    touching: Option<Touched>,
    names: Vec<ByName>,
    digests: Vec<ByDigest>,
    by_account: Vec<ByAccount>,
    symbols: Symbols,
    warnings: Vec<String>,
    /// What instances answered, where the material tells it.
    answers: Vec<verified::Row>,
    /// What the source's last run left, and what this one leaves.
    found: Option<Bookmark>,
    left: Option<Vec<u8>>,
    /// Rows that held another token before.
    replaced: u64,
}

impl Vault {
    /// Begins to record a run.
    ///
    /// # Errors
    /// [`Error::ReadOnly`], or when the vault can't be read.
    pub fn begin_run(&mut self, start: RunStart) -> Result<RunWriter<'_>, Error> {
        let transaction = self.begin_write()?;
        let source = run::find_or_add_source(&transaction, &start.source, start.instance.as_ref())?;
        let store = Store::Write(&transaction);
        let mut of_source = run::facts(store)?;
        of_source.retain(|run| run.source == source.id);
        of_source.sort_by_key(|run| run.effective_at);
        let asked_at = Moment::from(start.effective_at.unwrap_or(start.now));
        let mark = Mark::new(store, asked_at)?;
        let mut at = asked_at;
        while of_source.iter().any(|run| run.effective_at == at) {
            at = Moment(at.0.saturating_add(1));
        }
        let followers = Follower::of(store, &of_source, at)?;
        let place = Place {
            source: source.id,
            at,
        };
        let number = run::next_number(store)?;
        // The rows are as its run left them only if that was recorded last, and is dated last.
        let recorded_last = of_source.iter().map(|run| run.number).max();
        let dated_last = of_source.last().map(|run| run.number);
        let found = run::bookmark(store, source.id)?.map(|(run, bytes)| Bookmark {
            bytes,
            is_current: followers.is_empty() && [recorded_last, dated_last] == [Some(run); 2],
        });
        let scope = match &start.scope {
            Scope::All => None,
            Scope::User(name) => Some((
                AccountScope::read(store, source.id, name, at)?,
                Seen::default(),
            )),
        };
        Ok(RunWriter {
            apps: Relating::new(&transaction, place, &followers),
            accounts: Relating::new(&transaction, place, &followers),
            tokens: Relating::new(&transaction, place, &followers),
            ids: TokenIds::new(&self.keys.digest),
            vault: self,
            transaction,
            start,
            source,
            number,
            mark,
            place,
            stage: Relation::Apps,
            scope,
            touched: Merge::new(index::touched(number)),
            touching: None,
            names: Vec::new(),
            digests: Vec::new(),
            by_account: Vec::new(),
            symbols: Symbols::default(),
            warnings: Vec::new(),
            answers: Vec::new(),
            found,
            left: None,
            replaced: 0,
        })
    }
}

impl RowSink for RunWriter<'_> {
    type Error = Error;

    fn app(&mut self, key: u64, app: &App) -> Result<Novelty, Error> {
        self.enter(Relation::Apps)?;
        let body = AppBody::new(app, &mut self.symbols);
        let scope = seeing(&mut self.scope, Relation::Apps, key);
        let verdict = self.apps.take(&self.transaction, key, body, scope)?;
        self.note(Relation::Apps, key, &verdict)?;
        Ok(verdict.novelty())
    }

    fn account(&mut self, key: u64, account: &Account) -> Result<Novelty, Error> {
        self.enter(Relation::Accounts)?;
        let body = AccountBody::new(account, &mut self.symbols);
        if let Some((scope, _)) = &mut self.scope {
            scope.take(key, body.is_named(&scope.user));
        }
        let scope = seeing(&mut self.scope, Relation::Accounts, key);
        let verdict = self.accounts.take(&self.transaction, key, body, scope)?;
        if let Some(name) = &account.username
            && !matches!(&verdict, Verdict::Unchanged)
        {
            self.names
                .push(ByName::new(name, &account.instance, self.source.id, key));
            if self.names.len() >= index::NAME_BATCH {
                index::insert(&self.transaction, index::by_name(), &mut self.names)?;
            }
        }
        self.note(Relation::Accounts, key, &verdict)?;
        Ok(verdict.novelty())
    }

    fn token(&mut self, key: u64, row: &TokenRow<'_>) -> Result<Novelty, Error> {
        self.enter(Relation::Tokens)?;
        let body = TokenBody::new(row, &mut self.symbols);
        let scope = seeing(&mut self.scope, Relation::Tokens, key);
        let verdict = self.tokens.take(&self.transaction, key, body, scope)?;
        let (new_token, new_account) = match &verdict {
            Verdict::Unchanged => (false, false),
            Verdict::Added => (true, true),
            Verdict::Changed(before) => (
                *before.token.unpack() != *row.access_token,
                before.account != row.account,
            ),
        };
        if new_token {
            self.replaced += u64::from(matches!(&verdict, Verdict::Changed(_)));
            let id = self.ids.id(row.instance, row.access_token);
            let digest = id.index_digest();
            self.digests.push(ByDigest {
                digest,
                source: self.source.id.0,
                row: key,
            });
            if self.digests.len() >= index::BATCH {
                index::insert(&self.transaction, index::by_digest(), &mut self.digests)?;
            }
        }
        if let Some(account) = row.account.filter(|_| new_account) {
            self.by_account.push(ByAccount { account, row: key });
            if self.by_account.len() >= index::BATCH {
                index::insert(
                    &self.transaction,
                    index::by_account(self.source.id),
                    &mut self.by_account,
                )?;
            }
        }
        self.note(Relation::Tokens, key, &verdict)?;
        Ok(verdict.novelty())
    }

    fn only_changes(&mut self, relation: Relation, known: u64) -> Result<(), Error> {
        self.enter(relation)?;
        let is_possible = self.scope.is_none()
            && match relation {
                Relation::Apps => self.apps.only_changes(known),
                Relation::Accounts => self.accounts.only_changes(known),
                Relation::Tokens => self.tokens.only_changes(known),
            };
        if is_possible {
            Ok(())
        } else {
            Err(Error::OutOfOrder)
        }
    }

    fn keys_follow(&mut self, relation: Relation) -> Result<(), Error> {
        match relation {
            Relation::Apps => self.apps.keys_follow(&self.transaction),
            Relation::Accounts => self.accounts.keys_follow(&self.transaction),
            Relation::Tokens => self.tokens.keys_follow(&self.transaction),
        }
    }

    fn is_there(&mut self, relation: Relation, key: u64) -> Result<Novelty, Error> {
        match relation {
            Relation::Apps => self.apps.is_there(&self.transaction, key),
            Relation::Accounts => self.accounts.is_there(&self.transaction, key),
            Relation::Tokens => self.tokens.is_there(&self.transaction, key),
        }
    }
}

impl RunWriter<'_> {
    /// What the connector left with the last run of this source that left anything.
    pub fn bookmark(&self) -> Option<&Bookmark> {
        self.found.as_ref()
    }

    /// Leaves this for the next run, if this one ends complete.
    pub fn leave(&mut self, bytes: Vec<u8>) {
        self.left = Some(bytes);
    }

    /// How many rows hold another token than before, and of how many that are known. A server never does that: where
    /// it is more than a few, this is another database than the last time.
    pub fn replaced(&self) -> (u64, u64) {
        let (counts, missing) = self.tokens.counts();
        (self.replaced, missing + counts.changed + counts.unchanged)
    }

    /// Keeps a warning with the run.
    pub fn warn(&mut self, message: impl Into<String>) {
        self.warnings.push(message.into());
    }

    /// Keeps answers of instances about tokens of this run or of earlier ones.
    pub(super) fn add_answers(&mut self, answers: Vec<verified::Row>) {
        self.answers.extend(answers);
    }

    /// Ends the run: everything of it becomes durable in one step. With [`Completeness::Complete`], known rows in scope
    /// that did not come end here, unless suspiciously many are missing.
    ///
    /// # Errors
    /// [`Error::Unsure`] when the commit failed and may have taken effect; otherwise nothing was recorded.
    pub fn finish(mut self, completeness: Completeness) -> Result<Run, Error> {
        self.enter(Relation::Tokens)?;
        let scope = self.scope.as_ref().map(|(scope, _)| scope);
        self.tokens.end_of_rows(&self.transaction, scope)?;
        let outcome = self.outcome(completeness);
        let counts = self.settle(outcome)?;
        let source = self.source.id;
        if self.digests.len() >= PARALLEL_ENTRIES {
            std::thread::scope(|scope| {
                scope.spawn(|| self.digests.sort_unstable());
                self.by_account.sort_unstable();
                self.names.sort_unstable();
            });
        }
        index::insert(&self.transaction, index::by_name(), &mut self.names)?;
        index::insert(&self.transaction, index::by_digest(), &mut self.digests)?;
        index::insert(
            &self.transaction,
            index::by_account(source),
            &mut self.by_account,
        )?;
        verified::add(&self.transaction, self.answers)?;
        let origin = self.start.origin.unwrap_or_else(|| Origin {
            // As it is kept: to the microsecond.
            recorded_at: Moment::from(self.start.now).timestamp(),
            actor: self.start.actor.clone(),
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        });
        let run = Run {
            id: self.number,
            source: self.source,
            effective_at: self.place.at.timestamp(),
            recorded_at: origin.recorded_at,
            actor: origin.actor,
            tool_version: origin.tool_version,
            scope: self.start.scope,
            outcome,
            from_the_future: self.place.at > Moment::from(origin.recorded_at),
            note: self.start.note,
            counts,
            warnings: self.warnings,
        };
        run::put(&self.transaction, &run)?;
        self.mark.keep(&self.transaction, run.id)?;
        if let Some(bytes) = self.left.filter(|_| outcome == RunOutcome::Complete) {
            run::put_bookmark(&self.transaction, source, run.id, bytes)?;
        }
        let event = AuditEvent::Imported { run: run.id };
        audit::append(
            &self.transaction,
            &self.vault.keys.audit,
            &event,
            &self.start.actor,
            self.start.now,
        )?;
        self.vault.commit(self.transaction)?;
        Ok(run)
    }

    /// Ends the relations before `relation`, whose rows begin to come.
    fn enter(&mut self, relation: Relation) -> Result<(), Error> {
        if relation < self.stage {
            return Err(Error::OutOfOrder);
        }
        let scope = self.scope.as_ref().map(|(scope, _)| scope);
        if self.stage == Relation::Apps && relation > Relation::Apps {
            self.apps.end_of_rows(&self.transaction, scope)?;
            self.stage = Relation::Accounts;
        }
        if self.stage == Relation::Accounts && relation > Relation::Accounts {
            self.accounts.end_of_rows(&self.transaction, scope)?;
            self.stage = Relation::Tokens;
        }
        Ok(())
    }

    fn note<B>(&mut self, relation: Relation, row: u64, verdict: &Verdict<B>) -> Result<(), Error> {
        match (&mut self.touching, verdict) {
            (None, Verdict::Unchanged) => return Ok(()),
            (Some(touching), Verdict::Added | Verdict::Changed(_))
                if touching.relation == relation =>
            {
                touching.last = row;
                return Ok(());
            }
            _ => {}
        }
        self.write_touched()?;
        if !matches!(verdict, Verdict::Unchanged) {
            self.touching = Some(Touched {
                relation,
                first: row,
                last: row,
            });
        }
        Ok(())
    }

    fn write_touched(&mut self) -> Result<(), Error> {
        let Some(touched) = self.touching.take() else {
            return Ok(());
        };
        let decide = |_: Option<&Touched>| Fate::Put(touched);
        self.touched.at(
            &self.transaction,
            &touched.key(),
            &mut |_| Fate::Keep,
            decide,
        )
    }

    /// Whether what is missing may be taken as gone.
    fn outcome(&self, completeness: Completeness) -> RunOutcome {
        let (counts, missing) = self.tokens.counts();
        let before = missing + counts.changed + counts.unchanged;
        let allowed = MIN_SUSPICIOUS.max(before / 5);
        let emptied = before > 0 && counts.seen == 0;
        match completeness {
            Completeness::Partial => RunOutcome::Partial,
            Completeness::Complete if self.start.accept_shrink => RunOutcome::Complete,
            Completeness::Complete if missing > allowed || emptied => RunOutcome::Shrunk,
            Completeness::Complete => RunOutcome::Complete,
        }
    }

    /// Ends the relations and notes the rows that this run and the next have touched.
    fn settle(&mut self, outcome: RunOutcome) -> Result<RunCounts, Error> {
        let bury = outcome == RunOutcome::Complete;
        self.write_touched()?;
        let transaction = &self.transaction;
        let touched = Merge::new(index::touched(self.number));
        std::mem::replace(&mut self.touched, touched).close(transaction)?;
        let mut noted: Vec<Noted> = Vec::new();
        let mut note = |row| noted.push(row);
        let apps = self.apps.taken().finish(transaction, bury, &mut note)?;
        let accounts = self.accounts.taken().finish(transaction, bury, &mut note)?;
        self.tokens.rejudge(&accounts.retold);
        let tokens = self.tokens.taken().finish(transaction, bury, &mut note)?;
        let mut by_run: BTreeMap<u64, Vec<Noted>> = BTreeMap::new();
        for row in noted {
            let number = match row.of {
                Of::This => self.number,
                Of::Later(number) => number,
            };
            by_run.entry(number).or_default().push(row);
        }
        for (number, noted) in by_run {
            let mut merge = Merge::new(index::touched(number));
            for Noted { relation, row, .. } in noted {
                let touched = Touched {
                    relation,
                    first: row,
                    last: row,
                };
                merge.jump(transaction, &touched.key(), |known| match known {
                    Some(_) => Fate::Keep,
                    None => Fate::Put(touched),
                })?;
            }
            merge.close(transaction)?;
        }
        if let Some((_, seen)) = self.scope.take() {
            seen.keep(transaction, self.number)?;
        } else if !tells_everything(&self.start.scope, outcome) {
            let (store, place) = (Store::Write(transaction), self.place);
            let mut seen = Seen::default();
            seen.add_all_but::<AppBody>(apps.silent, store, place)?;
            seen.add_all_but::<AccountBody>(accounts.silent, store, place)?;
            seen.add_all_but::<TokenBody>(tokens.silent, store, place)?;
            seen.keep(transaction, self.number)?;
        }
        Ok(RunCounts {
            tokens: tokens.counts,
            apps: apps.counts,
            accounts: accounts.counts,
        })
    }
}

/// Notes that a scoped run saw a row; answers what it is about.
fn seeing(
    scope: &mut Option<(AccountScope, Seen)>,
    relation: Relation,
    key: u64,
) -> Option<&AccountScope> {
    let (scope, seen) = scope.as_mut()?;
    seen.add(relation, key);
    Some(scope)
}

/// Rows of accounts of this name: source and row.
pub(super) fn accounts_named(
    store: Store<'_>,
    name: &str,
    instance: Option<&Domain>,
) -> Result<Vec<(u32, u64)>, Error> {
    let name = index::folded(name);
    let start = ByName {
        name: name.clone(),
        instance: "".into(),
        source: 0,
        row: 0,
    };
    let mut found = Vec::new();
    for entry in index::by_name().scan_from(store, &start)? {
        let entry = entry?;
        if entry.name != name {
            break;
        }
        if instance.is_none_or(|instance| instance.as_str() == &*entry.instance) {
            found.push((entry.source, entry.row));
        }
    }
    Ok(found)
}

/// Losing so few tokens at once is nothing to shout about.
const MIN_SUSPICIOUS: u64 = 20;
/// From so many entries on a second thread is worth its start.
const PARALLEL_ENTRIES: usize = 1 << 14;
