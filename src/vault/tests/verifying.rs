//! What instances answered, beside the runs.

use super::{
    forgetting::left,
    merging::{merged, twin},
    *,
};
use crate::{
    model::{Record, Snapshot, Status, User, Verdict, Verification, VerifiedAccount, VerifiedApp},
    vault::verified,
};

/// A vault with a client that holds these tokens, and knows neither whose they are nor of which app.
fn holding(values: std::ops::Range<u8>, now: i64) -> Vault {
    let mut vault = vault();
    let mut snapshot = Snapshot::of_client(source_key(0));
    for value in values {
        let token = token((value, Some(0), 0, false));
        snapshot.add(App::unknown(domain()), Some(account(0)), token);
    }
    vault.import(&snapshot, &context(now)).unwrap();
    vault
}

fn id(vault: &Vault, value: u8) -> TokenId {
    let token = token((value, None, 0, false));
    vault.token_id(&domain(), token.access_token.expose())
}

fn answer(at: i64, verdict: Verdict) -> Verification {
    Verification {
        at: Timestamp::from_second(at).unwrap(),
        verdict,
        words: (!verdict.is_good()).then(|| format!("no, {at}")),
        account: (verdict == Verdict::Works).then(|| VerifiedAccount {
            id: "7".to_owned(),
            username: "Ada".to_owned(),
        }),
        app: None,
    }
}

fn keep(vault: &mut Vault, answers: &[(u8, Verification)]) {
    let answers: Vec<_> = answers
        .iter()
        .map(|(value, answer)| (id(vault, *value), answer.clone()))
        .collect();
    let event = AuditEvent::Verified {
        selector: None,
        good: 1,
        bad: 2,
        unanswered: 3,
    };
    let now = Timestamp::from_second(900).unwrap();
    vault
        .record_verifications(&answers, &event, (&actor(), now))
        .unwrap();
    let report = vault.check(&Silent).unwrap();
    assert_eq!(report.problems, Vec::<String>::new());
}

fn named(vault: &Vault, selector: &str, at: Moment) -> Vec<Record> {
    let selector = selector.parse().unwrap();
    let query = Query {
        selector: &selector,
        at,
        all: true,
    };
    vault.records_sorted(&query).unwrap()
}

fn second(second: i64) -> Moment {
    Moment(second * 1_000_000)
}

#[test]
fn what_no_source_says_is_filled_in_from_the_time_of_the_answer_on() {
    let mut vault = holding(10..13, 1);
    keep(
        &mut vault,
        &[
            (10, answer(5, Verdict::Works)),
            (10, answer(8, Verdict::Revoked)),
            (11, answer(6, Verdict::OtherAccount)),
        ],
    );
    assert!(named(&vault, "ada@m.example", second(4)).is_empty());
    for at in [second(5), second(9), Moment::MAX] {
        let found = named(&vault, "ada@m.example", at);
        let [record] = found.as_slice() else { panic!() };
        assert_eq!(record.id, id(&vault, 10));
        assert_eq!(record.user, User::Named("Ada".to_owned()));
        // What was answered last counts, and does not take away what was known before.
        let last = record.verified.as_ref().unwrap();
        let expected = if at < second(8) {
            Verdict::Works
        } else {
            Verdict::Revoked
        };
        assert_eq!(last.verdict, expected);
        // A question about everything tells the same.
        let all = named(&vault, "*", at);
        assert_eq!(all.len(), 3);
        assert!(all.contains(record));
        assert_eq!(vault.record(record.id, at).unwrap().as_ref(), Some(record));
    }
    let told = vault.verifications(id(&vault, 10), Moment::MAX).unwrap();
    assert_eq!(
        told,
        [answer(5, Verdict::Works), answer(8, Verdict::Revoked)]
    );
    let history = vault
        .history(&"ada@m.example".parse().unwrap(), second(7))
        .unwrap();
    assert_eq!(history[0].tokens[0].answers, [answer(5, Verdict::Works)]);
}

#[test]
fn a_source_is_never_contradicted() {
    let mut vault = vault();
    let mut snapshot = Snapshot::of_client(source_key(0));
    snapshot.add(app(2), Some(account(9)), token((10, Some(0), 0, false)));
    vault.import(&snapshot, &context(1)).unwrap();
    let mut answered = answer(5, Verdict::Works);
    answered.app = Some(VerifiedApp {
        id: Some("12".to_owned()),
        name: Some("toot - a CLI".to_owned()),
        website: Some("https://toot.example".to_owned()),
        scopes: Some(Scopes::parse("read")),
        redirect_uris: vec!["urn:x".to_owned()],
    });
    keep(&mut vault, &[(10, answered)]);
    let record = named(&vault, "*", Moment::MAX).remove(0);
    assert_eq!(record.user, User::Named("User9".to_owned()));
    let app = &record.app;
    assert_eq!(app.name.as_deref(), Some("toot"));
    assert_eq!(app.names, ["toot", "toot - a CLI"]);
    assert_eq!(app.website.as_deref(), Some("https://toot.example"));
    assert_eq!(app.scopes, Some(Scopes::parse("read")));
    assert_eq!(app.redirect_uris, ["urn:x"]);
    assert_eq!(app.server_id, Some(12));
    assert_eq!(record.status, Status::Active);
}

/// Every answer that a vault holds, by the token's text.
fn all(vault: &Vault) -> BTreeMap<String, Vec<Verification>> {
    let records = named(vault, "*", Moment::MAX);
    let answers = records.into_iter().map(|record| {
        let answers = vault.verifications(record.id, Moment::MAX).unwrap();
        (record.access_token.expose().to_owned(), answers)
    });
    answers.collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn answers_come_together_as_runs_do(
        answers in prop::collection::vec((0usize..3, 10u8..16, 1i64..9, 0usize..12), 0..30),
    ) {
        // Two vaults of their own, and a copy of the first that went its own way.
        let first = holding(10..14, 1);
        let copy = twin(&first);
        let mut vaults = [first, holding(12..16, 2), copy];
        let mut expected: BTreeMap<u8, BTreeSet<(i64, usize)>> = BTreeMap::new();
        for (which, value, at, verdict) in answers {
            let known = if which == 1 { 12..16 } else { 10..14 };
            // What is not answered about a token that is there is about none.
            if known.contains(&value) {
                expected.entry(value).or_default().insert((at, verdict));
            }
            keep(&mut vaults[which], &[(value, answer(at, Verdict::ALL[verdict]))]);
        }
        let [a, b, c] = &vaults;
        let together = all(&merged(a, &[b, c]));
        for (value, told) in &expected {
            let token = token((*value, None, 0, false));
            let found = &together[token.access_token.expose()];
            // One of those about the same moment.
            let times: BTreeSet<i64> = told.iter().map(|(at, _)| *at).collect();
            let found_times: Vec<i64> = found.iter().map(|answer| answer.at.as_second()).collect();
            prop_assert_eq!(found_times, times.into_iter().collect::<Vec<_>>());
            for answer in found {
                let verdict = Verdict::ALL.iter().position(|known| *known == answer.verdict);
                prop_assert!(told.contains(&(answer.at.as_second(), verdict.unwrap())));
            }
        }
        prop_assert_eq!(together.values().map(Vec::len).sum::<usize>(), expected.values().map(|told| {
            told.iter().map(|(at, _)| at).collect::<BTreeSet<_>>().len()
        }).sum::<usize>());
        prop_assert_eq!(&all(&merged(b, &[c, a])), &together);
        prop_assert_eq!(&all(&merged(&merged(c, &[b]), &[a, b])), &together);
        let whole = merged(a, &[b, c]);
        let report = whole.would_merge(&[Other { name: "b".to_owned(), vault: twin(b) }]).unwrap();
        prop_assert_eq!(report.answers, 0);
    }
}

#[test]
fn what_is_forgotten_takes_its_answers_along() {
    let mut vault = holding(10..13, 1);
    keep(
        &mut vault,
        &[
            (10, answer(5, Verdict::Works)),
            (11, answer(5, Verdict::Works)),
        ],
    );
    let erased = Forgotten {
        tokens: HashSet::from([id(&vault, 10)]),
        ..Forgotten::default()
    };
    let rest = left(&vault, &erased);
    assert!(
        rest.verifications(id(&vault, 10), Moment::MAX)
            .unwrap()
            .is_empty()
    );
    assert_eq!(
        rest.verifications(id(&vault, 11), Moment::MAX)
            .unwrap()
            .len(),
        1
    );
    let found = named(&rest, "ada@m.example", Moment::MAX);
    assert_eq!(found.len(), 1);

    // A token that goes with the last run that held it.
    let mut vault = holding(10..11, 1);
    keep(&mut vault, &[(10, answer(5, Verdict::Works))]);
    vault
        .import(&Snapshot::of_client(source_key(0)), &context(2))
        .unwrap();
    let erased = Forgotten {
        runs: BTreeSet::from([1]),
        ..Forgotten::default()
    };
    let rest = left(&vault, &erased);
    let reader = rest.reader().unwrap();
    assert_eq!(verified::space().scan(reader.store()).count(), 0);
    assert_eq!(verified::by_user().scan(reader.store()).count(), 0);
}

#[test]
fn check_sees_an_answer_about_no_token_and_one_that_no_index_leads_to() {
    // 77 is no token of it; of 10, the answer is not in the index by user.
    for value in [77, 10] {
        let mut vault = holding(10..12, 1);
        let row = verified::Row::new(id(&vault, value), &answer(6, Verdict::Works)).unwrap();
        let transaction = vault.begin_write().unwrap();
        let mut merge = packed::Merge::new(verified::space());
        let put = |_: Option<&verified::Row>| packed::Fate::Put(row.clone());
        merge.jump(&transaction, &(row.id, row.at), put).unwrap();
        merge.close(&transaction).unwrap();
        transaction.commit().unwrap();
        assert_eq!(vault.check(&Silent).unwrap().problems.len(), 1);
    }
}

#[test]
fn an_answer_about_a_token_that_was_forgotten_meanwhile_is_not_kept() {
    let mut vault = holding(10..12, 1);
    keep(&mut vault, &[(99, answer(5, Verdict::Works))]);
    let reader = vault.reader().unwrap();
    assert_eq!(verified::space().scan(reader.store()).count(), 0);
    assert_eq!(vault.audit().unwrap().len(), 2);
}
