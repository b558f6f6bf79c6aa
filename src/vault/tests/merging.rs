//! Vaults that come together, against what every run said.

use jiff::tz::TimeZone;

use super::{forgetting::left, *};
use crate::{
    model::Snapshot,
    vault::mark::{Mark, RunId},
};

/// A copy of a vault, as of its file.
pub(super) fn twin(vault: &Vault) -> Vault {
    let copy = self::vault();
    let transaction = copy.begin_write().unwrap();
    let reader = vault.reader().unwrap();
    let store = reader.store();
    let format = store.get(&[tag::FORMAT]).unwrap().unwrap();
    store::put(&transaction, &[tag::FORMAT], &format).unwrap();
    for entry in store.all(&[]) {
        let (key, value) = entry.unwrap();
        store::put(&transaction, &key, &value).unwrap();
    }
    transaction.commit().unwrap();
    let Opened::Write(database) = copy.database else {
        panic!()
    };
    opened(database)
}

pub(super) fn opened(database: Database) -> Vault {
    let mut vault = Vault {
        database: Opened::Write(database),
        file: None,
        keys: VaultKeys::new(&[0; 2 * KEY_BYTES]),
    };
    let format = vault.reader().unwrap().store().get(&[tag::FORMAT]);
    let format = format.unwrap().unwrap();
    vault.keys = VaultKeys::new(format[4..].first_chunk().unwrap());
    vault
}

fn memory() -> Database {
    let backend = InMemoryBackend::new();
    Database::builder().create_with_backend(backend).unwrap()
}

pub(super) fn merged(base: &Vault, others: &[&Vault]) -> Vault {
    let others: Vec<Other> = others
        .iter()
        .map(|vault| Other {
            name: "other".to_owned(),
            vault: twin(vault),
        })
        .collect();
    let database = memory();
    let now = Timestamp::from_second(2_000).unwrap();
    let told = base.would_merge(&others).unwrap();
    let done = base.merge_into(&others, &database, (&actor(), now), &Silent);
    assert_eq!(done.unwrap(), told);
    let mut vault = opened(database);
    let report = vault.check(&Silent).unwrap();
    assert_eq!(report.problems, Vec::<String>::new());
    vault
}

/// What a vault says, apart from numbers: for each source its runs, and all that was so at each.
type Contents = BTreeMap<SourceKey, Vec<(Moment, RunId, State)>>;

fn contents(vault: &Vault) -> Contents {
    let reader = vault.reader().unwrap();
    let mut contents = Contents::new();
    for source in vault.sources().unwrap() {
        let told = told(vault, &source).into_iter().map(|(run, state)| {
            let id = Mark::of(reader.store(), &run).unwrap().id;
            (Moment::from(run.effective_at), id, state)
        });
        contents.insert(source.key, told.collect());
    }
    contents
}

/// What every run said, by its mark.
type Said = BTreeMap<RunId, (Given, RunOutcome)>;

fn record_all(vault: &mut Vault, runs: &[Given], said: &mut Said) {
    for given in runs {
        let run = record(vault, given);
        let mark = Mark::of(vault.reader().unwrap().store(), &run).unwrap();
        said.insert(mark.id, (given.clone(), run.outcome));
    }
}

/// The states are what the runs said, told from the beginning in the order in which they lie.
fn agrees(contents: &Contents, said: &Said) {
    let mut runs = 0;
    for told in contents.values() {
        let mut state = State::default();
        for (at, id, found) in told {
            let (given, outcome) = &said[id];
            assert!(at.0 >= given.at * 1_000_000 && at.0 < given.at * 1_000_000 + 100);
            state.tell(given, *outcome == RunOutcome::Complete);
            assert_eq!(*found, state);
            runs += 1;
        }
    }
    assert_eq!(runs, said.len());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 50, ..ProptestConfig::default() })]

    #[test]
    fn vaults_that_come_together_hold_what_every_run_said(
        common in prop::collection::vec(given(), 0..3),
        apart in prop::collection::vec(prop::collection::vec(given(), 0..4), 3),
        are_copies in any::<bool>(),
    ) {
        let mut said = Said::new();
        let mut base = vault();
        record_all(&mut base, &common, &mut said);
        let mut vaults: Vec<Vault> = (0..3).map(|n| if n == 0 || are_copies { twin(&base) } else { vault() }).collect();
        for (vault, runs) in vaults.iter_mut().zip(&apart) {
            record_all(vault, runs, &mut said);
        }
        let [a, b, c] = &vaults[..] else { panic!() };
        let all = merged(a, &[b, c]);
        let expected = contents(&all);
        agrees(&expected, &said);
        // Commutative.
        prop_assert_eq!(&contents(&merged(c, &[a, b])), &expected);
        // Associative.
        prop_assert_eq!(&contents(&merged(&merged(a, &[b]), &[c])), &expected);
        prop_assert_eq!(&contents(&merged(a, &[&merged(c, &[b])])), &expected);
        // Idempotent.
        prop_assert_eq!(&contents(&merged(&all, &[b, &all])), &expected);
        prop_assert_eq!(contents(&merged(b, &[b])), contents(b));
        // And what is recorded next goes on from there.
        let mut next = all;
        let last = Given { source: 0, at: 5, scope: Some(1), ..common.first().or(apart[0].first()).cloned().unwrap_or_else(empty) };
        record_all(&mut next, &[last], &mut said);
        agrees(&contents(&next), &said);
    }
}

fn empty() -> Given {
    Given {
        source: 0,
        at: 0,
        scope: None,
        complete: true,
        accept_shrink: true,
        apps: BTreeMap::new(),
        accounts: BTreeMap::new(),
        tokens: BTreeMap::new(),
    }
}

#[test]
fn what_two_vaults_know_of_a_client_is_the_same_rows() {
    let snapshot = |tokens: std::ops::Range<u8>| {
        let mut snapshot = Snapshot::of_client(source_key(0));
        for n in tokens {
            snapshot.add(app(n % 2), Some(account(n)), token((n, Some(0), 0, false)));
        }
        snapshot
    };
    let (mut here, mut there) = (vault(), vault());
    here.import(&snapshot(1..4), &context(1)).unwrap();
    there.import(&snapshot(2..6), &context(2)).unwrap();
    let mut partial = snapshot(1..3);
    partial.completeness = Completeness::Partial;
    there.import(&partial, &context(3)).unwrap();
    let both = merged(&here, &[&there]);
    let all = Selector::all();
    let query = Query {
        selector: &all,
        at: Moment::MAX,
        all: true,
    };
    let mut names: Vec<_> = both
        .records_sorted(&query)
        .unwrap()
        .into_iter()
        .map(|record| (record.key().to_string(), record.sightings.len()))
        .collect();
    names.sort();
    let expected = (1..6).map(|n| (format!("User{n}@m.example/toot"), 1));
    assert_eq!(names, expected.collect::<Vec<_>>());
    let mut changes = both.run_changes(2).unwrap();
    changes.retain(|change| change.relation == Relation::Tokens);
    assert_eq!(changes.len(), 3, "one goes, two come");
}

#[test]
fn the_audit_logs_of_all_are_kept_once() {
    let (mut here, mut there) = (vault(), vault());
    record(&mut here, &empty());
    record(&mut there, &Given { at: 3, ..empty() });
    let event = AuditEvent::KeyAdded { slot: 3 };
    let at = Timestamp::from_second(77).unwrap();
    there.audit_append(&event, &actor(), at).unwrap();
    let once = merged(&here, &[&there]);
    let twice = merged(&merged(&once, &[&there]), &[&once]);
    for vault in [&once, &twice] {
        let log = vault.audit().unwrap();
        assert!(log.iter().all(|entry| entry.linked));
        let taken: Vec<_> = log
            .iter()
            .filter_map(|entry| match &entry.event {
                AuditEvent::FromMerged { linked, event, .. } => {
                    Some((entry.at, *linked, (**event).clone()))
                }
                _ => None,
            })
            .collect();
        let recorded = Timestamp::from_second(1_000).unwrap();
        let expected = [
            // The number that the run has here.
            (recorded, true, AuditEvent::Imported { run: 2 }),
            (at, true, event.clone()),
        ];
        assert_eq!(taken, expected);
    }
}

#[test]
fn what_a_hostile_vault_claims_of_its_runs_harms_no_other() {
    let (here, mut there) = (vault(), vault());
    for at in 1..=3 {
        record(&mut there, &Given { at, ..empty() });
    }
    let claim = |there: &Vault, asked_at: i64, order: u64| {
        let transaction = there.begin_write().unwrap();
        for run in 1..=2_u8 {
            let mark = codec::encode(&([run; 16], asked_at, order)).unwrap();
            let key = store::number_key(tag::MARKS, u64::from(run));
            store::put(&transaction, &key, &mark).unwrap();
        }
        there.commit(transaction).unwrap();
    };
    claim(&there, 7_000_000, u64::MAX);
    let mut both = merged(&here, &[&there]);
    assert_eq!(both.runs().unwrap().len(), 3);
    record(&mut both, &Given { at: 9, ..empty() });
    claim(&there, i64::MAX, 1);
    let others = [Other {
        name: "hostile".to_owned(),
        vault: there,
    }];
    assert!(matches!(
        here.would_merge(&others),
        Err(Error::Inconsistent { .. })
    ));
}

#[test]
fn an_event_taken_over_holds_no_other_such_event() {
    let event = |event| AuditEvent::FromMerged {
        link: [7; 32],
        linked: true,
        event: TakenOver::new(event),
    };
    let once = codec::encode(&event(AuditEvent::Compacted)).unwrap();
    let read = codec::decode::<AuditEvent>(&once, "an event").unwrap();
    assert_eq!(read, event(AuditEvent::Compacted));
    let twice = codec::encode(&event(event(AuditEvent::Compacted))).unwrap();
    assert!(codec::decode::<AuditEvent>(&twice, "an event").is_err());
}

#[test]
fn thousands_of_tiny_runs_come_together_and_are_thinned() {
    const RUNS: i64 = 1_000;
    let mut vaults = [vault(), vault()];
    for at in 0..RUNS {
        for (which, vault) in (0..).zip(&mut vaults) {
            // Each sees one token come and go, always another; half of the runs are true at the same moment.
            let key = u8::try_from(at % 40).unwrap();
            let tokens = BTreeMap::from([(key, (3 + which, None, 0, at % 80 < 40))]);
            let at = at + at % 2 * i64::from(which);
            let given = Given { tokens, ..empty() };
            record_as(vault, &given, None, Timestamp::from_second(at).unwrap());
        }
    }
    let [here, there] = &vaults;
    let both = merged(here, &[there]);
    let told = told(&both, &both.sources().unwrap()[0]);
    assert_eq!(told.len(), 2 * usize::try_from(RUNS).unwrap());
    assert!(told.iter().all(|(_, state)| state.tokens.len() == 1));
    assert!(contents(&merged(there, &[here])) == contents(&both));

    let retention = Retention {
        last: Some(10),
        ..Retention::default()
    };
    let plan = both
        .plan_forgetting(&retention, false, (Timestamp::MAX, &TimeZone::UTC))
        .unwrap();
    let left = left(
        &both,
        &Forgotten {
            runs: plan.going(),
            ..Forgotten::default()
        },
    );
    let kept = super::told(&left, &left.sources().unwrap()[0]);
    // The newest ones, and the last that hold each token.
    assert!((10..=100).contains(&kept.len()), "{}", kept.len());
    for (run, state) in kept {
        let (_, before) = told.iter().find(|(known, _)| known.id == run.id).unwrap();
        assert!(state == *before);
    }
}
