//! `forget`: tokens and runs that go for good.

use std::fs;

use crate::home::{CHIYO, Home, NEW};

fn everything(home: &Home) -> String {
    let history = ["export", "json", "--reveal", "--history"];
    home.run(&history).ok().out
}

#[test]
fn an_erased_token_is_gone_with_all_its_history() {
    let home = Home::backed_up();
    home.back_up_new_token();
    home.import_bot();
    let old = home.json(&["list", "chiyo@mstdn.example.jp", "--all"]);
    let old = old
        .iter()
        .find(|record| record["status"] == "gone")
        .unwrap();
    let id = old["id"].as_str().unwrap();
    home.run_changing_nothing(&["forget", id, "--dry-run"])
        .ok()
        .prints("would remove 1 token for good");
    home.run_recording_nothing(&["forget", id], "passphrase")
        .exits(2)
        .says("--yes");
    home.run(&["forget", id, "--yes"])
        .ok()
        .prints(id)
        .says("older copies of the vault")
        .says("does not revoke it")
        .keeps_to_itself(CHIYO);
    let left = everything(&home);
    assert!(!left.contains(CHIYO) && left.contains(NEW));
    home.run(&["show", id]).exits(5);
    assert_eq!(home.files_in(".local/share/tuskvault"), ["vault.tusk"]);
    home.run(&["check"]).ok();
    // What its source still holds comes back, as is said before.
    home.run(&["forget", "chiyo@mstdn.example.jp", "--yes", "--keep-prev"])
        .ok()
        .says("the next backup brings back what it finds");
    assert!(!everything(&home).contains(NEW));
    assert_eq!(
        home.files_in(".local/share/tuskvault"),
        ["vault.tusk", "vault.tusk.prev"]
    );
    home.run(&["backup"]).ok();
    assert!(everything(&home).contains(NEW));
    home.run(&["check"]).ok();
}

#[test]
fn thinning_is_planned_first_and_loses_no_token() {
    let home = Home::backed_up();
    home.run(&["backup"]).ok();
    home.back_up_new_token();
    home.run(&["backup"]).ok();
    home.run_changing_nothing(&["forget", "--keep-last", "1", "--dry-run"])
        .ok()
        .prints("the only one that holds 1 token")
        .prints("would remove 2 runs");
    home.run_recording_nothing(&["forget", "--keep-last", "1"], "passphrase")
        .exits(2);
    let mut plan = home.json(&["forget", "--keep-last", "1", "--yes"]);
    let summary = plan.pop().unwrap();
    assert_eq!(
        (&summary["runs"], &summary["tokens"]),
        (&2.into(), &0.into())
    );
    let told: Vec<_> = plan
        .iter()
        .map(|run| {
            (
                run["run"].as_u64().unwrap(),
                run["action"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [(4, "keep"), (3, "forget"), (2, "keep"), (1, "forget")]
    );
    assert_eq!(plan[0]["reasons"], serde_json::json!(["last", "newest"]));
    assert_eq!(plan[2]["reasons"], serde_json::json!(["holds_tokens"]));
    let runs = home.json(&["log"]);
    assert_eq!(runs.len(), 2);
    let left = everything(&home);
    assert!(left.contains(CHIYO) && left.contains(NEW));
    home.run(&["check"]).ok();
    home.run(&["list", "--as-of", "run:3"]).exits(5);
    // No number is given twice.
    home.run(&["backup"]).ok();
    assert_eq!(home.json(&["log"])[2]["run"], 5);
    let lost = ["forget", "--keep-last", "1", "--even-last", "--yes"];
    home.run(&lost)
        .ok()
        .says("1 token and 0 apps that only they hold are LOST");
    assert!(!everything(&home).contains(CHIYO));
    home.run(&lost).ok().says("no run goes");
    home.run(&["check"]).ok();
}

#[test]
fn forget_must_be_told_what() {
    let home = Home::backed_up();
    for (arguments, code) in [
        (&["forget", "--yes"][..], 2),
        (
            &[
                "forget",
                "chiyo@mstdn.example.jp",
                "--keep-last",
                "1",
                "--yes",
            ],
            2,
        ),
        (&["forget", "nobody@nowhere.example", "--yes"], 5),
        (&["forget", "tk_2222222222", "--yes"], 5),
    ] {
        home.run_recording_nothing(arguments, "passphrase")
            .exits(code);
    }
    home.run(&["forget"]).exits(2).says("--keep-daily");
    fs::remove_file(home.vault()).unwrap();
    home.run(&["forget", "--keep-last", "1", "--yes"]).exits(1);
}
