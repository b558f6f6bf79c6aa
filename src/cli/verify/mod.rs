//! `verify`: ask instances whether tokens work, and keep what they answer.
//!
//! The vault is open while records are read and while answers are written, not while instances are asked: a backup need
//! not wait for a slow server.

mod answers;
mod tell;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use tuskvault::{
    crypto::Credentials,
    model::{Domain, Record, Selector, User},
    online::{self, Proxy, Question, Settings},
    storage::Access,
    vault::Query,
};

use super::{
    args::{Asking, Restore, Verify},
    error::{Exit, Failure},
    machine,
    report::plural,
    session::Session,
};

use answers::Answers;

pub(crate) use tuskvault::online::Client;

pub(crate) fn run(session: &Session<'_>, args: &Verify) -> Result<Exit, Failure> {
    let client = prepare(session, &args.asking)?;
    let (vault, credentials) = session.open_with_credentials(Access::Read)?;
    let everything = Selector::all();
    let query = Query {
        selector: args.selector.as_ref().unwrap_or(&everything),
        at: session.now.into(),
        all: true,
    };
    let mut records = session.records(&vault, &query)?;
    // What is gone from its app may work all the same: this is how a person finds out.
    records.retain(|record| args.all || record.status.may_work());
    if records.is_empty() {
        return match &args.selector {
            Some(selector) => Err(session.no_match(&vault, selector, &query)?),
            None => Err(Failure::new(
                Exit::NoMatch,
                "the vault holds no token that may work",
            )),
        };
    }
    drop(vault);
    if let Some(instance) = whole_instances(&records).iter().next()
        && args.selector.is_none()
        && !args.all
    {
        return Err(Failure::usage(format!(
            "the vault holds the tokens of everybody at {instance}: asking about them counts as use of each"
        ))
        .hint(format!(
            "name what to ask about, as in `tuskvault verify alice@{instance}` or `tuskvault verify '*@{instance}'`; `--all` asks \
             about every token, revoked and expired ones too"
        )));
    }
    let selector = args.selector.as_ref();
    ask(session, &client, selector, records, &credentials)
}

/// What asks, unless that is forbidden.
pub(crate) fn prepare(session: &Session<'_>, asking: &Asking) -> Result<Client, Failure> {
    if session.global.offline {
        return Err(
            Failure::usage("asking instances is forbidden by `--offline`")
                .hint("leave it out, and TUSKVAULT_OFFLINE out of the environment"),
        );
    }
    Ok(Client::new(&Settings {
        ca_file: asking.ca_file.clone(),
        timeout: asking.timeout.map_or(TIMEOUT, Duration::from_secs),
        most_wait: asking.most_wait.map_or(MOST_WAIT, Duration::from_secs),
        proxy: Proxy::of_environment(),
    })?)
}

/// Asks about records, keeps the answers, and tells them.
fn ask(
    session: &Session<'_>,
    client: &Client,
    selector: Option<&Selector>,
    records: Vec<Record>,
    credentials: &Credentials,
) -> Result<Exit, Failure> {
    let count = records.len() as u64;
    let mut instances: Vec<&Domain> = records.iter().map(|record| &record.instance).collect();
    instances.sort_unstable();
    instances.dedup();
    let what = format!(
        "ask {} about {}",
        plural(instances.len() as u64, "instance"),
        plural(count, "token")
    );
    if session.global.dry_run {
        session.output.would(&what)?;
        return Ok(Exit::Done);
    }
    let whole = whole_instances(&records);
    let of_whole = records.iter().filter(|r| whole.contains(&r.instance));
    let of_whole = of_whole.count() as u64;
    if of_whole > 1 {
        let names: Vec<&str> = whole.iter().map(Domain::as_str).collect();
        session.output.note(&format!(
            "asking counts as use: that each of {} of {} was used, and its user there, will be noted there as of today",
            plural(of_whole, "token"),
            names.join(", "),
        ));
    }
    let questions: Vec<Question> = records.iter().map(Question::of).collect();
    let mut answers = Answers::new(session, selector, credentials, records);
    let bars = session.output.bars();
    let asked = online::verify(client, questions, &machine::now, &bars, |event| {
        answers.take(event)
    });
    // What was answered is kept whatever else fails, and told even where it can't be kept.
    let kept = answers.keep();
    asked?;
    tell::tell(session.output, &mut answers)?;
    kept?;
    answers.verdict()
}

/// Asks about what was restored. What was restored stays so, whatever the answers are.
pub(crate) fn after_restore(
    session: &Session<'_>,
    args: &Restore,
    client: &Client,
    (records, credentials): (Vec<Record>, &Credentials),
    restored: Exit,
) -> Exit {
    if records.is_empty() {
        return restored;
    }
    match ask(session, client, Some(&args.selector), records, credentials) {
        Ok(Exit::Done) => restored,
        Ok(_) => Exit::Partial,
        Err(failure) => {
            session.output.warn(&format!(
                "it was restored, but whether it works is not known: {}",
                failure.message
            ));
            Exit::Partial
        }
    }
}

/// The instances of which the records are everybody's, and not one person's: they come from the server's database, or
/// from so many users that they once did.
fn whole_instances(records: &[Record]) -> BTreeSet<Domain> {
    let mut users: BTreeMap<&Domain, BTreeSet<&User>> = BTreeMap::new();
    for record in records {
        users
            .entry(&record.instance)
            .or_default()
            .insert(&record.user);
    }
    let many = users
        .into_iter()
        .filter(|(_, users)| users.len() > MOST_ACCOUNTS);
    let mut whole: BTreeSet<Domain> = many.map(|(instance, _)| instance.clone()).collect();
    let sightings = records.iter().flat_map(|record| &record.sightings);
    for instance in sightings.filter_map(|sighting| sighting.source.instance.as_ref()) {
        if !whole.contains(instance) {
            whole.insert(instance.clone());
        }
    }
    whole
}

impl From<online::Error> for Failure {
    fn from(error: online::Error) -> Self {
        Self::new(Exit::BadSource, error.to_string())
    }
}

/// More than a person has at one instance.
const MOST_ACCOUNTS: usize = 10;
const TIMEOUT: Duration = Duration::from_secs(30);
/// Mastodon counts requests over five minutes.
const MOST_WAIT: Duration = Duration::from_secs(330);
