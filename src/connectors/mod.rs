//! Connectors: one file per place that holds tokens. They turn a client's store into a [`Snapshot`] and, where the
//! format allows it, put records back into it.
//!
//! Connectors know nothing of the vault, of a terminal, or of the clock: what they need comes in. They never run,
//! expand or fetch anything that a file names. Reading is bounded; writing is a [`Prepared`] plan that somebody
//! applies or drops.

pub mod clients;
pub mod csv;
mod discovery;
mod error;
pub mod json;
#[cfg(any(feature = "pgdump", feature = "postgres"))]
mod mastodon;
#[cfg(feature = "pgdump")]
pub mod pgdump;
mod place;
#[cfg(feature = "postgres")]
pub mod postgres;
pub mod rails;
mod registry;
mod rewrite;
#[cfg(feature = "sqlite")]
mod sqlite;
mod store;
mod surroundings;
#[cfg(test)]
mod testing;
mod values;

use std::path::PathBuf;

use crate::model::{Domain, Outcome, Plan, Record, Snapshot};

pub use discovery::{Found, discover, recognise};
pub use error::Error;
pub use registry::{all, find, lacking, sinks, sources};
pub use surroundings::Surroundings;

/// A place that tokens can be read from.
pub trait Source: Sync {
    /// The connector's name on the command line ("toot").
    fn name(&self) -> &'static str;

    /// What it reads, for people: "toot, the command-line client".
    fn title(&self) -> &'static str;

    /// Files or folders where the client usually keeps its store on this system; they need not exist. Empty for
    /// formats whose files can be anywhere.
    fn usual_places(&self, surroundings: &Surroundings) -> Vec<PathBuf>;

    /// Reads the store at `request.path`, a file or the folder that holds it. What is found and can't be imported
    /// comes as a warning of the snapshot.
    ///
    /// # Errors
    /// [`Error`] when the file can't be read or is not what this connector reads.
    fn read(&self, request: &ReadRequest) -> Result<Snapshot, Error>;

    /// Reads the same from bytes that came through a pipe. The source's location is then `request.path`, `-`.
    ///
    /// # Errors
    /// [`Error::NeedsFile`] when the connector needs a file or folder; else as [`Source::read`].
    fn read_bytes(&self, _request: &ReadRequest, _bytes: &[u8]) -> Result<Snapshot, Error> {
        Err(Error::NeedsFile {
            connector: self.name(),
        })
    }

    /// How narrowly the format is defined: of two connectors that can read the same file, the narrower one is meant.
    fn specificity(&self) -> Specificity;

    /// Whether the contents of `request.path` are what this connector reads. A format without marks of its own fits
    /// only where something was found.
    fn fits(&self, request: &ReadRequest) -> bool {
        self.read(request).is_ok_and(|snapshot| {
            self.specificity() == Specificity::Client
                || !(snapshot.tokens.is_empty() && snapshot.warnings.is_empty())
        })
    }

    /// Whether it reads the place itself, as it is now, so that what is missing there is gone. Material with a date of
    /// its own (an interchange file) is not.
    fn is_live(&self) -> bool {
        true
    }

    /// How the processes of a client are called that keeps its store in memory, and would write it over ours.
    fn programs(&self) -> &'static [&'static str] {
        &[]
    }

    /// The way back, where the format has one.
    fn sink(&self) -> Option<&dyn Sink> {
        None
    }
}

/// How narrowly a format is defined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Specificity {
    /// Anything with the usual names in it (`generic`).
    Generic,
    /// A convention that many programs share (`dotenv`, `mastodon-py`).
    Convention,
    /// What one client writes.
    Client,
}

/// A place that tokens can be put back into.
pub trait Sink: Sync {
    /// Finds out what putting these records into the store at `request.path` would change. Writes nothing.
    ///
    /// The entry of the same instance and user is changed; a missing one is added where the format allows it, else
    /// the record is refused with the reason.
    ///
    /// # Errors
    /// [`Error`] when the store can't be read or is not what this connector writes.
    fn plan(&self, request: &WriteRequest, records: &[Record]) -> Result<Box<dyn Prepared>, Error>;
}

/// A plan with all that is needed to carry it out. Dropping it changes nothing.
pub trait Prepared {
    /// What would change.
    fn plan(&self) -> &Plan;

    /// Carries it out: atomically, with a 0600 backup of the former file beside it.
    ///
    /// # Errors
    /// [`Error`] when the store changed since it was read, or can't be written; it is then as it was.
    fn apply(self: Box<Self>) -> Result<Outcome, Error>;
}

/// What to read.
#[derive(Debug, Clone)]
pub struct ReadRequest {
    /// The file, or the folder that holds it.
    pub path: PathBuf,
    /// The instance, where the person names it because the file doesn't.
    pub instance: Option<Domain>,
    /// The user, where the person names it because the file doesn't.
    pub user: Option<String>,
    /// The host name, part of the source's identity.
    pub host: String,
}

/// Where to put records.
#[derive(Debug, Clone)]
pub struct WriteRequest {
    /// The file, or the folder that holds it.
    pub path: PathBuf,
    /// The time, for the name of the backup.
    pub now: jiff::Timestamp,
    /// Whether an app (client_id) that is there may be replaced by the record's.
    pub replace_app: bool,
}
