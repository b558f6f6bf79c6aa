//! The host that an instance names: in its host-meta (RFC 6415) or for an account (RFC 7033).

use quick_xml::{
    Reader, XmlVersion,
    events::{BytesStart, Event},
};
use serde_json::Value;

use super::place::{Origin, Target};

/// The host in `<Link rel="lrdd" template="https://HOST/…"/>`. Entities that a document declares are never put in.
pub(super) fn in_host_meta(xml: &[u8]) -> Option<Origin> {
    let mut reader = Reader::from_str(str::from_utf8(xml).ok()?);
    for _ in 0..MAX_EVENTS {
        match reader.read_event().ok()? {
            Event::Start(start) | Event::Empty(start) => {
                if let Some(origin) = in_link(&start) {
                    return Some(origin);
                }
            }
            Event::Eof => return None,
            _ => {}
        }
    }
    None
}

fn in_link(start: &BytesStart<'_>) -> Option<Origin> {
    if start.local_name().into_inner() != "Link" {
        return None;
    }
    let (mut rel, mut template) = (None, None);
    for attribute in start.attributes() {
        let attribute = attribute.ok()?;
        let place = match attribute.key.into_inner() {
            "rel" => &mut rel,
            "template" => &mut template,
            _ => continue,
        };
        let value = attribute.normalized_value(XmlVersion::Implicit1_0).ok()?;
        *place = Some(value.into_owned());
    }
    match (rel?.as_str(), template?) {
        ("lrdd", template) => https_origin(&template),
        _ => None,
    }
}

/// The host of an account's own address: `links`, `rel` = `self`.
pub(super) fn in_webfinger(json: &Value) -> Option<Origin> {
    let links = json.get("links")?.as_array()?;
    let own = links
        .iter()
        .find(|link| link.get("rel").and_then(Value::as_str) == Some("self"))?;
    https_origin(own.get("href")?.as_str()?)
}

fn https_origin(url: &str) -> Option<Origin> {
    let target = Target::of_url(url)?;
    target.is_https.then_some(target.origin)
}

/// Mastodon's has five.
const MAX_EVENTS: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn host(xml: &str) -> Option<String> {
        in_host_meta(xml.as_bytes()).map(|origin| origin.as_str().to_owned())
    }

    #[test]
    fn mastodons_host_meta_is_read() {
        let xml = r#"<?xml version="1.0" encoding="UTF-8"?>
<XRD xmlns="http://docs.oasis-open.org/ns/xri/xrd-1.0">
  <Link rel="lrdd" template="https://social.m.example/.well-known/webfinger?resource={uri}"/>
</XRD>"#;
        assert_eq!(host(xml).as_deref(), Some("social.m.example"));
        let older = r#"<XRD><Link type="application/xrd+xml" template='https://social.m.example/w?r={uri}' rel='lrdd'></Link></XRD>"#;
        assert_eq!(host(older).as_deref(), Some("social.m.example"));
    }

    #[test]
    fn what_is_no_xrd_or_not_https_names_nobody() {
        for xml in [
            "",
            "<html><body>404",
            "<XRD></XRD>",
            r#"<XRD><Link rel="lrdd" template="http://m.example/w?{uri}"/></XRD>"#,
            r#"<XRD><Link rel="lrdd" template="https://u:p@m.example/w?{uri}"/></XRD>"#,
            r#"<XRD><Link rel="other" template="https://m.example/w?{uri}"/></XRD>"#,
            r#"<XRD><Link rel="lrdd"/></XRD>"#,
            r#"<!DOCTYPE x [<!ENTITY h "m.example">]><XRD><Link rel="lrdd" template="https://&h;/w"/></XRD>"#,
        ] {
            assert_eq!(host(xml), None, "{xml}");
        }
    }

    #[test]
    fn an_accounts_own_address_names_the_host() {
        let json = serde_json::json!({"subject": "acct:alice@m.example", "links": [
            {"rel": "http://webfinger.net/rel/profile-page", "href": "https://x.example/@alice"},
            {"rel": "self", "type": "application/activity+json", "href": "https://social.m.example/users/alice"},
        ]});
        let origin = in_webfinger(&json).unwrap();
        assert_eq!(origin.as_str(), "social.m.example");
        for json in [
            "{}",
            "null",
            "[]",
            r#"{"links":{}}"#,
            r#"{"links":[{"rel":"self"}]}"#,
        ] {
            assert_eq!(in_webfinger(&serde_json::from_str(json).unwrap()), None);
        }
    }
}
