//! Text as it stands on the page: harmless, of bounded length, in words.

use jiff::{SignedDuration, Timestamp, tz::TimeZone};

use crate::model;

/// Text from elsewhere: cut to a length that can be read, with what would hide or reorder text spelled out.
pub(super) fn shown(text: &str) -> String {
    let Some((end, _)) = text.char_indices().nth(MAX_CHARS) else {
        return model::shown(text).into_owned();
    };
    let kept = text.get(..end).unwrap_or_default();
    format!("{}…", model::shown(kept))
}

/// A moment, for machines and for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Time {
    /// RFC 3339, UTC.
    pub(super) machine: String,
    /// Date and time in the page's zone.
    pub(super) local: String,
    /// What the zone adds to UTC then.
    pub(super) offset: String,
}

impl Time {
    pub(super) fn new(at: Timestamp, zone: &TimeZone) -> Self {
        let zoned = at.to_zoned_datetime(zone.clone());
        Self {
            machine: at.to_string(),
            local: zoned.strftime("%Y-%m-%d %H:%M").to_string(),
            offset: zoned.strftime("%:z").to_string(),
        }
    }

    /// In one piece, for where there is no markup.
    pub(super) fn plain(&self) -> String {
        format!("{} {}", self.local, self.offset)
    }
}

/// "about every 3 days".
pub(super) fn rhythm(rhythm: SignedDuration) -> String {
    let minutes = rhythm.as_mins();
    let (count, unit) = match minutes {
        ..90 => (minutes.max(1), "minute"),
        90..1200 => ((minutes + 30) / 60, "hour"),
        _ => ((minutes + 720) / 1440, "day"),
    };
    match count {
        1 => format!("every {unit}"),
        n => format!("every {n} {unit}s"),
    }
}

/// "1 token", "2 tokens".
pub(super) fn plural(count: usize, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        n => format!("{n} {what}s"),
    }
}

/// A name is told from another by less.
const MAX_CHARS: usize = 160;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_and_hostile_text_is_cut_and_spelled_out() {
        assert_eq!(shown("toot 🐘"), "toot 🐘");
        assert_eq!(shown("a\u{202e}b\0"), "a\\u{202e}b\\u{0}");
        let long = "🐘".repeat(100_000);
        assert_eq!(shown(&long), format!("{}…", "🐘".repeat(MAX_CHARS)));
        assert_eq!(shown(&"x".repeat(MAX_CHARS)), "x".repeat(MAX_CHARS));
    }

    #[test]
    fn times_carry_the_offset_of_their_day() {
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        let plain = |at: &str| Time::new(at.parse().unwrap(), &berlin).plain();
        assert_eq!(plain("2026-03-01T12:00:00Z"), "2026-03-01 13:00 +01:00");
        assert_eq!(plain("2026-07-01T12:00:00Z"), "2026-07-01 14:00 +02:00");
    }

    #[test]
    fn a_rhythm_is_told_in_the_unit_that_fits() {
        for (minutes, told) in [
            (0, "every minute"),
            (61, "every 61 minutes"),
            (3 * 60, "every 3 hours"),
            (24 * 60, "every day"),
            (7 * 24 * 60 + 5, "every 7 days"),
        ] {
            assert_eq!(rhythm(SignedDuration::from_mins(minutes)), told);
        }
    }
}
