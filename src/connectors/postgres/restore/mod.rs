//! Putting tokens and apps back into the server's database, in one transaction.
//!
//! Records stream into a temporary table by binary COPY ([`Staging`]). Set-based SQL then finds users by name and
//! apps by client_id, gives each token its verdict, makes the apps that are missing and writes the tokens
//! ([`Restore::settle`]); outcomes stream back. Nothing of it grows with the tokens here, and a rehearsal runs the
//! same statements and never commits.
//!
//! Four rules guard the people behind the tokens. A name whose account is younger than the token belongs to somebody
//! else now. The web interface's own application is that of the target, never made and never flagged: a superapp skips
//! the page that asks for consent, and a forged vault could plant one. Its session tokens stay out, because without
//! their session row no page shows them. Revoked tokens stay out: a revocation was somebody's decision.
//!
//! It works through PgBouncer in transaction mode: one transaction, settings that end with it, no statement with a name
//! left behind. Values of rows never stand in a message: PostgreSQL's details would quote tokens.

mod binary;
mod bulk;
mod decide;
mod error;
mod indexes;
mod judge;
mod outcome;
mod staging;
mod target;
mod write;

use jiff::Timestamp;
use postgres::{Client, IsolationLevel, Row, Transaction, fallible_iterator::FallibleIterator};

use crate::{
    connectors::postgres::schema::instance_actor,
    model::{Action, Domain, TokenId},
};

pub use bulk::{Bulk, Bulked, Line, Tell, Tokens};
pub use error::Error;
pub use outcome::{AppOutcome, Outcome, Summary, Verdict};
pub use staging::{Staged, Staging};

use error::during;
use indexes::Dropped;
use target::Target;
use write::Stop;

/// What to do with tokens that are known not to work any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dead {
    /// Leave them out.
    Skip,
    /// Restore them as they are.
    Keep,
    /// Let revoked ones work again; leave expired ones out.
    Clear,
}

/// How to restore.
#[derive(Debug, Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an option of the command"
)]
pub struct Options {
    /// The instance that the database is of, where somebody says so.
    pub instance: Option<Domain>,
    /// Whether records of other instances are restored too.
    pub other_instance: bool,
    /// Whether a token is restored although its user is younger.
    pub reused_names: bool,
    /// Whether tokens of the web interface are restored.
    pub sessions: bool,
    /// What to do with tokens that are known not to work any more.
    pub dead: Dead,
    /// Whether each record was asked for by itself, so that one that is left out is refused.
    pub each_was_asked_for: bool,
    /// Whether indexes and foreign keys are made after the rows.
    pub rebuild_indexes: bool,
    /// Whether everything is done but the end: sequences stay as they are too.
    pub is_rehearsal: bool,
    /// The time.
    pub now: Timestamp,
}

/// A restore that is under way. Dropping it changes nothing.
pub struct Restore<'c> {
    transaction: Transaction<'c>,
    target: Target,
    options: Options,
    /// What `--rebuild-indexes` has dropped.
    dropped: Option<Dropped>,
}

impl<'c> Restore<'c> {
    /// Begins the transaction, and looks whether this is a Mastodon's database that takes writes.
    ///
    /// # Errors
    /// [`Error`].
    pub fn begin(client: &'c mut Client, options: Options) -> Result<Self, Error> {
        let failed = during("beginning the restore");
        // Each statement sees what the server has committed before it: that is what a second attempt rests on.
        let transaction = client
            .build_transaction()
            .isolation_level(IsolationLevel::ReadCommitted);
        let mut transaction = transaction.start().map_err(&failed)?;
        transaction.batch_execute(SETTINGS).map_err(&failed)?;
        let target = Target::look(&mut transaction)?;
        let mut options = options;
        if options.instance.is_none() {
            options.instance =
                instance_actor(&mut transaction).map_err(during("looking at the database"))?;
        }
        if options.instance.is_none() && !options.other_instance {
            return Err(Error::NoInstance);
        }
        if options.rebuild_indexes {
            transaction
                .batch_execute("SET LOCAL maintenance_work_mem = '256MB'")
                .map_err(&failed)?;
        }
        staging::create(&mut transaction)?;
        Ok(Self {
            transaction,
            target,
            options,
            dropped: None,
        })
    }

    /// What the role can't see and should, as GRANT statements: without it, users who can't use their tokens are not
    /// told apart.
    pub fn hidden(&self) -> Vec<String> {
        self.target.hidden_states()
    }

    /// Takes the records.
    ///
    /// # Errors
    /// [`Error`] when the connection breaks.
    pub fn staging(&mut self) -> Result<Staging<'_>, Error> {
        Staging::begin(&mut self.transaction, self.options.clone())
    }

    /// Decides about every record and writes the rows.
    ///
    /// # Errors
    /// [`Error`].
    pub fn settle(&mut self, staged: &Staged) -> Result<Summary, Error> {
        self.drop_indexes()?;
        decide::users(&mut self.transaction, &self.target)?;
        self.contend(|transaction, target, options, is_careful| {
            decide::apps(transaction, options).map_err(Stop::Failed)?;
            decide::tokens(transaction, target, options, staged, is_careful)
                .map_err(Stop::Failed)?;
            write::apps(transaction, target, options)?;
            write::tokens(transaction, target, options, is_careful)?;
            // Without the privilege no token got the verdict, and the statement would fail all the same.
            if options.dead == Dead::Clear && target.updates(target::TOKENS, "revoked_at") {
                write::revive(transaction)?;
            }
            Ok(())
        })?;
        self.make_indexes()?;
        self.summary(staged)
    }

    /// The same where only apps were taken; it counts apps.
    ///
    /// # Errors
    /// [`Error`].
    pub fn settle_apps(&mut self, staged: &Staged) -> Result<Summary, Error> {
        self.settle(staged)?;
        let mut summary = self.app_counts()?;
        self.apps(&mut |outcome: AppOutcome| {
            match summary
                .verdicts
                .iter_mut()
                .find(|(verdict, _)| *verdict == outcome.verdict)
            {
                Some((_, count)) => *count += 1,
                None => summary.verdicts.push((outcome.verdict, 1)),
            }
            Ok::<(), Error>(())
        })?;
        let unfit = staged.unfit_apps.iter();
        summary
            .verdicts
            .extend(unfit.map(|(verdict, count)| (*verdict, *count)));
        Ok(summary)
    }

    /// Calls `each` with what became of each token, in the order in which they were taken; of `which` alone, where
    /// that is said.
    ///
    /// # Errors
    /// [`Error`], or what `each` returns.
    pub fn outcomes<E: From<Error>>(
        &mut self,
        which: Which,
        each: &mut dyn FnMut(Outcome) -> Result<(), E>,
    ) -> Result<(), E> {
        let doing = during("telling what became of the tokens");
        let join = match which {
            Which::All => "LEFT JOIN",
            Which::Notable => "JOIN",
        };
        let statement = format!(
            "SELECT s.id, s.digits, coalesce(v.verdict, 0::int2), coalesce(v.state, 0::int2), \
             (coalesce(v.notes, 0) | coalesce(a.notes, 0))::int2, u.name, a.name, a.uid, s.app_no = {web} \
             FROM pg_temp.tuskvault_staged s {join} pg_temp.tuskvault_verdict v ON v.n = s.n \
             LEFT JOIN pg_temp.tuskvault_user u ON u.no = s.user_no \
             LEFT JOIN pg_temp.tuskvault_app a ON a.no = s.app_no WHERE s.id IS NOT NULL {notable} ORDER BY s.n",
            web = staging::WEB,
            notable = match which {
                Which::All => String::new(),
                Which::Notable => format!("AND v.verdict > {}", Verdict::ThereLive.number()),
            },
        );
        let mut rows = self
            .transaction
            .query_typed_raw(&statement, NO_PARAMETERS)
            .map_err(&doing)
            .map_err(E::from)?;
        while let Some(row) = rows.next().map_err(&doing).map_err(E::from)? {
            each(outcome_of(&row))?;
        }
        Ok(())
    }

    /// Calls `each` with what became of each app.
    ///
    /// # Errors
    /// [`Error`], or what `each` returns.
    pub fn apps<E: From<Error>>(
        &mut self,
        each: &mut dyn FnMut(AppOutcome) -> Result<(), E>,
    ) -> Result<(), E> {
        let doing = during("telling what became of the apps");
        let statement = format!(
            "SELECT name, uid, app_id, superapp, notes FROM pg_temp.tuskvault_app WHERE no <> {} ORDER BY no",
            staging::WEB
        );
        let mut rows = self
            .transaction
            .query_typed_raw(&statement, NO_PARAMETERS)
            .map_err(&doing)
            .map_err(E::from)?;
        while let Some(row) = rows.next().map_err(&doing).map_err(E::from)? {
            each(app_outcome_of(&row))?;
        }
        Ok(())
    }

    /// Makes it so.
    ///
    /// # Errors
    /// [`Error::Unsure`] when the connection breaks before the server says that it is done.
    pub fn commit(self) -> Result<(), Error> {
        self.transaction.commit().map_err(|error| {
            if error.as_db_error().is_some() {
                during("committing")(error)
            } else {
                Error::Unsure
            }
        })
    }

    /// Ends without a change, and says if even that failed.
    ///
    /// # Errors
    /// [`Error::Gone`] when the connection broke.
    pub fn roll_back(self) -> Result<(), Error> {
        self.transaction.rollback().map_err(during("rolling back"))
    }

    /// Runs steps until nobody writes the same rows in between: the first time in the hope that nobody does, then with
    /// care.
    fn contend(
        &mut self,
        steps: impl Fn(&mut Transaction<'_>, &Target, &Options, bool) -> Result<(), Stop>,
    ) -> Result<(), Error> {
        let failed = during("setting a savepoint");
        for attempt in 0..ATTEMPTS {
            let mut savepoint = self.transaction.transaction().map_err(&failed)?;
            match steps(&mut savepoint, &self.target, &self.options, attempt > 0) {
                Ok(()) => return savepoint.commit().map_err(&failed),
                Err(Stop::Race) => savepoint.rollback().map_err(&failed)?,
                Err(Stop::Failed(error)) => return Err(error),
            }
        }
        Err(Error::Contended)
    }

    fn drop_indexes(&mut self) -> Result<(), Error> {
        if self.options.rebuild_indexes && self.dropped.is_none() {
            self.dropped = Some(indexes::drop(&mut self.transaction, &self.target)?);
        }
        Ok(())
    }

    fn make_indexes(&mut self) -> Result<(), Error> {
        match self.dropped.take() {
            Some(dropped) => indexes::make(&mut self.transaction, &dropped),
            None => Ok(()),
        }
    }

    fn summary(&mut self, staged: &Staged) -> Result<Summary, Error> {
        let doing = during("counting");
        let rows = self
            .transaction
            .query_typed(
                "SELECT verdict, count(*), count(*) FILTER (WHERE state <> 0) FROM pg_temp.tuskvault_verdict \
                 GROUP BY 1 ORDER BY 1",
                &[],
            )
            .map_err(doing)?;
        let mut summary = self.app_counts()?;
        let mut not_new = 0;
        for row in rows {
            let (verdict, count, waiting): (i16, i64, i64) = (row.get(0), row.get(1), row.get(2));
            let Some(verdict) = Verdict::of(verdict) else {
                continue;
            };
            if matches!(verdict.action(), Action::Insert | Action::Update) {
                summary.waiting += waiting.unsigned_abs();
            }
            if verdict != Verdict::New {
                not_new += count.unsigned_abs();
                summary.verdicts.push((verdict, count.unsigned_abs()));
            }
        }
        let new = staged.sent.saturating_sub(not_new);
        if new > 0 {
            summary.verdicts.insert(0, (Verdict::New, new));
        }
        Ok(summary)
    }

    fn app_counts(&mut self) -> Result<Summary, Error> {
        let statement = format!(
            "SELECT count(*) FILTER (WHERE notes & {made} <> 0), count(*) FILTER (WHERE notes & {other_id} <> 0), \
             count(*) FILTER (WHERE notes & {made} <> 0 AND notes & {no_owner} <> 0), \
             count(*) FILTER (WHERE notes & {other_secret} <> 0) FROM pg_temp.tuskvault_app",
            made = outcome::MADE,
            other_id = outcome::OTHER_ID,
            no_owner = outcome::NO_OWNER,
            other_secret = outcome::OTHER_SECRET,
        );
        let row = self
            .transaction
            .query_typed_one(&statement, &[])
            .map_err(during("counting"))?;
        let count = |at: usize| row.get::<_, i64>(at).unsigned_abs();
        Ok(Summary {
            apps_made: count(0),
            apps_renumbered: count(1),
            apps_ownerless: count(2),
            apps_differing: count(3),
            ..Summary::default()
        })
    }
}

/// Which outcomes are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// All.
    All,
    /// Those of tokens that are neither new nor as they were.
    Notable,
}

fn outcome_of(row: &Row) -> Outcome {
    let id: Option<&[u8]> = row.get(0);
    let digits: Option<i16> = row.get(1);
    // Of those that the record itself rules out, nothing but the id was sent.
    let user: Option<&str> = row.get(5);
    let app: Option<&str> = row.get::<_, Option<&str>>(6).or(row.get(7));
    let is_web = row.get::<_, Option<bool>>(8) == Some(true);
    let app = if is_web {
        Some(outcome::WEB_INTERFACE)
    } else {
        app
    };
    let what = outcome::words_of(user, app);
    // A number of our own that we don't know can't be: it would be told as written.
    let verdict = Verdict::of(row.get(2)).unwrap_or(Verdict::Unfit);
    Outcome {
        id: TokenId(id.and_then(|id| id.try_into().ok()).unwrap_or_default()),
        id_digits: digits
            .and_then(|digits| usize::try_from(digits).ok())
            .unwrap_or(TokenId::LEAST_DIGITS),
        verdict,
        detail: outcome::detail(&what, verdict, row.get(3), row.get(4)),
    }
}

fn app_outcome_of(row: &Row) -> AppOutcome {
    let (name, client_id): (Option<String>, Option<String>) = (row.get(0), row.get(1));
    let (app_id, superapp, notes): (Option<i64>, bool, i16) = (row.get(2), row.get(3), row.get(4));
    let (verdict, notes) = if superapp {
        (Verdict::IsWebApp, 0)
    } else if app_id.is_none() {
        (Verdict::NoSecret, 0)
    } else if notes & outcome::MADE != 0 {
        (Verdict::New, notes & !outcome::MADE)
    } else if notes & outcome::OTHER_SECRET != 0 {
        (Verdict::OtherSecret, 0)
    } else if notes & outcome::OTHER_SETTINGS != 0 {
        (Verdict::OtherSettings, 0)
    } else {
        (Verdict::There, 0)
    };
    let what = name
        .as_deref()
        .or(client_id.as_deref())
        .unwrap_or("an application")
        .to_owned();
    let detail = outcome::detail(&what, verdict, 0, notes);
    AppOutcome {
        is_remarkable: detail != what,
        detail,
        name,
        client_id,
        verdict,
    }
}

/// Ends with the transaction, so that a pooled connection is handed on as it was. Bulk work may take its time; a lock
/// that somebody else holds may not stop the server behind it for long.
const SETTINGS: &str = "SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = '30s'; SET LOCAL work_mem = '64MB'; \
     SET LOCAL jit = off; SET LOCAL client_min_messages = warning";
const ATTEMPTS: usize = 3;
const NO_PARAMETERS: [(&str, postgres::types::Type); 0] = [];
