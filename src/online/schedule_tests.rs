//! The desk without a network: what is begun, and that everything ends.

use std::collections::BTreeMap;

use proptest::prelude::*;

use crate::model::{Domain, TokenId, User};

use super::{
    super::{Asked, Unanswered, Why, host::MOST_PER_HOST, job},
    *,
};

const WAIT: Duration = Duration::from_secs(60);

fn question(number: u8) -> Question {
    Question {
        id: TokenId([number; 16]),
        instance: Domain::parse("m.example").unwrap(),
        base_url: None,
        user: User::Unknown,
        app_names: Vec::new(),
        app_id: None,
        access_token: "t".into(),
    }
}

fn host(name: &str) -> Origin {
    Origin::of_base_url(name).unwrap()
}

/// A desk with so many questions at each of these hosts.
fn desk(hosts: &[(&str, u8)], now: Instant) -> Desk {
    let (mut desk, mut messages) = (Desk::default(), Vec::new());
    for (name, count) in hosts {
        for number in 0..*count {
            desk.put(
                Job::asking(question(number), host(name)),
                now,
                &mut messages,
            );
        }
    }
    assert!(messages.is_empty());
    desk
}

fn heard(turn: Turn, pause: Option<u64>) -> Heard {
    Heard {
        at: Timestamp::UNIX_EPOCH,
        failed: None,
        pause: pause.map(Duration::from_secs),
        turn,
    }
}

/// A request that had no answer, for this reason.
fn unheard(failed: Failed, job: &Job) -> Heard {
    Heard {
        at: Timestamp::UNIX_EPOCH,
        pause: None,
        turn: Turn::Done(job.given_up(&failed, Timestamp::UNIX_EPOCH)),
        failed: Some(failed),
    }
}

fn silent() -> Failed {
    Unanswered::new(Why::Unreachable, "silent").into()
}

fn broken_off() -> Failed {
    Failed::BrokenOff(Unanswered::new(Why::Unreachable, "broken off"))
}

/// The details of what has no answer.
fn details(messages: &[Message]) -> Vec<&str> {
    let details = messages.iter().filter_map(|message| match message {
        Message::Asked(_, outcome) => match &**outcome {
            Outcome::Is(Asked::Unanswered(unanswered)) => Some(unanswered.detail.as_str()),
            _ => None,
        },
        Message::Waits { .. } => None,
    });
    details.collect()
}

/// Runs a desk to its end; `heard`: what the request with this number, from 1 on, comes to. Gives what was told, and the
/// seconds that were waited for.
fn run(
    desk: &mut Desk,
    most_wait: Duration,
    mut heard: impl FnMut(usize, &Job) -> Heard,
) -> (Vec<Message>, u64) {
    let start = Instant::now();
    let (mut now, mut messages, mut number) = (start, Vec::new(), 0);
    while !desk.is_done() {
        let Some(job) = desk.take(now) else {
            now += desk.until_next(now).expect("a pause");
            continue;
        };
        number += 1;
        let heard = heard(number, &job);
        messages.extend(desk.heard(job, heard, most_wait, now));
    }
    (messages, (now - start).as_secs())
}

fn done() -> Turn {
    Turn::Done(job::broken().into())
}

fn waits(messages: &[Message]) -> Vec<u64> {
    let waits = messages.iter().filter_map(|message| match message {
        Message::Waits { secs, .. } => Some(*secs),
        Message::Asked(..) => None,
    });
    waits.collect()
}

fn limited(messages: &[Message]) -> usize {
    let is_limited = |message: &&Message| match message {
        Message::Asked(_, outcome) => {
            matches!(&**outcome, Outcome::Is(Asked::Unanswered(u)) if u.why == Why::RateLimited)
        }
        Message::Waits { .. } => false,
    };
    messages.iter().filter(is_limited).count()
}

#[test]
fn hosts_take_turns_and_none_has_more_than_two() {
    let now = Instant::now();
    let mut desk = desk(&[("a.example", 5), ("b.example", 1), ("c.example", 3)], now);
    let mut taken = Vec::new();
    while let Some(job) = desk.take(now) {
        taken.push(job);
    }
    let order: Vec<_> = taken.iter().map(|job| job.origin.as_str()).collect();
    assert_eq!(
        order,
        [
            "a.example",
            "b.example",
            "c.example",
            "a.example",
            "c.example"
        ]
    );
    assert_eq!(desk.until_next(now), None);
    drop(desk.heard(taken.remove(0), heard(done(), None), WAIT, now));
    assert_eq!(desk.take(now).unwrap().origin.as_str(), "a.example");
    assert!(desk.take(now).is_none());
}

#[test]
fn a_pause_is_the_whole_hosts_and_is_told_once() {
    let now = Instant::now();
    let mut desk = desk(&[("a.example", 4), ("b.example", 1)], now);
    let [one, other, two] = [(); 3].map(|()| desk.take(now).unwrap());
    assert_eq!(other.origin.as_str(), "b.example");
    let messages = desk.heard(one, heard(Turn::Refused, Some(7)), WAIT, now);
    assert_eq!(waits(&messages), [7]);
    let messages = desk.heard(two, heard(Turn::Refused, Some(9)), WAIT, now);
    assert!(messages.is_empty(), "{messages:?}");
    assert!(desk.take(now).is_none());
    assert_eq!(desk.until_next(now), Some(Duration::from_secs(9)));
    assert!(desk.take(now + Duration::from_secs(8)).is_none());
    assert!(desk.take(now + Duration::from_secs(9)).is_some());
    assert!(!desk.is_done());
}

#[test]
fn a_pause_that_nothing_waits_for_is_not_told() {
    let now = Instant::now();
    let mut desk = desk(&[("a.example", 1)], now);
    let job = desk.take(now).unwrap();
    let messages = desk.heard(job, heard(done(), Some(7)), WAIT, now);
    assert_eq!(waits(&messages), Vec::<u64>::new());
    // Until something comes while it lasts.
    let (later, over) = (now + Duration::from_secs(3), now + Duration::from_secs(8));
    let mut messages = Vec::new();
    desk.put(
        Job::asking(question(1), host("a.example")),
        over,
        &mut messages,
    );
    assert!(messages.is_empty());
    desk.put(
        Job::asking(question(2), host("a.example")),
        later,
        &mut messages,
    );
    assert_eq!(waits(&messages), [7]);
}

#[test]
fn a_host_that_wants_too_long_a_pause_is_given_up_at_once() {
    let now = Instant::now();
    let mut desk = desk(&[("a.example", 5), ("b.example", 1)], now);
    let jobs: Vec<_> = std::iter::from_fn(|| desk.take(now)).collect();
    assert_eq!(jobs.len(), 3);
    let mut messages = Vec::new();
    for job in jobs {
        let turn = match job.origin.as_str() {
            "a.example" => heard(Turn::Refused, Some(61)),
            _ => heard(Turn::At(host("a.example")), None),
        };
        messages.extend(desk.heard(job, turn, WAIT, now));
    }
    assert_eq!(limited(&messages), 6);
    assert_eq!(messages.len(), 6);
    assert!(desk.is_done() && desk.take(now).is_none());
}

#[test]
fn a_question_that_is_refused_three_times_keeps_nobody_else() {
    let mut now = Instant::now();
    let mut desk = desk(&[("a.example", 6)], now);
    let (mut answered, mut messages) = (0, Vec::new());
    while !desk.is_done() {
        let Some(job) = desk.take(now) else {
            now += desk.until_next(now).expect("a pause");
            continue;
        };
        let is_first = job.questions[0].id == TokenId([0; 16]);
        answered += usize::from(!is_first);
        let turn = if is_first {
            heard(Turn::Refused, Some(1))
        } else {
            heard(done(), None)
        };
        messages.extend(desk.heard(job, turn, WAIT, now));
    }
    assert_eq!((answered, limited(&messages)), (5, 1));
}

#[test]
fn a_host_that_never_answers_is_given_up_and_its_rest_comes_to_the_same() {
    let now = Instant::now();
    let mut desk = desk(&[("a.example", 50)], now);
    let mut messages = Vec::new();
    // Twice silent, then an answer: it is counted anew.
    for is_silent in [true, true, false, true, true] {
        let job = desk.take(now).unwrap();
        let heard = if is_silent {
            unheard(silent(), &job)
        } else {
            heard(done(), None)
        };
        messages.extend(desk.heard(job, heard, WAIT, now));
    }
    assert_eq!(messages.len(), 5);
    let job = desk.take(now).unwrap();
    let heard = unheard(silent(), &job);
    messages.extend(desk.heard(job, heard, WAIT, now));
    assert_eq!(messages.len(), 50);
    assert!(desk.is_done() && desk.take(now).is_none());
    assert_eq!(details(&messages[5..]), ["silent"; 45]);
}

#[test]
fn a_host_that_breaks_off_is_left_alone_for_a_moment_and_asked_the_same_again() {
    let start = Instant::now();
    let at = |secs| start + Duration::from_secs(secs);
    let mut desk = desk(&[("a.example", 4)], start);
    // Two at once are one fault, and nobody is told.
    let (one, two) = (desk.take(start).unwrap(), desk.take(start).unwrap());
    for job in [one, two] {
        let heard = unheard(broken_off(), &job);
        assert!(desk.heard(job, heard, WAIT, start).is_empty());
    }
    assert!(desk.is_online && desk.take(start).is_none());
    assert_eq!(desk.until_next(start), Some(Duration::from_secs(1)));
    let job = desk.take(at(1)).unwrap();
    let once_more = unheard(broken_off(), &job);
    assert!(desk.heard(job, once_more, WAIT, at(1)).is_empty());
    assert_eq!(desk.until_next(at(1)), Some(Duration::from_secs(2)));
    assert!(desk.take(at(2)).is_none());
    // It is back.
    let mut ended = 0;
    while let Some(job) = desk.take(at(3)) {
        ended += desk.heard(job, heard(done(), None), WAIT, at(3)).len();
    }
    assert_eq!(ended, 4);
    assert!(desk.is_done());
}

#[test]
fn a_host_that_breaks_off_three_times_is_given_up() {
    let mut desk = desk(&[("a.example", 9)], Instant::now());
    let mut requests = 0;
    let (messages, secs) = run(&mut desk, WAIT, |number, job| {
        requests = number;
        unheard(broken_off(), job)
    });
    assert_eq!((requests, secs), (3, 3));
    assert_eq!(details(&messages), ["broken off"; 9]);
}

#[test]
fn one_question_that_is_broken_off_each_time_ends_and_keeps_nobody_else() {
    let mut desk = desk(&[("a.example", 100)], Instant::now());
    let mut requests = 0;
    let (messages, _) = run(&mut desk, WAIT, |_, job| {
        if job.questions[0].id != TokenId([0; 16]) {
            return heard(done(), None);
        }
        requests += 1;
        unheard(broken_off(), job)
    });
    assert_eq!((requests, messages.len()), (3, 100));
    let of_first = details(&messages).into_iter();
    assert_eq!(of_first.filter(|detail| *detail == "broken off").count(), 1);
}

#[test]
fn rests_of_a_host_have_an_end_too() {
    let mut desk = desk(&[("a.example", 250)], Instant::now());
    let (messages, secs) = run(&mut desk, WAIT, |number, job| match number % 2 {
        0 => unheard(broken_off(), job),
        _ => heard(done(), None),
    });
    assert_eq!((messages.len(), secs), (250, 10));
}

#[test]
fn the_rest_of_a_host_is_told_of_it_alone_and_of_its_own_instances() {
    let now = Instant::now();
    let (mut desk, mut messages) = (Desk::default(), Vec::new());
    let web = host("web.example");
    for (number, name) in (0..).zip(["a", "b", "c", "d"]) {
        let question = Question {
            instance: Domain::parse(&format!("{name}.example")).unwrap(),
            ..question(number)
        };
        let search = Job {
            origin: web.clone(),
            ..Job::finding(vec![question], None).unwrap()
        };
        desk.put(search, now, &mut messages);
    }
    desk.put(Job::asking(question(9), web), now, &mut messages);
    let (messages, _) = run(&mut desk, WAIT, |number, job| {
        assert!(number <= 3, "it was given up");
        unheard(Failed::NoSuchHost, job)
    });
    // Another's host that isn't there says nothing about an instance; the address of a record's own is gone.
    let mut found = details(&messages);
    found.sort_unstable();
    let expected = ["a", "b", "c", "d"]
        .map(|name| format!("{name}.example names web.example, which does not exist"));
    assert_eq!(found, expected);
    let is_gone = |message: &&Message| matches!(message, Message::Asked(_, outcome) if matches!(**outcome, Outcome::NoSuchHost(_)));
    assert_eq!(messages.iter().filter(is_gone).count(), 1);
}

#[test]
fn pauses_of_a_host_have_an_end_whatever_they_are_for() {
    for has_refusals in [true, false] {
        let mut desk = desk(&[("a.example", 50), ("b.example", 1)], Instant::now());
        let most_wait = Duration::from_secs(10);
        let (messages, secs) = run(&mut desk, most_wait, |number, job| {
            // Refusals and answers in turn: none is the third in a row.
            match (job.origin.as_str(), has_refusals && number % 2 == 0) {
                ("b.example", _) => heard(done(), None),
                (_, true) => heard(Turn::Refused, Some(7)),
                (_, false) => heard(done(), Some(7)),
            }
        });
        // Four of 7 s fit into 30 s.
        assert_eq!((waits(&messages), secs), (vec![7; 4], 28));
        let limited = details(&messages).into_iter();
        let limited = limited.filter(|detail| detail.contains("more than 30 s in all"));
        assert!(limited.count() > 40, "{messages:?}");
    }
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Done,
    Refused(u64),
    LastOne(u64),
    Next(u8),
    At(u8),
    Fault,
    Silent,
    BrokenOff,
}

fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Done),
        1 => (1..90_u64).prop_map(Step::Refused),
        1 => (1..90_u64).prop_map(Step::LastOne),
        1 => (0..4_u8).prop_map(Step::Next),
        1 => (0..4_u8).prop_map(Step::At),
        1 => Just(Step::Fault),
        2 => Just(Step::Silent),
        2 => Just(Step::BrokenOff),
    ]
}

proptest! {
    /// Whatever hosts say, in whatever order: every question ends, once, and no host is ever asked thrice at once or
    /// while it wants a pause.
    #[test]
    fn everything_ends(steps in prop::collection::vec((steps(), any::<bool>()), 0..80), counts in prop::collection::vec(0..6_u8, 4)) {
        let names = ["a.example", "b.example", "c.example", "d.example"];
        let mut now = Instant::now();
        let hosts: Vec<_> = names.into_iter().zip(counts.iter().copied()).collect();
        let mut desk = desk(&hosts, now);
        let (mut under_way, mut ended) = (Vec::<Job>::new(), 0);
        let mut paused: BTreeMap<String, Instant> = BTreeMap::new();
        let mut steps = steps.into_iter().chain(std::iter::repeat((Step::Done, true)));
        let mut rounds = 0;
        while !(desk.is_done() && under_way.is_empty()) {
            rounds += 1;
            prop_assert!(rounds < 10_000, "it does not end");
            let (step, is_taken) = steps.next().unwrap();
            if is_taken && let Some(job) = desk.take(now) {
                let name = job.origin.as_str();
                prop_assert!(paused.get(name).is_none_or(|until| *until <= now));
                under_way.push(job);
                let of_host = under_way.iter().filter(|other| other.origin == under_way.last().unwrap().origin);
                prop_assert!(of_host.count() <= MOST_PER_HOST);
                continue;
            }
            if under_way.is_empty() {
                if let Some(time) = desk.until_next(now) {
                    now += time;
                }
                continue;
            }
            let job = under_way.remove(0);
            let name = job.origin.as_str().to_owned();
            let heard = match step {
                Step::Done => heard(done(), None),
                Step::Refused(secs) => heard(Turn::Refused, Some(secs)),
                Step::LastOne(secs) => heard(done(), Some(secs)),
                Step::Next(place) => heard(Turn::Next(host(names[usize::from(place)]), job.task.clone()), None),
                Step::At(place) => heard(Turn::At(host(names[usize::from(place)])), None),
                Step::Silent => unheard(silent(), &job),
                Step::BrokenOff => unheard(broken_off(), &job),
                Step::Fault => unheard(job::broken().into(), &job),
            };
            if let Some(pause) = heard.pause.filter(|pause| *pause <= WAIT) {
                paused.insert(name, now + pause);
            }
            let messages = desk.heard(job, heard, WAIT, now);
            ended += messages.iter().filter(|message| matches!(message, Message::Asked(..))).count();
        }
        prop_assert_eq!(ended, counts.iter().map(|count| usize::from(*count)).sum::<usize>());
        prop_assert_eq!(desk.into_rest().count(), 0);
    }
}
