//! What the rows of the server's tables say. Users and accounts are joined here: on the server the join costs three
//! times the bare rows, and in a dump they lie apart.

use crate::model::{Account, App, Completeness, Domain, Moment, Scopes, Secret, TokenRow};

use super::Names;

/// What the person should know of the rows that were read.
#[derive(Default)]
pub(in crate::connectors) struct Told {
    /// Values of applications that could not be taken: a few in words.
    left_out: Vec<String>,
    /// The others, counted.
    more_left_out: u64,
    /// Users without a local account.
    nameless: u64,
    /// Token rows that could not be taken.
    unreadable: u64,
    /// Tokens that look as if a fork had hashed them.
    hashed: u64,
}

impl Told {
    /// Whether rows that did not come may be taken as gone.
    pub(in crate::connectors) fn completeness(&self) -> Completeness {
        if self.unreadable == 0 {
            Completeness::Complete
        } else {
            Completeness::Partial
        }
    }

    /// How many token rows could not be taken.
    #[cfg(feature = "postgres")]
    pub(in crate::connectors) fn unreadable(&self) -> u64 {
        self.unreadable
    }

    fn leave_out(&mut self, what: impl FnOnce() -> String) {
        if self.left_out.len() < MAX_TOLD {
            self.left_out.push(what());
        } else {
            self.more_left_out += 1;
        }
    }

    pub(in crate::connectors) fn warnings(self) -> Vec<String> {
        let mut warnings = self.left_out;
        let mut tell = |count: u64, what: &str| {
            if count > 0 {
                warnings.push(what.replace("{}", &count.to_string()));
            }
        };
        tell(self.more_left_out, "and {} more values of applications");
        tell(
            self.nameless,
            "users without a local account: {}; their names are not known",
        );
        tell(
            self.unreadable,
            "tokens that are empty, too long or no text: {}; they are not backed up",
        );
        tell(
            self.hashed,
            "tokens that look hashed (64 hex digits, or bcrypt, made after 2019): {}; a client can't use what is stored",
        );
        warnings
    }
}

/// A row of `oauth_applications`; times in microseconds since 1970.
pub(in crate::connectors) struct Application<'a> {
    pub(in crate::connectors) id: u64,
    pub(in crate::connectors) name: Option<&'a [u8]>,
    pub(in crate::connectors) uid: Option<&'a [u8]>,
    pub(in crate::connectors) secret: Option<&'a [u8]>,
    pub(in crate::connectors) redirect_uri: Option<&'a [u8]>,
    pub(in crate::connectors) scopes: Option<&'a [u8]>,
    pub(in crate::connectors) website: Option<&'a [u8]>,
    pub(in crate::connectors) superapp: Option<bool>,
    pub(in crate::connectors) confidential: Option<bool>,
    pub(in crate::connectors) owner_type: Option<&'a [u8]>,
    pub(in crate::connectors) owner_id: Option<u64>,
    pub(in crate::connectors) created_at: Option<i64>,
}

impl Application<'_> {
    /// The user that it belongs to.
    pub(in crate::connectors) fn owner(&self) -> Option<u64> {
        self.owner_id.filter(|_| self.owner_type == Some(b"User"))
    }

    /// The app that the row is.
    pub(in crate::connectors) fn app(&self, instance: &Domain, told: &mut Told) -> App {
        let mut text = |field: Option<&[u8]>, what: &str| {
            let value = text(field);
            if value.is_none() && field.is_some() {
                let key = self.id;
                told.leave_out(|| {
                    format!("the {what} of application {key} is too long or no text; left out")
                });
            }
            value.map(str::to_owned)
        };
        App {
            name: text(self.name, "name").filter(|name| !name.is_empty()),
            client_id: text(self.uid, "client_id").filter(|uid| !uid.is_empty()),
            client_secret: text(self.secret, "client_secret")
                .filter(|secret| !secret.is_empty())
                .map(Secret::new),
            redirect_uris: text(self.redirect_uri, "redirect URIs")
                .map(|uris| uris.split_whitespace().map(str::to_owned).collect())
                .unwrap_or_default(),
            scopes: text(self.scopes, "scopes").map(|scopes| Scopes::parse(&scopes)),
            website: text(self.website, "web site").filter(|website| !website.is_empty()),
            base_url: None,
            superapp: self.superapp.unwrap_or_default(),
            confidential: self.confidential,
            owner: self.owner(),
            created_at: self.created_at.map(|time| Moment(time).timestamp()),
            instance: instance.clone(),
        }
    }
}

/// A row of `users`; times in microseconds since 1970.
pub(in crate::connectors) struct User {
    pub(in crate::connectors) account_id: Option<i64>,
    pub(in crate::connectors) created_at: Option<i64>,
}

impl User {
    /// The user under the name of their account.
    pub(in crate::connectors) fn account(
        &self,
        instance: &Domain,
        names: &Names,
        told: &mut Told,
    ) -> Account {
        let username = self.account_id.and_then(|account| names.of(account));
        told.nameless += u64::from(username.is_none());
        Account {
            instance: instance.clone(),
            username: username.map(str::to_owned),
            created_at: self.created_at.map(|time| Moment(time).timestamp()),
        }
    }
}

/// A row of `oauth_access_tokens`; times in microseconds since 1970.
pub(in crate::connectors) struct AccessToken<'a> {
    pub(in crate::connectors) application_id: Option<u64>,
    pub(in crate::connectors) resource_owner_id: Option<u64>,
    pub(in crate::connectors) token: Option<&'a [u8]>,
    pub(in crate::connectors) refresh_token: Option<&'a [u8]>,
    pub(in crate::connectors) scopes: Option<&'a [u8]>,
    pub(in crate::connectors) created_at: Option<i64>,
    /// In seconds.
    pub(in crate::connectors) expires_in: Option<i64>,
    pub(in crate::connectors) revoked_at: Option<i64>,
}

impl<'a> AccessToken<'a> {
    /// The token that the row is; `None` when it is none that can be kept.
    pub(in crate::connectors) fn row(
        &self,
        instance: &'a Domain,
        told: &mut Told,
    ) -> Option<TokenRow<'a>> {
        let fields = (
            text(self.token).filter(|token| !token.is_empty()),
            optional(self.refresh_token),
            optional(self.scopes),
        );
        let (Some(access_token), Some(refresh_token), Some(scopes)) = fields else {
            told.unreadable += 1;
            return None;
        };
        told.hashed += u64::from(is_hashed(access_token, self.created_at));
        let lasts = self
            .expires_in
            .and_then(|seconds| seconds.checked_mul(1_000_000));
        Some(TokenRow {
            instance,
            access_token,
            refresh_token,
            token_type: None,
            scopes,
            created_at: self.created_at.map(Moment),
            expires_at: self
                .created_at
                .zip(lasts)
                .and_then(|(at, lasts)| at.checked_add(lasts))
                .map(Moment),
            revoked_at: self.revoked_at.map(Moment),
            app: self.application_id,
            account: self.resource_owner_id,
        })
    }
}

/// A text of bearable length.
pub(in crate::connectors) fn text(field: Option<&[u8]>) -> Option<&str> {
    std::str::from_utf8(field?)
        .ok()
        .filter(|text| text.len() <= MAX_TEXT_BYTES)
}

#[expect(clippy::option_option, reason = "unreadable, NULL, there")]
fn optional(field: Option<&[u8]>) -> Option<Option<&str>> {
    match field {
        None => Some(None),
        field => text(field).map(Some),
    }
}

/// Doorkeeper can be told to hash tokens (Mastodon never does): SHA-256 in hex digits, or bcrypt. Tokens of 64 hex
/// digits in clear were made up to May 2019.
fn is_hashed(token: &str, created_at: Option<i64>) -> bool {
    let is_hex = token.len() == 64 && token.bytes().all(|byte| byte.is_ascii_hexdigit());
    (is_hex && created_at.is_some_and(|at| at > END_OF_2019)) || token.starts_with("$2a$")
}

/// In microseconds since 1970.
const END_OF_2019: i64 = 1_577_836_800_000_000;
/// A value is longer only where somebody means harm: a row of the vault is bounded.
pub(in crate::connectors) const MAX_TEXT_BYTES: usize = 60_000;
/// So many left-out values are named one by one.
const MAX_TOLD: usize = 10;
