//! One function per thing that takes bytes from outside.

use std::{io::Write, path::Path, str};

use jiff::Timestamp;
use tuskvault::{
    connectors::{self, json, pgdump, postgres},
    crypto::{Credentials, KdfParams, KeyFile, Passphrase},
    document::{Format, Kind, Node, Splice, env, ini},
    model::{Actor, Domain, Pattern, Secret, Selector, When},
    online,
    storage::{Access, LockedVault},
    vault::{ImportContext, Vault, fuzzing::read_as_every_block},
};

use crate::{Target, clients, medium::Bytes};

pub(crate) const ALL: &[Target] = &[
    Target {
        name: "header",
        run: header,
        seeds: &["format/v1.tusk"],
    },
    Target {
        name: "blocks",
        run: read_as_every_block,
        seeds: &[],
    },
    Target {
        name: "key-file",
        run: key_file,
        seeds: &["fuzz/key-file"],
    },
    Target {
        name: "command-line",
        run: command_line,
        seeds: &["fuzz/command-line"],
    },
    Target {
        name: "json",
        run: |data| document(Format::Json, data),
        seeds: &["toot", "generic"],
    },
    Target {
        name: "json5",
        run: |data| document(Format::Json5, data),
        seeds: &["toot", "generic"],
    },
    Target {
        name: "toml",
        run: |data| document(Format::Toml, data),
        seeds: &["generic"],
    },
    Target {
        name: "yaml",
        run: |data| document(Format::Yaml, data),
        seeds: &["generic"],
    },
    Target {
        name: "lisp",
        run: |data| document(Format::Lisp, data),
        seeds: &["mastodon-el"],
    },
    Target {
        name: "ini",
        run: |data| {
            for dialect in [ini::Dialect::Qt, ini::Dialect::Kde] {
                drop(ini::parse(dialect, data));
            }
        },
        seeds: &["tokodon"],
    },
    Target {
        name: "env",
        run: environment,
        seeds: &["dotenv"],
    },
    Target {
        name: "copy",
        run: postgres::read_as_copy,
        seeds: &["fuzz/copy"],
    },
    Target {
        name: "dump",
        run: pgdump::read_as_dump,
        seeds: &["fuzz/dump"],
    },
    Target {
        name: "connection",
        run: connection_string,
        seeds: &["fuzz/connection/strings"],
    },
    Target {
        name: "pgpass",
        run: |data| database_file("PGPASSFILE", data),
        seeds: &["fuzz/connection/pgpass"],
    },
    Target {
        name: "pg-service",
        run: |data| database_file("PGSERVICEFILE", data),
        seeds: &["fuzz/connection/pg_service.conf"],
    },
    Target {
        name: "env-production",
        run: mastodon_settings,
        seeds: &["fuzz/connection/env.production", "dotenv"],
    },
    Target {
        name: "answer",
        run: online::fuzzing::answer,
        seeds: &["mastodon-api/fuzz/answer"],
    },
    Target {
        name: "host-meta",
        run: online::fuzzing::host_meta,
        seeds: &["mastodon-api/fuzz/host-meta"],
    },
    Target {
        name: "interchange",
        run: interchange,
        seeds: &["fuzz/interchange"],
    },
];

/// What a small vault holds below its pages.
pub(crate) fn blocks() -> Vec<Vec<u8>> {
    let folder = tempfile::tempdir().expect("a folder");
    let material = include_bytes!("../../tests/data/fuzz/interchange/history.jsonl");
    let credentials = Credentials {
        passphrase: Some(Passphrase::new("x".to_owned())),
        key_file: None,
    };
    let (actor, now) = (
        Actor {
            user: String::new(),
            host: String::new(),
        },
        Timestamp::UNIX_EPOCH,
    );
    let path = folder.path().join("v.tusk");
    let mut vault =
        Vault::create(&path, &credentials, KdfParams::LEAST, &actor, now).expect("a vault");
    for run in json::history::replay(material, Path::new("-")) {
        let context = ImportContext {
            now,
            actor: actor.clone(),
            note: None,
            accept_shrink: true,
            origin: None,
        };
        vault
            .import(&run.expect("a run").1, &context)
            .expect("it is recorded");
    }
    vault.blocks().expect("it can be read")
}

/// A vault file up to the point where a key is needed, and the check that it is not our key's.
fn header(data: &[u8]) {
    let path = Path::new("vault.tusk");
    let Ok(locked) = LockedVault::over(path, Box::new(Bytes::new(data)), Access::Read) else {
        return;
    };
    // Deriving a key costs what the header says: only cheap ones are tried here.
    if locked.slots().iter().all(|slot| {
        slot.kdf.check().is_err() || slot.kdf.memory_kib <= 8 << 10 && slot.kdf.iterations == 1
    }) {
        let credentials = Credentials {
            passphrase: Some(Passphrase::new("not it".to_owned())),
            key_file: None,
        };
        assert!(
            locked.unlock(&credentials).is_err(),
            "nobody but its owner opens a vault"
        );
    }
}

fn key_file(data: &[u8]) {
    if let Ok(key) = KeyFile::parse(data) {
        assert!(KeyFile::parse(key.to_text().as_bytes()).is_ok());
    }
}

/// What is typed: selectors, moments, instances.
fn command_line(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    let now = "2026-03-30T12:00:00+02:00[Europe/Berlin]"
        .parse()
        .expect("a time");
    drop(When::parse(text, &now));
    if let Ok(selector) = text.parse::<Selector>() {
        assert!(
            selector.to_string().parse::<Selector>().is_ok(),
            "a selector is read as it is shown"
        );
    }
    if let Ok(domain) = Domain::parse(text) {
        assert_eq!(Domain::parse(domain.as_str()).as_ref(), Ok(&domain));
    }
    let pattern = Pattern::new(text);
    if !text.contains('*') {
        assert!(pattern.matches(text));
    }
}

/// Reads a document, sets its first text to something else, and reads that again.
fn document(format: Format, data: &[u8]) {
    let Ok(root) = format.parse(data) else { return };
    let Some(node) = first_text(&root) else {
        return;
    };
    let mut splice = Splice::new(format, data, &root);
    if splice.set(node, "it's \"new\" \\ # £").is_err() {
        return;
    }
    if let Ok(edits) = splice.finish() {
        let written = edits.apply(data);
        let again = format
            .parse(&written)
            .expect("what was spliced can be read");
        let text = first_text(&again).and_then(Node::text);
        assert_eq!(text, Some("it's \"new\" \\ # £"));
    }
}

fn first_text(node: &Node) -> Option<&Node> {
    match &node.kind {
        Kind::Text(_) => Some(node),
        Kind::List(items) => items.iter().find_map(first_text),
        Kind::Map(members) => members.iter().find_map(|member| first_text(&member.value)),
        _ => None,
    }
}

fn environment(data: &[u8]) {
    let Ok(env) = env::Env::parse(data) else {
        return;
    };
    for assignment in &env.assignments {
        assert!(
            data.get(assignment.span.clone()).is_some(),
            "the span lies in the file"
        );
    }
}

/// What is typed to say where a database is.
fn connection_string(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    let environment = database_environment(&[]);
    if let Ok((settings, _)) = postgres::Settings::from_url(text, &environment) {
        assert!(settings.password.is_none(), "a password is never typed");
        assert!(!settings.location().contains('\0'));
    }
}

/// A file that one of libpq's variables names.
fn database_file(variable: &str, data: &[u8]) {
    let file = private_file(data);
    let path = file.path().to_str().expect("a path");
    let environment = database_environment(&[(variable, path), ("PGSERVICE", "mine")]);
    drop(postgres::Settings::from_environment(&environment));
    let environment = database_environment(&[(variable, path)]);
    drop(postgres::Settings::from_url(
        "host=h port=1 dbname=d user=u",
        &environment,
    ));
}

/// Mastodon's `.env.production`.
fn mastodon_settings(data: &[u8]) {
    let file = private_file(data);
    let environment = database_environment(&[]);
    drop(postgres::Settings::from_env_file(file.path(), &environment));
    drop(postgres::Settings::replica_from_env_file(
        file.path(),
        &environment,
    ));
}

fn database_environment(variables: &[(&str, &str)]) -> postgres::Environment {
    let variables = variables.iter();
    postgres::Environment {
        variables: variables
            .map(|(name, value)| ((*name).to_owned(), Secret::from(*value)))
            .collect(),
        home: "/nonexistent".into(),
        user: "me".to_owned(),
    }
}

/// A file of mode 0600.
fn private_file(data: &[u8]) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(data).expect("it is written");
    file
}

fn interchange(data: &[u8]) {
    let connector = connectors::find("json").expect("there is one");
    drop(connector.read_bytes(&clients::request(Path::new("-")), data));
    if json::history::is_history(data) {
        json::history::replay(data, Path::new("-"))
            .take(1_000)
            .for_each(drop);
    }
}
