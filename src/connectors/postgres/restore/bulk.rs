//! The way of a whole instance into an empty table: users and apps are read and joined here, and tokens go straight
//! into their table by COPY, without a temporary table between.
//!
//! It decides as `decide` does, which is the way of everything else. Whatever this way can't do (two records with the
//! same token, a row that the server writes at the same time, an app that no server held) gives it up, and
//! everything goes the other way; nothing of it stays.

mod tokens;

use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::Timestamp;
use postgres::{CopyInWriter, Transaction};

use super::{
    Options, Restore,
    binary::Rows,
    decide::{can_keep_ids, state},
    error::{Error, during, is_race},
    judge::{fits_app, is_foreign},
    outcome::{Outcome, Summary},
    staging::{Staged, broken, micros},
    target::{APPS, TOKEN_COLUMNS, Target},
    write::{MAX_STEPS, advance, quoted},
};
use crate::{
    connectors::postgres::copy,
    model::{AppView, Domain, Moment, Scopes, Secret, TokenId},
};

pub use tokens::{Line, Tokens};

/// What a bulk restore came to.
#[derive(Debug)]
pub struct Bulked {
    /// What was sent and what was left out.
    pub staged: Staged,
    /// Counts.
    pub summary: Summary,
    /// The first that were refused.
    pub refused: Vec<Outcome>,
    /// The first that were written.
    pub written: Vec<TokenId>,
}

/// A restore of a whole instance on its way into an empty table.
pub struct Bulk<'r, 'c> {
    restore: &'r mut Restore<'c>,
    people: HashMap<Box<str>, Person>,
    apps: HashMap<Box<str>, TheirApp>,
    web: Option<i64>,
    summary: Summary,
    is_given_up: bool,
}

#[derive(Debug, Clone, Copy)]
struct Person {
    id: i64,
    born: Option<Moment>,
    state: i16,
}

/// An app of the target, or one that is made.
struct TheirApp {
    id: i64,
    is_web: bool,
    state: AppState,
}

enum AppState {
    /// There, with its secret.
    There(Secret),
    /// To be made.
    Planned,
    /// Made.
    Made,
}

impl<'c> Restore<'c> {
    /// Begins the way of a whole instance into an empty table; `None` where the table is not empty, or ids of apps can't
    /// be chosen.
    ///
    /// # Errors
    /// [`Error`].
    pub fn bulk(&mut self) -> Result<Option<Bulk<'_, 'c>>, Error> {
        if self.options.is_rehearsal || !can_keep_ids(&self.target) {
            return Ok(None);
        }
        self.drop_indexes()?;
        let row = self.transaction.query_typed_one(
            "SELECT EXISTS (SELECT FROM oauth_access_tokens), (SELECT min(id) FROM oauth_applications WHERE superapp)",
            &[],
        );
        let row = row.map_err(during(LOOKING))?;
        if row.get(0) {
            return Ok(None);
        }
        let web = row.get(1);
        let people = people(&mut self.transaction, &self.target)?;
        let apps = apps(&mut self.transaction)?;
        self.transaction
            .batch_execute(SAVEPOINT)
            .map_err(during(LOOKING))?;
        Ok(Some(Bulk {
            restore: self,
            people,
            apps,
            web,
            summary: Summary::default(),
            is_given_up: false,
        }))
    }
}

impl Restore<'_> {
    fn take_back(&mut self) -> Result<(), Error> {
        let statement = "ROLLBACK TO SAVEPOINT tuskvault_bulk";
        self.transaction
            .batch_execute(statement)
            .map_err(during(WRITING))
    }
}

impl Bulk<'_, '_> {
    /// Makes the apps that are missing. `tell` is called twice, and tells of every app that the server held.
    ///
    /// # Errors
    /// [`Error`], or that of `tell`.
    pub fn apps<E: From<Error>>(&mut self, tell: Tell<'_, E>) -> Result<(), E> {
        let mut taken: HashSet<i64> = self.apps.values().map(|app| app.id).collect();
        let (mut last, mut unnumbered) = (0, 0);
        tell(&mut |instance, app| {
            let Some(uid) = self.missing(instance, app) else {
                return Ok(());
            };
            // Old posts name their app by its id.
            let former = app.server_id.and_then(|id| i64::try_from(id).ok());
            let kept = former.filter(|id| (1..=MAX_STEPS).contains(id) && taken.insert(*id));
            last = last.max(kept.unwrap_or(0));
            unnumbered += i64::from(kept.is_none());
            let planned = TheirApp {
                id: kept.unwrap_or(UNNUMBERED),
                is_web: false,
                state: AppState::Planned,
            };
            self.apps.insert(uid.into(), planned);
            Ok(())
        })?;
        if last == 0 && unnumbered == 0 {
            return Ok(());
        }
        self.restore.target.check_apps()?;
        let mut fresh = self.numbers(last, unnumbered)?;
        let Restore {
            transaction,
            target,
            options,
            ..
        } = &mut *self.restore;
        let columns: Vec<&str> = APP_COLUMNS
            .into_iter()
            .filter(|column| target.inserts(APPS, column))
            .collect();
        let statement = format!(
            "COPY oauth_applications ({}) FROM STDIN (FORMAT binary)",
            columns.join(", ")
        );
        let out = transaction.copy_in(&statement).map_err(during(MAKING))?;
        let width = i16::try_from(columns.len()).unwrap_or_default();
        let mut rows = Rows::new(out, width);
        tell(&mut |_, app| {
            let uid = app.client_id.as_deref().unwrap_or_default();
            let Some(theirs) = self.apps.get_mut(uid) else {
                return Ok(());
            };
            if !matches!(theirs.state, AppState::Planned) || app.client_secret.is_none() {
                return Ok(());
            }
            if theirs.id == UNNUMBERED {
                theirs.id = fresh.pop().unwrap_or(UNNUMBERED);
                self.summary.apps_renumbered += 1;
            }
            theirs.state = AppState::Made;
            self.summary.apps_made += 1;
            let owner = app.owner.as_deref().and_then(|owner| {
                let owner = self.people.get(owner.to_lowercase().as_str())?;
                let since = app.created_at.max(app.owner_since);
                (!is_younger(owner, since, options)).then_some(owner.id)
            });
            self.summary.apps_ownerless += u64::from(app.owner.is_some() && owner.is_none());
            rows.row().map_err(|error| broken(&error))?;
            app_row(&mut rows, &columns, app, theirs.id, owner, options.now);
            Ok(())
        })?;
        let out = rows.finish().map_err(|error| broken(&error))?;
        match out.finish() {
            Ok(_) => {}
            Err(error) if is_race(&error) => self.is_given_up = true,
            Err(error) => return Err(during(MAKING)(error).into()),
        }
        Ok(())
    }

    /// Sends the tokens that `tell` tells of. `None` where that can't be done this way: then nothing is changed.
    ///
    /// # Errors
    /// [`Error`], or that of `tell`.
    pub fn tokens<E: From<Error>>(
        self,
        tell: impl FnOnce(&mut Tokens<'_>) -> Result<(), E>,
    ) -> Result<Option<Bulked>, E> {
        let Self {
            restore,
            people,
            apps,
            web,
            summary,
            is_given_up,
        } = self;
        if is_given_up {
            restore.take_back()?;
            return Ok(None);
        }
        let statement = format!(
            "COPY oauth_access_tokens ({}) FROM STDIN (FORMAT binary)",
            TOKEN_COLUMNS.join(", ")
        );
        let out = restore
            .transaction
            .copy_in(&statement)
            .map_err(during(WRITING))?;
        let mut tokens = Tokens {
            rows: Rows::new(out, 8),
            people: &people,
            apps: &apps,
            web,
            options: &restore.options,
            app_fates: HashMap::new(),
            user_fates: HashMap::new(),
            verdicts: BTreeMap::new(),
            bulked: Bulked {
                staged: Staged::default(),
                summary,
                refused: Vec::new(),
                written: Vec::new(),
            },
            is_given_up: false,
        };
        tell(&mut tokens)?;
        let finished = tokens.finish()?;
        if finished.is_none() {
            restore.take_back()?;
            return Ok(None);
        }
        restore.make_indexes()?;
        Ok(finished)
    }

    /// The client_id of an app that is to be made.
    fn missing<'a>(&self, instance: &Domain, app: &'a AppView) -> Option<&'a str> {
        let can_be_made = !app.superapp
            && app.client_secret.is_some()
            && !is_foreign(instance, &self.restore.options)
            && fits_app(app);
        let uid = app.client_id.as_deref().filter(|_| can_be_made)?;
        (!self.apps.contains_key(uid)).then_some(uid)
    }

    /// Moves the sequence of apps past `last`, and takes so many new numbers from it.
    fn numbers(&mut self, last: i64, count: i64) -> Result<Vec<i64>, Error> {
        let Some(sequence) = self.restore.target.sequence(APPS) else {
            return Ok(Vec::new());
        };
        let sequence = quoted(sequence);
        let doing = during(MAKING);
        advance(&mut self.restore.transaction, &sequence, last).map_err(&doing)?;
        let statement = format!("SELECT nextval('{sequence}') FROM generate_series(1, {count})");
        let rows = self
            .restore
            .transaction
            .query_typed(&statement, &[])
            .map_err(&doing)?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }
}

/// Tells of every app that the server held.
pub type Tell<'t, E> =
    &'t dyn Fn(&mut dyn FnMut(&Domain, &AppView) -> Result<(), Error>) -> Result<(), E>;

/// Whether who bears the name came after what is restored.
fn is_younger(person: &Person, issued: Option<Timestamp>, options: &Options) -> bool {
    let (Some(born), Some(issued)) = (person.born, issued) else {
        return false;
    };
    !options.reused_names && born.0 > Moment::from(issued).0 + 1_000_000
}

fn people(
    transaction: &mut Transaction<'_>,
    target: &Target,
) -> Result<HashMap<Box<str>, Person>, Error> {
    let statement = format!(
        "COPY (SELECT lower(a.username), u.id, greatest(a.created_at, u.created_at), ({})::int8 \
         FROM users u JOIN accounts a ON a.id = u.account_id WHERE a.domain IS NULL) TO STDOUT (FORMAT binary)",
        state(target)
    );
    let reader = transaction.copy_out(&statement).map_err(during(LOOKING))?;
    let mut people = HashMap::new();
    copy::rows(reader, |[name, id, born, state]: &[Option<&[u8]>; 4]| {
        if let (Some(name), Some(id)) = (text(*name), copy::int(*id)) {
            let person = Person {
                id,
                born: copy::micros(*born).map(Moment),
                state: copy::int(*state)
                    .and_then(|state| i16::try_from(state).ok())
                    .unwrap_or(0),
            };
            people.insert(name.into(), person);
        }
        Ok::<(), Unread>(())
    })
    .map_err(Unread::error)?;
    Ok(people)
}

fn apps(transaction: &mut Transaction<'_>) -> Result<HashMap<Box<str>, TheirApp>, Error> {
    let statement = "COPY (SELECT uid, id, superapp, secret FROM oauth_applications) \
         TO STDOUT (FORMAT binary)";
    let reader = transaction.copy_out(statement).map_err(during(LOOKING))?;
    let mut apps = HashMap::new();
    copy::rows(
        reader,
        |[uid, id, superapp, secret]: &[Option<&[u8]>; 4]| {
            if let (Some(uid), Some(id)) = (text(*uid), copy::int(*id)) {
                let app = TheirApp {
                    id,
                    is_web: copy::boolean(*superapp) == Some(true),
                    state: AppState::There(Secret::from(text(*secret).unwrap_or_default())),
                };
                apps.insert(uid.into(), app);
            }
            Ok::<(), Unread>(())
        },
    )
    .map_err(Unread::error)?;
    Ok(apps)
}

fn text(field: Option<&[u8]>) -> Option<&str> {
    std::str::from_utf8(field?).ok()
}

/// Why rows of the target could not be read.
struct Unread(copy::Broken);

impl From<copy::Broken> for Unread {
    fn from(broken: copy::Broken) -> Self {
        Self(broken)
    }
}

impl Unread {
    fn error(self) -> Error {
        match self.0 {
            copy::Broken::Io(error) => broken(&error),
            copy::Broken::Malformed => Error::Refused {
                doing: LOOKING,
                said: "what it sent is no COPY data".to_owned(),
            },
        }
    }
}

fn app_row(
    rows: &mut Rows<CopyInWriter<'_>>,
    columns: &[&str],
    app: &AppView,
    id: i64,
    owner: Option<i64>,
    now: Timestamp,
) {
    let redirect_uris = app.redirect_uris.join("\n");
    for column in columns {
        match *column {
            "id" => rows.int8(Some(id)),
            "name" => rows.text(app.name.as_deref().or(app.client_id.as_deref())),
            "uid" => rows.text(app.client_id.as_deref()),
            "secret" => rows.text(app.client_secret.as_ref().map(Secret::expose)),
            "redirect_uri" if redirect_uris.is_empty() => rows.text(Some(OUT_OF_BAND)),
            "redirect_uri" => rows.text(Some(&redirect_uris)),
            "scopes" => rows.text(Some(app.scopes.as_ref().map_or("", Scopes::as_str))),
            "website" => rows.text(app.website.as_deref()),
            "confidential" => rows.bool(Some(app.confidential.unwrap_or(true))),
            "owner_type" => rows.text(owner.map(|_| "User")),
            "owner_id" => rows.int8(owner),
            "created_at" => rows.int8(Some(micros(app.created_at.unwrap_or(now)))),
            _ => rows.int8(Some(micros(now))),
        }
    }
}

/// Columns that an app is written to, where they are there; `superapp` is false by default.
const APP_COLUMNS: [&str; 12] = [
    "id",
    "name",
    "uid",
    "secret",
    "redirect_uri",
    "scopes",
    "website",
    "confidential",
    "owner_type",
    "owner_id",
    "created_at",
    "updated_at",
];
const UNNUMBERED: i64 = 0;
const OUT_OF_BAND: &str = "urn:ietf:wg:oauth:2.0:oob";
const SAVEPOINT: &str = "SAVEPOINT tuskvault_bulk";
const LOOKING: &str = "looking at the users and applications";
const MAKING: &str = "making the apps";
const WRITING: &str = "writing the tokens";
