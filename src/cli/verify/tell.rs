//! Answers in words and in JSON.

use serde_json::{Value, json};
use tuskvault::{
    connectors::json::VerifiedJson,
    online::{Asked, Unanswered},
};

use super::super::{
    error::Failure,
    output::Output,
    report::{self, cells, plural, table, text},
    verdict,
};

use super::answers::{Answers, Asking, Counts};

/// Whether an answer is listed, as far as it is known: where there are many, those that work are only counted.
pub(super) fn is_told(asked: &Asked, counts: Counts) -> bool {
    let is_good = matches!(asked, Asked::Answered(answer) if answer.verdict.is_good());
    counts.all() <= TOLD || !is_good
}

/// The table, the figures, and what a person has to know of verdicts that are not good.
pub(super) fn tell(output: &Output, answers: &mut Answers<'_>) -> Result<(), Failure> {
    let (counts, tokens) = (answers.counts, &answers.tokens);
    let mut told = std::mem::take(&mut answers.told);
    told.retain(|(_, asked)| is_told(asked, counts));
    told.sort_by_cached_key(|(id, _)| tokens.get(id).map(|token| (token.key.clone(), *id)));
    if !told.is_empty() {
        let mut table = table(&["id", "account", "app", "answer"]);
        for (id, asked) in &told {
            let Some(token) = tokens.get(id) else {
                continue;
            };
            table.add_row(cells([
                &*token.short_id,
                &report::account_of(&token.key),
                token.key.app.as_deref().unwrap_or("?"),
                &answer(token, asked),
            ]));
        }
        output.line(&text(&table))?;
    }
    if !output.json {
        output.line(&summary(counts))?;
    }
    for sentence in &answers.shouted {
        output.warn(sentence);
    }
    for advice in answers
        .verdicts
        .iter()
        .filter_map(|it| verdict::advice(*it))
    {
        output.note(advice);
    }
    Ok(())
}

fn answer(token: &Asking, asked: &Asked) -> String {
    let instance = &token.key.instance;
    match asked {
        Asked::Answered(answer) => verdict::in_full(answer, instance),
        Asked::Unanswered(Unanswered { detail, .. }) => {
            let last = token.last.as_ref();
            let last = last.map(|last| verdict::sentence(last, instance));
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
    let asked = plural(counts.all(), "token");
    format!("asked about {asked}: {}", parts.join(", "))
}

pub(super) fn object(token: &Asking, asked: &Asked) -> Value {
    let (verified, unanswered) = match asked {
        Asked::Answered(answer) => (Some(VerifiedJson::new(answer)), None),
        Asked::Unanswered(Unanswered { why, detail }) => {
            (None, Some(json!({ "why": why.as_str(), "detail": detail })))
        }
    };
    json!({
        "id": token.short_id,
        "instance": token.key.instance.as_str(),
        "user": token.key.user.name(),
        "app": token.key.app,
        "verified": verified,
        "unanswered": unanswered,
    })
}

/// More answers than these are not listed one by one where they are good.
const TOLD: u64 = 50;
