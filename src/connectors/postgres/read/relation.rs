//! One relation on its way: the statement that reads it, its rows as they are received, and whether all are there.

use postgres::Transaction;

use crate::model::{Novelty, Relation, RowSink};

use crate::connectors::mastodon::reading_ahead;
use crate::connectors::postgres::{
    Error,
    copy::{self, Broken, id},
    error::doing,
    schema::NONE,
    watermark::Watermark,
};

use super::{ReadError, rows::Reader};

impl<S: RowSink> Reader<'_, '_, S> {
    /// The statement that reads rows in the order of their keys.
    pub(super) fn by_key(
        &mut self,
        list: &str,
        table: &str,
        filter: Option<&str>,
    ) -> Result<String, ReadError<S::Error>> {
        let order = if self.any(table, "id < 0")? {
            Order::Unsigned
        } else {
            Order::Signed
        };
        Ok(ordered(list, table, filter, order))
    }

    /// Whether there is any such row.
    pub(super) fn any(&mut self, table: &str, filter: &str) -> Result<bool, ReadError<S::Error>> {
        let failed = |error| ReadError::Source(doing(self.location, "asking for rows", error));
        let sql = format!("SELECT EXISTS (SELECT FROM {table} WHERE {filter})");
        let row = self
            .transaction
            .query_typed_one(&sql, NONE)
            .map_err(failed)?;
        row.try_get(0).map_err(failed)
    }

    /// A relation begins; answers how many rows it had, if only those written since come.
    pub(super) fn begin(
        &mut self,
        relation: Relation,
        mark: Option<&Watermark>,
        rows: Option<u64>,
    ) -> Result<Option<u64>, ReadError<S::Error>> {
        self.progress
            .start(&format!("reading {}", relation.as_str()), rows);
        let Some(mark) = mark else {
            return Ok(None);
        };
        let [apps, accounts, tokens] = mark.counts;
        let known = match relation {
            Relation::Apps => apps,
            Relation::Accounts => accounts,
            Relation::Tokens => tokens,
        };
        self.sink
            .only_changes(relation, known)
            .map_err(ReadError::Sink)?;
        Ok(Some(known))
    }

    /// All rows of a relation came; answers how many there are. Where only those written since came, the count tells
    /// how many are gone; their keys follow if any are.
    pub(super) fn end(
        &mut self,
        relation: Relation,
        table: &'static str,
        known: Option<u64>,
        seen: u64,
        new: u64,
    ) -> Result<u64, ReadError<S::Error>> {
        self.progress.finish();
        let Some(known) = known else {
            return Ok(seen);
        };
        let location = self.location;
        let failed = |error| ReadError::Source(doing(location, "counting rows", error));
        let row = self
            .transaction
            .query_typed_one(&format!("SELECT count(id) FROM {table}"), NONE)
            .map_err(failed)?;
        let there = row.try_get::<_, i64>(0).map_err(failed)?.cast_unsigned();
        match (known + new).checked_sub(there) {
            Some(0) => {}
            Some(_) => {
                self.sink.keys_follow(relation).map_err(ReadError::Sink)?;
                let sql = self.by_key("id::int8", table, None)?;
                let reader = copy_out(self.transaction, location, "reading keys", &sql)?;
                received::<1, S::Error>(reader, |[key]| {
                    let key = id(*key).ok_or(Fault::Malformed)?;
                    match self.sink.is_there(relation, key).map_err(Fault::Sink)? {
                        Novelty::Known => Ok(()),
                        Novelty::New => Err(Fault::Doubtful),
                    }
                })
                .map_err(|fault| fault.told(location, "reading keys"))?;
            }
            None => return Err(ReadError::Doubtful),
        }
        Ok(there)
    }
}

/// Why a row can't be taken.
pub(super) enum Fault<E> {
    Sink(E),
    Broken(Broken),
    Malformed,
    Doubtful,
}

impl<E> From<Broken> for Fault<E> {
    fn from(broken: Broken) -> Self {
        Self::Broken(broken)
    }
}

impl<E> Fault<E> {
    pub(super) fn told(self, location: &str, what: &'static str) -> ReadError<E> {
        let malformed = || {
            ReadError::Source(Error::Malformed {
                location: location.to_owned(),
                doing: what,
            })
        };
        match self {
            Self::Sink(error) => ReadError::Sink(error),
            Self::Doubtful => ReadError::Doubtful,
            Self::Malformed | Self::Broken(Broken::Malformed) => malformed(),
            Self::Broken(Broken::Io(error)) => match error.downcast::<postgres::Error>() {
                Ok(error) => ReadError::Source(doing(location, what, error)),
                Err(_) => malformed(),
            },
        }
    }
}

/// Takes rows while the next ones are received.
pub(super) fn received<const N: usize, E>(
    reader: postgres::CopyOutReader<'_>,
    each: impl FnMut(&[Option<&[u8]>; N]) -> Result<(), Fault<E>>,
) -> Result<(), Fault<E>> {
    reading_ahead(reader, |ahead| copy::rows(ahead, each))
}

pub(super) fn copy_out<'t, E>(
    transaction: &'t mut Transaction<'_>,
    location: &str,
    what: &'static str,
    sql: &str,
) -> Result<postgres::CopyOutReader<'t>, ReadError<E>> {
    transaction
        .copy_out(sql)
        .map_err(|error| ReadError::Source(doing(location, what, error)))
}

fn ordered(list: &str, table: &str, filter: Option<&str>, order: Order) -> String {
    let filter = filter
        .map(|filter| format!(" WHERE {filter}"))
        .unwrap_or_default();
    let order = match order {
        Order::Signed => format!("{table}.id"),
        Order::Unsigned => format!("{table}.id < 0, {table}.id"),
    };
    format!("COPY (SELECT {list} FROM {table}{filter} ORDER BY {order}) TO STDOUT (FORMAT binary)")
}

/// Row keys are unsigned. Ids below zero come from no sequence, but somebody may have put some in by hand: then they
/// come last, at the price of a sort.
#[derive(Clone, Copy)]
enum Order {
    Signed,
    Unsigned,
}
