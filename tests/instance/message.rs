//! What is asked, and what is sent back.

/// A request that arrived.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// The host that it was for, as its `Host` says: `m.example`, or `127.0.0.1:4711`.
    pub(crate) host: String,
    /// How it came.
    pub(crate) way: Way,
    pub(crate) method: String,
    /// Path and query.
    pub(crate) target: String,
    /// Names in small letters.
    pub(crate) headers: Vec<(String, String)>,
    /// All of it, as it came.
    pub(crate) raw: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// Over TLS, directly.
    Direct,
    /// Over TLS, inside of a CONNECT.
    Tunnel,
    /// In the clear.
    Plain,
    /// A CONNECT itself.
    Connect,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers
            .find(|(other, _)| other == name)
            .map(|(_, value)| value.as_str())
    }

    /// The token in its `Authorization` header.
    pub(crate) fn token(&self) -> Option<&str> {
        self.header("authorization")?.strip_prefix("Bearer ")
    }

    /// The path without the query.
    pub(crate) fn path(&self) -> &str {
        self.target.split('?').next().unwrap()
    }
}

/// What is sent back.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) manner: Manner,
}

/// How it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// As it should be.
    Whole,
    /// The same, and then the connection is closed, though that was not said.
    HangUp,
    /// The body is followed by spaces without end.
    Endless,
    /// A byte of the body, a pause, a byte: for hours.
    Drip,
    /// The same with the headers.
    DripHeaders,
    /// Half of the body, then the connection is gone: no close_notify.
    Cut,
    /// The same without a length: the end of the connection would be the end of the body.
    CutWithoutLength,
    /// HTTP/1.0, without a length, closed in due form.
    Http10,
    /// With a header of 200 KiB.
    HugeHeaders,
    /// Nothing at all: closed.
    Close,
    /// Something that is no HTTP.
    Garbage,
}

impl Reply {
    pub(crate) fn json(status: u16, body: &str) -> Self {
        Self::text(status, "application/json; charset=utf-8", body)
    }

    pub(crate) fn html(status: u16) -> Self {
        Self::text(
            status,
            "text/html; charset=utf-8",
            "<html><body>Hello</body></html>",
        )
    }

    pub(crate) fn text(status: u16, content_type: &str, body: &str) -> Self {
        Self {
            status,
            headers: vec![("content-type".to_owned(), content_type.to_owned())],
            body: body.as_bytes().to_vec(),
            manner: Manner::Whole,
        }
    }

    pub(crate) fn redirect(location: &str) -> Self {
        Self::html(301).with("location", location)
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn manner(mut self, manner: Manner) -> Self {
        self.manner = manner;
        self
    }

    /// A sample of `tests/data/mastodon-api`: its status, headers and body.
    pub(crate) fn sample(name: &str) -> Self {
        let text = std::fs::read_to_string(format!("tests/data/mastodon-api/{name}.json")).unwrap();
        let sample: serde_json::Value = serde_json::from_str(&text).unwrap();
        let headers = sample["headers"].as_object().unwrap().iter();
        Self {
            status: sample["status"].as_u64().unwrap().try_into().unwrap(),
            headers: headers
                .map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()))
                .collect(),
            body: serde_json::to_vec(&sample["body"]).unwrap(),
            manner: Manner::Whole,
        }
    }
}
