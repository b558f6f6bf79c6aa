//! Answers as they may come: Mastodon's, others', and any bytes.

use proptest::prelude::*;
use serde_json::json;

use crate::model::{Domain, TokenId};

use super::{Verdict as V, *};

const TOKEN: &str = "Secret-Token_0123456789";

fn question(user: User) -> Question {
    Question {
        id: TokenId([0; 16]),
        instance: Domain::parse("m.example").unwrap(),
        base_url: None,
        user,
        app_names: Vec::new(),
        app_id: None,
        access_token: TOKEN.into(),
    }
}

fn alice() -> Question {
    question(User::Named("alice".to_owned()))
}

fn reply(status: u16, json: &Value) -> Reply {
    Reply {
        status,
        content_type: Some("application/json; charset=utf-8".to_owned()),
        body: json.to_string().into_bytes(),
        ..Reply::default()
    }
}

fn html(status: u16) -> Reply {
    Reply {
        status,
        content_type: Some("text/html".to_owned()),
        body: b"<html>".to_vec(),
        ..Reply::default()
    }
}

fn of_account(question: &Question, reply: &Reply) -> Said {
    reading(question, |reading| reading.of_account(reply, true))
}

fn of_app(question: &Question, reply: &Reply, because: Because) -> Said {
    reading(question, |reading| reading.of_app(reply, because))
}

fn reading<T>(question: &Question, read: impl FnOnce(&Reading<'_>) -> T) -> T {
    let origin = Origin::of_instance(&question.instance);
    read(&Reading {
        question,
        origin: &origin,
        at: Timestamp::UNIX_EPOCH,
    })
}

fn verification(said: Said) -> Verification {
    match said {
        Said::Verified(verification) => verification,
        other => panic!("{other:?}"),
    }
}

fn verdict(said: Said) -> Verdict {
    verification(said).verdict
}

fn is_nothing(said: &Said) -> bool {
    matches!(said, Said::Nothing(unanswered) if unanswered.why == Why::NotUnderstood)
}

#[test]
fn words_tell_kinds_of_401_and_403_in_any_case() {
    for (status, words, expected) in [
        (401, "the ACCESS token IS invalid", Verdict::Unknown),
        (401, "The access token was revoked", Verdict::Revoked),
        (401, "The access token expired", Verdict::Expired),
        (401, "Le jeton d’accès est invalide", Verdict::Refused),
        (403, "YOUR LOGIN IS CURRENTLY DISABLED", Verdict::Disabled),
        (
            403,
            "Your login is missing a confirmed e-mail address",
            Verdict::Unconfirmed,
        ),
        (
            403,
            "Your login is currently pending approval",
            Verdict::Pending,
        ),
        (403, "This action is not allowed", Verdict::Refused),
    ] {
        let refusal = Reply {
            challenge: Some(r#"Bearer realm="Doorkeeper", error="invalid_token""#.to_owned()),
            ..reply(status, &json!({"error": words}))
        };
        let found = verification(of_account(&alice(), &refusal));
        assert_eq!(found.verdict, expected, "{words}");
        assert_eq!(found.words.as_deref(), Some(words));
    }
}

#[test]
fn a_401_is_a_verdict_only_where_it_is_about_a_token() {
    let challenged = |challenge: &str| Reply {
        challenge: Some(challenge.to_owned()),
        ..html(401)
    };
    let bearer = r#"Bearer realm="Doorkeeper", error="invalid_token", error_description="The access token expired""#;
    let found = verification(of_account(&alice(), &challenged(bearer)));
    assert_eq!(found.verdict, Verdict::Expired);
    assert_eq!(found.words.as_deref(), Some("The access token expired"));
    let found = verification(of_account(&alice(), &challenged("bearer")));
    assert_eq!((found.verdict, found.words), (Verdict::Refused, None));
    for reply in [
        challenged(r#"Basic realm="The access token was revoked""#),
        html(401),
        reply(401, &json!({"message": "The access token was revoked"})),
        // A portal's before the server.
        reply(401, &json!({"error": "Unauthorized"})),
        reply(401, &json!({"error": "Your session has expired"})),
        reply(401, &json!("The access token was revoked")),
    ] {
        assert!(is_nothing(&of_account(&alice(), &reply)), "{reply:?}");
    }
}

#[test]
fn an_app_is_the_records_by_its_id_else_by_its_name() {
    let app = |json| {
        move |question: &Question| {
            verdict(of_app(question, &reply(200, &json), Because::LacksScope))
        }
    };
    let mut question = alice();
    let with_id = app(json!({"id": "12", "name": "toot"}));
    let with_number = app(json!({"id": 12, "name": "toot"}));
    let without_id = app(json!({"name": "toot"}));
    question.app_names = vec!["Tusky".to_owned()];
    question.app_id = Some(12);
    assert_eq!(with_id(&question), Verdict::LacksScope);
    assert_eq!(with_number(&question), Verdict::LacksScope);
    assert_eq!(without_id(&question), Verdict::OtherApp);
    question.app_id = Some(13);
    assert_eq!(with_id(&question), Verdict::OtherApp);
    question.app_id = None;
    assert_eq!(with_id(&question), Verdict::OtherApp);
    question.app_names.push("Toot, a client".to_owned());
    assert_eq!(with_id(&question), Verdict::LacksScope);
    question.app_names.clear();
    assert_eq!(without_id(&question), Verdict::LacksScope);
    question.app_names.push("Tusky".to_owned());
    assert_eq!(app(Value::Null)(&question), Verdict::LacksScope);
}

#[test]
fn ids_that_differ_prove_nothing_since_a_rebuilt_database_gives_them_anew() {
    let mut question = alice();
    question.app_id = Some(13);
    let of = |question: &Question| {
        let json = json!({"id": "12", "name": "toot"});
        verdict(of_app(question, &reply(200, &json), Because::LacksScope))
    };
    assert_eq!(of(&question), Verdict::LacksScope);
    question.app_names = vec!["TOOT".to_owned()];
    assert_eq!(of(&question), Verdict::LacksScope);
    question.app_names = vec!["Tusky".to_owned()];
    assert_eq!(of(&question), Verdict::OtherApp);
}

#[test]
fn empty_texts_are_unknown_and_an_empty_name_is_no_ones() {
    let of = |question: &Question, json: Value| {
        verification(of_app(question, &reply(200, &json), Because::LacksScope))
    };
    let mut question = alice();
    let empty = json!({"id": "", "name": " ", "website": "\n", "redirect_uris": ["", " "]});
    let found = of(&question, empty.clone());
    assert_eq!(found.app, Some(VerifiedApp::default()));
    // It neither is the record's nor another's.
    question.app_names = vec!["Tusky".to_owned()];
    assert_eq!(of(&question, empty).verdict, Verdict::LacksScope);
    question.app_names.push(" ".to_owned());
    let toot = json!({"name": "toot"});
    assert_eq!(of(&question, toot.clone()).verdict, Verdict::OtherApp);
    question.app_names = vec![String::new()];
    assert_eq!(of(&question, toot).verdict, Verdict::LacksScope);
    for (id, username) in [(" ", "alice"), ("1", "\t")] {
        let json = json!({"id": id, "username": username});
        assert!(is_nothing(&of_account(&alice(), &reply(200, &json))));
    }
}

#[test]
fn what_has_no_name_is_no_app() {
    for json in [
        json!({}),
        json!([]),
        json!(true),
        json!({"name": 1}),
        json!({"error": "x"}),
    ] {
        let said = of_app(&alice(), &reply(200, &json), Because::Application);
        assert!(is_nothing(&said), "{json}");
    }
}

#[test]
fn an_instance_that_knows_no_apps_is_not_gone() {
    let found = of_app(&alice(), &html(404), Because::LacksScope);
    assert_eq!(verdict(found), Verdict::LacksScope);
    assert!(is_nothing(&of_app(&alice(), &html(404), Because::NoUser)));
    assert!(is_nothing(&of_app(&alice(), &html(200), Because::NoUser)));
    let own = question(User::Application);
    assert_eq!(
        of_app(&own, &html(404), Because::Application),
        Said::AskAccount
    );
    let then = |reply: &Reply| reading(&own, |reading| reading.of_account(reply, false));
    let no_user = json!({"error": "This API requires an authenticated user"});
    assert_eq!(verdict(then(&reply(422, &no_user))), Verdict::Works);
    // Under limited federation a token that is not known is told the same.
    assert!(is_nothing(&then(&reply(401, &no_user))));
    assert!(is_nothing(&then(&html(404))));
    let scope = json!({"error": "This action is outside the authorized scopes"});
    assert_eq!(verdict(then(&reply(403, &scope))), Verdict::LacksScope);
    let account = json!({"id": "1", "username": "alice"});
    assert_eq!(verdict(then(&reply(200, &account))), Verdict::OtherAccount);
}

#[test]
fn an_unlabelled_answer_is_json_or_nothing() {
    let unlabelled = |body: &str, status| Reply {
        status,
        body: body.as_bytes().to_vec(),
        ..Reply::default()
    };
    let account = unlabelled(r#"{"id": "1", "username": "alice"}"#, 200);
    assert_eq!(verdict(of_account(&alice(), &account)), Verdict::Works);
    assert!(is_nothing(&of_account(
        &alice(),
        &unlabelled("<html>", 200)
    )));
    assert!(is_nothing(&of_account(
        &alice(),
        &unlabelled("<html>", 404)
    )));
    // Labelled as something else, JSON is none.
    let labelled = Reply {
        content_type: Some("text/html".to_owned()),
        ..account
    };
    assert!(is_nothing(&of_account(&alice(), &labelled)));
}

#[test]
fn texts_are_cut_after_the_token_was_taken_out() {
    let long = format!(
        "{}{TOKEN}{}",
        "x".repeat(Verification::MAX_TEXT - 10),
        "y".repeat(5_000)
    );
    let refusal = Reply {
        challenge: Some("Bearer".to_owned()),
        ..reply(401, &json!({"error": long}))
    };
    let found = verification(of_account(&alice(), &refusal));
    let words = found.words.unwrap();
    assert_eq!(words.chars().count(), Verification::MAX_TEXT);
    assert!(
        words.ends_with("x[token]yyy") && !words.contains(&TOKEN[..5]),
        "{words}"
    );

    let many: Vec<String> = (0..5_000).map(|n| format!("{n}{TOKEN}")).collect();
    let json = json!({"name": TOKEN, "id": TOKEN, "website": TOKEN, "scopes": many, "redirect_uris": many});
    let app = verification(of_app(&alice(), &reply(200, &json), Because::LacksScope))
        .app
        .unwrap();
    assert_eq!(app.redirect_uris.len(), Verification::MAX_ITEMS);
    assert_eq!(
        app.scopes.as_ref().unwrap().iter().count(),
        Verification::MAX_ITEMS
    );
    assert!(!format!("{app:?}").contains(TOKEN));
    let account = json!({"id": TOKEN, "username": TOKEN});
    let found = of_account(&alice(), &reply(200, &account));
    assert!(!format!("{found:?}").contains(TOKEN));
}

#[test]
fn items_that_are_too_long_are_left_out_instead_of_cut() {
    let of = |json: Value| {
        let found = of_app(&alice(), &reply(200, &json), Because::LacksScope);
        verification(found).app.unwrap()
    };
    let (just, long) = ("ä".repeat(2_000), "ä".repeat(2_001));
    let app = of(
        json!({"name": "toot", "redirect_uris": [long, just, 1, "https://a.example/"],
                        "scopes": [long, "read", "write"]}),
    );
    assert_eq!(app.redirect_uris, [just.as_str(), "https://a.example/"]);
    assert_eq!(app.scopes.unwrap().as_str(), "read write");
    // As large as it can be: a row has room for it.
    let many = vec!["\u{10FFFF}".repeat(2_000); 60];
    let app = of(
        json!({"id": many[0], "name": many[0], "website": many[0], "redirect_uris": many, "scopes": many}),
    );
    let scopes = app.scopes.unwrap();
    let lists = app.redirect_uris.concat().len() + scopes.as_str().len();
    assert!(lists < 900_000, "{lists}");
    // An item may hold several scopes; all of them count.
    let app = of(json!({"name": "toot", "scopes": vec!["a b c"; 50]}));
    assert_eq!(app.scopes.unwrap().iter().count(), Verification::MAX_ITEMS);
}

#[test]
fn a_redirect_names_an_origin_and_never_the_token() {
    let to = |location: &str| {
        let reply = Reply {
            location: Some(location.to_owned()),
            ..html(302)
        };
        match of_account(&alice(), &reply) {
            Said::Nothing(Unanswered {
                why: Why::Redirected,
                detail,
            }) => detail,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(
        to("https://b.example/x?y"),
        "m.example redirects to https://b.example: the token was not sent there"
    );
    let shown = to(&format!("https://{TOKEN}.example/{TOKEN}"));
    assert!(
        !shown.to_lowercase().contains(&TOKEN.to_lowercase()),
        "{shown}"
    );
    assert!(shown.contains("[token]"), "{shown}");
    assert!(to("").contains("can't be read"));
}

/// Bodies, most of them JSON of the shapes that are looked for.
fn bodies() -> impl Strategy<Value = Vec<u8>> {
    let words = prop_oneof![
        Just("The access token is invalid".to_owned()),
        Just("The access token was revoked".to_owned()),
        Just("This action is outside the authorized scopes".to_owned()),
        Just("This method requires an authenticated user".to_owned()),
        Just("Your login is currently disabled".to_owned()),
        Just(format!("a {TOKEN} b")),
        any::<String>(),
    ];
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..200),
        words
            .clone()
            .prop_map(|words| json!({"error": words}).to_string().into_bytes()),
        (words.clone(), words).prop_map(|(one, other)| {
            json!({"id": one, "username": other, "name": one, "scopes": [other]})
                .to_string()
                .into_bytes()
        }),
        Just(b"null".to_vec()),
    ]
}

fn replies() -> impl Strategy<Value = Reply> {
    let labels = prop::option::of(prop::sample::select(vec![
        "application/json",
        "text/html",
        "",
        "a+json",
        ";;",
    ]));
    let header =
        prop::option::of("[ -~]{0,40}|Bearer error_description=\"[a-z ]*\"|https://[a-z.]{1,9}/");
    let status = prop_oneof![
        prop::sample::select(vec![200_u16, 301, 401, 403, 404, 410, 422, 429, 500]),
        100_u16..1000,
    ];
    (status, labels, header.clone(), header, bodies()).prop_map(
        |(status, label, challenge, location, body)| Reply {
            status,
            content_type: label.map(str::to_owned),
            challenge,
            location,
            body,
            ..Reply::default()
        },
    )
}

fn users() -> impl Strategy<Value = User> {
    prop::sample::select(vec![
        User::Named("alice".to_owned()),
        User::Unknown,
        User::Application,
    ])
}

proptest! {
    #[test]
    fn no_answer_is_more_than_its_status_allows(reply in replies(), user in users(), id in any::<Option<u64>>()) {
        let mut question = question(user);
        question.app_id = id;
        let said = [
            of_account(&question, &reply),
            reading(&question, |reading| reading.of_account(&reply, false)),
            of_app(&question, &reply, Because::Application),
            of_app(&question, &reply, Because::LacksScope),
            of_app(&question, &reply, Because::NoUser),
        ];
        for said in said {
            let shown = format!("{said:?}");
            prop_assert!(!shown.contains(TOKEN));
            let Said::Verified(found) = said else { continue };
            let allowed: &[Verdict] = match reply.status {
                200 => &[V::Works, V::LacksScope, V::OtherAccount, V::OtherApp],
                // The last one where another answer has shown that it lives.
                401 => &[V::Unknown, V::Revoked, V::Expired, V::Refused, V::LacksScope],
                403 => &[V::Disabled, V::Unconfirmed, V::Pending, V::Refused, V::LacksScope],
                404 => &[V::LacksScope],
                422 => &[V::Works, V::OtherAccount],
                _ => &[],
            };
            prop_assert!(allowed.contains(&found.verdict), "{} from {reply:?}", found.verdict.as_str());
            if reply.status == 200 {
                prop_assert!(reply.json().is_some());
            }
            let words = found.words.unwrap_or_default();
            prop_assert!(words.chars().count() <= Verification::MAX_TEXT);
        }
    }
}
