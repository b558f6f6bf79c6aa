//! A throw-away home folder with sample client files, and the program run in it.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

/// Tokens of toot's sample configuration, and one that it does not have.
pub(crate) const ADA: &str = "UJTFvdToYI8_-YG8jwL3AklYSeF3ucpc9nbffBBEl9U";
pub(crate) const CHIYO: &str = "bLmUYNytthbMEQoxF1MjEjq100_7MJGo1jtQBFFgPi8";
pub(crate) const NEW: &str = "q3SWpZ0mYx5vTg7LrKc1hNdEeRtUi8oPaJbVfXzM2wA";

/// The passphrase of every vault here.
pub(crate) const PASSPHRASE: &str = "correct horse battery staple";

/// Mode and bytes by path.
pub(crate) type Contents = BTreeMap<PathBuf, (u32, Vec<u8>)>;

/// A home folder. Gone when dropped.
pub(crate) struct Home {
    folder: TempDir,
}

impl Home {
    /// An empty home with a password file.
    pub(crate) fn new() -> Self {
        // Thousands of syncs, none of which is what is tested here, cost nothing in memory.
        let memory = Path::new("/dev/shm");
        let place = if memory.is_dir() {
            memory.to_owned()
        } else {
            std::env::temp_dir()
        };
        let folder = tempfile::Builder::new().prefix("home-").tempdir_in(place);
        let folder = folder.unwrap();
        let home = Self { folder };
        home.write("passphrase", PASSPHRASE);
        home
    }

    /// A home with toot's sample configuration (four accounts of three instances) and a vault with a cheap key
    /// derivation.
    pub(crate) fn with_vault() -> Self {
        let home = Self::new();
        home.add_toot();
        home.run(&INIT).ok();
        home
    }

    /// The same after a first backup.
    pub(crate) fn backed_up() -> Self {
        let home = Self::with_vault();
        home.run(&["backup"]).ok();
        home
    }

    pub(crate) fn add_toot(&self) {
        self.copy("toot/config.json", ".config/toot/config.json");
    }

    /// A home whose vault learnt two backups of toot from another one: of 2026-03-01 and, with a new token of chiyo, of
    /// 2026-03-03, each at noon UTC.
    pub(crate) fn with_past() -> Self {
        Self::with_past_at(["2026-03-01T12:00:00Z", "2026-03-03T12:00:00Z"])
    }

    /// The same with the times of the two runs.
    pub(crate) fn with_past_at(times: [&str; 2]) -> Self {
        let there = Self::backed_up();
        there.back_up_new_token();
        let history = there
            .run(&["export", "json", "--reveal", "--history"])
            .ok()
            .out;
        let mut dated = String::new();
        for line in history.lines() {
            let mut object: Value = serde_json::from_str(line).unwrap();
            if let Some(run) = object["run"].as_u64() {
                let time = times[usize::try_from(run - 1).unwrap()];
                object["effective_at"] = time.into();
                object["recorded_at"] = time.into();
            }
            dated.extend([object.to_string(), "\n".to_owned()]);
        }
        let here = Self::with_vault();
        here.run_with_input(&["import", "json", "-"], dated.as_bytes())
            .ok();
        here
    }

    /// Writes the configuration of a bot, with a token that is nowhere else, and imports it.
    pub(crate) fn import_bot(&self) -> PathBuf {
        let config =
            r#"{"instance": "social.example", "access_token": "p5Wq0mZx3vTg7LrKc1hNdEeRtUi8oPaJ"}"#;
        let path = self.write("bot/config.json", config);
        self.run(&["import", "auto", "bot/config.json"]).ok();
        path
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    pub(crate) fn toot(&self) -> PathBuf {
        self.file(".config/toot/config.json")
    }

    pub(crate) fn vault(&self) -> PathBuf {
        self.file(".local/share/tuskvault/vault.tusk")
    }

    /// Everything in it but what the machine remembers of vaults.
    pub(crate) fn contents(&self) -> Contents {
        let mut all = self.everything();
        all.retain(|path, _| !path.starts_with(self.file(".local/state")));
        all
    }

    /// Mode and bytes of every file, mode of every folder.
    pub(crate) fn everything(&self) -> Contents {
        let mut all = BTreeMap::new();
        let mut folders = vec![self.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let metadata = fs::symlink_metadata(&path).unwrap();
                let mode = metadata.permissions().mode() & 0o777;
                let bytes = if metadata.is_file() {
                    fs::read(&path).unwrap()
                } else {
                    Vec::new()
                };
                if metadata.is_dir() {
                    folders.push(path.clone());
                }
                all.insert(path, (mode, bytes));
            }
        }
        all
    }

    /// Runs it, and fails when any file has changed, come or gone.
    #[track_caller]
    pub(crate) fn run_changing_nothing(&self, arguments: &[&str]) -> Ran {
        let before = self.contents();
        let ran = self.run(arguments);
        assert!(self.contents() == before, "tuskvault {arguments:?}");
        ran
    }

    /// Runs it, and fails when anything has changed but the blocks of the vault, which redb writes to whenever it is
    /// opened for writing: what the vault holds, its audit log included, and what opens it must be the same.
    #[track_caller]
    pub(crate) fn run_recording_nothing(&self, arguments: &[&str], opened_by: &str) -> Ran {
        let look = || {
            let mut contents = self.contents();
            contents.remove(&self.vault()).unwrap();
            let check = self.run(&["check", "--json", "--password-file", opened_by]);
            let slots = self.run(&["key", "list", "--json"]);
            (contents, check.ok().out, slots.ok().out)
        };
        let before = look();
        let ran = self.run(arguments);
        assert!(look() == before, "tuskvault {arguments:?}");
        ran
    }

    /// Writes a file of mode 0600.
    pub(crate) fn write(&self, name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.file(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, contents).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    /// Copies a sample of `tests/data`.
    pub(crate) fn copy(&self, sample: &str, name: &str) -> PathBuf {
        self.write(
            name,
            fs::read(Path::new("tests/data").join(sample)).unwrap(),
        )
    }

    /// Replaces text in a file.
    pub(crate) fn edit(&self, path: &Path, from: &str, to: &str) {
        let text = fs::read_to_string(path).unwrap();
        assert!(text.contains(from), "{from:?} is in {}", path.display());
        fs::write(path, text.replace(from, to)).unwrap();
    }

    /// Backs up a new token of toot's chiyo.
    pub(crate) fn back_up_new_token(&self) {
        self.edit(&self.toot(), CHIYO, NEW);
        self.run(&["backup"]).ok();
    }

    /// How many entries the vault's audit log has.
    pub(crate) fn audit_entries(&self) -> u64 {
        self.json(&["check"])[0]["audit_entries"].as_u64().unwrap()
    }

    /// The names of the files in a folder of this home, sorted.
    pub(crate) fn files_in(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.file(folder)).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// The program with these arguments, in this home, with nothing of the outer environment.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tuskvault"));
        command
            .args(arguments)
            .current_dir(self.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.path())
            .env("USER", "tester")
            .env("TZ", "UTC")
            .env("TMPDIR", self.path())
            .env("TUSKVAULT_PASSWORD_FILE", self.file("passphrase"))
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of(arguments, self.command(arguments).output().unwrap())
    }

    /// Runs it with text on standard input.
    pub(crate) fn run_with_input(&self, arguments: &[&str], input: &[u8]) -> Ran {
        use std::io::Write;
        let mut command = self.command(arguments);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // It may end before it has read everything.
        drop(child.stdin.take().unwrap().write_all(input));
        Ran::of(arguments, child.wait_with_output().unwrap())
    }

    /// The objects that a command prints with `--json`.
    pub(crate) fn json(&self, arguments: &[&str]) -> Vec<Value> {
        let mut all = arguments.to_vec();
        all.push("--json");
        self.run(&all).ok().objects()
    }
}

/// A copy of the program that every user may run, wherever the build has put it.
pub(crate) struct Program {
    folder: TempDir,
}

impl Program {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let program = Self { folder };
        // By a process of its own: a file that this one has open for writing can't be run, and a test beside this one
        // may start a process that inherits it.
        let mut copy = Command::new("cp");
        copy.arg(env!("CARGO_BIN_EXE_tuskvault"))
            .arg(program.path());
        assert!(copy.status().unwrap().success());
        program
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("tuskvault")
    }
}

/// Somebody who may not do everything, unlike root.
pub(crate) const NOBODY: u32 = 65_534;

/// Runs the command as somebody who is not root.
pub(crate) fn unprivileged(command: &mut Command) {
    if rustix::process::geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
}

/// The permissions of a file.
pub(crate) fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// The texts under a key of each object.
pub(crate) fn texts<'v>(objects: &'v [Value], key: &str) -> Vec<&'v str> {
    let texts = objects.iter();
    texts
        .map(|object| object[key].as_str().unwrap_or("null"))
        .collect()
}

/// What a run of the program came to.
pub(crate) struct Ran {
    arguments: String,
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    pub(crate) fn of(arguments: &[&str], output: Output) -> Self {
        Self {
            arguments: arguments.join(" "),
            code: output.status.code().expect("it was not killed"),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        self.exits(0)
    }

    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        let Self {
            arguments,
            code: found,
            out,
            err,
        } = &self;
        assert_eq!(
            *found, code,
            "tuskvault {arguments}\n--- stdout\n{out}\n--- stderr\n{err}"
        );
        self
    }

    /// Fails unless standard error holds the text.
    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Self {
        let Self { arguments, err, .. } = &self;
        assert!(
            err.contains(text),
            "tuskvault {arguments}: {text:?} is not in\n{err}"
        );
        self
    }

    /// Fails unless standard output holds the text.
    #[track_caller]
    pub(crate) fn prints(self, text: &str) -> Self {
        let Self { arguments, out, .. } = &self;
        assert!(
            out.contains(text),
            "tuskvault {arguments}: {text:?} is not in\n{out}"
        );
        self
    }

    /// Fails when standard output or standard error holds the text.
    #[track_caller]
    pub(crate) fn keeps_to_itself(self, text: &str) -> Self {
        let Self {
            arguments,
            out,
            err,
            ..
        } = &self;
        assert!(
            !out.contains(text) && !err.contains(text),
            "tuskvault {arguments}: {text:?} is in\n{out}\n{err}"
        );
        self
    }

    /// The one object that standard error holds after a failure with `--json`.
    #[track_caller]
    pub(crate) fn error(&self) -> Value {
        let lines: Vec<&str> = self.err.lines().collect();
        let [line] = lines.as_slice() else {
            panic!("tuskvault {}: not one line: {}", self.arguments, self.err);
        };
        serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"))
    }

    /// Standard output as JSON Lines.
    pub(crate) fn objects(&self) -> Vec<Value> {
        let lines = self.out.lines();
        lines
            .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}")))
            .collect()
    }
}

/// A key derivation that takes no time.
pub(crate) const CHEAP: [&str; 6] = [
    "--kdf-memory",
    "8",
    "--kdf-iterations",
    "1",
    "--kdf-parallelism",
    "1",
];

/// A vault that opens at once.
pub(crate) const INIT: [&str; 7] = [
    "init", CHEAP[0], CHEAP[1], CHEAP[2], CHEAP[3], CHEAP[4], CHEAP[5],
];

/// A token that is in no sample.
pub(crate) const NEW_TOKEN: &str = "q3SWpZ0mYx5vTg7LrKc1hNdEeRtUi8oPaJbVfXzM2wA";
