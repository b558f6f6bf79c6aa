//! What was done with the vault, in words and in JSON.

use serde_json::{Value, json};
use tuskvault::{model::TokenId, vault::AuditEvent};

use super::super::report::plural;

/// A predicate: "restored 1 token (tk_7f3a2c9d) into toot …".
pub(super) fn sentence(event: &AuditEvent) -> String {
    match event {
        AuditEvent::Created => "made the vault".to_owned(),
        AuditEvent::Imported { run: 0 } => "recorded a run that is not here".to_owned(),
        AuditEvent::Imported { run } => format!("recorded run {run}"),
        AuditEvent::Restored { target, ids } => {
            let count = plural(ids.len() as u64, "token");
            let mut names: Vec<String> = ids.iter().take(NAMED).map(|id| short(id)).collect();
            if ids.len() > NAMED {
                names.push("…".to_owned());
            }
            format!("restored {count} ({}) into {target}", names.join(", "))
        }
        AuditEvent::RestoredMany {
            target,
            selector,
            tokens,
            apps,
        } => format!(
            "restored {} and {} of \"{selector}\" into {target}",
            plural(*tokens, "token"),
            plural(*apps, "app")
        ),
        AuditEvent::Revealed { selector, records } => {
            format!(
                "showed secrets of {} (\"{selector}\")",
                plural(*records, "record")
            )
        }
        AuditEvent::Exported {
            format,
            selector,
            records,
        } => format!(
            "exported {} with secrets as {format} (\"{selector}\")",
            plural(*records, "record")
        ),
        AuditEvent::KeyAdded { slot } => format!("added key slot {slot}"),
        AuditEvent::KeyChanged { slot } => format!("changed what opens key slot {slot}"),
        AuditEvent::KeyRemoved { slot } => format!("removed key slot {slot}"),
        AuditEvent::Rekeyed => "encrypted the vault anew under a new master key".to_owned(),
        AuditEvent::Compacted => "rewrote the vault in its smallest form".to_owned(),
        AuditEvent::Merged { files, runs } => {
            format!(
                "brought in {} of {}",
                plural(*runs, "run"),
                files.join(", ")
            )
        }
        AuditEvent::FromMerged { linked, event, .. } => {
            let sentence = sentence(event);
            let doubt = if *linked {
                ""
            } else {
                ", whose log does not hold together there"
            };
            format!("{sentence} (in a vault that was merged into this one{doubt})")
        }
        AuditEvent::Forgot {
            selector: Some(selector),
            tokens,
            ..
        } => format!(
            "removed {} for good (\"{selector}\")",
            plural(*tokens, "token")
        ),
        AuditEvent::Forgot { runs, .. } => {
            format!("removed {} for good", plural(runs.len() as u64, "run"))
        }
        AuditEvent::Verified {
            selector,
            good,
            bad,
            unanswered,
        } => {
            let selector = selector.as_ref();
            let selector = selector.map(|text| format!(" (\"{text}\")"));
            format!(
                "asked instances about {}{}: {good} work, {bad} don't, {unanswered} without an answer",
                plural(good + bad + unanswered, "token"),
                selector.unwrap_or_default()
            )
        }
        other => other.as_str().to_owned(),
    }
}

/// The keys that an event has in JSON beside those of every event.
pub(super) fn details(event: &AuditEvent) -> Value {
    match event {
        AuditEvent::Imported { run } => json!({ "run": run }),
        AuditEvent::Restored { target, ids } => {
            let ids: Vec<String> = ids.iter().map(|id| format!("tk_{id}")).collect();
            json!({ "target": target, "ids": ids, "tokens": ids.len() })
        }
        AuditEvent::RestoredMany {
            target,
            selector,
            tokens,
            apps,
        } => json!({ "target": target, "selector": selector, "tokens": tokens, "apps": apps }),
        AuditEvent::Revealed { selector, records } => {
            json!({ "selector": selector, "records": records })
        }
        AuditEvent::Exported {
            format,
            selector,
            records,
        } => json!({ "format": format, "selector": selector, "records": records }),
        AuditEvent::KeyAdded { slot }
        | AuditEvent::KeyChanged { slot }
        | AuditEvent::KeyRemoved { slot } => json!({ "slot": slot }),
        AuditEvent::Merged { files, runs } => json!({ "files": files, "runs": runs }),
        AuditEvent::FromMerged { linked, event, .. } => {
            let mut details = details(event);
            if let Some(details) = details.as_object_mut() {
                details.insert("merged".to_owned(), true.into());
                details.insert("linked_there".to_owned(), (*linked).into());
            }
            details
        }
        AuditEvent::Forgot {
            runs,
            selector,
            tokens,
        } => json!({ "forgotten_runs": runs, "selector": selector, "tokens": tokens }),
        AuditEvent::Verified {
            selector,
            good,
            bad,
            unanswered,
        } => json!({ "selector": selector, "good": good, "bad": bad, "unanswered": unanswered }),
        _ => json!({}),
    }
}

/// An id that the log holds in full, as short as it is shown.
fn short(id: &str) -> String {
    let digits: String = id.chars().take(TokenId::LEAST_DIGITS).collect();
    format!("tk_{digits}")
}

/// More ids than these are for `--json`.
const NAMED: usize = 3;
