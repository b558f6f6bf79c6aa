//! How often something is done, and when it should have been done again.

use jiff::{SignedDuration, Timestamp};

/// How many of the last times a rhythm is taken from: enough to know it, few enough to follow when it changes.
pub const RHYTHM_TIMES: usize = 9;

/// The usual time between two of the last [`RHYTHM_TIMES`] times, which may stand in any order: the median of the gaps,
/// the longer one where there are two; `None` before there were two times.
pub fn rhythm(times: &[Timestamp], now: Timestamp) -> Option<SignedDuration> {
    let mut times: Vec<Timestamp> = times
        .iter()
        .copied()
        .filter(|at| !is_ahead(*at, now))
        .collect();
    times.sort_unstable();
    let first = times.len().saturating_sub(RHYTHM_TIMES);
    let last = times.get(first..).unwrap_or_default();
    let mut gaps: Vec<SignedDuration> = last
        .iter()
        .zip(last.iter().skip(1))
        .map(|(a, b)| b.duration_since(*a))
        .collect();
    gaps.sort_unstable();
    gaps.get(gaps.len() / 2).copied()
}

/// Whether a clock that was ahead noted this time: it is more than an hour later than now. Machines that are merely not
/// quite of one mind differ by less.
pub fn is_ahead(at: Timestamp, now: Timestamp) -> bool {
    at.duration_since(now) > SignedDuration::from_hours(1)
}

/// Whether the next time is overdue: twice the usual time and an hour have passed since the last one. Where nothing is
/// usual yet, or things were tried out within an hour, 35 days have to pass. What was never done is overdue.
pub fn is_overdue(times: &[Timestamp], now: Timestamp) -> bool {
    let Some(last) = times.iter().filter(|at| !is_ahead(**at, now)).max() else {
        return true;
    };
    let hour = SignedDuration::from_hours(1);
    let patience = match rhythm(times, now) {
        Some(rhythm) if rhythm > hour => rhythm.saturating_mul(2).saturating_add(hour),
        _ => SignedDuration::from_hours(24 * 35),
    };
    now.duration_since(*last) > patience
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hours(hours: &[i64]) -> Vec<Timestamp> {
        let time = |hour| Timestamp::from_second(hour * 3600).unwrap();
        hours.iter().copied().map(time).collect()
    }

    #[test]
    fn a_rhythm_is_the_usual_gap_in_whatever_order_the_times_stand() {
        assert_eq!(rhythm(&hours(&[]), Timestamp::MAX), None);
        assert_eq!(rhythm(&hours(&[5]), Timestamp::MAX), None);
        let daily = Some(SignedDuration::from_hours(24));
        // One that was missed and one by hand change nothing; nor does a clock that went back.
        assert_eq!(
            rhythm(&hours(&[0, 24, 48, 96, 97, 121]), Timestamp::MAX),
            daily
        );
        assert_eq!(
            rhythm(&hours(&[121, 24, 48, 0, 96, 97]), Timestamp::MAX),
            daily
        );
    }

    #[test]
    fn a_rhythm_follows_when_it_changes() {
        let mut times: Vec<i64> = (0..20).map(|week| week * 168).collect();
        times.extend((1..9).map(|day| 19 * 168 + day * 24));
        assert_eq!(
            rhythm(&hours(&times), Timestamp::MAX),
            Some(SignedDuration::from_hours(24))
        );
    }

    #[test]
    fn twice_the_rhythm_and_an_hour_are_waited_for() {
        let daily = hours(&[0, 24, 48]);
        let at = |hour| hours(&[hour]).remove(0);
        assert!(!is_overdue(&daily, at(48 + 49)));
        assert!(is_overdue(&daily, at(48 + 50)));
        for unusual in [&hours(&[48]), &hours(&[47, 48])] {
            assert!(!is_overdue(unusual, at(48 + 24 * 35)));
            assert!(is_overdue(unusual, at(49 + 24 * 35)));
        }
        assert!(is_overdue(&[], at(0)));
    }
}
