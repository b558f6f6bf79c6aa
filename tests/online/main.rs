//! Asking instances, over real TLS on loopback. Names are resolved by nobody: the server is the proxy, too.

#![cfg(feature = "online")]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::expect_used,
    reason = "tests and their helpers"
)]

#[path = "../instance/mod.rs"]
mod instance;

mod faults;
mod places;
mod politeness;
mod verdicts;

use std::{convert::Infallible, time::Duration};

use jiff::Timestamp;
use tuskvault::{
    model::{Domain, TokenId, User, Verdict, Verification},
    online::{Asked, Client, Event, Proxy, Question, Settings, Unanswered, Why, verify},
    progress::Silent,
};

use instance::{Behaviour, Reply, Request, Server};

/// Settings that trust the server and reach it at its own address.
fn direct(server: &Server) -> Settings {
    Settings {
        ca_file: Some(server.ca_file()),
        timeout: Duration::from_secs(30),
        most_wait: Duration::from_secs(5),
        proxy: None,
    }
}

/// Settings with which every name leads to the server.
fn through(server: &Server) -> Settings {
    Settings {
        proxy: Some(Proxy::parse(&server.proxy_url()).unwrap()),
        ..direct(server)
    }
}

/// A question about alice's token on an instance; the token is `token-of-NUMBER`.
fn question(number: u16, instance: &str) -> Question {
    let mut id = [0; 16];
    id[..2].copy_from_slice(&number.to_be_bytes());
    Question {
        id: TokenId(id),
        instance: Domain::parse(instance).unwrap(),
        base_url: None,
        user: User::Named("alice".to_owned()),
        app_names: Vec::new(),
        app_id: None,
        access_token: format!("token-of-{number}").as_str().into(),
    }
}

/// The same at the server's own address.
fn question_at(server: &Server) -> Question {
    Question {
        base_url: Some(format!("https://{}", server.authority())),
        ..question(1, "m.example")
    }
}

/// So many questions about tokens of one instance, at the server's own address.
fn questions_at(server: &Server, count: u16) -> Vec<Question> {
    let questions = (0..count).map(|number| Question {
        base_url: Some(server.authority()),
        ..question(number, "m.example")
    });
    questions.collect()
}

/// What came of questions, in their order, and the pauses in order.
struct Came {
    asked: Vec<Asked>,
    waits: Vec<(String, u64)>,
}

impl Came {
    fn all_work(&self) {
        for asked in &self.asked {
            assert_eq!(verdict(asked), Verdict::Works, "{asked:?}");
        }
    }

    fn none_answered(&self, reason: Why) {
        for asked in &self.asked {
            assert_eq!(why(asked), reason, "{asked:?}");
        }
    }
}

fn ask_all(settings: &Settings, questions: Vec<Question>) -> Came {
    let client = Client::new(settings).unwrap();
    let ids: Vec<TokenId> = questions.iter().map(|question| question.id).collect();
    let mut asked: Vec<Option<Asked>> = vec![None; ids.len()];
    let mut waits = Vec::new();
    let heard = verify(&client, questions, &Timestamp::now, &Silent, |event| {
        match event {
            Event::Asked(question, came) => {
                let place = ids.iter().position(|id| *id == question.id).unwrap();
                assert_eq!(asked[place].replace(came), None, "answered twice");
            }
            Event::Waits { host, secs } => waits.push((host.to_owned(), secs)),
        }
        Ok::<(), Infallible>(())
    });
    let Ok(()) = heard;
    let asked = asked.into_iter().map(|came| came.expect("an answer"));
    Came {
        asked: asked.collect(),
        waits,
    }
}

fn ask(settings: &Settings, question: Question) -> Asked {
    ask_all(settings, vec![question]).asked.remove(0)
}

fn answered(asked: Asked) -> Verification {
    match asked {
        Asked::Answered(verification) => verification,
        Asked::Unanswered(unanswered) => panic!("{unanswered:?}"),
    }
}

fn verdict(asked: &Asked) -> Verdict {
    answered(asked.clone()).verdict
}

fn unanswered(asked: Asked) -> Unanswered {
    match asked {
        Asked::Unanswered(unanswered) => unanswered,
        Asked::Answered(verification) => panic!("{verification:?}"),
    }
}

fn why(asked: &Asked) -> Why {
    unanswered(asked.clone()).why
}

const ACCOUNT: &str = "/api/v1/accounts/verify_credentials";
const APP: &str = "/api/v1/apps/verify_credentials";

/// An instance that answers this about tokens.
fn api(reply: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Behaviour {
    Behaviour::new(move |request| match request.path() {
        ACCOUNT | APP => reply(request),
        _ => Reply::json(404, "{}"),
    })
}

/// An instance without WEB_DOMAIN, whose every token is alice's and works.
fn plain(request: &Request) -> Reply {
    match request.path() {
        ACCOUNT if request.token().is_some() => Reply::sample("account-ok"),
        APP if request.token().is_some() => Reply::sample("app-ok-4.3"),
        ACCOUNT | APP => Reply::sample("token-invalid"),
        _ => Reply::json(404, r#"{"error":"Not found"}"#),
    }
}
