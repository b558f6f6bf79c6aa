//! Moments, and the ways a person names one.

use jiff::{
    Span, Timestamp, ZonedDateTime, civil,
    fmt::temporal::DateTimeParser,
    tz::{Disambiguation, TimeZone},
};

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
        let before_1970 = time.subsec_nanosecond() % 1000 < 0;
        Self(time.as_microsecond() - i64::from(before_1970))
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
    /// Parses RFC 3339 (with a zone in brackets too), `2026-03-01`, `2026-03-01 14:00`, `now`, `today`, `yesterday`,
    /// `3 days ago`, `3d`, or `run:17`. `now` carries the local time zone.
    ///
    /// What a text leaves open is read as late as it can be, so that all that happened then is known: a date alone is
    /// the end of that day, an hour that comes twice when clocks are set back is the second one. A local time that
    /// clocks skipped is as long after the skip began as it is written; a day that a zone skipped is refused. Days,
    /// weeks, months and years back are those of the calendar, hours and less those of the clock.
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
        Self::read(text, now, Reading::Latest)
    }

    /// The same for the beginning of a time (`--since`): what a text leaves open is read as early as it can be, so that
    /// nothing that may be meant is left out. A date alone is the start of that day.
    ///
    /// # Errors
    /// [`WhenError`] when it is none of these, or out of range.
    pub fn parse_since(text: &str, now: &ZonedDateTime) -> Result<Self, WhenError> {
        Self::read(text, now, Reading::Earliest)
    }

    fn read(text: &str, now: &ZonedDateTime, reading: Reading) -> Result<Self, WhenError> {
        let text = text.trim();
        let form = Form::of(text);
        let error = || misread(text, form);
        let zone = now.time_zone();
        let time = match form {
            Form::Run => {
                let number = text.strip_prefix("run:").and_then(|text| text.parse().ok());
                return number.filter(|n| *n > 0).map(Self::Run).ok_or_else(error);
            }
            Form::Date => {
                let day = text.parse::<civil::Date>().map_err(|_| error())?;
                reading.day(day, zone)?
            }
            Form::DateTime => match text.parse::<Timestamp>() {
                Ok(time) => time,
                Err(_) => reading.local(text, zone)?,
            },
            Form::Word | Form::Span => match text {
                "now" => now.timestamp(),
                "today" => reading.day(now.date(), zone)?,
                "yesterday" => reading.day(now.date().yesterday().map_err(|_| error())?, zone)?,
                _ => {
                    let span: Span = text.parse().map_err(|_| error())?;
                    // A bare span means the same as one with "ago": the vault has no future to ask about.
                    let back = if span.is_negative() {
                        span
                    } else {
                        span.negate()
                    };
                    now.checked_add(back).map_err(|_| error())?.timestamp()
                }
            },
        };
        Ok(Self::At(time))
    }
}

/// Which of the moments is meant that a text may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    Earliest,
    Latest,
}

impl Reading {
    /// The first or the last moment of a day.
    fn day(self, day: civil::Date, zone: &TimeZone) -> Result<Timestamp, WhenError> {
        let zoned = within(day, zone)?;
        let edge = match self {
            Self::Earliest => zoned.start_of_day(),
            Self::Latest => zoned.end_of_day(),
        };
        let edge = edge.map_err(|_| misread(&day.to_string(), Form::Date))?;
        Ok(edge.timestamp())
    }

    /// A date and time of day here, or in the zone that stands behind it in brackets.
    fn local(self, text: &str, zone: &TimeZone) -> Result<Timestamp, WhenError> {
        let error = |_| misread(text, Form::DateTime);
        let disambiguation = match self {
            Self::Earliest => Disambiguation::Earlier,
            Self::Latest => Disambiguation::Later,
        };
        let time: civil::DateTime = text.parse().map_err(error)?;
        let zoned = if text.ends_with(']') {
            let parser = DateTimeParser::new().disambiguation(disambiguation);
            parser.parse_zoned_datetime(text)
        } else {
            let zoned = zone.to_ambiguous_zoned_datetime(time);
            zoned.disambiguate(disambiguation)
        };
        let zoned = zoned.map_err(error)?;
        within(time.date(), zoned.time_zone())?;
        Ok(zoned.timestamp())
    }
}

/// A moment of that day: where a zone changed sides of the date line, a whole day may be missing.
fn within(day: civil::Date, zone: &TimeZone) -> Result<ZonedDateTime, WhenError> {
    let midnight = zone.to_ambiguous_zoned_datetime(day.at(0, 0, 0, 0));
    let zoned = midnight.later();
    let zoned = zoned.map_err(|_| misread(&day.to_string(), Form::Date))?;
    if zoned.date() == day {
        return Ok(zoned);
    }
    Err(WhenError::SkippedDay {
        day,
        zone: zone.iana_name().unwrap_or("this time zone").to_owned(),
    })
}

fn misread(text: &str, form: Form) -> WhenError {
    WhenError::Misread {
        text: text.chars().take(60).collect(),
        form,
    }
}

/// The text names no moment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WhenError {
    /// It is not what its form asks for, or out of range.
    #[error("{text:?} is {form}")]
    Misread {
        /// Its beginning.
        text: String,
        /// What it looks like.
        form: Form,
    },
    /// There was no such day there.
    #[error("there was no {day} in {zone}: its clocks went from the day before to the day after")]
    SkippedDay {
        /// The day.
        day: civil::Date,
        /// The zone.
        zone: String,
    },
}

/// What a text that is to name a moment looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `run:17`
    Run,
    /// `2026-03-01`
    Date,
    /// `2026-03-01 14:00`, RFC 3339
    DateTime,
    /// `3d`
    Span,
    /// Anything else.
    Word,
}

impl Form {
    fn of(text: &str) -> Self {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let begins_with_date = (digits == 4 && text.get(4..5) == Some("-")) || digits == 8;
        let is_date = |byte: u8| byte.is_ascii_digit() || byte == b'-';
        if text.starts_with("run:") {
            Self::Run
        } else if begins_with_date && text.bytes().all(is_date) {
            Self::Date
        } else if begins_with_date
            && (text.contains(':') || !text.ends_with(|c: char| c.is_ascii_lowercase()))
        {
            Self::DateTime
        } else if digits > 0 && text.ends_with(|c: char| c.is_ascii_alphabetic()) {
            Self::Span
        } else {
            Self::Word
        }
    }
}

impl std::fmt::Display for Form {
    /// What is wrong with a text of this form.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Run => "no run: give run:17, with a number that `tuskvault log` shows",
            Self::Date => "no day of the calendar: give it as 2026-03-01",
            Self::DateTime => {
                "no date and time: give it as \"2026-03-01 14:00\" or in RFC 3339, 2026-03-01T14:00:00+01:00"
            }
            Self::Span => "no span of time that can be gone back: give it as 3d, 2h 30m or \"3 days ago\"",
            Self::Word => {
                "no time: give RFC 3339, 2026-03-01, \"2026-03-01 14:00\", yesterday, \"3 days ago\", 3d, or run:17"
            }
        })
    }
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
            ("2026-03-01t10:00:00z", "2026-03-01T10:00:00Z"),
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

    /// Every zone and what is special in it: clocks set back and forward, by half an hour too, a day left out.
    #[test]
    fn local_times_are_those_of_the_zone() {
        for (now, text, latest, earliest) in [
            // Clocks go from 02:00 to 03:00: there is no half past two.
            (
                "2026-04-01T12:00:00[Europe/Berlin]",
                "2026-03-29 02:30",
                "2026-03-29T01:30:00Z",
                "2026-03-29T00:30:00Z",
            ),
            // From 03:00 to 02:00: half past two comes twice.
            (
                "2026-11-01T12:00:00[Europe/Berlin]",
                "2026-10-25 02:30",
                "2026-10-25T01:30:00Z",
                "2026-10-25T00:30:00Z",
            ),
            (
                "2026-11-01T12:00:00[Europe/Berlin]",
                "2026-10-25",
                "2026-10-25T22:59:59.999999999Z",
                "2026-10-24T22:00:00Z",
            ),
            (
                "2026-11-03T12:00:00[America/New_York]",
                "2026-11-01 01:30",
                "2026-11-01T06:30:00Z",
                "2026-11-01T05:30:00Z",
            ),
            (
                "2026-03-10T12:00:00[America/New_York]",
                "2026-03-08",
                "2026-03-09T03:59:59.999999999Z",
                "2026-03-08T05:00:00Z",
            ),
            (
                "2026-03-10T12:00:00[Asia/Kolkata]",
                "2026-03-01 14:00",
                "2026-03-01T08:30:00Z",
                "2026-03-01T08:30:00Z",
            ),
            // Half an hour is skipped from 02:00 on, and comes twice before 02:00.
            (
                "2026-10-10T12:00:00[Australia/Lord_Howe]",
                "2026-10-04 02:15",
                "2026-10-03T15:45:00Z",
                "2026-10-03T15:15:00Z",
            ),
            (
                "2026-04-10T12:00:00[Australia/Lord_Howe]",
                "2026-04-05 01:45",
                "2026-04-04T15:15:00Z",
                "2026-04-04T14:45:00Z",
            ),
            // The day before the one that was left out.
            (
                "2012-01-02T12:00:00[Pacific/Apia]",
                "2011-12-29",
                "2011-12-30T09:59:59.999999999Z",
                "2011-12-29T10:00:00Z",
            ),
            // Midnight itself is skipped: the day begins at one.
            (
                "2018-11-10T12:00:00[America/Sao_Paulo]",
                "2018-11-04",
                "2018-11-05T01:59:59.999999999Z",
                "2018-11-04T03:00:00Z",
            ),
            // Midnight comes twice: the day ends after the second 23:59.
            (
                "2018-02-20T12:00:00[America/Sao_Paulo]",
                "2018-02-17",
                "2018-02-18T02:59:59.999999999Z",
                "2018-02-17T02:00:00Z",
            ),
        ] {
            let now: ZonedDateTime = now.parse().unwrap();
            assert_eq!(When::parse(text, &now), Ok(at(latest)), "{now} {text}");
            assert_eq!(
                When::parse_since(text, &now),
                Ok(at(earliest)),
                "{now} {text}"
            );
        }
    }

    #[test]
    fn days_back_are_those_of_the_calendar_and_hours_those_of_the_clock() {
        for (now, text, meant) in [
            (
                "2026-03-29T12:00:00[Europe/Berlin]",
                "1d",
                "2026-03-28T11:00:00Z",
            ),
            (
                "2026-03-29T12:00:00[Europe/Berlin]",
                "24h",
                "2026-03-28T10:00:00Z",
            ),
            (
                "2026-03-31T12:00:00[Asia/Kolkata]",
                "1 month ago",
                "2026-02-28T06:30:00Z",
            ),
            (
                "2011-12-31T12:00:00[Pacific/Apia]",
                "2d",
                "2011-12-29T22:00:00Z",
            ),
        ] {
            let now: ZonedDateTime = now.parse().unwrap();
            assert_eq!(When::parse(text, &now), Ok(at(meant)), "{now} {text}");
            assert_eq!(When::parse_since(text, &now), Ok(at(meant)), "{now} {text}");
        }
    }

    #[test]
    fn a_zone_in_brackets_counts_more_than_the_local_one() {
        for (text, meant) in [
            (
                "2026-03-01T10:00:00[America/New_York]",
                "2026-03-01T15:00:00Z",
            ),
            (
                "2026-03-01T10:00-05:00[America/New_York]",
                "2026-03-01T15:00:00Z",
            ),
            ("2026-11-01 01:30[America/New_York]", "2026-11-01T06:30:00Z"),
        ] {
            assert_eq!(When::parse(text, &berlin()), Ok(at(meant)), "{text}");
        }
    }

    #[test]
    fn a_day_that_a_zone_left_out_is_refused() {
        let apia: ZonedDateTime = "2011-12-31T12:00:00[Pacific/Apia]".parse().unwrap();
        for text in [
            "2011-12-30",
            "2011-12-30 14:00",
            "yesterday",
            "2011-12-30T14:00[Pacific/Apia]",
        ] {
            for read in [When::parse, When::parse_since] {
                let error = read(text, &apia).unwrap_err().to_string();
                assert!(
                    error.contains("no 2011-12-30 in Pacific/Apia"),
                    "{text}: {error}"
                );
            }
        }
        assert!(When::parse("2011-12-30", &berlin()).is_ok());
    }

    #[test]
    fn a_moment_never_lies_after_the_time_it_is_of() {
        for (text, micros) in [
            ("1970-01-01T00:00:00.0000019Z", 1),
            ("1969-12-31T23:59:59.9999999Z", -1),
            ("1969-12-31T23:59:59.999999Z", -1),
        ] {
            let time: Timestamp = text.parse().unwrap();
            assert_eq!(Moment::from(time), Moment(micros), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused_by_what_it_looks_like() {
        for (text, form) in [
            ("", Form::Word),
            ("never", Form::Word),
            ("17", Form::Word),
            ("run:", Form::Run),
            ("run:0", Form::Run),
            ("run:-1", Form::Run),
            ("run:99999999999999999999", Form::Run),
            ("2026-13-01", Form::Date),
            ("2026-02-30", Form::Date),
            ("20261301", Form::Date),
            ("2026-03", Form::Date),
            ("2026-03-01 25:00", Form::DateTime),
            ("2026-03-01T10:00:00+99:00", Form::DateTime),
            ("2026-03-01T10:00[Europe/Atlantis]", Form::DateTime),
            ("99999999d", Form::Span),
            ("20000 years ago", Form::Span),
            ("3 dayz", Form::Span),
        ] {
            for read in [When::parse, When::parse_since] {
                let text = text.to_owned();
                let error = read(&text, &berlin()).unwrap_err();
                assert_eq!(error, WhenError::Misread { text, form });
            }
        }
    }
}
