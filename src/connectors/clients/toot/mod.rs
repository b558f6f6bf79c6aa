//! toot, the command-line and terminal client.
//!
//! Evidence: toot 0.52.1, `toot/config.py` (`get_config_dir`, `load_config`, `save_config`), `toot/__init__.py`
//! (`App`, `User`), and its history back to 0.15. One JSON file holds an app per instance and a user per account;
//! a user whose app is missing counts as logged out. The app is always registered under the name `toot` with
//! `urn:ietf:wg:oauth:2.0:oob`; scopes are not stored. What the file calls `instance` is the domain of handles;
//! `base_url` may have another host. Up to 0.15 there were text files instead: [`legacy`].

mod legacy;
#[cfg(test)]
mod tests;
mod write;

use std::path::{Path, PathBuf};

use crate::{
    connectors::{
        Error, Prepared, ReadRequest, Sink, Source, Specificity, Surroundings, WriteRequest,
        error::Problem,
        place,
        store::Skipped,
        values::{self, shown},
    },
    document::{Format, Member, Node},
    model::{Account, App, Completeness, Domain, Record, Secret, Snapshot, Token},
};

/// toot's store.
#[derive(Debug, Clone, Copy)]
pub struct Toot;

const NAME: &str = "toot";

impl Source for Toot {
    fn name(&self) -> &'static str {
        NAME
    }

    fn title(&self) -> &'static str {
        "toot, the command-line client"
    }

    /// `$XDG_CONFIG_HOME/toot` on every system but Windows, with a leading `~` expanded; else `~/.config/toot`, also
    /// on macOS. `%APPDATA%\toot` on Windows.
    fn usual_places(&self, surroundings: &Surroundings) -> Vec<PathBuf> {
        if cfg!(windows) {
            return vec![surroundings.config.join("toot")];
        }
        let config = match &surroundings.xdg_config_home {
            Some(path) => match path.strip_prefix("~") {
                Ok(rest) => surroundings.home.join(rest),
                Err(_) => path.clone(),
            },
            None => surroundings.home.join(".config"),
        };
        vec![config.join("toot")]
    }

    fn specificity(&self) -> Specificity {
        Specificity::Client
    }

    fn read(&self, request: &ReadRequest) -> Result<Snapshot, Error> {
        let store = Store::at(&request.path)?;
        let path = match &store {
            Store::Current(path) | Store::Legacy(path) => path,
        };
        let mut snapshot = Snapshot::of_client(place::source_key(NAME, path, request));
        match &store {
            Store::Current(path) => {
                let file = place::load(NAME, path, place::MAX_BYTES)?;
                let config = Config::parse(file.bytes()).map_err(|problem| problem.at(path))?;
                config.import(&mut snapshot);
                if request.path.is_dir() && request.path.join(legacy::USER_FILE).is_file() {
                    snapshot.warn(format!(
                        "{} of an older toot is there too and was not read: name it with --path",
                        legacy::USER_FILE
                    ));
                }
            }
            Store::Legacy(path) => legacy::read(path, &mut snapshot)?,
        }
        Ok(snapshot)
    }

    fn programs(&self) -> &'static [&'static str] {
        &["toot"]
    }

    fn sink(&self) -> Option<&dyn Sink> {
        Some(self)
    }
}

impl Sink for Toot {
    fn plan(&self, request: &WriteRequest, records: &[Record]) -> Result<Box<dyn Prepared>, Error> {
        match Store::at(&request.path)? {
            Store::Current(path) => write::plan(request, &path, records),
            Store::Legacy(path) => legacy::plan(request, &path, records),
        }
    }
}

/// Which of its layouts a store has.
enum Store {
    /// `config.json`.
    Current(PathBuf),
    /// `user.cfg`, with `instances/` beside it.
    Legacy(PathBuf),
}

impl Store {
    fn at(path: &Path) -> Result<Self, Error> {
        let file = place::file_in(path, &["config.json", legacy::USER_FILE]);
        let file = file.ok_or_else(|| Error::NotFound {
            connector: NAME,
            path: path.to_owned(),
        })?;
        if file
            .file_name()
            .is_some_and(|name| name == legacy::USER_FILE)
        {
            Ok(Self::Legacy(file))
        } else {
            Ok(Self::Current(file))
        }
    }
}

/// A parsed `config.json`.
struct Config {
    root: Node,
}

impl Config {
    /// Parses it and makes sure that it is toot's: an object with the objects `apps` and `users`.
    fn parse(bytes: &[u8]) -> Result<Self, Problem> {
        let config = Self {
            root: Format::Json.parse(bytes)?,
        };
        for section in ["apps", "users"] {
            if config.root.get(section).and_then(Node::members).is_none() {
                return Err(Problem(format!("expected an object \"{section}\"")));
            }
        }
        Ok(config)
    }

    fn section(&self, name: &str) -> &[Member] {
        self.root
            .get(name)
            .and_then(Node::members)
            .unwrap_or_default()
    }

    fn app(&self, instance: &str) -> Option<&Node> {
        self.root.get("apps")?.get(instance)
    }

    /// The users; of a key that stands twice the last, as Python reads it.
    fn users(&self) -> impl Iterator<Item = User<'_>> {
        let users = self.section("users");
        let last = users.iter().enumerate().filter(|(at, member)| {
            let mut later = users.iter().skip(at + 1);
            !later.any(|other| other.key == member.key)
        });
        last.map(|(_, member)| User {
            key: &member.key,
            node: &member.value,
        })
    }

    fn import(&self, snapshot: &mut Snapshot) {
        let users: Vec<_> = self.users().collect();
        if users.len() < self.section("users").len() {
            snapshot.warn("an account stands twice: the last one is used, as toot does");
        }
        for user in users {
            if let Err(why) = self.import_user(&user, snapshot) {
                if why.incomplete {
                    snapshot.completeness = Completeness::Partial;
                }
                snapshot.warn(format!("account \"{}\": {}", shown(user.key), why.what));
            }
        }
    }

    fn import_user(&self, user: &User<'_>, snapshot: &mut Snapshot) -> Result<(), Skipped> {
        let token = user.field("access_token")?;
        let token = values::secret(token).map_err(Skipped::unusable)?;
        let (instance, name) = user.identity()?;
        let domain = Domain::parse(instance)
            .map_err(|_| Skipped::unread("its \"instance\" is not the name of one"))?;
        let app = match self.app(instance) {
            Some(node) => match app_of(&domain, node) {
                Ok(app) => app,
                Err(what) => {
                    snapshot.warn(format!("app of {domain}: {what}: not imported"));
                    registered(domain.clone())
                }
            },
            None => {
                snapshot.warn(format!(
                    "account \"{}\": its app is missing, so toot takes it for logged out; the token is imported \
                     without",
                    shown(user.key)
                ));
                registered(domain.clone())
            }
        };
        let account = Account {
            instance: domain.clone(),
            username: Some(name.to_owned()),
            created_at: None,
        };
        snapshot.add(app, Some(account), Token::new(domain, Secret::from(token)));
        Ok(())
    }
}

/// One member of `users`.
#[derive(Clone, Copy)]
struct User<'a> {
    key: &'a str,
    node: &'a Node,
}

impl<'a> User<'a> {
    fn field(&self, name: &str) -> Result<&'a str, Skipped> {
        if self.node.members().is_none() {
            return Err(Skipped::unread("expected an object"));
        }
        let node = self
            .node
            .get(name)
            .ok_or_else(|| Skipped::unread(format!("\"{name}\" is missing")))?;
        node.text()
            .ok_or_else(|| Skipped::unread(format!("expected a string for \"{name}\"")))
    }

    /// The instance as spelled, and the user name.
    fn identity(&self) -> Result<(&'a str, &'a str), Skipped> {
        let (instance, name) = (self.field("instance")?, self.field("username")?);
        if !values::is_user_name(name) {
            return Err(Skipped::unread("its \"username\" is not a name"));
        }
        Ok((instance, name))
    }
}

fn app_of(instance: &Domain, node: &Node) -> Result<App, String> {
    let field = |name: &str| {
        node.get(name)
            .and_then(Node::text)
            .filter(|text| !text.is_empty())
            .ok_or_else(|| format!("expected a string for \"{name}\""))
    };
    Ok(App {
        client_id: Some(field("client_id")?.to_owned()),
        client_secret: Some(Secret::from(field("client_secret")?)),
        base_url: node.get("base_url").and_then(Node::text).map(str::to_owned),
        ..registered(instance.clone())
    })
}

/// toot's app, as it registers itself everywhere (`toot/api.py`, `create_app`).
fn registered(instance: Domain) -> App {
    App {
        name: Some(NAME.to_owned()),
        redirect_uris: vec![REDIRECT_URI.to_owned()],
        ..App::unknown(instance)
    }
}

const REDIRECT_URI: &str = "urn:ietf:wg:oauth:2.0:oob";
