//! Answers as they come: into the vault, and to the person.

use std::{
    collections::{BTreeSet, HashMap},
    time::{Duration, Instant},
};

use tuskvault::{
    crypto::Credentials,
    model::{Record, RecordKey, Selector, TokenId, Verdict, Verification},
    online::{Asked, Event},
    vault::{AuditEvent, Vault},
};

use super::super::{
    error::{Exit, Failure},
    machine,
    report::plural,
    session::Session,
    verdict,
};

use super::tell;

/// What has been answered so far.
pub(super) struct Answers<'s> {
    session: &'s Session<'s>,
    selector: Option<&'s Selector>,
    credentials: &'s Credentials,
    pub(super) tokens: HashMap<TokenId, Asking>,
    /// To be told at the end, where they are not told as they come.
    pub(super) told: Vec<(TokenId, Asked)>,
    pub(super) counts: Counts,
    /// Verdicts that there were.
    pub(super) verdicts: BTreeSet<Verdict>,
    /// Tokens that work otherwise than their records say, in sentences.
    pub(super) shouted: Vec<String>,
    pub(super) first_unanswered: Option<String>,
    /// Not yet in the vault.
    pending: Vec<(TokenId, Verification)>,
    /// Of those not yet in the audit log.
    unnoted: Counts,
    last_kept: Instant,
    is_read_only: bool,
}

/// What is told of a token that is asked about.
pub(super) struct Asking {
    pub(super) short_id: String,
    pub(super) key: RecordKey,
    /// What was answered before.
    pub(super) last: Option<Verification>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) good: u64,
    pub(super) bad: u64,
    pub(super) unanswered: u64,
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

    pub(super) fn all(self) -> u64 {
        self.good + self.bad + self.unanswered
    }
}

impl<'s> Answers<'s> {
    pub(super) fn new(
        session: &'s Session<'s>,
        selector: Option<&'s Selector>,
        credentials: &'s Credentials,
        records: Vec<Record>,
    ) -> Self {
        let tokens = records.into_iter().map(|record| {
            let asking = Asking {
                short_id: record.short_id(),
                key: record.key(),
                last: record.verified,
            };
            (record.id, asking)
        });
        Self {
            session,
            selector,
            credentials,
            tokens: tokens.collect(),
            told: Vec::new(),
            counts: Counts::default(),
            verdicts: BTreeSet::new(),
            shouted: Vec::new(),
            first_unanswered: None,
            pending: Vec::new(),
            unnoted: Counts::default(),
            last_kept: Instant::now(),
            is_read_only: false,
        }
    }

    pub(super) fn take(&mut self, event: Event<'_>) -> Result<(), Failure> {
        let (question, asked) = match event {
            Event::Asked(question, asked) => (question, asked),
            Event::Waits { host, secs } => {
                // Nothing may come for as long.
                drop(self.keep());
                self.session.output.note(&format!(
                    "{host} asks to be asked less often: going on there in {secs} s"
                ));
                return Ok(());
            }
        };
        self.counts.add(&asked);
        self.unnoted.add(&asked);
        match &asked {
            Asked::Answered(answer) => {
                self.pending.push((question.id, answer.clone()));
                self.verdicts.insert(answer.verdict);
                self.shout(question.id, answer);
            }
            Asked::Unanswered(why) => {
                let first = || format!("{}: {}", question.instance, why.detail);
                self.first_unanswered.get_or_insert_with(first);
            }
        }
        self.keep_now_and_then();
        let Some(token) = self.tokens.get(&question.id) else {
            return Ok(());
        };
        if self.session.output.json {
            return self.session.output.object(&tell::object(token, &asked));
        }
        if tell::is_told(&asked, self.counts) {
            self.told.push((question.id, asked));
        }
        Ok(())
    }

    fn shout(&mut self, id: TokenId, answer: &Verification) {
        let is_other = matches!(answer.verdict, Verdict::OtherAccount | Verdict::OtherApp);
        if let Some(token) = self.tokens.get(&id).filter(|_| is_other) {
            let sentence = verdict::in_full(answer, &token.key.instance);
            self.shouted
                .push(format!("{} of {}: {sentence}", token.short_id, token.key));
        }
    }

    /// Who interrupts a long session loses the answers of the last half minute at most. What can't be kept now is kept
    /// later: at the end, that it can't be is a failure.
    fn keep_now_and_then(&mut self) {
        if self.last_kept.elapsed() >= KEPT_EVERY || self.pending.len() >= KEPT_AT_ONCE {
            drop(self.keep());
            self.last_kept = Instant::now();
        }
    }

    /// Writes into the vault what is not there yet.
    pub(super) fn keep(&mut self) -> Result<(), Failure> {
        if self.unnoted == Counts::default() || self.is_read_only {
            return Ok(());
        }
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
    fn writable(&mut self) -> Result<Option<Vault>, Failure> {
        match self.session.reopen_to_write(self.credentials) {
            Ok(Some(vault)) => Ok(Some(vault)),
            Ok(None) => {
                self.is_read_only = true;
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

    /// What all of it comes to.
    pub(super) fn verdict(self) -> Result<Exit, Failure> {
        let Counts {
            good,
            bad,
            unanswered,
        } = self.counts;
        if good + bad == 0 {
            let why = self.first_unanswered.unwrap_or_default();
            let message = format!("nothing could be asked: {why}");
            return Err(Failure::new(Exit::Failed, message)
                .hint("what was answered before stays as it was; is this machine online?"));
        }
        Ok(if bad + unanswered == 0 {
            Exit::Done
        } else {
            Exit::Partial
        })
    }
}

/// So many answers are written at once: each time the vault is unlocked anew.
const KEPT_AT_ONCE: usize = 10_000;
const KEPT_EVERY: Duration = Duration::from_secs(30);
