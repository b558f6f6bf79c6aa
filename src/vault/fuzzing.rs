//! What a fuzzer feeds and nobody else needs: the blocks of rows, which else are reached only through sealed pages.

use super::{
    Error, Vault,
    audit::AuditRow,
    bodies::{AccountBody, AppBody, TokenBody},
    codec::{self, Columnar},
    index::{ByAccount, ByDigest, ByName, Touched},
    rows::{First, Later},
    run::{RunRow, SourceRow},
};

/// Decodes bytes as a block of every kind of row.
pub fn read_as_every_block(bytes: &[u8]) {
    rows::<First<AppBody>>(bytes);
    rows::<First<AccountBody>>(bytes);
    rows::<First<TokenBody>>(bytes);
    rows::<Later<AppBody>>(bytes);
    rows::<Later<AccountBody>>(bytes);
    rows::<Later<TokenBody>>(bytes);
    rows::<ByDigest>(bytes);
    rows::<ByAccount>(bytes);
    rows::<ByName>(bytes);
    rows::<Touched>(bytes);
    drop(codec::decode::<SourceRow>(bytes, WHAT));
    drop(codec::decode::<RunRow>(bytes, WHAT));
    drop(codec::decode::<AuditRow>(bytes, WHAT));
}

fn rows<R: Columnar>(bytes: &[u8]) {
    if let Ok(rows) = codec::rows::<R>(bytes, WHAT) {
        rows.for_each(drop);
    }
}

impl Vault {
    /// Every value that stands in the database: real blocks to begin with.
    ///
    /// # Errors
    /// [`Error`] when the vault can't be read.
    #[doc(hidden)]
    pub fn blocks(&self) -> Result<Vec<Vec<u8>>, Error> {
        let reader = self.reader()?;
        let store = reader.store();
        let entries = store.all(&[]);
        entries.map(|entry| entry.map(|(_, value)| value)).collect()
    }
}

const WHAT: &str = "a block";
