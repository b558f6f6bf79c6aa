//! The third step: rows into the server's tables.

use postgres::Transaction;

use super::{
    Options,
    decide::can_keep_ids,
    error::{Error, during, is_race},
    outcome::{self, Verdict},
    target::{APPS, TOKEN_COLUMNS, TOKENS, Target},
};

/// Why a step ended: somebody wrote at the same time, or for good.
pub(super) enum Stop {
    Race,
    Failed(Error),
}

fn stop(doing: &'static str) -> impl Fn(postgres::Error) -> Stop {
    move |error| {
        if is_race(&error) {
            Stop::Race
        } else {
            Stop::Failed(during(doing)(error))
        }
    }
}

/// Makes the missing apps that tokens need or that were taken by themselves: never as a web interface, each under its former id if that is free.
pub(super) fn apps(
    transaction: &mut Transaction<'_>,
    target: &Target,
    options: &Options,
) -> Result<(), Stop> {
    let stop = stop(MAKING_APPS);
    // Those that were taken by themselves, and those that tokens need.
    let needed = "EXISTS (SELECT FROM pg_temp.tuskvault_staged s WHERE s.app_no = a.no AND (s.id IS NULL \
         OR (s.token IS NOT NULL AND NOT EXISTS \
         (SELECT FROM pg_temp.tuskvault_verdict v WHERE v.n = s.n AND v.verdict <> 0))))";
    let keeps_ids = can_keep_ids(target);
    let kept = if keeps_ids {
        format!(
            "CASE WHEN a.server_id BETWEEN 1 AND {MAX_STEPS} AND x.id IS NULL \
             AND row_number() OVER (PARTITION BY a.server_id ORDER BY a.no) = 1 THEN a.server_id END"
        )
    } else {
        "NULL::int8".to_owned()
    };
    // Old posts name their app by its id (statuses.application_id, no foreign key).
    transaction
        .batch_execute(&format!(
            "CREATE TEMP TABLE tuskvault_make ON COMMIT DROP AS SELECT a.no, {kept} AS id \
             FROM pg_temp.tuskvault_app a LEFT JOIN oauth_applications x ON x.id = a.server_id \
             WHERE a.app_id IS NULL AND a.uid IS NOT NULL AND a.secret IS NOT NULL AND {needed}"
        ))
        .map_err(&stop)?;
    let row = transaction
        .query_typed_one("SELECT count(*), max(id) FROM pg_temp.tuskvault_make", &[])
        .map_err(&stop)?;
    let (count, last): (i64, Option<i64>) = (row.get(0), row.get(1));
    if count == 0 {
        return Ok(());
    }
    target.check_apps().map_err(Stop::Failed)?;
    if let (Some(last), Some(sequence)) = (last, target.sequence(APPS))
        && !options.is_rehearsal
    {
        advance(transaction, &quoted(sequence), last).map_err(&stop)?;
    }
    transaction
        .batch_execute(&make_apps(target, options, keeps_ids))
        .map_err(&stop)
}

/// Moves a sequence past an id by taking numbers from it, which needs no more than USAGE.
pub(super) fn advance(
    transaction: &mut Transaction<'_>,
    sequence: &str,
    id: i64,
) -> Result<(), postgres::Error> {
    let take =
        |count: i64| format!("SELECT max(nextval('{sequence}')) FROM generate_series(1, {count})");
    let at: i64 = transaction.query_typed_one(&take(1), &[])?.get(0);
    if id > at {
        transaction.query_typed_one(&take(id - at), &[])?;
    }
    Ok(())
}

fn make_apps(target: &Target, options: &Options, keeps_ids: bool) -> String {
    let now = "now() AT TIME ZONE 'UTC'";
    let mut columns = vec![
        ("name", "coalesce(a.name, a.uid)"),
        ("uid", "a.uid"),
        ("secret", "a.secret"),
        (
            "redirect_uri",
            "coalesce(a.redirect_uri, 'urn:ietf:wg:oauth:2.0:oob')",
        ),
        ("scopes", "a.scopes"),
    ];
    let created_at = format!("coalesce(a.created_at, {now})");
    for (column, value) in [
        // False by default: a role that may not set it can't make a superapp by any way.
        ("superapp", "false"),
        ("website", "a.website"),
        ("confidential", "coalesce(a.confidential, true)"),
        (
            "owner_type",
            "CASE WHEN a.owner_id IS NOT NULL THEN 'User' END",
        ),
        ("owner_id", "a.owner_id"),
        ("created_at", created_at.as_str()),
        ("updated_at", now),
    ] {
        if target.inserts(APPS, column) {
            columns.push((column, value));
        }
    }
    // A rehearsal takes no numbers from the sequence: those would not come back with the rest.
    let fresh = match target.sequence(APPS) {
        _ if options.is_rehearsal => "-a.no::int8".to_owned(),
        Some(sequence) => format!("nextval('{}')", quoted(sequence)),
        None => String::new(),
    };
    let id = format!("coalesce(m.id, {fresh})");
    if keeps_ids {
        columns.push(("id", &id));
    }
    let (names, values): (Vec<&str>, Vec<&str>) = columns.into_iter().unzip();
    format!(
        "WITH made AS (INSERT INTO oauth_applications ({}) SELECT {} FROM pg_temp.tuskvault_make m \
         JOIN pg_temp.tuskvault_app a ON a.no = m.no ORDER BY m.no RETURNING id, uid) \
         UPDATE pg_temp.tuskvault_app a SET app_id = made.id, \
         notes = a.notes + {made} + CASE WHEN a.server_id <> made.id THEN {other_id} ELSE 0 END \
         FROM made WHERE made.uid = a.uid",
        names.join(", "),
        values.join(", "),
        made = outcome::MADE,
        other_id = outcome::OTHER_ID,
    )
}

/// Writes the tokens that have no verdict against it. Ids come from the sequence: nobody but session and push rows,
/// which are not restored, refers to them.
pub(super) fn tokens(
    transaction: &mut Transaction<'_>,
    target: &Target,
    options: &Options,
    is_careful: bool,
) -> Result<(), Stop> {
    let stop = stop("writing the tokens");
    let mut columns = TOKEN_COLUMNS.to_vec();
    let mut values = vec![
        "s.token",
        "s.refresh_token",
        "s.expires_in",
        "s.revoked_at",
        "s.created_at",
        "s.scopes",
        "a.app_id",
        "u.id",
    ];
    if options.is_rehearsal && target.inserts(TOKENS, "id") {
        columns.push("id");
        values.push("-1 - s.n::int8");
    }
    let insert = format!(
        "INSERT INTO oauth_access_tokens ({}) SELECT {} FROM pg_temp.tuskvault_staged s \
         LEFT JOIN pg_temp.tuskvault_user u ON u.no = s.user_no \
         LEFT JOIN pg_temp.tuskvault_app a ON a.no = s.app_no WHERE {IS_NEW}",
        columns.join(", "),
        values.join(", "),
    );
    let statement = if is_careful {
        let overtaken = Verdict::Overtaken.number();
        format!(
            "WITH put AS ({insert} ON CONFLICT DO NOTHING RETURNING token) \
             INSERT INTO pg_temp.tuskvault_verdict (n, verdict, state, notes) SELECT s.n, {overtaken}, 0, 0 \
             FROM pg_temp.tuskvault_staged s WHERE {IS_NEW} AND NOT EXISTS (SELECT FROM put WHERE put.token = s.token); \
             DELETE FROM pg_temp.tuskvault_verdict v WHERE v.verdict = 0 AND EXISTS \
             (SELECT FROM pg_temp.tuskvault_verdict x WHERE x.n = v.n AND x.verdict = {overtaken})"
        )
    } else {
        insert
    };
    transaction.batch_execute(&statement).map_err(&stop)
}

/// Lets revoked tokens work again, where that is asked for.
pub(super) fn revive(transaction: &mut Transaction<'_>) -> Result<(), Stop> {
    let statement = format!(
        "UPDATE oauth_access_tokens t SET revoked_at = NULL FROM pg_temp.tuskvault_staged s \
         JOIN pg_temp.tuskvault_verdict v ON v.n = s.n WHERE v.verdict = {} AND t.token = s.token",
        Verdict::Revived.number()
    );
    transaction
        .batch_execute(&statement)
        .map_err(stop("letting tokens work again"))
}

/// Tokens that are written.
const IS_NEW: &str = "s.token IS NOT NULL AND NOT EXISTS \
     (SELECT FROM pg_temp.tuskvault_verdict v WHERE v.n = s.n AND v.verdict <> 0)";
const MAKING_APPS: &str = "making the apps";

/// A sequence's name inside a string.
pub(super) fn quoted(sequence: &str) -> String {
    sequence.replace('\'', "''")
}

/// An id that is further than this from the sequence's own numbers is not given again: moving the sequence there would
/// take more than a second or two.
pub(super) const MAX_STEPS: i64 = 10_000_000;
