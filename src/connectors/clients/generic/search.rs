//! Finding tokens in a tree: objects that hold one, and what else of it stands there.

use crate::{
    connectors::values::{self, Unusable, shown},
    document::{Kind, Lines, Member, Node},
    model::{Domain, Scopes},
};

use super::{
    names,
    object::{Named, Object, Place, key_place, usable},
};

/// What a file holds.
pub(super) struct Found<'a> {
    pub(super) entries: Vec<Entry<'a>>,
    /// What is there and is no entry, or should be known; one sentence each.
    pub(super) warnings: Vec<String>,
    /// Whether there may be more than was found.
    pub(super) is_partial: bool,
}

/// An object that holds a token.
pub(super) struct Entry<'a> {
    /// The line of the token, counted from 1.
    pub(super) line: usize,
    pub(super) token: &'a Member,
    /// Members of other names with the same token.
    pub(super) twins: Vec<&'a Member>,
    pub(super) place: Option<Place>,
    pub(super) user: Option<String>,
    pub(super) client_id: Option<&'a Member>,
    pub(super) client_secret: Option<&'a Member>,
    pub(super) scopes: Option<Scopes>,
}

impl Entry<'_> {
    /// The token, where it can be one.
    pub(super) fn secret(&self) -> Result<&str, Unusable> {
        match &self.token.value.kind {
            Kind::Text(text) => values::secret(text),
            _ => Err(Unusable::Empty),
        }
    }
}

/// Searches a tree whose text has these lines. Where it names no instance, the one given is meant.
pub(super) fn search<'a>(root: &'a Node, lines: &Lines, given: Option<&Domain>) -> Found<'a> {
    let given = given.cloned().map(Place::named);
    let around = Around {
        place: given.clone(),
        ..Around::default()
    };
    let mut search = Search {
        lines,
        given,
        found: Found {
            entries: Vec::new(),
            warnings: Vec::new(),
            is_partial: false,
        },
        nodes: 0,
        is_cut: false,
    };
    search.node(root, &around, 0);
    if search.is_cut {
        search.found.is_partial = true;
        search.warn(format!(
            "only the first {MAX_NODES} values and {MAX_DEPTH} levels were searched"
        ));
    }
    search.found
}

/// What the surroundings of a value say.
#[derive(Clone, Default)]
struct Around {
    /// The instance of the nearest enclosing object that has one, or of the key.
    place: Option<Place>,
    /// The account that a key names.
    account: Option<(String, Domain)>,
    /// The other service that this is about.
    service: Option<&'static str>,
}

struct Search<'l, 'a> {
    lines: &'l Lines,
    given: Option<Place>,
    found: Found<'a>,
    nodes: usize,
    is_cut: bool,
}

impl<'a> Search<'_, 'a> {
    fn node(&mut self, node: &'a Node, around: &Around, depth: usize) {
        self.nodes += 1;
        let is_container = matches!(node.kind, Kind::List(_) | Kind::Map(_));
        if self.nodes > MAX_NODES || (is_container && depth > MAX_DEPTH) {
            self.is_cut = true;
            return;
        }
        match &node.kind {
            Kind::List(nodes) => {
                for node in nodes {
                    if self.is_full() {
                        break;
                    }
                    self.node(node, around, depth + 1);
                }
            }
            Kind::Map(members) => self.map(members, around, depth),
            Kind::Text(_) | Kind::Null | Kind::Other => {}
        }
    }

    fn is_full(&mut self) -> bool {
        self.is_cut |= self.nodes >= MAX_NODES;
        self.nodes >= MAX_NODES
    }

    fn map(&mut self, members: &'a [Member], around: &Around, depth: usize) {
        let object = Object::of(members);
        if let Some(twice) = object.twice {
            self.warn_at(twice, "a key stands twice: the last one is used");
        }
        let here = self.here(&object, around);
        self.entry(&object, &here);
        for (member, name) in &object.members {
            if self.is_full() {
                break;
            }
            let (host, user) = key_place(&member.key);
            if user.is_some() && member.value.text().is_some_and(looks_like_token) {
                let why = "what stands under the name of an account may be a token: not imported \
                           without a usual name";
                self.warn_at(member, why);
            }
            let below = inside(name.as_deref(), host, user, &here);
            self.node(&member.value, &below, depth + 1);
        }
    }

    /// What an object adds to its surroundings.
    fn here(&self, object: &Object<'a>, around: &Around) -> Around {
        let account = around.account.as_ref();
        let place = match (object.place(), account) {
            (Named::One(place), Some((_, host))) if place.is_api => Some(place.of_instance(host)),
            (Named::One(place), _) => Some(place),
            (Named::Nothing, _) => around.place.clone(),
            (Named::Several, _) => self.given.clone(),
        };
        let is_there = |host: &Domain| place.as_ref().is_some_and(|place| place.is(host));
        Around {
            account: account.filter(|(_, host)| is_there(host)).cloned(),
            service: around.service,
            place,
        }
    }

    /// Takes the token of an object, once.
    fn entry(&mut self, object: &Object<'a>, here: &Around) {
        let place = here.place.clone();
        let mut tokens = self.tokens(object, here.service);
        // The most specific of those that can be one.
        tokens.sort_by_key(|(member, name)| (usable(Some(*member)).is_some(), name.len()));
        let Some((token, _)) = tokens.pop() else {
            return;
        };
        if matches!(token.value.kind, Kind::Other) {
            self.found.is_partial = true;
            let why = format!("expected a string for \"{}\"", shown(&token.key));
            return self.warn_at(token, &why);
        }
        if !tokens.is_empty() {
            let key = shown(&token.key);
            self.warn_at(token, &format!("of several tokens, \"{key}\" is used"));
        }
        if place.is_none() && matches!(object.place(), Named::Several) {
            self.warn_at(
                token,
                "the object names several hosts, of which none is surely the instance",
            );
        }
        let text = token.value.text();
        let twins = tokens.into_iter().map(|(member, _)| member);
        let twins = twins.filter(|member| text.is_some() && member.value.text() == text);
        let twins = twins.collect();
        let user = self.user(object, place.as_ref(), token);
        self.found.entries.push(Entry {
            line: self.lines.number(token.key_span.start),
            token,
            twins,
            user: user.or_else(|| here.account.clone().map(|(user, _)| user)),
            client_id: object.text(names::CLIENT_ID),
            client_secret: object.text(names::CLIENT_SECRET),
            scopes: object.scopes(),
            place,
        });
    }

    /// The tokens of an object that can be Mastodon's.
    fn tokens(
        &mut self,
        object: &Object<'a>,
        around: Option<&'static str>,
    ) -> Vec<(&'a Member, String)> {
        let mut tokens = object.all(names::TOKEN);
        tokens.retain(|(member, _)| !matches!(member.value.kind, Kind::List(_) | Kind::Map(_)));
        let keys = || {
            object
                .members
                .iter()
                .filter_map(|(_, name)| name.as_deref())
        };
        let is_oauth1 = keys().any(names::is_oauth1);
        let beside = keys().find_map(names::service);
        tokens.retain(|(member, name)| {
            let other = if is_oauth1 {
                Some("OAuth 1")
            } else if names::is_mastodons(name) {
                None
            } else {
                around.or(beside.filter(|_| names::is_vague(name)))
            };
            if let Some(other) = other {
                let key = shown(&member.key);
                self.warn_at(
                    member,
                    &format!("\"{key}\" is taken for that of {other}: not imported"),
                );
            }
            other.is_none()
        });
        tokens
    }

    /// The user that an object names, unless it is one of another host (or the address of a mailbox).
    fn user(
        &mut self,
        object: &Object<'a>,
        place: Option<&Place>,
        token: &Member,
    ) -> Option<String> {
        for name in names::ACCOUNT {
            let Some(text) = object.text(&[name]).and_then(|member| member.value.text()) else {
                continue;
            };
            let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
            if is_number || values::is_placeholder(text) || values::is_reference(text) {
                continue;
            }
            let Some((user, host)) = values::handle(text) else {
                continue;
            };
            let is_there = |host: &Domain| place.is_some_and(|place| place.is(host));
            if host.is_some_and(|host| !is_there(&host)) {
                self.warn_at(
                    token,
                    "the account beside it is not of its instance: taken for unknown",
                );
                continue;
            }
            return Some(user.to_owned());
        }
        None
    }

    fn warn(&mut self, what: String) {
        self.found.warnings.push(what);
    }

    fn warn_at(&mut self, member: &Member, what: &str) {
        let line = self.lines.number(member.key_span.start);
        self.warn(format!("line {line}: {what}"));
    }
}

/// What is around the value of a member with this name, or the host and user that its key names.
fn inside(name: Option<&str>, host: Option<Domain>, user: Option<String>, here: &Around) -> Around {
    let service = match name {
        Some(name) if names::is_mastodons(name) => None,
        Some(name) => names::service(name).or(here.service),
        None => here.service,
    };
    let Some(host) = host else {
        return Around {
            service,
            ..here.clone()
        };
    };
    Around {
        place: Some(Place::named(host.clone())),
        account: user.map(|user| (user, host)),
        service,
    }
}

/// Long enough, and made of what tokens are made of.
fn looks_like_token(text: &str) -> bool {
    text.len() >= 32 && values::secret(text).is_ok()
}

/// No bot's configuration is nested more deeply.
const MAX_DEPTH: usize = 8;

/// No bot's configuration holds more values.
pub(super) const MAX_NODES: usize = 10_000;
