//! `list`: records at a moment.

use tuskvault::{
    connectors::json::{RecordJson, Reveal},
    model::{Moment, Record, Selector},
    storage::Access,
    vault::{Query, Vault},
};

use super::{
    args::List,
    error::{Exit, Failure},
    report,
    session::Session,
};

pub(crate) fn run(session: &Session<'_>, args: &List) -> Result<Exit, Failure> {
    let vault = session.open(Access::Read)?;
    let at = session.moment(args.as_of.as_ref(), &vault)?;
    let everything = Selector::all();
    let query = Query {
        selector: args.selector.as_ref().unwrap_or(&everything),
        at,
        all: args.all || args.broken || args.verified_before.is_some(),
    };
    let wanted = Wanted::new(session, args, &vault)?;
    let (mut named, mut seen) = (0_u64, 0_u64);
    if session.output.json && query.selector.back == 0 {
        // One at a time: a server's vault has millions.
        vault.records(&query, |record| {
            named += 1;
            if !wanted.takes(&record) {
                return Ok(());
            }
            seen += 1;
            session.output.object(&RecordJson::new(&record, Reveal::No))
        })?;
        return finish(session, args, (named, seen), &vault, &query);
    }
    let mut records = session.records(&vault, &query)?;
    named += records.len() as u64;
    records.retain(|record| wanted.takes(record));
    seen += records.len() as u64;
    for record in records.iter().filter(|_| session.output.json) {
        session
            .output
            .object(&RecordJson::new(record, Reveal::No))?;
    }
    if !session.output.json && !records.is_empty() {
        session
            .output
            .line(&report::records(&records, session.now))?;
        for record in &records {
            for sentence in &record.disagreements {
                session
                    .output
                    .warn(&format!("{}: {sentence}", record.short_id()));
            }
        }
    }
    finish(session, args, (named, seen), &vault, &query)
}

/// What the answers of instances must be.
struct Wanted {
    verified_before: Option<Moment>,
    broken: bool,
    all: bool,
}

impl Wanted {
    fn new(session: &Session<'_>, args: &List, vault: &Vault) -> Result<Self, Failure> {
        let before = args.verified_before.as_ref();
        let before = before.map(|when| session.since(when, vault)).transpose()?;
        Ok(Self {
            verified_before: before,
            broken: args.broken,
            all: args.all,
        })
    }

    fn takes(&self, record: &Record) -> bool {
        let answer = record.verified.as_ref();
        let is_old = |before| answer.is_none_or(|answer| Moment::from(answer.at) < before);
        // Those that `verify` asks about.
        (self.all || record.status.may_work())
            && self.verified_before.is_none_or(is_old)
            && (!self.broken || answer.is_some_and(|answer| !answer.verdict.is_good()))
    }
}

fn finish(
    session: &Session<'_>,
    args: &List,
    (named, seen): (u64, u64),
    vault: &Vault,
    query: &Query<'_>,
) -> Result<Exit, Failure> {
    if seen > 0 {
        return Ok(Exit::Done);
    }
    if named > 0 {
        session.output.note("no token is so");
        return Ok(Exit::Done);
    }
    if let Some(selector) = &args.selector {
        return Err(session.no_match(vault, selector, query)?);
    }
    session.output.note(if args.all {
        "the vault holds no token at that time"
    } else {
        "the vault holds no active token at that time; `--all` lists the others too"
    });
    Ok(Exit::Done)
}
