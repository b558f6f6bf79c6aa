//! Names tokens: an id is a keyed hash of the token, under a key for its instance.

use std::cell::RefCell;

use crate::{
    crypto::SubKey,
    model::{Domain, Token, TokenId},
};

/// The ids of tokens in one vault.
pub(super) struct TokenIds<'v> {
    key: &'v SubKey,
    /// The key for the instance that was asked for last: most ask for one.
    last: RefCell<Option<(Domain, SubKey)>>,
}

impl<'v> TokenIds<'v> {
    pub(super) fn new(key: &'v SubKey) -> Self {
        Self {
            key,
            last: RefCell::new(None),
        }
    }

    pub(super) fn key(&self) -> &'v SubKey {
        self.key
    }

    pub(super) fn id(&self, instance: &Domain, access_token: &str) -> TokenId {
        let mut last = self.last.borrow_mut();
        let (_, key) = match last.take() {
            Some(known) if known.0 == *instance => last.insert(known),
            _ => {
                let key = self.key.hash(&[b"token id", instance.as_str().as_bytes()]);
                last.insert((instance.clone(), SubKey::from_bytes(key)))
            }
        };
        let hash = key.mac(access_token.as_bytes());
        TokenId(*hash.first_chunk().unwrap_or(&[0; 16]))
    }

    pub(super) fn of(&self, token: &Token) -> TokenId {
        self.id(&token.instance, token.access_token.expose())
    }
}
