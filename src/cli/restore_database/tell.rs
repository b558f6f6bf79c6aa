//! What a restore into the database tells: of few records each, of many those that are not simply added.

use tuskvault::{
    connectors::postgres::{
        self,
        restore::{AppOutcome, Outcome, Restore, Staged, Summary, Verdict, Which},
    },
    model::Action,
};

use crate::cli::{
    error::{Exit, Failure},
    output::shown,
    report::plural,
    restore::{done, planned},
};

use super::{Job, Pass};

impl Job<'_> {
    /// Shows what becomes of everything: every record of few, those that are not simply added of many.
    pub(super) fn show(&self, restore: &mut Restore<'_>, pass: &Pass) -> Result<(), Failure> {
        let output = self.session.output;
        // Whoever no longer reads what is done should not be told that it was.
        let told =
            |result: Result<(), Failure>| result.map_err(|failure| failure.with(Exit::Failed));
        if self.args.server.apps {
            self.show_apps(restore, pass)?;
        } else {
            let few = pass.staged.sent <= FEW || output.json || self.session.global.verbose;
            let mut lines = 0;
            let which = if few { Which::All } else { Which::Notable };
            if let Some((refused, _)) = &pass.told {
                refused
                    .iter()
                    .try_for_each(|outcome| told(self.line(outcome)))?;
            } else {
                restore.outcomes::<Failure>(which, &mut |outcome| {
                    if !few && lines == MANY {
                        return Ok(());
                    }
                    lines += 1;
                    told(self.line(&outcome))
                })?;
            }
            let untold = pass.summary.count(Action::Refuse) + pass.summary.count(Action::Update);
            if !few && untold > MANY {
                output.note(&format!(
                    "{} more like these; `--verbose` or `--json` tells of each",
                    untold - MANY
                ));
            }
        }
        if output.json {
            return Ok(());
        }
        if self.one.is_none() {
            told(output.line(&counts(&pass.summary, self.what())))?;
        }
        self.notes(pass);
        Ok(())
    }

    fn line(&self, outcome: &Outcome) -> Result<(), Failure> {
        let output = self.session.output;
        let action = outcome.verdict.action();
        if output.json {
            return output.object(&serde_json::json!({
                "id": short(outcome),
                "target": postgres::NAME,
                "location": self.location,
                "action": done(action),
                "detail": outcome.detail,
                "backup": null,
                "dry_run": self.session.global.dry_run,
            }));
        }
        output.line(&shown(&format!(
            "{} {}: {}",
            planned(action),
            short(outcome),
            outcome.detail
        )))
    }

    fn show_apps(&self, restore: &mut Restore<'_>, pass: &Pass) -> Result<(), Failure> {
        let output = self.session.output;
        let all: u64 = pass.summary.verdicts.iter().map(|(_, count)| count).sum();
        let few = all <= FEW || output.json || self.session.global.verbose;
        let mut lines = 0;
        restore.apps::<Failure>(&mut |outcome: AppOutcome| {
            let action = outcome.verdict.action();
            let shown_of_many =
                outcome.is_remarkable && outcome.verdict != Verdict::There && lines < MANY;
            if !few && !shown_of_many {
                return Ok(());
            }
            lines += 1;
            let line = if output.json {
                output.object(&serde_json::json!({
                    "app": { "name": outcome.name, "client_id": outcome.client_id },
                    "target": postgres::NAME,
                    "location": self.location,
                    "action": done(action),
                    "detail": outcome.detail,
                    "backup": null,
                    "dry_run": self.session.global.dry_run,
                }))
            } else {
                output.line(&shown(&format!("{} {}", planned(action), outcome.detail)))
            };
            line.map_err(|failure| failure.with(Exit::Failed))
        })
    }

    /// What else to know of it.
    fn notes(&self, pass: &Pass) {
        let output = self.session.output;
        for sentence in left_out(&pass.staged) {
            output.note(&format!("left out: {sentence}"));
        }
        let summary = &pass.summary;
        if self.one.is_some() || self.args.server.apps {
            return;
        }
        if summary.waiting > 0 {
            output.note(&format!(
                "{} will not work as long as the user is unconfirmed, waits for approval, is disabled or suspended, or has moved away",
                plural(summary.waiting, "token")
            ));
        }
        if summary.apps_made > 0 {
            output.note(&format!(
                "{} made anew, {} of them without an owner who is not there, {} under another id, so that old posts lose their name",
                plural(summary.apps_made, "application"),
                summary.apps_ownerless,
                summary.apps_renumbered
            ));
        }
        if summary.apps_differing > 0 {
            output.note(&format!(
                "{} with another client_secret at the server, which is kept: clients can use their tokens, not revoke or renew them",
                plural(summary.apps_differing, "application")
            ));
        }
    }
}

pub(super) fn short(outcome: &Outcome) -> String {
    outcome.id.short(outcome.id_digits)
}

/// "3 revoked tokens".
pub(super) fn left_out(staged: &Staged) -> Vec<String> {
    let sentences = staged.left_out.iter().filter_map(|(verdict, count)| {
        let what = match verdict {
            Verdict::Session => "session token of the web interface",
            Verdict::Revoked => "revoked token",
            Verdict::Expired => "expired token",
            _ => return None,
        };
        let count = *count;
        Some(match (verdict, count) {
            (Verdict::Session, 2..) => format!("{count} session tokens of the web interface"),
            _ => plural(count, what),
        })
    });
    sentences.collect()
}

/// "3 tokens added, 1 refused (1 there is no such user)".
pub(super) fn counts(summary: &Summary, what: &str) -> String {
    let mut parts = Vec::new();
    for (action, word) in [
        (Action::Insert, "added"),
        (Action::Update, "changed"),
        (Action::Unchanged, "as they were"),
        (Action::Refuse, "refused"),
    ] {
        let count = summary.count(action);
        if count > 0 || (action == Action::Insert) {
            parts.push(if parts.is_empty() {
                format!("{} {word}", plural(count, what))
            } else {
                format!("{count} {word}")
            });
        }
    }
    let refused: Vec<String> = summary
        .verdicts
        .iter()
        .filter(|(verdict, _)| verdict.action() == Action::Refuse)
        .map(|(verdict, count)| format!("{count}: {}", verdict.words()))
        .collect();
    if refused.is_empty() {
        return parts.join(", ");
    }
    format!("{} ({})", parts.join(", "), refused.join("; "))
}

/// Up to so many records, each gets a line.
const FEW: u64 = 20;
/// Of more, so many lines are shown.
const MANY: u64 = 100;
