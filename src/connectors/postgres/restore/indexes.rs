//! `--rebuild-indexes`: one million rows are written in a fraction of the time when indexes and foreign keys are made
//! afterwards. All in the same transaction, around an empty table, and what is made is what was there.

use postgres::Transaction;

use super::{
    error::{Error, during},
    target::Target,
};

/// What was dropped, and the statements that make it again.
#[derive(Debug)]
pub(super) struct Dropped {
    again: Vec<String>,
}

/// Locks the table, checks that it is empty, and drops its secondary indexes and its foreign keys.
///
/// The primary key stays: other tables' foreign keys rest on it, and ids come in order. Whatever could not be made
/// again exactly as it is (an index in a tablespace of its own, one that clusters or identifies rows, one with a
/// comment) stays too.
pub(super) fn drop(transaction: &mut Transaction<'_>, target: &Target) -> Result<Dropped, Error> {
    if !target.owns_tokens {
        return Err(Error::NotOwner {
            role: target.role.clone(),
        });
    }
    let doing = during("dropping the indexes");
    transaction
        .batch_execute("LOCK TABLE oauth_access_tokens IN ACCESS EXCLUSIVE MODE")
        .map_err(&doing)?;
    let row = transaction
        .query_typed_one("SELECT EXISTS (SELECT FROM oauth_access_tokens)", &[])
        .map_err(&doing)?;
    if row.get(0) {
        return Err(Error::NotEmpty);
    }
    let found = transaction
        .query_typed(
            "SELECT format('ALTER TABLE oauth_access_tokens DROP CONSTRAINT %I', conname), \
             format('ALTER TABLE oauth_access_tokens ADD CONSTRAINT %I %s', conname, pg_get_constraintdef(oid)), 1 \
             FROM pg_constraint WHERE conrelid = 'oauth_access_tokens'::regclass AND contype = 'f' \
             AND obj_description(oid, 'pg_constraint') IS NULL \
             UNION ALL \
             SELECT format('DROP INDEX %s', i.indexrelid::regclass), pg_get_indexdef(i.indexrelid), 0 \
             FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid \
             WHERE i.indrelid = 'oauth_access_tokens'::regclass AND NOT i.indisprimary AND i.indisvalid \
             AND NOT i.indisclustered AND NOT i.indisreplident AND c.reltablespace = 0 \
             AND obj_description(c.oid, 'pg_class') IS NULL \
             AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = c.oid) ORDER BY 3, 2",
            &[],
        )
        .map_err(&doing)?;
    let mut dropped = Dropped { again: Vec::new() };
    let mut statements: Vec<String> = Vec::new();
    for row in found {
        statements.push(row.get(0));
        dropped.again.push(row.get(1));
    }
    transaction
        .batch_execute(&statements.join(";\n"))
        .map_err(&doing)?;
    Ok(dropped)
}

/// Makes everything again: indexes first, then the foreign keys, which are checked over all rows at once.
pub(super) fn make(transaction: &mut Transaction<'_>, dropped: &Dropped) -> Result<(), Error> {
    for statement in &dropped.again {
        transaction
            .batch_execute(statement)
            .map_err(during("making the indexes again"))?;
    }
    Ok(())
}
