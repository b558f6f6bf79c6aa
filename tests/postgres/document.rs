//! docs/server.md: what it tells people to type is there.

use std::{collections::BTreeSet, fs};

use crate::home::Home;

#[test]
fn every_option_of_the_document_is_one_of_the_command_it_stands_with() {
    let home = Home::new();
    let document = fs::read_to_string("docs/server.md").unwrap();
    let mut checked = BTreeSet::new();
    // Commands stand in code: in blocks, and between backquotes.
    let commands = document.split("tuskvault ").skip(1).map(|rest| {
        let end = rest.find(['\n', '`', '#', '|']).unwrap_or(rest.len());
        &rest[..end]
    });
    for command in commands {
        let words: Vec<&str> = command.split_whitespace().collect();
        let Some(name) = words.iter().find(|word| COMMANDS.contains(word)) else {
            continue;
        };
        let help = home.run(&[name, "--help"]).ok().out;
        for word in words.iter().filter(|word| word.starts_with("--")) {
            let option = word.split('=').next().unwrap();
            let lines = help.lines().map(str::trim_start);
            let known = lines
                .flat_map(|line| line.split([' ', ',']))
                .any(|word| word == option);
            assert!(known, "tuskvault {command}: no {option}");
            checked.insert((*name, option));
        }
    }
    assert!(checked.len() >= 10, "{checked:?}");
}

const COMMANDS: [&str; 9] = [
    "backup", "discover", "diff", "export", "history", "import", "list", "log", "restore",
];
