//! A source that suddenly holds much less ends nothing until somebody says that it is right.

use std::fmt::Write as _;

use serde_json::Value;

use crate::home::Home;

#[test]
fn a_shrunken_source_ends_nothing_until_it_is_accepted() {
    let home = Home::with_vault();
    home.write(".config/toot/config.json", toot(25));
    home.run(&["backup"]).ok();
    home.write(".config/toot/config.json", toot(3));
    for command in [&["backup"][..], &["import", "toot"], &["backup", "toot"]] {
        home.run(command)
            .exits(9)
            .says("warning: toot ~/.config/toot/config.json: suspiciously much is missing")
            .says("`--accept-shrink`");
        assert_eq!(active(&home), 25, "{command:?}");
    }
    let quiet = home.run(&["backup", "--quiet"]).exits(9);
    assert!(
        quiet.err.contains("suspiciously"),
        "it is never left unsaid"
    );
    let ran = home.run(&["backup", "--json"]).exits(9);
    assert!(ran.err.contains("suspiciously"));
    let run = &ran.objects()[0];
    assert_eq!(run["tokens"]["seen"], 3);
    assert_eq!(run["tokens"]["gone"], 0);
    let last = home.json(&["log"]).pop().unwrap()["run"].to_string();
    home.run(&["log", &last]).ok().prints("suspiciously");
    home.run(&["status"]).exits(9).prints("suspicious");

    let accepted = home.json(&["backup", "--accept-shrink", "--note", "cleared out"]);
    assert_eq!(accepted[0]["tokens"]["gone"], 22);
    assert_eq!(active(&home), 3);
    assert_eq!(home.json(&["list", "--all"]).len(), 25, "nothing is lost");
    assert_eq!(home.json(&["list", "--as-of", "run:1"]).len(), 25);
    home.run(&["status"]).ok();
    home.run(&["backup"]).ok();
}

#[test]
fn an_emptied_source_ends_nothing() {
    let home = Home::with_vault();
    home.write(".config/toot/config.json", toot(1));
    home.run(&["backup"]).ok();
    home.copy("toot/config-empty.json", ".config/toot/config.json");
    home.run(&["backup"]).exits(9).says("suspiciously");
    assert_eq!(active(&home), 1);
    home.run(&["backup", "--accept-shrink"]).ok();
    assert_eq!(active(&home), 0);
    let list = home.run(&["list"]).ok();
    list.says("`--all` lists the others");
}

#[test]
fn a_few_that_are_gone_are_gone() {
    let home = Home::with_vault();
    home.write(".config/toot/config.json", toot(25));
    home.run(&["backup"]).ok();
    home.write(".config/toot/config.json", toot(24));
    let runs = home.json(&["backup"]);
    assert_eq!(runs[0]["tokens"]["gone"], 1);
    assert_eq!(active(&home), 24);
}

#[test]
fn what_was_read_in_part_ends_nothing() {
    let home = Home::with_vault();
    home.write(".config/toot/config.json", toot(3));
    home.run(&["backup"]).ok();
    let broken = toot(2).replacen(
        "\"access_token\": \"token-00",
        "\"access_token\": [], \"x\": \"",
        1,
    );
    home.write(".config/toot/config.json", broken);
    let ran = home.run(&["backup"]).exits(9);
    ran.says("warning: toot: account \"u00@m.example\": expected a string for \"access_token\"")
        .says("it could be read only in part");
    assert_eq!(
        active(&home),
        3,
        "neither the broken nor the missing one ended"
    );
    let ran = home.run(&["backup", "--json", "--accept-shrink"]).exits(9);
    let run = &ran.objects()[0];
    assert_eq!(run["tokens"]["gone"], 0);
    let warnings = run["warnings"].as_array().unwrap();
    assert!(warnings[0].as_str().unwrap().contains("u00@m.example"));
    assert_eq!(active(&home), 3, "a partial read is not a matter of taste");
    home.run(&["status"]).exits(9);
}

#[test]
fn importing_the_same_twice_adds_nothing() {
    let home = Home::backed_up();
    home.run(&["export", "json", "--reveal", "-o", "records"])
        .ok();
    let before = home.json(&["list", "--all"]);
    let told = home.json(&["history", "*"]);
    for command in [
        &["backup"][..],
        &["import", "toot"],
        &["import", "toot", "--path", ".config/toot/config.json"],
        &["import", "auto", ".config/toot"],
    ] {
        let run = &home.json(command)[0];
        let tokens = &run["tokens"];
        assert_eq!(tokens["unchanged"], 4, "{command:?}");
        assert_eq!(tokens["added"], 0, "{command:?}");
        assert_eq!(run["accounts"]["added"], 0, "{command:?}");
        assert_eq!(run["apps"]["added"], 0, "{command:?}");
    }
    assert_eq!(
        without_last_seen(before),
        without_last_seen(home.json(&["list", "--all"]))
    );
    assert_eq!(
        without_last_seen(told),
        without_last_seen(home.json(&["history", "*"]))
    );
    for _ in 0..2 {
        home.run(&["import", "json", "records"]).ok();
        assert_eq!(home.json(&["list", "--all"]).len(), 4);
    }
}

fn active(home: &Home) -> usize {
    home.json(&["list"]).len()
}

fn without_last_seen(mut records: Vec<Value>) -> Vec<Value> {
    for record in &mut records {
        for source in record["sources"].as_array_mut().unwrap() {
            source.as_object_mut().unwrap().remove("last_seen");
        }
        // The last run that saw it.
        record.as_object_mut().unwrap().remove("kept");
    }
    records
}

/// A configuration of toot with so many accounts.
fn toot(accounts: usize) -> String {
    let mut users = String::new();
    for number in 0..accounts {
        let comma = if number > 0 { "," } else { "" };
        write!(
            users,
            "{comma}\"u{number:02}@m.example\": {{\"access_token\": \"token-{number:02}-abcdefgh\", \
             \"instance\": \"m.example\", \"username\": \"u{number:02}\"}}"
        )
        .unwrap();
    }
    format!(
        "{{\"active_user\": null, \"apps\": {{\"m.example\": {{\"base_url\": \"https://m.example\", \"client_id\": \
         \"id-1\", \"client_secret\": \"secret-1\", \"instance\": \"m.example\"}}}}, \"users\": {{{users}}}}}"
    )
}
