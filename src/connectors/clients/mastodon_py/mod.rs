//! Mastodon.py's secret files: one value a line, in files that the author of a bot names.
//!
//! Evidence: Mastodon.py 2.3.3, `mastodon/authentication.py` (`create_app` and `log_in` with `to_file`, `__init__`
//! reading them back with `rstrip`), and the shorter layouts that its reader still takes. A user file is the token,
//! then, in newer versions, the API address, the client_id and the client_secret; a client file is client_id,
//! client_secret, API address, name of the app. Files of older versions stop early. No file says whose token it is.

#[cfg(test)]
mod tests;

use std::{
    ops::Range,
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use crate::{
    connectors::{
        Error, Prepared, ReadRequest, Sink, Source, Specificity, Surroundings, WriteRequest,
        error::Problem,
        place::{self, Loaded},
        rewrite::{Rewrite, change, refused_all},
        values,
    },
    document::Edits,
    model::{Account, Action, App, Completeness, Domain, Record, Secret, Snapshot, Token},
};

/// Mastodon.py's files.
#[derive(Debug, Clone, Copy)]
pub struct MastodonPy;

const NAME: &str = "mastodon-py";

impl Source for MastodonPy {
    fn name(&self) -> &'static str {
        NAME
    }

    fn title(&self) -> &'static str {
        "Mastodon.py, the library of most bots (*.secret)"
    }

    fn usual_places(&self, _surroundings: &Surroundings) -> Vec<PathBuf> {
        Vec::new()
    }

    fn specificity(&self) -> Specificity {
        Specificity::Convention
    }

    /// Any word in a file is a token to [`Source::read`]; to be recognised, it must look like one of Mastodon's.
    fn fits(&self, request: &ReadRequest) -> bool {
        let looks_real = |path: &Path| {
            let file = place::load(NAME, path, MAX_BYTES).ok();
            file.as_ref()
                .and_then(|file| Lines::of(file.bytes()).ok())
                .is_some_and(|lines| lines.texts().take(1).any(is_usual_token))
        };
        match secret_files(&request.path) {
            Ok(files) => files.iter().any(|path| looks_real(path)),
            Err(_) => false,
        }
    }

    fn read(&self, request: &ReadRequest) -> Result<Snapshot, Error> {
        let mut snapshot = Snapshot::of_client(place::source_key(NAME, &request.path, request));
        if !request.path.is_dir() {
            let file = place::load(NAME, &request.path, MAX_BYTES)?;
            let shape = Shape::of(file.bytes()).map_err(|problem| problem.at(&request.path))?;
            match shape {
                Shape::User(user) => import(
                    &mut snapshot,
                    request,
                    &place::file_name(&request.path),
                    user,
                    None,
                ),
                Shape::Client(_) => snapshot.warn("an app without a token: nothing to import"),
            }
            return Ok(snapshot);
        }
        read_folder(&mut snapshot, request)?;
        Ok(snapshot)
    }

    fn sink(&self) -> Option<&dyn Sink> {
        Some(self)
    }
}

impl Sink for MastodonPy {
    fn plan(&self, request: &WriteRequest, records: &[Record]) -> Result<Box<dyn Prepared>, Error> {
        let file = match records {
            [record] => target(&request.path, &record.instance)?,
            _ => Err("a file holds one token: restore one record at a time".to_owned()),
        };
        let path = match file {
            Ok(path) => path,
            Err(why) => return Ok(refused_all(NAME, &request.path, records, &why)),
        };
        let file = place::load(NAME, &path, MAX_BYTES)?;
        let shape = Shape::of(file.bytes()).map_err(|problem| problem.at(&path))?;
        let (Shape::User(user), [record]) = (shape, records) else {
            let why = "the file holds an app without a token";
            return Ok(refused_all(NAME, &path, records, why));
        };
        Ok(replace(request, file, &user, record))
    }
}

/// The file that holds a token of this instance, or why there is none to choose.
fn target(path: &Path, instance: &Domain) -> Result<Result<PathBuf, String>, Error> {
    if !path.is_dir() {
        return Ok(Ok(path.to_owned()));
    }
    let mut fitting = Vec::new();
    for file in secret_files(path)? {
        let loaded = place::load(NAME, &file, MAX_BYTES)?;
        if let Ok(Shape::User(user)) = Shape::of(loaded.bytes())
            && user.base_url.as_deref().and_then(values::instance).as_ref() == Some(instance)
        {
            fitting.push(file);
        }
    }
    Ok(match fitting.as_slice() {
        [file] => Ok(file.clone()),
        [] => Err(format!(
            "no file here is for {instance}: name the file with --path"
        )),
        _ => Err(format!(
            "several files here are for {instance}: name one with --path"
        )),
    })
}

/// Puts the record's values into the lines that the file has; it gets none that it hadn't.
fn replace(
    request: &WriteRequest,
    file: Loaded,
    user: &UserFile,
    record: &Record,
) -> Box<dyn Prepared> {
    let refuse = |why: String| refused_all(NAME, file.path(), std::slice::from_ref(record), &why);
    let base_url = user.base_url.as_deref();
    let there = base_url.and_then(values::instance);
    let known = [Some(&record.instance), None];
    let api = record.app.base_url.as_deref().and_then(values::instance);
    if there.is_some() && !known.contains(&there.as_ref()) && api != there {
        return refuse(format!(
            "the file is for {}: name another",
            there.as_ref().map_or("", Domain::as_str)
        ));
    }
    if !values::is_visible(record.access_token.expose()) {
        return refuse("the token holds characters that a line can't".to_owned());
    }
    let mut edits = Edits::default();
    edits.replace(file.bytes(), &user.token.1, record.access_token.expose());
    let mut notes = Vec::new();
    if there.is_none() {
        notes.push("the file doesn't say which instance it is for".to_owned());
    }
    if let (Some(id), Some(secret)) = (&user.client_id, &user.client_secret) {
        match (&record.app.client_id, &record.app.client_secret) {
            (Some(new_id), Some(new_secret))
                if values::is_visible(new_id) && values::is_visible(new_secret.expose()) =>
            {
                edits.replace(file.bytes(), &id.1, new_id);
                edits.replace(file.bytes(), &secret.1, new_secret.expose());
            }
            _ => notes.push(
                "the client_id and client_secret of the file stay: those of the token are not known"
                    .to_owned(),
            ),
        }
    } else if record.app.client_id.is_some() {
        notes.push(
            "the file has no lines for the client: its client file must be of the app that issued the token"
                .to_owned(),
        );
    }
    let change = if edits.is_empty() {
        change(record, Action::Unchanged, "the file holds it already")
    } else {
        change(
            record,
            Action::Update,
            "the token and the client of the file are replaced",
        )
    };
    Rewrite::prepared(NAME, file, edits, vec![change], notes, request)
}

/// Reads every `*.secret` file of a folder; a user file without a client takes that of its client file.
fn read_folder(snapshot: &mut Snapshot, request: &ReadRequest) -> Result<(), Error> {
    let mut users = Vec::new();
    let mut clients = Vec::new();
    for path in secret_files(&request.path)? {
        let name = place::file_name(&path);
        let shape = place::load(NAME, &path, MAX_BYTES)
            .map_err(|error| error.to_string())
            .and_then(|file| Shape::of(file.bytes()).map_err(|Problem(why)| why));
        match shape {
            Ok(Shape::User(user)) => users.push((name, user)),
            Ok(Shape::Client(client)) => clients.push((name, client, false)),
            Err(why) => {
                snapshot.completeness = Completeness::Partial;
                snapshot.warn(format!("{}: {why}", values::shown(&name)));
            }
        }
    }
    let single = users.len() == 1 && clients.len() == 1;
    for (name, user) in users {
        let client = clients.iter_mut().find(|(other, client, _)| {
            (single || stem(other) == stem(&name)) && client.may_be_of(&user)
        });
        let client = client.map(|(_, client, used)| {
            *used = true;
            &*client
        });
        import(snapshot, request, &name, user, client);
    }
    for (name, _, _) in clients.iter().filter(|(_, _, used)| !used) {
        snapshot.warn(format!(
            "{}: an app without a token: nothing to import",
            values::shown(name)
        ));
    }
    Ok(())
}

/// `bot` of `bot_usercred.secret` and `bot_clientcred.secret`: the library's own examples are named like this.
fn stem(name: &str) -> String {
    let name = name.to_ascii_lowercase();
    let name = name.strip_suffix(".secret").unwrap_or(&name);
    let mut stem = name.to_owned();
    for word in ["usercred", "clientcred", "user", "client"] {
        stem = stem.replace(word, "");
    }
    stem.trim_matches(['_', '-', '.']).to_owned()
}

fn import(
    snapshot: &mut Snapshot,
    request: &ReadRequest,
    name: &str,
    user: UserFile,
    client: Option<&ClientFile>,
) {
    let base_url = user
        .base_url
        .or_else(|| client.and_then(|client| client.base_url.clone()));
    let instance = request
        .instance
        .clone()
        .or_else(|| base_url.as_deref().and_then(values::instance));
    let shown = values::shown(name);
    let Some(instance) = instance else {
        snapshot.completeness = Completeness::Partial;
        snapshot.warn(format!(
            "{shown}: a token of an unknown instance: not imported; name it with --instance"
        ));
        return;
    };
    let token = match values::secret(&user.token.0) {
        Ok(token) => Secret::from(token),
        Err(why) => {
            snapshot.warn(format!("{shown}: the token can't be used: {why}"));
            return;
        }
    };
    let mut app = App {
        base_url,
        ..App::unknown(instance.clone())
    };
    if let (Some(id), Some(secret)) = (user.client_id, user.client_secret) {
        app.client_id = Some(id.0.as_str().to_owned());
        app.client_secret = Some(Secret::from(secret.0.as_str()));
    } else if let Some(client) = client {
        app.client_id = Some(client.client_id.clone());
        app.client_secret = Some(client.client_secret.clone());
    }
    app.name = client.and_then(|client| client.name.clone());
    let account = Account {
        instance: instance.clone(),
        username: request.user.clone(),
        created_at: None,
    };
    snapshot.add(app, Some(account), Token::new(instance, token));
}

/// What a file holds, by the shape of its lines.
pub(super) enum Shape {
    User(UserFile),
    Client(ClientFile),
}

/// A value and where it stands.
pub(super) type Line = (Zeroizing<String>, Range<usize>);

pub(super) struct UserFile {
    pub(super) token: Line,
    pub(super) base_url: Option<String>,
    pub(super) client_id: Option<Line>,
    pub(super) client_secret: Option<Line>,
}

pub(super) struct ClientFile {
    pub(super) client_id: String,
    pub(super) client_secret: Secret,
    pub(super) base_url: Option<String>,
    pub(super) name: Option<String>,
}

impl ClientFile {
    /// The library refuses a pair whose API addresses differ.
    pub(super) fn may_be_of(&self, user: &UserFile) -> bool {
        match (&self.base_url, &user.base_url) {
            (Some(one), Some(other)) => values::instance(one) == values::instance(other),
            _ => true,
        }
    }
}

impl Shape {
    pub(super) fn of(bytes: &[u8]) -> Result<Self, Problem> {
        let mut lines = Lines::of(bytes)?.0.into_iter();
        let lines = [lines.next(), lines.next(), lines.next(), lines.next()];
        match lines {
            [Some(token), None, None, None] => Ok(Self::User(UserFile {
                token,
                base_url: None,
                client_id: None,
                client_secret: None,
            })),
            [Some(token), Some(url), client_id, client_secret] if is_address(&url.0) => {
                Ok(Self::User(UserFile {
                    token,
                    base_url: Some(with_scheme(&url.0)),
                    client_id,
                    client_secret,
                }))
            }
            [Some(id), Some(secret), url, name]
                if url.as_ref().is_none_or(|url| is_address(&url.0)) =>
            {
                Ok(Self::Client(ClientFile {
                    client_id: id.0.as_str().to_owned(),
                    client_secret: Secret::from(secret.0.as_str()),
                    base_url: url.map(|url| with_scheme(&url.0)),
                    name: name.map(|name| name.0.as_str().to_owned()),
                }))
            }
            _ => Err(Problem(
                "neither the second nor the third line is the address of an instance".to_owned(),
            )),
        }
    }
}

/// The lines of a file without the white space at their ends, at most four.
struct Lines(Vec<Line>);

impl Lines {
    fn of(bytes: &[u8]) -> Result<Self, Problem> {
        let text =
            std::str::from_utf8(bytes).map_err(|_| Problem("it is not UTF-8 text".to_owned()))?;
        let mut start = if text.starts_with('\u{feff}') { 3 } else { 0 };
        let mut lines = Vec::new();
        for whole in text.get(start..).unwrap_or_default().split_inclusive('\n') {
            let line = whole.trim_end();
            let number = lines.len() + 1;
            if line.chars().any(char::is_control)
                || (line.contains(char::is_whitespace) && number < 4)
            {
                let what = "holds white space or control characters";
                return Err(Problem::line(number as u64, what));
            }
            if lines.len() == 4 && !line.is_empty() {
                return Err(Problem("it has more than four lines".to_owned()));
            }
            lines.push((Zeroizing::new(line.to_owned()), start..start + line.len()));
            start += whole.len();
        }
        while lines.last().is_some_and(|(line, _)| line.is_empty()) {
            lines.pop();
        }
        match lines.iter().position(|(line, _)| line.is_empty()) {
            Some(at) => Err(Problem::line(at as u64 + 1, "is empty")),
            None if lines.is_empty() => Err(Problem("it is empty".to_owned())),
            None => Ok(Self(lines)),
        }
    }

    fn texts(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(text, _)| text.as_str())
    }
}

fn is_address(line: &str) -> bool {
    line.contains('.') && values::instance(line).is_some() || line.contains("://")
}

fn with_scheme(line: &str) -> String {
    let line = line.trim_end_matches('/');
    if line.contains("://") {
        line.to_owned()
    } else {
        format!("https://{line}")
    }
}

/// 43 characters of base64url, or 64 hex digits from before 2.8.1.
fn is_usual_token(text: &str) -> bool {
    let base64 = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_');
    (text.len() == 43 && text.bytes().all(base64))
        || (text.len() == 64 && text.bytes().all(|c| c.is_ascii_hexdigit()))
}

/// The file itself, or the `*.secret` files of a folder in the order of their names.
fn secret_files(path: &Path) -> Result<Vec<PathBuf>, Error> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = place::entries(path)?;
    files.retain(|file| file.extension().is_some_and(|end| end == "secret") && file.is_file());
    if files.is_empty() {
        return Err(Error::NotFound {
            connector: NAME,
            path: path.to_owned(),
        });
    }
    Ok(files)
}

/// Four lines.
pub(super) const MAX_BYTES: u64 = 64 << 10;
