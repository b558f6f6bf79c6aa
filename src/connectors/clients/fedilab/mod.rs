//! Fedilab, an Android app: the zip that it exports, or its database.
//!
//! Evidence: Fedilab 3.42, `client/entities/app/Account.java`, `sqlite/Sqlite.java` (version 13), `helper/ZipHelper.java`,
//! `helper/MastodonHelper.java` (`REDIRECT_CONTENT_WEB`). The username is only inside the JSON of `ACCOUNT`. `TOKEN` holds
//! the type and the token (`Bearer …`), of software with other tokens the token alone. Nothing keeps a row unique, and
//! duplicates happen: each is read, and all of an account are written. Scopes are not stored; times are local ones of an
//! unknown zone.
//!
//! An account needs its whole profile: so accounts are changed, never added.

mod export;
mod rows;
mod settings;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use crate::{
    connectors::{
        Error, Prepared, ReadRequest, Sink, Source, Specificity, Surroundings, WriteRequest, place,
        rewrite::Rewrite,
        sqlite::Database,
        store::{self, Taken},
        surroundings::Part,
    },
    model::{Completeness, Record, Snapshot},
};

use export::Export;
use rows::{Accounts, entries, rows};

/// Fedilab's accounts.
#[derive(Debug, Clone, Copy)]
pub struct Fedilab;

const NAME: &str = "fedilab";

impl Source for Fedilab {
    fn name(&self) -> &'static str {
        NAME
    }

    fn title(&self) -> &'static str {
        "Fedilab, an Android app: its export, or its database"
    }

    /// The newest export among the downloads, and the databases of phones.
    fn usual_places(&self, surroundings: &Surroundings) -> Vec<PathBuf> {
        let downloads = ["Downloads", "Download"].map(|name| surroundings.home.join(name));
        let mut places: Vec<_> = downloads.iter().filter_map(|path| newest(path)).collect();
        places.extend(surroundings.android_files(Part::Databases, DATABASE));
        places
    }

    fn specificity(&self) -> Specificity {
        Specificity::Client
    }

    fn read(&self, request: &ReadRequest) -> Result<Snapshot, Error> {
        let path = path(&request.path)?;
        let mut snapshot = Snapshot::of_client(place::source_key(NAME, &path, request));
        let file = place::load(NAME, &path, MAX_BYTES)?;
        let database = if Export::is_one(file.bytes()) {
            let mut export = Export::open(file.bytes()).map_err(|problem| problem.at(&path))?;
            let bytes = export.database().map_err(|problem| problem.at(&path))?;
            let database = Database::from_bytes(&path, &bytes)?;
            if database.may_be_older() {
                snapshot.completeness = Completeness::Partial;
                snapshot.warn(
                    "the export lacks what Fedilab wrote last: should an account be missing, stop the app (Force stop), \
                     start it, and export again",
                );
            }
            database
        } else {
            let database = Database::open(NAME, &path)?;
            database.tell_age(&mut snapshot);
            database
        };
        store::import(&entries(&rows(&database)?), request, &mut snapshot);
        Ok(snapshot)
    }

    fn sink(&self) -> Option<&dyn Sink> {
        Some(self)
    }

    /// Android shows the ends of the packages.
    fn programs(&self) -> &'static [&'static str] {
        &["fedilab.android", "etalab.mastodon"]
    }
}

impl Sink for Fedilab {
    fn plan(&self, request: &WriteRequest, records: &[Record]) -> Result<Box<dyn Prepared>, Error> {
        let path = path(&request.path)?;
        let file = place::load(NAME, &path, MAX_BYTES)?;
        if Export::is_one(file.bytes()) {
            return plan_export(file, request, records);
        }
        let database = Database::open(NAME, &path)?;
        let rows = rows(&database)?;
        let mut accounts = Accounts::of(&rows, database.writer()?);
        let changes = store::changes(&entries(&rows), records, Taken::AsOne, &mut accounts);
        let Accounts {
            writer, mut notes, ..
        } = accounts;
        if writer.has_changes() {
            notes.extend([ADVICE_DATABASE, SWITCH].map(str::to_owned));
        }
        writer.prepared(NAME, changes, notes, request)
    }
}

fn plan_export(
    file: place::Loaded,
    request: &WriteRequest,
    records: &[Record],
) -> Result<Box<dyn Prepared>, Error> {
    let path = file.path().to_owned();
    let at = |problem: crate::connectors::error::Problem| problem.at(&path);
    let mut export = Export::open(file.bytes()).map_err(at)?;
    let database = export.database().map_err(at)?;
    let database = Database::from_bytes(&path, &database)?;
    let rows = rows(&database)?;
    let mut accounts = Accounts::of(&rows, database.writer()?);
    let changes = store::changes(&entries(&rows), records, Taken::AsOne, &mut accounts);
    let Accounts {
        writer,
        changed,
        mut notes,
        ..
    } = accounts;
    let Some(database) = writer.into_bytes()? else {
        let same = file.bytes().to_vec().into();
        return Ok(Rewrite::replacing(
            NAME, file, same, changes, notes, request,
        ));
    };
    let settings = export.settings().map_err(at)?;
    let settings = settings.map(|bytes| settings::changed(&bytes, &changed));
    let (settings, is_stale) = match settings {
        Some(settings) => (settings.contents, settings.is_stale),
        None => (None, true),
    };
    if is_stale {
        notes.push(SWITCH.to_owned());
    }
    notes.push(ADVICE_EXPORT.to_owned());
    let contents = export.with(&database, settings.as_deref().map(Vec::as_slice));
    let contents = contents.map_err(at)?;
    Ok(Rewrite::replacing(
        NAME, file, contents, changes, notes, request,
    ))
}

/// The file itself; of a folder the newest export, else the database of the app.
fn path(path: &Path) -> Result<PathBuf, Error> {
    let names = ["fedilab_db", "databases/fedilab_db", "db/fedilab_db"];
    let newest = || path.is_dir().then(|| newest(path)).flatten();
    // An export is the better one: it goes back without root.
    newest()
        .or_else(|| place::file_in(path, &names))
        .ok_or_else(|| Error::NotFound {
            connector: NAME,
            path: path.to_owned(),
        })
}

/// The last export in a folder: their names have the date in them.
fn newest(folder: &Path) -> Option<PathBuf> {
    let is_export = |path: &PathBuf| {
        let name = place::file_name(path);
        let has_end = |end| Path::new(&name).extension().is_some_and(|it| it == end);
        (name.starts_with("Fedilab_data_export_") && has_end("zip")
            || name.starts_with("Fedilab_") && has_end("fedilab"))
            && path.is_file()
    };
    let paths = place::entries(folder).ok()?.into_iter().filter(is_export);
    paths.max_by_key(|path| {
        let name = place::file_name(path);
        name.trim_start_matches(|c: char| !c.is_ascii_digit())
            .to_owned()
    })
}

const DATABASE: &str = "fedilab_db";

/// Caches and all, a database has tens of megabytes.
const MAX_BYTES: u64 = 256 << 20;

const ADVICE_EXPORT: &str = "copy the zip back to the phone and import it in Fedilab (Settings, Import): all accounts and settings there \
                             become those of the zip; then delete the copies, they are not encrypted";

const ADVICE_DATABASE: &str = "stop the app (Force stop) before the database goes back into its folder databases, with the app's owner and \
                               group; then run restorecon on it";

const SWITCH: &str = "Fedilab keeps the token of the account in use in its settings, too: if that account was changed, switch to \
                      another account and back";
