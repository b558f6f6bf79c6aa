//! An audit as people read it.

use jiff::{SignedDuration, Timestamp};
use tuskvault::{
    model::{Record, Run, RunOutcome},
    vault::{Finding, SourceCoverage, TokenCoverage},
};

use super::{
    super::{
        changes::place,
        error::Failure,
        output::shown,
        report::{self, plural, time},
        session::Session,
        state::outcome_word,
        verdict,
    },
    Broken, Chain, Report, SHOWN, events,
};

pub(super) fn print(session: &Session<'_>, report: &Report) -> Result<(), Failure> {
    let line = |text: &str| session.output.line(&shown(text));
    let when = match report.as_of {
        Some(at) => format!(" as of {}", report::time_here(at)),
        None => String::new(),
    };
    session.output.heading(&format!("Tokens{when}"))?;
    line(&format!("  {}", figures(&report.coverage.tokens)))?;
    print_backups(session, report)?;
    print_findings(session, report)?;
    session.output.heading("Sources")?;
    for source in &report.coverage.sources {
        print_source(session, source)?;
    }
    session.output.heading("What was done with the vault")?;
    for entry in &report.events {
        line(&format!(
            "  {}  {} {}",
            time(entry.at),
            entry.actor,
            events::sentence(&entry.event)
        ))?;
    }
    more(session, report.event_count, "earlier events")?;
    report
        .chain
        .as_ref()
        .map_or(Ok(()), |chain| print_chain(session, chain))
}

/// When each token was backed up, and from where.
fn print_backups(session: &Session<'_>, report: &Report) -> Result<(), Failure> {
    let line = |text: &str| session.output.line(&shown(text));
    if report.coverage.tokens.total > SHOWN as u64 {
        return line(
            "  when each was backed up, and from where: `tuskvault audit SELECTOR` of few, `--json` of all",
        );
    }
    let mut tokens: Vec<&Record> = report.tokens.iter().collect();
    tokens.sort_by_cached_key(|record| (record.key(), record.first_seen()));
    for record in tokens {
        let status = record.status.as_str();
        line(&format!(
            "  {}  {}  {status}",
            record.short_id(),
            record.key()
        ))?;
        for sighting in &record.sightings {
            let (first, last) = (time(sighting.first_seen), time(sighting.last_seen));
            let gone = sighting
                .gone_at
                .map(|at| format!("; not there on {}", time(at)));
            let (place, gone) = (place(&sighting.source), gone.unwrap_or_default());
            line(&format!("    {place}: first {first}; last {last}{gone}"))?;
        }
    }
    Ok(())
}

fn print_findings(session: &Session<'_>, report: &Report) -> Result<(), Failure> {
    let line = |text: &str| session.output.line(&shown(text));
    let tokens = &report.coverage.tokens;
    for (finding, count, heading) in [
        (
            Finding::OneSource,
            tokens.one_source,
            "active, and in one source alone",
        ),
        (
            Finding::NoAppSecret,
            tokens.no_app_secret,
            "active, and the app's secret is not known: can be restored, but not revoked with the app's credentials",
        ),
        (
            Finding::NotWorking,
            tokens.not_working,
            "active, and not working when their instance was last asked",
        ),
        (Finding::Revoked, tokens.revoked, "revoked"),
        (Finding::Expired, tokens.expired, "expired"),
        (
            Finding::Gone,
            tokens.gone,
            "gone: in no source any more, not known to be revoked",
        ),
    ] {
        if count == 0 {
            continue;
        }
        line(&format!("  {count} {heading}"))?;
        // Where one source holds everything, `list` says the same.
        if finding == Finding::OneSource && count == tokens.active {
            continue;
        }
        let found = report.found.get(&finding).map(Vec::as_slice);
        for record in found.unwrap_or_default() {
            line(&format!("    {}", token(finding, record, session.now)))?;
        }
        more(session, count, "tokens")?;
    }
    Ok(())
}

fn more(session: &Session<'_>, count: u64, what: &str) -> Result<(), Failure> {
    match count.saturating_sub(SHOWN as u64) {
        0 => Ok(()),
        more => session.output.line(&format!(
            "    and {more} more {what}: `tuskvault audit --json` lists all"
        )),
    }
}

fn figures(tokens: &TokenCoverage) -> String {
    let mut text = plural(tokens.total, "token");
    let parts = [
        (tokens.active, "active"),
        (tokens.revoked, "revoked"),
        (tokens.expired, "expired"),
        (tokens.gone, "gone"),
    ];
    let parts = parts.iter().filter(|(count, _)| *count > 0);
    let parts: Vec<String> = parts.map(|(n, word)| format!("{n} {word}")).collect();
    if !parts.is_empty() {
        text = format!("{text}: {}", parts.join(", "));
    }
    if tokens.verified > 0 {
        let working = tokens.verified - tokens.not_working;
        let (verified, active) = (tokens.verified, tokens.active);
        text = format!(
            "{text}; instances were asked about {verified} of the {active}: {working} worked"
        );
    }
    text
}

fn token(finding: Finding, record: &Record, now: Timestamp) -> String {
    let name = format!("{}  {}", record.short_id(), record.key());
    let detail = match finding {
        Finding::OneSource => {
            let mut held = record.sightings.iter().filter(|s| s.gone_at.is_none());
            let key = held.next().map(|sighting| &sighting.source.key);
            key.map(|key| format!("{} {}", key.connector, key.location))
        }
        Finding::NoAppSecret => None,
        Finding::NotWorking => verdict::of(record, now),
        Finding::Revoked => record.revoked_at.map(time),
        Finding::Expired => record.expires_at.map(time),
        Finding::Gone => record
            .sightings
            .iter()
            .filter_map(|s| s.gone_at)
            .max()
            .map(time),
    };
    match detail {
        Some(detail) => format!("{name}  {detail}"),
        None => name,
    }
}

fn print_source(session: &Session<'_>, source: &SourceCoverage) -> Result<(), Failure> {
    let line = |text: &str| session.output.line(&shown(text));
    let key = &source.source.key;
    let host = match &*key.host {
        // Paths here need no name of a machine.
        host if host.is_empty() || host == session.actor.host => String::new(),
        host => format!(" on {host}"),
    };
    line(&format!(
        "  {} {}{host}: {}",
        key.connector,
        key.location,
        plural(source.tokens, "active token")
    ))?;
    let (Some(first), Some(last)) = (&source.first, &source.last) else {
        return line(&format!(
            "    never backed up as it was just then; {} of old copies or of one user",
            plural(source.runs, "run")
        ));
    };
    let others = match source.runs - source.backups {
        0 => String::new(),
        n => format!(" (and {} of old copies or of one user)", plural(n, "run")),
    };
    let backups = plural(source.backups, "backup");
    line(&match source.backups {
        1 => format!("    {backups}{others}: {}", backup(last)),
        _ => format!(
            "    {backups}{others}: first {}; last {}; {}",
            time(first.recorded_at),
            backup(last),
            every(source.rhythm)
        ),
    })?;
    if last.outcome != RunOutcome::Complete {
        let complete = source.last_complete.as_ref();
        let complete = complete.map_or_else(|| "none".to_owned(), backup);
        line(&format!(
            "    the last one is {}; the last complete one: {complete}",
            outcome_word(last.outcome)
        ))?;
    }
    if source.ahead > 0 {
        line(&format!(
            "    {} recorded by a clock that was ahead of its time: not the last, and no rhythm",
            plural(source.ahead, "backup")
        ))?;
    }
    if source.is_overdue {
        line("    overdue: the next backup should have come by now")?;
    }
    Ok(())
}

fn backup(run: &Run) -> String {
    format!(
        "{} by {} (run {})",
        time(run.recorded_at),
        run.actor,
        run.id
    )
}

/// The usual time between two backups; what was tried out within an hour is no habit.
fn every(rhythm: Option<SignedDuration>) -> String {
    match rhythm.map(|rhythm| rhythm.as_hours()) {
        None | Some(..=1) => "no rhythm yet".to_owned(),
        Some(hours @ ..48) => format!("about every {hours} hours"),
        Some(hours) => format!("about every {} days", (hours + 12) / 24),
    }
}

fn print_chain(session: &Session<'_>, chain: &Chain) -> Result<(), Failure> {
    let line = |text: &str| session.output.line(&shown(text));
    session.output.heading("Audit log")?;
    for place in &chain.broken {
        line(&format!("  {}", broken(place)))?;
    }
    more(session, chain.broken_count, "broken entries")?;
    let count = match chain.entries {
        1 => "1 entry".to_owned(),
        n => format!("{n} entries"),
    };
    if chain.broken_count == 0 {
        line(&format!("  {count}, each follows the one before"))?;
    } else {
        line(&format!("  {count}, {} broken", chain.broken_count))?;
    }
    if let Some((number, at)) = chain.last {
        line(&format!(
            "  the last is entry {number} of {}; a log that was cut off after an entry looks whole: keep this number elsewhere to \
             compare",
            time(at)
        ))?;
    }
    Ok(())
}

pub(super) fn broken(broken: &Broken) -> String {
    let number = broken.number;
    if broken.is_readable {
        format!("entry {number} does not follow the one before: it was altered, or one is missing")
    } else {
        format!("entry {number} can't be read")
    }
}
