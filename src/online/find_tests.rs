//! A search, answer by answer.

use super::*;

fn search(user: Option<&str>) -> (Origin, Finding) {
    Finding::new(&Domain::parse("m.example").unwrap(), user)
}

fn reply(status: u16, body: &str) -> Reply {
    Reply {
        status,
        body: body.as_bytes().to_vec(),
        ..Reply::default()
    }
}

#[test]
fn the_instances_own_host_may_be_gone_and_another_may_not() {
    let (own, finding) = search(None);
    let gone = finding.heard(&own, Err(Failed::NoSuchHost));
    assert!(matches!(gone, Found::Failed(Failed::NoSuchHost)));
    let xrd = r#"<XRD><Link rel="lrdd" template="https://web.example/{uri}"/></XRD>"#;
    let Found::Next(web, finding) = finding.heard(&own, Ok(&reply(200, xrd))) else {
        panic!("it names another");
    };
    assert_eq!(finding.path(), INSTANCE_V2);
    match finding.heard(&web, Err(Failed::NoSuchHost)) {
        Found::Failed(Failed::Unanswered(u)) => {
            assert_eq!(u.why, Why::Unreachable);
            assert!(u.detail.contains("web.example"), "{}", u.detail);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_document_that_can_t_be_read_is_none_but_silence_ends_the_search() {
    let (own, finding) = search(None);
    let too_large = || Unanswered::new(Why::NotUnderstood, "too large");
    let found = finding.heard(&own, Err(too_large().into()));
    let (origin, webfinger) = next(found);
    assert_eq!(
        (origin, webfinger.path()),
        (own.clone(), of_name("m.example"))
    );
    let (origin, is_instance) = next(webfinger.heard(&own, Err(too_large().into())));
    assert_eq!(
        (origin, is_instance.path()),
        (own.clone(), INSTANCE_V2.to_owned())
    );
    for why in [Why::Unreachable, Why::Untrusted] {
        let found = finding.heard(&own, Err(Unanswered::new(why, "x").into()));
        assert!(matches!(found, Found::Failed(Failed::Unanswered(u)) if u.why == why));
    }
    let found = finding.heard(&own, Ok(&reply(503, "")));
    assert!(matches!(found, Found::Failed(Failed::Unanswered(u)) if u.why == Why::NotUnderstood));
}

#[test]
fn only_one_redirect_is_followed() {
    let (own, finding) = search(Some("a b&c"));
    let to = |host: &str| Reply {
        location: Some(format!("https://{host}.example{HOST_META}")),
        ..reply(302, "")
    };
    let Found::Next(first, finding) = finding.heard(&own, Ok(&to("one"))) else {
        panic!("it is followed");
    };
    assert_eq!(first.as_str(), "one.example");
    let Found::Next(second, finding) = finding.heard(&first, Ok(&to("two"))) else {
        panic!("it goes on otherwise");
    };
    assert_eq!(second, own);
    assert_eq!(finding.path(), of_name("m.example"));
}

fn of_name(name: &str) -> String {
    format!("{WEBFINGER}?resource=acct:{name}@m.example")
}

fn next(found: Found) -> (Origin, Finding) {
    match found {
        Found::Next(origin, finding) => (origin, finding),
        other => panic!("{other:?}"),
    }
}

/// The paths that are asked for of the instance's own host, as long as these answers come.
fn asked_for(
    finding: Finding,
    own: &Origin,
    answers: impl Fn(&str) -> Reply,
) -> (Vec<String>, Found) {
    let (mut finding, mut paths) = (finding, Vec::new());
    loop {
        paths.push(finding.path());
        match finding.heard(own, Ok(&answers(&finding.path()))) {
            Found::Next(origin, next) if origin == *own => finding = next,
            found => return (paths, found),
        }
        assert!(paths.len() < 20, "it does not end: {paths:?}");
    }
}

const WANTS_USER: &str = r#"{"error":"This method requires an authenticated user"}"#;

fn site(status: u16) -> Reply {
    Reply {
        content_type: Some("text/html".to_owned()),
        ..reply(status, "<html>")
    }
}

#[test]
fn the_instances_account_is_looked_up_and_two_users_at_most() {
    let users = ["alice", "alice", "m.example", "a b&c", "dora"];
    let (own, finding) = Finding::new(&Domain::parse("m.example").unwrap(), users);
    let (paths, found) = asked_for(finding, &own, |path| match path {
        "/" => site(200),
        _ => site(404),
    });
    let expected = [
        HOST_META.to_owned(),
        of_name("m.example"),
        of_name("alice"),
        of_name("a%20b%26c"),
        INSTANCE_V2.to_owned(),
        INSTANCE_V1.to_owned(),
        "/".to_owned(),
    ];
    assert_eq!(paths, expected);
    assert!(matches!(found, Found::Gone(words) if words.contains("404 (text/html)")));
}

#[test]
fn a_web_site_that_names_itself_is_not_believed_and_webfinger_asked() {
    let xrd = r#"<XRD><Link rel="lrdd" template="https://m.example/{uri}"/></XRD>"#;
    let (own, finding) = search(Some("alice"));
    let (paths, found) = asked_for(finding, &own, |path| match path {
        HOST_META => reply(200, xrd),
        path if path == of_name("alice") => reply(
            200,
            r#"{"links":[{"rel":"self","href":"https://web.example/users/alice"}]}"#,
        ),
        _ => site(200),
    });
    let (web, agrees) = next(found);
    assert_eq!(
        (web.as_str(), agrees.path().as_str()),
        ("web.example", INSTANCE_V2)
    );
    let expected = [
        HOST_META.to_owned(),
        INSTANCE_V2.to_owned(),
        INSTANCE_V1.to_owned(),
        of_name("m.example"),
        of_name("alice"),
    ];
    assert_eq!(paths, expected);
    // An account of the site's own changes nothing: it was seen that it is none.
    let (own, finding) = search(Some("alice"));
    let (paths, found) = asked_for(finding, &own, |path| match path {
        HOST_META => reply(200, xrd),
        path if path.starts_with(WEBFINGER) => reply(
            200,
            r#"{"links":[{"rel":"self","href":"https://m.example/author/1"}]}"#,
        ),
        _ => site(200),
    });
    assert_eq!(paths.len(), 5);
    assert!(matches!(found, Found::Gone(_)));
}

#[test]
fn the_own_host_is_gone_only_where_both_answers_are_a_sites() {
    let to = Reply {
        location: Some("https://www.m.example/".to_owned()),
        ..site(301)
    };
    for (v2, v1, expected) in [
        (site(404), site(200), None),
        (reply(410, "{}"), reply(410, "{}"), None),
        (site(404), site(404), Some(Why::NotUnderstood)),
        (site(404), reply(404, "{}"), Some(Why::NotUnderstood)),
        (reply(404, "{}"), site(404), Some(Why::NotUnderstood)),
        (site(404), site(403), Some(Why::NotUnderstood)),
        (to.clone(), to, Some(Why::Redirected)),
        (site(404), site(503), Some(Why::NotUnderstood)),
    ] {
        let (own, finding) = search(None);
        let (_, found) = asked_for(finding, &own, |path| match path {
            INSTANCE_V2 => v2.clone(),
            INSTANCE_V1 => v1.clone(),
            _ => site(404),
        });
        let why = match found {
            Found::Gone(_) => None,
            Found::Failed(Failed::Unanswered(unanswered)) => Some(unanswered.why),
            other => panic!("{other:?}"),
        };
        assert_eq!(why, expected, "{v2:?} {v1:?}");
    }
}

#[test]
fn a_host_without_an_api_is_a_web_site_where_it_has_a_page() {
    let to = |location: &str| Reply {
        location: Some(location.to_owned()),
        ..site(302)
    };
    for (page, is_gone) in [
        (site(200), true),
        (to("/en/"), true),
        (to("https://m.example/blog"), true),
        // A gateway whose server is down.
        (site(404), false),
        (site(403), false),
        (reply(200, "{}"), false),
        (to("https://elsewhere.example/"), false),
    ] {
        let (own, finding) = search(None);
        let (paths, found) = asked_for(finding, &own, |path| match path {
            "/" => page.clone(),
            _ => site(404),
        });
        assert_eq!(paths.last().map(String::as_str), Some("/"));
        assert_eq!(matches!(found, Found::Gone(_)), is_gone, "{page:?}");
    }
}

#[test]
fn the_own_host_is_asked_once_it_answered_as_an_instance_does() {
    for (v2, v1) in [
        (reply(200, "{}"), site(404)),
        (reply(401, WANTS_USER), site(404)),
        (site(404), reply(200, r#"{"uri":"https://other.example"}"#)),
        (site(404), reply(401, WANTS_USER)),
    ] {
        let (own, finding) = search(None);
        let (_, found) = asked_for(finding, &own, |path| match path {
            INSTANCE_V2 => v2.clone(),
            INSTANCE_V1 => v1.clone(),
            _ => site(404),
        });
        assert!(
            matches!(found, Found::At(origin) if origin == own),
            "{v2:?} {v1:?}"
        );
    }
}
