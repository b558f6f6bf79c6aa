//! Dumps of the Mastodon server's database, as pg_dump writes them: an old one puts the state of its day into the
//! history.
//!
//! A dump is read once, from its beginning to its end. pg_dump writes tables in the order of their names and rows in
//! that of the disk, and a run takes apps, accounts, tokens, each by key: so the rows of these tables are kept in
//! memory, wiped afterwards, and nothing else is. What a row means is said where rows of the live database are read.

mod archive;
mod error;
mod header;
mod kept;
mod lines;
mod open;
mod read;
mod rows;
mod text;

pub use error::Error;
pub use header::Started;
pub use open::{Input, is_dump, open};
pub use read::Dump;
#[doc(hidden)]
pub use read::read_as_dump;
pub use rows::{Read, RowsError};

/// The connector's name.
pub const NAME: &str = "pgdump";
