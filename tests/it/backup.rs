//! `init`, `discover`, `backup`, `import`: what comes into the vault, and when nothing does.

use std::fs;

use serde_json::{Value, json};

use crate::home::{ADA, CHIYO, Home, INIT, NEW, mode, texts};

#[test]
fn init_makes_a_private_vault_and_never_replaces_one() {
    let home = Home::new();
    home.run(&INIT).ok().says("created ~/.local");
    assert_eq!(mode(&home.vault()), 0o600);
    assert_eq!(mode(home.vault().parent().unwrap()), 0o700);
    let before = fs::read(home.vault()).unwrap();
    home.run(&INIT).exits(1).says("nothing was changed");
    assert!(fs::read(home.vault()).unwrap() == before);
}

#[test]
fn init_names_a_key_derivation_that_is_weak_and_refuses_one_that_is_none() {
    let home = Home::new();
    home.run(&["init", "--kdf-memory", "7"]).exits(2);
    home.run(&["init", "--kdf-memory", "8", "--kdf-iterations", "0"])
        .exits(2);
    assert!(!home.vault().exists());
    home.run(&["init", "--kdf-memory", "8"]).ok().says("weaker");
    let slots = home.json(&["key", "list"]);
    assert_eq!(
        slots[0]["kdf"],
        json!({"memory_mib": 8, "iterations": 3, "parallelism": 4})
    );
}

#[test]
fn discover_finds_toot_without_a_vault_and_without_a_secret() {
    let home = Home::new();
    home.run(&["discover"]).ok().says("import auto");
    home.add_toot();
    let ran = home.run(&["discover"]).ok().prints("~/.config/toot");
    assert!(!ran.out.contains(ADA));
    let found = home.json(&["discover"]);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0]["connector"], "toot");
    assert_eq!(found[0]["accounts"], 4);
    assert_eq!(found[0]["tokens"], 4);
    assert!(!home.vault().exists());
}

#[test]
fn discover_looks_into_the_home_folder_of_another_disk() {
    let home = Home::new();
    home.copy(
        "toot/config.json",
        "mnt/old/home/me/.config/toot/config.json",
    );
    assert_eq!(home.json(&["discover"]), [] as [Value; 0]);
    let found = home.json(&["discover", "--root", "mnt/old/home/me"]);
    assert_eq!(texts(&found, "connector"), ["toot"]);
    home.run(&["discover", "--root", "nowhere"])
        .exits(8)
        .says("nowhere");
}

#[test]
fn discover_names_what_cannot_be_read() {
    let home = Home::new();
    home.write(".config/toot/config.json", "{");
    home.run(&["discover"]).exits(9).says("config.json");
    let ran = home.run(&["discover", "--json"]).exits(9);
    let found = ran.objects();
    assert_eq!(found[0]["tokens"], Value::Null);
    assert!(found[0]["error"].is_string());
}

#[test]
fn the_first_backup_makes_the_vault() {
    let home = Home::new();
    home.add_toot();
    home.run(&["backup"])
        .ok()
        .says("created ~/.local/share/tuskvault/vault.tusk")
        .prints("run 1: 4 tokens (4 new)");
    assert_eq!(home.json(&["list"]).len(), 4);
}

#[test]
fn a_second_backup_adds_nothing_but_a_run() {
    let home = Home::backed_up();
    let before = home.json(&["list", "--all"]);
    let run = &home.json(&["backup"])[0];
    assert_eq!(
        run["tokens"],
        json!({"seen": 4, "added": 0, "changed": 0, "gone": 0, "unchanged": 4})
    );
    let after = home.json(&["list", "--all"]);
    assert_eq!(texts(&before, "id"), texts(&after, "id"));
    assert_eq!(home.json(&["log"]).len(), 2);
}

#[test]
fn a_note_stays_with_its_run() {
    let home = Home::with_vault();
    home.run(&["backup", "--note", "before the upgrade"]).ok();
    assert_eq!(home.json(&["log"])[0]["note"], "before the upgrade");
    home.run(&["log"]).ok().prints("before the upgrade");
    home.run(&["log", "1"]).ok().prints("before the upgrade");
}

#[test]
fn backup_takes_only_the_connectors_that_are_named() {
    let home = Home::with_vault();
    home.import_bot();
    let runs = home.json(&["backup", "generic"]);
    assert_eq!(texts(&runs, "source"), ["generic"]);
    let runs = home.json(&["backup", "toot"]);
    assert_eq!(texts(&runs, "source"), ["toot"]);
    let runs = home.json(&["backup", "toot", "generic"]);
    assert_eq!(texts(&runs, "source"), ["toot", "generic"]);
    home.run(&["backup", "tooot"])
        .exits(2)
        .says("did you mean `toot`?");
}

#[test]
fn where_nothing_is_found_backup_says_so_and_makes_no_vault() {
    let home = Home::new();
    home.run(&["backup"]).exits(5).says("import auto PATH");
    home.run(&["backup", "toot"]).exits(5).says("no toot");
    home.run(&["backup", "--dry-run"]).exits(5);
    assert!(!home.vault().exists());
    home.run(&INIT).ok();
    home.run(&["backup"]).exits(5);
    home.run(&["backup", "--dry-run"]).exits(5);
}

#[test]
fn files_imported_by_path_are_backed_up_again() {
    let home = Home::with_vault();
    fs::remove_file(home.toot()).unwrap();
    let generic = home.copy("generic/config.json", "bot/config.json");
    let secret = home.write("py/user.secret", CHIYO);
    let env = home.write("bot/.env", format!("MASTODON_ACCESS_TOKEN={ADA}\n"));
    home.run(&["import", "auto", "bot/config.json"]).ok();
    let names = [
        "--instance",
        "mstdn.example.jp",
        "--user",
        "chiyo",
        "--path",
    ];
    home.run(&[&["import", "mastodon-py"], &names[..], &["py/user.secret"]].concat())
        .ok();
    home.run(&["import", "dotenv", "bot/.env", "--instance", "m.example"])
        .ok();

    for path in [&generic, &env] {
        home.edit(path, ADA, NEW);
    }
    home.edit(&secret, CHIYO, "tK0mZx3vTg7LrKc1hNdEeRtUi8oPaJbVfXzM2wA4sQ");
    let runs = home.json(&["backup"]);
    assert_eq!(runs.len(), 3, "{runs:?}");
    for run in &runs {
        assert_eq!(run["outcome"], "complete");
        assert_eq!(run["tokens"]["added"], 1, "{run}");
        assert_eq!(run["tokens"]["gone"], 1, "{run}");
        assert!(run["location"].as_str().unwrap().starts_with('/'), "{run}");
    }
    let keys = home.json(&["list"]);
    let mut keys: Vec<(&str, &str)> = keys
        .iter()
        .map(|record| {
            (
                record["user"].as_str().unwrap_or("?"),
                record["instance"].as_str().unwrap(),
            )
        })
        .collect();
    keys.sort_unstable();
    assert_eq!(
        keys,
        [
            ("?", "m.example"),
            ("?", "mastodon.example"),
            ("chiyo", "mstdn.example.jp")
        ]
    );
}

#[test]
fn a_file_that_is_there_no_more_is_named_and_its_tokens_stay() {
    let home = Home::backed_up();
    let file = home.import_bot();
    fs::remove_file(file).unwrap();
    home.run(&["backup"])
        .ok()
        .says("generic ~/bot/config.json is not there any more");
    assert_eq!(home.json(&["list"]).len(), 5);
}

#[test]
fn one_source_that_cannot_be_read_leaves_the_others() {
    let home = Home::backed_up();
    home.import_bot();
    home.write(".config/toot/config.json", "{ not json");
    let ran = home.run(&["backup"]).exits(9).says(".config/toot");
    assert!(ran.out.starts_with("generic"), "{}", ran.out);
    assert_eq!(home.json(&["list"]).len(), 5, "nothing is gone");
    let ran = home.run(&["backup", "toot", "--json"]).exits(8);
    let error: Value = serde_json::from_str(&ran.err).unwrap();
    assert_eq!(error["code"], 8);
    assert!(
        error["path"].as_str().unwrap().contains(".config/toot"),
        "{error}"
    );
    home.run(&["backup", "--dry-run"])
        .exits(9)
        .says(".config/toot");
}

#[test]
fn a_source_that_loses_nearly_everything_is_suspected_until_it_is_believed() {
    let home = Home::with_vault();
    let user = |n: u32| json!({"instance": "m.example", "username": format!("u{n}"), "access_token": format!("{n:043}")});
    let write = |count: u32| {
        let users: serde_json::Map<String, Value> = (0..count)
            .map(|n| (format!("u{n}@m.example"), user(n)))
            .collect();
        let text = json!({"active_user": "u0@m.example", "users": users,
            "apps": {"m.example": {"base_url": "https://m.example", "instance": "m.example", "client_id": "c", "client_secret": "s"}}});
        home.write(".config/toot/config.json", text.to_string());
    };
    write(40);
    home.run(&["backup"]).ok();
    write(1);
    home.run(&["backup"]).exits(9).says("--accept-shrink");
    assert_eq!(home.json(&["list"]).len(), 40);
    home.run(&["status"]).exits(9).prints("suspicious");
    home.run(&["backup", "--accept-shrink"]).ok();
    assert_eq!(home.json(&["list"]).len(), 1);
    assert_eq!(home.json(&["list", "--all"]).len(), 40);
}

#[test]
fn verbose_says_where_it_looked_and_quiet_says_nothing() {
    let home = Home::backed_up();
    let ran = home.run(&["backup", "-v"]).ok().says("commit");
    assert!(ran.err.contains("nothing at"), "{}", ran.err);
    let ran = home.run(&["backup", "--quiet"]).ok();
    assert_eq!(ran.err, "");
}

#[test]
fn import_reads_every_kind_of_file() {
    for (connector, sample, more, tokens) in [
        ("toot", "toot/config.json", &[][..], 4),
        ("mastodon-py", "mastodon-py/bot_usercred.secret", &[], 1),
        (
            "mastodon-py",
            "mastodon-py/old_usercred.secret",
            &["--instance", "m.example", "--user", "ada"],
            1,
        ),
        ("dotenv", "dotenv/multi.env", &[], 2),
        ("generic", "generic/bot.yaml", &[], 2),
        ("generic", "generic/config.toml", &[], 1),
        ("generic", "generic/settings.json5", &[], 2),
        ("generic", "generic/tokens.json", &[], 4),
    ] {
        let home = Home::with_vault();
        let name = sample.rsplit('/').next().unwrap();
        home.copy(sample, name);
        let run = home.json(&[&["import", connector, "--path", name], more].concat());
        assert_eq!(run[0]["source"], connector, "{sample}");
        assert_eq!(run[0]["tokens"]["added"], tokens, "{sample}");
    }
}

#[test]
fn import_reads_standard_input_where_the_format_allows_it() {
    let home = Home::with_vault();
    let env = fs::read("tests/data/dotenv/.env").unwrap();
    home.run_with_input(&["import", "dotenv", "-"], &env)
        .ok()
        .prints("1 token (1 new)");
    let record = br#"{"instance":"m.example","access_token":"a1"}"#;
    home.run_with_input(&["import", "json", "-"], record)
        .ok()
        .prints("1 token (1 new)");
    home.run_with_input(&["import", "toot", "-"], b"{}")
        .exits(8)
        .says("standard input");
    home.run_with_input(&["import", "auto", "-"], record)
        .exits(8)
        .says("name the connector");
}

#[test]
fn the_passphrase_and_the_material_do_not_share_standard_input() {
    let home = Home::with_vault();
    let input = format!("{}\n{{}}", crate::home::PASSPHRASE);
    home.run_with_input(
        &["import", "json", "-", "--password-file", "-"],
        input.as_bytes(),
    )
    .exits(2)
    .says("standard input");
}

#[test]
fn import_json_reads_lines_and_an_array() {
    let home = Home::with_vault();
    home.write(
        "lines.json",
        "{\"instance\":\"m.example\",\"access_token\":\"a1\"}\n{\"instance\":\"n.example\",\"access_token\":\"a2\"}\n",
    );
    home.run(&["import", "json", "lines.json"])
        .ok()
        .prints("2 tokens (2 new)");
    home.write(
        "array.json",
        "[{\"instance\":\"m.example\",\"access_token\":\"a3\",\"user\":\"ada\"}]",
    );
    home.run(&["import", "json", "array.json"])
        .ok()
        .prints("1 token (1 new)");
    assert_eq!(home.json(&["list"]).len(), 3, "such material ends nothing");
    home.write(
        "typo.json",
        r#"{"instance":"m.example","access_token":"a4","scope":"read"}"#,
    );
    home.run(&["import", "json", "typo.json"])
        .exits(8)
        .says("\"scope\"");
    home.run(&["import", "json", "missing.json"])
        .exits(8)
        .says("missing.json");
    assert_eq!(home.json(&["log"]).len(), 2);
}

#[test]
fn import_auto_says_what_it_takes_a_file_for_and_refuses_what_fits_nothing() {
    let home = Home::with_vault();
    for (sample, name, connector) in [
        ("toot/config.json", "a/config.json", "toot"),
        ("generic/bot.yaml", "b/bot.yaml", "generic"),
        ("dotenv/.env", "c/.env", "dotenv"),
        (
            "mastodon-py/bot_usercred.secret",
            "d/x.secret",
            "mastodon-py",
        ),
    ] {
        home.copy(sample, name);
        home.run(&["import", "auto", name])
            .ok()
            .says(&format!("is for {connector}"));
    }
    let before = home.json(&["log"]).len();
    home.write("poem.txt", "Roses are red\n");
    home.run(&["import", "auto", "poem.txt"]).exits(8);
    home.run(&["import", "auto"]).exits(2).says("--path");
    assert_eq!(home.json(&["log"]).len(), before);
}

#[test]
fn what_holds_nothing_to_import_warns_and_what_is_something_else_is_refused() {
    let home = Home::with_vault();
    home.copy("generic/placeholder.json", "placeholder.json");
    let ran = home
        .run(&["import", "generic", "placeholder.json", "--json"])
        .ok();
    assert!(!ran.objects()[0]["warnings"].as_array().unwrap().is_empty());
    assert!(ran.err.contains("\"warning\""), "{}", ran.err);
    home.write("broken.json", "{");
    home.run(&["import", "generic", "broken.json"]).exits(8);
    home.run(&["import", "toot", "placeholder.json"]).exits(8);
    home.run(&["import", "toot", "--path", "nowhere"]).exits(8);
    home.run(&["import", "mastdon-py", "x"])
        .exits(2)
        .says("did you mean `mastodon-py`?");
    home.run(&[
        "import",
        "generic",
        "placeholder.json",
        "--instance",
        "not a domain",
    ])
    .exits(2);
    assert_eq!(home.json(&["log"]).len(), 1);
}

#[test]
fn a_dry_run_says_what_would_come_and_writes_nothing() {
    let home = Home::new();
    home.add_toot();
    home.run(&["backup", "--dry-run"])
        .ok()
        .prints("would record 4 tokens and 3 apps of toot ~/.config");
    home.run(&["import", "toot", "--dry-run"])
        .ok()
        .prints("4 tokens");
    home.run(&["init", "--dry-run"]).ok().prints("would create");
    assert!(!home.vault().exists());

    let home = Home::backed_up();
    home.import_bot();
    let before = fs::read(home.vault()).unwrap();
    home.run(&["backup", "--dry-run"])
        .ok()
        .prints("of toot ~/.config")
        .prints("of generic ~/bot/config.json");
    home.run(&["import", "auto", "bot/config.json", "--dry-run"])
        .ok();
    assert!(fs::read(home.vault()).unwrap() == before);
}
