//! `export dotenv`: assignments that bots and this connector read.

use std::{collections::BTreeSet, fmt::Write as _};

use zeroize::Zeroizing;

use crate::{
    connectors::values::{self, shown},
    document::env::{self, Quoting},
    model::{Record, Secret},
};

/// An environment file, and what it leaves out.
pub struct Exported {
    /// The file. It holds the secrets.
    pub text: Zeroizing<String>,
    /// Records that are left out, one sentence each.
    pub left_out: Vec<String>,
}

/// The records as `MASTODON_…` assignments; several of them get a prefix made of user and instance.
///
/// Values are written so that a shell which sources the file and every loader read the same ([`env::literal`]).
pub fn export(records: &[Record]) -> Exported {
    let mut blocks = Vec::new();
    let mut left_out = Vec::new();
    let mut prefixes = BTreeSet::new();
    for record in records {
        let prefix = if records.len() > 1 {
            unique(&prefix(record), &mut prefixes)
        } else {
            String::new()
        };
        match block(record, &prefix) {
            Some(block) => blocks.push(block),
            None => left_out.push(format!(
                "{}: it holds white space or characters that no two loaders read the same",
                record.short_id()
            )),
        }
    }
    let length = blocks.iter().map(|block| block.len() + 1).sum();
    let mut text = Zeroizing::new(String::with_capacity(length));
    for (at, block) in blocks.iter().enumerate() {
        if at > 0 {
            text.push('\n');
        }
        text.push_str(block);
    }
    Exported { text, left_out }
}

/// The assignments of a record, if all of them can be written.
fn block(record: &Record, prefix: &str) -> Option<Zeroizing<String>> {
    let base_url = record.app.base_url.clone();
    let base_url = base_url.unwrap_or_else(|| format!("https://{}", record.instance));
    let client_secret = record.app.client_secret.as_ref().map(Secret::expose);
    let values = [
        ("API_BASE_URL", Some(base_url.as_str())),
        ("ACCESS_TOKEN", Some(record.access_token.expose())),
        ("CLIENT_ID", record.app.client_id.as_deref()),
        ("CLIENT_SECRET", client_secret),
    ];
    let lengths = values.map(|(_, value)| 2 * value.unwrap_or_default().len());
    let length = lengths.iter().sum::<usize>() + prefix.len() * values.len();
    let mut text = Zeroizing::new(String::with_capacity(length + 512));
    // Writing to a string can't fail.
    let _ = writeln!(text, "# {}", shown(&record.key().to_string()));
    for (name, value) in values {
        let Some(value) = value else {
            continue;
        };
        let literal = env::literal(value, Quoting::Bare).filter(|_| values::is_visible(value))?;
        let _ = writeln!(text, "{prefix}MASTODON_{name}={}", *literal);
    }
    Some(text)
}

/// `ALICE_M_EXAMPLE_`: what a shell takes for a name.
pub(super) fn prefix(record: &Record) -> String {
    let user = record.user.name().unwrap_or_default();
    let mut prefix = name_of(format!("{user} {}", record.instance).trim());
    if prefix.starts_with(|c: char| c.is_ascii_digit()) {
        prefix.insert(0, '_');
    }
    prefix.push('_');
    prefix
}

/// Text as a part of a name: capitals and digits, `_` for everything else.
pub(super) fn name_of(text: &str) -> String {
    let letters = text.chars().map(|c| {
        if c.is_ascii_alphanumeric() {
            c.to_ascii_uppercase()
        } else {
            '_'
        }
    });
    letters.collect()
}

fn unique(prefix: &str, taken: &mut BTreeSet<String>) -> String {
    let mut name = prefix.to_owned();
    let mut number = 2;
    while !taken.insert(name.clone()) {
        name = format!("{prefix}{number}_");
        number += 1;
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connectors::testing::record;

    #[test]
    fn one_record_has_the_usual_names() {
        let mut one = record("mastodon.example", Some("alice"), "-to_ken=");
        one.app.client_id = Some("i d".into());
        assert_eq!(export(&[one.clone()]).left_out.len(), 1);
        one.app.client_id = Some("a${HOME}".into());
        assert_eq!(export(&[one.clone()]).left_out.len(), 1);
        one.app.client_id = Some("it's\"x".into());
        one.app.client_secret = Some("a$b#c".into());
        assert_eq!(
            export(&[one]).text.as_str(),
            "# alice@mastodon.example/it's\\\"x\n\
             MASTODON_API_BASE_URL=https://mastodon.example\n\
             MASTODON_ACCESS_TOKEN=-to_ken=\n\
             MASTODON_CLIENT_ID=\"it's\\\"x\"\n\
             MASTODON_CLIENT_SECRET='a$b#c'\n"
        );
    }

    #[test]
    fn several_records_get_names_of_their_own() {
        let mut hostile = record("m.example", Some("x\nexport A=$(id)\u{1b}"), "c");
        hostile.app.base_url = Some("https://m.example".into());
        let text = export(&[
            record("m.example", Some("alice"), "a"),
            record("m.example", Some("alice"), "b"),
            record("0.example", None, "d"),
            hostile,
        ])
        .text;
        for line in [
            "ALICE_M_EXAMPLE_MASTODON_ACCESS_TOKEN=a",
            "ALICE_M_EXAMPLE_2_MASTODON_ACCESS_TOKEN=b",
            "_0_EXAMPLE_MASTODON_ACCESS_TOKEN=d",
        ] {
            assert!(
                text.lines().any(|known| known == line),
                "{line} in {}",
                *text
            );
        }
        let is_expected =
            |line: &str| line.is_empty() || line.starts_with('#') || line.contains("_MASTODON_");
        assert!(text.lines().all(is_expected) && !text.contains('\u{1b}'));
    }
}
