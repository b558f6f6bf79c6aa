//! Asking about many tokens: threads that send, one that listens.

use std::{
    collections::HashMap,
    panic::{self, AssertUnwindSafe},
    sync::{
        Condvar, Mutex, MutexGuard, PoisonError,
        mpsc::{self, Receiver, SyncSender},
    },
    thread,
    time::Instant,
};

use jiff::Timestamp;

use crate::{
    model::{Domain, Verification},
    progress::Progress,
};

use super::{
    Asked, Client, Event, Question, Unanswered, Why,
    client::Connections,
    host::MOST_PER_HOST,
    job::{self, Job, Outcome, Turn},
    pause,
    place::Origin,
    schedule::{Desk, Heard, Message},
};

/// Asks about every token: hosts side by side, at most two requests at once per host.
///
/// `each` is called on the calling thread as answers come, exactly once with [`Event::Asked`] for each question. `now`
/// is asked before every request.
///
/// # Errors
/// Those of `each`; the first one ends it, and breaks off what is under way.
pub fn verify<E>(
    client: &Client,
    questions: Vec<Question>,
    now: &(dyn Fn() -> Timestamp + Sync),
    progress: &dyn Progress,
    each: impl FnMut(Event<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let total = u64::try_from(questions.len()).unwrap_or(u64::MAX);
    progress.start("asking instances", Some(total));
    let mut listener = Listener {
        each,
        progress,
        done: 0,
        held: Vec::new(),
    };
    let asked = listener.ask(client, questions, now);
    progress.finish();
    asked
}

/// The one who called, as the threads see it.
struct Listener<'p, F> {
    each: F,
    progress: &'p dyn Progress,
    done: u64,
    /// Hosts that don't exist: believed once anything was reached.
    held: Vec<(Question, Verification)>,
}

impl<E, F: FnMut(Event<'_>) -> Result<(), E>> Listener<'_, F> {
    fn ask(
        &mut self,
        client: &Client,
        questions: Vec<Question>,
        now: &(dyn Fn() -> Timestamp + Sync),
    ) -> Result<(), E> {
        let mut desk = Desk::default();
        let most = questions.len().min(MOST_THREADS);
        for message in fill(&mut desk, questions) {
            self.tell(message)?;
        }
        // Another host that an instance names comes in the place of its own.
        let threads = most.min(desk.hosts() * MOST_PER_HOST);
        let office = Office {
            desk: Mutex::new(desk),
            changed: Condvar::new(),
            connections: client.connections(),
            client,
            now,
        };
        thread::scope(|scope| {
            let (sender, receiver) = mpsc::sync_channel(MESSAGES);
            for _ in 0..threads {
                let (office, sender) = (&office, sender.clone());
                let thread = thread::Builder::new().name("verify".to_owned());
                // Fewer threads are slower; with none at all, everything is left over below.
                drop(thread.spawn_scoped(scope, move || office.work(&sender)));
            }
            drop(sender);
            let heard = self.listen(receiver);
            if heard.is_err() {
                office.stop();
            }
            heard
        })?;
        let desk = office
            .desk
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        let is_offline = !desk.is_online && (desk.hosts() > 1 || !SAYS_NO_SUCH_HOST_ONLINE_ONLY);
        for (question, verification) in std::mem::take(&mut self.held) {
            self.answer(&question, believed(verification, &question, is_offline))?;
        }
        for question in desk.into_rest() {
            self.answer(&question, Asked::Unanswered(job::broken()))?;
        }
        Ok(())
    }

    /// The receiver is dropped at the end: threads that still speak then stop.
    fn listen(&mut self, receiver: Receiver<Message>) -> Result<(), E> {
        receiver
            .into_iter()
            .try_for_each(|message| self.tell(message))
    }

    fn tell(&mut self, message: Message) -> Result<(), E> {
        match message {
            Message::Asked(question, outcome) => match *outcome {
                Outcome::Is(asked) => self.answer(&question, asked),
                Outcome::NoSuchHost(verification) => {
                    self.held.push((*question, verification));
                    Ok(())
                }
            },
            Message::Waits { host, secs } => (self.each)(Event::Waits { host: &host, secs }),
        }
    }

    fn answer(&mut self, question: &Question, asked: Asked) -> Result<(), E> {
        self.done += 1;
        self.progress.at(self.done);
        (self.each)(Event::Asked(question, asked))
    }
}

/// Puts all questions on the desk: those with an address of their own, and those whose instance's host is to be found.
fn fill(desk: &mut Desk, questions: Vec<Question>) -> Vec<Message> {
    let (now, mut messages) = (Instant::now(), Vec::new());
    let mut instances: Vec<Vec<Question>> = Vec::new();
    let mut places: HashMap<Domain, usize> = HashMap::new();
    for question in questions {
        let Some(base_url) = &question.base_url else {
            let place = *places
                .entry(question.instance.clone())
                .or_insert(instances.len());
            match instances.get_mut(place) {
                Some(others) => others.push(question),
                None => instances.push(vec![question]),
            }
            continue;
        };
        match Origin::of_base_url(base_url) {
            Ok(origin) => desk.put(Job::asking(question, origin), now, &mut messages),
            Err(detail) => {
                let outcome = Unanswered::new(Why::NotUnderstood, detail).into();
                messages.push(Message::Asked(Box::new(question), Box::new(outcome)));
            }
        }
    }
    for job in instances.into_iter().filter_map(Job::finding) {
        desk.put(job, now, &mut messages);
    }
    messages
}

/// A host that doesn't exist is gone, unless nothing was reached: then it may be that this machine is offline.
fn believed(verification: Verification, question: &Question, is_offline: bool) -> Asked {
    if !is_offline {
        return Asked::Answered(verification);
    }
    let detail = format!(
        "the host of {} was not found, nor was any other: this machine may be offline",
        question.instance
    );
    Asked::Unanswered(Unanswered::new(Why::Unreachable, detail))
}

/// What the threads share.
struct Office<'c> {
    desk: Mutex<Desk>,
    /// Something was put on the desk, or nothing will be any more.
    changed: Condvar,
    connections: Connections,
    client: &'c Client,
    now: &'c (dyn Fn() -> Timestamp + Sync),
}

impl Office<'_> {
    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self, sender: &SyncSender<Message>) {
        let _guard = EndsWithMe(self);
        while let Some(job) = self.next() {
            // Neither a fault of ours nor one of a package may keep the others waiting.
            let heard = panic::catch_unwind(AssertUnwindSafe(|| self.ask(&job)));
            let heard = heard.unwrap_or_else(|_| Heard {
                at: Timestamp::UNIX_EPOCH,
                failed: Some(job::broken().into()),
                pause: None,
                turn: Turn::Done(job::broken().into()),
            });
            let most_wait = self.client.most_wait;
            let messages = self.desk().heard(job, heard, most_wait, Instant::now());
            self.changed.notify_all();
            for message in messages {
                if sender.send(message).is_err() {
                    // Nobody listens any more.
                    return self.stop();
                }
            }
        }
    }

    /// Waits for a job that may be begun; `None` once there will be none.
    fn next(&self) -> Option<Job> {
        let mut desk = self.desk();
        loop {
            if desk.is_done() {
                return None;
            }
            let now = Instant::now();
            if let Some(job) = desk.take(now) {
                return Some(job);
            }
            desk = match desk.until_next(now) {
                Some(time) => {
                    let waited = self.changed.wait_timeout(desk, time);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                None => self
                    .changed
                    .wait(desk)
                    .unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    fn ask(&self, job: &Job) -> Heard {
        let at = (self.now)();
        let reply = job.send(&self.connections);
        Heard {
            at,
            failed: reply.as_ref().err().cloned(),
            pause: reply
                .as_ref()
                .ok()
                .and_then(|reply| pause::pause(reply, at)),
            turn: job.heard(reply.as_ref().map_err(Clone::clone), at),
        }
    }

    fn stop(&self) {
        self.desk().is_stopped = true;
        self.changed.notify_all();
        self.connections.end();
    }
}

/// A thread that panics outside of a request leaves the desk in an unknown state: the others end, too.
struct EndsWithMe<'o, 'c>(&'o Office<'c>);

impl Drop for EndsWithMe<'_, '_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.stop();
        }
    }
}

/// Whether "no such host" of a single host is believed though nothing else was reached. glibc and musl say so only where a
/// name server has said it (offline they can't ask, and say that instead); macOS says it offline, too.
const SAYS_NO_SUCH_HOST_ONLINE_ONLY: bool = cfg!(target_os = "linux");
/// Hosts that don't answer hold a thread for the whole time limit.
const MOST_THREADS: usize = 32;
/// Answers that may wait for the one who listens.
const MESSAGES: usize = 64;
