//! Records for the tests of this room.

use std::path::{Path, PathBuf};

use super::{ReadRequest, WriteRequest};
use crate::model::{AppView, Domain, Record, Secret, Snapshot, Status, TokenId, User};

/// A file or folder of `tests/data`.
pub(crate) fn data(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(path)
}

pub(crate) fn read(path: &Path) -> ReadRequest {
    ReadRequest {
        path: path.to_owned(),
        instance: None,
        user: None,
        host: "laptop".to_owned(),
    }
}

pub(crate) fn write(path: &Path) -> WriteRequest {
    WriteRequest {
        path: path.to_owned(),
        now: "2026-03-01T12:00:00Z".parse().unwrap(),
        replace_app: false,
    }
}

/// The records that a vault would show after this snapshot, in its order.
pub(crate) fn records(snapshot: &Snapshot) -> Vec<Record> {
    let tokens = snapshot.tokens.iter().map(|row| {
        let token = &row.body;
        let apps = &mut snapshot.apps.iter();
        let app = &apps.find(|row| Some(row.key) == token.app).unwrap().body;
        let account = |key: u64| {
            let accounts = &mut snapshot.accounts.iter();
            &accounts.find(|row| row.key == key).unwrap().body
        };
        let mut seen = record(token.instance.as_str(), None, token.access_token.expose());
        seen.user = match token.account.map(account) {
            None => User::Application,
            Some(account) => {
                seen.account_created_at = account.created_at;
                let name = account.username.clone();
                name.map_or(User::Unknown, User::Named)
            }
        };
        seen.app = AppView {
            name: app.name.clone(),
            names: Vec::new(),
            client_id: app.client_id.clone(),
            client_secret: app.client_secret.clone(),
            redirect_uris: app.redirect_uris.clone(),
            scopes: app.scopes.clone(),
            website: app.website.clone(),
            base_url: app.base_url.clone(),
            superapp: app.superapp,
            confidential: app.confidential,
            owner: app.owner.and_then(|key| account(key).username.clone()),
            created_at: app.created_at,
            owner_since: app.owner.and_then(|key| account(key).created_at),
            server_id: None,
        };
        seen.refresh_token = token.refresh_token.clone();
        seen.token_type = token.token_type.clone().unwrap_or("Bearer".to_owned());
        seen.scopes = token.scopes.clone();
        seen.created_at = token.created_at;
        seen.expires_at = token.expires_at;
        seen.revoked_at = token.revoked_at;
        seen
    });
    tokens.collect()
}

/// Everything that messages say must be free of what is secret in the fixtures.
pub(crate) fn warnings(snapshot: &Snapshot) -> Vec<&str> {
    let warnings = snapshot.warnings.iter();
    warnings.map(|warning| warning.message.as_str()).collect()
}

/// An active record of which only this is known.
pub(crate) fn record(instance: &str, user: Option<&str>, token: &str) -> Record {
    let mut id = [0; 16];
    for (to, from) in id.iter_mut().zip(token.bytes().rev()) {
        *to = from;
    }
    Record {
        id: TokenId(id),
        id_digits: 8,
        instance: Domain::parse(instance).unwrap(),
        user: user.map_or(User::Unknown, |name| User::Named(name.to_owned())),
        account_created_at: None,
        app: AppView::default(),
        access_token: Secret::from(token),
        refresh_token: None,
        token_type: "Bearer".to_owned(),
        scopes: None,
        created_at: None,
        expires_at: None,
        revoked_at: None,
        status: Status::Active,
        sightings: Vec::new(),
        disagreements: Vec::new(),
    }
}
