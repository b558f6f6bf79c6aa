//! What Mastodon's answers come to: every sample, over the wire.

use super::*;

/// A server that answers with these samples about accounts and apps.
fn serving(account: &'static str, app: &'static str) -> Server {
    Server::start(api(move |request| match request.path() {
        ACCOUNT => Reply::sample(account),
        _ => Reply::sample(app),
    }))
}

fn asked(account: &'static str, app: &'static str, change: impl FnOnce(&mut Question)) -> Asked {
    let server = serving(account, app);
    let mut question = question_at(&server);
    change(&mut question);
    let mut settings = direct(&server);
    settings.most_wait = Duration::ZERO;
    let asked = ask(&settings, question);
    let requests = server.requests().into_iter();
    for request in requests.filter(|request| request.path() != "/api/v2/instance") {
        assert_eq!(request.method, "GET");
        assert!(request.target.ends_with("?lang=en"), "{}", request.target);
        assert_eq!(request.token(), Some("token-of-1"));
        assert_eq!(request.header("accept"), Some("application/json"));
        assert_eq!(request.header("accept-encoding"), None);
        let agent = request.header("user-agent").unwrap();
        assert_eq!(agent, concat!("tuskvault/", env!("CARGO_PKG_VERSION")));
        assert_eq!(request.raw.matches("token-of-1").count(), 1);
    }
    asked
}

#[test]
fn every_answer_about_an_account_is_a_verdict() {
    for (sample, expected) in [
        ("account-ok", Verdict::Works),
        ("account-ok-3.0", Verdict::Works),
        ("account-ok-4.7", Verdict::Works),
        ("account-moved", Verdict::Disabled),
        ("user-disabled", Verdict::Disabled),
        ("user-pending", Verdict::Pending),
        ("user-unconfirmed", Verdict::Unconfirmed),
        ("token-invalid", Verdict::Unknown),
        ("token-revoked", Verdict::Revoked),
        ("token-expired", Verdict::Expired),
        ("token-invalid-de", Verdict::Refused),
    ] {
        let found = answered(asked(sample, "no-such-sample", |_| ()));
        assert_eq!(found.verdict, expected, "{sample}");
        let account = found.account.map(|account| (account.id, account.username));
        let alice = ("100000000000000001".to_owned(), "alice".to_owned());
        assert_eq!(account, sample.starts_with("account-ok").then_some(alice));
        let has_words = expected != Verdict::Works;
        assert_eq!(found.words.is_some(), has_words, "{sample}");
    }
    let german = answered(asked("token-invalid-de", "", |_| ()));
    assert_eq!(german.words.unwrap(), "Der Zugriffstoken ist ungültig");
}

#[test]
fn an_account_of_another_name_is_another() {
    let other = |name: &str| {
        let user = User::Named(name.to_owned());
        verdict(&asked("account-ok", "", |question| question.user = user))
    };
    assert_eq!(other("ALICE"), Verdict::Works);
    assert_eq!(other("bob"), Verdict::OtherAccount);
    let unknown = asked("account-ok", "", |question| question.user = User::Unknown);
    assert_eq!(verdict(&unknown), Verdict::Works);
}

#[test]
fn a_token_without_the_scope_is_asked_for_its_app() {
    for (app, name) in [
        ("app-ok-4.3", Some("toot - a Mastodon CLI client")),
        ("app-ok-4.2", Some("toot - a Mastodon CLI client")),
        ("app-none", None),
        ("scope-missing", None),
    ] {
        let found = answered(asked("scope-missing", app, |_| ()));
        assert_eq!(found.verdict, Verdict::LacksScope, "{app}");
        assert_eq!(found.app.and_then(|app| app.name).as_deref(), name, "{app}");
    }
    let revoked_meanwhile = asked("scope-missing", "token-revoked", |_| ());
    assert_eq!(verdict(&revoked_meanwhile), Verdict::Revoked);
}

#[test]
fn an_applications_own_token_is_asked_for_its_app_alone() {
    let own = |app, change: fn(&mut Question)| {
        asked("no-such-sample", app, |question| {
            question.user = User::Application;
            change(question);
        })
    };
    let found = answered(own("app-ok-4.3", |_| ()));
    assert_eq!(found.verdict, Verdict::Works);
    let app = found.app.unwrap();
    assert_eq!(app.id.as_deref(), Some("12"));
    assert_eq!(app.scopes.unwrap().as_str(), "read write follow");
    assert_eq!(app.redirect_uris, ["urn:ietf:wg:oauth:2.0:oob"]);
    assert_eq!(verdict(&own("app-none", |_| ())), Verdict::Works);
    assert_eq!(verdict(&own("scope-missing", |_| ())), Verdict::LacksScope);
    assert_eq!(verdict(&own("token-invalid", |_| ())), Verdict::Unknown);

    assert_eq!(
        verdict(&own("app-ok-4.3", |q| q.app_id = Some(12))),
        Verdict::Works
    );
    // A rebuilt database gives ids anew: then it is the names that tell.
    for (name, expected) in [("toot", Verdict::Works), ("Tusky", Verdict::OtherApp)] {
        let found = asked("no-such-sample", "app-ok-4.3", |question| {
            question.user = User::Application;
            question.app_id = Some(13);
            question.app_names = vec![name.to_owned()];
        });
        assert_eq!(verdict(&found), expected, "{name}");
    }
    let named = |name: &'static str| move |q: &mut Question| q.app_names = vec![name.to_owned()];
    for (name, expected) in [
        ("TOOT", Verdict::Works),
        ("toot - a Mastodon CLI client 2", Verdict::Works),
        ("Tusky", Verdict::OtherApp),
    ] {
        let found = asked("no-such-sample", "app-ok-4.2", |question| {
            question.user = User::Application;
            named(name)(question);
        });
        assert_eq!(verdict(&found), expected, "{name}");
    }
}

#[test]
fn a_token_that_has_no_user_is_asked_for_its_app() {
    for sample in ["no-user", "no-user-limited"] {
        let unknown = asked(sample, "app-ok-4.3", |question| {
            question.user = User::Unknown;
        });
        assert_eq!(verdict(&unknown), Verdict::Works);
        // The record says that it is alice's.
        assert_eq!(
            verdict(&asked(sample, "app-ok-4.3", |_| ())),
            Verdict::OtherAccount
        );
    }
}

#[test]
fn limited_federation_says_nothing_about_applications_and_that_a_user_is_unknown() {
    let both = |user: User| {
        asked("no-user-limited", "no-user-limited", |question| {
            question.user = user;
        })
    };
    let alice = User::Named("alice".to_owned());
    assert_eq!(verdict(&both(alice)), Verdict::Unknown);
    for user in [User::Application, User::Unknown] {
        let unanswered = unanswered(both(user));
        assert_eq!(unanswered.why, Why::NotUnderstood);
        let detail = unanswered.detail;
        assert!(detail.contains("limited federation"), "{detail}");
    }
    let lives = asked("scope-missing", "no-user-limited", |_| ());
    assert_eq!(verdict(&lives), Verdict::LacksScope);
}

#[test]
fn an_instance_without_answers_about_apps_is_asked_about_the_account() {
    let on = |account: &'static str, app: fn() -> Reply| {
        let server = Server::start(api(move |request| match request.path() {
            ACCOUNT => Reply::sample(account),
            _ => app(),
        }));
        let mut question = question_at(&server);
        question.user = User::Application;
        ask(&direct(&server), question)
    };
    let missing = || Reply::json(404, "{}");
    assert_eq!(verdict(&on("no-user", missing)), Verdict::Works);
    // Under limited federation an unknown token is told the same.
    assert_eq!(why(&on("no-user-limited", missing)), Why::NotUnderstood);
}

#[test]
fn a_limit_is_no_verdict() {
    let limited = unanswered(asked("rate-limited", "", |_| ()));
    assert_eq!(limited.why, Why::RateLimited);
}

#[test]
fn a_token_that_comes_back_is_taken_out() {
    let server = Server::start(api(|request| {
        let token = request.token().unwrap().to_uppercase();
        Reply::json(
            401,
            &format!(r#"{{"error":"access token expired: {token}, {token}!"}}"#),
        )
    }));
    let found = answered(ask(&direct(&server), question_at(&server)));
    assert_eq!(found.verdict, Verdict::Expired);
    assert_eq!(
        found.words.unwrap(),
        "access token expired: [token], [token]!"
    );
}

#[test]
fn a_question_does_not_show_its_token() {
    let shown = format!("{:?}", question(1, "m.example"));
    assert!(
        shown.contains("m.example") && !shown.contains("token-of"),
        "{shown}"
    );
}
