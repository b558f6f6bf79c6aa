//! The requests about one token, one after the other.

use jiff::Timestamp;

use crate::model::{User, Verdict, Verification};

use super::{
    Asked, Question,
    answer::{Because, Reading, Said},
    fault::Failed,
    job::Outcome,
    place::Origin,
    reply::Reply,
};

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// About the account. `has_apps`: whether the instance can be asked about apps.
    Account { has_apps: bool },
    /// About the app.
    App(Because),
}

/// How it goes on.
#[derive(Debug)]
pub(super) enum Next {
    Ask(Step),
    Done(Box<Outcome>),
}

impl From<Outcome> for Next {
    fn from(outcome: Outcome) -> Self {
        Self::Done(Box::new(outcome))
    }
}

impl Step {
    /// What is asked first.
    pub(super) fn first(question: &Question) -> Self {
        match question.user {
            User::Application => Self::App(Because::Application),
            User::Named(_) | User::Unknown => Self::Account { has_apps: true },
        }
    }

    /// The path to ask for. Words are wanted in English, see [`answer`](super::answer).
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Account { .. } => "/api/v1/accounts/verify_credentials?lang=en",
            Self::App(_) => "/api/v1/apps/verify_credentials?lang=en",
        }
    }

    /// What an answer comes to.
    pub(super) fn heard(
        self,
        question: &Question,
        origin: &Origin,
        heard: Result<&Reply, Failed>,
        at: Timestamp,
    ) -> Next {
        let reading = Reading {
            question,
            origin,
            at,
        };
        let reply = match heard {
            Ok(reply) => reply,
            Err(failed) => return unheard(&reading, failed).into(),
        };
        let said = match self {
            Self::Account { has_apps } => reading.of_account(reply, has_apps),
            Self::App(because) => reading.of_app(reply, because),
        };
        match said {
            Said::Verified(verification) => Outcome::Is(Asked::Answered(verification)).into(),
            Said::Nothing(unanswered) => Outcome::from(unanswered).into(),
            Said::AskApp(because) => Next::Ask(Self::App(because)),
            Said::AskAccount => Next::Ask(Self::Account { has_apps: false }),
        }
    }
}

/// No answer, where a verdict may still follow from that.
pub(super) fn unheard(reading: &Reading<'_>, failed: Failed) -> Outcome {
    match failed {
        Failed::NoSuchHost => {
            let words = Some("no such host".to_owned());
            Outcome::NoSuchHost(reading.verification(Verdict::InstanceGone, words))
        }
        Failed::BrokenOff(unanswered) | Failed::Unanswered(unanswered) => {
            Outcome::Is(Asked::Unanswered(unanswered))
        }
    }
}

/// Something that is no instance answers in its place; no token was sent there.
pub(super) fn gone(reading: &Reading<'_>, words: &str) -> Outcome {
    let words = words.chars().take(Verification::MAX_TEXT).collect();
    Outcome::Is(Asked::Answered(
        reading.verification(Verdict::InstanceGone, Some(words)),
    ))
}
