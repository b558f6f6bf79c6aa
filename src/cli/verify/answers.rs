//! Answers as they come: into the vault, and to the person.

use std::collections::HashMap;

use serde_json::{Value, json};
use tuskvault::{
    connectors::json::VerifiedJson,
    crypto::Credentials,
    model::{Record, Selector, TokenId, Verdict, Verification},
    online::{Asked, Event, Unanswered},
    vault::{AuditEvent, Vault},
};

use super::super::{
    error::{Exit, Failure},
    machine,
    report::{self, cells, plural, table, text},
    session::Session,
    verdict,
};

/// What has been answered so far.
pub(super) struct Answers<'s> {
    session: &'s Session<'s>,
    selector: Option<&'s Selector>,
    credentials: &'s Credentials,
    records: HashMap<TokenId, Record>,
    /// To be told at the end, where they are not told as they come.
    told: Vec<(TokenId, Asked)>,
    /// Not yet in the vault.
    pending: Vec<(TokenId, Verification)>,
    counts: Counts,
    /// Of those not yet in the audit log.
    unnoted: Counts,
    first_unanswered: Option<String>,
}

#[derive(Clone, Copy, Default)]
struct Counts {
    good: u64,
    bad: u64,
    unanswered: u64,
}

impl Counts {
    fn add(&mut self, asked: &Asked) {
        let count = match asked {
            Asked::Answered(answer) if answer.verdict.is_good() => &mut self.good,
            Asked::Answered(_) => &mut self.bad,
            Asked::Unanswered(_) => &mut self.unanswered,
        };
        *count += 1;
    }
}

impl<'s> Answers<'s> {
    pub(super) fn new(
        session: &'s Session<'s>,
        selector: Option<&'s Selector>,
        credentials: &'s Credentials,
        records: Vec<Record>,
    ) -> Self {
        let records = records.into_iter().map(|record| (record.id, record));
        Self {
            session,
            selector,
            credentials,
            records: records.collect(),
            told: Vec::new(),
            pending: Vec::new(),
            counts: Counts::default(),
            unnoted: Counts::default(),
            first_unanswered: None,
        }
    }

    pub(super) fn take(&mut self, event: Event<'_>) -> Result<(), Failure> {
        let (question, asked) = match event {
            Event::Asked(question, asked) => (question, asked),
            Event::Waits { host, secs } => {
                self.session.output.note(&format!(
                    "{host} asks to be asked less often: going on there in {secs} s"
                ));
                return Ok(());
            }
        };
        self.counts.add(&asked);
        self.unnoted.add(&asked);
        match &asked {
            Asked::Answered(answer) => self.pending.push((question.id, answer.clone())),
            Asked::Unanswered(why) => {
                let first = || format!("{}: {}", question.instance, why.detail);
                self.first_unanswered.get_or_insert_with(first);
            }
        }
        if self.session.output.json {
            if let Some(record) = self.records.get(&question.id) {
                self.session.output.object(&object(record, &asked))?;
            }
        } else {
            self.told.push((question.id, asked));
        }
        // Who interrupts a long session keeps what was answered until then.
        if self.pending.len() >= KEPT_AT_ONCE {
            self.keep()?;
        }
        Ok(())
    }

    /// Writes into the vault what is not there yet.
    pub(super) fn keep(&mut self) -> Result<(), Failure> {
        let event = AuditEvent::Verified {
            selector: self.selector.map(ToString::to_string),
            good: self.unnoted.good,
            bad: self.unnoted.bad,
            unanswered: self.unnoted.unanswered,
        };
        let Some(mut vault) = self.writable()? else {
            self.pending.clear();
            return Ok(());
        };
        let by = (&self.session.actor, machine::now());
        vault.record_verifications(&self.pending, &event, by)?;
        self.session.remember(&vault, None);
        self.pending.clear();
        self.unnoted = Counts::default();
        Ok(())
    }

    /// The vault for writing; `None` where it can only be read, with a word.
    fn writable(&self) -> Result<Option<Vault>, Failure> {
        match self.session.reopen_to_write(self.credentials) {
            Ok(Some(vault)) => Ok(Some(vault)),
            Ok(None) => {
                self.session
                    .output
                    .warn("the vault can't be written: the answers are told and not kept");
                Ok(None)
            }
            Err(failure) => {
                let lost = plural(self.pending.len() as u64, "answer");
                let message = format!("{}; {lost} could not be kept", failure.message);
                Err(Failure { message, ..failure })
            }
        }
    }

    pub(super) fn tell(mut self) -> Result<Exit, Failure> {
        let output = self.session.output;
        let Counts {
            good,
            bad,
            unanswered,
        } = self.counts;
        let all = good + bad + unanswered;
        // Where there are many, those that work are only counted.
        let is_told = |asked: &Asked| {
            all <= TOLD || !matches!(asked, Asked::Answered(answer) if answer.verdict.is_good())
        };
        let mut told = std::mem::take(&mut self.told);
        told.retain(|(_, asked)| is_told(asked));
        told.sort_by_cached_key(|(id, _)| self.records.get(id).map(|record| (record.key(), *id)));
        if !told.is_empty() {
            let mut table = table(&["id", "account", "app", "answer"]);
            for (id, asked) in &told {
                let Some(record) = self.records.get(id) else {
                    continue;
                };
                table.add_row(cells([
                    &*record.short_id(),
                    &report::account(record),
                    record.key().app.as_deref().unwrap_or("?"),
                    &answer(record, asked),
                ]));
            }
            output.line(&text(&table))?;
        }
        if !output.json {
            output.line(&summary(self.counts))?;
        }
        self.shout(&told);
        if good + bad == 0 {
            let why = self.first_unanswered.unwrap_or_default();
            return Err(
                Failure::new(Exit::Failed, format!("nothing could be asked: {why}"))
                    .hint("what was answered before stays as it was; is this machine online?"),
            );
        }
        Ok(if bad + unanswered == 0 {
            Exit::Done
        } else {
            Exit::Partial
        })
    }

    /// What a person has to know of verdicts that are not good.
    fn shout(&self, told: &[(TokenId, Asked)]) {
        let verdicts = told.iter().filter_map(|(id, asked)| match asked {
            Asked::Answered(answer) => Some((id, answer)),
            Asked::Unanswered(_) => None,
        });
        let mut kinds: Vec<Verdict> = Vec::new();
        for (id, answer) in verdicts {
            let is_other = matches!(answer.verdict, Verdict::OtherAccount | Verdict::OtherApp);
            if let Some(record) = self.records.get(id).filter(|_| is_other) {
                self.session.output.warn(&format!(
                    "{} of {} {}",
                    record.short_id(),
                    record.key(),
                    verdict::sentence(answer, &record.instance)
                ));
            }
            kinds.push(answer.verdict);
        }
        kinds.sort_unstable();
        kinds.dedup();
        for advice in kinds.into_iter().filter_map(verdict::advice) {
            self.session.output.note(advice);
        }
    }
}

fn answer(record: &Record, asked: &Asked) -> String {
    match asked {
        Asked::Answered(answer) => verdict::sentence(answer, &record.instance),
        Asked::Unanswered(Unanswered { detail, .. }) => {
            let last = record.verified.as_ref();
            let last = last.map(|last| verdict::sentence(last, &record.instance));
            let last = last.map(|last| format!("; last known: {last}"));
            format!("no answer: {detail}{}", last.unwrap_or_default())
        }
    }
}

fn summary(counts: Counts) -> String {
    let Counts {
        good,
        bad,
        unanswered,
    } = counts;
    let asked = plural(good + bad + unanswered, "token");
    let parts = [
        (good, if good == 1 { "works" } else { "work" }),
        (
            bad,
            if bad == 1 {
                "doesn't, or not as it should"
            } else {
                "don't, or not as they should"
            },
        ),
        (unanswered, "without an answer"),
    ];
    let parts = parts.iter().filter(|(count, _)| *count > 0);
    let parts: Vec<String> = parts
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    format!("asked about {asked}: {}", parts.join(", "))
}

fn object(record: &Record, asked: &Asked) -> Value {
    let (verified, unanswered) = match asked {
        Asked::Answered(answer) => (Some(VerifiedJson::new(answer)), None),
        Asked::Unanswered(Unanswered { why, detail }) => {
            (None, Some(json!({ "why": why.as_str(), "detail": detail })))
        }
    };
    json!({
        "id": record.short_id(),
        "instance": record.instance.as_str(),
        "user": record.user.name(),
        "app": record.key().app,
        "verified": verified,
        "unanswered": unanswered,
    })
}

/// More answers than these are not listed one by one where they are good.
const TOLD: u64 = 50;
/// So many answers are written at once.
const KEPT_AT_ONCE: usize = 1_000;
