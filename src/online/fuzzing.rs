//! What a fuzzer feeds and nobody else needs.

use std::time::Duration;

use jiff::Timestamp;

use crate::model::{Domain, TokenId, User};

use super::{
    Question,
    answer::{Because, Reading},
    named, pause,
    place::{Origin, Target},
    reply::Reply,
};

/// Reads bytes as an answer: the first two are its status and kind, then come a line with a header and the body.
pub fn answer(bytes: &[u8]) {
    let [status, kind, rest @ ..] = bytes else {
        return;
    };
    let split = rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len());
    let (line, body) = rest.split_at_checked(split).unwrap_or((rest, &[]));
    let header = Some(String::from_utf8_lossy(line).into_owned());
    let reply = Reply {
        status: STATUSES
            .get(usize::from(*status) % STATUSES.len())
            .copied()
            .unwrap_or(200),
        content_type: (kind & 1 == 0).then(|| "application/json".to_owned()),
        location: header.clone(),
        challenge: header.clone(),
        date: header.clone(),
        retry_after: header.clone(),
        remaining: Some("0".to_owned()),
        reset: header,
        body: body.get(1..).unwrap_or_default().to_vec(),
    };
    let question = Question {
        id: TokenId([0; 16]),
        instance: Domain::stored("m.example"),
        base_url: None,
        user: User::Named("alice".to_owned()),
        app_names: vec!["toot".to_owned()],
        app_id: (kind & 2 == 0).then_some(12),
        access_token: "token".into(),
    };
    let origin = Origin::of_instance(&question.instance);
    let reading = Reading {
        question: &question,
        origin: &origin,
        at: Timestamp::UNIX_EPOCH,
    };
    drop(reading.of_account(&reply, true));
    drop(reading.of_account(&reply, false));
    for because in [Because::Application, Because::LacksScope, Because::NoUser] {
        drop(reading.of_app(&reply, because));
    }
    let pause = pause::pause(&reply, Timestamp::UNIX_EPOCH, Duration::from_secs(330));
    assert!(pause.is_none_or(|pause| !pause.is_zero()));
}

/// Reads bytes as a host-meta document, as a WebFinger one, and as an address.
pub fn host_meta(bytes: &[u8]) {
    drop(named::in_host_meta(bytes));
    if let Ok(json) = serde_json::from_slice(bytes) {
        drop(named::in_webfinger(&json));
    }
    if let Ok(text) = str::from_utf8(bytes) {
        drop(Origin::of_base_url(text));
        drop(Target::of_location(
            text,
            &Origin::of_instance(&Domain::stored("m.example")),
        ));
    }
}

const STATUSES: [u16; 12] = [200, 301, 400, 401, 403, 404, 410, 422, 429, 500, 503, 204];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(status: u8, kind: u8, header in ".{0,60}", body: Vec<u8>, text in "[ -~]{0,60}") {
            let head = [[status, kind].as_slice(), header.as_bytes(), b"\n"].concat();
            super::answer(&[head.as_slice(), &body].concat());
            super::host_meta(&body);
            super::host_meta(text.as_bytes());
            super::host_meta(format!("<XRD><Link rel='lrdd' template='{text}'/></XRD>").as_bytes());
        }
    }
}
