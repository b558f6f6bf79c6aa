//! mastodon-archive, a backup program for one's posts: `<domain>.user.<name>.secret` and `<domain>.client.secret`.
//!
//! Evidence: mastodon-archive 1.4.8, `core.py` (`login`). The files are Mastodon.py's (see that connector) and stand in the
//! working directory, beside the archives; whose token a file holds is in its name alone, spelled as it was typed. All
//! users of a domain share its client file. The app may have been authorized to read only or to write, too: the scopes
//! are not stored, and stay unknown.

#[cfg(test)]
mod tests;
mod write;

use std::path::{Path, PathBuf};

use crate::{
    connectors::{
        Error, Prepared, ReadRequest, Sink, Source, Specificity, Surroundings, WriteRequest,
        error::Problem,
        place::{self, Loaded},
        store::{self, Entry, Skipped, Text},
        values::{self, shown},
    },
    model::{Record, Snapshot},
};

use super::mastodon_py::{ClientFile, MAX_BYTES, Shape, UserFile};

/// mastodon-archive's files.
#[derive(Debug, Clone, Copy)]
pub struct MastodonArchive;

const NAME: &str = "mastodon-archive";

impl Source for MastodonArchive {
    fn name(&self) -> &'static str {
        NAME
    }

    fn title(&self) -> &'static str {
        "mastodon-archive, a backup program (*.user.*.secret)"
    }

    fn usual_places(&self, surroundings: &Surroundings) -> Vec<PathBuf> {
        vec![surroundings.current.clone()]
    }

    fn specificity(&self) -> Specificity {
        Specificity::Client
    }

    fn read(&self, request: &ReadRequest) -> Result<Snapshot, Error> {
        let archive = Archive::open(&request.path)?;
        let key = place::source_key(NAME, &request.path, request);
        let mut snapshot = Snapshot::of_client(key);
        store::import(&archive.entries(), request, &mut snapshot);
        for client in &archive.clients {
            let is_used = &mut archive.users.iter();
            if !is_used.any(|user| user.domain == client.domain) {
                snapshot.warn(format!(
                    "{}: an app without a token: nothing to import",
                    shown(&place::file_name(&client.path))
                ));
            }
        }
        Ok(snapshot)
    }

    fn sink(&self) -> Option<&dyn Sink> {
        Some(self)
    }
}

impl Sink for MastodonArchive {
    fn plan(&self, request: &WriteRequest, records: &[Record]) -> Result<Box<dyn Prepared>, Error> {
        write::plan(request, records)
    }
}

/// The files of a folder, or one user's with its client file.
struct Archive {
    users: Vec<User>,
    clients: Vec<Client>,
}

/// A user's file.
struct User {
    path: PathBuf,
    domain: String,
    name: String,
    /// Its contents, or why they can't be read.
    file: Result<(Loaded, UserFile), String>,
}

/// A client file that can be read.
struct Client {
    path: PathBuf,
    domain: String,
    file: ClientFile,
}

impl Archive {
    fn open(path: &Path) -> Result<Self, Error> {
        if path.is_dir() {
            return Self::of_folder(path);
        }
        let name = place::file_name(path);
        let Some((domain, user)) = account_of(&name) else {
            let what = "expected a file named like mastodon.example.user.ada.secret: its name says whose token it holds";
            return Err(Problem(what.to_owned()).at(path));
        };
        let file = place::load(NAME, path, MAX_BYTES)?;
        let file = user_file(file).map_err(|why| Problem(why).at(path))?;
        let client = path.with_file_name(client_name(domain));
        Ok(Self {
            clients: client_file(&client, domain).into_iter().collect(),
            users: vec![User {
                path: path.to_owned(),
                domain: domain.to_owned(),
                name: user.to_owned(),
                file: Ok(file),
            }],
        })
    }

    fn of_folder(folder: &Path) -> Result<Self, Error> {
        let (mut users, mut clients) = (Vec::new(), Vec::new());
        for path in place::entries(folder)? {
            let name = place::file_name(&path);
            if !path.is_file() {
                continue;
            }
            if let Some(domain) = domain_of(&name) {
                clients.extend(client_file(&path, domain));
            } else if let Some((domain, user)) = account_of(&name) {
                let file = place::load(NAME, &path, MAX_BYTES).map_err(|error| error.to_string());
                users.push(User {
                    domain: domain.to_owned(),
                    name: user.to_owned(),
                    file: file.and_then(user_file),
                    path,
                });
            }
        }
        if users.is_empty() && clients.is_empty() {
            return Err(Error::NotFound {
                connector: NAME,
                path: folder.to_owned(),
            });
        }
        Ok(Self { users, clients })
    }

    /// The accounts; each is placed by its number among the users.
    fn entries(&self) -> Vec<Entry<usize>> {
        let users = self.users.iter().enumerate();
        users.map(|(at, user)| self.entry(at, user)).collect()
    }

    fn entry(&self, at: usize, user: &User) -> Entry<usize> {
        let entry = Entry {
            place: at,
            label: format!(
                "account \"{}\" of {}",
                shown(&user.name),
                shown(&user.domain)
            ),
            instance: Some(user.domain.clone()),
            user: Some(user.name.clone()),
            ..Entry::default()
        };
        let file = match &user.file {
            Ok((_, file)) => file,
            Err(why) => {
                let skipped = Some(Skipped::unread(why.clone()));
                return Entry { skipped, ..entry };
            }
        };
        // What the token's own file says comes first: the library would refuse a client file of another address.
        let client = self.client_of(user).map(|client| &client.file);
        let client = client.filter(|client| client.may_be_of(file));
        let (id, secret) = match (&file.client_id, &file.client_secret) {
            (Some(id), Some(secret)) => (Some(id.0.to_string()), Some(secret.0.clone())),
            _ => (
                client.map(|client| client.client_id.clone()),
                client.map(|client| Text::new(client.client_secret.expose().to_owned())),
            ),
        };
        let base_url = file.base_url.clone();
        let base_url = base_url.or_else(|| client?.base_url.clone());
        // The client file's name is that of its own app.
        let app_name = client.filter(|client| id.as_ref() == Some(&client.client_id));
        let app_name = app_name.and_then(|client| client.name.clone());
        Entry {
            base_url,
            token: Some(file.token.0.clone()),
            client_id: id,
            client_secret: secret,
            app_name: Some(app_name.unwrap_or_else(|| NAME.to_owned())),
            redirect_uri: Some("urn:ietf:wg:oauth:2.0:oob".to_owned()),
            ..entry
        }
    }

    fn client_of(&self, user: &User) -> Option<&Client> {
        let clients = &mut self.clients.iter();
        clients.find(|client| client.domain == user.domain)
    }
}

fn user_file(file: Loaded) -> Result<(Loaded, UserFile), String> {
    match Shape::of(file.bytes()) {
        Ok(Shape::User(user)) => Ok((file, user)),
        Ok(Shape::Client(_)) => Err("it holds an app without a token".to_owned()),
        Err(Problem(why)) => Err(why),
    }
}

/// The client in a file; one that can't be read is none.
fn client_file(path: &Path, domain: &str) -> Option<Client> {
    let file = place::load(NAME, path, MAX_BYTES).ok()?;
    match Shape::of(file.bytes()).ok()? {
        Shape::Client(file) => Some(Client {
            path: path.to_owned(),
            domain: domain.to_owned(),
            file,
        }),
        Shape::User(_) => None,
    }
}

/// The domain and the user in the name of a user's file. Names of other servers' users may have dots.
fn account_of(name: &str) -> Option<(&str, &str)> {
    let (domain, user) = name.strip_suffix(".secret")?.split_once(".user.")?;
    let is_account = values::instance(domain).is_some() && values::is_user_name(user);
    is_account.then_some((domain, user))
}

/// The domain in the name of a client file.
fn domain_of(name: &str) -> Option<&str> {
    let domain = name.strip_suffix(".client.secret")?;
    let is_domain = values::instance(domain).is_some() && !domain.contains(".user.");
    is_domain.then_some(domain)
}

fn client_name(domain: &str) -> String {
    format!("{domain}.client.secret")
}
