//! No secret leaves the vault but where it is asked for, and nothing private is open to others or left lying around.

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::PermissionsExt,
    process::{Command, Stdio},
};

use crate::home::{Contents, Home, PASSPHRASE, Program, unprivileged};

#[test]
fn no_command_shows_a_secret_that_was_not_asked_for() {
    let home = two_tokens();
    let new = "--new-password-file=new";
    let key = "ada@mastodon.example/toot";
    for command in [
        &["discover"][..],
        &["backup", "--accept-shrink", "--note", "x"],
        &["import", "toot"],
        &["import", "auto", ".config/toot/config.json"],
        &["list", "--all"],
        &["list", "nobody@nowhere.test"],
        &["show", key],
        &["show", "mastodon.example"],
        &["show", key, "--field", "app.client_id"],
        &["history", "*"],
        &["log"],
        &["log", "2"],
        &["diff", "run:1", "run:2"],
        &[
            "restore",
            "ada@mastodon.example/toot~1",
            "--to",
            "toot",
            "--dry-run",
        ],
        &[
            "restore",
            "ada@mastodon.example/toot~1",
            "--to",
            "toot",
            "--yes",
        ],
        &["restore", "*", "--all", "--to", "toot", "--yes"],
        &[
            "restore",
            key,
            "--to",
            "dotenv",
            "--path",
            "nowhere/.env",
            "--yes",
        ],
        &["export", "json"],
        &["export", "csv"],
        &["export", "dotenv", key],
        &["export", "json", "--reveal", "-o", "records"],
        &["export", "json", "--reveal", "-o", "records"],
        &["export", "dotenv", key, "--reveal", "-o", ".env.new"],
        &["import", "json", "records"],
        &["status"],
        &["check"],
        &["key", "list"],
        &[
            "key",
            "add",
            new,
            "--kdf-memory",
            "8",
            "--kdf-iterations",
            "1",
        ],
        &["key", "remove", "1", "--yes"],
        &["key", "new-file", "key"],
        &["list", "--key-file", "passphrase"],
        &["list", "--password-file", "new"],
        &["list", "--password-command", "cat .config/toot/config.json"],
        &["show", key, "--reveal", "--dry-run"],
        &["compact"],
        &[
            "rekey",
            "--new-password-file=passphrase",
            "--kdf-memory",
            "8",
            "--kdf-iterations",
            "1",
        ],
        &["init"],
    ] {
        for more in [&["-v"][..], &["--json"]] {
            let ran = home.run(&[command, more].concat());
            for secret in SECRETS {
                assert!(
                    !ran.out.contains(secret),
                    "{command:?} {more:?}: {}",
                    ran.out
                );
                assert!(
                    !ran.err.contains(secret),
                    "{command:?} {more:?}: {}",
                    ran.err
                );
            }
        }
    }
    let asked = home.run(&["show", key, "--field", "access_token"]).ok();
    assert!(
        SECRETS.contains(&asked.out.trim()),
        "the list is of the secrets"
    );
}

#[test]
fn no_error_quotes_a_broken_file() {
    let home = Home::with_vault();
    let whole = fs::read_to_string(home.toot()).unwrap();
    let token = SECRETS[0];
    let end = whole.find(token).unwrap() + token.len();
    for broken in [
        whole[..end].to_owned(),
        whole.replace(&format!("\"{token}\""), token),
        whole.replace(&format!("\"{token}\""), &format!("[\"{token}\"]")),
        whole.replace(token, &format!("{token} and more")),
        format!("{token}\n"),
        whole.replace("\"access_token\"", &format!("\"{token}\"")),
    ] {
        fs::write(home.toot(), &broken).unwrap();
        home.write(
            "bot/.env",
            format!("MASTODON_ACCESS_TOKEN=\"{token}\nMASTODON_API_BASE_URL={token}\n"),
        );
        home.write(
            "records",
            format!("{{\"instance\":\"m.example\",\"access_token\":{token}}}"),
        );
        for command in [
            &["backup"][..],
            &["discover"],
            &["import", "toot"],
            &["import", "auto", ".config/toot/config.json"],
            &["import", "json", ".config/toot/config.json"],
            &["import", "json", "records"],
            &["import", "dotenv", "bot/.env"],
            &["import", "generic", ".config/toot/config.json"],
            &["list", "--key-file", ".config/toot/config.json"],
        ] {
            for more in [&["-v"][..], &["--json"]] {
                let ran = home.run(&[command, more].concat());
                for text in [&ran.out, &ran.err] {
                    assert!(!text.contains(token), "{command:?}: {text}");
                    assert!(!text.contains(&token[..20]), "{command:?}: {text}");
                }
            }
        }
    }
}

#[test]
fn vault_and_state_hold_nothing_to_read() {
    let home = two_tokens();
    home.run(&[
        "restore",
        "ada@mastodon.example/toot~1",
        "--to",
        "toot",
        "--yes",
    ])
    .ok();
    home.run(&["compact"]).ok();
    let names = [
        "mastodon.example",
        "b_orges",
        "chiyo",
        "ada_bot",
        "vlwohvSv",
        "access_token",
    ];
    let vaults = home
        .contents()
        .into_iter()
        .filter(|(path, _)| path.starts_with(home.file(".local/share")) && path.is_file());
    let mut seen = 0;
    for (path, (_, bytes)) in vaults {
        seen += 1;
        for word in SECRETS.iter().chain(&names) {
            assert!(!holds(&bytes, word), "{word} stands in {}", path.display());
        }
    }
    assert_eq!(seen, 2, "the vault and what compact kept");
    let state = fs::read(home.file(".local/state/tuskvault/state.json")).unwrap();
    for word in SECRETS.iter().chain(&names).chain(&["ada"]) {
        assert!(!holds(&state, word), "{word} stands in the state");
    }
    assert!(holds(&state, "toot/config.json"), "it is the state");
}

#[test]
fn what_is_made_is_private() {
    let home = Home::new();
    home.add_toot();
    home.write("new", "another");
    let given = home.everything();
    let loose = |command: &[&str]| {
        // A careless umask opens nothing.
        let mut shell = Command::new("sh");
        shell.args(["-c", "umask 0; exec \"$0\" \"$@\""]);
        let template = home.command(command);
        shell
            .arg(template.get_program())
            .args(command)
            .current_dir(home.path());
        shell.env_clear();
        shell.envs(
            template
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        );
        let ran = crate::home::Ran::of(command, shell.output().unwrap()).ok();
        assert!(!ran.out.contains(PASSPHRASE));
    };
    let selector = "ada@mastodon.example/toot";
    for command in [
        &["init", "--kdf-memory", "8", "--kdf-iterations", "1"][..],
        &[
            "init",
            "--vault",
            "deep/folder/v.tusk",
            "--kdf-memory",
            "8",
            "--kdf-iterations",
            "1",
        ],
        &["backup"],
        &["export", "json", "--reveal", "-o", "records"],
        &["export", "csv", "--reveal", "-o", "records.csv"],
        &["export", "dotenv", selector, "--reveal", "-o", ".env.out"],
        &["key", "new-file", "key"],
        &[
            "key",
            "add",
            "--new-password-file",
            "new",
            "--kdf-memory",
            "8",
        ],
        &["compact"],
    ] {
        loose(command);
    }
    home.edit(&home.toot(), "UJTF", "NEWF");
    loose(&["restore", selector, "--to", "toot", "--yes"]);
    let mut files = 0;
    for (path, (mode, _)) in home.everything() {
        if given.contains_key(&path) {
            continue;
        }
        let expected = if path.is_dir() { 0o700 } else { 0o600 };
        files += usize::from(path.is_file());
        assert_eq!(mode, expected, "{} {mode:o}", path.display());
    }
    // Two vaults, what compact kept, state, three exports, the key, toot's former file.
    assert_eq!(files, 9);
    let mode = fs::metadata(home.toot()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn nothing_temporary_stays_behind() {
    let home = two_tokens();
    home.write("bad", "{");
    let earlier = "ada@mastodon.example/toot~1";
    // Each with what it is there for.
    for (command, makes) in [
        (&["backup"][..], &[][..]),
        (&["backup", "--password-file", "bad"], &[]),
        (&["import", "toot", "bad"], &[]),
        (&["export", "json", "nobody@nowhere.test", "-o", "out"], &[]),
        (&["export", "json", "-o", "out"], &["out"]),
        (&["export", "json", "-o", "out"], &[]),
        (&["init", "--vault", "bad"], &[]),
        (
            &[
                "init",
                "--vault",
                "v",
                "--kdf-memory",
                "8",
                "--kdf-iterations",
                "1",
            ],
            &["v"],
        ),
        (&["restore", earlier, "--to", "toot", "--dry-run"], &[]),
        (
            &["restore", earlier, "--to", "toot", "--path", "bad", "--yes"],
            &[],
        ),
        (&["key", "new-file", "bad"], &[]),
        (&["compact"], &[".local/share/tuskvault/vault.tusk.prev"]),
        (&["compact"], &[]),
        (&["compact", "--no-prev"], &[]),
        (&["check"], &[]),
        (&["list"], &[]),
    ] {
        let before = home.everything();
        home.run(command);
        let made = new_paths(&before, &home);
        let expected: Vec<_> = makes.iter().map(|name| home.file(name)).collect();
        assert_eq!(made, expected, "{command:?}");
    }
    let before = home.everything();
    home.run(&["restore", earlier, "--to", "toot", "--yes"])
        .ok();
    let made = new_paths(&before, &home);
    assert_eq!(made.len(), 1, "the former file: {made:?}");
    assert!(made[0].starts_with(home.file(".config/toot")));
}

#[test]
fn the_passphrase_variable_reaches_no_other_program() {
    let home = Home::backed_up();
    let mut command = home.command(&["list", "--password-command", "printenv TUSKVAULT_PASSWORD"]);
    command.env("TUSKVAULT_PASSWORD", PASSPHRASE);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(2), "there was nothing to print");
    let mut command = home.command(&["list"]);
    command
        .env_remove("TUSKVAULT_PASSWORD_FILE")
        .env("TUSKVAULT_PASSWORD", PASSPHRASE);
    assert!(command.output().unwrap().status.success());
}

#[cfg(target_os = "linux")]
#[test]
fn no_other_process_of_the_user_looks_inside() {
    let program = Program::new();
    // It waits for the passphrase on its way to a new vault.
    let mut command = Command::new(program.path());
    command
        .args(["init", "--vault", "/nonexistent/v", "--kdf-memory", "8"])
        .args(["--password-command", "echo ready >&2; cat"])
        .env("TUSKVAULT_PASSWORD", PASSPHRASE)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    unprivileged(&mut command);
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap() == "ready"));
    let proc = format!("/proc/{}", child.id());
    let mut look = Command::new("cat");
    look.arg(format!("{proc}/environ"));
    unprivileged(&mut look);
    let looked = look.output().unwrap();
    assert!(!looked.status.success(), "its environment can be read");
    assert!(looked.stdout.is_empty());
    let limits = fs::read_to_string(format!("{proc}/limits")).unwrap();
    let core = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"));
    let words: Vec<&str> = core.unwrap().split_whitespace().collect();
    assert_eq!(words[4..6], ["0", "0"], "{core:?}");
    drop(child.stdin.take());
    child.wait().unwrap();
}

/// A home whose vault has two tokens of one account; the newer one stands in toot's file.
fn two_tokens() -> Home {
    let home = Home::backed_up();
    home.write("new", "another passphrase of ours");
    home.edit(&home.toot(), SECRETS[0], SECRETS[1]);
    home.run(&["backup"]).ok();
    home
}

fn new_paths(before: &Contents, home: &Home) -> Vec<std::path::PathBuf> {
    let after = home.everything().into_keys();
    after.filter(|path| !before.contains_key(path)).collect()
}

fn holds(bytes: &[u8], word: &str) -> bool {
    bytes
        .windows(word.len())
        .any(|window| window == word.as_bytes())
}

/// Tokens and client secrets of toot's sample, a token that takes the first one's place, passphrases.
const SECRETS: [&str; 10] = [
    "UJTFvdToYI8_-YG8jwL3AklYSeF3ucpc9nbffBBEl9U",
    "q3SWpZ0mYx5vTg7LrKc1hNdEeRtUi8oPaJbVfXzM2wA",
    "y7bAZC8ZHqZ5_uIZVWExuca4IeleaQn7aEZnLfITWt0",
    "BLfjwJAbIKFlCJ8XDyEifBCiwTYIWQPDasGzl7XqSpc",
    "bLmUYNytthbMEQoxF1MjEjq100_7MJGo1jtQBFFgPi8",
    "N88p997OY3ln9BgHkXdSXY3aKG7QiCW5VSc_iUiSkdQ",
    "MHfCpw4JpU1Gbj2jzFdJMLqt1q7L_7Ooz6iIfLuGmMc",
    "wGT8PNpALdiUbGzUSuwrPaB_LaG4fQcAtQlTSSbvAGM",
    PASSPHRASE,
    "another passphrase of ours",
];
