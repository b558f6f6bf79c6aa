//! The rows of the three relations, and how they stand in blocks.

use std::sync::Arc;

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use jiff::Timestamp;
use zeroize::{Zeroize, Zeroizing};

use crate::model::{Account, App, Domain, Moment, Scopes, Secret, SourceId, Token};

use super::{
    codec::{Columnar, Reader, Writer},
    packed::{Row, Space},
    store::tag,
};

/// One of the three relations that a source has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Relation {
    /// Registered clients.
    Apps,
    /// Accounts.
    Accounts,
    /// Access tokens.
    Tokens,
}

impl Relation {
    /// The word used in JSON and tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tokens => "tokens",
            Self::Apps => "apps",
            Self::Accounts => "accounts",
        }
    }
}

/// What a row says, without its key and its time.
pub(super) trait Body: Clone + PartialEq {
    const TAG: u8;
    const RELATION: Relation;
    const WHAT: &'static str;
    fn write(&self, to: &mut Writer);
    fn read(from: &mut Reader<'_>) -> Option<Self>;
}

/// A row that its source still has.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Current<B> {
    pub(super) key: u64,
    pub(super) since: Moment,
    pub(super) body: B,
}

/// A row as it once was.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Past<B> {
    pub(super) key: u64,
    pub(super) since: Moment,
    pub(super) until: Moment,
    pub(super) body: B,
}

/// The current rows of a source.
pub(super) fn current<B: Body>(source: SourceId) -> Space<Current<B>> {
    Space::new([[B::TAG].as_slice(), &source.0.to_be_bytes()].concat())
}

/// The former rows of a source.
pub(super) fn past<B: Body>(source: SourceId) -> Space<Past<B>> {
    Space::new([[B::TAG + tag::HISTORY].as_slice(), &source.0.to_be_bytes()].concat())
}

impl<B: Body> Columnar for Current<B> {
    fn write(&self, to: &mut Writer) {
        to.delta(self.key.cast_signed());
        to.symbol(&self.since.0.to_le_bytes());
        self.body.write(to);
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            key: from.delta()?.cast_unsigned(),
            since: moment(from)?,
            body: B::read(from)?,
        })
    }
}

impl<B: Body> Row for Current<B> {
    type Key = u64;
    const WHAT: &'static str = B::WHAT;

    fn key(&self) -> u64 {
        self.key
    }

    fn put_key(key: &u64, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&key.to_be_bytes());
    }
}

impl<B: Body> Columnar for Past<B> {
    fn write(&self, to: &mut Writer) {
        to.delta(self.key.cast_signed());
        to.symbol(&self.since.0.to_le_bytes());
        to.symbol(&self.until.0.to_le_bytes());
        self.body.write(to);
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            key: from.delta()?.cast_unsigned(),
            since: moment(from)?,
            until: moment(from)?,
            body: B::read(from)?,
        })
    }
}

impl<B: Body> Row for Past<B> {
    type Key = (u64, Moment);
    const WHAT: &'static str = B::WHAT;

    fn key(&self) -> (u64, Moment) {
        (self.key, self.since)
    }

    fn put_key((key, since): &(u64, Moment), bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&key.to_be_bytes());
        // Flipping the sign bit makes bytes sort as numbers do.
        bytes.extend_from_slice(&(since.0.cast_unsigned() ^ (1 << 63)).to_be_bytes());
    }
}

fn moment(from: &mut Reader<'_>) -> Option<Moment> {
    Some(Moment(i64::from_le_bytes(
        (*from.symbol()?).try_into().ok()?,
    )))
}

/// A secret in its smallest form; equal secrets have equal forms.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Packed {
    /// 43 characters of base64url: Doorkeeper's tokens since Mastodon 2.8.1.
    Base64([u8; 32]),
    /// 64 lower-case hex digits: those before.
    Hex([u8; 32]),
    /// Anything else.
    Text(Box<str>),
}

impl Packed {
    pub(super) fn new(text: &str) -> Self {
        let mut raw = [0; 32];
        if text.len() == 43
            && BASE64URL_NOPAD
                .decode_mut(text.as_bytes(), &mut raw)
                .is_ok()
        {
            return Self::Base64(raw);
        }
        if text.len() == 64 && HEXLOWER.decode_mut(text.as_bytes(), &mut raw).is_ok() {
            return Self::Hex(raw);
        }
        Self::Text(text.into())
    }

    pub(super) fn unpack(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(64));
        match self {
            Self::Base64(raw) => BASE64URL_NOPAD.encode_append(raw, &mut text),
            Self::Hex(raw) => HEXLOWER.encode_append(raw, &mut text),
            Self::Text(own) => return Zeroizing::new(own.to_string()),
        }
        text
    }

    pub(super) fn secret(&self) -> Secret {
        Secret::new(self.unpack().as_str())
    }

    fn form(&self) -> u8 {
        match self {
            Self::Base64(_) => 1,
            Self::Hex(_) => 2,
            Self::Text(_) => 3,
        }
    }
}

impl Drop for Packed {
    fn drop(&mut self) {
        match self {
            Self::Base64(raw) | Self::Hex(raw) => raw.zeroize(),
            Self::Text(text) => text.zeroize(),
        }
    }
}

/// Writes an optional secret: its form, and its 32 bytes or its text.
fn put_packed(to: &mut Writer, packed: Option<&Packed>) {
    to.symbol(&[packed.map_or(0, Packed::form)]);
    match packed {
        Some(Packed::Base64(raw) | Packed::Hex(raw)) => {
            to.fixed(raw);
            to.skip();
        }
        Some(Packed::Text(text)) => {
            to.skip();
            to.text(text.as_bytes());
        }
        None => {
            to.skip();
            to.skip();
        }
    }
}

#[expect(clippy::option_option, reason = "unreadable, absent, there")]
fn packed(from: &mut Reader<'_>) -> Option<Option<Packed>> {
    let form = *from.symbol()?.first()?;
    let packed = match form {
        1 | 2 => {
            let raw = from.fixed(32)?.try_into().ok()?;
            from.skip();
            Some(if form == 1 {
                Packed::Base64(raw)
            } else {
                Packed::Hex(raw)
            })
        }
        3 => {
            from.skip();
            Some(Packed::Text(std::str::from_utf8(from.text()?).ok()?.into()))
        }
        0 => {
            from.skip();
            from.skip();
            None
        }
        _ => return None,
    };
    Some(packed)
}

/// Writes an optional time in microseconds: whole seconds and others in columns of their own.
fn put_time(to: &mut Writer, time: Option<i64>) {
    match time {
        None => {
            to.symbol(&[0]);
            to.skip();
            to.skip();
        }
        Some(time) if time % 1_000_000 == 0 => {
            to.symbol(&[1]);
            to.delta(time / 1_000_000);
            to.skip();
        }
        Some(time) => {
            to.symbol(&[2]);
            to.skip();
            to.delta(time);
        }
    }
}

#[expect(clippy::option_option, reason = "unreadable, absent, there")]
fn time(from: &mut Reader<'_>) -> Option<Option<i64>> {
    let time = match *from.symbol()?.first()? {
        0 => {
            from.skip();
            from.skip();
            None
        }
        1 => {
            let seconds = from.delta()?;
            from.skip();
            Some(seconds.checked_mul(1_000_000)?)
        }
        2 => {
            from.skip();
            Some(from.delta()?)
        }
        _ => return None,
    };
    Some(time)
}

/// Writes an optional text that other rows are likely to have too: nothing, or a mark and the text.
fn put_symbol(to: &mut Writer, text: Option<&str>) {
    match text {
        None => to.symbol(&[]),
        Some(text) => to.symbol(&[b"+", text.as_bytes()].concat()),
    }
}

#[expect(clippy::option_option, reason = "unreadable, absent, there")]
fn symbol(from: &mut Reader<'_>) -> Option<Option<String>> {
    let bytes = from.symbol()?;
    let Some((_, text)) = bytes.split_first() else {
        return Some(None);
    };
    Some(Some(std::str::from_utf8(text).ok()?.to_owned()))
}

fn micros(time: Option<Timestamp>) -> Option<i64> {
    time.map(Timestamp::as_microsecond)
}

fn stamp(micros: Option<i64>) -> Option<Timestamp> {
    micros.map(|time| Moment(time).timestamp())
}

/// What a token row says, small enough to have millions of.
#[derive(Clone, PartialEq)]
pub(super) struct TokenBody {
    pub(super) instance: Arc<[u8]>,
    pub(super) token: Packed,
    pub(super) refresh: Option<Packed>,
    /// Token type and scopes as they stand in the dictionary.
    pub(super) token_type: Arc<[u8]>,
    pub(super) scopes: Arc<[u8]>,
    pub(super) created_at: Option<i64>,
    pub(super) expires_at: Option<i64>,
    pub(super) revoked_at: Option<i64>,
    pub(super) app: Option<u64>,
    pub(super) account: Option<u64>,
}

impl TokenBody {
    /// The token in full; `None` when its instance is no domain (never, in an authentic vault).
    pub(super) fn token(&self) -> Option<Token> {
        let text = |symbol: &Arc<[u8]>| {
            let (_, text) = symbol.split_first()?;
            std::str::from_utf8(text).ok().map(str::to_owned)
        };
        Some(Token {
            instance: Domain::parse(std::str::from_utf8(&self.instance).ok()?).ok()?,
            access_token: self.token.secret(),
            refresh_token: self.refresh.as_ref().map(Packed::secret),
            token_type: text(&self.token_type),
            scopes: text(&self.scopes).map(|scopes| Scopes::parse(&scopes)),
            created_at: stamp(self.created_at),
            expires_at: stamp(self.expires_at),
            revoked_at: stamp(self.revoked_at),
            app: self.app,
            account: self.account,
        })
    }
}

impl Body for TokenBody {
    const TAG: u8 = tag::TOKENS;
    const RELATION: Relation = Relation::Tokens;
    const WHAT: &'static str = "a block of tokens";

    fn write(&self, to: &mut Writer) {
        to.symbol(&self.instance);
        put_packed(to, Some(&self.token));
        put_packed(to, self.refresh.as_ref());
        to.symbol(&self.token_type);
        to.symbol(&self.scopes);
        put_time(to, self.created_at);
        put_time(to, self.expires_at);
        put_time(to, self.revoked_at);
        // One more, so that none is 0.
        to.plain(self.app.map_or(0, |app| app.wrapping_add(1)));
        to.plain(self.account.map_or(0, |account| account.wrapping_add(1)));
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            instance: from.symbol()?,
            token: packed(from)??,
            refresh: packed(from)?,
            token_type: from.symbol()?,
            scopes: from.symbol()?,
            created_at: time(from)?,
            expires_at: time(from)?,
            revoked_at: time(from)?,
            app: from.plain()?.checked_sub(1),
            account: from.plain()?.checked_sub(1),
        })
    }
}

impl Body for App {
    const TAG: u8 = tag::APPS;
    const RELATION: Relation = Relation::Apps;
    const WHAT: &'static str = "a block of apps";

    fn write(&self, to: &mut Writer) {
        to.symbol(self.instance.as_str().as_bytes());
        put_symbol(to, self.name.as_deref());
        put_packed(to, self.client_id.as_deref().map(Packed::new).as_ref());
        put_packed(
            to,
            self.client_secret
                .as_ref()
                .map(|secret| Packed::new(secret.expose()))
                .as_ref(),
        );
        to.symbol(self.redirect_uris.join("\n").as_bytes());
        put_symbol(to, self.scopes.as_ref().map(Scopes::as_str));
        put_symbol(to, self.website.as_deref());
        put_symbol(to, self.base_url.as_deref());
        let confidential = self
            .confidential
            .map_or(0, |confidential| 1 + u8::from(confidential));
        to.symbol(&[u8::from(self.superapp), confidential]);
        to.symbol(&[u8::from(self.owner.is_some())]);
        match self.owner {
            Some(owner) => to.plain(owner),
            None => to.skip(),
        }
        put_time(to, micros(self.created_at));
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        let instance = Domain::parse(std::str::from_utf8(&from.symbol()?).ok()?).ok()?;
        let name = symbol(from)?;
        let client_id = packed(from)?.map(|id| id.unpack().to_string());
        let client_secret = packed(from)?.map(|secret| secret.secret());
        let uris = from.symbol()?;
        let uris = std::str::from_utf8(&uris).ok()?;
        let redirect_uris = uris
            .split('\n')
            .filter(|uri| !uri.is_empty())
            .map(str::to_owned)
            .collect();
        let scopes = symbol(from)?.map(|scopes| Scopes::parse(&scopes));
        let (website, base_url) = (symbol(from)?, symbol(from)?);
        let flags = from.symbol()?;
        let [superapp, confidential] = *flags else {
            return None;
        };
        let owner = if *from.symbol()?.first()? == 0 {
            from.skip();
            None
        } else {
            Some(from.plain()?)
        };
        Some(Self {
            instance,
            name,
            client_id,
            client_secret,
            redirect_uris,
            scopes,
            website,
            base_url,
            superapp: superapp != 0,
            confidential: confidential
                .checked_sub(1)
                .map(|confidential| confidential != 0),
            owner,
            created_at: stamp(time(from)?),
        })
    }
}

impl Body for Account {
    const TAG: u8 = tag::ACCOUNTS;
    const RELATION: Relation = Relation::Accounts;
    const WHAT: &'static str = "a block of accounts";

    fn write(&self, to: &mut Writer) {
        to.symbol(self.instance.as_str().as_bytes());
        to.symbol(&[u8::from(self.username.is_some())]);
        match &self.username {
            Some(name) => to.text(name.as_bytes()),
            None => to.skip(),
        }
        put_time(to, micros(self.created_at));
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        let instance = Domain::parse(std::str::from_utf8(&from.symbol()?).ok()?).ok()?;
        let username = if *from.symbol()?.first()? == 0 {
            from.skip();
            None
        } else {
            Some(std::str::from_utf8(from.text()?).ok()?.to_owned())
        };
        Some(Self {
            instance,
            username,
            created_at: stamp(time(from)?),
        })
    }
}

/// An optional text as it stands in a dictionary.
pub(super) fn symbol_bytes(text: Option<&str>) -> Vec<u8> {
    text.map_or_else(Vec::new, |text| [b"+", text.as_bytes()].concat())
}
