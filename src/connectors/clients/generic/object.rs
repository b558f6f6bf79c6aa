//! What an object, or the key under which it stands, says of a token's instance and client.

use std::collections::HashSet;

use crate::{
    connectors::values,
    document::{Kind, Member, Node},
    model::{Domain, Scopes},
};

use super::{names, search::MAX_NODES};

/// An instance, as a file names it.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) domain: Domain,
    /// Where the API answers, when the file has a URL.
    pub(super) base_url: Option<String>,
    /// Whether the name comes from the address of the API, which can have another host than the instance's name.
    pub(super) is_api: bool,
}

impl Place {
    pub(super) fn named(domain: Domain) -> Self {
        Self {
            domain,
            base_url: None,
            is_api: false,
        }
    }

    /// The instance of this name, whose API this place is.
    pub(super) fn of_instance(self, domain: &Domain) -> Self {
        let base_url = self.base_url;
        Self {
            base_url: base_url.or_else(|| Some(format!("https://{}", self.domain))),
            ..Self::named(domain.clone())
        }
    }

    /// Whether the instance goes by this name, or its API does.
    pub(super) fn is(&self, domain: &Domain) -> bool {
        self.domain == *domain || self.api().as_ref() == Some(domain)
    }

    fn api(&self) -> Option<Domain> {
        self.base_url.as_deref().and_then(values::instance)
    }
}

/// The members of an object that count, with their names as compared.
pub(super) struct Object<'a> {
    pub(super) members: Vec<(&'a Member, Option<String>)>,
    /// A key that stands twice.
    pub(super) twice: Option<&'a Member>,
}

/// What an object says of its instance.
pub(super) enum Named {
    Nothing,
    One(Place),
    Several,
}

impl<'a> Object<'a> {
    pub(super) fn of(members: &'a [Member]) -> Self {
        let mut keys = HashSet::new();
        let mut twice = None;
        let mut live = Vec::new();
        // No more than are ever searched, the last ones of a key.
        for member in members.iter().rev().take(MAX_NODES) {
            if keys.insert(member.key.as_str()) {
                live.push((member, names::normal(&member.key)));
            } else {
                twice = Some(member);
            }
        }
        live.reverse();
        Self {
            members: live,
            twice,
        }
    }

    /// The members of these names, in the order of the object.
    pub(super) fn all(&self, names: &[&str]) -> Vec<(&'a Member, String)> {
        let members = self.members.iter().filter_map(|(member, name)| {
            let name = name.as_deref().filter(|name| names.contains(name))?;
            Some((*member, name.to_owned()))
        });
        members.collect()
    }

    /// The first string of these names that is none of a template's; else the first string.
    pub(super) fn text(&self, names: &[&str]) -> Option<&'a Member> {
        let mut all = self.all(names);
        all.retain(|(member, _)| member.value.text().is_some());
        let usable = all
            .iter()
            .find(|(member, _)| usable(Some(*member)).is_some());
        usable.or(all.first()).map(|(member, _)| *member)
    }

    pub(super) fn scopes(&self) -> Option<Scopes> {
        let (member, _) = self.all(names::SCOPES).pop()?;
        let text = match &member.value.kind {
            Kind::Text(text) => text.as_str().to_owned(),
            Kind::List(nodes) => {
                let names: Option<Vec<_>> = nodes.iter().map(Node::text).collect();
                names?.join(" ")
            }
            _ => return None,
        };
        if text.len() > MAX_SCOPES
            || values::is_reference(&text)
            || text.chars().any(char::is_control)
        {
            return None;
        }
        let scopes = Scopes::parse(&text.replace(',', " "));
        (!scopes.as_str().is_empty()).then_some(scopes)
    }

    pub(super) fn place(&self) -> Named {
        let domains = |names: &[&'static str]| {
            let mut domains: Vec<(Domain, &str)> = Vec::new();
            for name in names {
                for (member, _) in self.all(&[name]) {
                    let host = member.value.text().and_then(|text| host(name, text));
                    let host = host.filter(|host| domains.iter().all(|(known, _)| known != host));
                    domains.extend(host.map(|host| (host, *name)));
                }
            }
            domains
        };
        let mut sure = domains(names::INSTANCE);
        let mut vague = domains(names::HOST);
        let (domain, name) = match (sure.is_empty(), vague.len()) {
            (false, _) => sure.swap_remove(0),
            (true, 0) => return Named::Nothing,
            (true, 1) => vague.swap_remove(0),
            (true, _) => return Named::Several,
        };
        Named::One(Place {
            base_url: self.base_url(&domain),
            is_api: names::API.contains(&name),
            domain,
        })
    }

    /// The URL of the API: of another host only under the names that mean it.
    fn base_url(&self, domain: &Domain) -> Option<String> {
        let mut texts = self.all(names::API);
        texts.extend(self.all(names::INSTANCE));
        texts.extend(self.all(names::HOST));
        texts.into_iter().find_map(|(member, name)| {
            let text = member.value.text()?.trim();
            let host = host(&name, text)?;
            let (scheme, rest) = text.split_once("://")?;
            let authority = rest.split(['/', '?', '#']).next()?;
            let is_api = host == *domain || names::API.contains(&name.as_str());
            is_api.then(|| format!("{scheme}://{authority}"))
        })
    }
}

/// The instance that a value names. Under a name that can mean any host, only what looks like the address of a server:
/// not this machine, and no page.
fn host(name: &str, text: &str) -> Option<Domain> {
    if values::is_placeholder(text) || values::is_reference(text) {
        return None;
    }
    let domain = values::instance(text)?;
    if names::INSTANCE.contains(&name) {
        return Some(domain);
    }
    let host = domain.as_str().split(':').next().unwrap_or_default();
    let is_name = host
        .rsplit('.')
        .next()
        .is_some_and(|last| last.starts_with(|c: char| c.is_ascii_alphabetic()));
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest).trim();
    let path = rest.split_once('/').map_or("", |(_, path)| path);
    let is_server = path.is_empty() || path == "api" || path.starts_with("api/");
    (host.contains('.') && is_name && is_server).then_some(domain)
}

/// The text of a member that can be a secret or an identifier.
pub(super) fn usable(member: Option<&Member>) -> Option<&str> {
    values::secret(member?.value.text()?).ok()
}

/// The instance, and perhaps the user, that a key names: `host` or `user@host`.
pub(super) fn key_place(key: &str) -> (Option<Domain>, Option<String>) {
    let is_host = |domain: &Domain| {
        let last = domain.as_str().rsplit('.').next().unwrap_or_default();
        domain.as_str().contains('.') && last.starts_with(|c: char| c.is_ascii_alphabetic())
    };
    if key.contains('@') {
        return match values::handle(key) {
            Some((user, Some(host))) if is_host(&host) => (Some(host), Some(user.to_owned())),
            _ => (None, None),
        };
    }
    let is_file = |end| key.to_ascii_lowercase().ends_with(end);
    let is_file = [".json", ".toml", ".yaml", ".yml", ".env", ".js", ".py"]
        .into_iter()
        .any(is_file);
    let host = values::instance(key).filter(|domain| !is_file && is_host(domain));
    (host, None)
}

/// Mastodon's longest list of scopes is under 1 KiB.
const MAX_SCOPES: usize = 4 << 10;
