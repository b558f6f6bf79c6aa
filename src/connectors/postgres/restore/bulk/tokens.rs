//! Tokens on the short way: each gets its verdict here and goes straight into its table.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use postgres::CopyInWriter;

use crate::{
    connectors::postgres::restore::{
        Dead, Options,
        binary::Rows,
        error::{Error, during, is_race},
        judge::{
            Facts, fits_app, fits_token, is_app_known, is_from_server, is_left_out, is_text, judge,
        },
        outcome::{self, Outcome, Verdict},
        staging::{broken, lifetime, micros},
    },
    model::{Action, AppView, Record, Scopes, Secret, Token, TokenId, User},
};

use super::{AppState, Bulked, Person, TheirApp, WRITING, is_younger};

/// A token whose app and user are named by numbers that mean the same from one token to the next.
#[derive(Debug, Clone, Copy)]
pub struct Line<'a> {
    /// Its id.
    pub id: TokenId,
    /// How many characters of the id name it.
    pub id_digits: usize,
    /// The token.
    pub token: &'a Token,
    /// When it was revoked, as far as is known by now.
    pub revoked_at: Option<Timestamp>,
    /// When it was seen first.
    pub first_seen: Timestamp,
    /// Whether a server's database held it.
    pub is_from_server: bool,
}

/// Takes tokens straight into their table.
pub struct Tokens<'a> {
    pub(super) rows: Rows<CopyInWriter<'a>>,
    pub(super) people: &'a HashMap<Box<str>, Person>,
    pub(super) apps: &'a HashMap<Box<str>, TheirApp>,
    pub(super) web: Option<i64>,
    pub(super) options: &'a Options,
    pub(super) app_fates: HashMap<u64, AppFate>,
    pub(super) user_fates: HashMap<u64, UserFate>,
    pub(super) verdicts: BTreeMap<Verdict, u64>,
    pub(super) bulked: Bulked,
    pub(super) is_given_up: bool,
}

/// What an app means for its tokens.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact")]
pub(super) struct AppFate {
    is_session: bool,
    is_known: bool,
    fits: bool,
    id: Result<Option<i64>, Verdict>,
    /// It would have to be made after all.
    is_new: bool,
}

/// What a user means for the tokens.
#[derive(Debug, Clone, Copy)]
pub(super) struct UserFate {
    is_known: bool,
    fits: bool,
    /// `None` of an app's own token.
    person: Result<Option<Person>, Verdict>,
}

impl Tokens<'_> {
    /// Takes a token. Its app and its user are asked for once for each number.
    ///
    /// # Errors
    /// [`Error`] when the connection breaks, or that of `app` or `user`.
    pub fn take<E: From<Error>>(
        &mut self,
        line: &Line<'_>,
        app: &dyn Fn() -> Result<AppView, E>,
        user: &dyn Fn() -> Result<User, E>,
    ) -> Result<(), E> {
        let token = line.token;
        let app_fate = match token.app.and_then(|key| self.app_fates.get(&key)) {
            Some(fate) => *fate,
            None => {
                let fate = self.app_fate(&app()?, line.is_from_server);
                self.app_fates.extend(token.app.map(|key| (key, fate)));
                fate
            }
        };
        let user_fate = match token.account.and_then(|key| self.user_fates.get(&key)) {
            Some(fate) => *fate,
            None => {
                let fate = self.user_fate(&user()?);
                self.user_fates.extend(token.account.map(|key| (key, fate)));
                fate
            }
        };
        let verdict = self.put(line, app_fate, user_fate)?;
        if verdict.action() == Action::Refuse
            && !is_left_out(verdict, self.options)
            && self.bulked.refused.len() < MOST_TOLD
        {
            let detail = outcome::detail(&outcome::what(&user()?, &app()?), verdict, 0, 0);
            self.bulked.refused.push(Outcome {
                id: line.id,
                id_digits: line.id_digits,
                verdict,
                detail,
            });
        }
        Ok(())
    }

    /// Takes a token that was joined over several sources.
    ///
    /// # Errors
    /// [`Error`] when the connection breaks.
    pub fn take_record(&mut self, record: &Record) -> Result<(), Error> {
        let token = Token {
            refresh_token: record.refresh_token.clone(),
            scopes: record.scopes.clone(),
            created_at: record.created_at,
            expires_at: record.expires_at,
            ..Token::new(record.instance.clone(), record.access_token.clone())
        };
        let Some(first_seen) = record.first_seen() else {
            return Ok(());
        };
        let line = Line {
            id: record.id,
            id_digits: record.id_digits,
            token: &token,
            revoked_at: record.revoked_at,
            first_seen,
            is_from_server: is_from_server(record),
        };
        self.take::<Error>(&line, &|| Ok(record.app.clone()), &|| {
            Ok(record.user.clone())
        })
    }

    fn put(&mut self, line: &Line<'_>, app: AppFate, user: UserFate) -> Result<Verdict, Error> {
        let token = line.token;
        let facts = Facts {
            instance: &token.instance,
            is_session: app.is_session,
            is_app_known: app.is_known,
            is_user_known: user.is_known,
            issued: Some(token.created_at.unwrap_or(line.first_seen)),
            expires_at: token.expires_at,
            revoked_at: line.revoked_at,
            fits: app.fits
                && user.fits
                && fits_token(
                    &token.access_token,
                    token.refresh_token.as_ref(),
                    token.scopes.as_ref(),
                    line.revoked_at,
                ),
        };
        let options = self.options;
        let judged = judge(&facts, options).and_then(|issued| {
            let person = user.person?;
            if person.is_some_and(|person| is_younger(&person, Some(issued), options)) {
                return Err(Verdict::Younger);
            }
            Ok((issued, person, app.id?))
        });
        let (issued, person, app_id) = match judged {
            Ok(row) => row,
            Err(verdict) if is_left_out(verdict, options) => {
                *self.bulked.staged.left_out.entry(verdict).or_default() += 1;
                return Ok(verdict);
            }
            Err(verdict) => {
                *self.verdicts.entry(verdict).or_default() += 1;
                return Ok(verdict);
            }
        };
        self.is_given_up |= app.is_new;
        if self.is_given_up {
            return Ok(Verdict::New);
        }
        *self.verdicts.entry(Verdict::New).or_default() += 1;
        self.bulked.summary.waiting += u64::from(person.is_some_and(|person| person.state != 0));
        if self.bulked.written.len() <= MOST_WRITTEN {
            self.bulked.written.push(line.id);
        }
        let revoked_at = line.revoked_at.filter(|_| options.dead != Dead::Clear);
        let rows = &mut self.rows;
        if let Err(error) = rows.row() {
            // What the server says against a row is heard at the end.
            self.is_given_up = true;
            return match broken(&error) {
                Error::Refused { .. } => Ok(Verdict::New),
                error => Err(error),
            };
        }
        rows.text(Some(token.access_token.expose()));
        rows.text(token.refresh_token.as_ref().map(Secret::expose));
        rows.int4(token.expires_at.map(|end| lifetime(issued, end)));
        rows.int8(revoked_at.map(micros));
        rows.int8(Some(micros(issued)));
        rows.text(token.scopes.as_ref().map(Scopes::as_str));
        rows.int8(app_id);
        rows.int8(person.map(|person| person.id));
        Ok(Verdict::New)
    }

    fn app_fate(&mut self, app: &AppView, is_from_server: bool) -> AppFate {
        let mut fate = AppFate {
            is_session: app.superapp,
            is_known: is_app_known(app, is_from_server),
            fits: fits_app(app),
            id: Ok(None),
            is_new: false,
        };
        if app.superapp {
            fate.id = self.web.map(Some).ok_or(Verdict::NoWebApp);
            return fate;
        }
        let Some(uid) = app.client_id.as_deref() else {
            return fate;
        };
        match self.apps.get(uid) {
            Some(theirs) if theirs.is_web => fate.id = Err(Verdict::IsWebApp),
            Some(theirs) => {
                fate.id = Ok(Some(theirs.id));
                if let (AppState::There(secret), Some(saved)) = (&theirs.state, &app.client_secret)
                    && secret != saved
                {
                    self.bulked.summary.apps_differing += 1;
                }
            }
            None if app.client_secret.is_none() => fate.id = Err(Verdict::NoSecret),
            None => fate.is_new = true,
        }
        fate
    }

    fn user_fate(&self, user: &User) -> UserFate {
        UserFate {
            is_known: *user != User::Unknown,
            fits: user.name().is_none_or(is_text),
            person: match user {
                User::Named(name) => match self.people.get(name.to_lowercase().as_str()) {
                    Some(person) => Ok(Some(*person)),
                    None => Err(Verdict::NoSuchUser),
                },
                User::Application | User::Unknown => Ok(None),
            },
        }
    }

    pub(super) fn finish(self) -> Result<Option<Bulked>, Error> {
        let Self {
            rows,
            verdicts,
            mut bulked,
            is_given_up,
            ..
        } = self;
        if is_given_up {
            // Without an end the server takes it back.
            return Ok(None);
        }
        let out = rows.finish().map_err(|error| broken(&error))?;
        match out.finish() {
            Ok(_) => {}
            Err(error) if is_race(&error) => return Ok(None),
            Err(error) => return Err(during(WRITING)(error)),
        }
        bulked.staged.sent = verdicts.values().sum();
        bulked.summary.verdicts = verdicts.into_iter().collect();
        Ok(Some(bulked))
    }
}

/// So many refusals are told one by one.
const MOST_TOLD: usize = 100;
/// So many ids of written tokens are kept, and one more.
const MOST_WRITTEN: usize = 1_000;
