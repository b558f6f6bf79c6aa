//! What a record alone decides, before the database is asked.

use jiff::Timestamp;

use super::{Dead, Options, outcome::Verdict};
use crate::model::{AppView, Domain, Record, Scopes, Secret, User};

/// What is looked at.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact")]
pub(super) struct Facts<'a> {
    pub(super) instance: &'a Domain,
    pub(super) is_session: bool,
    pub(super) is_app_known: bool,
    pub(super) is_user_known: bool,
    /// When it was issued, else when it was first seen.
    pub(super) issued: Option<Timestamp>,
    pub(super) expires_at: Option<Timestamp>,
    pub(super) revoked_at: Option<Timestamp>,
    /// Whether PostgreSQL can hold it.
    pub(super) fits: bool,
}

impl<'a> Facts<'a> {
    pub(super) fn of(record: &'a Record) -> Self {
        Self {
            instance: &record.instance,
            is_session: record.app.superapp,
            is_app_known: is_app_known(&record.app, is_from_server(record)),
            is_user_known: record.user != User::Unknown,
            issued: record.created_at.or(record.first_seen()),
            expires_at: record.expires_at,
            revoked_at: record.revoked_at,
            fits: fits(record),
        }
    }
}

/// The time of issue of a record that can be put back as far as it says itself, else why not.
pub(super) fn judge(facts: &Facts<'_>, options: &Options) -> Result<Timestamp, Verdict> {
    if is_foreign(facts.instance, options) {
        return Err(Verdict::OtherInstance);
    }
    if facts.is_session && !options.sessions {
        return Err(Verdict::Session);
    }
    let has_expired = facts.expires_at.is_some_and(|end| end <= options.now);
    if has_expired && options.dead != Dead::Keep {
        return Err(Verdict::Expired);
    }
    if facts.revoked_at.is_some() && options.dead == Dead::Skip {
        return Err(Verdict::Revoked);
    }
    if !facts.is_user_known {
        return Err(Verdict::UserUnknown);
    }
    if !facts.is_app_known {
        return Err(Verdict::AppUnknown);
    }
    let issued = facts.issued.ok_or(Verdict::Undated)?;
    if facts.fits && is_time(issued) {
        Ok(issued)
    } else {
        Err(Verdict::Unfit)
    }
}

/// Whether it is counted, not refused, where it was not asked for by itself.
pub(super) fn is_left_out(verdict: Verdict, options: &Options) -> bool {
    !options.each_was_asked_for
        && matches!(
            verdict,
            Verdict::Session | Verdict::Revoked | Verdict::Expired
        )
}

pub(super) fn is_foreign(instance: &Domain, options: &Options) -> bool {
    let here = options.instance.as_ref();
    !options.other_instance && here.is_some_and(|here| here != instance)
}

/// Whether a server's database held the record.
pub(super) fn is_from_server(record: &Record) -> bool {
    record
        .sightings
        .iter()
        .any(|sighting| sighting.source.instance.is_some())
}

/// Whether the app can be found: by its client_id, as the web interface, or because the server itself says that the
/// token belongs to none.
pub(super) fn is_app_known(app: &AppView, is_from_server: bool) -> bool {
    app.superapp || app.client_id.is_some() || (is_from_server && *app == AppView::default())
}

/// Whether PostgreSQL can hold it: text without NUL, unique values that fit into an index, times of this age.
pub(super) fn fits(record: &Record) -> bool {
    fits_token(
        &record.access_token,
        record.refresh_token.as_ref(),
        record.scopes.as_ref(),
        record.revoked_at,
    ) && record.user.name().is_none_or(is_text)
        && fits_app(&record.app)
}

pub(super) fn fits_token(
    token: &Secret,
    refresh_token: Option<&Secret>,
    scopes: Option<&Scopes>,
    revoked_at: Option<Timestamp>,
) -> bool {
    [Some(token), refresh_token]
        .into_iter()
        .flatten()
        .all(|token| is_text(token.expose()) && token.expose().len() <= MAX_INDEXED)
        && scopes.is_none_or(|scopes| is_text(scopes.as_str()))
        && revoked_at.is_none_or(is_time)
}

pub(super) fn fits_app(app: &AppView) -> bool {
    let indexed = app.client_id.as_deref();
    let texts = [
        app.name.as_deref(),
        app.client_secret.as_ref().map(Secret::expose),
        app.website.as_deref(),
        app.scopes.as_ref().map(Scopes::as_str),
        app.owner.as_deref(),
    ];
    indexed.is_none_or(|text| is_text(text) && text.len() <= MAX_INDEXED)
        && texts.into_iter().flatten().all(is_text)
        && app.redirect_uris.iter().all(|uri| is_text(uri))
        && [app.created_at, app.owner_since]
            .into_iter()
            .flatten()
            .all(is_time)
}

pub(super) fn is_text(text: &str) -> bool {
    text.len() <= MAX_TEXT && !text.contains('\0')
}

fn is_time(time: Timestamp) -> bool {
    time >= Timestamp::UNIX_EPOCH
}

/// An index entry of PostgreSQL holds about 2,700 bytes.
const MAX_INDEXED: usize = 2_000;
const MAX_TEXT: usize = 1 << 20;
