//! Accounts as a client holds them, and what of them becomes a record.

use jiff::Timestamp;
use zeroize::Zeroizing;

use crate::{
    connectors::{
        ReadRequest,
        error::Problem,
        values::{self, Unusable, shown},
    },
    model::{Account, App, Completeness, Domain, Record, Scopes, Secret, Snapshot, Token},
};

/// Text that may be secret.
pub(crate) type Text = Zeroizing<String>;

/// One account as a client's store holds it: texts as they were found, not yet judged. What is missing and what is
/// empty is the same: unknown.
#[derive(Clone, Default)]
pub(crate) struct Entry<P> {
    /// Where it stands: what a change needs to know.
    pub(crate) place: P,
    /// How messages name it, free of secrets and of what acts on a terminal: `account "ada@mastodon.example"`.
    pub(crate) label: String,
    /// The instance: a host or a URL. What the server calls itself where the client keeps more than one.
    pub(crate) instance: Option<String>,
    /// The address of the API, where the client keeps one.
    pub(crate) base_url: Option<String>,
    /// The user: `ada`, `@ada` or `ada@mastodon.example`.
    pub(crate) user: Option<String>,
    pub(crate) token: Option<Text>,
    pub(crate) refresh_token: Option<Text>,
    pub(crate) client_id: Option<String>,
    pub(crate) client_secret: Option<Text>,
    /// Scopes of the token, separated by spaces.
    pub(crate) scopes: Option<String>,
    /// Time of issue.
    pub(crate) created_at: Option<Timestamp>,
    /// The name under which the client registers its app.
    pub(crate) app_name: Option<String>,
    /// The redirect URI of the app.
    pub(crate) redirect_uri: Option<String>,
    /// Why it is not to be imported, nor written over, where only the client's file can tell.
    pub(crate) skipped: Option<Skipped>,
}

/// Why an account is not imported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Skipped {
    /// The reason, and what the person can do instead.
    pub(crate) what: String,
    /// Whether there may be a token that could not be read: what was known of the source then stays.
    pub(crate) incomplete: bool,
}

impl Skipped {
    /// It is known that there is nothing to import.
    pub(crate) fn known(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            incomplete: false,
        }
    }

    /// Something is not as the client writes it.
    pub(crate) fn unread(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            incomplete: true,
        }
    }

    /// What stands where its token belongs is none: a reference or a placeholder never was one, what is damaged may
    /// have been.
    pub(crate) fn unusable(why: Unusable) -> Self {
        let what = format!("its token can't be used: {why}");
        match why {
            Unusable::NotOneWord | Unusable::TooLong => Self::unread(what),
            Unusable::Empty | Unusable::Placeholder | Unusable::Reference => Self::known(what),
        }
    }

    /// The account is of software with tokens of its own kind, by the name that the library megalodon has for it
    /// (`sns`; version 10, `src/megalodon.ts`): those listed here have Mastodon's.
    pub(crate) fn other_software(sns: &str) -> Option<Self> {
        let has_ours = ["mastodon", "pleroma", "friendica", "gotosocial", "pixelfed"];
        (!has_ours.contains(&sns)).then(|| {
            let what =
                "is not Mastodon's, and its tokens are none of Mastodon's: nothing to import";
            Self::known(format!("its server's software (\"{}\") {what}", shown(sns)))
        })
    }
}

/// Makes sure that a store holds no more accounts than anybody has: what is known of one takes a hundred times the
/// memory of an empty one's text.
///
/// # Errors
/// [`Problem`] when it does.
pub(crate) fn bounded(accounts: usize) -> Result<(), Problem> {
    if accounts <= MAX_ACCOUNTS {
        return Ok(());
    }
    let what = format!("it holds more than {MAX_ACCOUNTS} accounts, which nobody has");
    Err(Problem(what))
}

/// Nobody has as many accounts.
pub(crate) const MAX_ACCOUNTS: usize = 10_000;

/// Adds what can be imported to the snapshot, and says of the rest why not.
pub(crate) fn import<P>(entries: &[Entry<P>], request: &ReadRequest, snapshot: &mut Snapshot) {
    for entry in entries {
        if let Err(why) = entry.import(request, snapshot) {
            if why.incomplete {
                snapshot.completeness = Completeness::Partial;
            }
            snapshot.warn(format!("{}: {}", entry.label, why.what));
        }
    }
}

impl<P> Entry<P> {
    /// The instances by which a record may know it: what the server calls itself, and the host of its API.
    pub(crate) fn instances(&self) -> impl Iterator<Item = Domain> {
        let texts = [&self.instance, &self.base_url];
        texts
            .into_iter()
            .flatten()
            .filter_map(|text| values::instance(text))
    }

    /// The user's name alone.
    pub(crate) fn user_name(&self) -> Option<&str> {
        self.user
            .as_deref()
            .and_then(values::handle)
            .map(|(name, _)| name)
    }

    /// Whether the client doesn't say whose token it is. A name that no server could have is one all the same.
    pub(crate) fn is_nameless(&self) -> bool {
        some(self.user.as_ref()).is_none()
    }

    /// Whether it has the record's token.
    pub(crate) fn holds(&self, record: &Record) -> bool {
        let token = self.token.as_ref();
        token.and_then(|text| values::secret(text).ok()) == Some(record.access_token.expose())
    }

    fn import(&self, request: &ReadRequest, snapshot: &mut Snapshot) -> Result<(), Skipped> {
        if let Some(why) = &self.skipped {
            return Err(why.clone());
        }
        let token = self.token.as_ref().map_or("", |text| text.as_str());
        let token = match values::secret(token) {
            Ok(token) => token,
            Err(Unusable::Empty) => {
                let what = "it has no token (its login was never finished, or it was logged out): nothing to import";
                return Err(Skipped::known(what));
            }
            Err(why) => return Err(Skipped::unusable(why)),
        };
        let instance = self.domain(request)?;
        let app = self.app(&instance, snapshot);
        let account = Account {
            instance: instance.clone(),
            username: self.name(request, snapshot),
            created_at: None,
        };
        let mut body = Token::new(instance, Secret::from(token));
        body.refresh_token = self.refresh_token.as_ref().and_then(usable);
        body.scopes = some(self.scopes.as_ref()).map(Scopes::parse);
        body.created_at = self.created_at;
        snapshot.add(app, Some(account), body);
        Ok(())
    }

    /// The instance that the entry names, else the one that the person named.
    fn domain(&self, request: &ReadRequest) -> Result<Domain, Skipped> {
        let Some(text) = some(self.instance.as_ref()).or(some(self.base_url.as_ref())) else {
            return request.instance.clone().ok_or_else(|| {
                // It may be known from a run in which the person named it.
                Skipped::unread(
                    "a token of an unknown instance: not imported; name it with --instance",
                )
            });
        };
        values::instance(text).ok_or_else(|| {
            Skipped::unread(format!(
                "\"{}\" is not the name of an instance",
                shown(text)
            ))
        })
    }

    /// The user that the entry names, else the one that the person named.
    fn name(&self, request: &ReadRequest, snapshot: &mut Snapshot) -> Option<String> {
        let Some(user) = some(self.user.as_ref()) else {
            return request.user.clone();
        };
        let name = self.user_name().map(str::to_owned);
        if name.is_none() {
            snapshot.warn(format!(
                "{}: \"{}\" is not a user's name: imported without",
                self.label,
                shown(user)
            ));
        }
        name
    }

    fn app(&self, instance: &Domain, snapshot: &mut Snapshot) -> App {
        let mut client_secret = None;
        if let Some(text) = self.client_secret.as_ref().filter(|text| !text.is_empty()) {
            client_secret = usable(text);
            if client_secret.is_none() {
                snapshot.warn(format!(
                    "{}: the secret of its app can't be used: imported without",
                    self.label
                ));
            }
        }
        let is_url = |text: &&String| text.contains("://");
        App {
            name: self.app_name.clone(),
            client_id: some(self.client_id.as_ref())
                .filter(|text| values::is_visible(text) && !values::is_reference(text))
                .map(str::to_owned),
            client_secret,
            redirect_uris: self.redirect_uri.iter().cloned().collect(),
            base_url: some(self.base_url.as_ref().filter(is_url)).map(str::to_owned),
            ..App::unknown(instance.clone())
        }
    }
}

/// What is there and not empty.
fn some(text: Option<&String>) -> Option<&str> {
    text.map(String::as_str)
        .filter(|text| !text.trim().is_empty())
}

fn usable(text: &Text) -> Option<Secret> {
    values::secret(text).ok().map(Secret::from)
}
