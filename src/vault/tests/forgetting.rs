//! What goes for good, and what must not.

use jiff::tz::TimeZone;

use super::{merging::opened, *};

pub(super) fn left(vault: &Vault, forgotten: &Forgotten) -> Vault {
    let backend = InMemoryBackend::new();
    let database = Database::builder().create_with_backend(backend).unwrap();
    let now = Timestamp::from_second(3_000).unwrap();
    vault
        .forget_into(forgotten, &database, (&actor(), now), &Silent)
        .unwrap();
    let mut left = opened(database);
    let report = left.check(&Silent).unwrap();
    assert_eq!(report.problems, Vec::<String>::new());
    left
}

fn texts(vault: &Vault) -> BTreeSet<String> {
    let all = Selector::all();
    let query = Query {
        selector: &all,
        at: Moment::MAX,
        all: true,
    };
    let records = vault.records_sorted(&query).unwrap();
    let texts = records.iter().map(|record| record.access_token.expose());
    texts.map(str::to_owned).collect()
}

/// The states at the runs of a source that are left.
fn states(vault: &Vault, source: u8) -> Vec<(u64, State)> {
    let sources = vault.sources().unwrap();
    let found = sources.iter().find(|known| known.key == source_key(source));
    let told = found.map(|source| told(vault, source)).unwrap_or_default();
    told.into_iter()
        .map(|(run, state)| (run.id, state))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn what_is_left_is_what_the_runs_that_stay_said(
        runs in prop::collection::vec((given(), any::<bool>()), 1..9),
    ) {
        let mut vault = vault();
        let mut said: BTreeMap<u64, (Given, RunOutcome)> = BTreeMap::new();
        let mut forgotten = Forgotten::default();
        for (given, goes) in &runs {
            let run = record(&mut vault, given);
            said.insert(run.id, (given.clone(), run.outcome));
            forgotten.runs.extend(goes.then_some(run.id));
        }
        let left = left(&vault, &forgotten);
        let mut count = 0;
        for source in 0..2 {
            let mut expected = State::default();
            for (run, state) in states(&left, source) {
                let (given, outcome) = &said[&run];
                expected.tell(given, *outcome == RunOutcome::Complete);
                prop_assert_eq!(&state, &expected);
                count += 1;
            }
        }
        prop_assert_eq!(count, runs.len() - forgotten.runs.len());
    }

    #[test]
    fn thinning_loses_no_token_unless_it_is_told_to(
        runs in prop::collection::vec((given(), 0i64..40), 1..12),
        (last, daily, weekly) in (0u32..3, 0u32..3, 0u32..3),
    ) {
        let mut vault = vault();
        let mut now = 0;
        for (given, hours) in &runs {
            // Clocks are set back, too.
            now += (hours - 8) * 3_600;
            record_as(&mut vault, given, None, Timestamp::from_second(now).unwrap());
        }
        let retention = Retention { last: Some(last), daily: Some(daily), weekly: Some(weekly), ..Retention::default() };
        let all = texts(&vault);
        let plan = |even_last| vault.plan_forgetting(&retention, even_last, (Timestamp::MAX, &TimeZone::UTC)).unwrap();
        let safe = Forgotten { runs: plan(false).going(), ..Forgotten::default() };
        prop_assert_eq!(plan(false).lost_tokens, 0);
        prop_assert_eq!(texts(&left(&vault, &safe)), all.clone());
        let plan = plan(true);
        let thin = Forgotten { runs: plan.going(), ..Forgotten::default() };
        prop_assert!(thin.runs.is_superset(&safe.runs));
        let thin = left(&vault, &thin);
        let still = texts(&thin);
        prop_assert!(still.is_subset(&all));
        prop_assert_eq!(plan.lost_tokens == 0, still == all && states_hold_all(&vault, &thin));
        // The newest of each source stays, and no number is given twice.
        for source in 0..2 {
            let newest = |vault: &Vault| states(vault, source).last().map(|(run, _)| *run);
            prop_assert_eq!(newest(&thin), newest(&vault));
        }
        let mut thin = thin;
        let next = record(&mut thin, &runs[0].0);
        prop_assert_eq!(next.id, runs.len() as u64 + 1);
    }

    #[test]
    fn an_erased_token_was_never_there(
        runs in prop::collection::vec(given(), 1..7),
        erased in prop::collection::btree_set(0u8..5, 1..3),
    ) {
        let mut vault = vault();
        for given in &runs {
            record(&mut vault, given);
        }
        let secrets: BTreeSet<String> = erased.iter().map(|n| token((*n, None, 0, false)).access_token.expose().to_owned()).collect();
        let tokens = secrets.iter().map(|secret| vault.token_id(&domain(), secret));
        let forgotten = Forgotten { tokens: tokens.collect(), ..Forgotten::default() };
        let left = left(&vault, &forgotten);
        prop_assert_eq!(texts(&left), &texts(&vault) - &secrets);
        for source in 0..2 {
            for ((run, mut before), (same, after)) in states(&vault, source).into_iter().zip(states(&left, source)) {
                prop_assert_eq!(run, same);
                before.tokens.retain(|_, token| !secrets.contains(token.access_token.expose()));
                prop_assert_eq!(&after.tokens, &before.tokens);
                // Whatever a token that stays refers to stays.
                for token in after.tokens.values() {
                    for app in token.app.iter().filter(|app| before.apps.contains_key(app)) {
                        prop_assert!(after.apps.contains_key(app));
                    }
                    for account in token.account.iter().filter(|row| before.accounts.contains_key(row)) {
                        prop_assert!(after.accounts.contains_key(account));
                    }
                }
            }
        }
    }
}

/// Whether every token of every source is among those that the other vault ever saw there: a record is joined over
/// sources, but runs are counted in each.
fn states_hold_all(vault: &Vault, other: &Vault) -> bool {
    let held = |vault: &Vault, source| -> BTreeSet<(u64, String)> {
        let states = states(vault, source).into_iter();
        let tokens = states.flat_map(|(_, state)| state.tokens);
        tokens
            .map(|(key, token)| (key, token.access_token.expose().to_owned()))
            .collect()
    };
    (0..2).all(|source| held(other, source) == held(vault, source))
}

fn nothing() -> Given {
    Given {
        source: 0,
        at: 0,
        scope: None,
        complete: true,
        accept_shrink: true,
        apps: BTreeMap::new(),
        accounts: BTreeMap::new(),
        tokens: BTreeMap::from([(1, (1, None, 0, false))]),
    }
}

/// Numbers of the runs that stay, with the reasons.
fn kept(vault: &Vault, retention: &Retention) -> BTreeMap<u64, Vec<Reason>> {
    let zone = TimeZone::get("Europe/Berlin").unwrap();
    let plan = vault
        .plan_forgetting(retention, false, (Timestamp::MAX, &zone))
        .unwrap();
    let stay = plan.runs.into_iter().filter(|run| !run.reasons.is_empty());
    stay.map(|run| (run.run.id, run.reasons)).collect()
}

#[test]
fn a_run_of_each_day_week_month_and_year_stays() {
    let mut vault = vault();
    let mut live = |at: &str| record_as(&mut vault, &nothing(), None, at.parse().unwrap()).id;
    let old = live("2024-12-30T12:00:00Z");
    live("2026-01-01T10:00:00Z");
    // In Berlin, this is the second of January.
    let late = live("2026-01-01T23:30:00Z");
    live("2026-02-10T10:00:00Z");
    let week = live("2026-02-15T10:00:00Z");
    live("2026-02-16T08:00:00Z");
    let newest = live("2026-02-16T09:00:00Z");
    let rule = |set: &dyn Fn(&mut Retention)| {
        let mut retention = Retention::default();
        set(&mut retention);
        kept(&vault, &retention).into_keys().collect::<Vec<_>>()
    };
    assert_eq!(rule(&|it| it.last = Some(2)), [newest - 1, newest]);
    assert_eq!(rule(&|it| it.daily = Some(3)), [week - 1, week, newest]);
    assert_eq!(
        rule(&|it| it.daily = Some(4)),
        [late, week - 1, week, newest]
    );
    assert_eq!(
        rule(&|it| it.daily = Some(5)),
        [late - 1, late, week - 1, week, newest]
    );
    assert_eq!(rule(&|it| it.weekly = Some(3)), [late, week, newest]);
    assert_eq!(rule(&|it| it.monthly = Some(2)), [late, newest]);
    // ISO week 1 of 2025 begins on 30 December 2024; the year is 2024 still.
    assert_eq!(rule(&|it| it.yearly = Some(5)), [old, newest]);
    assert_eq!(rule(&|_| {}), [newest]);
}

#[test]
fn a_run_that_is_dated_back_displaces_no_other() {
    let mut vault = vault();
    let day = |day: i64| Timestamp::from_second(day * 86_400 + 40_000).unwrap();
    for at in 1..=3 {
        record_as(&mut vault, &nothing(), None, day(at));
    }
    for at in [1, 2] {
        record_as(&mut vault, &nothing(), Some(day(at - 40)), day(3));
    }
    let retention = Retention {
        last: Some(2),
        ..Retention::default()
    };
    let kept = kept(&vault, &retention);
    assert_eq!(kept.keys().copied().collect::<Vec<_>>(), [2, 3, 4, 5]);
    assert_eq!(kept[&2], [Reason::Last]);
    assert_eq!(kept[&3], [Reason::Last, Reason::Newest]);
    assert_eq!(kept[&4], [Reason::DatedBack]);
    assert_eq!(kept[&5], [Reason::Newest, Reason::DatedBack]);
}

#[test]
fn the_only_run_that_holds_a_token_stays() {
    let mut vault = vault();
    let day = |day: i64| Timestamp::from_second(day * 86_400).unwrap();
    let mut short = nothing();
    short.tokens.insert(7, (3, None, 0, false));
    for (at, given) in [
        (1, &nothing()),
        (2, &short),
        (3, &short),
        (4, &nothing()),
        (5, &nothing()),
    ] {
        record_as(&mut vault, given, None, day(at));
    }
    let partial = Given {
        complete: false,
        ..nothing()
    };
    record_as(&mut vault, &partial, None, day(6));
    let retention = Retention {
        last: Some(1),
        ..Retention::default()
    };
    let kept = kept(&vault, &retention);
    assert_eq!(kept.keys().copied().collect::<Vec<_>>(), [3, 5, 6]);
    assert_eq!(kept[&3], [Reason::Holds { tokens: 1, apps: 0 }]);
    assert_eq!(kept[&6], [Reason::Newest, Reason::NotFollowed]);
    let plan = vault
        .plan_forgetting(&retention, true, (Timestamp::MAX, &TimeZone::UTC))
        .unwrap();
    assert_eq!((plan.going().len(), plan.lost_tokens), (4, 1));
}

#[test]
fn a_run_is_kept_for_all_that_it_alone_holds() {
    let mut vault = vault();
    let three = Given {
        tokens: (1..=3).map(|key| (key, (key, None, 0, false))).collect(),
        ..nothing()
    };
    let one = record_as(
        &mut vault,
        &three,
        None,
        "2026-01-01T10:00:00Z".parse().unwrap(),
    )
    .id;
    record_as(
        &mut vault,
        &nothing(),
        None,
        "2026-01-02T10:00:00Z".parse().unwrap(),
    );
    let retention = Retention {
        last: Some(1),
        ..Retention::default()
    };
    assert_eq!(
        kept(&vault, &retention)[&one],
        [Reason::Holds { tokens: 2, apps: 0 }]
    );
}

#[test]
fn a_clock_that_was_ahead_rules_nothing() {
    let mut vault = vault();
    let mut live = |at: &str| record_as(&mut vault, &nothing(), None, at.parse().unwrap()).id;
    let first = live("2026-01-01T10:00:00Z");
    let ahead = live("2036-01-01T10:00:00Z");
    let third = live("2026-01-02T10:00:00Z");
    let last = live("2026-01-03T10:00:00Z");
    let retention = Retention {
        last: Some(2),
        ..Retention::default()
    };
    let plan = |now: &str| {
        let now = now.parse().unwrap();
        let plan = vault.plan_forgetting(&retention, false, (now, &TimeZone::UTC));
        plan.unwrap()
    };
    let then = plan("2026-01-03T10:00:00Z");
    assert_eq!(then.going(), BTreeSet::from([first]));
    let planned = then.runs.iter().find(|planned| planned.run.id == ahead);
    assert_eq!(planned.unwrap().reasons, [Reason::Ahead]);
    // Once its time has come, it is a run like any other.
    let later = plan("2036-01-02T10:00:00Z");
    assert_eq!(later.going(), BTreeSet::from([first, third]));
    assert!(!later.going().contains(&last));
}

#[test]
fn nothing_of_an_erased_token_is_in_the_file() {
    use crate::crypto::{Credentials, KdfParams, Passphrase};
    use redb::StorageBackend;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("v.tusk");
    let credentials = Credentials {
        passphrase: Some(Passphrase::new("a".to_owned())),
        key_file: None,
    };
    let now = Timestamp::from_second(5).unwrap();
    let mut vault = Vault::create(&path, &credentials, KdfParams::LEAST, &actor(), now).unwrap();
    let mut snapshot = crate::model::Snapshot::of_client(source_key(0));
    for n in 10..60 {
        snapshot.add(app(n), Some(account(n)), token((n, Some(0), 0, false)));
    }
    vault.import(&snapshot, &context(5)).unwrap();
    let pages = |vault: &Vault| {
        let file = vault.file().unwrap();
        let blocks = (0..file.len().unwrap()).step_by(4_096);
        // Some were never written.
        let read = blocks.filter_map(|at| {
            let mut block = [0; 4_096];
            file.read(at, &mut block).ok().map(|()| block)
        });
        String::from_utf8_lossy(&read.collect::<Vec<_>>().concat()).into_owned()
    };
    let traces = ["token 33", "User33", "id-33"];
    let before = pages(&vault);
    assert!(traces.iter().all(|trace| before.contains(trace)));
    let tokens = HashSet::from([vault.token_id(&domain(), "token 33")]);
    let forgotten = Forgotten {
        tokens,
        ..Forgotten::default()
    };
    drop(vault);
    let open = || {
        let wait = std::time::Duration::ZERO;
        Vault::open(&path, &credentials, crate::storage::Access::Write, wait).unwrap()
    };
    // What an earlier rewrite kept goes as well.
    drop(compact(open(), true, &actor(), now, &Silent).unwrap());
    let done = forget(open(), &forgotten, false, (&actor(), now), &Silent).unwrap();
    assert_eq!(done.previous, None);
    drop(done);
    let names = std::fs::read_dir(folder.path()).unwrap();
    assert_eq!(names.count(), 1, "the vault, and no former file of it");
    let after = pages(&open());
    for trace in traces {
        assert!(!after.contains(trace), "{trace}");
    }
    assert!(after.contains("token 34") && after.contains("User34") && after.contains("id-34"));
}

#[test]
fn an_app_whose_secret_no_other_run_holds_is_not_lost_unasked() {
    let mut vault = vault();
    let day = |day: i64| Timestamp::from_second(day * 86_400).unwrap();
    let with = Given {
        apps: BTreeMap::from([(1, 0)]),
        ..nothing()
    };
    for (at, given) in [(1, &with), (2, &nothing()), (3, &nothing())] {
        record_as(&mut vault, given, None, day(at));
    }
    let retention = Retention {
        last: Some(1),
        ..Retention::default()
    };
    let kept = kept(&vault, &retention);
    assert_eq!(kept.keys().copied().collect::<Vec<_>>(), [1, 3]);
    assert_eq!(kept[&1], [Reason::Holds { tokens: 0, apps: 1 }]);
    let plan = vault
        .plan_forgetting(&retention, true, (Timestamp::MAX, &TimeZone::UTC))
        .unwrap();
    assert_eq!((plan.going().len(), plan.lost_apps), (2, 1));
}
