//! A person at a terminal: what is asked, what is not echoed, and that `n` is no.

use std::{fs, process::Command};

use rexpect::{
    process::WaitStatus,
    session::{PtySession, spawn_command},
};

use crate::home::{Home, INIT, PASSPHRASE};

#[test]
fn init_asks_twice() {
    let home = Home::new();
    let mut terminal = Terminal::new(&home, &INIT);
    terminal.asked("New passphrase for the vault: ", "open sesame");
    terminal.asked("The same again: ", "open sesame");
    let said = terminal.ends(0);
    assert!(said.contains("created "), "{said}");
    let mut terminal = Terminal::new(&home, &["list"]);
    terminal.asked("Passphrase for ", "open sesame");
    terminal.ends(0);
}

#[test]
fn init_refuses_passphrases_that_differ_and_empty_ones() {
    let home = Home::new();
    let before = home.everything();
    let mut terminal = Terminal::new(&home, &INIT);
    terminal.asked("New passphrase for the vault: ", "one thing");
    terminal.asked("The same again: ", "another thing");
    let said = terminal.ends(2);
    assert!(said.contains("the two passphrases differ"), "{said}");
    let mut terminal = Terminal::new(&home, &INIT);
    terminal.asked("New passphrase for the vault: ", "");
    let said = terminal.ends(2);
    assert!(
        said.contains("an empty passphrase protects nothing"),
        "{said}"
    );
    assert!(before == home.everything());
}

#[test]
fn the_passphrase_is_asked_for_and_a_wrong_one_is_exit_3() {
    let home = Home::backed_up();
    let before = home.contents();
    let mut terminal = Terminal::new(&home, &["list"]);
    terminal.asked(
        "Passphrase for ~/.local/share/tuskvault/vault.tusk: ",
        PASSPHRASE,
    );
    let said = terminal.ends(0);
    assert!(said.contains("ada@mastodon.example"), "{said}");
    let mut terminal = Terminal::new(&home, &["list"]);
    terminal.asked("Passphrase for ", "not it");
    let said = terminal.ends(3);
    assert!(said.contains("wrong passphrase for ~/.local"), "{said}");
    assert!(before == home.contents());
}

#[test]
fn nothing_is_asked_about_a_file_that_is_no_vault() {
    let home = Home::new();
    let vault = home.write("text", "hello");
    let said = Terminal::new(&home, &["list", "--vault", "text"]).ends(4);
    assert!(!said.contains("Passphrase"), "{said}");
    let said = Terminal::new(&home, &["list", "--vault", "nowhere"]).ends(1);
    assert!(!said.contains("Passphrase"), "{said}");
    let said = Terminal::new(&home, &["init", "--vault", "text"]).ends(1);
    assert!(!said.contains("passphrase for"), "{said}");
    assert_eq!(fs::read(vault).unwrap(), b"hello");
}

#[test]
fn a_restore_asks_and_n_changes_nothing() {
    let home = Home::backed_up();
    home.edit(&home.toot(), "UJTF", "NEWF");
    let restore = ["restore", "ada@mastodon.example/toot", "--to", "toot"];
    for answer in ["n", "", "maybe"] {
        let before = fs::read(home.toot()).unwrap();
        let mut terminal = Terminal::new(&home, &restore);
        terminal.asked("Passphrase for ", PASSPHRASE);
        let plan = terminal.asked("? [y/N] ", answer);
        assert!(plan.contains("replace tk_"), "{plan}");
        assert!(
            plan.contains("Write this into toot ~/.config/toot/config.json"),
            "{plan}"
        );
        let said = terminal.ends(1);
        assert!(said.contains("nothing was changed"), "{said}");
        assert_eq!(fs::read(home.toot()).unwrap(), before);
        assert_eq!(fs::read_dir(home.file(".config/toot")).unwrap().count(), 1);
    }
    let mut terminal = Terminal::new(&home, &restore);
    terminal.asked("Passphrase for ", PASSPHRASE);
    terminal.asked("? [y/N] ", "y");
    terminal.ends(0);
    assert!(fs::read_to_string(home.toot()).unwrap().contains("UJTF"));
}

#[test]
fn the_first_backup_asks_whether_to_make_a_vault() {
    let home = Home::new();
    home.add_toot();
    let before = home.everything();
    let mut terminal = Terminal::new(&home, &["backup"]);
    terminal.asked(
        "There is no vault at ~/.local/share/tuskvault/vault.tusk yet. Create it? [y/N] ",
        "n",
    );
    terminal.ends(1);
    assert!(before == home.everything());
    let mut terminal = Terminal::new(&home, &["backup"]);
    terminal.asked("Create it? [y/N] ", "y");
    terminal.asked("New passphrase for the vault: ", PASSPHRASE);
    terminal.asked("The same again: ", PASSPHRASE);
    let said = terminal.ends(0);
    assert!(said.contains("4 tokens (4 new)"), "{said}");
    assert_eq!(home.json(&["list"]).len(), 4);
}

#[test]
fn what_comes_through_a_pipe_does_not_keep_a_person_from_being_asked() {
    let home = Home::with_vault();
    home.write(
        "records",
        r#"{"instance":"m.example","access_token":"token-1"}"#,
    );
    let command = shell(&home, "cat records | \"$0\" import json -", &[]);
    let mut terminal = Terminal::spawn(command);
    terminal.asked("Passphrase for ", PASSPHRASE);
    terminal.ends(0);
    assert_eq!(home.json(&["list"]).len(), 1);
}

#[test]
fn a_new_key_is_asked_for_twice_too() {
    let home = Home::with_vault();
    let change = [
        "key",
        "change",
        "--kdf-memory",
        "8",
        "--kdf-iterations",
        "1",
    ];
    let mut terminal = Terminal::new(&home, &change);
    terminal.asked("Passphrase for ", PASSPHRASE);
    terminal.asked("New passphrase for the key slot: ", "a new one");
    terminal.asked("The same again: ", "a new one");
    terminal.ends(0);
    home.run(&["list"]).exits(3);
    home.write("passphrase", "a new one");
    home.run(&["list"]).ok();
}

/// The program on a terminal of its own, with no way to a passphrase but asking.
struct Terminal {
    session: PtySession,
    said: String,
    typed: Vec<String>,
}

impl Terminal {
    fn new(home: &Home, arguments: &[&str]) -> Self {
        Self::spawn(shell(home, "exec \"$0\" \"$@\"", arguments))
    }

    fn spawn(command: Command) -> Self {
        let session = spawn_command(command, Some(20_000)).unwrap();
        Self {
            session,
            said: String::new(),
            typed: Vec::new(),
        }
    }

    /// Waits for a question and answers it; answers with what was said before it.
    #[track_caller]
    fn asked(&mut self, question: &str, answer: &str) -> String {
        let mut before = self.session.exp_string(question).unwrap();
        self.session.send_line(answer).unwrap();
        self.said.push_str(&before);
        before.push_str(question);
        if !question.contains("[y/N]") {
            self.typed.push(answer.to_owned());
        }
        before
    }

    /// Waits for its end; answers with everything it said.
    #[track_caller]
    fn ends(mut self, code: i32) -> String {
        self.said += &self.session.exp_eof().unwrap();
        let status = self.session.process().wait().unwrap();
        assert!(
            matches!(status, WaitStatus::Exited(_, found) if found == code),
            "{status:?}, not {code}: {}",
            self.said
        );
        for typed in self.typed.iter().filter(|typed| !typed.is_empty()) {
            assert!(
                !self.said.contains(typed),
                "{typed:?} is echoed: {}",
                self.said
            );
        }
        self.said
    }
}

/// A shell on a terminal that echoes, as terminals do.
fn shell(home: &Home, script: &str, arguments: &[&str]) -> Command {
    let template = home.command(arguments);
    let mut command = Command::new("sh");
    command
        .args(["-c", &format!("stty echo; {script}")])
        .arg(template.get_program())
        .args(arguments)
        .current_dir(home.path())
        .env_clear()
        .envs(
            template
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        )
        .env_remove("TUSKVAULT_PASSWORD_FILE");
    command
}
