//! toot up to 0.15: `user.cfg` with the one account, `instances/<domain>` with an app each; words between white space.
//!
//! Evidence: toot 0.15, `toot/config.py` (`load_user`, `load_app`: `text.split()`). Versions 0.16 to 0.23 moved these
//! to `config.json`; later ones ignore them. After a browser login some versions left the user name out or wrote the
//! word `None`.

use std::{ops::Range, path::Path};

use crate::{
    connectors::{
        Error, Prepared, WriteRequest,
        error::Problem,
        place::{self, Loaded},
        rewrite::{Rewrite, change, refused_all},
        values,
    },
    document::Edits,
    model::{Account, Action, App, Domain, Record, Secret, Snapshot, Token},
};

use super::{NAME, registered};

pub(super) const USER_FILE: &str = "user.cfg";

/// Reads `user.cfg` and the app beside it.
pub(super) fn read(path: &Path, snapshot: &mut Snapshot) -> Result<(), Error> {
    let file = place::load(NAME, path, MAX_BYTES)?;
    let user = UserFile::parse(&file).map_err(|problem| problem.at(path))?;
    let token = match values::secret(user.token.0) {
        Ok(token) => Secret::from(token),
        Err(why) => {
            snapshot.warn(format!("the token can't be used: {why}"));
            return Ok(());
        }
    };
    let app = match app(path, &user) {
        Ok(app) => app,
        Err(what) => {
            snapshot.warn(format!(
                "app of {}: {what}: the token is imported without",
                user.instance
            ));
            registered(user.instance.clone())
        }
    };
    let account = Account {
        instance: user.instance.clone(),
        username: user.name.map(str::to_owned),
        created_at: None,
    };
    snapshot.add(app, Some(account), Token::new(user.instance, token));
    Ok(())
}

/// The plan for `user.cfg`: it holds one account, whose token can be replaced.
pub(super) fn plan(
    request: &WriteRequest,
    path: &Path,
    records: &[Record],
) -> Result<Box<dyn Prepared>, Error> {
    let file = place::load(NAME, path, MAX_BYTES)?;
    let user = UserFile::parse(&file).map_err(|problem| problem.at(path))?;
    let refuse = |why: &str| Ok(refused_all(NAME, path, records, why));
    let [record] = records else {
        return refuse("this layout of toot 0.15 holds one account: restore one record");
    };
    let same_user = match (user.name, record.user.name()) {
        (Some(one), Some(other)) => one.eq_ignore_ascii_case(other),
        _ => true,
    };
    if user.instance != record.instance || !same_user {
        return refuse("this layout of toot 0.15 holds one account, and it is another");
    }
    if !values::is_visible(record.access_token.expose()) {
        return refuse("the token holds characters that this layout can't");
    }
    let mut notes = Vec::new();
    if let (Ok(app), Some(client_id)) = (app(path, &user), &record.app.client_id)
        && app.client_id.as_ref() != Some(client_id)
    {
        notes.push(format!(
            "the app in instances/{} is another one and stays",
            user.spelled
        ));
    }
    let span = user.token.1.clone();
    let mut edits = Edits::default();
    edits.replace(file.bytes(), &span, record.access_token.expose());
    let change = if edits.is_empty() {
        change(record, Action::Unchanged, "user.cfg holds it already")
    } else {
        change(record, Action::Update, "the token in user.cfg is replaced")
    };
    Ok(Rewrite::prepared(
        NAME,
        file,
        edits,
        vec![change],
        notes,
        request,
    ))
}

/// The words of `user.cfg`.
struct UserFile<'a> {
    instance: Domain,
    spelled: &'a str,
    name: Option<&'a str>,
    token: (&'a str, Range<usize>),
}

impl<'a> UserFile<'a> {
    fn parse(file: &'a Loaded) -> Result<Self, Problem> {
        let words = words(file.bytes())?;
        let (spelled, name, token) = match words.as_slice() {
            [instance, name, token] => (instance.0, Some(name.0), token),
            [instance, token] => (instance.0, None, token),
            _ => return Err(Problem("expected instance, user name and token".to_owned())),
        };
        let instance = Domain::parse(spelled)
            .map_err(|_| Problem("the first word is not the name of an instance".to_owned()))?;
        let name = name.filter(|name| *name != "None");
        if name.is_some_and(|name| !values::is_user_name(name)) {
            return Err(Problem("the second word is not a user name".to_owned()));
        }
        Ok(Self {
            instance,
            spelled,
            name,
            token: token.clone(),
        })
    }
}

/// The app of the user's instance, from the file named like it.
fn app(user_file: &Path, user: &UserFile<'_>) -> Result<App, String> {
    // A name from a file must not lead out of the folder.
    if user.spelled.contains(['/', '\\', ':']) || user.spelled.starts_with('.') {
        return Err("its name is no file name".to_owned());
    }
    let folder = user_file
        .parent()
        .unwrap_or(Path::new(""))
        .join("instances");
    let file = place::load(NAME, &folder.join(user.spelled), MAX_BYTES)
        .map_err(|_| "its file is missing or can't be read".to_owned())?;
    let words = words(file.bytes()).map_err(|Problem(what)| what)?;
    let [_, base_url, client_id, client_secret] = words.as_slice() else {
        return Err("expected instance, address, client_id and client_secret".to_owned());
    };
    Ok(App {
        base_url: Some(base_url.0.to_owned()),
        client_id: Some(client_id.0.to_owned()),
        client_secret: Some(Secret::from(client_secret.0)),
        ..registered(user.instance.clone())
    })
}

/// The words of a text and where they stand.
fn words(bytes: &[u8]) -> Result<Vec<(&str, Range<usize>)>, Problem> {
    let text =
        std::str::from_utf8(bytes).map_err(|_| Problem("it is not UTF-8 text".to_owned()))?;
    let start = |word: &str| word.as_ptr().addr() - text.as_ptr().addr();
    let words = text
        .trim_start_matches('\u{feff}')
        .split_whitespace()
        .map(|word| (word, start(word)..start(word) + word.len()));
    Ok(words.take(MAX_WORDS).collect())
}

/// Three or four words.
const MAX_BYTES: u64 = 64 << 10;
const MAX_WORDS: usize = 8;
