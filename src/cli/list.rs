//! `list`: records at a moment.

use tuskvault::{
    connectors::json::{RecordJson, Reveal},
    model::Selector,
    storage::Access,
    vault::Query,
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
        all: args.all,
    };
    let mut seen = 0_u64;
    if session.output.json && query.selector.back == 0 {
        // One at a time: a server's vault has millions.
        vault.records(&query, |record| {
            seen += 1;
            session.output.object(&RecordJson::new(&record, Reveal::No))
        })?;
        return finish(session, args, seen, &vault, &query);
    }
    let records = session.records(&vault, &query)?;
    seen += records.len() as u64;
    for record in records.iter().filter(|_| session.output.json) {
        session
            .output
            .object(&RecordJson::new(record, Reveal::No))?;
    }
    if !session.output.json && !records.is_empty() {
        session.output.line(&report::records(&records))?;
        for record in &records {
            for sentence in &record.disagreements {
                session
                    .output
                    .warn(&format!("{}: {sentence}", record.short_id()));
            }
        }
    }
    finish(session, args, seen, &vault, &query)
}

fn finish(
    session: &Session<'_>,
    args: &List,
    seen: u64,
    vault: &tuskvault::vault::Vault,
    query: &Query<'_>,
) -> Result<Exit, Failure> {
    if seen > 0 {
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
