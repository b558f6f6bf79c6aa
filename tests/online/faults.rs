//! Servers that are broken, hostile, or somebody else.

use std::{
    net::TcpListener,
    sync::atomic::{AtomicUsize, Ordering},
};

use super::*;
use instance::{Certificate, Manner};

fn answering(reply: Reply) -> (Asked, usize) {
    let server = Server::start(api(move |_| reply.clone()));
    let mut settings = direct(&server);
    settings.timeout = Duration::from_secs(20);
    let asked = ask(&settings, question_at(&server));
    (asked, server.with_token().len())
}

fn ok() -> Reply {
    Reply::sample("account-ok")
}

#[test]
fn bodies_that_are_huge_endless_or_cut_are_no_answer() {
    let padded = |bytes| {
        let note = "x".repeat(bytes);
        Reply::json(
            200,
            &format!(r#"{{"id":"1","username":"alice","note":"{note}"}}"#),
        )
    };
    assert_eq!(verdict(&answering(padded(1_000_000)).0), Verdict::Works);
    let huge = padded(2 << 20);
    for (reply, expected) in [
        (huge, Why::NotUnderstood),
        (ok().manner(Manner::Endless), Why::NotUnderstood),
        (ok().manner(Manner::Cut), Why::Unreachable),
        (ok().manner(Manner::CutWithoutLength), Why::NotUnderstood),
        (ok().manner(Manner::HugeHeaders), Why::NotUnderstood),
        (ok().manner(Manner::Garbage), Why::NotUnderstood),
        (ok().manner(Manner::Close), Why::Unreachable),
    ] {
        let manner = reply.manner;
        let (asked, _) = answering(reply);
        assert_eq!(why(&asked), expected, "{manner:?}: {asked:?}");
    }
}

#[test]
fn what_drips_ends_with_the_time_limit() {
    for manner in [Manner::Drip, Manner::DripHeaders] {
        let server = Server::start(api(move |_| ok().manner(manner)));
        let mut settings = direct(&server);
        settings.timeout = Duration::from_millis(1500);
        let unanswered = unanswered(ask(&settings, question_at(&server)));
        assert_eq!(unanswered.why, Why::Unreachable);
        let detail = unanswered.detail;
        assert!(detail.contains("within 1500 ms"), "{detail}");
    }
}

#[test]
fn a_server_that_says_nothing_ends_with_the_time_limit() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = Server::start(Behaviour::new(plain));
    let mut settings = direct(&server);
    settings.timeout = Duration::from_millis(300);
    let mut question = question_at(&server);
    question.base_url = Some(silent.local_addr().unwrap().to_string());
    assert_eq!(why(&ask(&settings, question)), Why::Unreachable);
}

#[test]
fn a_dead_host_is_not_waited_for_with_every_token() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = Server::start(Behaviour::new(plain));
    let mut settings = direct(&server);
    settings.timeout = Duration::from_millis(200);
    let questions = (0..200).map(|number| Question {
        base_url: Some(silent.local_addr().unwrap().to_string()),
        ..question(number, "m.example")
    });
    let came = ask_all(&settings, questions.collect());
    came.none_answered(Why::Unreachable);
    silent.set_nonblocking(true).unwrap();
    let connections = std::iter::from_fn(|| silent.accept().ok()).count();
    // Three without an answer, while a fourth was under way.
    assert!(connections <= 4, "{connections}");
}

#[test]
fn a_server_that_hangs_up_after_each_answer_is_asked_on() {
    let server = Server::start(Behaviour::new(|r| plain(r).manner(Manner::HangUp)));
    let came = ask_all(&direct(&server), questions_at(&server, 40));
    came.all_work();
}

#[test]
fn a_connection_that_is_closed_instead_of_an_answer_is_replaced_once() {
    let asked = AtomicUsize::new(0);
    let server = Server::start(api(move |request| {
        match asked.fetch_add(1, Ordering::SeqCst) {
            1 => plain(request).manner(Manner::Close),
            _ => plain(request),
        }
    }));
    let came = ask_all(&direct(&server), questions_at(&server, 10));
    came.all_work();
    assert_eq!(server.with_token().len(), 11);
    // And once only, each of the three times that it is asked.
    let (asked, requests) = answering(ok().manner(Manner::Close));
    assert_eq!((why(&asked), requests), (Why::Unreachable, 6));
}

#[test]
fn http_1_0_is_understood() {
    let (asked, _) = answering(ok().manner(Manner::Http10));
    assert_eq!(verdict(&asked), Verdict::Works);
}

#[test]
fn what_is_not_about_the_token_is_no_verdict() {
    for reply in [
        Reply::json(200, r#"{"id":"1","username":"#),
        Reply::json(200, "[]"),
        Reply::json(200, r#"{"id":1,"username":"alice"}"#),
        Reply::json(200, r#"{"id":"","username":"alice"}"#),
        Reply::json(404, r#"{"error":"Record not found"}"#),
        Reply::json(500, r#"{"error":"The access token is invalid"}"#),
        Reply::html(200),
        Reply::html(404),
        // Traefik's, while a container is started anew.
        Reply::text(404, "text/plain", "404 page not found"),
        Reply::html(410),
        Reply::html(500),
        Reply::html(403),
        Reply::json(401, r#"{"error":"Unauthorized"}"#),
        Reply::json(401, r#"{"error":"Your session has expired"}"#),
        Reply::html(401).with("www-authenticate", r#"Basic realm="a""#),
        Reply::json(418, "{}"),
        Reply::json(204, ""),
    ] {
        let (asked, requests) = answering(reply.clone());
        assert_eq!(why(&asked), Why::NotUnderstood, "{reply:?}");
        assert_eq!(requests, 1);
    }
}

#[test]
fn a_gateway_whose_server_is_down_gets_rests_and_not_every_token() {
    for status in [502, 503, 504, 520] {
        let server = Server::start(api(move |_| Reply::html(status)));
        let came = ask_all(&direct(&server), questions_at(&server, 100));
        for asked in came.asked {
            let unanswered = unanswered(asked);
            assert_eq!(unanswered.why, Why::Unreachable);
            let detail = unanswered.detail;
            assert!(detail.contains(&format!("answered {status}")), "{detail}");
        }
        // Two at once, three times.
        let requests = server.with_token().len();
        assert!(requests <= 6, "{requests}");
    }
    // One that is back after a moment is asked on.
    let asked = AtomicUsize::new(0);
    let server = Server::start(api(move |request| {
        match asked.fetch_add(1, Ordering::SeqCst) {
            0..2 => Reply::html(502),
            _ => plain(request),
        }
    }));
    let came = ask_all(&direct(&server), questions_at(&server, 20));
    came.all_work();
}

fn certified(certificate: fn(&str) -> Certificate) -> Unanswered {
    let server = Server::start(Behaviour {
        certificate,
        ..Behaviour::new(plain)
    });
    let asked = ask(&direct(&server), question_at(&server));
    assert!(server.requests().is_empty(), "something was sent");
    unanswered(asked)
}

#[test]
fn certificates_are_always_checked() {
    for (certificate, words) in [
        (
            (|_| Certificate::Expired) as fn(&str) -> Certificate,
            "has expired",
        ),
        (|_| Certificate::NotYet, "is not valid yet"),
        (|_| Certificate::WrongName, "is for another host"),
        (|_| Certificate::SelfSigned, "nobody who is trusted"),
        (|_| Certificate::Stranger, "nobody who is trusted"),
    ] {
        let unanswered = certified(certificate);
        assert_eq!(unanswered.why, Why::Untrusted);
        assert!(unanswered.detail.contains(words), "{}", unanswered.detail);
    }
    // Without the file, its authority is a stranger.
    let server = Server::start(Behaviour::new(plain));
    let mut settings = direct(&server);
    settings.ca_file = None;
    assert_eq!(why(&ask(&settings, question_at(&server))), Why::Untrusted);
    // The certificate of the name, not of the address that is connected to.
    let server = Server::start(Behaviour {
        certificate: |name| match name {
            "evil.example" => Certificate::WrongName,
            _ => Certificate::Valid,
        },
        ..Behaviour::new(plain)
    });
    let came = ask_all(
        &through(&server),
        vec![question(1, "evil.example"), question(2, "m.example")],
    );
    assert_eq!(why(&came.asked[0]), Why::Untrusted);
    assert_eq!(verdict(&came.asked[1]), Verdict::Works);
    assert!(!server.has_arrived("token-of-1", ""));
}

#[test]
fn a_file_without_certificates_is_refused() {
    let server = Server::start(Behaviour::new(plain));
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("empty.pem", ""),
        ("words.pem", "hello"),
        (
            "broken.pem",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        ),
    ] {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        let mut settings = direct(&server);
        settings.ca_file = Some(path);
        let error = Client::new(&settings).unwrap_err().to_string();
        assert!(error.contains(name), "{error}");
    }
    let mut settings = direct(&server);
    settings.ca_file = Some(folder.path().join("missing.pem"));
    let error = Client::new(&settings).unwrap_err();
    assert!(error.to_string().contains("missing.pem"), "{error}");
    assert!(std::error::Error::source(&error).is_some());
}

#[test]
fn a_port_where_nobody_listens_refuses() {
    let server = Server::start(Behaviour::new(plain));
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let mut question = question_at(&server);
    question.base_url = Some(free.to_string());
    let unanswered = unanswered(ask(&direct(&server), question));
    assert_eq!(unanswered.why, Why::Unreachable);
    assert!(
        unanswered.detail.contains("refuses"),
        "{}",
        unanswered.detail
    );
}

#[test]
fn a_proxy_that_does_not_connect_is_told() {
    let server = Server::start(Behaviour {
        refused: vec!["gone.example".to_owned()],
        ..Behaviour::new(plain)
    });
    let questions = vec![question(1, "gone.example"), question(2, "m.example")];
    let came = ask_all(&through(&server), questions);
    let unanswered = unanswered(came.asked[0].clone());
    assert_eq!(unanswered.why, Why::Unreachable);
    assert!(unanswered.detail.contains("502"), "{}", unanswered.detail);
    assert_eq!(verdict(&came.asked[1]), Verdict::Works);
}

#[test]
fn an_address_that_does_not_exist_says_nothing_about_the_instance() {
    let server = Server::start(Behaviour::new(plain));
    // getaddrinfo refuses it without asking anybody: its label is too long.
    let nowhere = Question {
        base_url: Some(format!("{}.invalid", "a".repeat(64))),
        ..question(2, "m.example")
    };
    let questions = vec![nowhere, question_at(&server)];
    let came = ask_all(&direct(&server), questions);
    let unanswered = unanswered(came.asked[0].clone());
    assert_eq!(unanswered.why, Why::Unreachable);
    assert!(
        unanswered.detail.contains("does not exist"),
        "{}",
        unanswered.detail
    );
    assert_eq!(verdict(&came.asked[1]), Verdict::Works);
}

#[test]
fn a_server_that_is_being_started_anew_is_waited_for() {
    let asked = AtomicUsize::new(0);
    let server = Server::start(Behaviour::new(move |request| {
        match asked.fetch_add(1, Ordering::SeqCst) {
            // Whose connection is closed sends its request once more, at once: two faults.
            0..4 => plain(request).manner(Manner::Close),
            _ => plain(request),
        }
    }));
    let questions = (0..40).map(|number| question(number, "m.example"));
    let came = ask_all(&through(&server), questions.collect());
    came.all_work();
    assert!(came.waits.is_empty(), "{:?}", came.waits);
}

#[test]
fn a_token_that_no_header_can_hold_is_not_sent() {
    let server = Server::start(Behaviour::new(plain));
    let long = "x".repeat(9 << 10);
    for token in ["a\r\nX-Evil: 1", "", "ä", long.as_str()] {
        let mut question = question_at(&server);
        question.access_token = token.into();
        let unanswered = unanswered(ask(&direct(&server), question));
        assert_eq!(unanswered.why, Why::NotUnderstood);
        assert!(!unanswered.detail.contains("Evil"), "{}", unanswered.detail);
    }
    assert!(server.with_token().is_empty());
}

#[test]
fn a_fault_of_ours_keeps_nobody_waiting() {
    let server = Server::start(Behaviour::new(plain));
    let client = Client::new(&direct(&server)).unwrap();
    let questions = (0..10).map(|number| Question {
        base_url: Some(server.authority()),
        ..question(number, "m.example")
    });
    let calls = AtomicUsize::new(0);
    let now = || match calls.fetch_add(1, Ordering::SeqCst) {
        3 => panic!("a clock that breaks"),
        _ => Timestamp::UNIX_EPOCH,
    };
    let (mut worked, mut broken) = (0, 0);
    let heard = verify(&client, questions.collect(), &now, &Silent, |event| {
        match event {
            Event::Asked(_, Asked::Answered(_)) => worked += 1,
            Event::Asked(_, Asked::Unanswered(_)) => broken += 1,
            Event::Waits { .. } => {}
        }
        Ok::<(), Infallible>(())
    });
    let Ok(()) = heard;
    assert_eq!((worked, broken), (9, 1));
}

/// The names that may name a proxy.
const PROXIES: [&str; 3] = ["ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY"];

#[test]
fn the_environments_proxy_is_used_or_refused_and_never_left_out() {
    for (name, value, expected) in [
        ("HTTPS_PROXY", "", "none"),
        ("HTTPS_PROXY", "http://proxy.example:3128", "usable"),
        ("https_proxy", "proxy.example:3128", "usable"),
        ("ALL_PROXY", "socks5h://127.0.0.1:9050", "refused"),
        ("https_proxy", "http://", "refused"),
    ] {
        // The environment of this process is everybody's: another one reads it.
        let mut command = std::process::Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "faults::reads_the_environment", "--ignored"]);
        for name in PROXIES {
            command
                .env_remove(name)
                .env_remove(name.to_ascii_lowercase());
        }
        let output = command
            .env(name, value)
            .env("EXPECTED", expected)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && said.contains("1 passed"),
            "{value}: {said}"
        );
    }
}

#[test]
#[ignore = "run by the test of the environment"]
fn reads_the_environment() {
    let Ok(expected) = std::env::var("EXPECTED") else {
        return;
    };
    let server = Server::start(Behaviour::new(plain));
    let mut settings = direct(&server);
    settings.proxy = Proxy::of_environment();
    let found = match (&settings.proxy, Client::new(&settings)) {
        (None, Ok(_)) => "none",
        (Some(_), Ok(_)) => "usable",
        (_, Err(_)) => "refused",
    };
    assert_eq!(found, expected);
}
