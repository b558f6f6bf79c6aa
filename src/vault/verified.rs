//! What instances answered when they were asked whether a token works: observations beside the runs.
//!
//! They are rows of their own, by token and time. They begin and end no version of what a source holds; a question at a
//! moment takes into account those up to it, and fills with them what no source says.

use std::{
    collections::{BTreeSet, HashSet},
    sync::Arc,
};

use bincode::{Decode, Encode};
use jiff::Timestamp;
use redb::WriteTransaction;

use crate::model::{
    Actor, Moment, Scopes, TokenId, Verdict, Verification, VerifiedAccount, VerifiedApp,
};

use super::{
    AuditEvent, Error, Vault, audit,
    codec::{self, Columnar, Reader, Symbol, Writer},
    index::{self, ByDigest, folded},
    packed::{self, Fate, Merge, Space},
    store::{Store, tag},
};

/// An answer as it stands in a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) id: TokenId,
    /// Microseconds since 1970-01-01 UTC.
    pub(super) at: i64,
    /// An [`Answer`], encoded: most tokens get the same.
    answer: Symbol,
    /// Id and user name of the account, encoded; empty = the instance did not say.
    account: Symbol,
}

/// From a user name in lower case, as an answer told it, to the token.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct ByUser {
    name: Arc<str>,
    id: TokenId,
}

/// What is known from asking about a token, up to a moment.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    /// The last answer.
    pub(super) last: Option<Verification>,
    /// The account that the last answer with one told.
    pub(super) account: Option<VerifiedAccount>,
    /// The app that the last answer with one told.
    pub(super) app: Option<VerifiedApp>,
}

#[derive(Encode, Decode)]
struct Answer {
    /// As in JSON.
    verdict: String,
    words: Option<String>,
    app: Option<AnswerApp>,
}

#[derive(Encode, Decode)]
struct AnswerApp {
    id: Option<String>,
    name: Option<String>,
    website: Option<String>,
    scopes: Option<String>,
    redirect_uris: Vec<String>,
}

impl Row {
    pub(super) fn new(id: TokenId, verification: &Verification) -> Result<Self, Error> {
        let Verification {
            at,
            verdict,
            words,
            account,
            app,
        } = bounded(verification);
        let answer = codec::encode(&Answer {
            verdict: verdict.as_str().to_owned(),
            words,
            app: app.map(|app| AnswerApp {
                id: app.id,
                name: app.name,
                website: app.website,
                scopes: app.scopes.map(|scopes| scopes.as_str().to_owned()),
                redirect_uris: app.redirect_uris,
            }),
        })?;
        let account = match account {
            Some(account) => codec::encode(&(account.id, account.username))?,
            None => Vec::new(),
        };
        Ok(Self {
            id,
            at: Moment::from(at).0,
            answer: answer.into(),
            account: account.into(),
        })
    }

    pub(super) fn verification(&self) -> Result<Verification, Error> {
        let what = <Self as packed::Row>::WHAT;
        let answer: Answer = codec::decode(&self.answer, what)?;
        let account = match &*self.account {
            [] => None,
            bytes => {
                let (id, username) = codec::decode::<(String, String)>(bytes, what)?;
                Some(VerifiedAccount { id, username })
            }
        };
        Ok(Verification {
            at: Moment(self.at).timestamp(),
            verdict: Verdict::named(&answer.verdict).ok_or(Error::Inconsistent { what })?,
            words: answer.words,
            account,
            app: answer.app.map(|app| VerifiedApp {
                id: app.id,
                name: app.name,
                website: app.website,
                scopes: app.scopes.as_deref().map(Scopes::parse),
                redirect_uris: app.redirect_uris,
            }),
        })
    }

    /// The entry of the index by user name that leads to it.
    pub(super) fn by_user(&self) -> Result<Option<ByUser>, Error> {
        let account = self.verification()?.account;
        Ok(account.map(|account| ByUser {
            name: folded(&account.username),
            id: self.id,
        }))
    }

    /// The same answer about a token that has another id in another vault.
    pub(super) fn about(self, id: TokenId) -> Self {
        Self { id, ..self }
    }
}

impl Vault {
    /// Keeps answers of instances and notes in the audit log that they were asked, in one transaction.
    ///
    /// # Errors
    /// [`Error::ReadOnly`], or when the vault can't be written.
    pub fn record_verifications(
        &mut self,
        answers: &[(TokenId, Verification)],
        event: &AuditEvent,
        (actor, now): (&Actor, Timestamp),
    ) -> Result<(), Error> {
        let rows = answers.iter().map(|(id, answer)| Row::new(*id, answer));
        let rows = rows.collect::<Result<Vec<_>, _>>()?;
        let transaction = self.begin_write()?;
        add(&transaction, rows)?;
        audit::append(&transaction, &self.keys.audit, event, actor, now)?;
        self.commit(transaction)
    }

    /// The tokens that instances were ever asked about.
    ///
    /// # Errors
    /// [`Error`] when the vault can't be read.
    pub fn verified(&self) -> Result<HashSet<TokenId>, Error> {
        ids(self.reader()?.store())
    }

    /// Every answer about a token up to a moment, in time order.
    ///
    /// # Errors
    /// [`Error`] when the vault can't be read.
    pub fn verifications(&self, id: TokenId, at: Moment) -> Result<Vec<Verification>, Error> {
        of_token(self.reader()?.store(), id, at)
    }
}

/// The answer as it is kept: whoever said it, it takes no more room than it may.
fn bounded(verification: &Verification) -> Verification {
    let fits = |text: &String| text.chars().nth(Verification::MAX_TEXT).is_none();
    let mut kept = verification.clone();
    kept.words = kept
        .words
        .map(|words| words.chars().take(Verification::MAX_TEXT).collect());
    // Half a name would be another one.
    kept.account = kept
        .account
        .filter(|account| fits(&account.id) && fits(&account.username));
    if let Some(app) = &mut kept.app {
        for text in [&mut app.id, &mut app.name, &mut app.website] {
            *text = text.take().filter(fits);
        }
        app.scopes = app
            .scopes
            .take()
            .filter(|scopes| scopes.as_str().len() <= Verification::MAX_TEXT);
        app.redirect_uris.retain(fits);
        app.redirect_uris.truncate(Verification::MAX_ITEMS);
    }
    kept
}

/// All answers.
pub(super) fn space() -> Space<Row> {
    Space::new(vec![tag::VERIFIED])
}

pub(super) fn by_user() -> Space<ByUser> {
    Space::new(vec![tag::VERIFIED_BY_USER])
}

/// Every answer about a token up to a moment, in time order.
pub(super) fn of_token(
    store: Store<'_>,
    id: TokenId,
    at: Moment,
) -> Result<Vec<Verification>, Error> {
    let mut answers = Vec::new();
    for row in space().scan_from(store, &(id, i64::MIN))? {
        let row = row?;
        if row.id != id || row.at > at.0 {
            break;
        }
        answers.push(row.verification()?);
    }
    Ok(answers)
}

/// Whether there is an answer about the same token at the same time.
pub(super) fn holds(store: Store<'_>, row: &Row) -> Result<bool, Error> {
    Ok(space().get(store, &(row.id, row.at))?.is_some())
}

/// What is known from asking about a token.
pub(super) fn known(store: Store<'_>, id: TokenId, at: Moment) -> Result<Known, Error> {
    let mut known = Known::default();
    for answer in of_token(store, id, at)? {
        // Somebody else's account says nothing about whose the record's token is, and so with apps.
        if answer.verdict.is_good() {
            known.account = answer.account.clone().or(known.account);
            known.app = answer.app.clone().or(known.app);
        }
        known.last = Some(answer);
    }
    Ok(known)
}

/// The tokens that an instance was ever asked about. Goes from token to token: there may be many answers about each.
pub(super) fn ids(store: Store<'_>) -> Result<HashSet<TokenId>, Error> {
    let mut ids = HashSet::new();
    let mut next = space().scan(store).next().transpose()?;
    while let Some(row) = next {
        ids.insert(row.id);
        next = space()
            .scan_from(store, &(row.id, i64::MAX))?
            .find(|later| later.as_ref().map_or(true, |later| later.id != row.id))
            .transpose()?;
    }
    Ok(ids)
}

/// The tokens that some answer told to be this user's, at whatever instance.
pub(super) fn ids_of_user(store: Store<'_>, name: &str) -> Result<BTreeSet<TokenId>, Error> {
    let name = folded(name);
    let from = ByUser {
        name: name.clone(),
        id: TokenId([0; 16]),
    };
    let mut ids = BTreeSet::new();
    for entry in by_user().scan_from(store, &from)? {
        let entry = entry?;
        if entry.name != name {
            break;
        }
        ids.insert(entry.id);
    }
    Ok(ids)
}

/// Adds answers about tokens that are here. Two about one token at one moment: which of them stays does not depend on which was first.
pub(super) fn add(transaction: &WriteTransaction, mut rows: Vec<Row>) -> Result<(), Error> {
    let rank = |row: &Row| (row.id, row.at, row.answer.clone(), row.account.clone());
    rows.sort_by_cached_key(rank);
    rows.dedup_by(|later, first| (later.id, later.at) == (first.id, first.at));
    let mut names = Vec::new();
    let mut merge = Merge::new(space());
    for row in rows {
        // It may have been forgotten since the instance was asked.
        if !is_known(Store::Write(transaction), row.id)? {
            continue;
        }
        names.extend(row.by_user()?);
        merge.jump(transaction, &(row.id, row.at), |known| match known {
            Some(known) if rank(known) <= rank(&row) => Fate::Keep,
            _ => Fate::Put(row),
        })?;
    }
    merge.close(transaction)?;
    index::insert(transaction, by_user(), &mut names)
}

/// Takes the answers of another database over, those of which `keeps` says so.
pub(super) fn take_over(
    transaction: &WriteTransaction,
    from: Store<'_>,
    keeps: impl Fn(TokenId) -> bool,
) -> Result<(), Error> {
    let mut batch = Vec::new();
    for row in space().scan(from) {
        let row = row?;
        batch.extend(keeps(row.id).then_some(row));
        if batch.len() >= BATCH {
            add(transaction, std::mem::take(&mut batch))?;
        }
    }
    add(transaction, batch)
}

/// Whether a token of this id stands in some row; 40 bits seldom meet by accident.
pub(super) fn is_known(store: Store<'_>, id: TokenId) -> Result<bool, Error> {
    let from = ByDigest {
        digest: id.index_digest(),
        source: 0,
        row: 0,
    };
    let found = index::by_digest().scan_from(store, &from)?.next();
    Ok(found
        .transpose()?
        .is_some_and(|found| found.digest == from.digest))
}

impl Columnar for Row {
    fn write(&self, to: &mut Writer) {
        to.sorted_text(&self.id.0);
        to.delta(self.at);
        to.symbol(&self.answer);
        to.symbol(&self.account);
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            id: TokenId(from.sorted_text()?.try_into().ok()?),
            at: from.delta()?,
            answer: from.symbol()?,
            account: from.symbol()?,
        })
    }
}

impl packed::Row for Row {
    type Key = (TokenId, i64);
    const WHAT: &'static str = "a block of instances' answers";

    fn key(&self) -> Self::Key {
        (self.id, self.at)
    }

    fn put_key((id, at): &Self::Key, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&id.0);
        // Times before 1970 come first.
        bytes.extend_from_slice(&(at.cast_unsigned() ^ (1 << 63)).to_be_bytes());
    }
}

impl Columnar for ByUser {
    fn write(&self, to: &mut Writer) {
        to.sorted_text(self.name.as_bytes());
        to.fixed(&self.id.0);
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            name: std::str::from_utf8(from.sorted_text()?).ok()?.into(),
            id: TokenId(from.fixed(16)?.try_into().ok()?),
        })
    }
}

impl packed::Row for ByUser {
    type Key = Self;
    const WHAT: &'static str = "a block of the index of answers by user";

    fn key(&self) -> Self {
        self.clone()
    }

    fn put_key(key: &Self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(key.name.as_bytes());
        bytes.push(0);
        bytes.extend_from_slice(&key.id.0);
    }
}

/// Answers are taken over in batches of this size: a few MB.
const BATCH: usize = 1 << 14;
