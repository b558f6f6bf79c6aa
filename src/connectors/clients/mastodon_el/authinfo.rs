//! Files of passwords that Emacs' auth-source reads (`~/.authinfo`, `~/.netrc`), when a person names one and an
//! instance: `machine HOST login NAME password TOKEN`.
//!
//! Evidence: Emacs 30, `auth-source.el` (`auth-source-netrc-parse-entries`, `auth-source-netrc-parse-one`);
//! mastodon.el 2.0, `mastodon-auth-source-token` (the host of the instance's URL, the user's name without it).
//!
//! The same file holds the passwords of other programs, and perhaps that of the account itself. Promises that nothing of
//! a line is kept unless it is of that instance, has no port (a browser's password has), and looks like a token.

use crate::{
    connectors::{
        Error, ReadRequest,
        place::Loaded,
        store::{self, Entry, Skipped},
        values,
    },
    model::{Scope, Snapshot},
};

/// Whether the text is such a file: whatever stands in it before the first entry is a comment.
pub(super) fn is_one(bytes: &[u8]) -> bool {
    let text = std::str::from_utf8(bytes).unwrap_or_default();
    let words = &mut Words::of(text);
    matches!(words.next(), Some((_, "machine" | "default" | "macdef")))
}

/// Reads the lines of `request.instance`, which are a source of their own: others of the file were not asked for.
pub(super) fn read(
    file: &Loaded,
    request: &ReadRequest,
    snapshot: &mut Snapshot,
) -> Result<(), Error> {
    let malformed = |detail: String| Error::Malformed {
        path: file.path().to_owned(),
        detail,
    };
    let Some(instance) = &request.instance else {
        let what = "it holds passwords of many programs: say with --instance which of them is of a Mastodon server";
        return Err(malformed(what.to_owned()));
    };
    let text = std::str::from_utf8(file.bytes()).unwrap_or_default();
    let is_meant = |line: &Line<'_>| {
        values::instance(line.machine).as_ref() == Some(instance)
            && request.user.as_deref().is_none_or(|user| {
                let name = line.login.and_then(values::handle);
                name.is_some_and(|(name, _)| name.eq_ignore_ascii_case(user))
            })
    };
    let entries: Vec<_> = lines(text)
        .iter()
        .filter(|line| is_meant(line))
        .map(|line| entry(line, instance.as_str()))
        .collect();
    if entries.is_empty() {
        return Err(malformed(format!("it has no line for {instance}")));
    }
    let location = &mut snapshot.source.location;
    *location = format!("{location} ({instance})");
    if let Some(user) = &request.user {
        snapshot.scope = Scope::User(user.clone());
    }
    store::import(&entries, request, snapshot);
    Ok(())
}

fn entry(line: &Line<'_>, instance: &str) -> Entry<()> {
    let login = line.login.and_then(values::handle);
    let is_elsewhere = login
        .as_ref()
        .and_then(|(_, host)| host.as_ref())
        .is_some_and(|host| host.as_str() != instance);
    let is_token = line.password.is_some_and(|text| {
        let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.=~+/".contains(&byte);
        text.len() >= MIN_TOKEN && text.bytes().all(is_part)
    });
    let skipped = if line.password.is_some_and(|text| text.starts_with("gpg:")) {
        Some(
            "its password is encrypted: read it in Emacs, and put the token in clear into a file of its own",
        )
    } else if line.has_port || login.is_none() || is_elsewhere || !is_token {
        Some(
            "it looks like a password, not like mastodon.el's token: not imported (expected `machine HOST login NAME \
             password TOKEN`)",
        )
    } else {
        None
    };
    let held = skipped.is_none();
    Entry {
        label: format!("line {}", line.number),
        instance: Some(instance.to_owned()),
        user: login.filter(|_| held).map(|(name, _)| name.to_owned()),
        token: line
            .password
            .filter(|_| held)
            .map(|text| text.to_owned().into()),
        app_name: Some("mastodon.el".to_owned()),
        redirect_uri: Some("urn:ietf:wg:oauth:2.0:oob".to_owned()),
        skipped: skipped.map(Skipped::known),
        ..Entry::default()
    }
}

/// An entry, which nearly always is a line.
struct Line<'a> {
    number: usize,
    machine: &'a str,
    login: Option<&'a str>,
    password: Option<&'a str>,
    has_port: bool,
}

fn lines(text: &str) -> Vec<Line<'_>> {
    let mut lines: Vec<Line<'_>> = Vec::new();
    let mut words = Words::of(text);
    while let Some((number, word)) = words.next() {
        match word {
            "macdef" => words.pass_macro(),
            "default" => lines.push(Line::new(number, "")),
            "machine" | "host" => {
                let machine = words.next().map_or("", |(_, word)| word);
                lines.push(Line::new(number, machine));
            }
            key => {
                let value = words.next().map(|(_, word)| word);
                let Some(line) = lines.last_mut() else {
                    continue;
                };
                match key {
                    "login" | "user" | "account" if line.login.is_none() => line.login = value,
                    "password" if line.password.is_none() => line.password = value,
                    "port" | "protocol" => line.has_port = true,
                    _ => {}
                }
            }
        }
    }
    lines
}

impl<'a> Line<'a> {
    fn new(number: usize, machine: &'a str) -> Self {
        Self {
            number,
            machine,
            login: None,
            password: None,
            has_port: false,
        }
    }
}

/// The words of a text with the numbers of their lines. Quotes hold a word together; there are no escapes.
struct Words<'a> {
    rest: &'a str,
    line: usize,
}

impl<'a> Words<'a> {
    fn of(text: &'a str) -> Self {
        Self {
            rest: text.trim_start_matches('\u{feff}'),
            line: 1,
        }
    }

    /// Passes a macro: all up to an empty line.
    fn pass_macro(&mut self) {
        loop {
            let (line, rest) = self.rest.split_once('\n').unwrap_or((self.rest, ""));
            let is_last = line.trim().is_empty() || rest.is_empty();
            self.rest = rest;
            self.line += 1;
            if is_last {
                return;
            }
        }
    }
}

impl<'a> Iterator for Words<'a> {
    type Item = (usize, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let text = self.rest.trim_start();
            let passed = self.rest.get(..self.rest.len() - text.len())?;
            self.line += passed.matches('\n').count();
            self.rest = text;
            if !text.starts_with('#') {
                break;
            }
            self.rest = text.find('\n').and_then(|end| text.get(end..))?;
        }
        let quote = self.rest.chars().next()?;
        let number = self.line;
        let inside = self.rest.get(1..).filter(|_| matches!(quote, '"' | '\''));
        let (word, rest) = match inside.and_then(|inside| inside.split_once(quote)) {
            Some((word, rest)) => (word, rest),
            None => {
                let end = self.rest.find(char::is_whitespace);
                self.rest.split_at(end.unwrap_or(self.rest.len()))
            }
        };
        self.line += word.matches('\n').count();
        self.rest = rest;
        Some((number, word))
    }
}

/// The shortest tokens in use have 32 characters; passwords of that length have others in them.
const MIN_TOKEN: usize = 32;
