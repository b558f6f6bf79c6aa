//! What is wrong is said clearly, with the exit code that scripts rely on, and leaves everything as it was.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    os::unix::fs::{PermissionsExt, chown},
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::home::{Contents, Home, INIT, NOBODY, PASSPHRASE, Program, Ran, unprivileged};

#[test]
fn a_wrong_password_is_exit_3() {
    let home = Home::backed_up();
    home.write("passphrase", "not it");
    refused(&home, &["list"], 3)
        .says("error: wrong passphrase for ~/.local/share/tuskvault/vault.tusk\nhint: ");
    for command in [
        &["backup"][..],
        &["check"],
        &["rekey", "--new-password-file", "passphrase"],
        &["show", "ada@mastodon.example", "--reveal"],
    ] {
        refused(&home, command, 3);
    }
    let error = error(&home, &["list"], 3);
    assert_eq!(error["path"], home.vault().to_str().unwrap());
}

#[test]
fn what_is_no_vault_is_said_to_be_none() {
    let home = Home::with_vault();
    home.write("text", "hello");
    home.write("empty", "");
    fs::create_dir(home.file("folder")).unwrap();
    for name in ["text", "empty", "folder"] {
        refused(&home, &["list", "--vault", name], 4)
            .says(&format!("error: {name} is not a tuskvault vault"))
            .says("hint: ");
        refused(&home, &["backup", "--vault", name], 4);
        refused(&home, &["check", "--vault", name], 4);
    }
    refused(&home, &["list", "--vault", "nowhere"], 1)
        .says("error: there is no vault at nowhere")
        .says("`tuskvault init`");
}

#[test]
fn a_vault_that_is_cut_short_is_damaged_not_empty() {
    let home = Home::backed_up();
    let whole = fs::read(home.vault()).unwrap();
    for len in [1, 8, 4096, 8192, 12_288, 16_384, whole.len() / 2] {
        fs::write(home.vault(), &whole[..len]).unwrap();
        for command in [&["list"][..], &["backup"], &["check"]] {
            let ran = refused(&home, command, 4).says("error: ~/.local/share");
            assert!(ran.err.contains("hint: "), "{len}: {}", ran.err);
        }
    }
}

#[test]
fn a_later_format_is_said_to_be_that() {
    let home = Home::backed_up();
    alter_headers(&home, |header| header[8] += 1);
    for command in [&["list"][..], &["check"], &["key", "list"], &["backup"]] {
        refused(&home, command, 4)
            .says("has format version 2; this program knows version 1")
            .says("hint: update tuskvault");
    }
}

#[test]
fn a_hostile_header_costs_no_memory() {
    let home = Home::backed_up();
    let honest = fs::read(home.vault()).unwrap();
    // The first key slot stands at byte 64: kind, memory (KiB), passes, lanes.
    for (at, number) in [(68, u32::MAX), (68, 0), (72, u32::MAX), (76, u32::MAX)] {
        fs::write(home.vault(), &honest).unwrap();
        alter_headers(&home, |header| {
            header[at..at + 4].copy_from_slice(&number.to_le_bytes());
        });
        let mut command = home.command(&["list"]);
        let before = home.contents();
        // 512 MiB of address space hold the program, not what the header asks for.
        let output = limited(&mut command).output().unwrap();
        let ran = Ran::of(&["list"], output).exits(4);
        unchanged(&home, &before, &[]);
        assert!(ran.err.contains("hint: "), "{}", ran.err);
        assert!(ran.err.contains("vault.tusk"), "{}", ran.err);
    }
}

#[test]
fn a_vault_in_use_names_the_process() {
    let home = Home::backed_up();
    let file = File::options().read(true).write(true).open(home.vault());
    let file = file.unwrap();
    file.lock().unwrap();
    let pid = std::process::id();
    for (command, seconds) in [(&["list"][..], "0"), (&["backup"], "1")] {
        let mut all = command.to_vec();
        all.extend(["--lock-timeout", seconds]);
        let start = Instant::now();
        refused(&home, &all, 7)
            .says(&format!("is in use by another process (pid {pid})"))
            .says(&format!("waited {seconds} s"))
            .says("--lock-timeout");
        let least = Duration::from_secs(seconds.parse().unwrap());
        assert!(start.elapsed() >= least, "it waited");
    }
    let error = error(&home, &["list", "--lock-timeout", "0"], 7);
    assert_eq!(error["path"], home.vault().to_str().unwrap());
    file.unlock().unwrap();
    file.lock_shared().unwrap();
    home.run(&["list", "--lock-timeout", "0"]).ok();
    refused(&home, &["backup", "--lock-timeout", "0"], 7);
}

#[test]
fn where_nothing_can_be_written_is_said() {
    let home = Home::backed_up();
    let program = Program::new();
    home.write("there/.keep", "");
    home.edit(&home.toot(), "UJTF", "NEWF");
    let read_only = [".config/toot", ".local/share/tuskvault", "there"];
    let set = |mode| {
        for folder in read_only {
            fs::set_permissions(home.file(folder), fs::Permissions::from_mode(mode)).unwrap();
        }
    };
    set(0o500);
    give_away(home.path());
    let vault = ".local/share/tuskvault/vault.tusk";
    let selector = "ada@mastodon.example/toot";
    for (command, code, place) in [
        (&["init", "--vault", "there/new.tusk"][..], 1, "there"),
        (&["compact"], 1, vault),
        (
            &["restore", selector, "--to", "toot", "--yes"],
            8,
            ".config/toot/config.json",
        ),
        (
            &["export", "json", "-o", "there/out.json"],
            8,
            "there/out.json",
        ),
        (&["key", "new-file", "there/key"], 1, "there/key"),
    ] {
        let before = home.contents();
        let ran = run_unprivileged(&program, &home, command).exits(code);
        assert!(ran.err.contains(place), "{}", ran.err);
        assert!(
            ran.err.to_lowercase().contains("permission denied"),
            "{}",
            ran.err
        );
        let changed = changed(&before, &home);
        assert!(
            changed.is_empty() || changed == [home.vault()],
            "{command:?}: {changed:?}"
        );
    }
    run_unprivileged(&program, &home, &["backup"]).ok();

    fs::set_permissions(home.vault(), fs::Permissions::from_mode(0o400)).unwrap();
    let before = home.contents();
    let ran = run_unprivileged(&program, &home, &["backup"]).exits(1);
    assert!(
        ran.err.contains("cannot open ~/.local/share"),
        "{}",
        ran.err
    );
    run_unprivileged(&program, &home, &["list"]).ok();
    // What can't be noted in the audit log is shown with a warning.
    let ran = run_unprivileged(
        &program,
        &home,
        &["show", selector, "--field", "access_token"],
    )
    .ok();
    assert!(ran.err.contains("warning: the vault can't be written"));
    unchanged(&home, &before, &[]);
    set(0o700);
}

#[test]
fn a_client_file_that_cannot_be_read_is_exit_8() {
    let home = Home::with_vault();
    let whole = fs::read_to_string(home.toot()).unwrap();
    for (contents, says) in [
        ("", "line 1"),
        (&whole[..300], "line"),
        ("[]", "expected an object"),
        (
            "{\"apps\": 1, \"users\": {}}",
            "expected an object \"apps\"",
        ),
        ("\u{0}\u{1}", "line 1, column 1"),
    ] {
        fs::write(home.toot(), contents).unwrap();
        for command in [
            &["import", "toot"][..],
            &["import", "toot", ".config/toot/config.json"],
            &["backup"],
        ] {
            let refused = if command == ["backup"] {
                refused_once_open
            } else {
                refused
            };
            refused(&home, command, 8)
                .says("config.json")
                .says(says)
                .says("hint: ");
        }
    }
    fs::write(home.toot(), [0xff, 0xfe, b'{']).unwrap();
    refused(&home, &["import", "toot"], 8).says("config.json");
    refused(&home, &["import", "auto", ".config/toot/config.json"], 8);
    refused(&home, &["import", "toot", "nowhere"], 8)
        .says("error: there is no nowhere")
        .says("hint: ");
    assert_eq!(home.run(&["list", "--all"]).ok().out, "");
}

#[test]
fn one_unreadable_source_keeps_no_other_from_the_vault() {
    let home = Home::with_vault();
    home.write("bot/.env", DOTENV);
    home.run(&["import", "dotenv", "bot/.env"]).ok();
    fs::write(home.toot(), "{").unwrap();
    let ran = home.run(&["backup"]).exits(9);
    ran.says("error: cannot read ~/.config/toot/config.json: line 1")
        .says("`tuskvault backup toot`")
        .prints("dotenv ~/bot/.env: run 2");
    let dry = home.run(&["backup", "--dry-run"]).exits(9);
    dry.says("error: cannot read ~/.config/toot/config.json");
    let ran = home.run(&["backup", "--json"]).exits(9);
    assert_eq!(ran.objects().len(), 1);
    let error: Value = serde_json::from_str(&ran.err).unwrap();
    assert_eq!(error["code"], 8);
    assert_eq!(error["path"], home.toot().to_str().unwrap());
}

#[test]
fn a_selector_that_names_nothing_is_exit_5_and_suggests() {
    let home = Home::backed_up();
    for (selector, suggestion) in [
        ("adda@mastodon.example", "did you mean ada@mastodon.example"),
        ("ada@mastodon.exampel", "did you mean ada@mastodon.example"),
        (
            "ada@mastodon.example/tot",
            "did you mean ada@mastodon.example/toot",
        ),
        (
            "ada@mastodon.example/toot~1",
            "`tuskvault history ada@mastodon.example/toot`",
        ),
        ("tk_aaaaaaaa", "`tuskvault list --all`"),
        ("nobody@elsewhere.test", "`tuskvault list --all`"),
    ] {
        for command in [
            &["show", selector][..],
            &["list", selector],
            &["history", selector],
            &["restore", selector, "--to", "toot", "--yes"],
            &["export", "json", selector],
        ] {
            let refused = if command[0] == "restore" {
                refused_once_open
            } else {
                refused
            };
            let ran = refused(&home, command, 5);
            assert!(ran.err.contains(suggestion), "{command:?}: {}", ran.err);
            assert_eq!(ran.out, "");
        }
    }
    let suggested = error(&home, &["show", "adda@mastodon.example"], 5);
    assert!(suggested["hint"].as_str().unwrap().contains("ada@"));
    refused(&home, &["log", "99"], 5).says("there is no run 99");
    refused(&home, &["list", "--as-of", "run:99"], 5).says("there is no run 99");
    refused_once_open(&home, &["backup", "dotenv"], 5).says("no dotenv was found");
}

#[test]
fn an_ambiguous_selector_names_the_choices() {
    let home = Home::backed_up();
    for command in [
        &["show", "mastodon.example"][..],
        &["restore", "mastodon.example", "--to", "toot", "--yes"],
        &["show", "@mastodon.example", "--field", "access_token"],
    ] {
        refused_once_open(&home, command, 6)
            .says("matches 2 records")
            .says("ada@mastodon.example/toot, ada_bot@mastodon.example/toot");
    }
}

#[test]
fn without_a_terminal_and_a_password_it_says_what_to_set() {
    let home = Home::backed_up();
    for command in [&["list"][..], &["backup"], &["init", "--vault", "new"]] {
        let before = home.contents();
        let mut program = home.command(command);
        program.env_remove("TUSKVAULT_PASSWORD_FILE");
        let ran = Ran::of(command, program.output().unwrap()).exits(2);
        for way in [
            "TUSKVAULT_PASSWORD_FILE",
            "--password-command",
            "--key-file",
        ] {
            assert!(ran.err.contains(way), "{command:?}: {}", ran.err);
        }
        unchanged(&home, &before, &[]);
    }
    let restore = ["restore", "ada@mastodon.example", "--to", "toot"];
    home.edit(&home.toot(), "UJTF", "NEWF");
    refused_once_open(&home, &restore, 2).says("`--yes`");
}

#[test]
fn what_is_typed_wrong_is_exit_2() {
    let home = Home::backed_up();
    for (command, says) in [
        (&["bakcup"][..], "backup"),
        (&["list", "--al"], "--all"),
        (&["import", "tot"], "did you mean `toot`?"),
        (&["backup", "tot"], "did you mean `toot`?"),
        (
            &["restore", "ada@mastodon.example", "--to", "tot"],
            "did you mean `toot`?",
        ),
        (&["restore", "ada@mastodon.example"], "--to"),
        (&["list", "--as-of", "whenever"], "\"whenever\""),
        (
            &["diff", "yesterday", "2 days ago"],
            "the first moment lies after the second",
        ),
        (
            &["show", "ada@mastodon.example", "--field", "token"],
            "access_token",
        ),
        (&["export", "rails"], "--reveal"),
        (
            &[
                "export",
                "json",
                "--history",
                "--reveal",
                "ada@mastodon.example",
            ],
            "--history",
        ),
        (&["import", "toot", "--instance", "no domain"], "no domain"),
        (&["init", "--vault", "new", "--kdf-memory", "1"], "8 MiB"),
        (&["show", "tk_a"], "4"),
        (&["--lock-timeout", "soon", "list"], "soon"),
    ] {
        refused(&home, command, 2).says(says);
        let error = error(&home, command, 2);
        assert!(
            error["error"]
                .as_str()
                .is_some_and(|text| !text.contains('\n'))
        );
    }
    let nothing = home.run(&[]).exits(2);
    assert!(nothing.err.contains("Usage:"));
}

#[test]
fn odd_sources_of_a_password_are_named() {
    let home = Home::backed_up();
    fs::set_permissions(home.file("passphrase"), fs::Permissions::from_mode(0o640)).unwrap();
    home.run(&["list"])
        .ok()
        .says("warning: others can read ~/passphrase: chmod 600 it");
    home.write("empty", "");
    home.write("blank", "\nsecond line");
    home.write("latin", [b'p', 0xe9]);
    for (option, value, says) in [
        (
            "--password-file",
            "empty",
            "the first line of empty is empty",
        ),
        (
            "--password-file",
            "blank",
            "the first line of blank is empty",
        ),
        (
            "--password-file",
            "latin",
            "the first line of latin is not UTF-8",
        ),
        (
            "--password-file",
            "nowhere",
            "cannot read the password file nowhere",
        ),
        ("--password-file", ".", "cannot read the password file ."),
        (
            "--password-file",
            "-",
            "the first line of standard input is empty",
        ),
        ("--password-command", "false", "the password command failed"),
        (
            "--password-command",
            "true",
            "the first line of the password command is empty",
        ),
        (
            "--password-command",
            "no-such-command",
            "the password command failed",
        ),
        (
            "--password-command",
            "kill -9 $$",
            "the password command failed",
        ),
    ] {
        let before = home.contents();
        let arguments = ["list", option, value];
        let mut program = home.command(&arguments);
        program.env_remove("TUSKVAULT_PASSWORD_FILE");
        let ran = Ran::of(&arguments, program.output().unwrap()).exits(2);
        assert!(ran.err.contains(says), "{arguments:?}: {}", ran.err);
        unchanged(&home, &before, &[]);
    }
    // What is typed counts for more than the environment.
    let arguments = ["list", "--password-command", "echo wrong"];
    home.run(&arguments).exits(3);
}

#[test]
fn standard_input_is_the_passphrase_or_the_records() {
    let home = Home::with_vault();
    let list = ["list", "--password-file", "-"];
    home.run_with_input(&list, format!("{PASSPHRASE}\nmore\n").as_bytes())
        .ok();
    home.run_with_input(&list, b"not it\n").exits(3);
    let import = ["import", "json", "-"];
    let record = br#"{"instance":"m.example","access_token":"token-1"}"#;
    let both = [&import[..], &["--password-file", "-"]].concat();
    home.run_with_input(&both, record)
        .exits(2)
        .says("standard input can't be both the passphrase and what is imported");
    home.run_with_input(&import, record).ok();
    assert_eq!(home.json(&["list"]).len(), 1);
}

#[test]
fn a_wrong_key_file_and_a_damaged_one_differ() {
    let home = Home::new();
    let init = [&INIT[..], &["--key-file", "key", "--no-passphrase"]].concat();
    home.run(&init).ok();
    home.run(&["key", "new-file", "other"]).ok();
    let key = fs::read_to_string(home.file("key")).unwrap();
    let mut damaged = key.clone().into_bytes();
    damaged[20] = if damaged[20] == b'A' { b'B' } else { b'A' };
    home.write("damaged", damaged);
    home.write("cut", &key[..40]);
    home.write("text", "my key");
    for (file, says) in [
        ("other", "error: wrong key file for ~/.local/share"),
        ("damaged", "error: damaged: "),
        ("cut", "error: cut: "),
        ("text", "error: text: "),
    ] {
        let before = home.contents();
        let arguments = ["list", "--key-file", file];
        let mut program = home.command(&arguments);
        program.env_remove("TUSKVAULT_PASSWORD_FILE");
        let ran = Ran::of(&arguments, program.output().unwrap()).exits(3);
        assert!(ran.err.contains(says), "{}", ran.err);
        assert!(ran.err.contains("hint: "), "{}", ran.err);
        unchanged(&home, &before, &[]);
    }
    refused(&home, &["list", "--key-file", "nowhere"], 2).says("cannot read the key file nowhere");
    home.run(&["list", "--key-file", "key"]).ok();
}

#[test]
fn a_dry_run_does_nothing() {
    let home = Home::backed_up();
    home.edit(&home.toot(), "UJTF", "NEWF");
    home.run(&["backup"]).ok();
    home.write("new", "another passphrase");
    home.run(&["export", "json", "--reveal", "--history", "-o", "runs"])
        .ok();
    home.run(&["export", "json", "--reveal", "-o", "records"])
        .ok();
    let selector = "ada@mastodon.example/toot~1";
    for command in [
        &["backup"][..],
        &["import", "toot"],
        &["import", "json", "records"],
        &["import", "json", "runs"],
        &["import", "auto", "records"],
        &["restore", selector, "--to", "toot", "--yes"],
        &["restore", "*", "--all", "--to", "toot", "--yes"],
        &["export", "json", "-o", "out"],
        &["export", "json", "--reveal", "-o", "out"],
        &["export", "dotenv", "ada@mastodon.example", "--reveal"],
        &["show", "ada@mastodon.example", "--reveal"],
        &["show", "ada@mastodon.example", "--field", "access_token"],
        &["key", "add", "--new-password-file", "new"],
        &["key", "change", "--new-password-file", "new"],
        &["key", "remove", "0", "--yes"],
        &["key", "new-file", "key"],
        &["rekey", "--new-password-file", "new"],
        &["compact"],
        &["init", "--vault", "folder/new.tusk"],
        &["backup", "--vault", "folder/new.tusk"],
    ] {
        let before = home.contents();
        let ran = home.run(&[command, &["--dry-run"]].concat()).ok();
        unchanged(&home, &before, command);
        assert!(!ran.err.is_empty() || !ran.out.is_empty(), "{command:?}");
        assert!(!ran.out.contains("NEWF"), "{command:?}");
        let ran = home.run(&[command, &["--dry-run", "--json"]].concat()).ok();
        unchanged(&home, &before, command);
        ran.objects();
    }
}

/// Runs a command that ends with this code and changes nothing.
#[track_caller]
fn refused(home: &Home, arguments: &[&str], code: i32) -> Ran {
    let before = home.contents();
    let ran = home.run(arguments).exits(code);
    unchanged(home, &before, arguments);
    ran
}

/// The same of a command that must open the vault for writing to find out: then it says the same as before.
#[track_caller]
fn refused_once_open(home: &Home, arguments: &[&str], code: i32) -> Ran {
    let said = |home: &Home| {
        let list = home.run(&["list", "--all", "--json"]).ok().out;
        (list, home.run(&["log", "--json"]).ok().out)
    };
    let (mut before, told) = (home.contents(), said(home));
    let ran = home.run(arguments).exits(code);
    assert_eq!(told, said(home));
    before.remove(&home.vault());
    let mut after = home.contents();
    after.remove(&home.vault());
    assert!(
        before == after,
        "{arguments:?} changed {:?}",
        differences(&before, &after)
    );
    ran
}

#[track_caller]
fn unchanged(home: &Home, before: &Contents, arguments: &[&str]) {
    let changed = changed(before, home);
    assert!(changed.is_empty(), "{arguments:?} changed {changed:?}");
}

/// The same with `--json`: the object on standard error.
#[track_caller]
fn error(home: &Home, arguments: &[&str], code: i32) -> Value {
    let ran = refused(home, &[arguments, &["--json"]].concat(), code);
    assert_eq!(ran.out, "");
    let line = ran.err.lines().last().unwrap();
    let error: Value = serde_json::from_str(line).unwrap();
    assert_eq!(error["code"], code);
    let keys: Vec<_> = error.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["error", "code", "path", "hint"]);
    error
}

fn changed(before: &Contents, home: &Home) -> Vec<PathBuf> {
    differences(before, &home.contents())
}

fn differences(before: &Contents, after: &Contents) -> Vec<PathBuf> {
    let paths: BTreeSet<&PathBuf> = before.keys().chain(after.keys()).collect();
    let differs = |path: &&PathBuf| before.get(*path) != after.get(*path);
    paths.into_iter().filter(differs).cloned().collect()
}

/// Alters both copies of the header and gives them right checksums.
fn alter_headers(home: &Home, alter: impl Fn(&mut [u8])) {
    let mut bytes = fs::read(home.vault()).unwrap();
    for header in bytes.chunks_exact_mut(4096).take(2) {
        alter(header);
        let checksum = blake3::hash(&header[..4064]);
        header[4064..].copy_from_slice(checksum.as_bytes());
    }
    fs::write(home.vault(), bytes).unwrap();
}

/// The command with little memory to be had.
fn limited(command: &mut Command) -> Command {
    let mut limited = Command::new("sh");
    limited
        .args(["-c", "ulimit -v 524288; exec \"$0\" \"$@\""])
        .arg(command.get_program())
        .args(command.get_args())
        .current_dir(command.get_current_dir().unwrap())
        .env_clear()
        .envs(
            command
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        );
    limited
}

/// Runs the program as somebody who is not root.
fn run_unprivileged(program: &Program, home: &Home, arguments: &[&str]) -> Ran {
    let template = home.command(arguments);
    let mut command = Command::new(program.path());
    command
        .args(arguments)
        .current_dir(home.path())
        .env_clear()
        .envs(
            template
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        );
    unprivileged(&mut command);
    Ran::of(arguments, command.output().unwrap())
}

/// Gives a folder and everything in it to somebody who is not root.
fn give_away(folder: &Path) {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    chown(folder, Some(NOBODY), Some(NOBODY)).unwrap();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            give_away(&path);
        } else {
            chown(&path, Some(NOBODY), Some(NOBODY)).unwrap();
        }
    }
}

const DOTENV: &str = "MASTODON_API_BASE_URL=https://social.example\nMASTODON_ACCESS_TOKEN=kz9fVdToYI8_-YG8jwL3AklYSeF3ucpc9nbffBBEl9U\n";
