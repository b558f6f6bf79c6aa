//! Several processes at one vault.

use std::{fs, process::Stdio};

use crate::home::{Home, INIT};

#[test]
fn writers_at_once_take_turns() {
    let home = Home::with_vault();
    let mut children = Vec::new();
    for number in 0..6 {
        let name = format!("{number}.json");
        home.write(
            &name,
            format!(r#"{{"instance":"m.example","user":"u{number}","access_token":"t{number}"}}"#),
        );
        let mut command = home.command(&["import", "json", &name, "--lock-timeout", "60"]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        children.push(command.spawn().unwrap());
    }
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(home.json(&["list"]).len(), 6);
    let runs: Vec<u64> = home
        .json(&["log"])
        .iter()
        .map(|run| run["run"].as_u64().unwrap())
        .collect();
    assert_eq!(runs, [1, 2, 3, 4, 5, 6]);
    home.run(&["check"]).ok();
}

#[test]
fn of_those_who_make_a_vault_at_once_one_succeeds() {
    let home = Home::new();
    home.add_toot();
    let mut children = Vec::new();
    for _ in 0..3 {
        let mut command = home.command(&INIT);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        children.push(command.spawn().unwrap());
    }
    let mut made = 0;
    for mut child in children {
        made += usize::from(child.wait().unwrap().success());
    }
    assert_eq!(made, 1);
    home.run(&["backup"]).ok();
    let folder = fs::read_dir(home.vault().parent().unwrap()).unwrap();
    assert_eq!(folder.count(), 1, "nothing half-made is left");
}

#[test]
fn a_flipped_byte_is_never_wrong_data() {
    let home = Home::backed_up();
    let expected = home.run(&["list", "--all", "--json"]).ok().out;
    let whole = fs::read(home.vault()).unwrap();
    for at in (0..whole.len()).step_by(whole.len() / 24) {
        let mut altered = whole.clone();
        altered[at] ^= 0x10;
        home.write("altered.tusk", altered);
        let list = ["list", "--all", "--json", "--vault", "altered.tusk"];
        let ran = home.run_changing_nothing(&list);
        match ran.code {
            0 => assert_eq!(ran.out, expected, "byte {at}"),
            code => assert_eq!(code, 4, "byte {at}: {}", ran.err),
        }
    }
}
