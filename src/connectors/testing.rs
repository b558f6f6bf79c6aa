//! Records for the tests of this room.

use crate::model::{AppView, Domain, Record, Secret, Status, TokenId, User};

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
