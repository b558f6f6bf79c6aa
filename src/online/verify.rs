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

/// Puts all questions on the desk, those of one instance (and of one address, where records have one) together: its host
/// is found out once.
fn fill(desk: &mut Desk, questions: Vec<Question>) -> Vec<Message> {
    let (now, mut messages) = (Instant::now(), Vec::new());
    let mut searches: Vec<(Option<Origin>, Vec<Question>)> = Vec::new();
    let mut places: HashMap<(Domain, Option<Origin>), usize> = HashMap::new();
    for question in questions {
        let named = question.base_url.as_deref().map(Origin::of_base_url);
        let named = match named.transpose() {
            Ok(named) => named,
            Err(detail) => {
                let outcome = Unanswered::new(Why::NotUnderstood, detail).into();
                messages.push(Message::Asked(Box::new(question), Box::new(outcome)));
                continue;
            }
        };
        let place = *places
            .entry((question.instance.clone(), named.clone()))
            .or_insert(searches.len());
        match searches.get_mut(place) {
            Some((_, others)) => others.push(question),
            None => searches.push((named, vec![question])),
        }
    }
    let jobs = searches.into_iter();
    for job in jobs.filter_map(|(named, questions)| Job::finding(questions, named)) {
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
                .and_then(|reply| pause::pause(reply, at, self.client.most_wait)),
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

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, net::TcpListener, time::Duration};

    use crate::{
        model::{TokenId, User, Verdict},
        online::Settings,
        progress::Silent,
    };

    use super::*;

    fn question(number: u8, instance: &str, base_url: Option<String>) -> Question {
        Question {
            id: TokenId([number; 16]),
            instance: Domain::stored(instance),
            base_url,
            user: User::Unknown,
            app_names: Vec::new(),
            app_id: None,
            access_token: "token".into(),
        }
    }

    /// A name that getaddrinfo refuses without asking anybody: its label is too long.
    fn nowhere(number: u8) -> Question {
        question(number, &("a".repeat(64) + &number.to_string()), None)
    }

    fn ask(questions: Vec<Question>) -> Vec<Asked> {
        let client = Client::new(&Settings {
            ca_file: None,
            timeout: Duration::from_secs(10),
            most_wait: Duration::ZERO,
            proxy: None,
        });
        let mut answers = Vec::new();
        let asked = verify(
            &client.unwrap(),
            questions,
            &Timestamp::now,
            &Silent,
            |event| {
                if let Event::Asked(question, asked) = event {
                    answers.push((question.id, asked));
                }
                Ok::<(), Infallible>(())
            },
        );
        let Ok(()) = asked;
        answers.sort_by_key(|(id, _)| *id);
        answers.into_iter().map(|(_, asked)| asked).collect()
    }

    fn is_gone(asked: &Asked) -> bool {
        matches!(asked, Asked::Answered(answer) if answer.verdict == Verdict::InstanceGone)
    }

    fn is_offline(asked: &Asked) -> bool {
        matches!(asked, Asked::Unanswered(why) if why.detail.contains("may be offline"))
    }

    #[test]
    fn no_such_host_is_believed_where_something_was_reached() {
        // A port where nobody listens: it is the host that refuses.
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr();
        let refusing = question(2, "m.example", Some(free.unwrap().to_string()));
        let asked = ask(vec![nowhere(1), refusing, nowhere(3)]);
        assert!(is_gone(&asked[0]) && is_gone(&asked[2]), "{asked:?}");
        assert!(matches!(&asked[1], Asked::Unanswered(why) if why.detail.contains("refuses")));

        let asked = ask(vec![nowhere(1), nowhere(2)]);
        assert!(asked.iter().all(is_offline), "{asked:?}");
        // A single one: on Linux it was a name server that said so.
        let asked = ask(vec![nowhere(1)]);
        let expected = if cfg!(target_os = "linux") {
            is_gone
        } else {
            is_offline
        };
        assert!(expected(&asked[0]), "{asked:?}");
    }
}
