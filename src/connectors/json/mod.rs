//! Our own interchange: one JSON object per record, as `list`, `show` and `export json` print them and `import json`
//! takes them back. `docs/json.md` has the schema.
//!
//! Promises that what `export json --reveal` wrote comes back without loss (ids and sources apart, which belong to a
//! vault), that unknown is `null` and never `""`, and that no error repeats a value from the material. [`history`]
//! carries the runs too.

mod fields;
pub mod history;
mod read;
#[cfg(test)]
mod tests;
mod view;

use std::path::PathBuf;

use crate::model::{Snapshot, SourceKey};

use super::{Error, ReadRequest, Source, Specificity, Surroundings, place};

pub use view::{
    AppJson, CountsJson, RecordJson, Reveal, RunJson, SightingJson, VerifiedJson, line,
};

/// The interchange as a source: a file, or bytes that came through a pipe.
#[derive(Debug, Clone, Copy)]
pub struct Json;

impl Source for Json {
    fn name(&self) -> &'static str {
        NAME
    }

    fn title(&self) -> &'static str {
        "what `tuskvault export json` wrote"
    }

    fn usual_places(&self, _surroundings: &Surroundings) -> Vec<PathBuf> {
        Vec::new()
    }

    fn specificity(&self) -> Specificity {
        Specificity::Client
    }

    fn is_live(&self) -> bool {
        false
    }

    /// What we wrote has our ids, or runs (which are replayed rather than read). An object of a token and its instance
    /// is what bots have for a configuration, too.
    fn fits(&self, request: &ReadRequest) -> bool {
        place::load(self.name(), &request.path, MAX_BYTES).is_ok_and(|file| {
            history::is_history(file.bytes())
                || read::has_our_ids(file.bytes()) && self.read_bytes(request, file.bytes()).is_ok()
        })
    }

    fn read(&self, request: &ReadRequest) -> Result<Snapshot, Error> {
        let file = place::load(self.name(), &request.path, MAX_BYTES)?;
        self.read_bytes(request, file.bytes())
    }

    /// The records. Material with runs in it is refused: [`history::is_history`] tells, [`history::replay`] reads it.
    fn read_bytes(&self, request: &ReadRequest, bytes: &[u8]) -> Result<Snapshot, Error> {
        // A file is the same material wherever it lies: no host.
        let source = SourceKey {
            host: String::new(),
            ..place::source_key(self.name(), &request.path, request)
        };
        read::records(bytes, source).map_err(|problem| problem.at(&request.path))
    }
}

/// Its name on the command line.
pub const NAME: &str = "json";

/// A million records of 1 KiB: larger material is split by lines.
pub const MAX_BYTES: u64 = 1 << 30;
