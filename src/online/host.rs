//! One host: what waits for it, the pauses it gets, and when it is asked no more.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use jiff::Timestamp;

use super::{
    Unanswered, Why,
    fault::Failed,
    job::{Job, Turn},
    place::Origin,
    schedule::{Heard, Message},
};

/// Requests at once per host.
pub(super) const MOST_PER_HOST: usize = 2;
/// Refusals for the rate limit until a question, or a whole host, is given up.
pub(super) const MOST_REFUSALS: u8 = 3;
/// Requests without an answer, one after the other, until a host is given up.
pub(super) const MOST_FAILURES: u8 = 3;
/// The pauses that a host gets in one call, in all: so many times the longest one.
const MOST_PAUSES: u32 = 3;
/// Rests after a broken connection that a host gets in one call. A server that is started anew needs two.
const MOST_RESTS: u8 = 10;

#[derive(Debug, Default)]
pub(super) struct Host {
    pub(super) queue: VecDeque<Job>,
    pub(super) under_way: usize,
    pause: Option<Pause>,
    /// All pauses that it wanted up to now.
    paused: Duration,
    /// It broke a connection off: until when it is left alone. It didn't ask for that, and nobody is told.
    rest: Option<Instant>,
    rests: u8,
    /// Pauses for refusals since it last answered otherwise.
    refusals: u8,
    /// Requests since it last answered that had no answer.
    failures: u8,
    /// It wants too long a pause, or one after the other, or never answers: it is asked no more, for this reason and since
    /// then. The reason is about the host alone, since the questions that are left may be other instances'.
    pub(super) given_up: Option<(Failed, Timestamp)>,
}

#[derive(Debug)]
struct Pause {
    until: Instant,
    secs: u64,
    is_told: bool,
}

impl Host {
    /// The next job that may be begun now.
    pub(super) fn take(&mut self, now: Instant) -> Option<Job> {
        if self.paused_until(now).is_some() || self.under_way >= MOST_PER_HOST {
            return None;
        }
        let job = self.queue.pop_front()?;
        (self.pause, self.rest) = (None, None);
        self.under_way += 1;
        Some(job)
    }

    /// The end of the pause or rest that it has now.
    pub(super) fn paused_until(&self, now: Instant) -> Option<Instant> {
        let pause = self.pause.as_ref().map(|pause| pause.until);
        pause.max(self.rest).filter(|until| *until > now)
    }

    /// A host that is dead would hold a thread for the time limit with each of its questions. One that breaks off may be
    /// starting anew: it gets a rest. Says whether the same is to be asked again after one.
    pub(super) fn count(&mut self, heard: &Heard, now: Instant) -> bool {
        let Some(failed) = &heard.failed else {
            self.failures = 0;
            if !matches!(heard.turn, Turn::Refused) {
                self.refusals = 0;
            }
            return false;
        };
        if !failed.is_of_host() {
            return false;
        }
        let is_short = matches!(failed, Failed::BrokenOff(_));
        let is_resting = self.rest.is_some_and(|until| until > now);
        if !(is_short && is_resting) {
            // Two were under way: it is the same fault.
            self.failures = self.failures.saturating_add(1);
        }
        if self.failures >= MOST_FAILURES {
            self.given_up
                .get_or_insert_with(|| (failed.clone(), heard.at));
        }
        if !is_short || self.given_up.is_some() {
            return false;
        }
        if !is_resting {
            if self.rests >= MOST_RESTS {
                return false;
            }
            self.rests += 1;
            let secs = u64::from(self.failures.max(1));
            self.rest = now.checked_add(Duration::from_secs(secs));
        }
        true
    }

    /// Gives it the pause that it wants, unless that is too long, or comes again and again.
    pub(super) fn pause(
        &mut self,
        origin: &Origin,
        heard: &Heard,
        most_wait: Duration,
        now: Instant,
    ) {
        let Some(wanted) = heard.pause else {
            return;
        };
        let (host, at) = (origin.as_str(), heard.at);
        let limited =
            |detail: String| (Failed::from(Unanswered::new(Why::RateLimited, detail)), at);
        let until = now.checked_add(wanted);
        let (Some(until), true) = (until, wanted <= most_wait) else {
            let secs = in_secs(wanted);
            let detail = format!("{host} wants to be left alone for {secs} s");
            self.given_up = Some(limited(detail));
            return;
        };
        // Two were under way: it is the same pause.
        let before = self.pause.take().filter(|pause| pause.until > now);
        let most = most_wait.saturating_mul(MOST_PAUSES);
        let begun = before.as_ref().map_or(now, |pause| pause.until);
        let more = until.saturating_duration_since(begun);
        self.paused = self.paused.saturating_add(more);
        if self.paused > most {
            let secs = in_secs(most);
            let detail =
                format!("{host} wants one pause after the other, more than {secs} s in all");
            self.given_up.get_or_insert_with(|| limited(detail));
        }
        self.pause = Some(match before {
            Some(pause) => Pause {
                until: pause.until.max(until),
                ..pause
            },
            None => {
                let is_refusal = matches!(heard.turn, Turn::Refused);
                self.refusals = self.refusals.saturating_add(u8::from(is_refusal));
                Pause {
                    until,
                    secs: in_secs(wanted),
                    is_told: false,
                }
            }
        });
        if self.refusals >= MOST_REFUSALS {
            self.given_up
                .get_or_insert_with(|| (again(origin).into(), at));
        }
    }

    /// Tells of its pause, once, where something waits for its end.
    pub(super) fn tell_pause(
        &mut self,
        origin: &Origin,
        now: Instant,
        messages: &mut Vec<Message>,
    ) {
        let is_waited_for = !self.queue.is_empty();
        let is_news = |pause: &&mut Pause| is_waited_for && !pause.is_told && pause.until > now;
        if let Some(pause) = self.pause.as_mut().filter(is_news) {
            pause.is_told = true;
            messages.push(Message::Waits {
                host: origin.as_str().to_owned(),
                secs: pause.secs,
            });
        }
    }
}

/// Why a question, or a host, that was refused again and again has no answer.
pub(super) fn again(origin: &Origin) -> Unanswered {
    let host = origin.as_str();
    let detail = format!("{host} refused {MOST_REFUSALS} times and wants to be asked later");
    Unanswered::new(Why::RateLimited, detail)
}

/// Whole seconds, the last one begun.
fn in_secs(time: Duration) -> u64 {
    let is_begun = time.subsec_nanos() > 0;
    time.as_secs().saturating_add(u64::from(is_begun))
}
