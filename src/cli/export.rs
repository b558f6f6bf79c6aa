//! `export`: records in another format.

use std::io::{ErrorKind, Write};

use tuskvault::{
    connectors::{
        clients::dotenv,
        csv,
        json::{
            self, RecordJson, Reveal,
            history::{HistoryLine, Rows, RunLine},
        },
        rails,
    },
    files::Staged,
    model::{Keys, Moment, Record, Relation, Row, Selector},
    storage::Access,
    vault::{self, AuditEvent, Query, RunRow, Vault},
};
use zeroize::Zeroizing;

use super::{
    args::{Export, Format},
    error::{Exit, Failure},
    output::escaped,
    report,
    session::Session,
};

pub(crate) fn run(session: &Session<'_>, args: &Export) -> Result<Exit, Failure> {
    if matches!(args.format, Format::Dotenv | Format::Rails) && !args.reveal {
        return Err(
            Failure::usage("this format is nothing without the secrets").hint("add `--reveal`")
        );
    }
    if args.history && (args.format != Format::Json || args.selector.is_some()) {
        return Err(Failure::usage(
            "`--history` is for `export json` of everything",
        ));
    }
    let mut vault = if args.reveal {
        session.open_to_reveal()?
    } else {
        session.open(Access::Read)?
    };
    let everything = Selector::all();
    let selector = args.selector.as_ref().unwrap_or(&everything);
    let query = Query {
        selector,
        at: session.moment(args.as_of.as_ref(), &vault)?,
        all: args.all,
    };
    // Before anything is noted or shown: what there is, and whether there is a place for it.
    let count = count(&vault, args, &query)?;
    if count == 0 && args.selector.is_some() {
        return Err(session.no_match(&vault, selector, &query)?);
    }
    let mut target = Target::new(session, args)?;
    if session.global.dry_run {
        let what = what(args, count);
        session.output.would(&format!("write {what}"))?;
        return Ok(Exit::Done);
    }
    if args.reveal {
        // Before anything is shown: what can't be noted isn't shown.
        let everything_ever = Query {
            selector,
            at: Moment::MAX,
            all: true,
        };
        let event = AuditEvent::Exported {
            format: format_name(args),
            selector: selector.to_string(),
            records: if args.history {
                // As many tokens leave.
                records(&vault, &everything_ever)?
            } else {
                count
            },
        };
        session.audit(&mut vault, &event)?;
    }
    let (written, left_out) = write(session, &vault, args, &query, &mut target)?;
    for sentence in &left_out {
        session.output.warn(&format!("left out {sentence}"));
    }
    if written == 0 && !left_out.is_empty() {
        return Err(Failure::new(
            Exit::BadSource,
            "this format can hold none of these records",
        )
        .hint("`export json` holds every record"));
    }
    target.finish()?;
    if args.file().is_some() {
        session
            .output
            .note(&format!("wrote {}", what(args, written)));
    }
    Ok(if left_out.is_empty() {
        Exit::Done
    } else {
        Exit::Partial
    })
}

/// How many records, or with `--history` runs, there are to write.
fn count(vault: &Vault, args: &Export, query: &Query<'_>) -> Result<u64, Failure> {
    if args.history {
        return Ok(vault.runs()?.len() as u64);
    }
    if query.selector.back > 0 {
        let chosen = vault.choose(query)?;
        return report::chosen(chosen, &query.selector.to_string()).map(|_| 1);
    }
    records(vault, query)
}

fn records(vault: &Vault, query: &Query<'_>) -> Result<u64, Failure> {
    let mut records = 0;
    vault.records::<vault::Error>(query, |_| {
        records += 1;
        Ok(())
    })?;
    Ok(records)
}

/// "4 records to out.json".
fn what(args: &Export, count: u64) -> String {
    let what = report::plural(count, if args.history { "run" } else { "record" });
    match args.file() {
        Some(path) => format!("{what} to {}", path.display()),
        None => format!("{what} to standard output"),
    }
}

/// Writes what is asked for; answers how many records that were, and what was left out.
fn write(
    session: &Session<'_>,
    vault: &Vault,
    args: &Export,
    query: &Query<'_>,
    target: &mut Target<'_>,
) -> Result<(u64, Vec<String>), Failure> {
    let reveal = if args.reveal { Reveal::Yes } else { Reveal::No };
    let mut written = 0;
    if args.format == Format::Json && args.history {
        return Ok((history(vault, target)?, Vec::new()));
    }
    if args.format == Format::Json && query.selector.back == 0 {
        // One at a time: a server's vault has millions.
        vault.records(query, |record| {
            written += 1;
            target.line(json::line(&RecordJson::new(&record, reveal)))
        })?;
        return Ok((written, Vec::new()));
    }
    let records: Vec<Record> = session.records(vault, query)?;
    written = records.len() as u64;
    let (text, left_out) = match args.format {
        Format::Json => {
            for record in &records {
                target.line(json::line(&RecordJson::new(record, reveal)))?;
            }
            return Ok((written, Vec::new()));
        }
        Format::Csv => (csv::export(&records, reveal), Vec::new()),
        Format::Dotenv => {
            let exported = dotenv::export(&records);
            (exported.text, exported.left_out)
        }
        Format::Rails => {
            let script = rails::export(&records, rails::Include::default());
            (script.text, script.left_out)
        }
    };
    written = written.saturating_sub(left_out.len() as u64);
    if written > 0 || left_out.is_empty() {
        target.write(text.as_bytes())?;
    }
    Ok((written, left_out))
}

/// Writes every run with what changed in it, in the order in which they were true; answers how many.
fn history(vault: &Vault, target: &mut Target<'_>) -> Result<u64, Failure> {
    let mut runs = vault.runs()?;
    runs.sort_by_key(|run| (run.effective_at, run.id));
    // With the first run that holds a token comes what its instance answered about it.
    let mut verified = vault.verified()?;
    for run in &runs {
        let head = RunLine {
            // A source of one instance is a server's database, whose row ids stay the same.
            keys: match run.source.instance {
                Some(_) => Keys::Server,
                None => Keys::Local,
            },
            rows: Rows::Changes,
            run: run.clone(),
        };
        target.line(HistoryLine::Run(Box::new(head)).to_json())?;
        vault.run_rows(run.id, |row| {
            let mut answers = Vec::new();
            if let RunRow::Token(Row { key, body }) = &row {
                let id = vault.token_id(&body.instance, body.access_token.expose());
                if verified.remove(&id) {
                    let told = vault.verifications(id, Moment::MAX)?.into_iter();
                    answers.extend(told.map(|body| HistoryLine::Answer(Row { key: *key, body })));
                }
            }
            let line = match row {
                RunRow::Account(row) => HistoryLine::Account(row),
                RunRow::App(row) => HistoryLine::App(row),
                RunRow::Token(row) => HistoryLine::Token(row),
                RunRow::Gone(relation, key) => HistoryLine::Gone(relation_of(relation), key),
            };
            target.line(line.to_json())?;
            answers
                .iter()
                .try_for_each(|answer| target.line(answer.to_json()))
        })?;
        target.line(HistoryLine::End(run.id).to_json())?;
    }
    Ok(runs.len() as u64)
}

fn relation_of(relation: Relation) -> json::history::Relation {
    match relation {
        Relation::Accounts => json::history::Relation::Accounts,
        Relation::Apps => json::history::Relation::Apps,
        Relation::Tokens => json::history::Relation::Tokens,
    }
}

/// Standard output, or a new private file that is there once it is complete.
enum Target<'s> {
    Standard(&'s Session<'s>),
    File(Staged),
}

impl<'s> Target<'s> {
    fn new(session: &'s Session<'_>, args: &Export) -> Result<Self, Failure> {
        let Some(path) = args.file() else {
            return Ok(Self::Standard(session));
        };
        if std::fs::symlink_metadata(path).is_ok() {
            let exists = ErrorKind::AlreadyExists.into();
            return Err(Failure::target("create", path, &exists));
        }
        let staged =
            Staged::beside(path).map_err(|error| Failure::target("create", path, &error))?;
        Ok(Self::File(staged))
    }

    fn line(&mut self, json: Zeroizing<String>) -> Result<(), Failure> {
        self.write(escaped(json).as_bytes())?;
        self.write(b"\n")
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        match self {
            Self::Standard(session) => session.output.raw(bytes),
            Self::File(staged) => {
                let written = staged.file().write_all(bytes);
                written.map_err(|error| Failure::target("write", staged.target(), &error))
            }
        }
    }

    fn finish(self) -> Result<(), Failure> {
        match self {
            Self::Standard(_) => Ok(()),
            Self::File(staged) => {
                let path = staged.target().to_owned();
                staged
                    .publish_new()
                    .map_err(|error| Failure::target("create", &path, &error))
            }
        }
    }
}

fn format_name(args: &Export) -> String {
    let name = match args.format {
        Format::Json if args.history => "json with history",
        Format::Json => "json",
        Format::Csv => "csv",
        Format::Dotenv => "dotenv",
        Format::Rails => "rails",
    };
    name.to_owned()
}
