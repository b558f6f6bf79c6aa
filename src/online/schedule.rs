//! Whose turn it is: hosts side by side, each asked gently.

use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, Instant},
};

use super::{
    Asked, Question, Unanswered, Why,
    job::{Job, Outcome, Task, Turn},
    place::Origin,
};

/// Requests at once per host.
pub(super) const MOST_PER_HOST: usize = 2;
/// Refusals for the rate limit until a question, or a whole host, is given up.
const MOST_REFUSALS: u8 = 3;
/// Requests without an answer, one after the other, until a host is given up.
const MOST_FAILURES: u8 = 3;

/// What the one who called is told.
#[derive(Debug)]
pub(super) enum Message {
    Asked(Box<Question>, Box<Outcome>),
    Waits { host: String, secs: u64 },
}

/// All that is to be asked and is being asked. Holds no connection and never blocks.
#[derive(Debug, Default)]
pub(super) struct Desk {
    hosts: HashMap<Origin, Host>,
    /// Hosts with something in their queue, the next one first.
    ring: VecDeque<Origin>,
    /// Jobs queued or under way.
    open: usize,
    /// Whether any host answered anything.
    pub(super) has_answer: bool,
    /// Nothing is begun any more.
    pub(super) is_stopped: bool,
}

#[derive(Debug, Default)]
struct Host {
    queue: VecDeque<Job>,
    under_way: usize,
    pause: Option<Pause>,
    /// Pauses for refusals since it last answered otherwise.
    refusals: u8,
    /// Requests since it last answered that had no answer.
    failures: u8,
    /// It wants too long a pause, or one after the other, or never answers: it is asked no more, and this is what comes
    /// of the rest.
    given_up: Option<Outcome>,
}

#[derive(Debug)]
struct Pause {
    until: Instant,
    secs: u64,
    is_told: bool,
}

impl Desk {
    /// How many hosts were, or are to be, asked.
    pub(super) fn hosts(&self) -> usize {
        self.hosts.len()
    }

    /// Whether nothing is left to begin, now or later.
    pub(super) fn is_done(&self) -> bool {
        self.is_stopped || self.open == 0
    }

    /// Puts a job into its host's queue; where the host is given up, its questions are done.
    pub(super) fn put(&mut self, job: Job, now: Instant, messages: &mut Vec<Message>) {
        let origin = job.origin.clone();
        let host = self.hosts.entry(origin.clone()).or_default();
        if let Some(outcome) = &host.given_up {
            return tell(job.questions, outcome, messages);
        }
        if host.queue.is_empty() {
            self.ring.push_back(origin.clone());
        }
        // Questions wait for a search. One that was refused lets the others go first: the limit may be its own token's.
        match job.task {
            Task::Find(_) => host.queue.push_front(job),
            Task::Ask(_) => host.queue.push_back(job),
        }
        self.open += 1;
        host.tell_pause(&origin, now, messages);
    }

    /// The next job that may be begun now.
    pub(super) fn take(&mut self, now: Instant) -> Option<Job> {
        for _ in 0..self.ring.len() {
            let origin = self.ring.pop_front()?;
            let Some(host) = self.hosts.get_mut(&origin) else {
                continue;
            };
            let job = host.take(now);
            if !host.queue.is_empty() {
                self.ring.push_back(origin);
            }
            if job.is_some() {
                return job;
            }
        }
        None
    }

    /// How long until some pause is over; `None` where nothing waits for that.
    pub(super) fn until_next(&self, now: Instant) -> Option<Duration> {
        let waiting = self.ring.iter().filter_map(|origin| self.hosts.get(origin));
        let pauses = waiting.filter_map(|host| Some(host.pause.as_ref()?.until));
        let next = pauses.filter(|until| *until > now).min()?;
        Some(next.duration_since(now))
    }

    /// A job that was taken has come to this.
    pub(super) fn heard(
        &mut self,
        mut job: Job,
        heard: Heard,
        most_wait: Duration,
        now: Instant,
    ) -> Vec<Message> {
        let mut messages = Vec::new();
        self.open = self.open.saturating_sub(1);
        self.has_answer |= heard.is_answer;
        let is_refusal = matches!(heard.turn, Turn::Refused);
        let origin = job.origin.clone();
        let host = self.hosts.entry(origin.clone()).or_default();
        host.under_way = host.under_way.saturating_sub(1);
        host.count(&heard);
        if let Some(pause) = heard.pause {
            host.pause(&origin, pause, is_refusal, most_wait, now);
        }
        self.give_up(&origin, &mut messages);
        match heard.turn {
            Turn::Next(origin, task) => {
                job = Job {
                    origin,
                    task,
                    ..job
                };
                self.put(job, now, &mut messages);
            }
            Turn::At(origin) => {
                for question in job.questions {
                    self.put(Job::asking(question, origin.clone()), now, &mut messages);
                }
            }
            Turn::Done(outcome) => tell(job.questions, &outcome, &mut messages),
            Turn::Refused => {
                job.refusals += 1;
                if job.refusals < MOST_REFUSALS {
                    self.put(job, now, &mut messages);
                } else {
                    let outcome = again(&origin);
                    tell(job.questions, &outcome, &mut messages);
                }
            }
        }
        if let Some(host) = self.hosts.get_mut(&origin) {
            host.tell_pause(&origin, now, &mut messages);
        }
        messages
    }

    /// Ends what waits for a host that is asked no more.
    fn give_up(&mut self, origin: &Origin, messages: &mut Vec<Message>) {
        let Some(host) = self.hosts.get_mut(origin) else {
            return;
        };
        let Some(outcome) = &host.given_up else {
            return;
        };
        self.ring.retain(|other| other != origin);
        for job in host.queue.drain(..) {
            self.open = self.open.saturating_sub(1);
            tell(job.questions, outcome, messages);
        }
    }

    /// The questions that nobody came to.
    pub(super) fn into_rest(self) -> impl Iterator<Item = Question> {
        let queues = self.hosts.into_values().flat_map(|host| host.queue);
        queues.flat_map(|job| job.questions)
    }
}

/// What a request came to.
#[derive(Debug)]
pub(super) struct Heard {
    /// Whether the host answered anything.
    pub(super) is_answer: bool,
    /// The pause that it wants.
    pub(super) pause: Option<Duration>,
    pub(super) turn: Turn,
}

impl Host {
    fn take(&mut self, now: Instant) -> Option<Job> {
        let is_paused = self.pause.as_ref().is_some_and(|pause| pause.until > now);
        if is_paused || self.under_way >= MOST_PER_HOST {
            return None;
        }
        let job = self.queue.pop_front()?;
        self.pause = None;
        self.under_way += 1;
        Some(job)
    }

    /// A host that is dead would hold a thread for the time limit with each of its questions.
    fn count(&mut self, heard: &Heard) {
        if heard.is_answer {
            self.failures = 0;
            if !matches!(heard.turn, Turn::Refused) {
                self.refusals = 0;
            }
            return;
        }
        let Turn::Done(outcome) = &heard.turn else {
            return;
        };
        let is_of_host = match outcome {
            Outcome::NoSuchHost(_) => true,
            Outcome::Is(Asked::Unanswered(unanswered)) => {
                matches!(unanswered.why, Why::Unreachable | Why::Untrusted)
            }
            Outcome::Is(Asked::Answered(_)) => false,
        };
        self.failures = self.failures.saturating_add(u8::from(is_of_host));
        if self.failures >= MOST_FAILURES {
            self.given_up.get_or_insert_with(|| outcome.clone());
        }
    }

    fn pause(
        &mut self,
        origin: &Origin,
        wanted: Duration,
        is_refusal: bool,
        most_wait: Duration,
        now: Instant,
    ) {
        let secs = wanted
            .as_secs()
            .saturating_add(u64::from(wanted.subsec_nanos() > 0));
        let until = now.checked_add(wanted);
        let (Some(until), true) = (until, wanted <= most_wait) else {
            let detail = format!("{} wants to be left alone for {secs} s", origin.as_str());
            self.given_up = Some(Unanswered::new(Why::RateLimited, detail).into());
            return;
        };
        match &mut self.pause {
            // Two were under way: it is the same pause.
            Some(pause) if pause.until > now => pause.until = pause.until.max(until),
            _ => {
                self.refusals = self.refusals.saturating_add(u8::from(is_refusal));
                let is_told = false;
                self.pause = Some(Pause {
                    until,
                    secs,
                    is_told,
                });
            }
        }
        if self.refusals >= MOST_REFUSALS {
            self.given_up.get_or_insert_with(|| again(origin));
        }
    }

    fn tell_pause(&mut self, origin: &Origin, now: Instant, messages: &mut Vec<Message>) {
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

fn again(origin: &Origin) -> Outcome {
    let host = origin.as_str();
    let detail =
        format!("{host} refused {MOST_REFUSALS} times, since it limits how often it is asked");
    Unanswered::new(Why::RateLimited, detail).into()
}

fn tell(questions: Vec<Question>, outcome: &Outcome, messages: &mut Vec<Message>) {
    let told = questions.into_iter();
    messages
        .extend(told.map(|question| Message::Asked(Box::new(question), Box::new(outcome.clone()))));
}

#[cfg(test)]
#[path = "schedule_tests.rs"]
mod tests;
