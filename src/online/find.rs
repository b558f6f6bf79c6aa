//! Finding the host where an instance's API answers (WEB_DOMAIN). No token is sent meanwhile.

use data_encoding::HEXUPPER;
use serde_json::Value;

use crate::model::Domain;

use super::{
    Unanswered, Why,
    fault::Failed,
    named,
    place::{Origin, Target},
    reply::Reply,
    seen::Seen,
};

/// A search, as far as it has come.
#[derive(Debug, Clone)]
pub(super) struct Finding {
    instance: Domain,
    /// The names that are still to be looked up by WebFinger where host-meta names nobody, the next one first.
    names: Vec<String>,
    /// Where host-meta redirected to, without a host being named there.
    elsewhere: Option<Origin>,
    /// What the instance's own host was found to be in the place of an instance.
    own: Option<NoInstance>,
    /// Whether the instance was asked which host it is, or only the one that its records name so far.
    is_search: bool,
    step: Step,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    HostMeta(Hop),
    Webfinger(Hop),
    /// Another host was named: does it say that it is this instance's?
    AgreesV2(By),
    AgreesV1(By),
    /// No other one was named: is the own one an instance at all? It may be a web site that has the domain of the handles.
    OwnV2,
    OwnV1 {
        is_site_in_v2: bool,
    },
    /// Its API is not there: has it a front page, so that it is a web site, or is nothing there at the moment?
    OwnPage,
}

impl Step {
    fn is_of_record(self) -> bool {
        matches!(
            self,
            Self::AgreesV2(By::Record) | Self::AgreesV1(By::Record)
        )
    }
}

/// A host that no token is sent to.
#[derive(Debug, Clone)]
enum NoInstance {
    /// Something else answers there, in these words.
    Site(String),
    /// It may be one that is broken.
    Unclear(Unanswered),
}

/// Whether a redirect was followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hop {
    None,
    Once,
}

/// How the other host came up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    /// By the records: it was not the instance that named it.
    Record,
    Name,
    Redirect,
}

impl From<Hop> for By {
    fn from(hop: Hop) -> Self {
        match hop {
            Hop::None => Self::Name,
            Hop::Once => Self::Redirect,
        }
    }
}

/// How it goes on.
#[derive(Debug)]
pub(super) enum Found {
    /// Ask there.
    Next(Origin, Finding),
    /// The API answers there.
    At(Origin),
    /// Nowhere: there is something else in its place, in these words.
    Gone(String),
    /// It is not known where.
    Failed(Failed),
}

impl Finding {
    /// A new search, and the host that is asked first. `users`: names of the instance's users, of which a few are looked
    /// up if it comes to that; any of them may have been deleted.
    pub(super) fn new<'u>(
        instance: &Domain,
        users: impl IntoIterator<Item = &'u str>,
    ) -> (Origin, Self) {
        // From Mastodon 3.0 on an instance has an account of its own, whose name is its domain.
        let mut names = vec![instance.as_str().to_owned()];
        for user in users {
            if names.len() > MOST_USERS {
                break;
            }
            if !names.iter().any(|name| name == user) {
                names.push(user.to_owned());
            }
        }
        let finding = Self {
            instance: instance.clone(),
            names,
            elsewhere: None,
            own: None,
            is_search: true,
            step: Step::HostMeta(Hop::None),
        };
        (Origin::of_instance(instance), finding)
    }

    /// The same, which asks first the host that records name.
    pub(super) fn at<'u>(
        origin: Origin,
        instance: &Domain,
        users: impl IntoIterator<Item = &'u str>,
    ) -> (Origin, Self) {
        let (own, search) = Self::new(instance, users);
        let finding = Self {
            is_search: false,
            step: if origin == own {
                Step::OwnV2
            } else {
                Step::AgreesV2(By::Record)
            },
            ..search
        };
        (origin, finding)
    }

    /// The path to ask for.
    pub(super) fn path(&self) -> String {
        match self.step {
            Step::HostMeta(_) => HOST_META.to_owned(),
            Step::Webfinger(_) => {
                let name = self.names.first().map(String::as_str);
                let name = escaped(name.unwrap_or_default());
                let instance = escaped(self.instance.as_str());
                format!("{WEBFINGER}?resource=acct:{name}@{instance}")
            }
            Step::AgreesV2(_) | Step::OwnV2 => INSTANCE_V2.to_owned(),
            Step::AgreesV1(_) | Step::OwnV1 { .. } => INSTANCE_V1.to_owned(),
            Step::OwnPage => "/".to_owned(),
        }
    }

    /// What is wanted from it.
    pub(super) fn accept(&self) -> &'static str {
        match self.step {
            Step::HostMeta(_) => "application/xrd+xml, application/xml;q=0.9",
            Step::Webfinger(_) => "application/jrd+json, application/json;q=0.9",
            Step::AgreesV2(_) | Step::AgreesV1(_) | Step::OwnV2 | Step::OwnV1 { .. } => {
                "application/json"
            }
            Step::OwnPage => "text/html, */*;q=0.1",
        }
    }

    /// What an answer of the host that was asked comes to.
    pub(super) fn heard(&self, at: &Origin, heard: Result<&Reply, Failed>) -> Found {
        let reply = match heard {
            Ok(reply) => reply,
            Err(failed) => return self.unheard(at, failed),
        };
        if reply.status >= 500 {
            let detail = format!("{} answered {}", at.as_str(), reply.status);
            return Found::Failed(Unanswered::new(Why::NotUnderstood, detail).into());
        }
        match self.step {
            Step::HostMeta(hop) => self.heard_host_meta(at, reply, hop),
            Step::Webfinger(hop) => self.heard_webfinger(at, reply, hop),
            Step::AgreesV2(by) if self.agrees(reply, "domain", by) => Found::At(at.clone()),
            Step::AgreesV1(by) if self.agrees(reply, "uri", by) => Found::At(at.clone()),
            Step::AgreesV2(by) => self.next(at.clone(), Step::AgreesV1(by)),
            Step::AgreesV1(by) => self.disagrees(at, by),
            Step::OwnV2 => self.heard_own(at, reply, None),
            Step::OwnV1 { is_site_in_v2 } => self.heard_own(at, reply, Some(is_site_in_v2)),
            Step::OwnPage => self.heard_page(at, reply),
        }
    }

    fn heard_host_meta(&self, at: &Origin, reply: &Reply, hop: Hop) -> Found {
        if let Some(next) = self.followed(at, reply, hop, HOST_META, Step::HostMeta) {
            return next;
        }
        let named = match reply.status {
            200 => named::in_host_meta(&reply.body),
            _ => None,
        };
        match named {
            Some(origin) if self.may_name(&origin, at, hop) => self.named(origin, hop.into()),
            _ => self.silent_host_meta(at, hop),
        }
    }

    fn heard_webfinger(&self, at: &Origin, reply: &Reply, hop: Hop) -> Found {
        if let Some(next) = self.followed(at, reply, hop, WEBFINGER, Step::Webfinger) {
            return next;
        }
        let json = match reply.status {
            200 => reply.json(),
            _ => None,
        };
        match json.as_ref().and_then(named::in_webfinger) {
            Some(origin) if self.may_name(&origin, at, hop) => {
                self.without_name().named(origin, hop.into())
            }
            _ => self.silent_webfinger(at, hop),
        }
    }

    /// `is_site_in_v2`: what `/api/v2/instance` has shown, where it was asked before.
    fn heard_own(&self, at: &Origin, reply: &Reply, is_site_in_v2: Option<bool>) -> Found {
        let seen = Seen::in_answer(reply);
        match (seen, is_site_in_v2) {
            // Other software writes its domain elsewhere, or another one: that it is an instance is enough here.
            (Seen::Instance(_) | Seen::Withheld, _) => Found::At(at.clone()),
            (seen, None) => {
                let is_site_in_v2 = matches!(seen, Seen::Site(_) | Seen::Absent(_));
                self.next(at.clone(), Step::OwnV1 { is_site_in_v2 })
            }
            (Seen::Site(words), Some(true)) => self.no_instance(NoInstance::Site(words)),
            (Seen::Absent(words), Some(true)) => self
                .with_own(NoInstance::Site(words))
                .next(at.clone(), Step::OwnPage),
            (Seen::Site(_) | Seen::Absent(_) | Seen::Unclear, Some(_)) => {
                self.no_instance(NoInstance::Unclear(unclear(at, reply)))
            }
        }
    }

    /// A web site has a page, or sends one to it. A gateway whose server is down has none.
    fn heard_page(&self, at: &Origin, reply: &Reply) -> Found {
        let location = reply.location.as_deref().filter(|_| reply.is_redirect());
        let target = location.and_then(|location| Target::of_location(location, at));
        let is_sent_on = target.is_some_and(|target| target.is_https && target.origin == *at);
        let own = self.own.clone();
        match own.filter(|_| is_sent_on || matches!(Seen::in_answer(reply), Seen::Site(_))) {
            Some(site) => self.no_instance(site),
            None => self.no_instance(NoInstance::Unclear(unclear(at, reply))),
        }
    }

    fn with_own(&self, own: NoInstance) -> Self {
        let own = Some(own);
        Self {
            own,
            ..self.clone()
        }
    }

    /// The instance's own host is none; another one may still be named.
    fn no_instance(&self, own: NoInstance) -> Found {
        let finding = self.with_own(own);
        if finding.is_search {
            finding.unnamed()
        } else {
            finding.search()
        }
    }

    /// Leaves the host that records name, and asks the instance.
    fn search(&self) -> Found {
        let finding = Self {
            is_search: true,
            ..self.clone()
        };
        let own = Origin::of_instance(&self.instance);
        finding.next(own, Step::HostMeta(Hop::None))
    }

    /// A redirect to the same path of another host, over TLS, is followed once.
    fn followed(
        &self,
        at: &Origin,
        reply: &Reply,
        hop: Hop,
        path: &str,
        step: fn(Hop) -> Step,
    ) -> Option<Found> {
        if hop == Hop::Once || !reply.is_redirect() {
            return None;
        }
        let target = Target::of_location(reply.location.as_deref()?, at)?;
        let target_path = target.path.split('?').next().unwrap_or_default();
        if !target.is_https || target.origin == *at || target_path != path {
            return None;
        }
        Some(self.next(target.origin, step(Hop::Once)))
    }

    /// A host that the instance redirects to may name itself or the instance, and nobody that the instance doesn't know of.
    fn may_name(&self, origin: &Origin, at: &Origin, hop: Hop) -> bool {
        hop == Hop::None || origin == at || origin.is_of(&self.instance)
    }

    fn named(&self, origin: Origin, by: By) -> Found {
        if !origin.is_of(&self.instance) {
            return self.next(origin, Step::AgreesV2(by));
        }
        match self.own {
            None => self.next(origin, Step::OwnV2),
            Some(_) => self.unnamed(),
        }
    }

    fn silent_host_meta(&self, at: &Origin, hop: Hop) -> Found {
        let elsewhere = match hop {
            Hop::None => None,
            Hop::Once => Some(at.clone()),
        };
        Self {
            elsewhere,
            ..self.clone()
        }
        .unnamed()
    }

    /// A host that WebFinger redirects to is named by that.
    fn silent_webfinger(&self, at: &Origin, hop: Hop) -> Found {
        let finding = self.without_name();
        match hop {
            Hop::None => finding.unnamed(),
            Hop::Once => finding.named(at.clone(), By::Redirect),
        }
    }

    fn without_name(&self) -> Self {
        let names = self.names.iter().skip(1).cloned().collect();
        Self {
            names,
            ..self.clone()
        }
    }

    /// Nobody was named so far: the next name is looked up; after the last one it is where host-meta sent us, or the
    /// instance's own host, if that is an instance.
    fn unnamed(&self) -> Found {
        let own = Origin::of_instance(&self.instance);
        if !self.names.is_empty() {
            return self.next(own, Step::Webfinger(Hop::None));
        }
        match (&self.elsewhere, &self.own) {
            (Some(origin), _) => self.next(origin.clone(), Step::AgreesV2(By::Redirect)),
            (None, None) => self.next(own, Step::OwnV2),
            (None, Some(NoInstance::Site(words))) => Found::Gone(words.clone()),
            (None, Some(NoInstance::Unclear(unanswered))) => {
                Found::Failed(unanswered.clone().into())
            }
        }
    }

    fn next(&self, origin: Origin, step: Step) -> Found {
        let finding = Self {
            step,
            ..self.clone()
        };
        Found::Next(origin, finding)
    }

    /// Whether the host that was named says that it is this instance's; GoToSocial says it in `account_domain`. One that
    /// tells nothing to strangers (limited federation) is believed, too, if it was the instance's own answer over HTTPS
    /// that named it.
    fn agrees(&self, reply: &Reply, field: &str, by: By) -> bool {
        match Seen::in_answer(reply) {
            Seen::Instance(fields) => [field, "account_domain"].iter().any(|field| {
                let said = fields.get(*field).and_then(Value::as_str);
                said.and_then(|said| Domain::parse(said).ok())
                    .is_some_and(|said| said == self.instance)
            }),
            Seen::Withheld => by != By::Record,
            Seen::Site(_) | Seen::Absent(_) | Seen::Unclear => false,
        }
    }

    fn disagrees(&self, at: &Origin, by: By) -> Found {
        let (why, points) = match by {
            By::Record => return self.search(),
            By::Name => (Why::NotUnderstood, "names"),
            By::Redirect => (Why::Redirected, "redirects to"),
        };
        let (instance, at) = (&self.instance, at.as_str());
        let detail = format!(
            "{instance} {points} {at}, which does not say that it is {instance}: the token was not sent"
        );
        Found::Failed(Unanswered::new(why, detail).into())
    }

    /// The instance's own host may be gone. Another one that can't be reached says nothing about the instance, and a
    /// document that can't be read is none.
    fn unheard(&self, at: &Origin, failed: Failed) -> Found {
        let is_own = at.is_of(&self.instance);
        match (failed, self.step) {
            (Failed::NoSuchHost, step) if !is_own => {
                let (instance, at) = (&self.instance, at.as_str());
                let detail = if step.is_of_record() {
                    format!("the host of its API, {at}, does not exist")
                } else {
                    format!("{instance} names {at}, which does not exist")
                };
                Found::Failed(Unanswered::new(Why::Unreachable, detail).into())
            }
            (Failed::Unanswered(fault), Step::HostMeta(hop)) if fault.why == Why::NotUnderstood => {
                self.silent_host_meta(at, hop)
            }
            (Failed::Unanswered(fault), Step::Webfinger(hop))
                if fault.why == Why::NotUnderstood =>
            {
                self.silent_webfinger(at, hop)
            }
            (failed, _) => Found::Failed(failed),
        }
    }
}

/// Why the instance's own host gets no token, though it may be an instance.
fn unclear(at: &Origin, reply: &Reply) -> Unanswered {
    let host = at.as_str();
    let location = reply.location.as_deref().filter(|_| reply.is_redirect());
    match location.and_then(|location| Target::of_location(location, at)) {
        Some(target) => {
            let target = target.shown_origin();
            let detail = format!("{host} redirects to {target}: the token was not sent there");
            Unanswered::new(Why::Redirected, detail)
        }
        None => {
            let detail =
                format!("{host} does not answer as an instance does: the token was not sent");
            Unanswered::new(Why::NotUnderstood, detail)
        }
    }
}

/// Percent-encoded, but for what a query may hold anyway.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~:".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            let digits = HEXUPPER.encode(&[byte]);
            escaped.extend(["%", digits.as_str()]);
        }
    }
    escaped
}

const HOST_META: &str = "/.well-known/host-meta";
const WEBFINGER: &str = "/.well-known/webfinger";
const INSTANCE_V2: &str = "/api/v2/instance";
const INSTANCE_V1: &str = "/api/v1/instance";
/// Users that are looked up, besides the instance's own account.
const MOST_USERS: usize = 2;

#[cfg(test)]
#[path = "find_tests.rs"]
mod tests;
