//! What several commands show: tables, times, records and runs in words.

use comfy_table::{ContentArrangement, Table, presets};
use jiff::{Timestamp, tz::TimeZone};
use tuskvault::{
    model::{Counts, Record, RecordKey, Run, RunOutcome, Sighting, Status},
    vault::Choice,
};

use super::{
    error::{Exit, Failure},
    machine::with_tildes,
    output::shown,
    verdict,
};

/// A table with these headings. It fits the terminal: cells wrap, nothing is cut off.
pub(crate) fn table(headings: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    if let Some((width, _)) = terminal_size::terminal_size() {
        table.set_content_arrangement(ContentArrangement::Dynamic);
        table.set_width(width.0.max(LEAST_WIDTH));
    }
    table.set_header(headings.iter().map(|heading| heading.to_uppercase()));
    table
}

/// A row of cells; what would steer a terminal is spelled out in each.
pub(crate) fn cells<'a>(cells: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let cells = cells.into_iter();
    cells
        .map(|cell| with_tildes(&shown(cell)).into_owned())
        .collect()
}

/// The table as text, without spaces at the ends of lines.
pub(crate) fn text(table: &Table) -> String {
    let lines = table.to_string();
    let lines: Vec<&str> = lines.lines().map(str::trim_end).collect();
    lines.join("\n")
}

/// Records as a table. What instances answered is a column where any was asked.
pub(crate) fn records(records: &[Record], now: Timestamp) -> String {
    let is_asked = records.iter().any(|record| record.verified.is_some());
    let headings = [
        "id",
        "account",
        "app",
        "status",
        "first seen",
        "in",
        "verified",
    ];
    let shown = if is_asked {
        headings.len()
    } else {
        headings.len() - 1
    };
    let mut table = table(headings.get(..shown).unwrap_or_default());
    for record in records {
        let places: Vec<&str> = record
            .sightings
            .iter()
            .filter(|sighting| sighting.gone_at.is_none())
            .map(|sighting| sighting.source.key.connector.as_str())
            .collect();
        let key = record.key();
        let row = [
            &*record.short_id(),
            &account(record),
            key.app.as_deref().unwrap_or("?"),
            record.status.as_str(),
            &record.first_seen().map(time).unwrap_or_default(),
            &places.join(", "),
            &verdict::of(record, now).unwrap_or_else(|| "never".to_owned()),
        ];
        table.add_row(cells(row.into_iter().take(shown)));
    }
    text(&table)
}

/// `user@instance`; `?@instance` where the user is not known, the instance alone for an application's own token.
pub(crate) fn account(record: &Record) -> String {
    account_of(&record.key())
}

/// The account of a key, in the same words.
pub(crate) fn account_of(key: &RecordKey) -> String {
    let account = RecordKey {
        app: None,
        ..key.clone()
    };
    account.to_string()
}

/// A time as people read it: local, to the minute.
pub(crate) fn time(at: Timestamp) -> String {
    let zoned = at.to_zoned_datetime(TimeZone::system());
    zoned.strftime("%Y-%m-%d %H:%M").to_string()
}

/// The same with the name of the zone.
pub(crate) fn time_here(at: Timestamp) -> String {
    let zoned = at.to_zoned_datetime(TimeZone::system());
    zoned.strftime("%Y-%m-%d %H:%M %Z").to_string()
}

/// Where a record was seen, in words.
pub(crate) fn sighting(sighting: &Sighting) -> String {
    let key = &sighting.source.key;
    let host = match key.host.as_str() {
        "" => String::new(),
        host => format!(" on {host}"),
    };
    let gone = match sighting.gone_at {
        Some(at) => format!("; not there any more on {}", time(at)),
        None => String::new(),
    };
    format!(
        "{} {}{host}: {} to {}{gone}",
        key.connector,
        key.location,
        time(sighting.first_seen),
        time(sighting.last_seen)
    )
}

/// A run in one line: "run 3: 4 tokens: 1 new, 3 as before".
pub(crate) fn run(run: &Run) -> String {
    let tokens = counts(run.counts.tokens, "token");
    let apps = plural(run.counts.apps.seen, "app");
    let gone = match run.counts.apps.gone {
        0 => String::new(),
        n => format!(" ({n} gone)"),
    };
    format!("run {}: {tokens}, {apps}{gone}", run.id)
}

/// Counts in words.
pub(crate) fn counts(counts: Counts, what: &str) -> String {
    let Counts {
        seen,
        added,
        changed,
        gone,
        unchanged,
    } = counts;
    let mut parts = Vec::new();
    for (count, word) in [
        (added, "new"),
        (changed, "changed"),
        (unchanged, "as before"),
        (gone, "gone"),
    ] {
        if count > 0 {
            parts.push(format!("{count} {word}"));
        }
    }
    let seen = plural(seen, what);
    if parts.is_empty() {
        return seen;
    }
    format!("{seen} ({})", parts.join(", "))
}

/// "1 token", "2 tokens".
pub(crate) fn plural(count: u64, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        n => format!("{n} {what}s"),
    }
}

/// What is wrong with a run that did not go as it should.
pub(crate) fn trouble(run: &Run) -> Option<String> {
    match run.outcome {
        RunOutcome::Complete => None,
        RunOutcome::Partial => Some(
            "it could be read only in part: what is missing in it counts as still there".to_owned(),
        ),
        RunOutcome::Shrunk => Some(
            "suspiciously much is missing in it: nothing was marked as gone; if that is right, run it again with \
             `--accept-shrink`"
                .to_owned(),
        ),
    }
}

/// One word with what a person should think of it.
pub(crate) fn status(record: &Record) -> String {
    match (record.status, record.revoked_at, record.expires_at) {
        (Status::Revoked, Some(at), _) => format!("revoked on {}", time(at)),
        (Status::Expired, _, Some(at)) => format!("expired on {}", time(at)),
        (Status::Gone, ..) => "gone: in no source any more, not known to be revoked".to_owned(),
        (status, ..) => status.as_str().to_owned(),
    }
}

/// The one record of a choice, or why there is none.
pub(crate) fn chosen(choice: Choice, selector: &str) -> Result<Record, Failure> {
    match choice {
        Choice::One(record) => Ok(*record),
        Choice::Ambiguous(records) => Err(ambiguous(&records, selector)),
        Choice::Nothing {
            suggestions,
            earlier,
        } => Err(nothing(selector, &suggestions, earlier)),
    }
}

/// The failure of a selector that names several records where one is asked for.
pub(crate) fn ambiguous(records: &[Record], selector: &str) -> Failure {
    // A key without an app names every app of its account: such a record has a name of its own only in its id.
    let name = |record: &Record| match record.key() {
        key if key.app.is_some() => key.to_string(),
        key => format!("{} ({key}, app not known)", record.short_id()),
    };
    let mut names: Vec<String> = records.iter().map(name).collect();
    names.sort();
    names.dedup();
    let (what, names) = if names.len() > 1 {
        ("name one", names)
    } else {
        let ids = records.iter().map(Record::short_id).collect();
        ("the key has several tokens; name one by its id", ids)
    };
    let mut list = names
        .iter()
        .take(MAX_NAMED)
        .cloned()
        .collect::<Vec<_>>()
        .join(", ");
    if names.len() > MAX_NAMED {
        list.push_str(", …");
    }
    let message = format!("\"{selector}\" matches {} records", records.len());
    Failure::new(Exit::Ambiguous, message).hint(format!("{what}: {list}"))
}

/// The selector without the number of steps back, in quotes where a shell needs them.
fn key_of(selector: &str) -> String {
    let key = match selector.rsplit_once('~') {
        Some((key, back)) if back.bytes().all(|byte| byte.is_ascii_digit()) => key,
        _ => selector,
    };
    let is_plain = |c: char| c.is_alphanumeric() || "@./_-".contains(c);
    if key.chars().all(is_plain) {
        key.to_owned()
    } else {
        format!("'{key}'")
    }
}

/// The failure of a selector that names nothing.
pub(crate) fn nothing(selector: &str, suggestions: &[String], earlier: Option<usize>) -> Failure {
    if let Some(earlier) = earlier {
        let tokens = match earlier {
            0 => "no earlier token".to_owned(),
            _ => plural(earlier as u64, "earlier token"),
        };
        return Failure::new(
            Exit::NoMatch,
            format!("\"{selector}\": this key has {tokens}"),
        )
        .hint(format!(
            "`tuskvault history {}` lists them",
            key_of(selector)
        ));
    }
    let failure = Failure::new(Exit::NoMatch, format!("nothing matches \"{selector}\""));
    if suggestions.is_empty() {
        return failure.hint("`tuskvault list --all` lists what there is");
    }
    failure.hint(format!("did you mean {}?", suggestions.join(" or ")))
}

/// Narrower than this no table can be read.
const LEAST_WIDTH: u16 = 40;
/// A hint is read, not searched.
const MAX_NAMED: usize = 8;
