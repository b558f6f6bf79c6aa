//! What writes a vault anew (merge, forget, rekey) and is stopped on the way: by a kill at any moment, or by a disk that
//! is full. The vault is then as before, or as it should become.

use std::{
    fmt::Write as _,
    fs,
    process::{Command, Stdio},
    time::Instant,
};

use crate::home::{CHEAP, Home, INIT, Ran};

const TOKENS: usize = 2_000;

/// A vault with tokens from this number on, and another one that lies beside it.
fn home() -> Home {
    let home = vault(0);
    let other = vault(TOKENS / 2);
    fs::copy(other.vault(), home.file("other.tusk")).unwrap();
    home
}

fn vault(from: usize) -> Home {
    let home = Home::new();
    home.run(&INIT).ok();
    let mut records = String::new();
    for n in from..from + TOKENS {
        let record =
            format!(r#"{{"instance":"m.example","user":"u{n}","access_token":"token-{n}"}}"#);
        writeln!(records, "{record}").unwrap();
    }
    home.write("records", records);
    home.run(&["import", "json", "records"]).ok();
    home
}

const REKEY: [&str; 9] = [
    "rekey",
    "--new-password-file",
    "passphrase",
    CHEAP[0],
    CHEAP[1],
    CHEAP[2],
    CHEAP[3],
    CHEAP[4],
    CHEAP[5],
];

/// Each command, and how many tokens there are once it is done.
const COMMANDS: [(&[&str], usize); 3] = [
    (&["merge", "other.tusk"], TOKENS * 3 / 2),
    (
        &["forget", "u*0@m.example", "--yes", "--keep-prev"],
        TOKENS * 9 / 10,
    ),
    (&REKEY, TOKENS),
];

/// How many tokens the vault holds; it is well.
fn count(home: &Home) -> usize {
    home.run(&["check"]).ok();
    home.json(&["list", "--all"]).len()
}

#[test]
fn a_rewrite_that_is_killed_leaves_the_old_vault_or_the_new_one() {
    for (command, after) in COMMANDS {
        let home = home();
        let before = fs::read(home.vault()).unwrap();
        let begun = Instant::now();
        home.run(command).ok();
        let whole = begun.elapsed();
        assert_eq!(count(&home), after, "{command:?}");
        let previous = home.file(".local/share/tuskvault/vault.tusk.prev");
        fs::remove_file(&previous).unwrap();
        let mut killed = 0;
        for round in 0..ROUNDS {
            fs::write(home.vault(), &before).unwrap();
            let mut child = home.command(command);
            let mut child = child
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            std::thread::sleep(whole * round / ROUNDS);
            child.kill().unwrap();
            child.wait().unwrap();
            // The former file gets this name when the new one takes its place, and not before.
            let was_on_the_way = fs::remove_file(&previous).is_err();
            killed += u32::from(was_on_the_way);
            let found = count(&home);
            assert!(
                found == TOKENS || found == after && !was_on_the_way,
                "{command:?} {round}: {found}"
            );
        }
        assert!(killed > 0, "{command:?}: none was killed on the way");
        // What was stopped before is no hindrance, and its remains do not pile up.
        fs::write(home.vault(), &before).unwrap();
        home.run(command).ok();
        assert_eq!(count(&home), after, "{command:?}");
        let left = home.files_in(".local/share/tuskvault");
        assert!(left.len() <= 2, "{command:?}: {left:?}");
    }
}

#[test]
fn a_rewrite_on_a_full_disk_changes_nothing() {
    for (command, _) in COMMANDS {
        let home = home();
        let before = fs::read(home.vault()).unwrap();
        // Files can't grow beyond a third of the vault: what comes of a full disk, without one.
        let blocks = before.len() / 3 / 512;
        let typed = home.command(command);
        let mut limited = Command::new("sh");
        limited
            .arg("-c")
            .arg(format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$@\""))
            .arg("sh")
            .arg(typed.get_program())
            .args(typed.get_args())
            .current_dir(home.path())
            .stdin(Stdio::null())
            .env_clear()
            .envs(
                typed
                    .get_envs()
                    .filter_map(|(name, value)| Some((name, value?))),
            );
        let ran = Ran::of(command, limited.output().unwrap());
        ran.exits(1);
        assert_eq!(count(&home), TOKENS, "{command:?}");
        let left = home.files_in(".local/share/tuskvault");
        assert_eq!(left, ["vault.tusk"], "{command:?}");
    }
}

/// Kills at so many moments.
const ROUNDS: u32 = 12;
