//! Records for the tests of this room.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{ReadRequest, Source, WriteRequest};
use crate::model::{Action, AppView, Domain, Record, Secret, Snapshot, Status, TokenId, User};

/// A file or folder of `tests/data`.
pub(crate) fn data(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(path)
}

pub(crate) fn read(path: &Path) -> ReadRequest {
    ReadRequest {
        path: path.to_owned(),
        instance: None,
        user: None,
        host: "laptop".to_owned(),
    }
}

pub(crate) fn write(path: &Path) -> WriteRequest {
    WriteRequest {
        path: path.to_owned(),
        now: "2026-03-01T12:00:00Z".parse().unwrap(),
        replace_app: false,
    }
}

/// A copy of a sample of `tests/data` (a file, or a folder with all in it) in a folder of its own.
pub(crate) fn copied(sample: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let from = data(sample);
    let to = folder.path().join(from.file_name().unwrap());
    copy(&from, &to);
    (folder, to)
}

fn copy(from: &Path, to: &Path) {
    if !from.is_dir() {
        fs::copy(from, to).unwrap();
        return;
    }
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        copy(&entry.path(), &to.join(entry.file_name()));
    }
}

/// The store takes back what it held, and stays as it was, to the byte. Returns how many records that were.
pub(crate) fn assert_takes_back_its_own(source: &dyn Source, sample: &str) -> usize {
    let (_folder, path) = copied(sample);
    let records = records(&source.read(&read(&path)).unwrap());
    let plan = source.sink().unwrap().plan(&write(&path), &records);
    let plan = plan.unwrap();
    let actions: Vec<_> = plan.plan().changes.iter().collect();
    assert!(
        actions
            .iter()
            .all(|change| change.action == Action::Unchanged),
        "{actions:?}"
    );
    assert_eq!(plan.apply().unwrap().backup, None);
    let from = data(sample);
    if from.is_file() {
        assert_eq!(fs::read(&path).unwrap(), fs::read(from).unwrap());
    }
    records.len()
}

/// A record of the store gets another token: in the file that is the only thing to change. Both samples are files.
/// Returns the notes of the plan.
pub(crate) fn assert_changes_only_the_token(
    source: &dyn Source,
    sample: &str,
    account: &str,
) -> Vec<String> {
    let (_folder, path) = copied(sample);
    let mut records = records(&source.read(&read(&path)).unwrap());
    records.retain(|record| {
        let user = record.user.name().unwrap_or("?");
        format!("{user}@{}", record.instance) == account
    });
    assert_eq!(records.len(), 1, "{account}");
    let former = records[0].access_token.expose().to_owned();
    records[0].access_token = Secret::from(NEW_TOKEN);
    let plan = source.sink().unwrap().plan(&write(&path), &records);
    let plan = plan.unwrap();
    assert_eq!(plan.plan().changes[0].action, Action::Update);
    let outcome = plan.apply().unwrap();
    let before = fs::read(data(sample)).unwrap();
    assert_eq!(fs::read(outcome.backup.unwrap()).unwrap(), before);
    let (before, after) = (text(&before), text(&fs::read(&path).unwrap()));
    assert!(before.contains(&former));
    assert_eq!(after, before.replace(&former, NEW_TOKEN));
    let again = self::records(&source.read(&read(&path)).unwrap());
    let new = again
        .iter()
        .find(|record| record.access_token.expose() == NEW_TOKEN);
    assert_eq!(new.unwrap().user, records[0].user);
    outcome.plan.notes
}

/// A token that no sample has.
pub(crate) const NEW_TOKEN: &str = "n3wT0ken_n3wT0ken-n3wT0ken_n3wT0ken-n3wT0k4";

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Whatever happens to the bytes of a sample, reading it ends with a snapshot or a clear error, planning to write into
/// it too, and no message holds a secret of the sample.
pub(crate) fn assert_survives_damage(source: &dyn Source, sample: &str) {
    let (_folder, path) = copied(sample);
    let secrets: Vec<String> = match source.read(&read(&path)) {
        Ok(snapshot) => records(&snapshot)
            .iter()
            .map(|record| record.access_token.expose().to_owned())
            .collect(),
        Err(_) => Vec::new(),
    };
    let whole = fs::read(&path).unwrap();
    let steps = whole.len().div_ceil(150);
    let cut = (0..whole.len())
        .step_by(steps)
        .map(|at| whole[..at].to_vec());
    let flipped = (0..whole.len()).step_by(steps).flat_map(|at| {
        [0, b'"', b'[', 0xff, whole[at] ^ 1].map(|byte| {
            let mut bytes = whole.clone();
            bytes[at] = byte;
            bytes
        })
    });
    let made = [
        [b"\xef\xbb\xbf".as_slice(), &whole].concat(),
        whole.repeat(2),
        text_with_crlf(&whole),
        b"[".repeat(200_000),
        br#"{"a":"#.repeat(100_000),
        b"(".repeat(200_000),
        vec![0; 4096],
        vec![0xff; 4096],
    ];
    for bytes in cut.chain(flipped).chain(made) {
        fs::write(&path, bytes).unwrap();
        let record = record("mastodon.example", Some("ada"), NEW_TOKEN);
        let planned = source
            .sink()
            .map(|sink| sink.plan(&write(&path), &[record]));
        let mut told = match source.read(&read(&path)) {
            Ok(snapshot) => warnings(&snapshot).join("\n"),
            Err(error) => error.to_string(),
        };
        match planned {
            Some(Ok(plan)) => {
                let plan = format!("{:?}", plan.plan());
                told.push_str(&plan);
            }
            Some(Err(error)) => told.push_str(&error.to_string()),
            None => {}
        }
        for secret in &secrets {
            assert!(!told.contains(secret), "a message holds a token");
        }
    }
}

fn text_with_crlf(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for byte in bytes {
        if *byte == b'\n' {
            out.push(b'\r');
        }
        out.push(*byte);
    }
    out
}

/// The records that a vault would show after this snapshot, in its order.
pub(crate) fn records(snapshot: &Snapshot) -> Vec<Record> {
    let tokens = snapshot.tokens.iter().map(|row| {
        let token = &row.body;
        let apps = &mut snapshot.apps.iter();
        let app = &apps.find(|row| Some(row.key) == token.app).unwrap().body;
        let account = |key: u64| {
            let accounts = &mut snapshot.accounts.iter();
            &accounts.find(|row| row.key == key).unwrap().body
        };
        let mut seen = record(token.instance.as_str(), None, token.access_token.expose());
        seen.user = match token.account.map(account) {
            None => User::Application,
            Some(account) => {
                seen.account_created_at = account.created_at;
                let name = account.username.clone();
                name.map_or(User::Unknown, User::Named)
            }
        };
        seen.app = AppView {
            name: app.name.clone(),
            names: Vec::new(),
            client_id: app.client_id.clone(),
            client_secret: app.client_secret.clone(),
            redirect_uris: app.redirect_uris.clone(),
            scopes: app.scopes.clone(),
            website: app.website.clone(),
            base_url: app.base_url.clone(),
            superapp: app.superapp,
            confidential: app.confidential,
            owner: app.owner.and_then(|key| account(key).username.clone()),
            created_at: app.created_at,
            owner_since: app.owner.and_then(|key| account(key).created_at),
            server_id: None,
        };
        seen.refresh_token = token.refresh_token.clone();
        seen.token_type = token.token_type.clone().unwrap_or("Bearer".to_owned());
        seen.scopes = token.scopes.clone();
        seen.created_at = token.created_at;
        seen.expires_at = token.expires_at;
        seen.revoked_at = token.revoked_at;
        let answer = snapshot.answers.iter().find(|(key, _)| *key == row.key);
        seen.verified = answer.map(|(_, answer)| answer.clone());
        seen
    });
    tokens.collect()
}

/// Everything that messages say must be free of what is secret in the fixtures.
pub(crate) fn warnings(snapshot: &Snapshot) -> Vec<&str> {
    let warnings = snapshot.warnings.iter();
    warnings.map(|warning| warning.message.as_str()).collect()
}

/// An active record of which only this is known.
pub(crate) fn record(instance: &str, user: Option<&str>, token: &str) -> Record {
    let mut id = [0; 16];
    for (to, from) in id.iter_mut().zip(token.bytes().rev()) {
        *to = from;
    }
    Record {
        id: TokenId(id),
        id_digits: 8,
        instance: Domain::parse(instance).unwrap(),
        user: user.map_or(User::Unknown, |name| User::Named(name.to_owned())),
        account_created_at: None,
        app: AppView::default(),
        access_token: Secret::from(token),
        refresh_token: None,
        token_type: "Bearer".to_owned(),
        scopes: None,
        created_at: None,
        expires_at: None,
        revoked_at: None,
        status: Status::Active,
        sightings: Vec::new(),
        disagreements: Vec::new(),
        verified: None,
    }
}
