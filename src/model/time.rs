//! Moments, and the ways a person names one.

use jiff::{Span, Timestamp, ZonedDateTime, civil};

/// A point of effective time in microseconds since 1970-01-01 UTC: the resolution of PostgreSQL and of the vault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(pub i64);

impl Moment {
    /// Before everything.
    pub const MIN: Self = Self(i64::MIN);
    /// After everything.
    pub const MAX: Self = Self(i64::MAX);

    /// The nearest time that can be written; moments out of jiff's range (years -9999 to 9999) are clamped.
    pub fn timestamp(self) -> Timestamp {
        Timestamp::from_microsecond(self.0).unwrap_or(if self.0 < 0 {
            Timestamp::MIN
        } else {
            Timestamp::MAX
        })
    }
}

impl From<Timestamp> for Moment {
    /// Drops what is finer than a microsecond.
    fn from(time: Timestamp) -> Self {
        Self(time.as_microsecond())
    }
}

/// A moment as a person names it (`--as-of`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// A point in time.
    At(Timestamp),
    /// The effective time of a run.
    Run(u64),
}

impl When {
    /// Parses RFC 3339, `2026-03-01` (the end of that day, local time), `2026-03-01 14:00`, `now`, `today`,
    /// `yesterday`, `3 days ago`, `3d`, or `run:17`. `now` carries the local time zone.
    ///
    /// ```
    /// use tuskvault::model::When;
    /// let now: jiff::ZonedDateTime = "2026-03-04T12:00:00+01:00[Europe/Berlin]".parse()?;
    /// assert_eq!(When::parse("3d", &now)?, When::At("2026-03-01T11:00:00Z".parse()?));
    /// assert_eq!(When::parse("run:17", &now)?, When::Run(17));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`WhenError`] when it is none of these, or out of range.
    pub fn parse(text: &str, now: &ZonedDateTime) -> Result<Self, WhenError> {
        let text = text.trim();
        let error = || WhenError {
            text: text.chars().take(60).collect(),
        };
        if let Some(number) = text.strip_prefix("run:") {
            return number
                .parse()
                .ok()
                .filter(|n| *n > 0)
                .map(Self::Run)
                .ok_or_else(error);
        }
        let end_of_day = |day: civil::Date| {
            let zoned = day
                .at(0, 0, 0, 0)
                .to_zoned_datetime(now.time_zone().clone());
            zoned
                .and_then(|day| day.end_of_day())
                .map(|end| Self::At(end.timestamp()))
        };
        match text {
            "now" => return Ok(Self::At(now.timestamp())),
            "today" => return end_of_day(now.date()).map_err(|_| error()),
            "yesterday" => {
                return now
                    .date()
                    .yesterday()
                    .and_then(end_of_day)
                    .map_err(|_| error());
            }
            _ => {}
        }
        if let Ok(time) = text.parse::<Timestamp>() {
            return Ok(Self::At(time));
        }
        if text.len() == "2026-03-01".len()
            && let Ok(day) = text.parse::<civil::Date>()
        {
            return end_of_day(day).map_err(|_| error());
        }
        if text.starts_with(|c: char| c.is_ascii_digit())
            && let Ok(time) = text.parse::<civil::DateTime>()
        {
            let zoned = time.to_zoned_datetime(now.time_zone().clone());
            return zoned
                .map(|time| Self::At(time.timestamp()))
                .map_err(|_| error());
        }
        // A bare span ("3d") means the same as one with "ago": the vault has no future to ask about.
        let span: Span = text.parse().map_err(|_| error())?;
        let back = if span.is_negative() {
            span
        } else {
            span.negate()
        };
        let time = now.checked_add(back).map_err(|_| error())?;
        Ok(Self::At(time.timestamp()))
    }
}

/// The text names no moment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is no time: give RFC 3339, 2026-03-01, \"2026-03-01 14:00\", yesterday, \"3 days ago\", 3d, or run:17"
)]
pub struct WhenError {
    text: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn berlin() -> ZonedDateTime {
        "2026-03-30T12:00:00+02:00[Europe/Berlin]".parse().unwrap()
    }

    fn at(text: &str) -> When {
        When::At(text.parse().unwrap())
    }

    #[test]
    fn every_form_of_the_manual_is_understood() {
        for (text, meant) in [
            ("2026-03-01T10:00:00Z", "2026-03-01T10:00:00Z"),
            ("2026-03-01T10:00:00+01:00", "2026-03-01T09:00:00Z"),
            ("2026-03-01", "2026-03-01T22:59:59.999999999Z"),
            ("2026-03-01 14:00", "2026-03-01T13:00:00Z"),
            // Berlin went to summer time on 2026-03-29.
            ("yesterday", "2026-03-29T21:59:59.999999999Z"),
            ("2 days ago", "2026-03-28T11:00:00Z"),
            ("2d", "2026-03-28T11:00:00Z"),
            ("48h", "2026-03-28T10:00:00Z"),
            ("2h 30m ago", "2026-03-30T07:30:00Z"),
            ("now", "2026-03-30T10:00:00Z"),
        ] {
            assert_eq!(When::parse(text, &berlin()), Ok(at(meant)), "{text}");
        }
        assert_eq!(When::parse("run:7", &berlin()), Ok(When::Run(7)));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "run:",
            "run:0",
            "run:-1",
            "never",
            "2026-13-01",
            "99999999d",
            "2026-03-01 25:00",
        ] {
            assert!(When::parse(text, &berlin()).is_err(), "{text:?}");
        }
    }
}
