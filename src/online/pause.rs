//! How long a host wants to be left alone.

use std::time::Duration;

use jiff::{Timestamp, fmt::rfc2822};

use super::reply::Reply;

/// The pause that an answer asks for; `None` when it asks for none, and at most `most` where it doesn't say how long. Mastodon's `X-RateLimit-Reset` is RFC 3339.
///
/// Moments are measured against the answer's own `Date`, so that a clock that is wrong, here or there, does no harm.
pub(super) fn pause(reply: &Reply, now: Timestamp, most: Duration) -> Option<Duration> {
    let is_refused = reply.is_refusal();
    let is_last = reply
        .remaining
        .as_ref()
        .is_some_and(|text| text.trim().parse() == Ok(0_u64));
    if !is_refused && !is_last {
        return None;
    }
    let now = reply.date.as_deref().and_then(http_date).unwrap_or(now);
    let least = if is_refused { LEAST } else { Duration::ZERO };
    let until = |moment: Timestamp| {
        let pause = moment.duration_since(now);
        Duration::try_from(pause).unwrap_or_default()
    };
    let wanted = retry_after(reply, &until).or_else(|| reset(reply, &until));
    let pause = wanted.unwrap_or(UNSAID.min(most)).max(least);
    (!pause.is_zero()).then_some(pause)
}

fn retry_after(reply: &Reply, until: &dyn Fn(Timestamp) -> Duration) -> Option<Duration> {
    let text = reply.retry_after.as_deref()?.trim();
    match text.parse() {
        Ok(secs) => Some(Duration::from_secs(secs)),
        Err(_) => http_date(text).map(until),
    }
}

fn reset(reply: &Reply, until: &dyn Fn(Timestamp) -> Duration) -> Option<Duration> {
    let text = reply.reset.as_deref()?.trim();
    text.parse().ok().map(until)
}

fn http_date(text: &str) -> Option<Timestamp> {
    let parser = rfc2822::DateTimeParser::new();
    parser.parse_timestamp(text.trim()).ok()
}

/// After a refusal, whatever it says.
const LEAST: Duration = Duration::from_secs(1);
/// Where it doesn't say how long.
const UNSAID: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    fn of(status: u16, change: impl FnOnce(&mut Reply)) -> Option<u64> {
        let mut reply = Reply {
            status,
            ..Reply::default()
        };
        change(&mut reply);
        let now = "2026-01-02T03:04:00Z".parse().unwrap();
        pause(&reply, now, Duration::from_secs(330)).map(|pause| pause.as_secs())
    }

    fn text(text: &str) -> String {
        text.to_owned()
    }

    #[test]
    fn every_header_is_understood() {
        assert_eq!(of(200, |_| ()), None);
        assert_eq!(of(429, |_| ()), Some(30));
        assert_eq!(of(429, |r| r.retry_after = Some(text("7"))), Some(7));
        assert_eq!(of(503, |r| r.retry_after = Some(text("7"))), Some(7));
        assert_eq!(of(503, |_| ()), None);
        assert_eq!(of(429, |r| r.retry_after = Some(text("0"))), Some(1));
        let date = "Fri, 02 Jan 2026 03:05:00 GMT";
        assert_eq!(of(429, |r| r.retry_after = Some(text(date))), Some(60));
        let reset = "2026-01-02T03:05:00.000000Z";
        assert_eq!(of(429, |r| r.reset = Some(text(reset))), Some(60));
        assert_eq!(
            of(429, |r| {
                r.reset = Some(text(reset));
                r.date = Some(text("Fri, 02 Jan 2026 03:04:57 GMT"));
            }),
            Some(3)
        );
        // Over already, unreadable, or far off.
        assert_eq!(
            of(429, |r| r.reset = Some(text("2020-01-01T00:00:00Z"))),
            Some(1)
        );
        assert_eq!(of(429, |r| r.reset = Some(text("soon"))), Some(30));
        assert_eq!(
            of(429, |r| r.retry_after = Some(text("18446744073709551615"))),
            Some(u64::MAX)
        );
    }

    #[test]
    fn the_last_permitted_answer_asks_for_a_pause_too() {
        assert_eq!(of(200, |r| r.remaining = Some(text("1"))), None);
        assert_eq!(of(200, |r| r.remaining = Some(text("0"))), Some(30));
        assert_eq!(
            of(200, |r| {
                r.remaining = Some(text("0"));
                r.reset = Some(text("2026-01-02T03:04:02Z"));
            }),
            Some(2)
        );
        assert_eq!(
            of(200, |r| {
                r.remaining = Some(text("0"));
                r.reset = Some(text("2020-01-01T00:00:00Z"));
            }),
            None
        );
    }
}
