//! Putting a token back: into the lines that the user's file has, or into a new file. The client file is made where it is
//! missing, as the program would else start a new login, and never changed: it is shared.

use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::{
    connectors::{
        Error, Prepared, WriteRequest,
        place::{self, Loaded},
        rewrite::{refused_all, target},
        store::{self, Editor, Entry, Taken, Text},
        values::{self, shown},
    },
    document::Edits,
    model::{Outcome, Plan, Record},
};

use super::{Archive, NAME, User, account_of, client_name};

/// The plan for these records.
pub(super) fn plan(request: &WriteRequest, records: &[Record]) -> Result<Box<dyn Prepared>, Error> {
    let path = &request.path;
    let archive = match Archive::open(path) {
        // Where both were deleted, the archive says that this is the program's folder.
        Err(Error::NotFound { .. }) if has_archive(path) => Archive {
            users: Vec::new(),
            clients: Vec::new(),
        },
        archive => archive?,
    };
    if records.len() != 1 {
        let why = "each token has a file of its own: restore one record at a time";
        return Ok(refused_all(NAME, path, records, why));
    }
    let entries = archive.entries();
    let mut editor = FileEditor {
        archive: &archive,
        folder: path.is_dir().then_some(path.as_path()),
        created: Vec::new(),
        replaced: None,
        notes: Vec::new(),
    };
    let changes = store::changes(&entries, records, Taken::Apart, &mut editor);
    let FileEditor {
        created,
        replaced,
        notes,
        ..
    } = editor;
    let replaced = replaced.and_then(|(at, contents)| {
        let (file, _) = archive.users.into_iter().nth(at)?.file.ok()?;
        Some((file, contents))
    });
    Ok(Box::new(Files {
        plan: Plan {
            target: target(NAME, path),
            changes,
            notes,
        },
        created,
        replaced,
        now: request.now,
    }))
}

/// Whether the folder holds an archive, which has no secret in it.
fn has_archive(folder: &Path) -> bool {
    let files = place::entries(folder).unwrap_or_default();
    files.iter().any(|file| {
        let name = place::file_name(file);
        let name = name
            .strip_suffix(".json")
            .map(|name| format!("{name}.secret"));
        name.is_some_and(|name| account_of(&name).is_some())
    })
}

struct FileEditor<'a> {
    archive: &'a Archive,
    /// Where new files may be made.
    folder: Option<&'a Path>,
    created: Vec<(PathBuf, Text)>,
    /// A user's number, and what its file will hold.
    replaced: Option<(usize, Zeroizing<Vec<u8>>)>,
    notes: Vec<String>,
}

impl Editor<usize> for FileEditor<'_> {
    fn update(&mut self, entry: &Entry<usize>, record: &Record) -> Result<bool, String> {
        let user = self.archive.users.get(entry.place);
        let Some((user, Ok((file, lines)))) = user.map(|user| (user, &user.file)) else {
            return Err(format!("{} can't be read", entry.label));
        };
        let mut edits = Edits::default();
        edits.replace(file.bytes(), &lines.token.1, record.access_token.expose());
        let ours = store::client_of(record);
        match (&lines.client_id, &lines.client_secret, ours) {
            (Some(id), Some(secret), Some(ours)) => {
                edits.replace(file.bytes(), &id.1, ours.0);
                edits.replace(file.bytes(), &secret.1, ours.1);
            }
            (Some(_), Some(_), None) => self.notes.push(
                "the client_id and client_secret of the file stay: those of the token are not known"
                    .to_owned(),
            ),
            _ => {}
        }
        let is_new = self.client_file(&user.path, &user.domain, record)?;
        self.compare_client(user, record);
        let changes = !edits.is_empty();
        if changes {
            self.replaced = Some((entry.place, edits.apply(file.bytes())));
        }
        Ok(changes || is_new)
    }

    fn insert(&mut self, name: &str, record: &Record) -> Result<String, String> {
        let folder = self.folder.ok_or(
            "the file is for another account, and has it in its name: name the folder with --path",
        )?;
        let (id, secret) = store::client_of(record)
            .ok_or("the file needs client_id and client_secret of the app, which are not known")?;
        // The program speaks to the domain in the name, with https.
        let api = record.app.base_url.as_deref().and_then(values::instance);
        let domain = api.as_ref().unwrap_or(&record.instance).as_str();
        let file = format!("{domain}.user.{name}.secret");
        if account_of(&file) != Some((domain, name)) {
            return Err("its domain and user can't be told apart in a file's name".to_owned());
        }
        let path = folder.join(&file);
        self.client_file(&path, domain, record)?;
        let token = record.access_token.expose();
        let lines = format!("{token}\nhttps://{domain}\n{id}\n{secret}\n");
        self.created.push((path, Text::new(lines)));
        Ok(shown(&file))
    }
}

impl FileEditor<'_> {
    /// Makes the client file of a user's file where there is none.
    fn client_file(&mut self, user: &Path, domain: &str, record: &Record) -> Result<bool, String> {
        let name = client_name(domain);
        let path = user.with_file_name(&name);
        if path.is_file() {
            return Ok(false);
        }
        let Some((id, secret)) = store::client_of(record) else {
            self.notes.push(format!(
                "{} is missing, and the app of the token is not known: the program will ask to log in again",
                shown(&name)
            ));
            return Ok(false);
        };
        let app = record.app.name.as_deref().unwrap_or(NAME);
        if app.contains(char::is_control) || app.trim().is_empty() {
            return Err("the name of the app holds characters that a line can't".to_owned());
        }
        let lines = format!("{id}\n{secret}\nhttps://{domain}\n{app}\n");
        self.created.push((path, Text::new(lines)));
        Ok(true)
    }

    fn compare_client(&mut self, user: &User, record: &Record) {
        let client = self.archive.client_of(user);
        let ours = record.app.client_id.as_ref();
        if let (Some(client), Some(ours)) = (client, ours)
            && client.file.client_id != *ours
        {
            self.notes.push(format!(
                "{} is of another app than the token and stays, as all users of the domain share it: logging out with \
                 the program may not work",
                shown(&place::file_name(&client.path))
            ));
        }
    }
}

/// Files that will be made, the client's first, and one that will hold something else.
struct Files {
    plan: Plan,
    created: Vec<(PathBuf, Text)>,
    replaced: Option<(Loaded, Zeroizing<Vec<u8>>)>,
    now: jiff::Timestamp,
}

impl Prepared for Files {
    fn plan(&self) -> &Plan {
        &self.plan
    }

    fn apply(self: Box<Self>) -> Result<Outcome, Error> {
        let mut made = Vec::new();
        let written = self.write(&mut made);
        if written.is_err() {
            // A client file that nobody has a token of would have the program start a login with it.
            made.into_iter().for_each(place::take_back);
        }
        Ok(Outcome {
            backup: written?,
            plan: self.plan,
        })
    }
}

impl Files {
    fn write<'a>(&'a self, made: &mut Vec<&'a Path>) -> Result<Option<PathBuf>, Error> {
        for (path, lines) in &self.created {
            place::create(path, lines.as_bytes())?;
            made.push(path);
        }
        match &self.replaced {
            Some((file, contents)) => place::replace(file, contents, self.now).map(Some),
            None => Ok(None),
        }
    }
}
