//! The whole loop with the real toot: it writes, we back up; it writes anew, we restore; it reads.

use std::{fs, path::Path};

use crate::{
    home::Home,
    python::{python, run},
};

#[test]
fn toot_reads_the_old_token_after_a_restore() {
    let Some(python) = python() else { return };
    let home = Home::with_vault();
    fs::remove_dir_all(home.file(".config")).unwrap();
    fs::create_dir(home.file(".config")).unwrap();
    write(&python, &home, OLD);
    let first = fs::read(home.toot()).unwrap();
    home.run(&["discover"]).ok().prints("toot");
    let backup = home.run(&["backup"]).ok();
    backup.prints("toot ~/.config/toot/config.json: run 1: 1 token (1 new), 1 app");
    write(&python, &home, NEW);
    assert_eq!(token(&python, &home), NEW);
    assert_eq!(home.json(&["backup"])[0]["tokens"]["added"], 1);
    assert_eq!(home.json(&["list", "alice@m.example"]).len(), 1);

    let earlier = "alice@m.example/toot~1";
    home.run(&["restore", earlier, "--to", "toot", "--yes"])
        .ok()
        .prints("replace tk_");
    assert_eq!(token(&python, &home), OLD);
    assert!(first == fs::read(home.toot()).unwrap(), "to the byte");
    let again = home
        .run(&["restore", earlier, "--to", "toot", "--yes"])
        .ok();
    again.prints("keep tk_");

    // What is current is what the file holds since.
    home.run(&["backup"]).ok();
    let field = ["show", "alice@m.example", "--field", "access_token"];
    let shown = home.run(&field).ok().out;
    assert_eq!(shown.trim_end(), OLD);
}

/// toot itself logs alice in with this token.
fn write(python: &Path, home: &Home, token: &str) {
    let script = r#"
import sys
from toot import App, User, config
config.save_app(App("m.example", "https://m.example", "id-1", "secret-1"))
config.save_user(User("m.example", "alice", sys.argv[1]))
"#;
    run(python, &home.file(".config"), script, &[token]);
}

/// The token that toot would use.
fn token(python: &Path, home: &Home) -> String {
    let script = r#"
from toot import config
user, app = config.get_active_user_app()
assert (user.username, app.client_secret) == ("alice", "secret-1")
print(user.access_token, end="")
"#;
    run(python, &home.file(".config"), script, &[])
}

const OLD: &str = "UJTFvdToYI8_-YG8jwL3AklYSeF3ucpc9nbffBBEl9U";
const NEW: &str = "q3SWpZ0mYx5vTg7LrKc1hNdEeRtUi8oPaJbVfXzM2wA";
