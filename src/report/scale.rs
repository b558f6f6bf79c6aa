//! The time axis: where a moment stands, and which ticks are worth a line.

use jiff::{SignedDuration, Timestamp, ToSpan, civil, tz::TimeZone};

/// From the first moment to the last, as parts of a width.
#[derive(Debug, Clone)]
pub(super) struct Scale {
    start: Timestamp,
    end: Timestamp,
    zone: TimeZone,
}

/// A line across the timeline.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Tick {
    /// Its column.
    pub(super) column: u32,
    /// What is written at it.
    pub(super) label: String,
}

impl Scale {
    /// The scale that holds all of these moments and ends with `end`.
    pub(super) fn new(
        moments: impl IntoIterator<Item = Timestamp>,
        end: Timestamp,
        zone: TimeZone,
    ) -> Self {
        let first = moments.into_iter().min().unwrap_or(end).min(end);
        // One moment has no width: it gets an hour before it.
        let start = if end.duration_since(first) < LEAST_SPAN {
            end.checked_sub(LEAST_SPAN).unwrap_or(Timestamp::MIN)
        } else {
            first
        };
        Self { start, end, zone }
    }

    /// The first moment.
    pub(super) fn start(&self) -> Timestamp {
        self.start
    }

    /// The column of a moment; what lies outside stands at the edge.
    pub(super) fn column(&self, at: Timestamp) -> u32 {
        let span = self.end.duration_since(self.start).as_millis().max(1);
        let from_start = at.duration_since(self.start).as_millis().clamp(0, span);
        let room = i128::from(COLUMNS - 2 * MARGIN);
        // At most COLUMNS, and never negative.
        MARGIN + u32::try_from(from_start * room / span).unwrap_or_default()
    }

    /// At most [`MAX_TICKS`] lines at round moments.
    pub(super) fn ticks(&self) -> Vec<Tick> {
        let span = self.end.duration_since(self.start).as_secs();
        STEPS
            .iter()
            .filter(|step| span / step.about_secs() < MAX_TICKS_SPAN)
            .map(|step| self.ticks_of(*step))
            .find(|ticks| ticks.len() <= MAX_TICKS)
            .unwrap_or_default()
    }

    fn ticks_of(&self, step: Step) -> Vec<Tick> {
        let mut ticks = Vec::new();
        let mut next = step.floor(self.start.to_zoned_datetime(self.zone.clone()).datetime());
        while let Some(local) = next {
            let Ok(zoned) = local.to_zoned_datetime(self.zone.clone()) else {
                break;
            };
            let at = zoned.timestamp();
            if at > self.end {
                break;
            }
            // A step over the hour that summer time leaves out may stand still.
            let column = self.column(at);
            if at >= self.start && ticks.last().is_none_or(|tick: &Tick| tick.column < column) {
                let label = step.label(local);
                ticks.push(Tick { column, label });
            }
            next = step.after(local);
        }
        ticks
    }
}

/// The distance of two ticks.
#[derive(Debug, Clone, Copy)]
enum Step {
    Hours(i8),
    Days(i32),
    Months(i8),
    Years(i16),
}

impl Step {
    fn about_secs(self) -> i64 {
        match self {
            Self::Hours(n) => i64::from(n) * 3600,
            Self::Days(n) => i64::from(n) * 86_400,
            Self::Months(n) => i64::from(n) * 30 * 86_400,
            Self::Years(n) => i64::from(n) * 365 * 86_400,
        }
    }

    /// The last round moment that is not after this one.
    fn floor(self, at: civil::DateTime) -> Option<civil::DateTime> {
        let date = at.date();
        let date = match self {
            Self::Hours(n) => {
                let hour = at.hour() - at.hour() % n;
                return Some(date.at(hour, 0, 0, 0));
            }
            Self::Days(n) => {
                let day = date.duration_since(MONDAY).as_hours() / 24;
                date.checked_sub(day.rem_euclid(i64::from(n)).days()).ok()?
            }
            Self::Months(n) => {
                let month = date.month() - 1;
                civil::Date::new(date.year(), month - month % n + 1, 1).ok()?
            }
            Self::Years(n) => {
                civil::Date::new(date.year() - date.year().rem_euclid(n), 1, 1).ok()?
            }
        };
        Some(date.at(0, 0, 0, 0))
    }

    fn after(self, at: civil::DateTime) -> Option<civil::DateTime> {
        let next = match self {
            Self::Hours(n) => at.checked_add(i64::from(n).hours()),
            Self::Days(n) => at.checked_add(i64::from(n).days()),
            Self::Months(n) => at.checked_add(i64::from(n).months()),
            Self::Years(n) => at.checked_add(i64::from(n).years()),
        };
        next.ok()
    }

    fn label(self, at: civil::DateTime) -> String {
        let format = match self {
            Self::Hours(_) if at.hour() != 0 => "%H:%M",
            Self::Hours(_) | Self::Days(_) => "%-d %b",
            Self::Months(_) => "%b %Y",
            Self::Years(_) => "%Y",
        };
        at.strftime(format).to_string()
    }
}

/// Days are counted from a Monday, so that weeks begin with one.
const MONDAY: civil::Date = civil::date(2024, 1, 1);

/// Steps that people count in, the finest first.
const STEPS: &[Step] = &[
    Step::Hours(1),
    Step::Hours(3),
    Step::Hours(6),
    Step::Hours(12),
    Step::Days(1),
    Step::Days(2),
    Step::Days(7),
    Step::Days(14),
    Step::Months(1),
    Step::Months(2),
    Step::Months(3),
    Step::Months(6),
    Step::Years(1),
    Step::Years(2),
    Step::Years(5),
    Step::Years(10),
    Step::Years(50),
    Step::Years(200),
    Step::Years(1000),
    Step::Years(5000),
];

/// As many labels as stand beside each other on a phone.
pub(super) const MAX_TICKS: usize = 6;
/// More steps than this in a span are more ticks than that.
const MAX_TICKS_SPAN: i64 = 6;
/// The timeline's width in columns: what falls into one column is one mark, two pixels wide on a desk and one on a
/// phone.
pub(super) const COLUMNS: u32 = 400;
/// Columns at both edges where nothing stands, so that no mark is cut.
const MARGIN: u32 = 6;
const LEAST_SPAN: SignedDuration = SignedDuration::from_hours(1);

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(start: &str, end: &str) -> Vec<String> {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let scale = Scale::new([start.parse().unwrap()], end.parse().unwrap(), zone);
        scale.ticks().into_iter().map(|tick| tick.label).collect()
    }

    #[test]
    fn ticks_stand_at_round_moments_of_the_zone() {
        let far = labels("2019-05-01T00:00:00Z", "2026-03-01T00:00:00Z");
        assert_eq!(far, ["2020", "2022", "2024", "2026"]);
        let months = labels("2025-11-20T00:00:00Z", "2026-03-04T00:00:00Z");
        assert_eq!(months, ["Dec 2025", "Jan 2026", "Feb 2026", "Mar 2026"]);
        // Mondays.
        let weeks = labels("2026-03-01T00:00:00Z", "2026-03-28T00:00:00Z");
        assert_eq!(weeks, ["2 Mar", "9 Mar", "16 Mar", "23 Mar"]);
        // Summer time begins in between; midnight in Berlin is not midnight in UTC.
        let hours = labels("2026-03-28T20:00:00Z", "2026-03-29T10:00:00Z");
        assert_eq!(
            hours,
            ["21:00", "29 Mar", "03:00", "06:00", "09:00", "12:00"]
        );
    }

    #[test]
    fn any_span_has_a_few_ticks_and_every_moment_a_column() {
        let end = Timestamp::MAX;
        for start in [Timestamp::MIN, Timestamp::UNIX_EPOCH, end] {
            let scale = Scale::new([start], end, TimeZone::UTC);
            assert!(scale.ticks().len() <= MAX_TICKS);
            assert_eq!(scale.column(Timestamp::MIN), MARGIN);
            assert_eq!(scale.column(end), COLUMNS - MARGIN);
        }
        let mut span = SignedDuration::from_mins(1);
        let start: Timestamp = "2026-01-31T23:59:59Z".parse().unwrap();
        while let Ok(end) = start.checked_add(span) {
            let ticks = Scale::new([start], end, TimeZone::UTC).ticks();
            assert!(
                (1..=MAX_TICKS).contains(&ticks.len()),
                "{span:?}: {ticks:?}"
            );
            let rises = ticks.windows(2).all(|pair| pair[0].column < pair[1].column);
            assert!(rises, "{ticks:?}");
            span = span * 17 / 10;
        }
    }
}
