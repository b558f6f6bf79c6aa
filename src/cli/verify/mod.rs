//! `verify`: ask instances whether tokens work, and keep what they answer.
//!
//! The vault is open while records are read and while answers are written, not while instances are asked: a backup need
//! not wait for a slow server.

mod answers;

use std::time::Duration;

use tuskvault::{
    crypto::Credentials,
    model::{Domain, Record, Selector, Status},
    online::{self, Client, Proxy, Question, Settings},
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

pub(crate) fn run(session: &Session<'_>, args: &Verify) -> Result<Exit, Failure> {
    allowed(session)?;
    let (vault, credentials) = session.open_with_credentials(Access::Read)?;
    let everything = Selector::all();
    let query = Query {
        selector: args.selector.as_ref().unwrap_or(&everything),
        at: session.now.into(),
        all: true,
    };
    let mut records = session.records(&vault, &query)?;
    // What is gone from its app may work all the same: this is how a person finds out.
    let may_work = |record: &Record| matches!(record.status, Status::Active | Status::Gone);
    records.retain(|record| args.all || may_work(record));
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
    let instances = of_servers(&records);
    if let Some(instance) = instances.first()
        && args.selector.is_none()
        && !args.all
    {
        return Err(Failure::usage(format!(
            "the vault holds the tokens of all users of {instance}: asking about all of them counts as use of each"
        ))
        .hint(format!(
            "name what to ask about, as in `tuskvault verify alice@{instance}`, or give `--all`"
        )));
    }
    ask(
        session,
        &args.asking,
        args.selector.as_ref(),
        records,
        &credentials,
    )
}

/// Asks about records, keeps the answers, and tells them.
fn ask(
    session: &Session<'_>,
    asking: &Asking,
    selector: Option<&Selector>,
    records: Vec<Record>,
    credentials: &Credentials,
) -> Result<Exit, Failure> {
    let client = Client::new(&Settings {
        ca_file: asking.ca_file.clone(),
        timeout: Duration::from_secs(asking.timeout),
        most_wait: Duration::from_secs(asking.most_wait),
        proxy: Proxy::of_environment(),
    })?;
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
    let of_servers = of_servers(&records);
    if !of_servers.is_empty() && count > 1 {
        let names: Vec<&str> = of_servers.iter().map(Domain::as_str).collect();
        session.output.note(&format!(
            "asking counts as use: {} will note of each of these {} that it was used and that its user was there today",
            names.join(", "),
            plural(count, "token")
        ));
    }
    let questions: Vec<Question> = records.iter().map(Question::of).collect();
    let mut answers = Answers::new(session, selector, credentials, records);
    let bars = session.output.bars();
    online::verify(&client, questions, &machine::now, &bars, |event| {
        answers.take(event)
    })?;
    answers.keep()?;
    answers.tell()
}

/// Asks about what was restored. What was restored stays so, whatever the answers are.
pub(crate) fn after_restore(
    session: &Session<'_>,
    args: &Restore,
    (records, credentials): (Vec<Record>, &Credentials),
    restored: Exit,
) -> Exit {
    if records.is_empty() {
        return restored;
    }
    let selector = Some(&args.selector);
    match ask(session, &args.asking, selector, records, credentials) {
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

/// The instances of which the records come from the server's own database.
fn of_servers(records: &[Record]) -> Vec<Domain> {
    let sightings = records.iter().flat_map(|record| &record.sightings);
    let mut instances: Vec<Domain> = sightings
        .filter_map(|sighting| sighting.source.instance.clone())
        .collect();
    instances.sort_unstable();
    instances.dedup();
    instances
}

/// That nobody has forbidden to ask.
pub(crate) fn allowed(session: &Session<'_>) -> Result<(), Failure> {
    if !session.global.offline {
        return Ok(());
    }
    Err(
        Failure::usage("asking instances is forbidden by `--offline`")
            .hint("leave it out, and TUSKVAULT_OFFLINE out of the environment"),
    )
}

impl From<online::Error> for Failure {
    fn from(error: online::Error) -> Self {
        Self::new(Exit::BadSource, error.to_string())
    }
}
