//! Finding the host where an instance's API answers (WEB_DOMAIN). No token is sent meanwhile.

use data_encoding::HEXUPPER;

use crate::model::Domain;

use super::{
    Unanswered, Why,
    fault::Failed,
    named,
    place::{Origin, Target},
    reply::Reply,
};

/// A search, as far as it has come.
#[derive(Debug, Clone)]
pub(super) struct Finding {
    instance: Domain,
    /// A user of it, to be asked for where nothing else helps.
    user: Option<String>,
    step: Step,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    HostMeta(Hop),
    Webfinger(Hop),
    /// Another host was named: does it say that it is this instance's?
    AgreesV2(By),
    AgreesV1(By),
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
    /// It is not known where.
    Failed(Failed),
}

impl Finding {
    /// A new search, and the host that is asked first.
    pub(super) fn new(instance: &Domain, user: Option<&str>) -> (Origin, Self) {
        let finding = Self {
            instance: instance.clone(),
            user: user.map(str::to_owned),
            step: Step::HostMeta(Hop::None),
        };
        (Origin::of_instance(instance), finding)
    }

    /// The path to ask for.
    pub(super) fn path(&self) -> String {
        match self.step {
            Step::HostMeta(_) => HOST_META.to_owned(),
            Step::Webfinger(_) => {
                let user = escaped(self.user.as_deref().unwrap_or_default());
                let instance = escaped(self.instance.as_str());
                format!("{WEBFINGER}?resource=acct:{user}@{instance}")
            }
            Step::AgreesV2(_) => INSTANCE_V2.to_owned(),
            Step::AgreesV1(_) => INSTANCE_V1.to_owned(),
        }
    }

    /// What is wanted from it.
    pub(super) fn accept(&self) -> &'static str {
        match self.step {
            Step::HostMeta(_) => "application/xrd+xml, application/xml;q=0.9",
            Step::Webfinger(_) => "application/jrd+json, application/json;q=0.9",
            Step::AgreesV2(_) | Step::AgreesV1(_) => "application/json",
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
            Step::HostMeta(hop) => {
                if let Some(next) = self.followed(at, reply, hop, HOST_META, Step::HostMeta) {
                    return next;
                }
                let named = match reply.status {
                    200 => named::in_host_meta(&reply.body),
                    _ => None,
                };
                match named {
                    Some(origin) => self.named(origin, hop.into()),
                    None => self.webfinger(at, hop),
                }
            }
            Step::Webfinger(hop) => {
                if let Some(next) = self.followed(at, reply, hop, WEBFINGER, Step::Webfinger) {
                    return next;
                }
                let json = if reply.status == 200 {
                    reply.json()
                } else {
                    None
                };
                match json.as_ref().and_then(named::in_webfinger) {
                    Some(origin) => self.named(origin, hop.into()),
                    None => self.unnamed(at, hop),
                }
            }
            Step::AgreesV2(by) => {
                if self.is_said(reply, "domain") {
                    Found::At(at.clone())
                } else {
                    self.next(at.clone(), Step::AgreesV1(by))
                }
            }
            Step::AgreesV1(by) => {
                if self.is_said(reply, "uri") {
                    Found::At(at.clone())
                } else {
                    self.disagrees(at, by)
                }
            }
        }
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

    fn named(&self, origin: Origin, by: By) -> Found {
        if origin.is_of(&self.instance) {
            return Found::At(origin);
        }
        self.next(origin, Step::AgreesV2(by))
    }

    /// Host-meta said nothing.
    fn webfinger(&self, at: &Origin, hop: Hop) -> Found {
        let own = Origin::of_instance(&self.instance);
        match self.user {
            Some(_) => self.next(own, Step::Webfinger(Hop::None)),
            None => self.unnamed(at, hop),
        }
    }

    /// Nothing is named: it is the instance's own host, unless that one sent us elsewhere.
    fn unnamed(&self, at: &Origin, hop: Hop) -> Found {
        match hop {
            Hop::None => Found::At(Origin::of_instance(&self.instance)),
            Hop::Once => self.named(at.clone(), By::Redirect),
        }
    }

    fn next(&self, origin: Origin, step: Step) -> Found {
        let finding = Self {
            step,
            ..self.clone()
        };
        Found::Next(origin, finding)
    }

    fn is_said(&self, reply: &Reply, field: &str) -> bool {
        let json = if reply.status == 200 {
            reply.json()
        } else {
            None
        };
        let said = json.as_ref().and_then(|json| json.get(field)?.as_str());
        said.and_then(|said| Domain::parse(said).ok())
            .is_some_and(|said| said == self.instance)
    }

    fn disagrees(&self, at: &Origin, by: By) -> Found {
        let (why, points) = match by {
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
            (Failed::NoSuchHost, _) if !is_own => {
                let detail = format!(
                    "{} names {}, which does not exist",
                    self.instance,
                    at.as_str()
                );
                Found::Failed(Unanswered::new(Why::Unreachable, detail).into())
            }
            (Failed::Unanswered(fault), Step::HostMeta(hop)) if fault.why == Why::NotUnderstood => {
                self.webfinger(at, hop)
            }
            (Failed::Unanswered(fault), Step::Webfinger(hop))
                if fault.why == Why::NotUnderstood =>
            {
                self.unnamed(at, hop)
            }
            (failed, _) => Found::Failed(failed),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn search(user: Option<&str>) -> (Origin, Finding) {
        Finding::new(&Domain::parse("m.example").unwrap(), user)
    }

    fn reply(status: u16, body: &str) -> Reply {
        Reply {
            status,
            body: body.as_bytes().to_vec(),
            ..Reply::default()
        }
    }

    #[test]
    fn the_instances_own_host_may_be_gone_and_another_may_not() {
        let (own, finding) = search(None);
        let gone = finding.heard(&own, Err(Failed::NoSuchHost));
        assert!(matches!(gone, Found::Failed(Failed::NoSuchHost)));
        let xrd = r#"<XRD><Link rel="lrdd" template="https://web.example/{uri}"/></XRD>"#;
        let Found::Next(web, finding) = finding.heard(&own, Ok(&reply(200, xrd))) else {
            panic!("it names another");
        };
        assert_eq!(finding.path(), INSTANCE_V2);
        match finding.heard(&web, Err(Failed::NoSuchHost)) {
            Found::Failed(Failed::Unanswered(u)) => {
                assert_eq!(u.why, Why::Unreachable);
                assert!(u.detail.contains("web.example"), "{}", u.detail);
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_document_that_can_t_be_read_is_none_but_silence_ends_the_search() {
        let (own, finding) = search(None);
        let too_large = Unanswered::new(Why::NotUnderstood, "too large");
        let found = finding.heard(&own, Err(too_large.into()));
        assert!(matches!(found, Found::At(origin) if origin == own));
        for why in [Why::Unreachable, Why::Untrusted] {
            let found = finding.heard(&own, Err(Unanswered::new(why, "x").into()));
            assert!(matches!(found, Found::Failed(Failed::Unanswered(u)) if u.why == why));
        }
        let found = finding.heard(&own, Ok(&reply(503, "")));
        assert!(
            matches!(found, Found::Failed(Failed::Unanswered(u)) if u.why == Why::NotUnderstood)
        );
    }

    #[test]
    fn only_one_redirect_is_followed() {
        let (own, finding) = search(Some("a b&c"));
        let to = |host: &str| Reply {
            location: Some(format!("https://{host}.example{HOST_META}")),
            ..reply(302, "")
        };
        let Found::Next(first, finding) = finding.heard(&own, Ok(&to("one"))) else {
            panic!("it is followed");
        };
        assert_eq!(first.as_str(), "one.example");
        let Found::Next(second, finding) = finding.heard(&first, Ok(&to("two"))) else {
            panic!("it goes on otherwise");
        };
        assert_eq!(second, own);
        assert_eq!(
            finding.path(),
            "/.well-known/webfinger?resource=acct:a%20b%26c@m.example"
        );
    }
}
