//! From a selector to the one record that a person means, or to the reason why not.

use std::collections::BTreeMap;

use crate::model::{Record, RecordKey, Selector, Status, Target};
use crate::vault::{Error, Vault};

use super::Query;

/// What a selector comes to.
#[derive(Debug, Clone)]
pub enum Choice {
    /// One record.
    One(Box<Record>),
    /// Several: which ones, sorted.
    Ambiguous(Vec<Record>),
    /// Nothing: what it may have been meant to be, nearest first.
    Nothing {
        /// Keys that are spelled nearly so.
        suggestions: Vec<String>,
        /// The key exists, but has not so many earlier tokens: how many it has.
        earlier: Option<usize>,
    },
}

impl Vault {
    /// Finds the one record that `query.selector` names.
    ///
    /// Of a key with one active token, that token; of a key with none, the last it had. `~N` counts back from there
    /// in the order of first sight. `query.all` is not looked at.
    ///
    /// # Errors
    /// [`Error`] when the vault can't be read.
    pub fn choose(&self, query: &Query<'_>) -> Result<Choice, Error> {
        let everything = Query {
            all: true,
            ..query.clone()
        };
        let mut records = self.records_sorted(&everything)?;
        if records.is_empty() {
            let suggestions = self.suggestions(query)?;
            return Ok(Choice::Nothing {
                suggestions,
                earlier: None,
            });
        }
        // `tk_…~1` goes back from that token along its key.
        if query.selector.back > 0 && matches!(query.selector.target, Target::Id(_)) {
            let [named] = records.as_slice() else {
                return Ok(Choice::Ambiguous(records));
            };
            let (id, key) = (named.id, named.key());
            let whole = Selector::all();
            let mut of_key = self.records_sorted(&Query {
                selector: &whole,
                at: query.at,
                all: true,
            })?;
            of_key.retain(|record| record.key() == key);
            let current = of_key
                .iter()
                .position(|record| record.id == id)
                .unwrap_or_default();
            return Ok(step_back(of_key, current, query.selector.back));
        }
        let mut keys: BTreeMap<RecordKey, Vec<Record>> = BTreeMap::new();
        for record in records.drain(..) {
            keys.entry(record.key()).or_default().push(record);
        }
        let live =
            |records: &[Record]| records.iter().any(|record| record.status == Status::Active);
        // A key that lives outdoes those that are history: people ask for what they use.
        if keys.len() > 1 && keys.values().any(|records| live(records)) && query.selector.back == 0
        {
            keys.retain(|_, records| live(records));
        }
        if keys.len() > 1 {
            return Ok(Choice::Ambiguous(keys.into_values().flatten().collect()));
        }
        let Some((_, records)) = keys.pop_first() else {
            return Ok(Choice::Nothing {
                suggestions: Vec::new(),
                earlier: None,
            });
        };
        let active: Vec<usize> = (0..records.len())
            .filter(|&at| {
                records
                    .get(at)
                    .is_some_and(|record| record.status == Status::Active)
            })
            .collect();
        if active.len() > 1 && query.selector.back == 0 {
            return Ok(Choice::Ambiguous(
                records
                    .into_iter()
                    .filter(|record| record.status == Status::Active)
                    .collect(),
            ));
        }
        let current = active
            .last()
            .copied()
            .unwrap_or(records.len().saturating_sub(1));
        Ok(step_back(records, current, query.selector.back))
    }

    /// Keys at that moment that are spelled nearly like the selector, nearest first, at most three.
    fn suggestions(&self, query: &Query<'_>) -> Result<Vec<String>, Error> {
        if matches!(query.selector.target, Target::Id(_)) {
            return Ok(Vec::new());
        }
        let wanted = query.selector.to_string().to_lowercase();
        let mut near: Vec<(f64, String)> = Vec::new();
        let all = Selector::all();
        self.records::<Error>(
            &Query {
                selector: &all,
                at: query.at,
                all: true,
            },
            |record| {
                let key = record.key().to_string();
                let part = match (wanted.contains('/'), key.split_once('/')) {
                    (false, Some((account, _))) => account.to_owned(),
                    _ => key,
                };
                let part = match (wanted.contains('@'), part.split_once('@')) {
                    (false, Some((_, rest))) => rest.to_owned(),
                    _ => part,
                };
                let score = strsim::jaro_winkler(&wanted, &part.to_lowercase());
                if score > NEAR && near.iter().all(|(_, known)| *known != part) {
                    near.push((score, part));
                    near.sort_by(|(a, _), (b, _)| b.total_cmp(a));
                    near.truncate(3);
                }
                Ok(())
            },
        )?;
        Ok(near.into_iter().map(|(_, key)| key).collect())
    }
}

fn step_back(mut of_key: Vec<Record>, current: usize, back: usize) -> Choice {
    match current.checked_sub(back) {
        Some(at) if at < of_key.len() => Choice::One(Box::new(of_key.swap_remove(at))),
        _ => Choice::Nothing {
            suggestions: Vec::new(),
            earlier: Some(current),
        },
    }
}

/// Jaro-Winkler similarity from which two spellings count as near: one or two slips in a handle.
const NEAR: f64 = 0.85;
