//! What the timeline draws: marks of runs and bars of tokens' lives, each where it belongs on the scale.

use jiff::Timestamp;

use crate::model::{RunOutcome, Status};

use super::{
    AuditPage, Key, Source,
    scale::{COLUMNS, Scale},
    text::{Time, plural, shown},
};

/// A share of the width, as SVG has it.
pub(super) fn percent(columns: u32) -> String {
    let tenths = columns * 10_000 / COLUMNS;
    format!("{}.{:02}%", tenths / 100, tenths % 100)
}

/// One or more runs that fall into one column.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// Where it is.
    pub(super) x: String,
    /// Its shape.
    pub(super) shape: &'static str,
    /// What it stands for.
    pub(super) title: String,
}

/// The marks of a source's runs. One mark tells of several runs by the worst of them.
pub(super) fn marks(source: &Source, page: &AuditPage, scale: &Scale) -> Vec<Mark> {
    let mut columns: Vec<(u32, Vec<&super::Run>)> = Vec::new();
    for run in &source.runs {
        let column = scale.column(run.at);
        match columns.last_mut() {
            Some((last, runs)) if *last == column => runs.push(run),
            _ => columns.push((column, vec![run])),
        }
    }
    let told = |(column, runs): (u32, Vec<&super::Run>)| {
        let worst = runs
            .iter()
            .map(|run| run.outcome)
            .max_by_key(|o| badness(*o));
        let word = outcome(worst.unwrap_or(RunOutcome::Complete));
        let title = match runs.as_slice() {
            [run] => {
                let at = Time::new(run.at, &page.zone).plain();
                format!("run {}, {at}: {word}", run.number)
            }
            [first, .., last] => {
                let from = Time::new(first.at, &page.zone).plain();
                let until = Time::new(last.at, &page.zone).plain();
                let count = runs.len();
                format!("{count} runs, {from} to {until}: {}", tally(&runs))
            }
            [] => String::new(),
        };
        Mark {
            x: percent(column),
            shape: word,
            title,
        }
    };
    // The worst lie on top of their neighbours.
    columns.sort_by_key(|(_, runs)| runs.iter().map(|run| badness(run.outcome)).max());
    columns.into_iter().map(told).collect()
}

/// "11 complete, 1 partial".
pub(super) fn tally<'r>(runs: impl IntoIterator<Item = impl AsRef<super::Run>> + 'r) -> String {
    let mut counts = [0_usize; 3];
    for run in runs {
        if let Some(count) = counts.get_mut(badness(run.as_ref().outcome)) {
            *count += 1;
        }
    }
    let words = [
        RunOutcome::Complete,
        RunOutcome::Partial,
        RunOutcome::Shrunk,
    ]
    .map(outcome);
    let told = counts.iter().zip(words).filter(|(count, _)| **count > 0);
    let told: Vec<String> = told
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    told.join(", ")
}

impl AsRef<Self> for super::Run {
    fn as_ref(&self) -> &Self {
        self
    }
}

/// How a run ended, in a word that is its mark's shape as well.
pub(super) fn outcome(outcome: RunOutcome) -> &'static str {
    match outcome {
        RunOutcome::Complete => "complete",
        RunOutcome::Partial => "partial",
        RunOutcome::Shrunk => "shrunk",
    }
}

fn badness(outcome: RunOutcome) -> usize {
    match outcome {
        RunOutcome::Complete => 0,
        RunOutcome::Partial => 1,
        RunOutcome::Shrunk => 2,
    }
}

/// A token's life.
#[derive(Debug)]
pub(super) struct Bar {
    /// Where it begins.
    pub(super) x: String,
    /// How long it is.
    pub(super) width: String,
    /// Where it ends.
    pub(super) end: String,
    /// Its upper edge, in pixels.
    pub(super) y: usize,
    /// The line in which its end's shape stands, in pixels.
    pub(super) middle: usize,
    /// When no source held it.
    pub(super) away: Vec<Gap>,
    /// How it stands: its look.
    pub(super) status: &'static str,
    /// What it stands for.
    pub(super) title: String,
}

/// A part of a bar that is hollow.
#[derive(Debug)]
pub(super) struct Gap {
    /// Where it begins.
    pub(super) x: String,
    /// How long it is.
    pub(super) width: String,
}

/// The bars of a key's latest tokens, and how many pixels high they are. Lives that overlap stand below each other.
pub(super) fn bars(key: &Key, page: &AuditPage, scale: &Scale) -> (Vec<Bar>, usize) {
    let mut rows: Vec<u32> = Vec::new();
    let mut bars = Vec::new();
    for token in shown_tokens(key) {
        let start = scale.column(token.from);
        let end = scale.column(token.until.unwrap_or(page.as_of));
        let end = end.max(start + LEAST_BAR).min(COLUMNS);
        let free = rows.iter().position(|until| *until + GAP <= start);
        let row = free.unwrap_or(rows.len());
        match rows.get_mut(row) {
            Some(until) => *until = end,
            None => rows.push(end),
        }
        let from = Time::new(token.from, &page.zone).plain();
        let until = token.until.map(|at| Time::new(at, &page.zone).plain());
        let (id, status) = (shown(&token.id), token.status.as_str());
        let title = match until {
            Some(until) => format!("{id}: first seen {from}, {status} {until}"),
            None => format!("{id}: first seen {from}, {status}"),
        };
        let title = match token.away.len() {
            0 => title,
            count => format!("{title}; {} in no source", plural(count, "time")),
        };
        let away = absences(token).iter().map(|(from, until)| {
            let (from, until) = (scale.column(*from), scale.column(*until));
            Gap {
                x: percent(from),
                width: percent(until.max(from + 1) - from),
            }
        });
        bars.push(Bar {
            x: percent(start),
            width: percent(end - start),
            end: percent(end),
            y: row * ROW_PX + TOP_PX,
            middle: row * ROW_PX + TOP_PX + BAR_PX / 2,
            away: away.collect(),
            status,
            title,
        });
    }
    (bars, rows.len().max(1) * ROW_PX + TOP_PX)
}

/// The latest times at which no source held a token, in time order.
pub(super) fn absences(token: &super::Token) -> &[(Timestamp, Timestamp)] {
    let most = AuditPage::MOST.absences_of_token;
    let left_out = token.away.len().saturating_sub(most);
    token.away.get(left_out..).unwrap_or_default()
}

/// The latest tokens of a key, in the order of first sight.
pub(super) fn shown_tokens(key: &Key) -> &[super::Token] {
    let left_out = key
        .tokens
        .len()
        .saturating_sub(AuditPage::MOST.tokens_of_key);
    key.tokens.get(left_out..).unwrap_or_default()
}

/// What a key's lane is about, in words.
pub(super) fn lane_summary(key: &Key) -> String {
    let mut words = Vec::new();
    for status in [
        Status::Active,
        Status::Revoked,
        Status::Expired,
        Status::Gone,
    ] {
        match key
            .tokens
            .iter()
            .filter(|token| token.status == status)
            .count()
        {
            0 => {}
            count => words.push(format!("{count} {}", status.as_str())),
        }
    }
    if let [token] = key.tokens.as_slice() {
        return token.status.as_str().to_owned();
    }
    format!(
        "{}: {}",
        plural(key.tokens.len(), "token"),
        words.join(", ")
    )
}

/// A life of a moment is still to be seen.
const LEAST_BAR: u32 = 4;
/// Between the end of one life and the beginning of the next, in columns.
const GAP: u32 = 3;
/// Height of a bar, distance of two, and room above the first, in pixels.
pub(super) const BAR_PX: usize = 8;
const ROW_PX: usize = 14;
const TOP_PX: usize = 6;
