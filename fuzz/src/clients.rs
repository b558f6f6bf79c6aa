//! Clients' files: read as they are, and written into when they can be read.

use std::{fs, path::Path};

use tuskvault::{
    connectors::{self, ReadRequest, WriteRequest},
    model::{AppView, Record, Secret, Snapshot, Status, TokenId, User},
};

use crate::Target;

/// One target per connector and name of the file.
macro_rules! clients {
    ($($name:literal: $connector:literal $file:literal $seeds:expr,)*) => {
        pub(crate) const ALL: &[Target] = &[
            $(Target {
                name: $name,
                run: |data| client($connector, $file, data),
                seeds: &$seeds,
            },)*
            Target {
                name: "chromium",
                run: chromium,
                seeds: &["thedesk/leveldb/000003.log"],
            },
        ];
    };
}

clients! {
    "toot": "toot" "config.json" ["toot/config.json"],
    "toot-legacy": "toot" "user.cfg" ["toot/legacy"],
    "tut": "tut" "accounts.toml" ["tut"],
    "bitlbee": "bitlbee" "ada.xml" ["bitlbee-mastodon"],
    "mastodon-el": "mastodon-el" "mastodon.plstore" ["mastodon-el"],
    "tokodon": "tokodon" "tokodonrc" ["tokodon"],
    "tootle": "tootle" "accounts.json" ["tuba-tootle/tootle-0.2", "tuba-tootle/tootle-1.0"],
    "tuba": "tuba" "secrets" ["tuba-tootle/tuba-secrets.json"],
    "web": "web" "dump.json" ["web-clients"],
    "thedesk": "thedesk" "export.thedeskconfig.json5" ["thedesk"],
    "whalebird": "whalebird" "account.db" ["whalebird/v4/db/account.db"],
    "whalebird-json": "whalebird" "accounts.json" ["whalebird/v6"],
    "madonctl": "madonctl" "madonctl.yaml" ["madonctl"],
    "mastodon-async": "mastodon-async" "mastodon-data.toml" ["rust-crates"],
    "mastodon-archive": "mastodon-archive" "mastodon.example.user.ada.secret" ["mastodon-archive"],
    "tusky": "tusky" "tuskyDB" ["tusky/v30/databases", "tusky/v70/databases"],
    "whalebird-database": "whalebird" "whalebird.db" ["whalebird/v5/whalebird.db"],
    "mastodon-android": "mastodon-android" "accounts.json" ["mastodon-android/A-official-2.6/files", "mastodon-android/B-megalodon/files"],
    "mastodon-android-database": "mastodon-android" "accounts.db" ["mastodon-android/C-official-2.13/databases"],
    "fedilab-zip": "fedilab" "Fedilab_data_export.zip" ["fedilab/Fedilab_data_export_2026-01-02-03-04-05.zip"],
    "fedilab-database": "fedilab" "fedilab_db" ["fedilab/databases"],
    "mastodon-ios": "mastodon-ios" "item.b64" ["mastodon-ios"],
    "mastodon-py": "mastodon-py" "bot.secret" ["mastodon-py"],
    "dotenv": "dotenv" ".env" ["dotenv"],
    "generic-json": "generic" "config.json" ["generic"],
    "generic-toml": "generic" "config.toml" ["generic"],
    "generic-yaml": "generic" "config.yaml" ["generic"],
}

/// The log of a LevelDB whose other files are sound.
fn chromium(data: &[u8]) {
    let folder = folder();
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data/thedesk/leveldb");
    for name in ["CURRENT", "MANIFEST-000002"] {
        fs::copy(sample.join(name), folder.path().join(name)).expect("a file");
    }
    fs::write(folder.path().join("000003.log"), data).expect("a file");
    let connector = connectors::find("chromium").expect("there is one");
    drop(connector.read(&request(folder.path())));
}

/// Reads a store; where it holds a token that can be replaced, replaces it, and reads that again.
fn client(name: &str, file: &str, data: &[u8]) {
    let connector = connectors::find(name).expect("there is one");
    let folder = folder();
    let path = folder.path().join(file);
    fs::write(&path, data).expect("a file");
    let Ok(snapshot) = connector.read(&request(&path)) else {
        return;
    };
    let (Some(sink), Some(record)) = (connector.sink(), first_record(&snapshot)) else {
        return;
    };
    let request_to_write = WriteRequest {
        path: path.clone(),
        now: jiff::Timestamp::UNIX_EPOCH,
        replace_app: false,
    };
    let Ok(plan) = sink.plan(&request_to_write, &[record]) else {
        return;
    };
    if !plan.plan().writes() || plan.apply().is_err() {
        return;
    }
    let again = connector.read(&request(&path));
    let again = again.expect("what was written into can be read");
    let mut tokens = again.tokens.iter();
    assert!(
        tokens.any(|row| row.body.access_token.expose() == NEW),
        "what was written is there"
    );
}

/// A folder, in memory where there is such a place.
fn folder() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let folder = if memory.is_dir() {
        tempfile::tempdir_in(memory)
    } else {
        tempfile::tempdir()
    };
    folder.expect("a folder")
}

pub(crate) fn request(path: &Path) -> ReadRequest {
    ReadRequest {
        path: path.to_owned(),
        instance: None,
        user: None,
        host: "fuzz".to_owned(),
    }
}

/// The first account of a snapshot, with another token.
fn first_record(snapshot: &Snapshot) -> Option<Record> {
    let token = &snapshot.tokens.first()?.body;
    let mut accounts = snapshot.accounts.iter();
    let account = accounts.find(|row| Some(row.key) == token.account)?;
    let name = account.body.username.clone();
    Some(Record {
        id: TokenId([7; 16]),
        id_digits: TokenId::LEAST_DIGITS,
        instance: token.instance.clone(),
        user: name.map_or(User::Unknown, User::Named),
        account_created_at: None,
        app: AppView::default(),
        access_token: Secret::from(NEW),
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
    })
}

const NEW: &str = "n3wT0ken_n3wT0ken-n3wT0ken_n3wT0ken-n3wT0k4";
