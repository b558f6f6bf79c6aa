//! Whalebird, a client for the desktop, in its three generations. None takes over the accounts of the one before, whose
//! file stays behind with tokens that still work: all are looked for.
//!
//! - 1.0 to 4.7: `db/account.db`, a file of lines ([`nedb`]).
//! - 5.0 and 5.1: `db/whalebird.db`, an SQLite database (`database.rs`, with the feature `sqlite`).
//! - 6.0 to 6.3: Chromium's IndexedDB, which can't be read; its accounts as a JSON list that the person made ([`export`]).
//!
//! Evidence for the places: Electron's `app.getPath("userData")`, `src/main/index.ts` (4.7: `db`, and `cache/account.db`,
//! which holds other people's accounts).

#[cfg(feature = "sqlite")]
mod database;
mod export;
mod nedb;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

#[cfg(not(feature = "sqlite"))]
use crate::connectors::error::Problem;
use crate::{
    connectors::{
        Error, Prepared, ReadRequest, Sink, Source, Specificity, Surroundings, WriteRequest,
        place::{self, Loaded},
        rewrite::refused_all,
        store,
        surroundings::Program,
    },
    model::{Completeness, Record, Snapshot},
};

/// Whalebird's accounts.
#[derive(Debug, Clone, Copy)]
pub struct Whalebird;

const NAME: &str = "whalebird";

impl Source for Whalebird {
    fn name(&self) -> &'static str {
        NAME
    }

    fn title(&self) -> &'static str {
        "Whalebird, a client for the desktop"
    }

    fn usual_places(&self, surroundings: &Surroundings) -> Vec<PathBuf> {
        let mut folders = surroundings.folders_of(&PROGRAM);
        // What comes from the App Store, under an identifier of its own.
        let containers = surroundings.home.join("Library/Containers");
        let containers = place::entries(&containers).unwrap_or_default().into_iter();
        let is_ours = |path: &PathBuf| {
            let name = place::file_name(path).to_ascii_lowercase();
            name.contains("whalebird")
        };
        folders.extend(
            containers
                .filter(is_ours)
                .map(|path| path.join("Data/Library/Application Support/Whalebird")),
        );
        folders
    }

    fn specificity(&self) -> Specificity {
        Specificity::Client
    }

    /// A database without a line is read as one without accounts; it takes an account to be recognised by.
    fn fits(&self, request: &ReadRequest) -> bool {
        let Ok(stores) = Stores::at(&request.path) else {
            return false;
        };
        let is_ours = |file: &PathBuf| match Kept::load(file) {
            Ok(Kept::Lines(file)) => {
                nedb::Documents::parse(file.bytes()).is_ok_and(|it| it.holds_any())
            }
            Ok(Kept::Export(file)) => export::entries(file.bytes()).is_ok(),
            #[cfg(feature = "sqlite")]
            Ok(Kept::Database) => database::Tables::open(file).is_ok(),
            Err(_) => false,
        };
        stores.is_newer_seen || stores.files.iter().any(is_ours)
    }

    fn read(&self, request: &ReadRequest) -> Result<Snapshot, Error> {
        let stores = Stores::at(&request.path)?;
        let mut snapshot = Snapshot::of_client(place::source_key(NAME, &request.path, request));
        for file in &stores.files {
            match read_file(file, request, &mut snapshot) {
                Ok(()) => {}
                Err(error) if stores.files.len() == 1 => return Err(error),
                Err(error) => {
                    snapshot.completeness = Completeness::Partial;
                    snapshot.warn(error.to_string());
                }
            }
        }
        if stores.is_newer_seen {
            snapshot.warn(
                "what Whalebird 6 keeps in its folder IndexedDB can't be read: export the accounts as JSON in its \
                 developer tools, and import that file",
            );
        }
        Ok(snapshot)
    }

    fn sink(&self) -> Option<&dyn Sink> {
        Some(self)
    }

    fn programs(&self) -> &'static [&'static str] {
        &["whalebird", "Whalebird"]
    }
}

impl Sink for Whalebird {
    fn plan(&self, request: &WriteRequest, records: &[Record]) -> Result<Box<dyn Prepared>, Error> {
        let stores = Stores::at(&request.path)?;
        let refuse = |why| Ok(refused_all(NAME, &request.path, records, why));
        let file = match stores.files.as_slice() {
            [file] => file,
            [] => return refuse(NOT_WRITTEN),
            _ => {
                return refuse(
                    "it holds the accounts of several generations of Whalebird: name the file of the one in use",
                );
            }
        };
        match Kept::load(file)? {
            Kept::Lines(file) => nedb::plan(file, request, records),
            Kept::Export(_) => refuse(NOT_WRITTEN),
            #[cfg(feature = "sqlite")]
            Kept::Database => database::plan(file, request, records),
        }
    }
}

fn read_file(file: &Path, request: &ReadRequest, snapshot: &mut Snapshot) -> Result<(), Error> {
    match Kept::load(file)? {
        Kept::Lines(loaded) => {
            let documents = nedb::Documents::parse(loaded.bytes());
            let documents = documents.map_err(|problem| problem.at(file))?;
            store::import(&documents.entries(), request, snapshot);
        }
        Kept::Export(loaded) => {
            let entries = export::entries(loaded.bytes()).map_err(|problem| problem.at(file))?;
            store::import(&entries, request, snapshot);
        }
        #[cfg(feature = "sqlite")]
        Kept::Database => {
            let tables = database::Tables::open(file)?;
            store::import(&tables.entries(), request, snapshot);
        }
    }
    Ok(())
}

/// What there is in a place.
struct Stores {
    /// The file itself, or those in the folder.
    files: Vec<PathBuf>,
    /// Whether the folder of a Whalebird 6 was seen.
    is_newer_seen: bool,
}

impl Stores {
    fn at(path: &Path) -> Result<Self, Error> {
        if !path.is_dir() {
            return Ok(Self {
                files: vec![path.to_owned()],
                is_newer_seen: false,
            });
        }
        let folders = PROGRAM.names.iter().map(|name| path.join(name));
        let found = &mut std::iter::once(path.to_owned())
            .chain(folders)
            .map(|folder| Self::in_folder(&folder))
            .filter(|stores| stores.is_newer_seen || !stores.files.is_empty());
        found.next().ok_or(Error::NotFound {
            connector: NAME,
            path: path.to_owned(),
        })
    }

    /// Looks into a user-data folder, or its folder `db`.
    fn in_folder(folder: &Path) -> Self {
        // The second is what NeDB was writing when it was interrupted.
        let lines = [
            "db/account.db",
            "account.db",
            "db/account.db~",
            "account.db~",
        ];
        let database = ["db/whalebird.db", "whalebird.db"];
        let generations: [&[&str]; 2] = [&lines, &database];
        let files = generations.iter().filter_map(|names| {
            let mut files = names.iter().map(|name| folder.join(name));
            files.find(|file| file.is_file())
        });
        let name = place::file_name(folder);
        Self {
            files: files.collect(),
            is_newer_seen: PROGRAM.names.contains(&name.as_str())
                && folder.join("IndexedDB/app_._0.indexeddb.leveldb").is_dir(),
        }
    }
}

/// A file of one of the generations, told by how it begins.
enum Kept {
    Lines(Loaded),
    Export(Loaded),
    #[cfg(feature = "sqlite")]
    Database,
}

impl Kept {
    fn load(path: &Path) -> Result<Self, Error> {
        let file = place::load(NAME, path, place::MAX_BYTES)?;
        let bytes = file.bytes();
        if bytes.starts_with(b"SQLite format 3\0") {
            #[cfg(feature = "sqlite")]
            return Ok(Self::Database);
            #[cfg(not(feature = "sqlite"))]
            return Err(
                Problem("a build with the feature sqlite is needed to read it".to_owned()).at(path),
            );
        }
        let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        Ok(if text.trim_ascii_start().starts_with(b"[") {
            Self::Export(file)
        } else {
            Self::Lines(file)
        })
    }
}

const PROGRAM: Program = Program {
    // Older versions used lower case on some systems.
    names: &["Whalebird", "whalebird"],
    flatpak: Some("social.whalebird.WhalebirdDesktop"),
    snap: Some("whalebird"),
    store: Some("45610h3poteto.Whalebird_"),
};

const APP: &str = "Whalebird";
const REDIRECT_URI: &str = "urn:ietf:wg:oauth:2.0:oob";

const NOT_WRITTEN: &str = "what Whalebird 6 keeps can't be written: log in to the account there";
