//! How far the last run came, so that the next asks only for rows written since.
//!
//! PostgreSQL notes in each row version the transaction that wrote it (`xmin`). Transactions below the `xmin` of a
//! snapshot were all over when it was taken, so whatever the next snapshot sees that this one did not was written by
//! that transaction or a later one. This is a hint only: it says nothing of rows that are gone, and nothing of a
//! database that went back in time or was replaced. So the count of rows must agree, the server must be the same and
//! have gone forward, and once a week everything is read whatever the watermark says.

use jiff::{SignedDuration, Timestamp};
use postgres::Transaction;
use serde::{Deserialize, Serialize};

use super::{
    Error,
    error::doing,
    schema::{NONE, Schema},
};

/// What a run leaves for the next.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Watermark {
    /// The server, if it says which one it is.
    pub(super) server: Option<Server>,
    /// The snapshot's oldest running transaction.
    xmin: u64,
    /// Where its log was.
    log: i64,
    /// When the server was started, in microseconds since 1970: files can be put back only while it is down.
    started: i64,
    /// The files that the four tables are in.
    tables: [(u32, u32); 4],
    /// Which columns were read.
    columns: String,
    /// How many apps, accounts and tokens there were.
    pub(super) counts: [u64; 3],
    /// When everything was read last.
    full_at: Timestamp,
}

/// A server's database, and its line of history: restoring to a point in time begins a new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Server {
    system: i64,
    timeline: i32,
    database: u32,
}

/// Where the server stands now.
pub(super) struct Position {
    server: Option<Server>,
    xmin: u64,
    next: u64,
    log: i64,
    started: i64,
}

impl Position {
    /// Asks the server, in the transaction whose snapshot is read.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub(super) fn read(transaction: &mut Transaction<'_>, location: &str) -> Result<Self, Error> {
        let failed = |error| doing(location, "asking for its position", error);
        let row = transaction
            .query_typed_one(POSITION, NONE)
            .map_err(failed)?;
        let number = |at| row.try_get::<_, i64>(at).map_err(failed);
        let database: u32 = row.try_get(3).map_err(failed)?;
        let tells: bool = row.try_get(4).map_err(failed)?;
        let (xmin, next, log) = (number(0)?, number(1)?, number(2)?);
        let started = number(5)?;
        let server = if tells {
            let row = transaction.query_typed_one(CONTROL, NONE).map_err(failed)?;
            Some(Server {
                system: row.try_get(0).map_err(failed)?,
                timeline: row.try_get(1).map_err(failed)?,
                database,
            })
        } else {
            None
        };
        Ok(Self {
            server,
            xmin: xmin.cast_unsigned(),
            next: next.cast_unsigned(),
            log,
            started,
        })
    }
}

impl Watermark {
    /// Reads what a run left; `None` when it was another version of this program's.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    /// What this run leaves.
    pub(super) fn new(
        position: &Position,
        schema: &Schema,
        columns: &str,
        counts: [u64; 3],
        full_at: Timestamp,
    ) -> Self {
        Self {
            server: position.server,
            xmin: position.xmin,
            log: position.log,
            started: position.started,
            tables: schema.tables().map(|table| table.identity),
            columns: columns.to_owned(),
            counts,
            full_at,
        }
    }

    /// The same as bytes.
    pub(super) fn bytes(&self) -> Vec<u8> {
        // Numbers and texts: nothing in it can fail to be written.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Whether this is known to be another server or database than the one that was read.
    pub(super) fn is_of_another(&self, position: &Position) -> bool {
        let is_other = |a: Server, b: Server| (a.system, a.database) != (b.system, b.database);
        self.server
            .zip(position.server)
            .is_some_and(|(then, now)| is_other(then, now))
    }

    /// Since when everything was read; it stays so unless everything is read now.
    pub(super) fn full_at(&self) -> Timestamp {
        self.full_at
    }

    /// Whether rows written since can be asked for, and nothing casts doubt on the answer.
    pub(super) fn holds(
        &self,
        position: &Position,
        schema: &Schema,
        columns: &str,
        now: Timestamp,
    ) -> bool {
        let age = now.duration_since(self.full_at);
        let written = position.next.wrapping_sub(self.xmin);
        self.server.is_some()
            && self.server == position.server
            && self.tables == schema.tables().map(|table| table.identity)
            && self.columns == columns
            && self.log <= position.log
            && self.started == position.started
            && self.xmin <= position.xmin
            && written < MAX_TRANSACTIONS
            && age >= SignedDuration::ZERO
            && age < FULL_EVERY
    }

    /// The condition for rows of a table written since.
    pub(super) fn since(&self, table: &str) -> String {
        // `age` compares 32-bit numbers as they go round; both are taken from the same moment.
        let xmin = self.xmin & u64::from(u32::MAX);
        format!("age({table}.xmin) <= (SELECT age('{xmin}'::xid))")
    }
}

/// Rows that somebody changed in a way that no transaction tells of come to light within this time.
const FULL_EVERY: SignedDuration = SignedDuration::from_hours(7 * 24);
/// Transaction numbers go round after 2³²; which of two is older can be told up to half of that.
const MAX_TRANSACTIONS: u64 = 2_000_000_000;

const POSITION: &str = "\
SELECT txid_snapshot_xmin(txid_current_snapshot()), txid_snapshot_xmax(txid_current_snapshot()),
       pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END, '0/0')::int8,
       (SELECT oid FROM pg_database WHERE datname = current_database()),
       has_function_privilege('pg_control_system()', 'EXECUTE') AND has_function_privilege('pg_control_checkpoint()', 'EXECUTE'),
       (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::int8";

const CONTROL: &str = "\
SELECT system_identifier, timeline_id FROM pg_control_system(), pg_control_checkpoint()";
