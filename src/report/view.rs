//! The page as its template has it: everything in words, in order, cut to what is shown.

use askama::Template;
use jiff::Timestamp;

use crate::model::RunOutcome;

use super::{
    AuditPage, Chain, Event, Finding, FindingKind, Key, Source,
    scale::{Scale, Tick},
    text::{Time, plural, rhythm, shown},
    timeline::{
        BAR_PX, Bar, Mark, absences, bars, lane_summary, marks, outcome, percent, shown_tokens,
        tally,
    },
};

/// The whole page.
#[derive(Template)]
#[template(path = "audit.html")]
pub(super) struct View {
    vault: String,
    selector: Option<String>,
    as_of: Time,
    made_at: Time,
    zone: String,
    version: String,
    verdict: String,
    figures: Vec<Figure>,
    sources: Vec<SourceView>,
    sources_left_out: Option<String>,
    troubled: Vec<Troubled>,
    troubled_left_out: Option<String>,
    axis: Axis,
    lanes: Vec<LaneView>,
    lanes_left_out: Option<String>,
    findings: Vec<FindingView>,
    events: Vec<EventView>,
    events_left_out: Option<String>,
    chain: ChainView,
    bar_px: usize,
}

/// A number of the summary.
struct Figure {
    value: String,
    what: &'static str,
    /// Whether it wants attention.
    alarms: bool,
}

struct SourceView {
    name: String,
    location: String,
    host: Option<String>,
    instance: Option<String>,
    runs: usize,
    first: Option<Time>,
    last: Option<Time>,
    rhythm: Option<String>,
    overdue: bool,
    never: bool,
    marks: Vec<Mark>,
    summary: String,
}

/// A run that did not tell everything.
struct Troubled {
    number: u64,
    source: String,
    at: Time,
    outcome: &'static str,
}

struct Axis {
    ticks: Vec<TickView>,
    from: Time,
    until: Time,
}

struct TickView {
    x: String,
    anchor: &'static str,
    label: String,
}

struct LaneView {
    name: String,
    summary: String,
    bars: Vec<Bar>,
    height: usize,
    tokens: Vec<TokenView>,
    left_out: usize,
}

struct TokenView {
    id: String,
    from: Time,
    until: Option<Time>,
    away: Vec<String>,
    status: &'static str,
    places: String,
}

struct FindingView {
    title: &'static str,
    meaning: &'static str,
    total: u64,
    since: &'static str,
    tokens: Vec<FoundView>,
    left_out: Option<String>,
}

struct FoundView {
    id: String,
    key: String,
    places: String,
    since: Option<Time>,
}

struct EventView {
    at: Time,
    actor: String,
    what: String,
    detail: String,
}

struct ChainView {
    whole: bool,
    sentence: String,
}

impl View {
    pub(super) fn new(page: &AuditPage) -> Self {
        let scale = Scale::new(moments(page), page.as_of, page.zone.clone());
        let time = |at| Time::new(at, &page.zone);
        let most = AuditPage::MOST;
        let lanes: Vec<LaneView> = page
            .keys
            .iter()
            .take(most.keys)
            .map(|key| LaneView::new(key, page, &scale))
            .collect();
        let (troubled, troubled_left_out) = troubled(page);
        let all_keys = page.totals.keys.max(page.keys.len() as u64);
        let all_events = page.totals.events.max(page.events.len() as u64);
        let events = page.events.iter().take(most.events);
        Self {
            vault: shown(&page.vault),
            selector: page.selector.as_deref().map(shown),
            as_of: time(page.as_of),
            made_at: time(page.made_at),
            zone: zone_name(page),
            version: shown(&page.version),
            verdict: verdict(page),
            figures: figures(page),
            sources: page
                .sources
                .iter()
                .take(most.sources)
                .map(|source| SourceView::new(source, page, &scale))
                .collect(),
            sources_left_out: left_out(
                page.sources.len() as u64,
                page.sources.len().min(most.sources),
                "source",
                "tuskvault audit",
            ),
            troubled,
            troubled_left_out,
            axis: Axis::new(&scale, page),
            lanes_left_out: left_out(all_keys, lanes.len(), "key", "tuskvault list --all"),
            lanes,
            findings: page
                .findings
                .iter()
                .map(|finding| FindingView::new(finding, page))
                .collect(),
            events_left_out: left_out(all_events, events.len(), "event", "tuskvault audit --json"),
            events: events.map(|event| EventView::new(event, page)).collect(),
            chain: ChainView::new(page.chain),
            bar_px: BAR_PX,
        }
    }
}

/// Every moment that the timeline has to hold.
fn moments(page: &AuditPage) -> impl Iterator<Item = Timestamp> {
    let runs = page.sources.iter().flat_map(|source| &source.runs);
    let tokens = page.keys.iter().flat_map(shown_tokens);
    runs.map(|run| run.at).chain(tokens.map(|token| token.from))
}

fn zone_name(page: &AuditPage) -> String {
    let name = page.zone.iana_name().map(shown);
    name.unwrap_or_else(|| format!("UTC{}", Time::new(page.as_of, &page.zone).offset))
}

/// What a person reads who reads one sentence.
fn verdict(page: &AuditPage) -> String {
    let overdue = page.sources.iter().filter(|source| source.overdue).count();
    let log = match page.chain {
        Chain::Whole { .. } => "the audit log is whole",
        Chain::Broken { .. } => "the audit log is broken",
    };
    let never = page.sources.iter().filter(|source| source.backups == 0);
    let sources = match (overdue, page.sources.len()) {
        (_, 0) => "Nothing was backed up yet".to_owned(),
        (0, 1) => "The one source was backed up in time".to_owned(),
        (0, all) => format!("All {all} sources were backed up in time"),
        (late, all) => format!("{late} of {} overdue", plural(all, "source")),
    };
    let sources = match (never.count(), page.sources.len()) {
        (0, _) => sources,
        (never, all) if never == all => "No source was backed up as it was just then".to_owned(),
        (never, _) => format!("{sources}; {never} of them never backed up as it was just then"),
    };
    format!("{sources}; {log}.")
}

fn figures(page: &AuditPage) -> Vec<Figure> {
    let overdue = page.sources.iter().filter(|source| source.overdue).count() as u64;
    let runs = page.sources.iter().map(|source| source.runs.len() as u64);
    let figure = |value: u64, what| Figure {
        value: grouped(value),
        what,
        alarms: false,
    };
    let alarm = |value: u64, what| Figure {
        alarms: value > 0,
        ..figure(value, what)
    };
    vec![
        figure(page.sources.len() as u64, "sources"),
        alarm(overdue, "overdue"),
        figure(runs.sum(), "runs"),
        figure(page.totals.keys, "keys"),
        figure(page.totals.active, "active tokens"),
        figure(page.totals.revoked, "revoked"),
        figure(page.totals.expired, "expired"),
        figure(page.totals.gone, "gone"),
    ]
}

/// "1 234 567", with spaces that don't break.
fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// What is not shown, and the command that shows it.
fn left_out(all: u64, shown: usize, what: &str, command: &str) -> Option<String> {
    let missing = all
        .checked_sub(shown as u64)
        .filter(|missing| *missing > 0)?;
    let whats = if missing == 1 {
        what.to_owned()
    } else {
        format!("{what}s")
    };
    Some(format!(
        "{} more {whats} not shown here: {command} lists all of them.",
        grouped(missing)
    ))
}

/// The latest runs that did not tell everything.
fn troubled(page: &AuditPage) -> (Vec<Troubled>, Option<String>) {
    let mut troubled: Vec<_> = page
        .sources
        .iter()
        .flat_map(|source| source.runs.iter().map(move |run| (run, source)))
        .filter(|(run, _)| run.outcome != RunOutcome::Complete)
        .collect();
    troubled.sort_by_key(|(run, _)| std::cmp::Reverse((run.at, run.number)));
    let all = troubled.len();
    troubled.truncate(MAX_TROUBLED);
    let left_out = left_out(all as u64, troubled.len(), "run", "tuskvault log");
    let told = troubled.into_iter().map(|(run, source)| Troubled {
        number: run.number,
        source: shown(&format!("{} {}", source.connector, source.location)),
        at: Time::new(run.at, &page.zone),
        outcome: outcome(run.outcome),
    });
    (told.collect(), left_out)
}

impl SourceView {
    fn new(source: &Source, page: &AuditPage, scale: &Scale) -> Self {
        let time = |run: &super::Run| Time::new(run.at, &page.zone);
        let (first, last) = (source.runs.first().map(time), source.runs.last().map(time));
        let summary = match (&first, &last) {
            (Some(first), Some(last)) => format!(
                "{}, {} to {}: {}",
                plural(source.runs.len(), "run"),
                first.plain(),
                last.plain(),
                tally(&source.runs)
            ),
            _ => "no run".to_owned(),
        };
        Self {
            name: shown(&source.connector),
            location: shown(&source.location),
            host: source.host.as_deref().map(shown),
            instance: source.instance.as_deref().map(shown),
            runs: source.runs.len(),
            first,
            last,
            rhythm: source.rhythm.map(rhythm),
            overdue: source.overdue,
            never: source.backups == 0,
            marks: marks(source, page, scale),
            summary,
        }
    }
}

impl Axis {
    fn new(scale: &Scale, page: &AuditPage) -> Self {
        let ticks = scale.ticks().into_iter();
        Self {
            ticks: ticks.map(TickView::from).collect(),
            from: Time::new(scale.start(), &page.zone),
            until: Time::new(page.as_of, &page.zone),
        }
    }
}

impl From<Tick> for TickView {
    fn from(tick: Tick) -> Self {
        // Labels at the edges stay inside.
        let anchor = match tick.column {
            ..40 => "start",
            361.. => "end",
            _ => "middle",
        };
        Self {
            x: percent(tick.column),
            anchor,
            label: tick.label,
        }
    }
}

impl LaneView {
    fn new(key: &Key, page: &AuditPage, scale: &Scale) -> Self {
        let (bars, height) = bars(key, page, scale);
        let tokens = shown_tokens(key);
        Self {
            name: shown(&key.name),
            summary: lane_summary(key),
            bars,
            height,
            tokens: tokens
                .iter()
                .map(|token| TokenView {
                    id: shown(&token.id),
                    from: Time::new(token.from, &page.zone),
                    until: token.until.map(|at| Time::new(at, &page.zone)),
                    away: absences(token)
                        .iter()
                        .map(|(from, until)| {
                            let time = |at: &Timestamp| Time::new(*at, &page.zone).plain();
                            format!("in no source {} to {}", time(from), time(until))
                        })
                        .collect(),
                    status: token.status.as_str(),
                    places: shown(&token.places),
                })
                .collect(),
            left_out: key.tokens.len() - tokens.len(),
        }
    }
}

impl FindingView {
    fn new(finding: &Finding, page: &AuditPage) -> Self {
        let (title, meaning, since) = told(finding.kind);
        let tokens = finding
            .tokens
            .iter()
            .take(AuditPage::MOST.tokens_of_finding);
        let total = finding.total.max(finding.tokens.len() as u64);
        Self {
            title,
            meaning,
            total,
            since,
            left_out: left_out(total, tokens.len(), "token", "tuskvault audit --json"),
            tokens: tokens
                .map(|token| FoundView {
                    id: shown(&token.id),
                    key: shown(&token.key),
                    places: shown(&token.places),
                    since: token.since.map(|at| Time::new(at, &page.zone)),
                })
                .collect(),
        }
    }
}

/// A finding's title, what it means, and what its times are.
fn told(kind: FindingKind) -> (&'static str, &'static str, &'static str) {
    match kind {
        FindingKind::OneSource => (
            "Live tokens in one source only",
            "Where that source is lost between two backups, so is what it learnt since.",
            "First seen",
        ),
        FindingKind::NoAppSecret => (
            "Live tokens without their app’s secret",
            "They can be restored, but not revoked by who has only the vault.",
            "First seen",
        ),
        FindingKind::NotWorking => (
            "Live tokens that did not work",
            "No source calls them revoked. When their instance was last asked, they did not work, or not as their records say.",
            "Asked",
        ),
        FindingKind::Revoked => (
            "Revoked tokens",
            "A source says that they were revoked. They are kept, and not restored unless asked for.",
            "Revoked",
        ),
        FindingKind::Expired => ("Expired tokens", "Their time is over.", "Expired"),
        FindingKind::Gone => (
            "Tokens that are gone",
            "They are in no source any more, and no source says that they were revoked: they may still work.",
            "Last seen to be gone",
        ),
    }
}

impl EventView {
    fn new(event: &Event, page: &AuditPage) -> Self {
        Self {
            at: Time::new(event.at, &page.zone),
            actor: shown(&event.actor),
            what: shown(&event.what),
            detail: shown(&event.detail),
        }
    }
}

impl ChainView {
    fn new(chain: Chain) -> Self {
        match chain {
            Chain::Whole { entries } => Self {
                whole: true,
                sentence: format!(
                    "The audit log has {}. Each follows from the one before.",
                    entries_of(entries)
                ),
            },
            Chain::Broken { entries, at } => Self {
                whole: false,
                sentence: format!(
                    "The audit log has {}, and entry {at} does not follow from the one before it: the log was altered, or the \
                     vault is damaged.",
                    entries_of(entries)
                ),
            },
        }
    }
}

fn entries_of(count: u64) -> String {
    match count {
        1 => "1 entry".to_owned(),
        n => format!("{} entries", grouped(n)),
    }
}

/// The latest are enough to see that something is wrong.
const MAX_TROUBLED: usize = 50;
