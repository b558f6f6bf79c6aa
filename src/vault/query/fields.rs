//! What differs between two states of a token: field by field, for `history` and `diff` alike.

use jiff::Timestamp;

use crate::model::{Account, App, AppView, Record, Scopes, Secret, Source, Status, Token};

/// What a field was, and what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FromTo<T> {
    /// Before.
    pub from: T,
    /// Now.
    pub to: T,
}

/// One thing that changed about a token, its app or its user. Holds no secret: of those it only tells that they changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldChange {
    /// The status, where no other field says why.
    Status(FromTo<Status>),
    /// What the token may do.
    Scopes(FromTo<Option<Scopes>>),
    /// When it was revoked.
    Revocation(FromTo<Option<Timestamp>>),
    /// When it expires.
    Expiry(FromTo<Option<Timestamp>>),
    /// When it was issued.
    Issue(FromTo<Option<Timestamp>>),
    /// The refresh token.
    RefreshToken,
    /// The token type.
    TokenType,
    /// The name of the user.
    User(FromTo<Option<String>>),
    /// The app is another one, or was registered anew: another `client_id`. With the names.
    App(FromTo<Option<String>>),
    /// The app came to be known, or is known no more.
    AppKnown(bool),
    /// The name of the app.
    AppName(FromTo<Option<String>>),
    /// The `client_id` came to be known, or is known no more.
    ClientId,
    /// The `client_secret` of the app.
    ClientSecret,
    /// The redirect URIs of the app.
    RedirectUris,
    /// What the app may ask for.
    AppScopes(FromTo<Option<Scopes>>),
    /// The web site of the app.
    Website,
    /// Where the API answers.
    BaseUrl,
    /// Whether this source holds the token.
    Place(Source, bool),
}

impl FieldChange {
    /// The word used in JSON: the key of a record, where it has one.
    pub fn field(&self) -> &'static str {
        match self {
            Self::Status(_) => "status",
            Self::Scopes(_) => "scopes",
            Self::Revocation(_) => "revoked_at",
            Self::Expiry(_) => "expires_at",
            Self::Issue(_) => "created_at",
            Self::RefreshToken => "refresh_token",
            Self::TokenType => "token_type",
            Self::User(_) => "user",
            Self::App(_) | Self::AppKnown(_) => "app",
            Self::AppName(_) => "app.name",
            Self::ClientId => "app.client_id",
            Self::ClientSecret => "app.client_secret",
            Self::RedirectUris => "app.redirect_uris",
            Self::AppScopes(_) => "app.scopes",
            Self::Website => "app.website",
            Self::BaseUrl => "app.base_url",
            Self::Place(..) => "sources",
        }
    }

    /// Whether it changed about the app: all of its tokens share that.
    pub(super) fn is_of_app(&self) -> bool {
        matches!(
            self,
            Self::AppName(_)
                | Self::ClientId
                | Self::ClientSecret
                | Self::RedirectUris
                | Self::AppScopes(_)
                | Self::Website
                | Self::BaseUrl
        )
    }
}

/// The fields of a token in which a change is news.
pub(super) struct Fields<'a> {
    scopes: Option<&'a Scopes>,
    revoked_at: Option<Timestamp>,
    expires_at: Option<Timestamp>,
    created_at: Option<Timestamp>,
    refresh_token: Option<&'a Secret>,
    token_type: Option<&'a str>,
    user: Option<&'a str>,
    app: Option<AppFields<'a>>,
}

impl<'a> Fields<'a> {
    /// Of a token as one source holds it.
    pub(super) fn of_row(
        token: &'a Token,
        app: Option<&'a App>,
        account: Option<&'a Account>,
    ) -> Self {
        Self {
            scopes: token.scopes.as_ref(),
            revoked_at: token.revoked_at,
            expires_at: token.expires_at,
            created_at: token.created_at,
            refresh_token: token.refresh_token.as_ref(),
            token_type: token.token_type.as_deref(),
            user: account.and_then(|account| account.username.as_deref()),
            app: app.map(AppFields::of_row),
        }
    }

    /// What changed since.
    pub(super) fn since(&self, before: &Self) -> Vec<FieldChange> {
        use FieldChange as C;
        let mut changes = Vec::new();
        changes.extend(step(before.scopes.cloned(), self.scopes.cloned()).map(C::Scopes));
        changes.extend(step(before.revoked_at, self.revoked_at).map(C::Revocation));
        changes.extend(step(before.expires_at, self.expires_at).map(C::Expiry));
        changes.extend(step(before.created_at, self.created_at).map(C::Issue));
        if before.refresh_token != self.refresh_token {
            changes.push(C::RefreshToken);
        }
        if before.token_type != self.token_type {
            changes.push(C::TokenType);
        }
        let owned = |text: Option<&str>| text.map(str::to_owned);
        changes.extend(step(owned(before.user), owned(self.user)).map(C::User));
        match (&before.app, &self.app) {
            (Some(before), Some(now)) => changes.extend(now.since(before)),
            (None, None) => {}
            (_, now) => changes.push(C::AppKnown(now.is_some())),
        }
        changes
    }
}

/// The fields of an app in which a change is news.
#[derive(PartialEq)]
pub(super) struct AppFields<'a> {
    name: Option<&'a str>,
    client_id: Option<&'a str>,
    client_secret: Option<&'a Secret>,
    redirect_uris: &'a [String],
    scopes: Option<&'a Scopes>,
    website: Option<&'a str>,
    base_url: Option<&'a str>,
}

impl<'a> AppFields<'a> {
    /// Of an app as one source holds it.
    pub(super) fn of_row(app: &'a App) -> Self {
        Self {
            name: app.name.as_deref(),
            client_id: app.client_id.as_deref(),
            client_secret: app.client_secret.as_ref(),
            redirect_uris: &app.redirect_uris,
            scopes: app.scopes.as_ref(),
            website: app.website.as_deref(),
            base_url: app.base_url.as_deref(),
        }
    }

    /// Of the app of a record, where anything is known of it.
    fn of_view(app: &'a AppView) -> Option<Self> {
        let fields = Self {
            name: app.name.as_deref(),
            client_id: app.client_id.as_deref(),
            client_secret: app.client_secret.as_ref(),
            redirect_uris: &app.redirect_uris,
            scopes: app.scopes.as_ref(),
            website: app.website.as_deref(),
            base_url: app.base_url.as_deref(),
        };
        let is_known = fields.name.is_some() || fields.client_id.is_some();
        is_known.then_some(fields)
    }

    /// What changed since. Of another app nothing but that is told: that it has other secrets goes without saying.
    pub(super) fn since(&self, before: &Self) -> Vec<FieldChange> {
        use FieldChange as C;
        let owned = |text: Option<&str>| text.map(str::to_owned);
        let names = FromTo {
            from: owned(before.name),
            to: owned(self.name),
        };
        if before.client_id != self.client_id
            && before.client_id.is_some()
            && self.client_id.is_some()
        {
            return vec![C::App(names)];
        }
        let mut changes = Vec::new();
        if before.name != self.name {
            changes.push(C::AppName(names));
        }
        for (change, differs) in [
            (C::ClientId, before.client_id != self.client_id),
            (C::ClientSecret, before.client_secret != self.client_secret),
            (C::RedirectUris, before.redirect_uris != self.redirect_uris),
            (C::Website, before.website != self.website),
            (C::BaseUrl, before.base_url != self.base_url),
        ] {
            if differs {
                changes.push(change);
            }
        }
        changes.extend(step(before.scopes.cloned(), self.scopes.cloned()).map(C::AppScopes));
        changes
    }
}

/// What changed about a record, over all of its sources.
pub(super) fn between(before: &Record, now: &Record) -> Vec<FieldChange> {
    let changes = of_record(now).since(&of_record(before));
    let is_told = |change: &FieldChange| matches!(change, FieldChange::Revocation(_));
    let status = step(before.status, now.status).filter(|_| !changes.iter().any(is_told));
    let mut all: Vec<FieldChange> = status.map(FieldChange::Status).into_iter().collect();
    all.extend(changes);
    for sighting in &now.sightings {
        let mut known = before.sightings.iter();
        let known = known.find(|known| known.source.id == sighting.source.id);
        let was_there = known.is_some_and(|known| known.gone_at.is_none());
        let is_there = sighting.gone_at.is_none();
        if was_there != is_there {
            all.push(FieldChange::Place(sighting.source.clone(), is_there));
        }
    }
    all
}

fn of_record(record: &Record) -> Fields<'_> {
    Fields {
        scopes: record.scopes.as_ref(),
        revoked_at: record.revoked_at,
        expires_at: record.expires_at,
        created_at: record.created_at,
        refresh_token: record.refresh_token.as_ref(),
        token_type: Some(&record.token_type),
        user: record.user.name(),
        app: AppFields::of_view(&record.app),
    }
}

fn step<T: PartialEq>(from: T, to: T) -> Option<FromTo<T>> {
    (from != to).then_some(FromTo { from, to })
}
