//! The architecture as a test: who may know whom (docs/architecture.md).

#![expect(
    clippy::unwrap_used,
    reason = "a test helper outside of a #[test] function"
)]

use std::{collections::BTreeSet, fs, path::Path};

/// Each room and the rooms that it may name; `model` and `progress` are open to all.
const ROOMS: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("progress", &[]),
    ("crypto", &[]),
    ("files", &[]),
    ("document", &[]),
    ("storage", &["crypto", "files"]),
    ("vault", &["storage", "crypto", "files"]),
    ("connectors", &["document", "files"]),
    ("online", &["files"]),
    ("report", &[]),
];

#[test]
fn nothing_points_upwards() {
    let mut found = Vec::new();
    for (room, may_know) in ROOMS {
        for (file, text) in sources_of(room) {
            for other in rooms_named_in(&text) {
                let open = other == *room || ["model", "progress"].contains(&&*other);
                if !open && !may_know.contains(&&*other) {
                    found.push(format!("{file}: {room} must not know {other}"));
                }
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// Packages, and the rooms that alone may name them.
const KEPT_IN: &[(&str, &[&str])] = &[
    ("chacha20poly1305::", &["crypto"]),
    ("argon2::", &["crypto"]),
    ("redb::", &["storage", "vault"]),
    ("tempfile::", &["files"]),
    ("jsonc_parser::", &["document"]),
    ("toml_edit::", &["document"]),
    ("serde_saphyr::", &["document"]),
    ("rustls", &["connectors", "online"]),
    ("ureq::", &["online"]),
    ("rusqlite::", &["connectors"]),
    ("rusty_leveldb::", &["connectors"]),
    ("quick_xml::", &["connectors", "online"]),
    ("zip::", &["connectors"]),
    ("askama::", &["report"]),
    ("flate2::", &["connectors"]),
    ("zstd::", &["connectors"]),
];

#[test]
fn each_package_stays_in_its_room() {
    let mut found = Vec::new();
    for (room, _) in ROOMS {
        for (file, text) in sources_of(room) {
            // Tests stand last in a file, or in files of their own, and may use what they like.
            let code = text.split("#[cfg(test)]").next().unwrap();
            let is_test = ["tests.rs", "testing.rs"]
                .iter()
                .any(|name| file.ends_with(name))
                || file.contains("/tests/");
            for (package, rooms) in KEPT_IN.iter().filter(|_| !is_test) {
                if code.contains(package) && !rooms.contains(room) {
                    found.push(format!("{file}: {package} does not belong into {room}"));
                }
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn every_room_is_in_the_list() {
    let text = fs::read_to_string("src/lib.rs").unwrap();
    let declared: BTreeSet<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'))
        .collect();
    let listed: BTreeSet<&str> = ROOMS.iter().map(|(room, _)| *room).collect();
    assert_eq!(declared, listed);
    assert!(
        !text.contains("mod cli"),
        "the command line belongs to the program"
    );
}

fn sources_of(room: &str) -> Vec<(String, String)> {
    let mut files = Vec::new();
    let alone = format!("src/{room}.rs");
    if Path::new(&alone).exists() {
        files.push((alone.clone(), fs::read_to_string(alone).unwrap()));
    }
    walk(Path::new(&format!("src/{room}")), &mut files);
    assert!(!files.is_empty(), "{room} has no files");
    files
}

fn walk(folder: &Path, files: &mut Vec<(String, String)>) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push((
                path.display().to_string(),
                fs::read_to_string(&path).unwrap(),
            ));
        }
    }
}

/// The rooms after `crate::`, also inside `use crate::{a, b::c}`.
fn rooms_named_in(text: &str) -> BTreeSet<String> {
    let mut rooms = BTreeSet::new();
    for (at, _) in text.match_indices("crate::") {
        let rest = &text[at + "crate::".len()..];
        let names: Vec<&str> = match rest.strip_prefix('{') {
            Some(group) => group.split('}').next().unwrap().split(',').collect(),
            None => vec![rest],
        };
        for name in names {
            let name: String = name
                .trim_start()
                .chars()
                .take_while(|c| c.is_ascii_lowercase() || *c == '_')
                .collect();
            if ROOMS.iter().any(|(room, _)| *room == name) {
                rooms.insert(name);
            }
        }
    }
    rooms
}
