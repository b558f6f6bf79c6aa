//! Clients and libraries in Python: toot, Mastodon.py, mastodon-archive, python-dotenv.

use std::{fs, process::Command};

use serde_json::json;
use tuskvault::{
    connectors::{Surroundings, clients::dotenv, discover},
    model::{Action, Domain},
};

use crate::{
    held, import, json_of,
    python::{output, python, run},
    record, restore,
};

#[test]
fn toot_loads_what_was_written_into_its_own_config() {
    let Some(python) = python() else { return };
    let home = tempfile::tempdir().unwrap();
    let toot = |script: &str| run(&python, home.path(), script, &[]);
    toot(
        r#"
from toot import App, User, config
config.save_app(App("mastodon.example", "https://mastodon.example", "id-1", "secret-1"))
config.save_user(User("mastodon.example", "ada", "token-1"))
config.save_user(User("mastodon.example", "zoë", "token-2"), activate=False)
"#,
    );
    let found = discover(&[Surroundings {
        xdg_config_home: Some(home.path().to_owned()),
        current: home.path().to_owned(),
        ..Surroundings::default()
    }]);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].connector.name(), "toot");
    let snapshot = found[0].snapshot.as_ref().unwrap();
    assert_eq!(
        held(snapshot),
        [
            ("ada@mastodon.example".into(), "token-1".into()),
            ("zoë@mastodon.example".into(), "token-2".into())
        ]
    );

    let mut chiyo = record("mstdn.example.jp", Some("chiyo"), "token-4");
    chiyo.app.client_id = Some("id-4".into());
    chiyo.app.client_secret = Some("secret-4".into());
    let records = [
        record("mastodon.example", Some("ada"), "token-\"3\"é"),
        chiyo,
    ];
    let refused = restore("toot", &found[0].path, &records);
    assert_eq!(
        refused.plan.changes[0].action,
        Action::Refuse,
        "no token has an é"
    );
    let ada = record("mastodon.example", Some("ada"), "token-\"3\"");
    let outcome = restore("toot", &found[0].path, &[ada]);
    assert_eq!(outcome.plan.changes[0].action, Action::Update);
    let ours = fs::read(found[0].path.join("config.json")).unwrap();

    let loaded = toot(
        r#"
import json
from toot import config
names = ["ada@mastodon.example", "zoë@mastodon.example", "chiyo@mstdn.example.jp"]
print(json.dumps([[user._asdict(), app._asdict()] for user, app in map(config.get_user_app, names)]))
config.save_config(config.load_config())
"#,
    );
    let app = |instance: &str, number: u8| {
        json!({
            "instance": instance, "base_url": format!("https://{instance}"),
            "client_id": format!("id-{number}"), "client_secret": format!("secret-{number}"),
        })
    };
    let user = |instance: &str, name: &str, token: &str| json!({"instance": instance, "username": name, "access_token": token});
    let expected = json!([
        [
            user("mastodon.example", "ada", "token-\"3\""),
            app("mastodon.example", 1)
        ],
        [
            user("mastodon.example", "zoë", "token-2"),
            app("mastodon.example", 1)
        ],
        [
            user("mstdn.example.jp", "chiyo", "token-4"),
            app("mstdn.example.jp", 4)
        ],
    ]);
    assert_eq!(json_of(&loaded), expected);
    let theirs = fs::read(found[0].path.join("config.json")).unwrap();
    assert!(ours == theirs, "toot itself writes the same bytes");
    let program = python.with_file_name("toot");
    let listed = output(
        Command::new(program)
            .arg("auth")
            .env("XDG_CONFIG_HOME", home.path()),
    );
    assert!(listed.contains("chiyo@mstdn.example.jp"), "{listed}");
}

#[test]
fn mastodon_py_loads_what_was_written_into_its_own_files() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let address = run(
        &python,
        folder.path(),
        &format!(
            "{SERVER}{}",
            r#"
Mastodon.create_app("My Bot", scopes=["read", "write"], api_base_url=url, to_file="bot_clientcred.secret")
client = Mastodon(client_id="bot_clientcred.secret")
client.log_in(code="code", scopes=["read", "write"], to_file="bot_usercred.secret", allow_http=True)
print(url)
"#
        ),
        &[],
    );
    let address = address.trim();
    let instance = Domain::parse(address).unwrap();
    let snapshot = import("mastodon-py", folder.path());
    assert_eq!(
        held(&snapshot),
        [(format!("?@{instance}"), "token-1".into())]
    );
    assert_eq!(snapshot.apps[0].body.client_id.as_deref(), Some("id-1"));
    assert_eq!(snapshot.apps[0].body.name.as_deref(), Some("My Bot"));

    let mut new = record(instance.as_str(), None, "token-2");
    new.app.client_id = Some("id-1".into());
    new.app.client_secret = Some("secret-1".into());
    let outcome = restore("mastodon-py", folder.path(), &[new]);
    assert_eq!(outcome.plan.changes[0].action, Action::Update);
    let loaded = run(
        &python,
        folder.path(),
        r#"
import json
from mastodon import Mastodon
bots = [
    Mastodon(access_token="bot_usercred.secret"),
    Mastodon(client_id="bot_clientcred.secret", access_token="bot_usercred.secret"),
]
print(json.dumps([[bot.access_token, bot.api_base_url, bot.client_id, bot.client_secret] for bot in bots]))
"#,
        &[],
    );
    let bot = json!(["token-2", address, "id-1", "secret-1"]);
    assert_eq!(json_of(&loaded), json!([bot, bot]));
}

#[test]
fn mastodon_archive_logs_in_with_what_was_written_into_its_files() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    // It asks for the code on standard input.
    let log_in = r#"
import functools, io
from mastodon_archive.core import App
for step in ["log_in", "auth_request_url"]:
    setattr(Mastodon, step, functools.partialmethod(getattr(Mastodon, step), allow_http=True))
out, sys.stdout, sys.stdin = sys.stdout, io.StringIO(), io.StringIO("code\n")
app = App("ada@mastodon.example", scopes=["read", "write"], version_check="none")
app.url = sys.argv[1] if len(sys.argv) > 1 else url
client = app.login()
print(json.dumps([url, client.access_token, client.client_id, client.client_secret]), file=out)
"#;
    let script = format!("{SERVER}{log_in}");
    let first = json_of(&run(&python, folder.path(), &script, &[]));
    let url = first[0].as_str().unwrap();
    let snapshot = import("mastodon-archive", folder.path());
    let ada = "ada@mastodon.example".to_owned();
    assert_eq!(held(&snapshot), [(ada, "token-1".into())]);
    let app = &snapshot.apps[0].body;
    assert_eq!(app.client_id.as_deref(), Some("id-1"));
    assert_eq!(app.base_url.as_deref(), Some(url));

    let mut new = record("mastodon.example", Some("ada"), "token-2");
    new.app.client_id = Some("id-1".into());
    new.app.client_secret = Some("secret-1".into());
    let outcome = restore("mastodon-archive", folder.path(), &[new]);
    assert_eq!(outcome.plan.changes[0].action, Action::Update);
    let again = json_of(&run(&python, folder.path(), &script, &[url]));
    assert_eq!(again[1], "token-2");
    assert_eq!(again[2], "id-1");
}

#[test]
fn python_dotenv_and_a_shell_read_the_export_the_same() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(".env");
    let tokens = [
        "UJTFvdToYI8_-YG8jwL3AklYSeF3ucpc9nbffBBEl9U",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln",
        "a/b+c==",
        "$HOME#x",
        "\"double\"",
        "it's",
        "`id`",
        "#;&|<>*?[]{}()!~^%@:,",
        "back\\slash\\",
    ];
    for token in tokens {
        let mut one = record("mastodon.example", Some("ada"), token);
        one.app.client_id = Some("id-1".into());
        one.app.client_secret = Some("secret-1".into());
        fs::write(&path, dotenv::export(&[one]).text.as_bytes()).unwrap();
        let loaded = run(
            &python,
            folder.path(),
            "import dotenv, json; print(json.dumps(dotenv.dotenv_values('.env')))",
            &[],
        );
        let expected = json!({
            "MASTODON_API_BASE_URL": "https://mastodon.example",
            "MASTODON_ACCESS_TOKEN": token,
            "MASTODON_CLIENT_ID": "id-1",
            "MASTODON_CLIENT_SECRET": "secret-1",
        });
        assert_eq!(json_of(&loaded), expected);
        let script = ". \"$0\"; printf %s \"$MASTODON_ACCESS_TOKEN\"";
        let sourced = output(Command::new("sh").args(["-c", script]).arg(&path));
        assert_eq!(sourced, token);
    }
}

#[test]
fn what_python_dotenv_sets_is_read_and_replaced_for_it() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(".env");
    fs::write(&path, "# a bot\nexport MASTODON_TOKEN=x\nOTHER=1").unwrap();
    for token in ["token-1", "a$b#c\"d", "e f"] {
        for quote in ["always", "auto", "never"] {
            let script = "import dotenv, sys; token, quote = sys.argv[1:]
dotenv.set_key('.env', 'MASTODON_TOKEN', token, quote_mode=quote)
dotenv.set_key('.env', 'MASTODON_API_BASE_URL', 'https://mastodon.example', quote_mode=quote)";
            run(&python, folder.path(), script, &[token, quote]);
            let snapshot = import("dotenv", folder.path());
            if token.contains(' ') || (token.contains('$') && quote == "never") {
                assert!(held(&snapshot).is_empty(), "{token} {quote}");
                assert_eq!(snapshot.warnings.len(), 1);
                continue;
            }
            let expected = ("?@mastodon.example".into(), token.into());
            assert_eq!(held(&snapshot), [expected], "{quote}");
            let new = record("mastodon.example", Some("ada"), "$new-#\"token");
            let outcome = restore("dotenv", &path, &[new]);
            assert_eq!(outcome.plan.changes[0].action, Action::Update);
            let loaded = run(
                &python,
                folder.path(),
                "import dotenv; print(dotenv.dotenv_values('.env')['MASTODON_TOKEN'])",
                &[],
            );
            assert_eq!(loaded.trim_end(), "$new-#\"token", "{quote}");
        }
    }
}

#[test]
fn the_script_of_the_docs_shows_a_token_of_bitlbee() {
    let Some(python) = python() else { return };
    let docs = fs::read_to_string("docs/clients.md").unwrap();
    let script = docs.split("```python\n").nth(1).unwrap();
    let script = script.split("```").next().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let sample = fs::canonicalize("tests/data/bitlbee-mastodon/ada.xml").unwrap();
    // There is no terminal to ask for the password.
    let answered = format!("import getpass; getpass.getpass = lambda _: 'elephant9'\n{script}");
    let shown = run(
        &python,
        folder.path(),
        &answered,
        &[sample.to_str().unwrap()],
    );
    let expected = "ada access_token=UJTFvdToYI8_-YG8jwL3AklYSeF3ucpc9nbffBBEl9U";
    assert_eq!(shown.trim_end(), expected);
}

/// A server on the loopback device that registers every app and gives every code a token.
const SERVER: &str = r#"
import json, sys, threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from mastodon import Mastodon

class Server(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"] or 0))
        answer = {"client_id": "id-1", "client_secret": "secret-1"}
        if self.path == "/oauth/token":
            answer = {"access_token": "token-1", "scope": "read write", "token_type": "Bearer", "created_at": 0}
        self.send(answer)
    def do_GET(self):
        grants = ["authorization_code"]
        pages = {"token_endpoint": url + "/oauth/token", "authorization_endpoint": url + "/oauth/authorize"}
        self.send({"version": "4.4.0", "api_versions": {"mastodon": 6}, "grant_types_supported": grants} | pages)
    def send(self, answer):
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())
    def log_message(self, *args):
        pass

server = HTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = "http://127.0.0.1:%d" % server.server_port
"#;
