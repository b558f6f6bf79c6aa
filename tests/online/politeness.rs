//! How often hosts are asked, and that they get the pauses they want.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use super::*;

#[test]
fn fifty_hosts_are_asked_side_by_side_and_none_more_than_twice_at_once() {
    let server = Server::start(Behaviour::new(|request| {
        thread::sleep(Duration::from_millis(5));
        plain(request)
    }));
    let questions = (0..1000).map(|number| question(number, &format!("m{}.example", number % 50)));
    let came = ask_all(&through(&server), questions.collect());
    came.all_work();
    assert!(came.waits.is_empty());
    let mut tokens: BTreeMap<String, usize> = BTreeMap::new();
    for request in server.requests() {
        if let Some(token) = request.token() {
            // To its own instance, and once.
            let number: usize = token.strip_prefix("token-of-").unwrap().parse().unwrap();
            assert_eq!(request.host, format!("m{}.example", number % 50));
            *tokens.entry(token.to_owned()).or_default() += 1;
        }
    }
    assert_eq!(tokens.len(), 1000);
    assert!(tokens.values().all(|times| *times == 1));
    for host in 0..50 {
        let most = server.most_in_flight(&format!("m{host}.example"));
        assert!((1..=2).contains(&most), "{most}");
    }
}

#[test]
fn a_host_with_many_tokens_is_asked_by_two_at_once() {
    let server = Server::start(Behaviour::new(|request| {
        thread::sleep(Duration::from_millis(10));
        plain(request)
    }));
    let hosts = ["a.example", "b.example", "c.example"];
    let questions = (0..60).map(|number| question(number, hosts[usize::from(number) % 3]));
    let came = ask_all(&through(&server), questions.collect());
    came.all_work();
    for host in hosts {
        assert!(
            server.most_in_flight(host) <= 2,
            "{}",
            server.most_in_flight(host)
        );
    }
}

/// A server whose second answer is this refusal, at most once; the others are plain.
fn refusing_once(refusal: fn() -> Reply) -> Server {
    let asked = AtomicUsize::new(0);
    Server::start(api(move |request| {
        match asked.fetch_add(1, Ordering::SeqCst) {
            1 => refusal(),
            _ => plain(request),
        }
    }))
}

#[test]
fn a_host_that_refuses_gets_its_pause_and_is_asked_again() {
    for refusal in [
        (|| Reply::json(429, "{}").with("retry-after", "1")) as fn() -> Reply,
        // It will be back.
        || Reply::html(503).with("retry-after", "1"),
        || {
            Reply::json(429, "{}")
                .with("date", "Fri, 02 Jan 2026 03:04:05 GMT")
                .with("retry-after", "Fri, 02 Jan 2026 03:04:06 GMT")
        },
        || {
            Reply::json(429, "{}")
                .with("date", "Fri, 02 Jan 2026 03:04:05 GMT")
                .with("x-ratelimit-reset", "2026-01-02T03:04:06.000000Z")
        },
    ] {
        let server = refusing_once(refusal);
        let came = ask_all(&direct(&server), questions_at(&server, 60));
        came.all_work();
        assert_eq!(came.waits, [(server.authority(), 1)]);
        assert_eq!(server.with_token().len(), 61);
    }
}

#[test]
fn a_host_whose_last_request_it_was_gets_its_pause_too() {
    let server = refusing_once(|| {
        Reply::sample("account-ok")
            .with("x-ratelimit-remaining", "0")
            .with("date", "Fri, 02 Jan 2026 03:04:05 GMT")
            .with("x-ratelimit-reset", "2026-01-02T03:04:06.000000Z")
    });
    let came = ask_all(&direct(&server), questions_at(&server, 60));
    came.all_work();
    assert_eq!(came.waits, [(server.authority(), 1)]);
    assert_eq!(server.with_token().len(), 60);
}

#[test]
fn a_host_that_always_refuses_is_given_up_after_three_times() {
    let server = Server::start(api(|_| Reply::json(429, "{}").with("retry-after", "1")));
    let came = ask_all(&direct(&server), questions_at(&server, 8));
    came.none_answered(Why::RateLimited);
    assert_eq!(came.waits.len(), 2, "{:?}", came.waits);
    // Two at once, three times.
    let requests = server.with_token().len();
    assert!(requests <= 6, "{requests}");
}

#[test]
fn pauses_without_end_are_given_up_and_what_was_answered_stays() {
    let server = Server::start(api(|request| {
        plain(request)
            .with("x-ratelimit-remaining", "0")
            .with("retry-after", "1")
    }));
    let mut settings = direct(&server);
    settings.most_wait = Duration::from_secs(1);
    let came = ask_all(&settings, questions_at(&server, 100));
    let (worked, limited): (Vec<_>, Vec<_>) = came
        .asked
        .into_iter()
        .partition(|asked| matches!(asked, Asked::Answered(_)));
    assert!((3..=8).contains(&worked.len()), "{}", worked.len());
    assert_eq!(server.with_token().len(), worked.len());
    assert!((1..=3).contains(&came.waits.len()), "{:?}", came.waits);
    for asked in limited {
        let unanswered = unanswered(asked);
        assert_eq!(unanswered.why, Why::RateLimited);
        let detail = unanswered.detail;
        assert!(detail.contains("more than 3 s in all"), "{detail}");
    }
}

#[test]
fn a_pause_that_is_too_long_ends_the_questions_of_that_host_alone() {
    let server = Server::start(Behaviour::new(|request| match request.host.as_str() {
        "busy.example" => Reply::json(429, "{}").with("retry-after", "3600"),
        _ => plain(request),
    }));
    let questions = (0..20).map(|number| {
        question(
            number,
            ["busy.example", "m.example"][usize::from(number % 2)],
        )
    });
    let came = ask_all(&through(&server), questions.collect());
    for (number, asked) in came.asked.into_iter().enumerate() {
        if number % 2 == 0 {
            let unanswered = unanswered(asked);
            assert_eq!(unanswered.why, Why::RateLimited);
            assert!(
                unanswered.detail.contains("3600 s"),
                "{}",
                unanswered.detail
            );
        } else {
            assert_eq!(verdict(&asked), Verdict::Works);
        }
    }
    assert!(came.waits.is_empty());
    // It was the search already that was refused: no token was sent.
    assert!(
        !server
            .with_token()
            .iter()
            .any(|line| line.starts_with("busy"))
    );
}

#[test]
fn an_error_of_the_listener_ends_it() {
    let server = Server::start(Behaviour::new(plain));
    let client = Client::new(&direct(&server)).unwrap();
    let seen = Mutex::new(0);
    let heard = verify(
        &client,
        questions_at(&server, 500),
        &Timestamp::now,
        &Silent,
        |_| {
            *seen.lock().unwrap() += 1;
            Err("enough")
        },
    );
    assert_eq!(heard, Err("enough"));
    assert_eq!(*seen.lock().unwrap(), 1);
    assert!(server.requests().len() < 500);
}

#[test]
fn nothing_to_ask_is_nothing_to_wait_for() {
    let server = Server::start(Behaviour::new(plain));
    assert!(ask_all(&direct(&server), Vec::new()).asked.is_empty());
}
