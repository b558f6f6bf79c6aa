//! The vault against the oracle: a full map of every relation for every run.

use std::collections::{BTreeMap, BTreeSet, HashSet};

mod forgetting;
mod merging;
mod verifying;

use proptest::{collection::btree_map, prelude::*};
use redb::backends::InMemoryBackend;

use super::*;
use crate::{
    model::{
        Account, App, Completeness, Keys, Moment, Novelty, Relation, RowSink, RunOutcome, Scope,
        Scopes, Secret, Selector, SourceKey, Token,
    },
    progress::Silent,
};

type Map<T> = BTreeMap<u64, T>;

#[derive(Debug, Clone, Default, PartialEq)]
struct State {
    apps: Map<App>,
    accounts: Map<Account>,
    tokens: Map<Token>,
}

#[derive(Debug, Clone)]
struct Given {
    source: u8,
    /// Seconds after the epoch.
    at: i64,
    scope: Option<u8>,
    complete: bool,
    accept_shrink: bool,
    apps: BTreeMap<u8, u8>,
    accounts: BTreeMap<u8, u8>,
    /// Key → token, account, app, revoked.
    tokens: BTreeMap<u8, (u8, Option<u8>, u8, bool)>,
}

fn domain() -> Domain {
    Domain::parse("m.example").unwrap()
}

fn app(variant: u8) -> App {
    App {
        name: Some("toot".to_owned()),
        client_id: Some(format!("id-{variant}")),
        client_secret: Some(Secret::from("s")),
        owner: (variant == 1).then_some(3),
        ..App::unknown(domain())
    }
}

fn account(name: u8) -> Account {
    let username = (name != 0).then(|| format!("User{name}"));
    Account {
        instance: domain(),
        username,
        created_at: None,
    }
}

fn token((value, account, app, revoked): (u8, Option<u8>, u8, bool)) -> Token {
    let access_token = match value {
        0 => "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".to_owned(),
        1 => "00".repeat(32),
        n => format!("token {n}"),
    };
    Token {
        instance: domain(),
        access_token: Secret::from(&*access_token),
        refresh_token: (value == 3).then(|| Secret::from("r")),
        token_type: None,
        scopes: Some(Scopes::parse("read write")),
        created_at: Some(Moment(i64::from(value) * 1_000_001).timestamp()),
        expires_at: None,
        revoked_at: revoked.then(|| Moment(77).timestamp()),
        app: Some(app.into()),
        account: account.map(u64::from),
    }
}

fn given() -> impl Strategy<Value = Given> {
    let row = (
        0u8..5,
        prop::option::weighted(0.8, 0u8..4),
        0u8..3,
        any::<bool>(),
    );
    (
        0u8..2,
        0i64..12,
        prop::option::weighted(0.3, 1u8..3),
        prop::bool::weighted(0.8),
        any::<bool>(),
        btree_map(0u8..3, 0u8..2, 0..3),
        btree_map(0u8..4, 0u8..3, 0..4),
        prop_oneof![
            btree_map(0u8..40, row.clone(), 0..40),
            btree_map(0u8..6, row, 0..6)
        ],
    )
        .prop_map(
            |(source, at, scope, complete, accept_shrink, apps, accounts, tokens)| Given {
                source,
                at,
                scope,
                complete,
                accept_shrink,
                apps,
                accounts,
                tokens,
            },
        )
}

fn source_key(source: u8) -> SourceKey {
    SourceKey {
        connector: "test".to_owned(),
        location: format!("/{source}"),
        host: "here".to_owned(),
    }
}

fn actor() -> Actor {
    Actor {
        user: "me".to_owned(),
        host: "here".to_owned(),
    }
}

fn context(now: i64) -> ImportContext {
    ImportContext {
        now: Timestamp::from_second(now).unwrap(),
        actor: actor(),
        note: None,
        accept_shrink: true,
        origin: None,
    }
}

fn vault() -> Vault {
    Vault::in_database(
        Database::builder()
            .create_with_backend(InMemoryBackend::new())
            .unwrap(),
    )
    .unwrap()
}

fn record(vault: &mut Vault, given: &Given) -> Run {
    let at = Timestamp::from_second(given.at).unwrap();
    record_as(
        vault,
        given,
        Some(at),
        Timestamp::from_second(1_000).unwrap(),
    )
}

fn record_as(vault: &mut Vault, given: &Given, at: Option<Timestamp>, now: Timestamp) -> Run {
    let mut run = vault
        .begin_run(RunStart {
            source: source_key(given.source),
            instance: None,
            scope: given
                .scope
                .map_or(Scope::All, |user| Scope::User(format!("uSER{user}"))),
            keys: Keys::Server,
            effective_at: at,
            now,
            actor: actor(),
            note: None,
            accept_shrink: given.accept_shrink,
            origin: None,
        })
        .unwrap();
    for (key, variant) in &given.apps {
        run.app(u64::from(*key), &app(*variant)).unwrap();
    }
    for (key, name) in &given.accounts {
        run.account(u64::from(*key), &account(*name)).unwrap();
    }
    for (key, row) in &given.tokens {
        let token = token(*row);
        run.token(u64::from(*key), &import::token_row(&token))
            .unwrap();
    }
    run.finish(if given.complete {
        Completeness::Complete
    } else {
        Completeness::Partial
    })
    .unwrap()
}

/// The oracle of one source: what every run said, and from that, told from the beginning, the state at each.
#[derive(Default)]
struct Oracle {
    said: BTreeMap<Moment, (u64, Given, RunOutcome)>,
    runs: BTreeMap<Moment, (u64, State)>,
}

impl State {
    /// Tells a run; `bury` = whether what it did not see of its scope ends. Answers how many tokens it did not see.
    fn tell(&mut self, given: &Given, bury: bool) -> usize {
        let user = given.scope.map(|user| format!("user{user}"));
        let mut named = self.accounts.clone();
        let seen = given.accounts.iter();
        named.extend(seen.map(|(key, name)| (u64::from(*key), account(*name))));
        let names: Map<_> = named
            .into_iter()
            .map(|(key, account)| (key, account.username.map(|name| name.to_lowercase())))
            .collect();
        let is_in = |row: Option<u64>| {
            user.is_none()
                || row.is_some_and(|row| names.get(&row).is_some_and(|name| *name == user))
        };
        let State {
            apps,
            accounts,
            tokens,
        } = self;
        let is_missing = |key: &u64, token: &Token| {
            !given.tokens.contains_key(&u8::try_from(*key).unwrap()) && is_in(token.account)
        };
        let missing = tokens
            .iter()
            .filter(|(key, token)| is_missing(key, token))
            .count();
        if bury {
            tokens.retain(|key, token| !is_missing(key, token));
            accounts.retain(|key, _| {
                given.accounts.contains_key(&u8::try_from(*key).unwrap()) || !is_in(Some(*key))
            });
            apps.retain(|key, _| {
                given.apps.contains_key(&u8::try_from(*key).unwrap()) || user.is_some()
            });
        }
        apps.extend(
            given
                .apps
                .iter()
                .map(|(key, variant)| (u64::from(*key), app(*variant))),
        );
        accounts.extend(
            given
                .accounts
                .iter()
                .map(|(key, name)| (u64::from(*key), account(*name))),
        );
        tokens.extend(
            given
                .tokens
                .iter()
                .map(|(key, row)| (u64::from(*key), token(*row))),
        );
        missing
    }
}

impl Oracle {
    fn record(&mut self, given: &Given, run: &Run) {
        let mut at = Moment(given.at * 1_000_000);
        while self.runs.contains_key(&at) {
            at.0 += 1;
        }
        assert_eq!(Moment::from(run.effective_at), at);
        let mut before = State::default();
        for (_, said, outcome) in self.said.range(..at).map(|(_, said)| said) {
            before.tell(said, *outcome == RunOutcome::Complete);
        }
        let known = before.tokens.keys();
        let came = known.filter(|key| given.tokens.contains_key(&u8::try_from(**key).unwrap()));
        let came = came.count();
        let missing = before.tell(given, false);
        let suspicious = missing > 20.max((missing + came) / 5)
            || (missing + came > 0 && given.tokens.is_empty());
        let outcome = match (given.complete, suspicious && !given.accept_shrink) {
            (false, _) => RunOutcome::Partial,
            (true, true) => RunOutcome::Shrunk,
            (true, false) => RunOutcome::Complete,
        };
        assert_eq!(run.outcome, outcome);
        self.said.insert(at, (run.id, given.clone(), outcome));
        let mut state = State::default();
        for (at, (number, said, outcome)) in &self.said {
            state.tell(said, *outcome == RunOutcome::Complete);
            self.runs.insert(*at, (*number, state.clone()));
        }
    }
}

fn as_of<T>(rows: impl Iterator<Item = Result<Ever<T>, Error>>, at: Moment) -> Map<T> {
    let live = rows
        .map(Result::unwrap)
        .filter(|row| row.version.until.is_none_or(|until| at < until));
    live.map(|row| (row.version.key, row.version.body))
        .collect()
}

/// What was so at every run of a source, in time order. Each run must be known to have changed just what differs.
fn told(vault: &Vault, source: &Source) -> Vec<(Run, State)> {
    let reader = vault.reader().unwrap();
    let mut runs = vault.runs().unwrap();
    runs.retain(|run| run.source == *source);
    runs.sort_by_key(|run| run.effective_at);
    let mut told: Vec<(Run, State)> = Vec::new();
    for run in runs {
        let (id, at) = (source.id, Moment::from(run.effective_at));
        let state = State {
            apps: as_of(reader.apps_ever(id, at), at),
            accounts: as_of(reader.accounts_ever(id, at), at),
            tokens: as_of(reader.tokens_ever(id, at), at),
        };
        let nothing = State::default();
        let before = told.last().map_or(&nothing, |(_, state)| state);
        let mut expected = changes(Relation::Apps, &before.apps, &state.apps);
        expected.extend(changes(
            Relation::Accounts,
            &before.accounts,
            &state.accounts,
        ));
        expected.extend(changes(Relation::Tokens, &before.tokens, &state.tokens));
        let mut noted = Vec::new();
        let mut note = |change: Change| {
            noted.push((change.relation, change.row, change.kind));
            Ok(())
        };
        reader.changes(run.id, id, at, &mut note).unwrap();
        assert_eq!(noted, expected, "changes of run {}", run.id);
        told.push((run, state));
    }
    told
}

fn changes<T: PartialEq>(
    relation: Relation,
    before: &Map<T>,
    after: &Map<T>,
) -> Vec<(Relation, u64, ChangeKind)> {
    let keys: BTreeSet<u64> = before.keys().chain(after.keys()).copied().collect();
    let kind = |key: &u64| story::kind_of(before.get(key), after.get(key));
    keys.iter()
        .filter_map(|key| kind(key).map(|kind| (relation, *key, kind)))
        .collect()
}

/// The versions of a row that the maps of all runs amount to.
fn story<'o, T: Clone + PartialEq + 'o>(
    maps: impl Iterator<Item = (Moment, Option<&'o T>)>,
) -> Vec<(Moment, Option<Moment>, T)> {
    let mut story: Vec<(Moment, Option<Moment>, T)> = Vec::new();
    let mut open = false;
    for (at, body) in maps {
        let same = open && story.last().is_some_and(|(_, _, last)| Some(last) == body);
        if same {
            continue;
        }
        if open && let Some(last) = story.last_mut() {
            last.1 = Some(at);
        }
        open = body.is_some();
        story.extend(body.map(|body| (at, None, body.clone())));
    }
    story
}

/// What a server says that tells only of rows written since the last run: those that changed, some that were written
/// again with the same contents, and the keys of all rows where some are gone.
fn record_changes(vault: &mut Vault, at: i64, before: &Given, now: &Given, again: u8) -> Run {
    fn differs<T: PartialEq>(
        before: &BTreeMap<u8, T>,
        now: &BTreeMap<u8, T>,
        key: u8,
        again: u8,
    ) -> bool {
        before.get(&key) != now.get(&key) || key.is_multiple_of(again)
    }
    fn goes<T>(before: &BTreeMap<u8, T>, now: &BTreeMap<u8, T>) -> bool {
        before.keys().any(|key| !now.contains_key(key))
    }
    let mut run = vault.begin_run(start(at)).unwrap();
    assert!(run.bookmark().unwrap().is_current);
    run.only_changes(Relation::Apps, before.apps.len() as u64)
        .unwrap();
    for (key, variant) in &now.apps {
        if differs(&before.apps, &now.apps, *key, again) {
            run.app(u64::from(*key), &app(*variant)).unwrap();
        }
    }
    if goes(&before.apps, &now.apps) {
        run.keys_follow(Relation::Apps).unwrap();
        for key in now.apps.keys() {
            let known = run.is_there(Relation::Apps, u64::from(*key)).unwrap();
            assert_eq!(known, Novelty::Known);
        }
    }
    run.only_changes(Relation::Accounts, before.accounts.len() as u64)
        .unwrap();
    for (key, name) in &now.accounts {
        if differs(&before.accounts, &now.accounts, *key, again) {
            run.account(u64::from(*key), &account(*name)).unwrap();
        }
    }
    if goes(&before.accounts, &now.accounts) {
        run.keys_follow(Relation::Accounts).unwrap();
        for key in now.accounts.keys() {
            run.is_there(Relation::Accounts, u64::from(*key)).unwrap();
        }
    }
    run.only_changes(Relation::Tokens, before.tokens.len() as u64)
        .unwrap();
    for (key, row) in &now.tokens {
        if differs(&before.tokens, &now.tokens, *key, again) {
            let token = token(*row);
            run.token(u64::from(*key), &import::token_row(&token))
                .unwrap();
        }
    }
    if goes(&before.tokens, &now.tokens) {
        run.keys_follow(Relation::Tokens).unwrap();
        for key in now.tokens.keys() {
            run.is_there(Relation::Tokens, u64::from(*key)).unwrap();
        }
    }
    run.leave(vec![1]);
    run.finish(Completeness::Complete).unwrap()
}

fn start(at: i64) -> RunStart {
    RunStart {
        source: source_key(0),
        instance: None,
        scope: Scope::All,
        keys: Keys::Server,
        effective_at: Some(Timestamp::from_second(at).unwrap()),
        now: Timestamp::from_second(1_000).unwrap(),
        actor: actor(),
        note: None,
        accept_shrink: true,
        origin: None,
    }
}

proptest! {
    #[test]
    fn runs_that_tell_only_changes_say_the_same(states in prop::collection::vec(given(), 2..7), again in 2u8..9) {
        let (mut whole, mut told) = (vault(), vault());
        let mut before: Option<Given> = None;
        for (at, state) in (1..).zip(&states) {
            // What a row names without being there is the server's own matter: rows are taken as they are.
            let given = Given { source: 0, at, scope: None, complete: true, accept_shrink: true, ..state.clone() };
            let expected = record(&mut whole, &given);
            let run = match &before {
                Some(before) => record_changes(&mut told, at, before, &given, again),
                None => {
                    let mut run = told.begin_run(start(at)).unwrap();
                    for (key, variant) in &given.apps {
                        run.app(u64::from(*key), &app(*variant)).unwrap();
                    }
                    for (key, name) in &given.accounts {
                        run.account(u64::from(*key), &account(*name)).unwrap();
                    }
                    for (key, row) in &given.tokens {
                        run.token(u64::from(*key), &import::token_row(&token(*row))).unwrap();
                    }
                    run.leave(vec![0]);
                    run.finish(Completeness::Complete).unwrap()
                }
            };
            prop_assert_eq!(&run, &expected);
            before = Some(given);
        }
        let (whole, told) = (whole.reader().unwrap(), told.reader().unwrap());
        let source = crate::model::SourceId(1);
        for at in 1..=states.len() {
            let at = Moment(i64::try_from(at).unwrap() * 1_000_000);
            prop_assert_eq!(as_of(told.tokens_ever(source, at), at), as_of(whole.tokens_ever(source, at), at));
            prop_assert_eq!(as_of(told.apps_ever(source, at), at), as_of(whole.apps_ever(source, at), at));
            prop_assert_eq!(as_of(told.accounts_ever(source, at), at), as_of(whole.accounts_ever(source, at), at));
        }
    }
}

#[test]
fn a_row_that_was_not_told_of_is_found_out() {
    let mut vault = vault();
    let mut run = vault.begin_run(start(1)).unwrap();
    run.app(1, &app(0)).unwrap();
    run.leave(Vec::new());
    run.finish(Completeness::Complete).unwrap();
    let mut run = vault.begin_run(start(2)).unwrap();
    run.only_changes(Relation::Apps, 1).unwrap();
    run.keys_follow(Relation::Apps).unwrap();
    assert_eq!(run.is_there(Relation::Apps, 1).unwrap(), Novelty::Known);
    assert_eq!(run.is_there(Relation::Apps, 2).unwrap(), Novelty::New);
}

#[test]
fn a_bookmark_is_current_only_straight_after_its_run() {
    let mut vault = vault();
    let mut run = vault.begin_run(start(10)).unwrap();
    assert_eq!(run.bookmark(), None);
    run.leave(vec![7]);
    run.finish(Completeness::Complete).unwrap();
    let found = |vault: &mut Vault, at| vault.begin_run(start(at)).unwrap().bookmark().cloned();
    let here = |is_current| {
        let bytes = vec![7];
        Some(Bookmark { bytes, is_current })
    };
    assert_eq!(found(&mut vault, 11), here(true));
    // Dated before the run that left it.
    assert_eq!(found(&mut vault, 9), here(false));
    // Left by a run that was recorded last and dated before another: the rows are as that other one found them.
    let mut before = vault.begin_run(start(8)).unwrap();
    before.leave(vec![7]);
    before.finish(Completeness::Complete).unwrap();
    assert_eq!(found(&mut vault, 11), here(false));
    let mut partial = vault.begin_run(start(12)).unwrap();
    partial.leave(vec![8]);
    partial.finish(Completeness::Partial).unwrap();
    assert_eq!(found(&mut vault, 13), here(false));
    let mut last = vault.begin_run(start(14)).unwrap();
    last.leave(vec![7]);
    last.finish(Completeness::Complete).unwrap();
    assert_eq!(found(&mut vault, 15), here(true));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn the_vault_agrees_with_a_map_of_every_run(runs in prop::collection::vec(given(), 1..9)) {
        let mut vault = vault();
        let mut oracles: BTreeMap<u8, Oracle> = BTreeMap::new();
        for given in &runs {
            let run = record(&mut vault, given);
            oracles.entry(given.source).or_default().record(given, &run);
        }
        let reader = vault.reader().unwrap();
        for (source, oracle) in &oracles {
            let id = vault.sources().unwrap().iter().find(|s| s.key == source_key(*source)).unwrap().id;
            let mut before = State::default();
            for (at, (number, state)) in &oracle.runs {
                for at in [*at, Moment(at.0 + 1)] {
                    if at != Moment(at.0) || oracle.runs.contains_key(&at) || oracle.runs.range(..=at).next_back().unwrap().0.0 == at.0 - 1 {
                        let expected = &oracle.runs.range(..=at).next_back().unwrap().1.1;
                        prop_assert_eq!(&as_of(reader.tokens_ever(id, at), at), &expected.tokens);
                        prop_assert_eq!(&as_of(reader.apps_ever(id, at), at), &expected.apps);
                        prop_assert_eq!(&as_of(reader.accounts_ever(id, at), at), &expected.accounts);
                    }
                }
                let mut noted = Vec::new();
                reader.changes(*number, id, *at, &mut |change| {
                    noted.push((change.relation, change.row, change.kind));
                    Ok(())
                }).unwrap();
                let mut expected = changes(Relation::Apps, &before.apps, &state.apps);
                expected.extend(changes(Relation::Accounts, &before.accounts, &state.accounts));
                expected.extend(changes(Relation::Tokens, &before.tokens, &state.tokens));
                prop_assert_eq!(noted, expected, "changes of run {}", number);
                before = state.clone();
            }
            for key in 0..40 {
                let told: Vec<_> = reader.token_versions(id, key).unwrap().into_iter().map(|v| (v.since, v.until, v.body)).collect();
                let expected = story(oracle.runs.iter().map(|(at, (_, state))| (*at, state.tokens.get(&key))));
                prop_assert_eq!(told, expected, "versions of token row {}", key);
            }
        }
        drop(reader);
        let report = vault.check(&Silent).unwrap();
        prop_assert_eq!(report.problems, Vec::<String>::new());
        prop_assert_eq!(report.runs, runs.len() as u64);
    }
}

/// What all sources together amount to at a moment: every token that any of them ever held, with the sources that held
/// it and whether they still do.
fn tokens_ever(oracles: &BTreeMap<u8, Oracle>, at: Moment) -> BTreeMap<String, BTreeMap<u8, bool>> {
    let mut ever: BTreeMap<String, BTreeMap<u8, bool>> = BTreeMap::new();
    for (source, oracle) in oracles {
        for (_, state) in oracle.runs.range(..=at).map(|(_, run)| run) {
            for token in state.tokens.values() {
                let text = token.access_token.expose().to_owned();
                ever.entry(text).or_default().insert(*source, false);
            }
        }
        let Some((_, (_, state))) = oracle.runs.range(..=at).next_back() else {
            continue;
        };
        for token in state.tokens.values() {
            let text = token.access_token.expose().to_owned();
            ever.entry(text).or_default().insert(*source, true);
        }
    }
    ever
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 50, ..ProptestConfig::default() })]

    /// A server whose database is rebuilt gives the same row ids to other tokens: none of them may be forgotten, and
    /// none may be shown in the place of another.
    #[test]
    fn every_token_that_was_ever_held_is_a_record_of_its_own(runs in prop::collection::vec(given(), 1..7)) {
        let mut vault = vault();
        let mut oracles: BTreeMap<u8, Oracle> = BTreeMap::new();
        for given in &runs {
            let run = record(&mut vault, given);
            oracles.entry(given.source).or_default().record(given, &run);
        }
        let moments: BTreeSet<Moment> = oracles.values().flat_map(|oracle| oracle.runs.keys().copied()).collect();
        let last = moments.last().copied().unwrap();
        let whole = Selector::all();
        for at in moments.iter().copied().step_by(2).chain([last]) {
            let expected = tokens_ever(&oracles, at);
            let query = Query { selector: &whole, at, all: true };
            let records = vault.records_sorted(&query).unwrap();
            let texts: Vec<&str> = records.iter().map(|record| record.access_token.expose()).collect();
            let distinct: BTreeSet<&str> = texts.iter().copied().collect();
            prop_assert_eq!(distinct.len(), texts.len(), "each token is one record");
            prop_assert_eq!(distinct, expected.keys().map(String::as_str).collect::<BTreeSet<_>>());
            for found in &records {
                let text = found.access_token.expose();
                prop_assert_eq!(found.id, vault.token_id(&found.instance, text));
                let by_id = vault.record(found.id, at).unwrap();
                prop_assert_eq!(by_id.as_ref(), Some(found));
                let mut places: BTreeMap<u8, bool> = BTreeMap::new();
                for sighting in &found.sightings {
                    let source = (0..2).find(|source| source_key(*source) == sighting.source.key).unwrap();
                    *places.entry(source).or_default() |= sighting.gone_at.is_none();
                }
                prop_assert_eq!(&places, &expected[text], "places of {} at {:?}", text, at);
            }
            let histories = if at == last { vault.history(&whole, at).unwrap() } else { Vec::new() };
            for key in histories {
                for token in key.tokens {
                    let text = token.record.access_token.expose();
                    prop_assert!(!token.events.is_empty(), "{} has a history", text);
                    let there = token.events.iter().fold(0, |there, event| match event.kind {
                        EventKind::Appeared | EventKind::Returned(_) => there + 1,
                        EventKind::Changed(_) => there,
                        EventKind::Vanished => there - 1,
                    });
                    prop_assert_eq!(there > 0, expected[text].values().any(|live| *live), "history of {}", text);
                }
            }
        }
    }
}

#[test]
fn what_a_run_is_kept_to_have_seen_is_checked() {
    let mut vault = vault();
    let mut run = vault.begin_run(start(1)).unwrap();
    for key in [3, 4, 6] {
        run.app(key, &app(0)).unwrap();
    }
    let number = run.finish(Completeness::Partial).unwrap().id;
    assert_eq!(vault.check(&Silent).unwrap().problems, Vec::<String>::new());
    for (relation, last, is_well) in [
        (Relation::Apps, 5, false),
        (Relation::Apps, 3, true),
        (Relation::Tokens, 3, false),
    ] {
        let transaction = vault.begin_write().unwrap();
        let mut seen = facts::Seen::default();
        (3..=last).for_each(|row| seen.add(relation, row));
        seen.keep(&transaction, number).unwrap();
        vault.commit(transaction).unwrap();
        let problems = vault.check(&Silent).unwrap().problems;
        assert_eq!(problems.is_empty(), is_well, "{relation:?} to {last}");
    }
}

#[test]
fn a_run_that_is_dropped_leaves_nothing() {
    let mut vault = vault();
    let start = |now| RunStart {
        source: source_key(0),
        instance: None,
        scope: Scope::All,
        keys: Keys::Server,
        effective_at: None,
        now: Timestamp::from_second(now).unwrap(),
        actor: actor(),
        note: None,
        accept_shrink: false,
        origin: None,
    };
    let mut run = vault.begin_run(start(1)).unwrap();
    run.token(1, &import::token_row(&token((0, None, 0, false))))
        .unwrap();
    drop(run);
    assert_eq!(vault.runs().unwrap().len(), 0);
    assert_eq!(vault.sources().unwrap().len(), 0);
    let mut run = vault.begin_run(start(2)).unwrap();
    run.token(5, &import::token_row(&token((0, None, 0, false))))
        .unwrap();
    let twice = run.token(5, &import::token_row(&token((0, None, 0, false))));
    assert!(matches!(twice, Err(Error::OutOfOrder)));
    assert!(matches!(run.app(9, &app(0)), Err(Error::OutOfOrder)));
}

#[test]
fn the_audit_log_is_chained_and_a_broken_link_is_seen() {
    let mut vault = vault();
    for slot in 0..3 {
        vault
            .audit_append(
                &AuditEvent::KeyAdded { slot },
                &actor(),
                Timestamp::from_second(5).unwrap(),
            )
            .unwrap();
    }
    assert!(vault.audit().unwrap().iter().all(|entry| entry.linked));
    let transaction = vault.begin_write().unwrap();
    let key = store::number_key(tag::AUDIT, 2);
    store::remove(&transaction, &key).unwrap();
    vault.commit(transaction).unwrap();
    let linked: Vec<bool> = vault
        .audit()
        .unwrap()
        .iter()
        .map(|entry| entry.linked)
        .collect();
    assert_eq!(linked, [true, false]);
    assert_eq!(vault.check(&Silent).unwrap().problems.len(), 1);
}

#[test]
fn the_same_client_file_twice_adds_nothing() {
    let mut vault = vault();
    let mut snapshot = crate::model::Snapshot::of_client(source_key(0));
    for n in 0..30 {
        snapshot.add(app(n % 2), Some(account(n)), token((n, Some(0), 0, false)));
    }
    let first = vault.import(&snapshot, &context(1)).unwrap();
    assert_eq!(first.counts.tokens.added, 30);
    let again = vault.import(&snapshot, &context(2)).unwrap();
    assert_eq!(
        (again.counts.tokens.unchanged, again.counts.tokens.added),
        (30, 0)
    );
    assert_eq!(
        (again.counts.apps.unchanged, again.counts.accounts.unchanged),
        (2, 30)
    );
    let all = Selector::all();
    let records = vault
        .records_sorted(&Query {
            selector: &all,
            at: Moment::MAX,
            all: false,
        })
        .unwrap();
    assert_eq!(records.len(), 30);
    let of_one: Selector = "USER7@M.example/TOOT".parse().unwrap();
    let records = vault
        .records_sorted(&Query {
            selector: &of_one,
            at: Moment::MAX,
            all: false,
        })
        .unwrap();
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].key().to_string(), "User7@m.example/toot");
    let by_id: Selector = records[0].short_id().parse().unwrap();
    let Choice::One(found) = vault
        .choose(&Query {
            selector: &by_id,
            at: Moment::MAX,
            all: false,
        })
        .unwrap()
    else {
        panic!()
    };
    assert_eq!(*found, records[0]);
}

#[test]
fn a_row_that_changes_leaves_its_first_version_where_it_is() {
    let mut vault = vault();
    let tokens = |revoked: bool| (0..40).map(move |key| (key, (key % 5, Some(1), 0, revoked)));
    let night = |at, tokens: BTreeMap<_, _>| Given {
        source: 0,
        at,
        scope: None,
        complete: true,
        accept_shrink: true,
        apps: BTreeMap::new(),
        accounts: BTreeMap::new(),
        tokens,
    };
    let blocks = |vault: &Vault, tag: u8| -> Vec<store::Entry> {
        let reader = vault.reader().unwrap();
        let store = reader.store();
        store.all(&[tag]).map(Result::unwrap).collect()
    };
    record(&mut vault, &night(1, tokens(false).collect()));
    let first = blocks(&vault, tag::TOKENS);
    let mut changed: BTreeMap<_, _> = tokens(false).take(39).collect();
    changed.extend(tokens(true).take(3));
    record(&mut vault, &night(2, changed.clone()));
    record(&mut vault, &night(3, changed));
    assert_eq!(blocks(&vault, tag::TOKENS), first);
    let source = vault.sources().unwrap()[0].id;
    let reader = vault.reader().unwrap();
    let later = rows::later::<bodies::TokenBody>(source);
    let later: Vec<u64> = later
        .scan(reader.store())
        .map(|row| row.unwrap().key)
        .collect();
    assert_eq!(
        later,
        [0, 1, 2, 39],
        "three revoked, one gone, nothing in the third night"
    );
    drop(reader);
    assert_eq!(vault.check(&Silent).unwrap().problems, Vec::<String>::new());
}

#[test]
fn check_sees_a_change_that_changes_nothing_or_belongs_to_no_run() {
    let mut vault = vault();
    let source = crate::model::SourceId(1);
    let given = Given {
        source: 0,
        at: 1,
        scope: None,
        complete: true,
        accept_shrink: false,
        apps: BTreeMap::new(),
        accounts: BTreeMap::new(),
        tokens: BTreeMap::from([(3, (1, None, 0, false))]),
    };
    record(&mut vault, &given);
    let transaction = vault.begin_write().unwrap();
    let mut merge = packed::Merge::new(rows::later::<bodies::TokenBody>(source));
    for since in [Moment(1_000_001), Moment(1_000_002)] {
        let row = rows::Later {
            key: 3,
            since,
            change: rows::Change::Gone,
        };
        merge
            .jump(&transaction, &(3, since), |_| packed::Fate::Put(row))
            .unwrap();
    }
    merge.close(&transaction).unwrap();
    vault.commit(transaction).unwrap();
    assert_eq!(vault.check(&Silent).unwrap().problems.len(), 2);
}

#[test]
fn compact_never_makes_the_file_larger() {
    use crate::crypto::{Credentials, KdfParams, Passphrase};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("v.tusk");
    let credentials = Credentials {
        passphrase: Some(Passphrase::new("a".to_owned())),
        key_file: None,
    };
    let now = |second| Timestamp::from_second(second).unwrap();
    drop(Vault::create(&path, &credentials, KdfParams::LEAST, &actor(), now(0)).unwrap());
    let mut second = 1;
    for round in 0..12_u8 {
        let open = || {
            let wait = std::time::Duration::ZERO;
            Vault::open(&path, &credentials, crate::storage::Access::Write, wait).unwrap()
        };
        let mut vault = open();
        for _ in 0..round % 4 {
            let mut snapshot = crate::model::Snapshot::of_client(source_key(0));
            for n in 0..round * 5 {
                snapshot.add(app(0), Some(account(n)), token((n, Some(0), 0, false)));
            }
            second += 1;
            vault.import(&snapshot, &context(second)).unwrap();
        }
        drop(vault);
        let before = std::fs::metadata(&path).unwrap().len();
        let expected = {
            let vault = open();
            vault.runs().unwrap()
        };
        let done = compact(open(), false, &actor(), now(second), &Silent).unwrap();
        drop(done);
        let after = std::fs::metadata(&path).unwrap().len();
        assert!(
            after <= before,
            "round {round}: {before} bytes became {after}"
        );
        let mut vault = open();
        assert_eq!(vault.runs().unwrap(), expected);
        assert_eq!(vault.check(&Silent).unwrap().problems, Vec::<String>::new());
    }
}
