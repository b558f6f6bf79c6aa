//! Which assignments belong to one account, and what each of them says.

use crate::{
    connectors::values,
    document::env::{Assignment, Env},
    model::Domain,
};

/// What an assignment says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    Token,
    Instance,
    ClientId,
    ClientSecret,
    User,
    Scopes,
}

/// The assignments that have what precedes their `MASTODON_` in common.
pub(super) struct Group<'a> {
    /// What precedes it, as spelled.
    pub(super) prefix: &'a str,
    /// Recognised assignments with the rank of their names, in the order of the file.
    lines: Vec<(Name, &'a Assignment)>,
}

/// What a name says, and its rank among the names that say it: the lowest is used.
#[derive(Clone, Copy)]
struct Name {
    field: Field,
    rank: usize,
}

impl<'a> Group<'a> {
    /// The groups of a file, in the order of their first assignments.
    pub(super) fn all(env: &'a Env) -> Vec<Self> {
        let mut groups: Vec<Self> = Vec::new();
        for line in &env.assignments {
            let Some((prefix, Some(name))) = split(&line.key) else {
                continue;
            };
            match groups.iter_mut().find(|group| group.prefix == prefix) {
                Some(group) => group.lines.push((name, line)),
                None => groups.push(Self {
                    prefix,
                    lines: vec![(name, line)],
                }),
            }
        }
        groups
    }

    /// All assignments that say this.
    pub(super) fn lines(&self, field: Field) -> impl Iterator<Item = &'a Assignment> {
        let lines = self.lines.iter();
        lines
            .filter(move |(name, _)| name.field == field)
            .map(|(_, line)| *line)
    }

    /// The assignment that counts: of the name most specific, the last.
    pub(super) fn used(&self, field: Field) -> Option<&'a Assignment> {
        let lines = self.lines.iter().rev();
        let lines = lines.filter(|(name, _)| name.field == field);
        lines
            .min_by_key(|(name, _)| name.rank)
            .map(|(_, line)| *line)
    }

    /// The instance; where host names and addresses differ (split domains), that of the names.
    pub(super) fn instance(&self) -> Option<Domain> {
        let mut found = self.instances();
        found.sort_by_key(|(rank, _)| *rank);
        let mut domains = found.iter().filter_map(|(_, text)| values::instance(text));
        domains.next()
    }

    /// Where the API answers, if an address says so: scheme and host of the address most specific.
    pub(super) fn base_url(&self) -> Option<String> {
        let mut found = self.instances();
        found.sort_by_key(|(rank, _)| std::cmp::Reverse(*rank));
        let mut urls = found.iter().filter_map(|(_, text)| {
            values::instance(text)?;
            let (scheme, rest) = text.trim().split_once("://")?;
            let host = rest.split(['/', '?', '#']).next()?;
            Some(format!("{scheme}://{host}"))
        });
        urls.next()
    }

    /// The name of the user, where the file says it; an e-mail address to log in with is none.
    pub(super) fn user(&self, instance: &Domain) -> Option<String> {
        let line = self.used(Field::User).filter(|line| !line.is_reference)?;
        if values::is_reference(&line.value) || values::is_placeholder(&line.value) {
            return None;
        }
        let (name, host) = values::handle(&line.value)?;
        let is_here = host.is_none_or(|host| host == *instance);
        is_here.then(|| name.to_owned())
    }

    /// Usable values with the ranks of their names, the last of each key first.
    fn instances(&self) -> Vec<(usize, &'a str)> {
        let lines = self.lines.iter().rev();
        let lines = lines.filter(|(name, line)| {
            name.field == Field::Instance
                && !line.is_reference
                && !values::is_reference(&line.value)
                && !values::is_placeholder(&line.value)
        });
        lines
            .map(|(name, line)| (name.rank, line.value.as_str()))
            .collect()
    }
}

/// Assignments under `MASTODON_` that seem to be tokens, by names that nothing is known of.
pub(super) fn unknown(env: &Env) -> impl Iterator<Item = &Assignment> {
    env.assignments.iter().filter(|line| {
        let is_unknown = matches!(split(&line.key), Some((_, None)));
        is_unknown && squashed(&line.key).contains("TOKEN")
    })
}

/// What precedes `MASTODON_`, and what follows it if that is a known name.
fn split(key: &str) -> Option<(&str, Option<Name>)> {
    let at = key.to_ascii_uppercase().rfind(MARK)?;
    let name = squashed(key.get(at + MARK.len()..)?);
    let known = NAMES.iter().find_map(|(field, names)| {
        let rank = names.iter().position(|known| *known == name)?;
        Some(Name {
            field: *field,
            rank,
        })
    });
    Some((key.get(..at)?, known))
}

/// A name without what people write differently.
fn squashed(name: &str) -> String {
    let letters = name.chars().filter(|c| !matches!(c, '_' | '-' | '.'));
    letters.map(|c| c.to_ascii_uppercase()).collect()
}

const MARK: &str = "MASTODON_";

/// Names after `MASTODON_`, the most specific first; those of the instance from names to addresses.
const NAMES: &[(Field, &[&str])] = &[
    (
        Field::Token,
        &[
            "ACCESSTOKEN",
            "BEARERTOKEN",
            "USERTOKEN",
            "APITOKEN",
            "TOKEN",
        ],
    ),
    (
        Field::Instance,
        &[
            "INSTANCE",
            "DOMAIN",
            "SERVER",
            "HOST",
            "INSTANCEURL",
            "SERVERURL",
            "URL",
            "APIURL",
            "BASEURL",
            "APIBASEURL",
        ],
    ),
    (
        Field::ClientId,
        &["CLIENTID", "CLIENTKEY", "CONSUMERKEY", "APPID"],
    ),
    (
        Field::ClientSecret,
        &["CLIENTSECRET", "CONSUMERSECRET", "APPSECRET"],
    ),
    (
        Field::User,
        &[
            "USERNAME",
            "ACCOUNT",
            "HANDLE",
            "ACCT",
            "SCREENNAME",
            "USER",
        ],
    ),
    (Field::Scopes, &["SCOPES", "SCOPE"]),
];
