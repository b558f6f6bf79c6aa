//! One request at one host, and what follows from its answer.

use jiff::Timestamp;

use super::{
    Asked, Question, Unanswered, Why,
    answer::Reading,
    ask::{self, Next, Step},
    client::Connections,
    fault::Failed,
    find::{Finding, Found},
    place::Origin,
    reply::Reply,
};

/// What came of a question; or nearly.
#[derive(Debug, Clone)]
pub(super) enum Outcome {
    Is(Asked),
    /// "No such host": a verdict, unless this machine finds no host at all.
    NoSuchHost(crate::model::Verification),
}

impl From<Unanswered> for Outcome {
    fn from(unanswered: Unanswered) -> Self {
        Self::Is(Asked::Unanswered(unanswered))
    }
}

/// What is to be asked next, at one host.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) origin: Origin,
    pub(super) task: Task,
    /// The question, or all those that wait for an instance's host to be found.
    pub(super) questions: Vec<Question>,
    /// How often the host refused for its rate limit.
    pub(super) refusals: u8,
    /// How often the host broke it off.
    pub(super) faults: u8,
}

#[derive(Debug, Clone)]
pub(super) enum Task {
    Find(Finding),
    Ask(Step),
}

/// What an answer leads to.
#[derive(Debug)]
pub(super) enum Turn {
    /// One more request.
    Next(Origin, Task),
    /// The host where the questions are asked.
    At(Origin),
    /// All of the job's questions have come to this.
    Done(Outcome),
    /// The host wants a pause first.
    Refused,
}

impl Job {
    /// The question at this host.
    pub(super) fn asking(question: Question, origin: Origin) -> Self {
        Self {
            origin,
            task: Task::Ask(Step::first(&question)),
            questions: vec![question],
            refusals: 0,
            faults: 0,
        }
    }

    /// The search for the host of the instance of these questions, which begins where their records say that it is.
    pub(super) fn finding(questions: Vec<Question>, named: Option<Origin>) -> Option<Self> {
        let first = questions.first()?;
        let users = questions.iter().filter_map(|question| question.user.name());
        let (origin, finding) = match named {
            Some(origin) => Finding::at(origin, &first.instance, users),
            None => Finding::new(&first.instance, users),
        };
        Some(Self {
            origin,
            task: Task::Find(finding),
            questions,
            refusals: 0,
            faults: 0,
        })
    }

    /// Sends the request. The token goes along only with a question, never with a search.
    pub(super) fn send(&self, connections: &Connections) -> Result<Reply, Failed> {
        match (&self.task, self.questions.as_slice()) {
            (Task::Find(finding), _) => {
                connections.get(&self.origin, &finding.path(), finding.accept(), None)
            }
            (Task::Ask(step), [question]) => {
                let token = Some(&question.access_token);
                connections.get(&self.origin, step.path(), "application/json", token)
            }
            (Task::Ask(_), _) => Err(broken().into()),
        }
    }

    /// What its answer leads to.
    pub(super) fn heard(&self, heard: Result<&Reply, Failed>, at: Timestamp) -> Turn {
        if heard.as_ref().is_ok_and(|reply| reply.is_refusal()) {
            return Turn::Refused;
        }
        match (&self.task, self.questions.as_slice()) {
            (Task::Find(finding), [first, ..]) => {
                let reading = Reading {
                    question: first,
                    origin: &self.origin,
                    at,
                };
                match finding.heard(&self.origin, heard) {
                    Found::Next(origin, finding) => Turn::Next(origin, Task::Find(finding)),
                    Found::At(origin) => Turn::At(origin),
                    Found::Gone(words) => Turn::Done(ask::gone(&reading, &words)),
                    Found::Failed(failed) => Turn::Done(ask::unheard(&reading, failed)),
                }
            }
            (Task::Ask(step), [question]) => match step.heard(question, &self.origin, heard, at) {
                Next::Ask(step) => Turn::Next(self.origin.clone(), Task::Ask(step)),
                Next::Done(outcome) => Turn::Done(*outcome),
            },
            _ => Turn::Done(broken().into()),
        }
    }

    /// What comes of it where its host is asked no more, for this reason.
    pub(super) fn given_up(&self, failed: &Failed, at: Timestamp) -> Outcome {
        match self.heard(Err(failed.clone()), at) {
            Turn::Done(outcome) => outcome,
            Turn::Next(..) | Turn::At(_) | Turn::Refused => broken().into(),
        }
    }
}

/// A fault of ours: the rest goes on.
pub(super) fn broken() -> Unanswered {
    Unanswered::new(Why::NotUnderstood, "a fault in tuskvault: please report it")
}
