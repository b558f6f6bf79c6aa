//! The first step: records stream into a temporary table, each user and each app once.
//!
//! What a record alone decides is decided here, so that a session or a revoked token that is left out is not even sent.

use std::{
    collections::{BTreeMap, HashMap},
    io,
};

use jiff::Timestamp;
use postgres::{CopyInWriter, Transaction};

use super::{
    Dead, Options,
    binary::Rows,
    error::{Error, during},
    judge::{Facts, fits, fits_app, is_foreign, is_from_server, is_left_out, judge},
    outcome::Verdict,
};
use crate::model::{AppView, Domain, Moment, Record, Scopes, Secret, TokenId};

/// The columns of the temporary table. The first row of a user (of an owner) brings the name; rows that know more of
/// an app than the rows before bring what they know.
const COLUMNS: [(&str, &str); 26] = [
    ("n", "int4"),
    ("id", "bytea"),
    ("digits", "int2"),
    ("verdict", "int2"),
    ("user_no", "int4"),
    ("user_name", "text"),
    ("app_no", "int4"),
    ("app_rank", "int2"),
    ("uid", "text"),
    ("secret", "text"),
    ("app_name", "text"),
    ("redirect_uri", "text"),
    ("app_scopes", "text"),
    ("website", "text"),
    ("confidential", "bool"),
    ("app_created_at", "timestamp"),
    ("server_id", "int8"),
    ("owner_no", "int4"),
    ("owner_name", "text"),
    ("owner_since", "timestamp"),
    ("token", "text"),
    ("refresh_token", "text"),
    ("expires_in", "int4"),
    ("revoked_at", "timestamp"),
    ("created_at", "timestamp"),
    ("scopes", "text"),
];

/// The number of the server's own web interface among the apps.
pub(super) const WEB: i32 = 0;

/// Makes the table.
pub(super) fn create(transaction: &mut Transaction<'_>) -> Result<(), Error> {
    let columns: Vec<String> = COLUMNS
        .iter()
        .map(|(name, kind)| format!("{name} {kind}"))
        .collect();
    let statement = format!(
        "CREATE TEMP TABLE tuskvault_staged ({}) ON COMMIT DROP",
        columns.join(", ")
    );
    transaction.batch_execute(&statement).map_err(during(DOING))
}

/// What was sent, and what was not.
#[derive(Debug, Clone, Default)]
pub struct Staged {
    /// How many records were sent: each gets an outcome.
    pub sent: u64,
    /// How many were left out, by why.
    pub left_out: BTreeMap<Verdict, u64>,
    /// How many apps can't be restored, by why.
    pub unfit_apps: BTreeMap<Verdict, u64>,
    pub(super) has_refresh_tokens: bool,
}

/// Takes records, one at a time.
pub struct Staging<'a> {
    rows: Rows<CopyInWriter<'a>>,
    options: Options,
    users: HashMap<Box<str>, i32>,
    apps: HashMap<Box<str>, (i32, i16)>,
    staged: Staged,
    next: i32,
}

/// An app on its way: what is known of it, and its number.
struct Known<'r> {
    number: i32,
    /// How much is known; `None` when rows before said as much.
    rank: Option<i16>,
    app: &'r AppView,
    scopes: &'r str,
    redirect_uris: String,
    owner: Option<(i32, Option<&'r str>)>,
}

impl<'a> Staging<'a> {
    pub(super) fn begin(
        transaction: &'a mut Transaction<'_>,
        options: Options,
    ) -> Result<Self, Error> {
        let names: Vec<&str> = COLUMNS.iter().map(|(name, _)| *name).collect();
        let statement = format!(
            "COPY pg_temp.tuskvault_staged ({}) FROM STDIN (FORMAT binary)",
            names.join(", ")
        );
        let out = transaction.copy_in(&statement).map_err(during(DOING))?;
        Ok(Self {
            rows: Rows::new(out, 26),
            options,
            users: HashMap::new(),
            apps: HashMap::new(),
            staged: Staged::default(),
            next: 0,
        })
    }

    /// Takes a record.
    ///
    /// # Errors
    /// [`Error`] when the connection breaks.
    pub fn take(&mut self, record: &Record) -> Result<(), Error> {
        match judge(&Facts::of(record), &self.options) {
            Ok(issued) => self.send(record, issued),
            Err(verdict) if is_left_out(verdict, &self.options) => {
                *self.staged.left_out.entry(verdict).or_default() += 1;
                Ok(())
            }
            Err(verdict) => self.refuse(record, verdict),
        }
    }

    /// Takes an app by itself, which is made even if no token needs it; apps come before tokens.
    ///
    /// # Errors
    /// [`Error`] when the connection breaks.
    pub fn take_app(&mut self, instance: &Domain, app: &AppView) -> Result<(), Error> {
        // The web interface's own is never made.
        if app.superapp {
            return Ok(());
        }
        let verdict = if is_foreign(instance, &self.options) {
            Some(Verdict::OtherInstance)
        } else if !fits_app(app) {
            Some(Verdict::Unfit)
        } else if app.client_id.is_none() {
            Some(Verdict::AppUnknown)
        } else {
            None
        };
        if let Some(verdict) = verdict {
            *self.staged.unfit_apps.entry(verdict).or_default() += 1;
            return Ok(());
        }
        let is_from_server = true;
        let app = self.app(app, is_from_server, None);
        if app.as_ref().is_some_and(|app| app.rank.is_none()) {
            return Ok(());
        }
        self.head(None, 0, None)?;
        self.rows.int4(None);
        self.rows.text(None);
        self.app_columns(app.as_ref());
        for _ in TOKEN_FIELDS {
            self.rows.null();
        }
        Ok(())
    }

    /// Ends the table.
    ///
    /// # Errors
    /// [`Error`] when the connection breaks, or the server can't hold the rows.
    pub fn finish(self) -> Result<Staged, Error> {
        let out = self.rows.finish().map_err(|error| broken(&error))?;
        out.finish().map_err(during(DOING))?;
        Ok(self.staged)
    }

    fn send(&mut self, record: &Record, issued: Timestamp) -> Result<(), Error> {
        let user = record.user.name().map(|name| self.user(name));
        let app = self.app(&record.app, is_from_server(record), record.scopes.as_ref());
        self.staged.has_refresh_tokens |= record.refresh_token.is_some();
        self.head(Some(&record.id), record.id_digits, None)?;
        self.rows.int4(user.map(|(number, _)| number));
        self.rows.text(user.and_then(|(_, name)| name));
        self.app_columns(app.as_ref());
        let revoked_at = record
            .revoked_at
            .filter(|_| self.options.dead != Dead::Clear);
        self.rows.text(Some(record.access_token.expose()));
        self.rows
            .text(record.refresh_token.as_ref().map(Secret::expose));
        self.rows
            .int4(record.expires_at.map(|end| lifetime(issued, end)));
        self.rows.int8(revoked_at.map(micros));
        self.rows.int8(Some(micros(issued)));
        self.rows.text(record.scopes.as_ref().map(Scopes::as_str));
        Ok(())
    }

    /// Sends who and what it is, as far as that can be sent, and nothing that could be written.
    fn refuse(&mut self, record: &Record, verdict: Verdict) -> Result<(), Error> {
        self.head(Some(&record.id), record.id_digits, Some(verdict))?;
        if !fits(record) {
            for _ in HEAD_FIELDS..COLUMNS.len() {
                self.rows.null();
            }
            return Ok(());
        }
        let user = record.user.name().map(|name| self.user(name));
        let app = self.app(&record.app, is_from_server(record), record.scopes.as_ref());
        self.rows.int4(user.map(|(number, _)| number));
        self.rows.text(user.and_then(|(_, name)| name));
        self.app_columns(app.as_ref());
        for _ in TOKEN_FIELDS {
            self.rows.null();
        }
        Ok(())
    }

    /// Begins a row; one without an id is an app's.
    fn head(
        &mut self,
        id: Option<&TokenId>,
        digits: usize,
        verdict: Option<Verdict>,
    ) -> Result<(), Error> {
        self.rows.row().map_err(|error| broken(&error))?;
        self.rows.int4(Some(self.next));
        self.rows.bytes(id.map(|id| id.0.as_slice()));
        self.rows.int2(i16::try_from(digits).ok());
        self.rows.int2(verdict.map(Verdict::number));
        self.next = self.next.saturating_add(1);
        self.staged.sent += u64::from(id.is_some());
        Ok(())
    }

    /// The number of a user, and the name where it is new.
    fn user<'r>(&mut self, name: &'r str) -> (i32, Option<&'r str>) {
        if let Some(&number) = self.users.get(name) {
            return (number, None);
        }
        let number = count(self.users.len());
        self.users.insert(name.into(), number);
        (number, Some(name))
    }

    fn app<'r>(
        &mut self,
        app: &'r AppView,
        is_from_server: bool,
        scopes: Option<&'r Scopes>,
    ) -> Option<Known<'r>> {
        let scopes = match (&app.scopes, is_from_server) {
            (Some(scopes), _) => scopes.as_str(),
            // The server's own word for "the usual scopes".
            (None, true) => "",
            (None, false) => scopes.map_or("read", Scopes::as_str),
        };
        if app.superapp {
            return Some(Known {
                number: WEB,
                rank: None,
                app,
                scopes,
                redirect_uris: String::new(),
                owner: None,
            });
        }
        let client_id = app.client_id.as_deref()?;
        let rank = rank(app, is_from_server);
        let (number, is_new) = match self.apps.get_mut(client_id) {
            Some((number, known)) => {
                let knows_more = rank > *known;
                *known = rank.max(*known);
                (*number, knows_more)
            }
            None => {
                let number = WEB + 1 + count(self.apps.len());
                self.apps.insert(client_id.into(), (number, rank));
                (number, true)
            }
        };
        let owner = app
            .owner
            .as_deref()
            .filter(|_| is_new)
            .map(|owner| self.user(owner));
        Some(Known {
            number,
            rank: is_new.then_some(rank),
            app,
            scopes,
            redirect_uris: if is_new {
                app.redirect_uris.join("\n")
            } else {
                String::new()
            },
            owner,
        })
    }

    fn app_columns(&mut self, known: Option<&Known<'_>>) {
        let rows = &mut self.rows;
        rows.int4(known.map(|known| known.number));
        let Some(known @ Known { app, .. }) = known.filter(|known| known.rank.is_some()) else {
            for _ in APP_FIELDS {
                rows.null();
            }
            return;
        };
        rows.int2(known.rank);
        rows.text(app.client_id.as_deref());
        rows.text(app.client_secret.as_ref().map(Secret::expose));
        rows.text(app.name.as_deref());
        rows.text((!known.redirect_uris.is_empty()).then_some(&known.redirect_uris));
        rows.text(Some(known.scopes));
        rows.text(app.website.as_deref());
        rows.bool(app.confidential);
        rows.int8(app.created_at.map(micros));
        rows.int8(app.server_id.and_then(|id| i64::try_from(id).ok()));
        rows.int4(known.owner.map(|(number, _)| number));
        rows.text(known.owner.and_then(|(_, name)| name));
        rows.int8(app.owner_since.map(micros));
    }
}

/// Up to `verdict`.
const HEAD_FIELDS: usize = 4;
/// From `app_rank` to `owner_since`, and from `token` on.
const APP_FIELDS: std::ops::Range<usize> = 7..20;
const TOKEN_FIELDS: std::ops::Range<usize> = 20..26;

const DOING: &str = "sending the records";

pub(super) fn broken(error: &io::Error) -> Error {
    match error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<postgres::Error>())
    {
        Some(inner) if inner.as_db_error().is_some() => Error::Refused {
            doing: DOING,
            said: inner
                .as_db_error()
                .map_or_else(String::new, |said| said.message().to_owned()),
        },
        _ => Error::Gone {
            doing: DOING,
            said: error.to_string(),
        },
    }
}

fn count(length: usize) -> i32 {
    i32::try_from(length).unwrap_or(i32::MAX)
}

/// How much is known of an app: the server's own word counts most, then a secret, without which it can't be made.
fn rank(app: &AppView, is_from_server: bool) -> i16 {
    let known = [
        app.name.is_some(),
        !app.redirect_uris.is_empty(),
        app.scopes.is_some(),
        app.website.is_some(),
        app.confidential.is_some(),
        app.created_at.is_some(),
        app.server_id.is_some(),
        app.owner.is_some(),
    ];
    let known = known.iter().map(|known| i16::from(*known)).sum::<i16>();
    32 * i16::from(app.client_secret.is_some()) + 16 * i16::from(is_from_server) + known
}

/// Seconds from issue to expiry, as Doorkeeper keeps it.
pub(super) fn lifetime(issued: Timestamp, end: Timestamp) -> i32 {
    let seconds = end.as_second() - issued.as_second();
    i32::try_from(seconds).unwrap_or(if seconds < 0 { 0 } else { i32::MAX })
}

/// Microseconds since 2000-01-01, as PostgreSQL keeps a `timestamp`.
pub(super) fn micros(time: Timestamp) -> i64 {
    Moment::from(time).0 - POSTGRES_EPOCH
}

/// 2000-01-01 in microseconds since 1970-01-01.
const POSTGRES_EPOCH: i64 = 946_684_800_000_000;
