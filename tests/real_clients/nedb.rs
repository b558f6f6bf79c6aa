//! NeDB, in whose files Whalebird 1 to 4 kept its accounts.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};
use tuskvault::model::Action;

use crate::{held, import, json_of, python::output, record, restore};

#[test]
fn nedb_loads_what_was_written_into_whalebirds_accounts() {
    let Some(modules) = modules() else { return };
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("account.db");
    let accounts = r#"
const account = (name, order, token) => ({
    baseURL: "https://mastodon.example", domain: "mastodon.example", clientId: "id-" + order, clientSecret: "secret-" + order,
    accessToken: token, refreshToken: null, username: name, accountId: "1", avatar: "é\u2028", order,
});
db.ensureIndex({ fieldName: "order", unique: true, sparse: true }, () =>
    db.insert(account("ada", 1, "token-1"), () =>
        db.insert(account("bo", 2, "token-2"), () =>
            db.insert(account("gone", 3, "token-3"), () =>
                db.update({ username: "bo" }, { $set: { accessToken: "token-4" } }, {}, () =>
                    db.remove({ username: "gone" }, {}, () => {}))))));
"#;
    node(&modules, &store, accounts);
    let snapshot = import("whalebird", &store);
    let account = |name: &str| format!("{name}@mastodon.example");
    let expected = [
        (account("ada"), "token-1".into()),
        (account("bo"), "token-4".into()),
    ];
    assert_eq!(held(&snapshot), expected);

    let bo = record("mastodon.example", Some("bo"), "token-\"5\"");
    let mut new = record("mastodon.example", Some("zoe"), "token-6");
    new.app.client_id = Some("id-6".into());
    new.app.client_secret = Some("secret-6".into());
    let outcome = restore("whalebird", &store, &[bo, new]);
    let actions = outcome.plan.changes.iter().map(|change| change.action);
    assert_eq!(
        actions.collect::<Vec<_>>(),
        [Action::Update, Action::Insert]
    );
    let read = r#"
db.ensureIndex({ fieldName: "order", unique: true, sparse: true }, () =>
    db.find({}).sort({ order: 1 }).exec((_, found) =>
        console.log(JSON.stringify(found.map((it) => [it.username, it.accessToken, it.clientId, it.avatar])))));
"#;
    let read = json_of(&node(&modules, &store, read));
    let rows = read.as_array().unwrap();
    assert_eq!(rows[0], json!(["ada", "token-1", "id-1", "é\u{2028}"]));
    assert_eq!(rows[1], json!(["bo", "token-\"5\"", "id-2", "é\u{2028}"]));
    let zoe: Vec<&Value> = rows[2].as_array().unwrap().iter().take(3).collect();
    assert_eq!(zoe, ["zoe", "token-6", "id-6"]);
    assert_eq!(rows.len(), 3);
}

/// Runs a script with the database `db`, and gives what it printed.
fn node(modules: &Path, store: &Path, script: &str) -> String {
    let open = "const Datastore = require('nedb');
const db = new Datastore({ filename: process.argv[1], autoload: true });";
    output(
        Command::new("node")
            .args(["-e", &format!("{open}{script}")])
            .arg(store)
            .env("NODE_PATH", modules),
    )
}

/// Where NeDB is, from npm once, into the target folder; `None`, with a word, where there is no npm.
#[expect(clippy::print_stdout, reason = "says why a test is skipped")]
fn modules() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("nedb");
    let modules = folder.join("node_modules");
    if modules.join("nedb/package.json").exists() {
        return Some(modules);
    }
    fs::create_dir_all(&folder).unwrap();
    let installed = Command::new("npm")
        .args(["install", "--silent", "--no-audit", "--no-fund", "--prefix"])
        .arg(&folder)
        .arg("nedb@1.8.0")
        .output();
    if installed.is_ok_and(|output| output.status.success()) {
        return Some(modules);
    }
    println!("skipped: NeDB can't be installed with npm");
    None
}
