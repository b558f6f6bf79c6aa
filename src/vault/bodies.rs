//! What rows say, in the form in which they stand in blocks.

use std::{collections::BTreeMap, str::from_utf8};

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use jiff::Timestamp;
use zeroize::{Zeroize, Zeroizing};

use crate::model::{Account, App, Domain, Moment, Relation, Scopes, Secret, Token, TokenRow};

use super::{
    codec::{Columnar, Reader, Symbol, Writer, is_same},
    facts::AccountScope,
    fold::NewKeys,
    index,
    rows::Body,
    store::tag,
};

/// Makes symbols; those that it made last for a field are shared.
#[derive(Default)]
pub(super) struct Symbols([Vec<Symbol>; 7]);

/// A field that holds symbols.
#[derive(Clone, Copy)]
enum Field {
    Instance,
    TokenType,
    Scopes,
    Name,
    RedirectUris,
    Website,
    BaseUrl,
}

impl Symbols {
    fn text(&mut self, field: Field, text: &str) -> Symbol {
        self.of(field, &[], text.as_bytes())
    }

    /// A text that may be absent: nothing, or a mark and the text.
    fn option(&mut self, field: Field, text: Option<&str>) -> Symbol {
        match text {
            Some(text) => self.of(field, MARK.as_bytes(), text.as_bytes()),
            None => self.of(field, &[], &[]),
        }
    }

    fn of(&mut self, field: Field, mark: &[u8], text: &[u8]) -> Symbol {
        let is_it = |known: &Symbol| {
            let rest = known.split_at_checked(mark.len());
            rest.is_some_and(|(own, rest)| is_same(own, mark) && is_same(rest, text))
        };
        let Some(recent) = self.0.get_mut(field as usize) else {
            return [mark, text].concat().into();
        };
        if let Some(at) = recent.iter().position(is_it) {
            // The next row is likely to ask for it again.
            recent.swap(0, at);
            return recent.first().cloned().unwrap_or_default();
        }
        let symbol: Symbol = [mark, text].concat().into();
        recent.truncate(RECENT_SYMBOLS - 1);
        recent.push(symbol.clone());
        symbol
    }
}

fn text(symbol: &Symbol) -> Option<&str> {
    from_utf8(symbol).ok()
}

fn option(symbol: &Symbol) -> Option<&str> {
    text(symbol)?.strip_prefix(MARK)
}

fn domain(symbol: &Symbol) -> Option<Domain> {
    text(symbol).map(Domain::stored)
}

fn stamp(micros: Option<i64>) -> Option<Timestamp> {
    micros.map(|time| Moment(time).timestamp())
}

fn micros(time: Option<Timestamp>) -> Option<i64> {
    time.map(Timestamp::as_microsecond)
}

/// What a token row says.
#[derive(Clone, PartialEq)]
pub(super) struct TokenBody {
    pub(super) state: TokenState,
    instance: Symbol,
    pub(super) token: Packed,
    token_type: Symbol,
    created_at: Option<i64>,
    pub(super) app: Option<u64>,
    pub(super) account: Option<u64>,
}

/// What changes in the life of a token.
#[derive(Clone, PartialEq)]
pub(super) struct TokenState {
    refresh: Option<Packed>,
    scopes: Symbol,
    expires_at: Option<i64>,
    revoked_at: Option<i64>,
}

impl TokenBody {
    pub(super) fn new(row: &TokenRow<'_>, symbols: &mut Symbols) -> Self {
        Self {
            state: TokenState {
                refresh: row.refresh_token.map(Packed::new),
                scopes: symbols.option(Field::Scopes, row.scopes),
                expires_at: row.expires_at.map(|time| time.0),
                revoked_at: row.revoked_at.map(|time| time.0),
            },
            instance: symbols.text(Field::Instance, row.instance.as_str()),
            token: Packed::new(row.access_token),
            token_type: symbols.option(Field::TokenType, row.token_type),
            created_at: row.created_at.map(|time| time.0),
            app: row.app,
            account: row.account,
        }
    }
}

impl Body for TokenBody {
    const TAG: u8 = tag::TOKENS;
    const RELATION: Relation = Relation::Tokens;
    const WHAT: &'static str = "a block of tokens";
    type State = TokenState;
    type Model = Token;

    fn state_since(&self, before: &Self) -> Option<TokenState> {
        let state = self.state.clone();
        (before.clone().in_state(state.clone()) == *self).then_some(state)
    }

    fn in_state(self, state: TokenState) -> Self {
        Self { state, ..self }
    }

    fn is_same_thing(&self, other: &Self) -> bool {
        self.token == other.token && self.instance == other.instance
    }

    fn is_in(&self, scope: &AccountScope) -> bool {
        self.account
            .is_some_and(|account| scope.rows.contains(&account))
    }

    fn rename(&mut self, new_keys: &NewKeys) {
        self.app = self.app.map(|app| renamed(app, &new_keys.apps));
        self.account = self
            .account
            .map(|account| renamed(account, &new_keys.accounts));
    }

    fn new_key(key: u64, new_keys: &NewKeys) -> u64 {
        renamed(key, &new_keys.tokens)
    }

    fn model(&self) -> Option<Token> {
        Some(Token {
            instance: domain(&self.instance)?,
            access_token: self.token.secret(),
            refresh_token: self.state.refresh.as_ref().map(Packed::secret),
            token_type: option(&self.token_type).map(str::to_owned),
            scopes: option(&self.state.scopes).map(Scopes::parse),
            created_at: stamp(self.created_at),
            expires_at: stamp(self.state.expires_at),
            revoked_at: stamp(self.state.revoked_at),
            app: self.app,
            account: self.account,
        })
    }
}

impl Columnar for TokenBody {
    fn write(&self, to: &mut Writer) {
        self.state.write(to);
        to.symbol(&self.instance);
        put_packed(to, Some(&self.token));
        to.symbol(&self.token_type);
        put_time(to, self.created_at);
        // One more, so that none is 0.
        to.plain(self.app.map_or(0, |app| app.wrapping_add(1)));
        to.plain(self.account.map_or(0, |account| account.wrapping_add(1)));
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            state: TokenState::read(from)?,
            instance: from.symbol()?,
            token: packed(from)??,
            token_type: from.symbol()?,
            created_at: time(from)?,
            app: from.plain()?.checked_sub(1),
            account: from.plain()?.checked_sub(1),
        })
    }
}

impl Columnar for TokenState {
    fn write(&self, to: &mut Writer) {
        put_packed(to, self.refresh.as_ref());
        to.symbol(&self.scopes);
        put_time(to, self.expires_at);
        put_time(to, self.revoked_at);
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            refresh: packed(from)?,
            scopes: from.symbol()?,
            expires_at: time(from)?,
            revoked_at: time(from)?,
        })
    }
}

/// What an app row says.
#[derive(Clone, PartialEq)]
pub(super) struct AppBody {
    instance: Symbol,
    name: Symbol,
    client_id: Option<Packed>,
    client_secret: Option<Packed>,
    /// One per line.
    redirect_uris: Symbol,
    scopes: Symbol,
    website: Symbol,
    base_url: Symbol,
    superapp: bool,
    confidential: Option<bool>,
    pub(super) owner: Option<u64>,
    created_at: Option<i64>,
}

impl AppBody {
    pub(super) fn new(app: &App, symbols: &mut Symbols) -> Self {
        let redirect_uris = match app.redirect_uris.as_slice() {
            [uri] => symbols.text(Field::RedirectUris, uri),
            uris => symbols.text(Field::RedirectUris, &uris.join("\n")),
        };
        Self {
            instance: symbols.text(Field::Instance, app.instance.as_str()),
            name: symbols.option(Field::Name, app.name.as_deref()),
            client_id: app.client_id.as_deref().map(Packed::new),
            client_secret: app
                .client_secret
                .as_ref()
                .map(|secret| Packed::new(secret.expose())),
            redirect_uris,
            scopes: symbols.option(Field::Scopes, app.scopes.as_ref().map(Scopes::as_str)),
            website: symbols.option(Field::Website, app.website.as_deref()),
            base_url: symbols.option(Field::BaseUrl, app.base_url.as_deref()),
            superapp: app.superapp,
            confidential: app.confidential,
            owner: app.owner,
            created_at: micros(app.created_at),
        }
    }
}

impl AppBody {
    pub(super) fn has_secret(&self) -> bool {
        self.client_secret.is_some()
    }
}

impl Body for AppBody {
    const TAG: u8 = tag::APPS;
    const RELATION: Relation = Relation::Apps;
    const WHAT: &'static str = "a block of apps";
    type State = ();
    type Model = App;

    fn state_since(&self, _before: &Self) -> Option<()> {
        None
    }

    fn in_state(self, (): ()) -> Self {
        self
    }

    fn is_in(&self, _scope: &AccountScope) -> bool {
        false
    }

    fn rename(&mut self, new_keys: &NewKeys) {
        self.owner = self.owner.map(|owner| renamed(owner, &new_keys.accounts));
    }

    fn new_key(key: u64, new_keys: &NewKeys) -> u64 {
        renamed(key, &new_keys.apps)
    }

    fn model(&self) -> Option<App> {
        let uris = text(&self.redirect_uris)?.split('\n');
        Some(App {
            instance: domain(&self.instance)?,
            name: option(&self.name).map(str::to_owned),
            client_id: self.client_id.as_ref().map(|id| id.unpack().to_string()),
            client_secret: self.client_secret.as_ref().map(Packed::secret),
            redirect_uris: uris
                .filter(|uri| !uri.is_empty())
                .map(str::to_owned)
                .collect(),
            scopes: option(&self.scopes).map(Scopes::parse),
            website: option(&self.website).map(str::to_owned),
            base_url: option(&self.base_url).map(str::to_owned),
            superapp: self.superapp,
            confidential: self.confidential,
            owner: self.owner,
            created_at: stamp(self.created_at),
        })
    }
}

impl Columnar for AppBody {
    fn write(&self, to: &mut Writer) {
        to.symbol(&self.instance);
        to.symbol(&self.name);
        put_packed(to, self.client_id.as_ref());
        put_packed(to, self.client_secret.as_ref());
        to.symbol(&self.redirect_uris);
        to.symbol(&self.scopes);
        to.symbol(&self.website);
        to.symbol(&self.base_url);
        let confidential = self
            .confidential
            .map_or(0, |confidential| 1 + u8::from(confidential));
        let has_owner = u8::from(self.owner.is_some());
        to.symbol(&[u8::from(self.superapp), confidential, has_owner]);
        match self.owner {
            Some(owner) => to.plain(owner),
            None => to.skip(),
        }
        put_time(to, self.created_at);
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        let (instance, name) = (from.symbol()?, from.symbol()?);
        let (client_id, client_secret) = (packed(from)?, packed(from)?);
        let (redirect_uris, scopes) = (from.symbol()?, from.symbol()?);
        let (website, base_url) = (from.symbol()?, from.symbol()?);
        let [superapp, confidential, has_owner] = *from.symbol()? else {
            return None;
        };
        let owner = if has_owner == 0 {
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
            created_at: time(from)?,
        })
    }
}

/// What an account row says.
#[derive(Clone, PartialEq)]
pub(super) struct AccountBody {
    instance: Symbol,
    username: Option<Box<str>>,
    created_at: Option<i64>,
}

impl AccountBody {
    /// Whether it has this name, given as names are compared.
    pub(super) fn is_named(&self, folded: &str) -> bool {
        let name = self.username.as_deref().map(index::folded);
        name.is_some_and(|name| *name == *folded)
    }

    pub(super) fn new(account: &Account, symbols: &mut Symbols) -> Self {
        Self {
            instance: symbols.text(Field::Instance, account.instance.as_str()),
            username: account.username.as_deref().map(Box::from),
            created_at: micros(account.created_at),
        }
    }
}

impl Body for AccountBody {
    const TAG: u8 = tag::ACCOUNTS;
    const RELATION: Relation = Relation::Accounts;
    const WHAT: &'static str = "a block of accounts";
    type State = ();
    type Model = Account;

    fn state_since(&self, _before: &Self) -> Option<()> {
        None
    }

    fn in_state(self, (): ()) -> Self {
        self
    }

    fn is_in(&self, scope: &AccountScope) -> bool {
        self.is_named(&scope.user)
    }

    fn rename(&mut self, _new_keys: &NewKeys) {}

    fn new_key(key: u64, new_keys: &NewKeys) -> u64 {
        renamed(key, &new_keys.accounts)
    }

    fn model(&self) -> Option<Account> {
        Some(Account {
            instance: domain(&self.instance)?,
            username: self.username.as_deref().map(str::to_owned),
            created_at: stamp(self.created_at),
        })
    }
}

impl Columnar for AccountBody {
    fn write(&self, to: &mut Writer) {
        to.symbol(&self.instance);
        to.symbol(&[u8::from(self.username.is_some())]);
        match &self.username {
            Some(name) => to.text(name.as_bytes()),
            None => to.skip(),
        }
        put_time(to, self.created_at);
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        let instance = from.symbol()?;
        let username = if *from.symbol()?.first()? == 0 {
            from.skip();
            None
        } else {
            Some(from_utf8(from.text()?).ok()?.into())
        };
        Some(Self {
            instance,
            username,
            created_at: time(from)?,
        })
    }
}

/// Relations whose rows have no state of their own.
impl Columnar for () {
    fn write(&self, _to: &mut Writer) {}

    fn read(_from: &mut Reader<'_>) -> Option<Self> {
        Some(())
    }
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
            Some(Packed::Text(from_utf8(from.text()?).ok()?.into()))
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

/// The new key of a row, or its own.
fn renamed(key: u64, new_keys: &BTreeMap<u64, u64>) -> u64 {
    new_keys.get(&key).copied().unwrap_or(key)
}

/// Before a text that is there.
const MARK: &str = "+";
/// So many symbols of a field are looked through before another is made.
const RECENT_SYMBOLS: usize = 8;
