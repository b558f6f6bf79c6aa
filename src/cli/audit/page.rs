//! `audit --html`: the facts of an audit for its page.

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    hash::{BuildHasher, RandomState},
    io::{BufWriter, ErrorKind, Write as _},
    path::Path,
};

use jiff::Timestamp;
use tuskvault::{
    files::{self, Staged},
    model::{Moment, Record, RecordKey, Run, Selector, SourceId, Status, TokenId},
    report::{self as page, AuditPage},
    vault::{AuditQuery, Coverage, Finding, Query, Vault},
};

use super::{
    super::{
        error::{Exit, Failure},
        session::Session,
        verdict,
    },
    Chain, events,
};

/// Writes the page, as a whole or not at all. A broken audit log fails, once the page that says so is there.
pub(super) fn run(
    session: &Session<'_>,
    vault: &Vault,
    query: &AuditQuery<'_>,
    path: &Path,
) -> Result<Exit, Failure> {
    if path.as_os_str() == "-" {
        return Err(
            Failure::usage("`--html` takes a file").hint("name one, as in `--html audit.html`")
        );
    }
    let replaces = may_write(session, path)?;
    if session.global.dry_run {
        let what = format!("write the page {}", path.display());
        session.output.would(&what)?;
        return Ok(Exit::Done);
    }
    let staged = Staged::beside(path).map_err(|error| Failure::target("create", path, &error))?;
    let (page, chain) = fill(session, vault, query)?;
    let mut out = BufWriter::new(staged.file());
    let written = page.write(&mut out).and_then(|()| out.flush());
    drop(out);
    let published = written.and_then(|()| {
        if replaces {
            staged.replace()
        } else {
            staged.publish_new()
        }
    });
    published.map_err(|error| Failure::target("write", path, &error))?;
    session.output.note(&format!("wrote {}", path.display()));
    chain.verdict()
}

/// Whether the page takes the place of an earlier one. Anything else is nobody's to overwrite, a vault least of all.
fn may_write(session: &Session<'_>, path: &Path) -> Result<bool, Failure> {
    if std::fs::symlink_metadata(path).is_err() {
        return Ok(false);
    }
    let exists = || Failure::target("create", path, &ErrorKind::AlreadyExists.into());
    if !session.global.yes {
        return Err(exists().hint(
            "nothing was changed; name another file, or replace an earlier page with `--yes`",
        ));
    }
    let old = files::read_bounded(path, MAX_PAGE_BYTES);
    if old.is_ok_and(|old| page::is_one(&old)) {
        return Ok(true);
    }
    Err(exists().hint("nothing was changed; `--yes` replaces an earlier page, and this is none"))
}

fn fill(
    session: &Session<'_>,
    vault: &Vault,
    query: &AuditQuery<'_>,
) -> Result<(AuditPage, Chain), Failure> {
    let mut found: BTreeMap<Finding, Vec<page::FoundToken>> = BTreeMap::new();
    let coverage = vault.coverage(query, |record, findings| {
        for finding in findings {
            let tokens = found.entry(*finding).or_default();
            if tokens.len() < AuditPage::MOST.tokens_of_finding {
                tokens.push(found_token(*finding, record));
            }
        }
        Ok::<(), Failure>(())
    })?;
    let all = Selector::all().to_string();
    let selector = Some(query.selector.to_string()).filter(|selector| *selector != all);
    if selector.is_some() && coverage.tokens.total == 0 {
        let nothing = Query {
            selector: query.selector,
            at: query.at,
            all: true,
        };
        return Err(session.no_match(vault, query.selector, &nothing)?);
    }
    let (keys, key_count) = keys(vault, query)?;
    let (events, event_count, chain) = log(vault, query)?;
    let tokens = coverage.tokens;
    let entries = chain.entries;
    let page = AuditPage {
        vault: session.vault_path()?.display().to_string(),
        selector,
        as_of: query.at.timestamp(),
        made_at: session.now,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        zone: session.now_here().time_zone().clone(),
        totals: page::Totals {
            keys: key_count,
            active: tokens.active,
            revoked: tokens.revoked,
            expired: tokens.expired,
            gone: tokens.gone,
            events: event_count,
        },
        findings: findings(found, &coverage),
        sources: sources(coverage, vault.runs()?, query),
        keys,
        events,
        // A log begins with the vault: an empty one was emptied.
        chain: match (chain.broken.first(), entries) {
            (None, 1..) => page::Chain::Whole { entries },
            (broken, _) => page::Chain::Broken {
                entries,
                at: broken.map_or(1, |broken| broken.number),
            },
        },
    };
    Ok((page, chain))
}

fn sources(coverage: Coverage, runs: Vec<Run>, query: &AuditQuery<'_>) -> Vec<page::Source> {
    let mut of_source: HashMap<SourceId, Vec<page::Run>> = HashMap::new();
    for run in runs {
        let at = run.effective_at;
        if run.recorded_at <= query.known_by && at <= query.at.timestamp() {
            let known = of_source.entry(run.source.id).or_default();
            known.push(page::Run {
                number: run.id,
                at,
                outcome: run.outcome,
            });
        }
    }
    let told = coverage.sources.into_iter().map(|covered| {
        let mut runs = of_source.remove(&covered.source.id).unwrap_or_default();
        runs.sort_unstable_by_key(|run| run.at);
        let source = covered.source;
        page::Source {
            connector: source.key.connector,
            location: source.key.location,
            host: Some(source.key.host).filter(|host| !host.is_empty()),
            instance: source.instance.map(|instance| instance.to_string()),
            runs,
            rhythm: covered.rhythm,
            overdue: covered.is_overdue,
            backups: covered.backups,
        }
    });
    told.collect()
}

/// The keys that matter most, and how many there are. The first pass keeps some bytes of each, the second the tokens of
/// those chosen: a server's vault has millions.
fn keys(vault: &Vault, query: &AuditQuery<'_>) -> Result<(Vec<page::Key>, u64), Failure> {
    let records = Query {
        selector: query.selector,
        at: query.at,
        all: true,
    };
    let hasher = RandomState::new();
    let mut weights: HashMap<u64, Weight> = HashMap::new();
    vault.records::<Failure>(&records, |record| {
        let weight = Weight::of(&record);
        let known = weights.entry(hasher.hash_one(record.key())).or_default();
        *known = weight.max(*known);
        Ok(())
    })?;
    let count = weights.len() as u64;
    let mut ranks: Vec<(Weight, u64)> = weights
        .iter()
        .map(|(hash, weight)| (*weight, *hash))
        .collect();
    ranks.sort_unstable_by(|a, b| b.cmp(a));
    ranks.truncate(AuditPage::MOST.keys);
    let chosen: HashSet<u64> = ranks.into_iter().map(|(_, hash)| hash).collect();
    let mut lives: BTreeMap<RecordKey, (Weight, Vec<(TokenId, page::Token)>)> = BTreeMap::new();
    vault.records::<Failure>(&records, |record| {
        let key = record.key();
        if chosen.contains(&hasher.hash_one(&key)) {
            let (weight, tokens) = lives.entry(key).or_default();
            *weight = Weight::of(&record).max(*weight);
            tokens.push((record.id, token(&record)));
        }
        Ok(())
    })?;
    let mut lives: Vec<_> = lives.into_iter().collect();
    lives.sort_by(|(_, (a, _)), (_, (b, _))| b.cmp(a));
    let lives = lives.into_iter().map(|(key, (_, tokens))| (key, tokens));
    Ok((with_absences(vault, query.at, lives.collect())?, count))
}

/// Keys with their tokens in the order of first sight, and when those that are shown were in no source.
fn with_absences(
    vault: &Vault,
    at: Moment,
    mut lives: Vec<(RecordKey, Vec<(TokenId, page::Token)>)>,
) -> Result<Vec<page::Key>, Failure> {
    for (_, tokens) in &mut lives {
        tokens.sort_by(|(_, a), (_, b)| (a.from, &a.id).cmp(&(b.from, &b.id)));
    }
    let shown = lives.iter().flat_map(|(_, tokens)| {
        let latest = tokens.iter().rev();
        latest
            .take(AuditPage::MOST.tokens_of_key)
            .map(|(id, _)| *id)
    });
    let mut absences = vault.absences(shown, at)?;
    let told = lives.into_iter().map(|(key, tokens)| {
        let tokens = tokens.into_iter().map(|(id, token)| {
            let away = absences.remove(&id).unwrap_or_default().into_iter();
            let away = away.map(|(from, until)| (from.timestamp(), until.timestamp()));
            page::Token {
                away: away.collect(),
                ..token
            }
        });
        page::Key {
            name: key.to_string(),
            tokens: tokens.collect(),
        }
    });
    Ok(told.collect())
}

/// How much a key matters: one of which something ended before one that only goes on, then the one of which something
/// was heard last.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Weight {
    ended: bool,
    last: Timestamp,
}

impl Weight {
    fn of(record: &Record) -> Self {
        let ended = ended(record);
        Self {
            ended: record.status != Status::Active,
            last: ended.or(record.first_seen()).unwrap_or_default(),
        }
    }
}

fn token(record: &Record) -> page::Token {
    page::Token {
        id: record.short_id(),
        from: record.first_seen().unwrap_or_default(),
        until: ended(record),
        away: Vec::new(),
        status: record.status,
        places: places(record),
    }
}

fn found_token(finding: Finding, record: &Record) -> page::FoundToken {
    let answer = record.verified.as_ref();
    let answer = answer.filter(|_| finding == Finding::NotWorking);
    let said = answer.map(|answer| verdict::sentence(answer, &record.instance));
    page::FoundToken {
        id: record.short_id(),
        key: record.key().to_string(),
        places: match said {
            Some(said) => format!("{}: {said}", places(record)),
            None => places(record),
        },
        since: match finding {
            Finding::NotWorking => answer.map(|answer| answer.at),
            Finding::OneSource | Finding::NoAppSecret => record.first_seen(),
            Finding::Revoked | Finding::Expired | Finding::Gone => ended(record),
        },
    }
}

/// When a token ended, as far as that is known.
fn ended(record: &Record) -> Option<Timestamp> {
    match record.status {
        Status::Active => None,
        Status::Revoked => record.revoked_at,
        Status::Expired => record.expires_at,
        Status::Gone => record
            .sightings
            .iter()
            .filter_map(|seen| seen.gone_at)
            .max(),
    }
}

/// Where a token is; for one that is nowhere, where it was.
fn places(record: &Record) -> String {
    let is_there = record.sightings.iter().any(|seen| seen.gone_at.is_none());
    let names = record
        .sightings
        .iter()
        .filter(|seen| !is_there || seen.gone_at.is_none());
    let names: Vec<String> = names
        .map(|seen| format!("{} {}", seen.source.key.connector, seen.source.key.location))
        .collect();
    names.join(", ")
}

fn findings(
    mut found: BTreeMap<Finding, Vec<page::FoundToken>>,
    coverage: &Coverage,
) -> Vec<page::Finding> {
    let tokens = coverage.tokens;
    let all = [
        (
            Finding::OneSource,
            page::FindingKind::OneSource,
            tokens.one_source,
        ),
        (
            Finding::NoAppSecret,
            page::FindingKind::NoAppSecret,
            tokens.no_app_secret,
        ),
        (
            Finding::NotWorking,
            page::FindingKind::NotWorking,
            tokens.not_working,
        ),
        (Finding::Revoked, page::FindingKind::Revoked, tokens.revoked),
        (Finding::Expired, page::FindingKind::Expired, tokens.expired),
        (Finding::Gone, page::FindingKind::Gone, tokens.gone),
    ];
    let there = all.into_iter().filter(|(_, _, total)| *total > 0);
    let told = there.map(|(finding, kind, total)| page::Finding {
        kind,
        total,
        tokens: found.remove(&finding).unwrap_or_default(),
    });
    told.collect()
}

/// The last entries of the audit log, the latest first, without those of runs; how many there are; what verifying all of
/// it found.
fn log(vault: &Vault, query: &AuditQuery<'_>) -> Result<(Vec<page::Event>, u64, Chain), Failure> {
    let mut last = VecDeque::new();
    let (mut count, mut chain) = (0, Chain::default());
    vault.audit_links::<Failure>(|link| {
        chain.take(&link);
        let known = link.entry.filter(|entry| entry.at <= query.known_by);
        let Some(entry) = known.filter(|entry| !entry.event.is_of_a_run()) else {
            return Ok(());
        };
        count += 1;
        last.truncate(AuditPage::MOST.events - 1);
        last.push_front(page::Event {
            at: entry.at,
            actor: entry.actor.to_string(),
            what: entry.event.as_str().replace('_', " "),
            detail: events::sentence(&entry.event),
        });
        Ok(())
    })?;
    Ok((last.into(), count, chain))
}

/// No page is larger.
const MAX_PAGE_BYTES: u64 = 64 << 20;
