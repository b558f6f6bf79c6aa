//! `restore --to postgres`: put tokens or apps back into the server's database.
//!
//! Everything is one transaction of the database. Before a person is asked, a rehearsal runs the same statements and
//! rolls back; the entry in the vault's audit log is written when everything is done but the commit, so that what
//! can't be noted isn't done.

mod tell;

use std::collections::HashMap;

use jiff::Timestamp;
use tuskvault::{
    connectors::postgres::{
        self, Settings,
        restore::{
            Bulked, Dead as DeadTokens, Line, Options, Outcome, Restore, Staged, Summary, Verdict,
            Which,
        },
    },
    model::{Action, Domain, Moment, Record, Status, Target, TokenId},
    progress::Progress as _,
    vault::{self, AuditEvent, Met, Query, Vault},
};

use super::{
    args::{Dead, OnConflict, Restore as Args, domain},
    database,
    error::{Exit, Failure},
    report,
    session::Session,
    verify,
};

use tell::{counts, left_out, short};

pub(crate) fn run(
    session: &Session<'_>,
    args: &Args,
    asks: Option<&verify::Client>,
) -> Result<Exit, Failure> {
    check(args)?;
    let server = &args.server;
    let settings = database::target(session, &args.database)?.settings;
    // Before the vault is opened: who can't get in shall not be asked for a passphrase.
    let mut client = postgres::connect(&settings)?;
    let (mut vault, credentials) = session.open_with_credentials(session.access())?;
    let query = Query {
        selector: &args.selector,
        at: session.moment(args.as_of.as_ref(), &vault)?,
        all: true,
    };
    let one = if args.all || server.apps {
        None
    } else {
        let chosen = vault.choose(&query)?;
        Some(report::chosen(chosen, &args.selector.to_string())?)
    };
    let revoked_since = revoked_since(session, &vault, &query, one.as_ref())?;
    let options = Options {
        instance: instance(args, &settings)?,
        other_instance: server.other_instance,
        reused_names: server.reused_names,
        sessions: server.sessions,
        dead: match args.revoked {
            Dead::Skip => DeadTokens::Skip,
            Dead::Keep => DeadTokens::Keep,
            Dead::Clear => DeadTokens::Clear,
        },
        each_was_asked_for: one.is_some(),
        rebuild_indexes: server.rebuild_indexes,
        is_rehearsal: false,
        now: session.now,
    };
    let job = Job {
        session,
        args,
        query,
        one,
        revoked_since,
        options,
        location: settings.location(),
    };
    let (exit, done) = job.run(&mut vault, &mut client)?;
    let Some(asks) = asks else {
        return Ok(exit);
    };
    let records = job.written(&vault, done)?;
    drop(vault);
    let restored = (records, &credentials);
    Ok(verify::after_restore(session, args, asks, restored, exit))
}

/// The instance that the database is of: as typed, or as its settings say.
fn instance(args: &Args, settings: &Settings) -> Result<Option<Domain>, Failure> {
    match (
        domain(args.server.instance.as_ref())?,
        &settings.local_domain,
    ) {
        (Some(typed), Some(said)) if typed != *said => Err(Failure::usage(format!(
            "`--instance` says {typed}, and LOCAL_DOMAIN says {said}"
        ))
        .hint("leave `--instance` out, or name the settings of that instance")),
        (typed, said) => Ok(typed.or_else(|| said.clone())),
    }
}

/// Options that don't go together.
fn check(args: &Args) -> Result<(), Failure> {
    if args.path.is_some() {
        return Err(Failure::usage("a database has no path")
            .hint("`--env-file .env.production` or `--url postgres://…` says where it is"));
    }
    if args.replace_app {
        return Err(Failure::usage(
            "an application of the server is never replaced",
        ));
    }
    let names_user = matches!(
        &args.selector.target,
        Target::Key { user: Some(_), .. } | Target::Id(_)
    );
    if args.server.apps && (names_user || args.selector.back > 0) {
        return Err(Failure::usage("`--apps` takes INSTANCE or INSTANCE/APP"));
    }
    if args.all && args.selector.back > 0 {
        return Err(Failure::usage(
            "`~N` names one token; it does not go with `--all`",
        ));
    }
    Ok(())
}

/// A restore as it was asked for.
struct Job<'j> {
    session: &'j Session<'j>,
    args: &'j Args,
    query: Query<'j>,
    /// The one record, where one was asked for.
    one: Option<Record>,
    /// Tokens that the vault has learnt to be revoked since the moment asked for.
    revoked_since: HashMap<TokenId, Timestamp>,
    options: Options,
    location: String,
}

/// What one pass came to.
struct Pass {
    staged: Staged,
    summary: Summary,
    /// The first that were refused and the first that were written, where the database doesn't know them.
    told: Option<(Vec<Outcome>, Vec<TokenId>)>,
}

impl Pass {
    fn writes(&self) -> bool {
        self.written() > 0 || self.summary.apps_made > 0
    }

    fn written(&self) -> u64 {
        self.summary.count(Action::Insert) + self.summary.count(Action::Update)
    }

    fn exit(&self) -> Exit {
        let all: u64 = self.summary.verdicts.iter().map(|(_, count)| count).sum();
        match self.summary.count(Action::Refuse) {
            0 => Exit::Done,
            refused if refused == all => Exit::BadSource,
            _ => Exit::Partial,
        }
    }
}

impl Job<'_> {
    /// Answers what was done, too, if anything was.
    fn run(
        &self,
        vault: &mut Vault,
        client: &mut ::postgres::Client,
    ) -> Result<(Exit, Option<AuditEvent>), Failure> {
        let session = self.session;
        let asks = !session.global.yes && !session.global.dry_run;
        if session.global.dry_run || (asks && !session.output.json) {
            let mut rehearsal = self.begin(client, true)?;
            self.warn(&rehearsal);
            let pass = self.pass(vault, &mut rehearsal)?;
            self.show(&mut rehearsal, &pass)?;
            rehearsal.roll_back()?;
            if session.global.dry_run || !pass.writes() {
                return Ok((pass.exit(), None));
            }
        }
        session.confirm(&format!("Write this into {}?", self.target()))?;
        let mut restore = self.begin(client, false)?;
        if !asks || session.output.json {
            self.warn(&restore);
        }
        let pass = self.pass(vault, &mut restore)?;
        if !asks || session.output.json {
            self.show(&mut restore, &pass)?;
        }
        if !pass.writes() {
            restore.roll_back()?;
            return Ok((pass.exit(), None));
        }
        // Before the database is told to keep it: what can't be noted isn't done.
        let event = self.event(&mut restore, &pass)?;
        session.audit(vault, &event)?;
        restore.commit()?;
        session
            .output
            .note(&format!("done: {}", counts(&pass.summary, self.what())));
        Ok((pass.exit(), Some(event)))
    }

    fn begin<'c>(
        &self,
        client: &'c mut ::postgres::Client,
        is_rehearsal: bool,
    ) -> Result<Restore<'c>, Failure> {
        let options = Options {
            is_rehearsal,
            ..self.options.clone()
        };
        Ok(Restore::begin(client, options)?)
    }

    fn warn(&self, restore: &Restore<'_>) {
        let output = self.session.output;
        for grant in restore.hidden() {
            output.note(&format!(
                "whether users can use their tokens can't be seen in full: {grant}"
            ));
        }
    }

    /// Sends, decides and writes; nothing lasts yet.
    fn pass(&self, vault: &Vault, restore: &mut Restore<'_>) -> Result<Pass, Failure> {
        let bars = self.session.output.bars();
        bars.start("restoring", None);
        if let Some(Bulked {
            staged,
            summary,
            refused,
            written,
        }) = self.bulk(vault, restore)?
        {
            return self.checked(
                Pass {
                    staged,
                    summary,
                    told: Some((refused, written)),
                },
                restore,
            );
        }
        let staged = self.stage(vault, restore)?;
        if staged.sent == 0 && !self.args.server.apps {
            return Err(self.nothing(vault, &staged)?);
        }
        let summary = if self.args.server.apps {
            restore.settle_apps(&staged)?
        } else {
            restore.settle(&staged)?
        };
        bars.finish();
        if summary.verdicts.is_empty() {
            let selector = &self.args.selector;
            return Err(Failure::new(Exit::NoMatch, format!("no application matches \"{selector}\""))
                .hint("applications are known where the server's database was backed up; `--as-of` goes back to when they were there"));
        }
        self.checked(
            Pass {
                staged,
                summary,
                told: None,
            },
            restore,
        )
    }

    fn checked(&self, pass: Pass, restore: &mut Restore<'_>) -> Result<Pass, Failure> {
        let fails = self.args.server.on_conflict == OnConflict::Fail;
        if fails && pass.summary.count(Action::Refuse) > 0 {
            return Err(self.first_conflict(restore, &pass)?);
        }
        Ok(pass)
    }

    /// Whether everything of an instance is asked for: then the apps that have no tokens come back too.
    fn is_whole(&self) -> bool {
        self.args.all
            && matches!(
                &self.args.selector.target,
                Target::Key {
                    user: None,
                    app: None,
                    ..
                }
            )
    }

    /// The short way of a whole instance into an empty table, where nobody wants to hear of each token.
    fn bulk(&self, vault: &Vault, restore: &mut Restore<'_>) -> Result<Option<Bulked>, Failure> {
        let tells_of_each = self.session.output.json || self.session.global.verbose;
        if !self.is_whole() || tells_of_each {
            return Ok(None);
        }
        let Some(mut bulk) = restore.bulk()? else {
            return Ok(None);
        };
        let selector = &self.args.selector;
        bulk.apps::<Failure>(&|each| {
            vault.server_apps::<Failure>(self.query.at, |instance, app| {
                if selector.matches_instance(instance) {
                    each(instance, &app)?;
                }
                Ok(())
            })
        })?;
        let bulked = bulk.tokens::<Failure>(|tokens| {
            vault.tokens::<Failure>(self.query.at, |met| match met {
                Met::Joined(record) => {
                    if selector.matches_instance(&record.instance) && was_there(&record) {
                        tokens.take_record(&self.as_known(record))?;
                    }
                    Ok(())
                }
                Met::Lone(lone) => {
                    let token = lone.token();
                    if !selector.matches_instance(&token.instance) {
                        return Ok(());
                    }
                    let id = lone.id();
                    let line = Line {
                        id,
                        id_digits: lone.id_digits(),
                        token,
                        revoked_at: token.revoked_at.or(self.revoked_since.get(&id).copied()),
                        first_seen: lone.first_seen(),
                        is_from_server: lone.is_of_server(),
                    };
                    tokens.take::<Failure>(&line, &|| Ok(lone.app()?), &|| Ok(lone.user()?))
                }
            })
        })?;
        // Where there is nothing to restore, the other way says why.
        Ok(bulked.filter(|bulked| bulked.staged.sent > 0))
    }

    fn stage(&self, vault: &Vault, restore: &mut Restore<'_>) -> Result<Staged, Failure> {
        let mut staging = restore.staging()?;
        if let Some(record) = &self.one {
            staging.take(&self.as_known(record.clone()))?;
            return Ok(staging.finish()?);
        }
        let selector = &self.args.selector;
        if self.args.server.apps || self.is_whole() {
            vault.server_apps::<Failure>(self.query.at, |instance, app| {
                if selector.matches_instance(instance) && selector.matches_app(&app) {
                    staging.take_app(instance, &app)?;
                }
                Ok(())
            })?;
        }
        if !self.args.server.apps {
            vault.records::<Failure>(&self.query, |record| {
                if was_there(&record) {
                    staging.take(&self.as_known(record))?;
                }
                Ok(())
            })?;
        }
        Ok(staging.finish()?)
    }

    /// The record as it was, but for what nobody should undo by looking back.
    fn as_known(&self, record: Record) -> Record {
        let since = self.revoked_since.get(&record.id);
        Record {
            revoked_at: record.revoked_at.or(since.copied()),
            ..record
        }
    }

    /// The failure of a selector that leaves nothing to restore.
    fn nothing(&self, vault: &Vault, staged: &Staged) -> Result<Failure, Failure> {
        if staged.left_out.is_empty() {
            return self
                .session
                .no_match(vault, &self.args.selector, &self.query);
        }
        let message = format!(
            "nothing is left to restore: {}",
            left_out(staged).join(", ")
        );
        Ok(Failure::new(Exit::NoMatch, message)
            .hint("`--sessions` restores sessions of the web interface, `--revoked keep` or `clear` revoked tokens"))
    }

    fn first_conflict(&self, restore: &mut Restore<'_>, pass: &Pass) -> Result<Failure, Failure> {
        let mut first = None;
        if let Some((refused, _)) = &pass.told {
            let refused = refused.first();
            first = refused.map(|outcome| format!("{}: {}", short(outcome), outcome.detail));
        } else if self.args.server.apps {
            restore.apps::<Failure>(&mut |outcome| {
                if first.is_none() && outcome.verdict.action() == Action::Refuse {
                    first = Some(outcome.detail);
                }
                Ok(())
            })?;
        } else {
            restore.outcomes::<Failure>(Which::Notable, &mut |outcome| {
                if first.is_none() && outcome.verdict.action() == Action::Refuse {
                    first = Some(format!("{}: {}", short(&outcome), outcome.detail));
                }
                Ok(())
            })?;
        }
        let first = first.unwrap_or_else(|| Verdict::OtherInstance.words().to_owned());
        Ok(Failure::new(Exit::BadSource, first)
            .hint("nothing was changed; without `--on-conflict fail` the others are restored"))
    }

    fn event(&self, restore: &mut Restore<'_>, pass: &Pass) -> Result<AuditEvent, Failure> {
        if self.args.server.apps || pass.written() > MOST_IDS {
            return Ok(AuditEvent::RestoredMany {
                target: self.target(),
                selector: self.args.selector.to_string(),
                tokens: if self.args.server.apps {
                    0
                } else {
                    pass.written()
                },
                apps: pass.summary.apps_made,
            });
        }
        let mut ids = Vec::new();
        if let Some((_, written)) = &pass.told {
            ids.extend(written.iter().map(|id| id.to_base32()));
            return Ok(AuditEvent::Restored {
                target: self.target(),
                ids,
            });
        }
        restore.outcomes::<Failure>(Which::All, &mut |outcome| {
            if matches!(outcome.verdict.action(), Action::Insert | Action::Update) {
                ids.push(outcome.id.to_base32());
            }
            Ok(())
        })?;
        Ok(AuditEvent::Restored {
            target: self.target(),
            ids,
        })
    }

    /// The records that were restored, to be asked about.
    fn written(&self, vault: &Vault, done: Option<AuditEvent>) -> Result<Vec<Record>, Failure> {
        match done {
            Some(AuditEvent::Restored { ids, .. }) => {
                let ids = ids.iter().filter_map(|id| TokenId::least_with_prefix(id));
                let records = ids.map(|id| vault.record(id, self.session.now.into()));
                let records = records.collect::<Result<Vec<_>, _>>()?;
                Ok(records.into_iter().flatten().collect())
            }
            Some(AuditEvent::RestoredMany { tokens: 1.., .. }) => {
                self.session.output.warn(&format!(
                    "more than {MOST_IDS} tokens were restored, and asking counts as use of each: nobody was asked; \
                     `tuskvault verify SELECTOR` asks about some"
                ));
                Ok(Vec::new())
            }
            _ => Ok(Vec::new()),
        }
    }

    fn target(&self) -> String {
        format!("{} {}", postgres::NAME, self.location)
    }

    fn what(&self) -> &'static str {
        if self.args.server.apps {
            "application"
        } else {
            "token"
        }
    }
}

/// Tokens that were live at the moment asked for and that the vault knows to have been revoked since.
fn revoked_since(
    session: &Session<'_>,
    vault: &Vault,
    query: &Query<'_>,
    one: Option<&Record>,
) -> Result<HashMap<TokenId, Timestamp>, Failure> {
    let now = Moment::from(session.now);
    let mut revoked = HashMap::new();
    if query.at >= now {
        return Ok(revoked);
    }
    if let Some(record) = one {
        let known = vault.record(record.id, now)?;
        revoked.extend(known.and_then(|known| Some((known.id, known.revoked_at?))));
        return Ok(revoked);
    }
    vault.tokens::<vault::Error>(now, |met| {
        let (id, revoked_at) = match &met {
            Met::Joined(record) => (record.id, record.revoked_at),
            Met::Lone(lone) => (lone.id(), lone.token().revoked_at),
        };
        revoked.extend(revoked_at.map(|at| (id, at)));
        Ok(())
    })?;
    Ok(revoked)
}

/// Whether a restore of all takes the record: it was in the server's database at that moment; where no database was
/// ever backed up that held it, in whatever held it. A client's file may hold what the server revoked and removed.
fn was_there(record: &Record) -> bool {
    let is_there = |of_server: bool| {
        record
            .sightings
            .iter()
            .any(|seen| seen.source.instance.is_some() == of_server && seen.gone_at.is_none())
    };
    let server_knew = record
        .sightings
        .iter()
        .any(|seen| seen.source.instance.is_some());
    is_there(server_knew) && record.status != Status::Gone
}

/// Up to so many ids stand in the audit log.
const MOST_IDS: u64 = 1_000;
