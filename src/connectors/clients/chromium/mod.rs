//! The local storage of programs that are made of Chromium: TheDesk's and Sengi's own folders, and any profile of a
//! browser that is named. Read only: newer versions keep what they read in memory, and check what they find.
//!
//! Evidence: [`leveldb`] for the storage; the clients' own files for what stands in it. TheDesk up to version 24 has the
//! origin `file://`, from 25 on `app://-`; a web client has the address of its page.

mod leveldb;
mod table;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use crate::{
    connectors::{
        Error, ReadRequest, Source, Specificity, Surroundings,
        clients::{
            thedesk,
            web::{self, keys::Spot},
        },
        place,
        store::{self, Entry},
        surroundings::Program,
    },
    model::{Completeness, Snapshot},
};

/// Chromium's local storage.
#[derive(Debug, Clone, Copy)]
pub struct Chromium;

const NAME: &str = "chromium";

impl Source for Chromium {
    fn name(&self) -> &'static str {
        NAME
    }

    fn title(&self) -> &'static str {
        "local storage of TheDesk, Sengi, or a browser's web clients"
    }

    fn usual_places(&self, surroundings: &Surroundings) -> Vec<PathBuf> {
        let folders = PROGRAMS
            .iter()
            .flat_map(|program| surroundings.folders_of(program));
        folders.map(|folder| folder.join(STORAGE)).collect()
    }

    fn specificity(&self) -> Specificity {
        Specificity::Client
    }

    fn read(&self, request: &ReadRequest) -> Result<Snapshot, Error> {
        let folder = folder(&request.path)?;
        let mut snapshot = Snapshot::of_client(place::source_key(NAME, &folder, request));
        if leveldb::is_open(&folder) {
            snapshot.warn("its program is running: what it wrote last may be missing");
        }
        let storage = leveldb::read(NAME, &folder)?;
        if !storage.is_whole {
            snapshot.completeness = Completeness::Partial;
            snapshot.warn("the end of its log is damaged, or was being written: what it holds newest may be missing");
        }
        let mut is_known = false;
        for (origin, keys) in storage.origins {
            let text = |key: &str| keys.get(key).cloned();
            let kept = match thedesk::stored(&text) {
                Ok(Some(entries)) => Kept::TheDesk(entries),
                Err(problem) if THEDESK.contains(&origin.as_str()) => {
                    return Err(problem.at(&folder));
                }
                // Any page may have keys of these names.
                Ok(None) | Err(_) => Kept::Web(web::keys::entries(&text)),
            };
            is_known |= kept.import(request, &mut snapshot);
        }
        if is_known {
            Ok(snapshot)
        } else {
            Err(Error::NotFound {
                connector: NAME,
                path: folder,
            })
        }
    }
}

/// What an origin holds of a client's.
enum Kept {
    TheDesk(Vec<Entry<()>>),
    Web(Vec<Entry<Option<Spot>>>),
}

impl Kept {
    /// Imports it; whether it was a client's.
    fn import(&self, request: &ReadRequest, snapshot: &mut Snapshot) -> bool {
        match self {
            Self::TheDesk(entries) => {
                store::import(entries, request, snapshot);
                true
            }
            Self::Web(entries) => {
                store::import(entries, request, snapshot);
                !entries.is_empty()
            }
        }
    }
}

/// The folder of the database: as named, or inside the user-data folder or profile that is.
fn folder(path: &Path) -> Result<PathBuf, Error> {
    let inside = ["leveldb", STORAGE, "Default/Local Storage/leveldb"];
    let inside = inside.map(|folder| path.join(folder));
    let mut folders = std::iter::once(path.to_owned()).chain(inside);
    folders
        .find(|folder| folder.join("CURRENT").is_file())
        .ok_or_else(|| Error::NotFound {
            connector: NAME,
            path: path.to_owned(),
        })
}

/// The origins of TheDesk's pages, before and since version 25.
const THEDESK: [&str; 2] = ["file://", "app://-"];

/// Below a user-data folder.
const STORAGE: &str = "Local Storage/leveldb";

const PROGRAMS: [Program; 2] = [
    Program {
        names: &["TheDesk", "thedesk-next", "thedesk"],
        flatpak: None,
        snap: Some("thedesk"),
        store: Some("53491Cutls.TheDesk_"),
    },
    Program {
        names: &["Sengi", "sengi"],
        flatpak: None,
        snap: Some("sengi"),
        store: None,
    },
];
