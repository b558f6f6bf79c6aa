//! Whose turn it is: hosts side by side, each asked gently.

use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, Instant},
};

use jiff::Timestamp;

use super::{
    Question,
    fault::Failed,
    host::{self, Host, MOST_FAILURES, MOST_REFUSALS},
    job::{Job, Outcome, Task, Turn},
    place::Origin,
};

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
    /// Whether this machine reached anything, though it be a host that refused.
    pub(super) is_online: bool,
    /// Nothing is begun any more.
    pub(super) is_stopped: bool,
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
        if let Some(reason) = &host.given_up {
            return end(job, reason, messages);
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
        let next = waiting.filter_map(|host| host.paused_until(now)).min()?;
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
        self.is_online |= heard.failed.as_ref().is_none_or(Failed::is_reached);
        let origin = job.origin.clone();
        let host = self.hosts.entry(origin.clone()).or_default();
        host.under_way = host.under_way.saturating_sub(1);
        let is_rested_for = host.count(&heard, now);
        host.pause(&origin, &heard, most_wait, now);
        self.give_up(&origin, &mut messages);
        if is_rested_for && job.faults < MOST_FAILURES - 1 {
            job.faults += 1;
            self.put(job, now, &mut messages);
            return messages;
        }
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
                    let outcome = host::again(&origin).into();
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
        let Some(reason) = &host.given_up else {
            return;
        };
        self.ring.retain(|other| other != origin);
        for job in host.queue.drain(..) {
            self.open = self.open.saturating_sub(1);
            end(job, reason, messages);
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
    /// When it was sent.
    pub(super) at: Timestamp,
    /// Why there was no answer, where there was none.
    pub(super) failed: Option<Failed>,
    /// The pause that the host wants.
    pub(super) pause: Option<Duration>,
    pub(super) turn: Turn,
}

/// Ends a job whose host is asked no more.
fn end(job: Job, (failed, at): &(Failed, Timestamp), messages: &mut Vec<Message>) {
    let outcome = job.given_up(failed, *at);
    tell(job.questions, &outcome, messages);
}

fn tell(questions: Vec<Question>, outcome: &Outcome, messages: &mut Vec<Message>) {
    let told = questions.into_iter();
    messages
        .extend(told.map(|question| Message::Asked(Box::new(question), Box::new(outcome.clone()))));
}

#[cfg(test)]
#[path = "schedule_tests.rs"]
mod tests;
