//! History as lines: what `export json --history` writes, so that another vault gets the runs too.
//!
//! A run is a line `{"run":…}` (the object that `log` prints, and how its rows are keyed), followed by its rows: all
//! that its source held then (`"rows":"full"`), or what differs from the run of the same source before it
//! (`"rows":"changes"`). A row is `{"account":{…}}`, `{"app":{…}}` or `{"token":{…}}` with its key in `row`, put or
//! replaced; `{"gone":{"relation":"token","row":"7"}}` takes one away. `{"end":…}` with the run's number
//! closes it: a run without it was cut off. `{"verified":{…}}` is what an instance answered about a token of the run. Runs of a source stand in the order of their
//! effective time, rows before those that name them: accounts, apps, tokens. Row keys are strings, since JSON's
//! numbers end at 2^53 in many readers.

use std::collections::BTreeMap;

use serde::Serialize;
use zeroize::Zeroizing;

use crate::{
    connectors::{Error, error::Problem},
    model::{
        Account, Actor, App, Counts, Keys, Row, Run, RunCounts, RunOutcome, Scope, Snapshot,
        Source, SourceId, SourceKey, Token, Verification,
    },
};

use super::{
    fields::{Fields, Objects},
    read,
    view::{self, AppJson, RunJson, VerifiedJson},
};

/// One line of a history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HistoryLine {
    /// A run begins.
    Run(Box<RunLine>),
    /// The run holds this account.
    Account(Row<Account>),
    /// The run holds this app.
    App(Row<App>),
    /// The run holds this token.
    Token(Row<Token>),
    /// What an instance answered about the token of this row.
    Answer(Row<Verification>),
    /// The run no longer holds this row.
    Gone(Relation, u64),
    /// The run of this number is complete.
    End(u64),
}

/// The head of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunLine {
    /// The run. Its number and the number of its source are those of the vault that wrote it.
    pub run: Run,
    /// What the row keys mean.
    pub keys: Keys,
    /// What the rows are.
    pub rows: Rows,
}

/// What the rows of a run are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rows {
    /// All that the source held.
    Full,
    /// What differs from the run of the same source before it.
    Changes,
}

/// One of the three relations of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// Accounts.
    Accounts,
    /// Apps.
    Apps,
    /// Tokens.
    Tokens,
}

impl HistoryLine {
    /// The line as JSON, without the line's end. Rows hold secrets.
    pub fn to_json(&self) -> Zeroizing<String> {
        match self {
            Self::Run(head) => view::line(&RunHead {
                run: RunJson::new(&head.run),
                keys: keys_name(head.keys),
                rows: match head.rows {
                    Rows::Full => "full",
                    Rows::Changes => "changes",
                },
            }),
            Self::Account(row) => view::line(&Line::Account(AccountRow {
                row: row.key.to_string(),
                instance: row.body.instance.as_str(),
                user: row.body.username.as_deref(),
                created_at: row.body.created_at,
            })),
            Self::App(row) => view::line(&Line::App(AppRow {
                row: row.key.to_string(),
                instance: row.body.instance.as_str(),
                app: AppJson::of_row(&row.body),
                owner_row: row.body.owner.map(|key| key.to_string()),
            })),
            Self::Token(row) => view::line(&Line::Token(TokenRow {
                row: row.key.to_string(),
                token: &row.body,
            })),
            Self::Answer(row) => view::line(&Line::Verified(AnswerRow {
                row: row.key.to_string(),
                answer: VerifiedJson::new(&row.body),
            })),
            Self::Gone(relation, key) => view::line(&Line::Gone(GoneRow {
                relation: relation.name(),
                row: key.to_string(),
            })),
            Self::End(run) => view::line(&Line::End(*run)),
        }
    }

    fn read(mut fields: Fields) -> Result<Self, Problem> {
        let line = if fields.has("run") {
            return RunLine::read(fields).map(|head| Self::Run(Box::new(head)));
        } else if fields.has("account") {
            let mut row = fields.object("account")?;
            let line = Self::Account(Row {
                key: key(&mut row, "row")?,
                body: Account {
                    instance: read::instance(&mut row)?,
                    username: row.plain("user")?,
                    created_at: row.time("created_at")?,
                },
            });
            row.finish()?;
            line
        } else if fields.has("app") {
            Self::App(app_row(fields.object("app")?)?)
        } else if fields.has("token") {
            Self::Token(token_row(fields.object("token")?)?)
        } else if fields.has("verified") {
            let mut row = fields.object("verified")?;
            let key = key(&mut row, "row")?;
            let time = fields.problem("\"at\" is missing");
            let body = read::verification(row)?.ok_or(time)?;
            Self::Answer(Row { key, body })
        } else if fields.has("gone") {
            let mut row = fields.object("gone")?;
            let relation = row.plain("relation")?;
            let relation = Relation::named(&row.need("relation", relation)?);
            let relation = relation.ok_or_else(|| {
                row.problem("\"relation\" must be \"account\", \"app\" or \"token\"")
            })?;
            let line = Self::Gone(relation, key(&mut row, "row")?);
            row.finish()?;
            line
        } else if fields.has("end") {
            let run = fields.whole("end")?;
            Self::End(fields.need("end", run)?)
        } else {
            return Err(
                fields.problem("expected a run, account, app, token, verified, gone or end")
            );
        };
        fields.finish()?;
        Ok(line)
    }
}

impl Relation {
    fn name(self) -> &'static str {
        match self {
            Self::Accounts => "account",
            Self::Apps => "app",
            Self::Tokens => "token",
        }
    }

    fn named(name: &str) -> Option<Self> {
        [Self::Accounts, Self::Apps, Self::Tokens]
            .into_iter()
            .find(|relation| relation.name() == name)
    }
}

impl RunLine {
    fn read(mut fields: Fields) -> Result<Self, Problem> {
        let number = fields.whole("run")?;
        let connector = fields.plain("source")?;
        let location = fields.plain("location")?;
        let effective_at = fields.time("effective_at")?;
        let recorded_at = fields.time("recorded_at")?;
        let instance = if fields.has("instance") {
            optional_instance(&mut fields)?
        } else {
            None
        };
        let mut by = fields.object("recorded_by")?;
        let actor = Actor {
            user: by.plain("user")?.unwrap_or_default(),
            host: by.plain("host")?.unwrap_or_default(),
        };
        by.finish()?;
        let counts = RunCounts {
            tokens: counts(&mut fields, "tokens")?,
            apps: counts(&mut fields, "apps")?,
            accounts: counts(&mut fields, "accounts")?,
        };
        let outcome = fields.plain("outcome")?;
        let (keys, rows) = (fields.plain("keys")?, fields.plain("rows")?);
        let head = Self {
            keys: match keys.as_deref() {
                Some("server") => Keys::Server,
                Some("local") | None => Keys::Local,
                Some(_) => return Err(fields.problem("\"keys\" must be \"server\" or \"local\"")),
            },
            rows: match rows.as_deref() {
                Some("full") | None => Rows::Full,
                Some("changes") => Rows::Changes,
                Some(_) => return Err(fields.problem("\"rows\" must be \"full\" or \"changes\"")),
            },
            run: Run {
                id: fields.need("run", number)?,
                source: Source {
                    id: SourceId(0),
                    key: SourceKey {
                        connector: fields.need("source", connector)?,
                        location: fields.need("location", location)?,
                        host: fields.plain("host")?.unwrap_or_default(),
                    },
                    instance,
                },
                effective_at: fields.need("effective_at", effective_at)?,
                recorded_at: fields.need("recorded_at", recorded_at)?,
                actor,
                tool_version: fields.plain("tool_version")?.unwrap_or_default(),
                scope: fields.plain("user")?.map_or(Scope::All, Scope::User),
                outcome: outcome_of(outcome.as_deref())
                    .ok_or_else(|| fields.problem("\"outcome\" is none that a run has"))?,
                from_the_future: fields.flag("from_the_future")?.unwrap_or(false),
                note: fields.plain("note")?,
                counts,
                warnings: fields.list("warnings")?.unwrap_or_default(),
            },
        };
        fields.finish()?;
        Ok(head)
    }
}

/// Whether the material holds runs rather than records.
pub fn is_history(bytes: &[u8]) -> bool {
    matches!(Objects::new(bytes).next(), Some(Ok(fields)) if fields.has("run"))
}

/// The lines of a history. `location` names the material in errors.
///
/// The iterator ends at the first error: what follows it can't be trusted.
pub fn lines<'a>(
    bytes: &'a [u8],
    location: &'a std::path::Path,
) -> impl Iterator<Item = Result<HistoryLine, Error>> + use<'a> {
    let mut failed = false;
    Objects::new(bytes).map_while(move |object| {
        if failed {
            return None;
        }
        let line = object.and_then(HistoryLine::read);
        failed = line.is_err();
        Some(line.map_err(|problem| problem.at(location)))
    })
}

/// The runs of a history, each as its head and the snapshot of all that its source held then: ready to be recorded
/// in another vault. Holds one state per source.
///
/// A snapshot's `effective_at`, `scope` and `completeness` are the run's.
pub fn replay<'a>(
    bytes: &'a [u8],
    location: &'a std::path::Path,
) -> impl Iterator<Item = Result<(RunLine, Snapshot), Error>> + use<'a> {
    let mut lines = lines(bytes, location);
    let mut states: BTreeMap<SourceKey, State> = BTreeMap::new();
    let mut failed = false;
    std::iter::from_fn(move || {
        if failed {
            return None;
        }
        let run = match lines.next()? {
            Ok(HistoryLine::Run(head)) => one_run(*head, &mut lines, &mut states, location),
            Ok(_) => Err(Problem("a row stands outside of a run".to_owned()).at(location)),
            Err(error) => Err(error),
        };
        failed = run.is_err();
        Some(run)
    })
}

fn one_run(
    head: RunLine,
    lines: &mut impl Iterator<Item = Result<HistoryLine, Error>>,
    states: &mut BTreeMap<SourceKey, State>,
    location: &std::path::Path,
) -> Result<(RunLine, Snapshot), Error> {
    let state = states.entry(head.run.source.key.clone()).or_default();
    if head.rows == Rows::Full {
        *state = State::default();
    }
    state.answers.clear();
    loop {
        match lines.next().transpose()? {
            Some(HistoryLine::End(run)) if run == head.run.id => break,
            None | Some(HistoryLine::End(_) | HistoryLine::Run(_)) => {
                let cut = format!("run {} is cut off", head.run.id);
                return Err(Problem(cut).at(location));
            }
            Some(row) => state.apply(row),
        }
    }
    let snapshot = state.snapshot(&head);
    Ok((head, snapshot))
}

/// What a source held at one moment, by row keys.
#[derive(Default)]
struct State {
    accounts: BTreeMap<u64, Account>,
    apps: BTreeMap<u64, App>,
    tokens: BTreeMap<u64, Token>,
    /// Those that stand in the run.
    answers: Vec<(u64, Verification)>,
}

impl State {
    fn apply(&mut self, line: HistoryLine) {
        match line {
            HistoryLine::Run(_) | HistoryLine::End(_) => {}
            HistoryLine::Account(row) => drop(self.accounts.insert(row.key, row.body)),
            HistoryLine::App(row) => drop(self.apps.insert(row.key, row.body)),
            HistoryLine::Token(row) => drop(self.tokens.insert(row.key, row.body)),
            HistoryLine::Answer(row) => self.answers.push((row.key, row.body)),
            HistoryLine::Gone(Relation::Accounts, key) => drop(self.accounts.remove(&key)),
            HistoryLine::Gone(Relation::Apps, key) => drop(self.apps.remove(&key)),
            HistoryLine::Gone(Relation::Tokens, key) => drop(self.tokens.remove(&key)),
        }
    }

    fn snapshot(&self, head: &RunLine) -> Snapshot {
        let mut snapshot = Snapshot::of_client(head.run.source.key.clone());
        snapshot.effective_at = Some(head.run.effective_at);
        snapshot.scope = head.run.scope.clone();
        snapshot.completeness = view::completeness(head.run.outcome);
        snapshot.keys = head.keys;
        snapshot.accounts = rows(&self.accounts);
        snapshot.apps = rows(&self.apps);
        snapshot.tokens = rows(&self.tokens);
        snapshot.answers.clone_from(&self.answers);
        for warning in &head.run.warnings {
            snapshot.warn(warning.as_str());
        }
        snapshot
    }
}

fn rows<T: Clone>(rows: &BTreeMap<u64, T>) -> Vec<Row<T>> {
    let rows = rows.iter().map(|(&key, body)| Row {
        key,
        body: body.clone(),
    });
    rows.collect()
}

fn app_row(mut row: Fields) -> Result<Row<App>, Problem> {
    let key_of_row = key(&mut row, "row")?;
    let owner = optional_key(&mut row, "owner_row")?;
    let instance = read::instance(&mut row)?;
    let (mut app, name) = read::app(row, &instance)?;
    debug_assert!(name.is_none(), "a row names its owner by key");
    app.owner = owner;
    Ok(Row {
        key: key_of_row,
        body: app,
    })
}

fn token_row(mut row: Fields) -> Result<Row<Token>, Problem> {
    let key_of_row = key(&mut row, "row")?;
    let app = optional_key(&mut row, "app_row")?;
    let account = optional_key(&mut row, "account_row")?;
    let instance = read::instance(&mut row)?;
    let mut token = read::token(&mut row, instance)?;
    row.finish()?;
    (token.app, token.account) = (app, account);
    Ok(Row {
        key: key_of_row,
        body: token,
    })
}

fn key(fields: &mut Fields, name: &str) -> Result<u64, Problem> {
    let key = optional_key(fields, name)?;
    fields.need(name, key)
}

fn optional_key(fields: &mut Fields, name: &str) -> Result<Option<u64>, Problem> {
    let Some(text) = fields.text(name)? else {
        return Ok(None);
    };
    text.parse()
        .map(Some)
        .map_err(|_| fields.problem(format!("\"{name}\" must be a whole number as a string")))
}

fn optional_instance(fields: &mut Fields) -> Result<Option<crate::model::Domain>, Problem> {
    let Some(text) = fields.text("instance")? else {
        return Ok(None);
    };
    crate::model::Domain::parse(&text)
        .map(Some)
        .map_err(|_| fields.problem("\"instance\" is not the name of an instance"))
}

fn counts(fields: &mut Fields, name: &str) -> Result<Counts, Problem> {
    let mut row = fields.object(name)?;
    let mut count = |name: &str| -> Result<u64, Problem> { Ok(row.whole(name)?.unwrap_or(0)) };
    let counts = Counts {
        seen: count("seen")?,
        added: count("added")?,
        changed: count("changed")?,
        gone: count("gone")?,
        unchanged: count("unchanged")?,
    };
    row.finish()?;
    Ok(counts)
}

fn outcome_of(name: Option<&str>) -> Option<RunOutcome> {
    let Some(name) = name else {
        return Some(RunOutcome::Partial);
    };
    [
        RunOutcome::Complete,
        RunOutcome::Partial,
        RunOutcome::Shrunk,
    ]
    .into_iter()
    .find(|outcome| view::outcome_name(*outcome) == name)
}

fn keys_name(keys: Keys) -> &'static str {
    match keys {
        Keys::Server => "server",
        Keys::Local => "local",
    }
}

#[derive(Serialize)]
struct RunHead<'a> {
    #[serde(flatten)]
    run: RunJson<'a>,
    keys: &'static str,
    rows: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Line<'a> {
    Account(AccountRow<'a>),
    App(AppRow<'a>),
    Token(TokenRow<'a>),
    Verified(AnswerRow<'a>),
    Gone(GoneRow),
    End(u64),
}

#[derive(Serialize)]
struct AccountRow<'a> {
    row: String,
    instance: &'a str,
    user: Option<&'a str>,
    created_at: Option<jiff::Timestamp>,
}

#[derive(Serialize)]
struct AppRow<'a> {
    row: String,
    instance: &'a str,
    #[serde(flatten)]
    app: AppJson<'a>,
    owner_row: Option<String>,
}

struct TokenRow<'a> {
    row: String,
    token: &'a Token,
}

impl Serialize for TokenRow<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct;
        let token = self.token;
        let mut row = serializer.serialize_struct("token", 11)?;
        row.serialize_field("row", &self.row)?;
        row.serialize_field("instance", token.instance.as_str())?;
        row.serialize_field("access_token", token.access_token.expose())?;
        let refresh_token = token
            .refresh_token
            .as_ref()
            .map(crate::model::Secret::expose);
        row.serialize_field("refresh_token", &refresh_token)?;
        row.serialize_field("token_type", &token.token_type)?;
        row.serialize_field("scopes", &view::scopes(token.scopes.as_ref()))?;
        row.serialize_field("created_at", &token.created_at)?;
        row.serialize_field("expires_at", &token.expires_at)?;
        row.serialize_field("revoked_at", &token.revoked_at)?;
        row.serialize_field("app_row", &token.app.map(|key| key.to_string()))?;
        row.serialize_field("account_row", &token.account.map(|key| key.to_string()))?;
        row.end()
    }
}

#[derive(Serialize)]
struct AnswerRow<'a> {
    row: String,
    #[serde(flatten)]
    answer: VerifiedJson<'a>,
}

#[derive(Serialize)]
struct GoneRow {
    relation: &'static str,
    row: String,
}
