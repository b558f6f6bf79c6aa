//! The contents of a vault written anew, from what its runs say.

use std::collections::HashSet;

use jiff::Timestamp;
use redb::{Database, WriteTransaction};

use crate::{
    model::{Actor, Relation, Run, Source, SourceId, TokenId},
    progress::Progress,
};

use super::{
    AuditEvent, Error, VaultKeys, audit,
    bodies::{AccountBody, AppBody, TokenBody},
    facts::Seen,
    fold::{LeftOut, Side, Telling, each_row, told},
    ids::TokenIds,
    index::{self, ByAccount, ByDigest, ByName, Touched, insert},
    mark::Mark,
    packed::{Fate, Merge, Row, Space},
    rows::{Body, first, later},
    run,
    store::{self, Store, TABLE, tag},
    story::{self, Story, encoded},
    verified,
};

/// A source of the new contents.
pub(super) struct NewSource<'v> {
    pub(super) source: Source,
    /// Where its rows come from.
    pub(super) sides: Vec<Side<'v>>,
    /// In time order.
    pub(super) runs: Vec<NewRun>,
}

/// A run of the new contents.
pub(super) struct NewRun {
    pub(super) run: Run,
    pub(super) mark: Mark,
    pub(super) telling: Telling,
}

/// What is left out, in every source.
#[derive(Debug, Default)]
pub(super) struct Erased {
    pub(super) tokens: HashSet<TokenId>,
    pub(super) apps: HashSet<(SourceId, u64)>,
    pub(super) accounts: HashSet<(SourceId, u64)>,
}

/// What is added beside the sources.
#[derive(Default)]
pub(super) struct Beside {
    /// Answers of instances, about tokens by their ids in the new contents.
    pub(super) answers: Vec<verified::Row>,
    /// Entries of the audit log.
    pub(super) entries: Vec<(Timestamp, Actor, AuditEvent)>,
}

/// Writes into an empty database: keys, audit log, answers of instances and bookmarks as `base` has them, and these
/// sources.
pub(super) fn write(
    database: &Database,
    (base, keys): (Store<'_>, &VaultKeys),
    sources: Vec<NewSource<'_>>,
    erased: &Erased,
    beside: Beside,
    progress: &dyn Progress,
) -> Result<(), Error> {
    let mut transaction = database.begin_write()?;
    transaction.set_two_phase_commit(true);
    transaction.set_quick_repair(true);
    transaction.open_table(TABLE)?;
    // Where a bookmark was left, what was left out would be taken as known.
    let bookmarks = erased.tokens.is_empty().then_some(tag::BOOKMARKS);
    for kept in [tag::FORMAT, tag::AUDIT].into_iter().chain(bookmarks) {
        if let Some(value) = base.get(&[kept])? {
            store::put(&transaction, &[kept], &value)?;
        }
        for entry in base.all(&[kept]) {
            let (key, value) = entry?;
            store::put(&transaction, &key, &value)?;
        }
    }
    let mut contents = Contents {
        transaction: &transaction,
        ids: TokenIds::new(&keys.digest),
        names: Vec::new(),
        digests: Vec::new(),
        rows: 0,
        progress,
    };
    for source in sources {
        contents.source(source, erased)?;
    }
    insert(&transaction, index::by_name(), &mut contents.names)?;
    insert(&transaction, index::by_digest(), &mut contents.digests)?;
    verified::take_over(&transaction, base, |id| !erased.tokens.contains(&id))?;
    verified::add(&transaction, beside.answers)?;
    for (at, actor, event) in beside.entries {
        audit::append(&transaction, &keys.audit, &event, &actor, at)?;
    }
    transaction.commit()?;
    Ok(())
}

struct Contents<'t> {
    transaction: &'t WriteTransaction,
    ids: TokenIds<'t>,
    names: Vec<ByName>,
    digests: Vec<ByDigest>,
    /// So many were written.
    rows: u64,
    progress: &'t dyn Progress,
}

impl Contents<'_> {
    fn source(&mut self, new: NewSource<'_>, erased: &Erased) -> Result<(), Error> {
        let NewSource {
            source,
            sides,
            runs,
        } = new;
        run::put_source(self.transaction, &source)?;
        let (mut tellings, mut kept) = (Vec::new(), Vec::new());
        for NewRun { run, mark, telling } in runs {
            run::put(self.transaction, &run)?;
            mark.keep(self.transaction, run.id)?;
            tellings.push(telling);
            kept.push(Trace::default());
        }
        let (id, tellings) = (source.id, &mut tellings);
        let apps = |key: u64, _: &AppBody| erased.apps.contains(&(id, key));
        self.relation(
            id,
            &sides,
            (tellings, &mut kept),
            &apps,
            |_, _, _, _| Ok(()),
        )?;
        let accounts = |key: u64, _: &AccountBody| erased.accounts.contains(&(id, key));
        self.relation(id, &sides, (tellings, &mut kept), &accounts, index_account)?;
        let ids = TokenIds::new(self.ids.key());
        let tokens = |_: u64, body: &TokenBody| {
            !erased.tokens.is_empty()
                && body
                    .model()
                    .is_some_and(|token| erased.tokens.contains(&ids.of(&token)))
        };
        let mut by_account = Vec::new();
        self.relation(
            id,
            &sides,
            (tellings, &mut kept),
            &tokens,
            |contents: &mut Self, _, key, story: &Story<TokenBody>| {
                contents.index_token(id, key, story, &mut by_account)
            },
        )?;
        insert(self.transaction, index::by_account(id), &mut by_account)?;
        for (run, trace) in tellings.iter().zip(kept) {
            trace.keep(self.transaction, run.number)?;
        }
        Ok(())
    }

    /// Writes a relation; `each` is shown the stories that are written.
    fn relation<B: Body>(
        &mut self,
        source: SourceId,
        sides: &[Side<'_>],
        (runs, traces): (&mut [Telling], &mut [Trace]),
        left_out: LeftOut<'_, B>,
        mut each: impl FnMut(&mut Self, (SourceId, &mut [Telling]), u64, &Story<B>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut firsts = Merge::new(first::<B>(source));
        let mut laters = Merge::new(later::<B>(source));
        let mut number = 0;
        each_row::<B>(sides, left_out, |key, stories| {
            let new = told(key, stories, runs);
            let (Some(first), rest) = encoded(key, &new) else {
                return Ok(());
            };
            firsts.at(self.transaction, &key, &mut |_| Fate::Keep, |_| {
                Fate::Put(first)
            })?;
            for row in rest {
                let at = (key, row.since);
                laters.at(self.transaction, &at, &mut |_| Fate::Keep, |_| {
                    Fate::Put(row)
                })?;
            }
            for step in &new {
                let run = runs.binary_search_by_key(&step.since, |run| run.at);
                if let Some(trace) = run.ok().and_then(|run| traces.get_mut(run)) {
                    trace.touch(B::RELATION, key, number);
                }
            }
            for (run, trace) in runs.iter().zip(&mut *traces) {
                if run.keeps_sight_of::<B>(key) && story::at(&new, run.at).is_some() {
                    trace.seen.add(B::RELATION, key);
                }
            }
            number += 1;
            self.rows += 1;
            if self.rows.is_multiple_of(10_000) {
                self.progress.at(self.rows);
            }
            each(self, (source, runs), key, &new)
        })?;
        firsts.close(self.transaction)?;
        laters.close(self.transaction)
    }

    fn index_token(
        &mut self,
        source: SourceId,
        row: u64,
        story: &Story<TokenBody>,
        by_account: &mut Vec<ByAccount>,
    ) -> Result<(), Error> {
        let mut last = None;
        for body in story.iter().filter_map(|step| step.body.as_ref()) {
            by_account.extend(body.account.map(|account| ByAccount { account, row }));
            if last.replace(&body.token) == Some(&body.token) {
                continue;
            }
            let token = body.model().ok_or(Error::Inconsistent {
                what: TokenBody::WHAT,
            })?;
            self.digests.push(ByDigest {
                digest: self.ids.of(&token).index_digest(),
                source: source.0,
                row,
            });
        }
        flush(
            self.transaction,
            index::by_account(source),
            by_account,
            index::BATCH,
        )?;
        flush(
            self.transaction,
            index::by_digest(),
            &mut self.digests,
            index::BATCH,
        )
    }
}

/// An account's names, and whose rows the runs of one user are about.
fn index_account(
    contents: &mut Contents<'_>,
    (source, runs): (SourceId, &mut [Telling]),
    row: u64,
    story: &Story<AccountBody>,
) -> Result<(), Error> {
    for run in runs {
        let at = run.at;
        if let Some(scope) = &mut run.ends {
            scope.judge(row, story, at);
        }
    }
    for body in story.iter().filter_map(|step| step.body.as_ref()) {
        let account = body.model().ok_or(Error::Inconsistent {
            what: AccountBody::WHAT,
        })?;
        if let Some(name) = &account.username {
            contents
                .names
                .push(ByName::new(name, &account.instance, source, row));
        }
    }
    flush(
        contents.transaction,
        index::by_name(),
        &mut contents.names,
        index::NAME_BATCH,
    )
}

/// Writes the entries of an index once they are many.
fn flush<R: Row<Key = R> + Ord>(
    transaction: &WriteTransaction,
    space: Space<R>,
    entries: &mut Vec<R>,
    batch: usize,
) -> Result<(), Error> {
    if entries.len() < batch {
        return Ok(());
    }
    insert(transaction, space, entries)
}

/// What is kept of a run beside its head.
#[derive(Default)]
struct Trace {
    touched: Vec<Touched>,
    /// Where the row touched last stands among its relation's.
    last: u64,
    seen: Seen,
}

impl Trace {
    fn touch(&mut self, relation: Relation, row: u64, number: u64) {
        match self.touched.last_mut() {
            Some(touched) if touched.relation == relation && self.last + 1 == number => {
                touched.last = row;
            }
            _ => self.touched.push(Touched {
                relation,
                first: row,
                last: row,
            }),
        }
        self.last = number;
    }

    fn keep(self, transaction: &WriteTransaction, run: u64) -> Result<(), Error> {
        let mut merge = Merge::new(index::touched(run));
        for touched in self.touched {
            merge.at(transaction, &touched.key(), &mut |_| Fate::Keep, |_| {
                Fate::Put(touched)
            })?;
        }
        merge.close(transaction)?;
        self.seen.keep(transaction, run)
    }
}
