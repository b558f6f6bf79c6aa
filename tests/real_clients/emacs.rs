//! mastodon.el, in the Emacs of Debian's package `elpa-mastodon`.

use std::{path::Path, process::Command};

use tuskvault::model::Action;

use crate::{held, import, json_of, python::output, record, restore};

#[test]
fn emacs_loads_what_was_written_into_the_plstore_of_mastodon_el() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("mastodon.plstore");
    let users = r#"
(advice-add 'mastodon-client--fetch :override
  (lambda () (list :id "7" :name "mastodon.el" :redirect_uri "urn:ietf:wg:oauth:2.0:oob"
    :client_id "id-1" :client_secret "secret \"1\"\\" :vapid_key nil :website "a\nb é")))
(dolist (user '(("ada" . "token-1") ("bo" . "token-2")))
  (setq mastodon-active-user (car user) mastodon-instance-url "https://Mastodon.example")
  (mastodon-client--store-access-token (cdr user)))
(mastodon-client--make-current-user-active)
"#;
    let Some(_) = emacs(&store, users) else {
        return;
    };
    let snapshot = import("mastodon-el", &store);
    let account = |name: &str| format!("{name}@mastodon.example");
    let expected = [
        (account("ada"), "token-1".into()),
        (account("bo"), "token-2".into()),
    ];
    assert_eq!(held(&snapshot), expected);
    let app = &snapshot.apps[0].body;
    assert_eq!(app.client_id.as_deref(), Some("id-1"));
    assert_eq!(app.name.as_deref(), Some("mastodon.el"));
    let secret = app.client_secret.as_ref();
    assert!(
        secret.is_none(),
        "no secret has spaces: it is not one that could be used"
    );

    let bo = record("mastodon.example", Some("bo"), "token-\"3\"\\");
    let outcome = restore("mastodon-el", &store, &[bo]);
    assert_eq!(outcome.plan.changes[0].action, Action::Update);
    let read = r#"
(defun token (key) (plist-get (mastodon-client--general-read key) :access_token))
(princ (json-encode (vector (token "user-ada@mastodon.example") (token "user-bo@mastodon.example") (token "active-user"))))
"#;
    let read = json_of(&emacs(&store, read).unwrap());
    let expected = ["token-1", "token-\"3\"\\", "token-\"3\"\\"];
    assert_eq!(read, serde_json::json!(expected));
}

/// What a script prints that is run with mastodon.el and this store; `None`, with a word, where there is no Emacs with
/// mastodon.el.
#[expect(clippy::print_stdout, reason = "says why a test is skipped")]
fn emacs(store: &Path, script: &str) -> Option<String> {
    let there = Command::new("emacs")
        .args(["--batch", "--eval", "(require 'mastodon-client)"])
        .output();
    if !there.is_ok_and(|output| output.status.success()) {
        println!(
            "skipped: no Emacs with mastodon.el (Debian: apt install emacs-nox elpa-mastodon)"
        );
        return None;
    }
    let mut command = Command::new("emacs");
    command
        .args(["--batch", "-l", "mastodon-client", "-l", "json", "--eval"])
        .arg(format!(
            "(progn (setq mastodon-client--token-file \"{}\") {script})",
            store.display()
        ))
        .env("HOME", store.parent().unwrap());
    Some(output(&mut command))
}
