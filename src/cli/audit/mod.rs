//! `audit`: how well sources and tokens are backed up, what was done with the vault, and whether its log of that is whole.

mod events;
mod json;
#[cfg(feature = "report")]
mod page;
mod words;

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;
use tuskvault::{
    model::{Record, Selector, When},
    storage::Access,
    vault::{AuditEntry, AuditLink, AuditQuery, Coverage, Error, Finding, Query, Vault},
};

use super::{
    args::Audit,
    error::{Exit, Failure},
    session::Session,
};

/// What is told: figures, and of what may be long the first or the last lines.
struct Report {
    /// The moment that was asked for.
    as_of: Option<Timestamp>,
    coverage: Coverage,
    /// The first tokens. Where there are no others, it is told of each when and from where it was backed up.
    tokens: Vec<Record>,
    /// The first tokens of each finding.
    found: BTreeMap<Finding, Vec<Record>>,
    /// The last entries of the audit log, without those of runs.
    events: VecDeque<AuditEntry>,
    /// How many there are of them.
    event_count: u64,
    /// The whole log; verified only when asked for.
    chain: Option<Chain>,
    /// Whether the log was seen to be broken although nobody asked.
    is_broken: bool,
}

/// What verifying the audit log found.
#[derive(Default)]
struct Chain {
    entries: u64,
    /// The last entry that could be read.
    last: Option<(u64, Timestamp)>,
    broken_count: u64,
    /// The first of the broken places.
    broken: Vec<Broken>,
}

/// A place of the audit log at which it is broken.
struct Broken {
    number: u64,
    /// Whether the entry can be read; it then doesn't follow the one before.
    is_readable: bool,
}

pub(crate) fn run(session: &Session<'_>, args: &Audit) -> Result<Exit, Failure> {
    let everything = Selector::all();
    let selector = args.selector.as_ref().unwrap_or(&everything);
    if selector.back > 0 {
        return Err(
            Failure::usage("an audit is about tokens as they are, not `~N`")
                .hint("give the key without `~N`, or a moment with `--as-of`"),
        );
    }
    #[cfg(feature = "report")]
    if args.html.is_some() && session.output.json {
        return Err(Failure::usage(
            "`--html` writes a page, `--json` prints objects: give one of them",
        ));
    }
    let vault = session.open(Access::Read)?;
    let query = question(session, args, selector, &vault)?;
    #[cfg(feature = "report")]
    if let Some(path) = &args.html {
        return page::run(session, &vault, &query, path);
    }
    let mut tokens = Vec::new();
    let mut found: BTreeMap<Finding, Vec<Record>> = BTreeMap::new();
    let coverage = vault.coverage(&query, |record, findings| {
        if session.output.json {
            return session.output.object(&json::token(record, findings));
        }
        if tokens.len() < SHOWN {
            tokens.push(record.clone());
        }
        for finding in findings {
            let records = found.entry(*finding).or_default();
            if records.len() < SHOWN {
                records.push(record.clone());
            }
        }
        Ok::<(), Failure>(())
    })?;
    if let Some(selector) = args
        .selector
        .as_ref()
        .filter(|_| coverage.tokens.total == 0)
    {
        let query = Query {
            selector,
            at: query.at,
            all: true,
        };
        return Err(session.no_match(&vault, selector, &query)?);
    }
    let mut report = Report {
        as_of: args.as_of.as_ref().map(|_| query.now),
        coverage,
        tokens,
        found,
        events: VecDeque::new(),
        event_count: 0,
        chain: args.chain.then(Chain::default),
        is_broken: false,
    };
    if session.output.json {
        for source in &report.coverage.sources {
            session.output.object(&json::source(source))?;
        }
    }
    vault.audit_links(|link| report.take(session, link, query.known_by))?;
    if session.output.json {
        json::end(session, &report)?;
    } else {
        words::print(session, &report)?;
    }
    if report.is_broken {
        session.output.warn(
            "the audit log is broken: what was done with the vault may be other than told; `--chain` tells where",
        );
    }
    report.chain.as_ref().map_or(Ok(Exit::Done), Chain::verdict)
}

/// The question at the moment that the person names. A run stands for all that the vault knew once it was recorded.
fn question<'a>(
    session: &Session<'_>,
    args: &Audit,
    selector: &'a Selector,
    vault: &Vault,
) -> Result<AuditQuery<'a>, Failure> {
    let at = session.moment(args.as_of.as_ref(), vault)?;
    let as_of = args.as_of.as_ref();
    let when = as_of.map(|text| When::parse(text, &session.now_here()));
    let (known_by, now) = match when.transpose() {
        // What a clock ahead of ours has recorded is known all the same.
        Ok(None) => (Timestamp::MAX, session.now),
        Ok(Some(When::At(time))) => (time, time),
        Ok(Some(When::Run(number))) => match vault.run(number)? {
            Some(run) => (run.recorded_at, run.recorded_at),
            None => return Err(Error::NoSuchRun { number }.into()),
        },
        Err(error) => return Err(Failure::usage(error.to_string())),
    };
    Ok(AuditQuery {
        selector,
        at,
        known_by,
        now,
    })
}

impl Report {
    /// Takes a place of the audit log.
    fn take(
        &mut self,
        session: &Session<'_>,
        link: AuditLink,
        known_by: Timestamp,
    ) -> Result<(), Failure> {
        match &mut self.chain {
            Some(chain) => chain.take(&link),
            None if link.entry.is_none() => {
                let message = format!("entry {} of the audit log can't be read", link.number);
                return Err(Failure::new(Exit::Damaged, message)
                    .hint("`tuskvault audit --chain` tells all the rest"));
            }
            None => self.is_broken |= !link.holds,
        }
        let Some(entry) = link.entry.filter(|entry| entry.at <= known_by) else {
            return Ok(());
        };
        if session.output.json {
            self.event_count += 1;
            return session.output.object(&json::event(&entry));
        }
        // `log` tells of runs.
        if entry.event.is_of_a_run() {
            return Ok(());
        }
        self.event_count += 1;
        if self.events.len() == SHOWN {
            self.events.pop_front();
        }
        self.events.push_back(entry);
        Ok(())
    }
}

impl Chain {
    fn take(&mut self, link: &AuditLink) {
        self.entries += 1;
        if let Some(entry) = &link.entry {
            self.last = Some((link.number, entry.at));
        }
        if link.holds && link.entry.is_some() {
            return;
        }
        self.broken_count += 1;
        if self.broken.len() < SHOWN {
            self.broken.push(Broken {
                number: link.number,
                is_readable: link.entry.is_some(),
            });
        }
    }

    /// Done when every entry follows the one before.
    fn verdict(&self) -> Result<Exit, Failure> {
        let message = match self.broken.first() {
            Some(broken) => format!("the audit log is broken: {}", words::broken(broken)),
            // Making a vault is its first entry.
            None if self.entries == 0 => "the audit log is empty".to_owned(),
            None => return Ok(Exit::Done),
        };
        Err(Failure::new(Exit::Damaged, message).hint(
            "whoever did this had the vault open: compare it with an earlier copy of the file",
        ))
    }
}

/// So many lines of a kind are read; the others are for `--json`.
const SHOWN: usize = 20;
