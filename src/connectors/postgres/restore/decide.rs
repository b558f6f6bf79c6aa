//! The second step: users by name, apps by client_id, and what becomes of each token. Nothing is written yet but
//! temporary tables.

use postgres::Transaction;

use super::{
    Options, Staged,
    error::{Error, during},
    outcome::{self, Verdict as V},
    staging::WEB,
    target::{ACCOUNTS, APPS, STATES, TOKENS, Target, USERS},
};

/// Finds the staged users: by name without case among local accounts, since ids differ in a rebuilt database.
pub(super) fn users(transaction: &mut Transaction<'_>, target: &Target) -> Result<(), Error> {
    let state = state(target);
    // One row per number, whether the user is there or not.
    let statement = format!(
        "CREATE TEMP TABLE tuskvault_user ON COMMIT DROP AS \
         SELECT s.no, s.name, t.id, t.born, coalesce(t.state, 0::int2) AS state \
         FROM (SELECT user_no AS no, user_name AS name FROM pg_temp.tuskvault_staged WHERE user_name IS NOT NULL \
         UNION ALL SELECT owner_no, owner_name FROM pg_temp.tuskvault_staged WHERE owner_name IS NOT NULL) s \
         LEFT JOIN (SELECT u.id, lower(a.username) AS name, greatest(a.created_at, u.created_at) AS born, \
         ({state})::int2 AS state FROM users u JOIN accounts a ON a.id = u.account_id WHERE a.domain IS NULL) t \
         ON t.name = lower(s.name)"
    );
    let doing = during("finding the users");
    transaction.batch_execute(&statement).map_err(&doing)?;
    transaction
        .batch_execute("ANALYZE pg_temp.tuskvault_user")
        .map_err(&doing)
}

/// Finds the staged apps by client_id; the web interface is that of the server, whatever its client_id was.
pub(super) fn apps(transaction: &mut Transaction<'_>, options: &Options) -> Result<(), Error> {
    let younger = younger(
        "o.born",
        "greatest(s.app_created_at, s.owner_since)",
        options,
    );
    let statement = format!(
        "CREATE TEMP TABLE tuskvault_app ON COMMIT DROP AS \
         (SELECT DISTINCT ON (s.app_no) s.app_no AS no, s.uid, s.secret, s.app_name AS name, s.redirect_uri, \
         s.app_scopes AS scopes, s.website, s.confidential, s.app_created_at AS created_at, s.server_id, \
         CASE WHEN NOT ({younger}) THEN o.id END AS owner_id, t.id AS app_id, coalesce(t.superapp, false) AS superapp, \
         (CASE WHEN t.id IS NULL AND s.owner_no IS NOT NULL AND (o.id IS NULL OR {younger}) THEN {no_owner} ELSE 0 END \
         + CASE WHEN t.secret <> s.secret THEN {other_secret} ELSE 0 END \
         + CASE WHEN t.scopes <> s.app_scopes OR t.redirect_uri <> s.redirect_uri THEN {other_settings} ELSE 0 END)::int2 \
         AS notes \
         FROM pg_temp.tuskvault_staged s LEFT JOIN oauth_applications t ON t.uid = s.uid \
         LEFT JOIN pg_temp.tuskvault_user o ON o.no = s.owner_no \
         WHERE s.app_rank IS NOT NULL ORDER BY s.app_no, s.app_rank DESC, s.n) \
         UNION ALL SELECT {WEB}, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, \
         (SELECT id FROM oauth_applications WHERE superapp ORDER BY id LIMIT 1), false, 0::int2",
        no_owner = outcome::NO_OWNER,
        other_secret = outcome::OTHER_SECRET,
        other_settings = outcome::OTHER_SETTINGS,
    );
    let doing = during("finding the apps");
    transaction.batch_execute(&statement).map_err(&doing)?;
    transaction
        .batch_execute("ANALYZE pg_temp.tuskvault_app")
        .map_err(&doing)
}

/// Gives each token that is not simply new a verdict; those that are simply new have no row.
pub(super) fn tokens(
    transaction: &mut Transaction<'_>,
    target: &Target,
    options: &Options,
    staged: &Staged,
    is_careful: bool,
) -> Result<(), Error> {
    let younger = younger("u.born", "s.created_at", options);
    let revoked = match (options.dead, target.updates(TOKENS, "revoked_at")) {
        (super::Dead::Clear, true) => V::Revived,
        (super::Dead::Clear, false) => V::MayNotRevive,
        _ => V::ThereRevoked,
    };
    let no_join = String::new();
    // Mastodon never issues refresh tokens: the joins are for the few servers that do.
    let (refresh_taken, refresh_joins) = if staged.has_refresh_tokens {
        (
            format!(
                "WHEN r.refresh_token IS NOT NULL THEN {} WHEN d.turn > 1 THEN {}",
                V::RefreshTaken.number(),
                V::RefreshTwice.number()
            ),
            "LEFT JOIN oauth_access_tokens r ON r.refresh_token = s.refresh_token \
             LEFT JOIN (SELECT n, row_number() OVER (PARTITION BY refresh_token ORDER BY n) AS turn \
             FROM pg_temp.tuskvault_staged WHERE refresh_token IS NOT NULL) d ON d.n = s.n"
                .to_owned(),
        )
    } else {
        (String::new(), no_join.clone())
    };
    let (token_twice, token_join) = if is_careful {
        (
            format!("WHEN e.turn > 1 THEN {}", V::TokenTwice.number()),
            "LEFT JOIN (SELECT n, row_number() OVER (PARTITION BY token ORDER BY n) AS turn \
             FROM pg_temp.tuskvault_staged WHERE token IS NOT NULL) e ON e.n = s.n"
                .to_owned(),
        )
    } else {
        (String::new(), no_join)
    };
    let statement = format!(
        "CREATE TEMP TABLE tuskvault_verdict ON COMMIT DROP AS SELECT * FROM (SELECT s.n, (CASE \
         WHEN s.verdict IS NOT NULL THEN s.verdict \
         WHEN s.user_no IS NOT NULL AND u.id IS NULL THEN {no_such_user} \
         WHEN {younger} THEN {is_younger} \
         WHEN s.app_no = {WEB} AND a.app_id IS NULL THEN {no_web_app} \
         WHEN a.superapp THEN {is_web_app} \
         WHEN t.token IS NOT NULL AND (t.resource_owner_id IS DISTINCT FROM u.id OR t.application_id IS DISTINCT FROM a.app_id) \
         THEN {somebody_elses} \
         WHEN t.revoked_at IS NOT NULL AND s.revoked_at IS NULL THEN {revoked} \
         WHEN t.token IS NOT NULL AND t.revoked_at IS NULL AND s.revoked_at IS NOT NULL THEN {there_live} \
         WHEN t.token IS NOT NULL THEN {there} \
         WHEN s.app_no <> {WEB} AND a.app_id IS NULL AND a.secret IS NULL THEN {no_secret} \
         {token_twice} {refresh_taken} \
         ELSE 0 END)::int2 AS verdict, coalesce(u.state, 0::int2) AS state, \
         (coalesce(a.notes & {differing}, 0) + CASE WHEN t.token IS NOT NULL AND t.scopes <> s.scopes THEN {other_scopes} \
         ELSE 0 END)::int2 AS notes \
         FROM pg_temp.tuskvault_staged s \
         LEFT JOIN pg_temp.tuskvault_user u ON u.no = s.user_no \
         LEFT JOIN pg_temp.tuskvault_app a ON a.no = s.app_no \
         LEFT JOIN oauth_access_tokens t ON t.token = s.token \
         {refresh_joins} {token_join} \
         WHERE s.token IS NOT NULL OR s.verdict IS NOT NULL) v WHERE verdict <> 0 OR state <> 0 OR notes <> 0",
        no_such_user = V::NoSuchUser.number(),
        is_younger = V::Younger.number(),
        no_web_app = V::NoWebApp.number(),
        is_web_app = V::IsWebApp.number(),
        somebody_elses = V::SomebodyElses.number(),
        revoked = revoked.number(),
        there_live = V::ThereLive.number(),
        there = V::There.number(),
        no_secret = V::NoSecret.number(),
        differing = outcome::OTHER_SECRET | outcome::OTHER_SETTINGS,
        other_scopes = outcome::OTHER_SCOPES,
    );
    let doing = during("deciding what becomes of the tokens");
    transaction.batch_execute(&statement).map_err(&doing)?;
    transaction
        .batch_execute("ANALYZE pg_temp.tuskvault_verdict")
        .map_err(&doing)
}

/// Whether who bears the name now came after what is restored: then it is somebody else.
fn younger(born: &str, issued: &str, options: &Options) -> String {
    if options.reused_names {
        return "false".to_owned();
    }
    // A user's row and a first token may be written in either order within a second.
    format!("coalesce({born} > {issued} + interval '1 second', false)")
}

/// What keeps a user's tokens from working, as a sum of bits, of the columns that there are.
pub(super) fn state(target: &Target) -> String {
    let mut terms = Vec::new();
    for (table, columns) in STATES {
        let alias = if table == USERS { "u" } else { "a" };
        debug_assert!(table == USERS || table == ACCOUNTS);
        for column in columns.iter().filter(|column| target.reads(table, column)) {
            let name = format!("{alias}.{column}");
            let (bit, when) = match *column {
                "confirmed_at" => (outcome::UNCONFIRMED, format!("{name} IS NULL")),
                "disabled" => (outcome::DISABLED, name),
                "approved" => (outcome::PENDING, format!("NOT {name}")),
                "suspended_at" => (outcome::SUSPENDED, format!("{name} IS NOT NULL")),
                // Up to 2.7 a flag, beside the time for some releases after.
                "suspended" if !target.reads(ACCOUNTS, "suspended_at") => {
                    (outcome::SUSPENDED, name)
                }
                "memorial" => (outcome::MEMORIAL, name),
                "moved_to_account_id" => (outcome::MOVED, format!("{name} IS NOT NULL")),
                "requested_deletion_at" => (outcome::LEAVING, format!("{name} IS NOT NULL")),
                _ => continue,
            };
            terms.push(format!("CASE WHEN {when} THEN {bit} ELSE 0 END"));
        }
    }
    if terms.is_empty() {
        "0".to_owned()
    } else {
        terms.join(" + ")
    }
}

/// Whether an app may be given its former id: its sequence must be known, to be moved past it.
pub(super) fn can_keep_ids(target: &Target) -> bool {
    target.sequence(APPS).is_some() && target.inserts(APPS, "id")
}
