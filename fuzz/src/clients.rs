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
        pub(crate) const ALL: &[Target] = &[$(Target {
            name: $name,
            run: |data| client($connector, $file, data),
            seeds: &$seeds,
        }),*];
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
    "mastodon-py": "mastodon-py" "bot.secret" ["mastodon-py"],
    "dotenv": "dotenv" ".env" ["dotenv"],
    "generic-json": "generic" "config.json" ["generic"],
    "generic-toml": "generic" "config.toml" ["generic"],
    "generic-yaml": "generic" "config.yaml" ["generic"],
}

/// Reads a store; where it holds a token that can be replaced, replaces it, and reads that again.
fn client(name: &str, file: &str, data: &[u8]) {
    let connector = connectors::find(name).expect("there is one");
    let memory = Path::new("/dev/shm");
    let folder = if memory.is_dir() {
        tempfile::tempdir_in(memory)
    } else {
        tempfile::tempdir()
    };
    let folder = folder.expect("a folder");
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
    })
}

const NEW: &str = "n3wT0ken_n3wT0ken-n3wT0ken_n3wT0ken-n3wT0k4";
