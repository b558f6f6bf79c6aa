//! Which host is asked, and that no other one gets a token.

use super::*;
use instance::Way;

const HOST_META: &str = "/.well-known/host-meta";
const WEBFINGER: &str = "/.well-known/webfinger";
const WEB: &str = "social.m.example";

fn xrd(host: &str) -> Reply {
    let xml = format!(
        r#"<?xml version="1.0"?><XRD xmlns="http://docs.oasis-open.org/ns/xri/xrd-1.0"><Link rel="lrdd" template="https://{host}{WEBFINGER}?resource={{uri}}"/></XRD>"#
    );
    Reply::text(200, "application/xrd+xml; charset=utf-8", &xml)
}

/// Asks about a token of `m.example`; `other` answers what the API of `social.m.example` doesn't.
fn asked(other: fn(&Request) -> Option<Reply>) -> (Asked, Server) {
    let server = Server::start(Behaviour::new(move |request| {
        let elsewhere = |request: &Request| match (request.host.as_str(), request.path()) {
            (WEB, "/api/v2/instance") => Reply::sample("instance-v2"),
            ("m.example", ACCOUNT) => Reply::html(404),
            _ => plain(request),
        };
        other(request).unwrap_or_else(|| elsewhere(request))
    }));
    let asked = ask(&through(&server), question(1, "m.example"));
    for request in server.requests() {
        assert_ne!(request.way, Way::Plain);
        let is_api = [ACCOUNT, APP].contains(&request.path());
        assert_eq!(request.token().is_some(), is_api, "{}", request.target);
    }
    (asked, server)
}

fn sent_to(server: &Server) -> Vec<String> {
    let to = server.with_token().into_iter();
    to.map(|line| line.split(' ').next().unwrap().to_owned())
        .collect()
}

#[test]
fn the_instance_itself_where_nothing_names_another() {
    for other in [
        (|r: &Request| (r.path() == ACCOUNT).then(|| Reply::sample("account-ok")))
            as fn(&Request) -> Option<Reply>,
        |r| match r.path() {
            HOST_META => Some(xrd("m.example")),
            ACCOUNT => Some(Reply::sample("account-ok")),
            _ => None,
        },
        |r| match r.path() {
            HOST_META => Some(Reply::html(200)),
            WEBFINGER => Some(Reply::html(404)),
            ACCOUNT => Some(Reply::sample("account-ok")),
            _ => None,
        },
        // A redirect of host-meta to a login page says nothing.
        |r| match (r.host.as_str(), r.path()) {
            (_, HOST_META) => Some(Reply::redirect("https://evil.example/login")),
            (_, ACCOUNT) => Some(Reply::sample("account-ok")),
            _ => None,
        },
    ] {
        let (asked, server) = asked(other);
        assert_eq!(verdict(&asked), Verdict::Works);
        assert_eq!(sent_to(&server), ["m.example"]);
        assert!(!server.has_arrived("", "evil.example"));
    }
}

#[test]
fn the_host_that_host_meta_names_where_it_agrees() {
    for other in [
        (|r: &Request| (r.path() == HOST_META).then(|| xrd(WEB))) as fn(&Request) -> Option<Reply>,
        // Only the older API says who it is.
        |r| match r.path() {
            HOST_META => Some(xrd(WEB)),
            "/api/v2/instance" => Some(Reply::html(404)),
            "/api/v1/instance" => Some(Reply::sample("instance-v1")),
            _ => None,
        },
        // By a redirect to the same path.
        |r| match (r.host.as_str(), r.path()) {
            ("m.example", HOST_META) => Some(Reply::redirect(
                "https://social.m.example/.well-known/host-meta",
            )),
            (WEB, HOST_META) => Some(xrd(WEB)),
            _ => None,
        },
        // By WebFinger.
        |r| {
            let own = r#"{"links":[{"rel":"self","href":"https://social.m.example/users/alice"}]}"#;
            (r.target == "/.well-known/webfinger?resource=acct:alice@m.example")
                .then(|| Reply::json(200, own))
        },
        // By a redirect of WebFinger, as Mastodon's manual tells one to set it up.
        |r| match (r.host.as_str(), r.path()) {
            ("m.example", WEBFINGER) => {
                Some(Reply::redirect(&format!("https://{WEB}{}", r.target)))
            }
            _ => None,
        },
    ] {
        let (asked, server) = asked(other);
        assert_eq!(verdict(&asked), Verdict::Works);
        assert_eq!(sent_to(&server), [WEB]);
    }
}

#[test]
fn no_host_that_does_not_agree_gets_a_token() {
    for (other, why) in [
        (
            (|r: &Request| match (r.host.as_str(), r.path()) {
                ("m.example", HOST_META) => Some(xrd("evil.example")),
                ("evil.example", "/api/v2/instance") => {
                    Some(Reply::json(200, r#"{"domain":"evil.example"}"#))
                }
                ("evil.example", "/api/v1/instance") => {
                    Some(Reply::json(200, r#"{"uri":"evil.example"}"#))
                }
                _ => None,
            }) as fn(&Request) -> Option<Reply>,
            Why::NotUnderstood,
        ),
        (
            |r| match (r.host.as_str(), r.path()) {
                ("m.example", HOST_META) => Some(Reply::redirect(
                    "https://evil.example/.well-known/host-meta",
                )),
                ("evil.example", HOST_META) => Some(xrd("evil.example")),
                ("evil.example", _) => Some(Reply::json(200, "{}")),
                _ => None,
            },
            Why::Redirected,
        ),
    ] {
        let (asked, server) = asked(other);
        let unanswered = unanswered(asked);
        assert_eq!(unanswered.why, why);
        let detail = unanswered.detail;
        assert!(
            detail.contains("m.example") && detail.contains("evil.example"),
            "{detail}"
        );
        assert!(server.with_token().is_empty());
    }
}

#[test]
fn a_redirect_to_plain_http_is_never_followed() {
    let (asked, server) = asked(|r| match (r.host.as_str(), r.path()) {
        ("m.example", HOST_META) => Some(Reply::redirect(
            "http://social.m.example/.well-known/host-meta",
        )),
        ("m.example", ACCOUNT) => Some(Reply::redirect(&format!(
            "http://social.m.example{}",
            r.target
        ))),
        _ => None,
    });
    let unanswered = unanswered(asked);
    assert_eq!(unanswered.why, Why::Redirected);
    assert!(
        unanswered.detail.contains("http://social.m.example"),
        "{}",
        unanswered.detail
    );
    assert_eq!(sent_to(&server), ["m.example"]);
}

#[test]
fn no_redirect_is_followed_with_a_token() {
    let listener = Server::start(Behaviour::new(plain));
    for (location, shown) in [
        (
            format!("https://{}/x", listener.authority()),
            format!("https://{}", listener.authority()),
        ),
        (
            format!("http://{}/x", listener.authority()),
            format!("http://{}", listener.authority()),
        ),
        (
            "https://u:p@evil.example/".to_owned(),
            "somewhere".to_owned(),
        ),
    ] {
        let server = Server::start(api(move |_| Reply::redirect(&location)));
        let unanswered = unanswered(ask(&direct(&server), question_at(&server)));
        assert_eq!(unanswered.why, Why::Redirected);
        assert!(unanswered.detail.contains(&shown), "{}", unanswered.detail);
        assert_eq!(server.with_token().len(), 1);
    }
    assert!(listener.requests().is_empty());
}

#[test]
fn an_address_of_the_records_own_is_used_if_it_is_https() {
    let server = Server::start(Behaviour::new(plain));
    let at = |base_url: String| {
        let question = Question {
            base_url: Some(base_url),
            ..question(1, "m.example")
        };
        ask(&direct(&server), question)
    };
    let authority = server.authority();
    assert_eq!(
        verdict(&at(format!("https://{authority}/web/?x#y"))),
        Verdict::Works
    );
    assert_eq!(verdict(&at(authority.clone())), Verdict::Works);
    // It was asked whose it is, and nothing else was.
    assert_eq!(server.with_token().len(), 2);
    assert_eq!(server.requests().len(), 4);

    let plain = unanswered(at(format!("http://{authority}")));
    assert!(plain.detail.contains("not HTTPS"), "{}", plain.detail);
    let password = unanswered(at(format!("https://alice:hunter2@{authority}")));
    assert!(!password.detail.contains("hunter2"), "{}", password.detail);
    assert_eq!(server.requests().len(), 4);
}

/// Asks about a token of `m.example` whose record says that its API is at `other.example`.
fn asked_at_other(answers: fn(&Request) -> Option<Reply>) -> (Asked, Server) {
    let server = Server::start(Behaviour {
        is_instance: false,
        ..Behaviour::new(move |r| answers(r).unwrap_or_else(|| plain(r)))
    });
    let question = Question {
        base_url: Some("https://other.example/".to_owned()),
        ..question(1, "m.example")
    };
    (ask(&through(&server), question), server)
}

#[test]
fn an_address_of_somebody_else_gets_no_token() {
    // An address that has nothing to do with it, as in the settings of a bot.
    for of_other in [
        (|_| Reply::html(200)) as fn(&Request) -> Reply,
        |r| match r.path() {
            "/api/v2/instance" => Reply::json(200, r#"{"domain":"other.example"}"#),
            _ => plain(r),
        },
        // It does not say whose it is, and it was not the instance that named it.
        |r| match r.path() {
            path if path.starts_with("/api") => Reply::sample("no-user-limited"),
            _ => plain(r),
        },
    ] {
        let server = Server::start(Behaviour::new(move |r| match r.host.as_str() {
            "other.example" => of_other(r),
            _ => plain(r),
        }));
        let question = Question {
            base_url: Some("https://other.example/".to_owned()),
            ..question(1, "m.example")
        };
        // The instance's own host is asked then.
        assert_eq!(verdict(&ask(&through(&server), question)), Verdict::Works);
        assert_eq!(sent_to(&server), ["m.example"]);
        assert!(server.has_arrived("", "other.example"));
    }
}

#[test]
fn an_address_that_says_whose_it_is_is_asked() {
    for (answers, host) in [
        (
            (|r: &Request| match (r.host.as_str(), r.path()) {
                ("other.example", "/api/v1/instance") => {
                    Some(Reply::json(200, r#"{"uri":"https://m.example"}"#))
                }
                _ => None,
            }) as fn(&Request) -> Option<Reply>,
            "other.example",
        ),
        // GoToSocial with a host of its own.
        (
            |r| match (r.host.as_str(), r.path()) {
                ("other.example", "/api/v2/instance") => Some(Reply::json(
                    200,
                    r#"{"domain":"other.example","account_domain":"m.example"}"#,
                )),
                _ => None,
            },
            "other.example",
        ),
        // One that tells nothing to strangers, where the instance names it.
        (
            |r| match (r.host.as_str(), r.path()) {
                ("m.example", HOST_META) => Some(xrd("other.example")),
                ("other.example", "/api/v2/instance" | "/api/v1/instance") => {
                    Some(Reply::sample("no-user-limited"))
                }
                _ => None,
            },
            "other.example",
        ),
    ] {
        let (asked, server) = asked_at_other(answers);
        assert_eq!(verdict(&asked), Verdict::Works);
        assert_eq!(sent_to(&server), [host]);
    }
}

#[test]
fn the_own_address_of_an_instance_that_moved_is_searched_for() {
    let server = Server::start(Behaviour::new(|r| match (r.host.as_str(), r.path()) {
        ("m.example", HOST_META) => xrd(WEB),
        ("m.example", _) => Reply::html(404),
        (WEB, "/api/v2/instance") => Reply::sample("instance-v2"),
        _ => plain(r),
    }));
    let question = Question {
        base_url: Some("https://m.example".to_owned()),
        ..question(1, "m.example")
    };
    assert_eq!(verdict(&ask(&through(&server), question)), Verdict::Works);
    assert_eq!(sent_to(&server), [WEB]);
}

#[test]
fn a_host_that_is_redirected_to_names_nobody_else() {
    let (asked, server) = asked(|r| match (r.host.as_str(), r.path()) {
        ("m.example", HOST_META) => Some(Reply::redirect(
            "https://between.example/.well-known/host-meta",
        )),
        ("between.example", HOST_META) => Some(xrd(WEB)),
        _ => None,
    });
    assert_eq!(why(&asked), Why::Redirected);
    assert!(server.with_token().is_empty());
}

#[test]
fn addresses_of_ipv6_are_asked_too() {
    match Server::start_on(std::net::Ipv6Addr::LOCALHOST.into(), Behaviour::new(plain)) {
        Ok(server) => {
            assert!(server.authority().starts_with("[::1]:"));
            let asked = ask(&direct(&server), question_at(&server));
            assert_eq!(verdict(&asked), Verdict::Works);
        }
        Err(error) => eprintln!("no IPv6 here, nothing was tested: {error}"),
    }
}

#[test]
fn an_instance_is_searched_for_once() {
    let server = Server::start(Behaviour::new(|r| match (r.host.as_str(), r.path()) {
        ("m.example", HOST_META) => xrd(WEB),
        (WEB, "/api/v2/instance") => Reply::sample("instance-v2"),
        _ => plain(r),
    }));
    let questions = (0..20)
        .map(|number| question(number, "m.example"))
        .collect();
    let came = ask_all(&through(&server), questions);
    came.all_work();
    let searches = server.requests().into_iter();
    let searches: Vec<_> = searches
        .filter(|r| r.token().is_none() && r.way == Way::Tunnel)
        .map(|r| r.target)
        .collect();
    assert_eq!(searches, [HOST_META, "/api/v2/instance"]);
    assert_eq!(sent_to(&server).len(), 20);
}

#[test]
fn a_search_that_fails_sends_no_token() {
    let (asked, server) = asked(|r| (r.path() == HOST_META).then(|| Reply::html(503)));
    assert_eq!(why(&asked), Why::Unreachable);
    assert!(server.with_token().is_empty());

    let server = Server::start(Behaviour {
        refused: vec![WEB.to_owned()],
        ..Behaviour::new(|r| match r.path() {
            HOST_META => xrd(WEB),
            _ => plain(r),
        })
    });
    let unanswered = unanswered(ask(&through(&server), question(1, "m.example")));
    assert_eq!(unanswered.why, Why::Unreachable);
    assert!(unanswered.detail.contains(WEB), "{}", unanswered.detail);
    assert!(server.with_token().is_empty());
}

#[test]
fn the_instances_own_account_is_looked_up_where_no_user_is_known() {
    for user in [User::Unknown, User::Application] {
        let server = Server::start(Behaviour::new(|r| match (r.host.as_str(), r.path()) {
            ("m.example", WEBFINGER) if r.target.ends_with("acct:m.example@m.example") => {
                self_link("https://social.m.example/actor")
            }
            ("m.example", _) => Reply::html(404),
            (WEB, "/api/v2/instance") => Reply::sample("instance-v2"),
            _ => plain(r),
        }));
        let mut question = question(1, "m.example");
        question.user = user;
        assert_eq!(verdict(&ask(&through(&server), question)), Verdict::Works);
        assert_eq!(sent_to(&server).last().unwrap(), WEB);
        assert!(!server.has_arrived("token-of", "m.example"));
    }
}

fn self_link(href: &str) -> Reply {
    Reply::json(
        200,
        &format!(r#"{{"links":[{{"rel":"self","href":"{href}"}}]}}"#),
    )
}

/// A web site that has the domain of the handles: WebFinger alone goes to the instance, which knows alice and no `gone`.
/// It is older than 3.0: it has no account of its own.
fn site(request: &Request) -> Reply {
    match (request.host.as_str(), request.path()) {
        ("m.example", WEBFINGER) if request.target.ends_with("acct:alice@m.example") => {
            self_link("https://social.m.example/users/alice")
        }
        ("m.example", WEBFINGER) => Reply::json(404, "{}"),
        ("m.example", _) => Reply::html(404),
        (WEB, "/api/v2/instance") => Reply::sample("instance-v2"),
        _ => plain(request),
    }
}

fn named(number: u16, name: &str) -> Question {
    Question {
        user: User::Named(name.to_owned()),
        ..question(number, "m.example")
    }
}

#[test]
fn a_web_site_in_front_gets_no_token_though_the_first_user_is_gone() {
    let server = Server::start(Behaviour::new(site));
    let questions = vec![named(1, "gone"), named(2, "gone"), named(3, "alice")];
    let came = ask_all(&through(&server), questions);
    let verdicts: Vec<_> = came.asked.iter().map(verdict).collect();
    // The one who answers is always alice.
    let expected = [Verdict::OtherAccount, Verdict::OtherAccount, Verdict::Works];
    assert_eq!(verdicts, expected);
    assert_eq!(sent_to(&server), [WEB; 3]);
    assert!(!server.has_arrived("token-of", "m.example"));
}

#[test]
fn where_nothing_is_an_instance_no_token_arrives() {
    let server = Server::start(Behaviour::new(|r| match r.path() {
        "/" => Reply::html(200),
        _ => site(r),
    }));
    let questions = vec![named(1, "gone"), named(2, "lost")];
    for asked in ask_all(&through(&server), questions).asked {
        let found = answered(asked);
        assert_eq!(found.verdict, Verdict::InstanceGone);
        let words = found.words.unwrap();
        assert_eq!(words, "something else answers there: 404 (text/html)");
    }
    assert!(!server.has_arrived("token-of", "") && server.has_arrived("acct:lost@", ""));
    // What may be a fault is no verdict, and gets no token, either.
    for reply in [
        Reply::json(404, "{}"),
        // Traefik's, while a container is started anew.
        Reply::text(404, "text/plain", "404 page not found"),
    ] {
        let server = Server::start(Behaviour {
            is_instance: false,
            ..Behaviour::new(move |_| reply.clone())
        });
        let unanswered = unanswered(ask(&through(&server), question(1, "m.example")));
        assert_eq!(unanswered.why, Why::NotUnderstood);
        let detail = unanswered.detail;
        assert!(detail.contains("as an instance does"), "{detail}");
        assert!(!server.has_arrived("token-of", ""));
    }
}

#[test]
fn a_web_site_that_names_itself_gets_no_token() {
    let (asked, server) = asked(|r| match (r.host.as_str(), r.path()) {
        ("m.example", HOST_META) => Some(xrd("m.example")),
        ("m.example", _) => Some(Reply::html(200)),
        _ => None,
    });
    assert_eq!(verdict(&asked), Verdict::InstanceGone);
    assert!(server.with_token().is_empty());
    // WebFinger may name the right one nevertheless.
    let server = Server::start(Behaviour::new(|r| match (r.host.as_str(), r.path()) {
        ("m.example", HOST_META) => xrd("m.example"),
        _ => site(r),
    }));
    let asked = ask(&through(&server), question(1, "m.example"));
    assert_eq!(verdict(&asked), Verdict::Works);
    assert_eq!(sent_to(&server), [WEB]);
}

#[test]
fn an_instance_that_tells_nothing_to_strangers_is_asked() {
    const INSTANCE: [&str; 2] = ["/api/v2/instance", "/api/v1/instance"];
    // Under its own name, and under another one that it names.
    for host in ["m.example", WEB] {
        let server = Server::start(Behaviour::new(move |r| match r.path() {
            HOST_META => xrd(host),
            path if INSTANCE.contains(&path) && r.host == host => Reply::sample("no-user-limited"),
            ACCOUNT if r.host != host => Reply::html(404),
            _ => plain(r),
        }));
        let asked = ask(&through(&server), question(1, "m.example"));
        assert_eq!(verdict(&asked), Verdict::Works, "{host}");
        assert_eq!(sent_to(&server), [host]);
    }
    // A password that a site wants is no instance's, nor is a gateway's word.
    for refusal in [
        (|r| INSTANCE.contains(&r.path()).then(|| Reply::html(401)))
            as fn(&Request) -> Option<Reply>,
        |r| {
            let forbidden = || Reply::json(403, r#"{"message":"Missing Authentication Token"}"#);
            INSTANCE.contains(&r.path()).then(forbidden)
        },
    ] {
        let (asked, server) = asked(refusal);
        assert_eq!(why(&asked), Why::NotUnderstood);
        assert!(server.with_token().is_empty());
    }
}
