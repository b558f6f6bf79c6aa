//! What can be typed.

mod asking;
mod whole;

use std::path::{Path, PathBuf};

use clap::{
    ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum,
    parser::ValueSource,
};
use tuskvault::{
    connectors,
    model::{Domain, Selector},
};

pub(crate) use asking::{Asking, Verify};
pub(crate) use whole::{Compact, Forget, Kdf, Key, KeyCommand, Merge, NewKey, Rekey};

/// Back up the OAuth tokens of Mastodon apps in a password-protected vault, with history.
#[derive(Parser)]
#[command(
    name = "tuskvault",
    version,
    max_term_width = 100,
    subcommand_required = true
)]
#[command(
    after_help = "Try `tuskvault demo`: a guided tour on a throw-away vault.\n\
WHEN: RFC 3339, 2026-03-01, \"2026-03-01 14:00\", yesterday, \"3 days ago\", 3d, run:17. Times without\n\
a zone are local. A day means its end, an hour that comes twice the second one; with `--since`\n\
the day's start and the first one. A time that clocks skip is moved past the gap (before it).\n\
Exit codes: 0 done, 1 failed, 2 usage or no password, 3 wrong password or key,\n\
4 vault damaged or of a later version, 5 nothing matches, 6 ambiguous, 7 vault in use,\n\
8 source or target can't be read or written, 9 done in part."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options of every command.
#[derive(Args, Clone)]
#[command(next_help_heading = "Global options")]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command line"
)]
pub(crate) struct Global {
    /// The vault file [default: vault.tusk in the data folder of this system]
    #[arg(
        long,
        global = true,
        env = "TUSKVAULT_VAULT",
        hide_env_values = true,
        value_name = "PATH"
    )]
    pub(crate) vault: Option<PathBuf>,
    /// File whose first line is the passphrase; `-` reads standard input
    #[arg(
        long,
        global = true,
        env = "TUSKVAULT_PASSWORD_FILE",
        hide_env_values = true,
        value_name = "PATH"
    )]
    pub(crate) password_file: Option<PathBuf>,
    /// Command whose first line of output is the passphrase, run through the shell
    #[arg(
        long,
        global = true,
        env = "TUSKVAULT_PASSWORD_COMMAND",
        hide_env_values = true,
        value_name = "CMD"
    )]
    pub(crate) password_command: Option<String>,
    /// Key file, alone or with a passphrase
    #[arg(
        long,
        global = true,
        env = "TUSKVAULT_KEY_FILE",
        hide_env_values = true,
        value_name = "PATH"
    )]
    pub(crate) key_file: Option<PathBuf>,
    /// Print JSON Lines: one object per line, nothing else
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// How long to wait for another process that has the vault
    #[arg(long, global = true, value_name = "SECONDS", default_value_t = 10)]
    pub(crate) lock_timeout: u64,
    /// Answer every question with yes
    #[arg(short, long, global = true)]
    pub(crate) yes: bool,
    /// Say what would be done, and do nothing
    #[arg(long, global = true)]
    pub(crate) dry_run: bool,
    /// Say nothing but errors and what was asked for
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// Say more
    #[arg(short, long, global = true)]
    pub(crate) verbose: bool,
    /// When to use colours
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: Color,
    /// Show no progress
    #[arg(long, global = true)]
    pub(crate) no_progress: bool,
    /// Ask no instance anything, whatever else is said
    #[arg(
        long,
        global = true,
        env = "TUSKVAULT_OFFLINE",
        hide_env_values = true,
        value_parser = clap::builder::FalseyValueParser::new()
    )]
    pub(crate) offline: bool,
    /// Acknowledge once that the vault is older than what this machine has seen
    #[arg(long, global = true)]
    pub(crate) accept_older: bool,
}

#[derive(Clone, Copy, ValueEnum, PartialEq, Eq)]
pub(crate) enum Color {
    Auto,
    Always,
    Never,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    Init(Init),
    Discover(Discover),
    Backup(Backup),
    Import(Import),
    Restore(Restore),
    Export(Export),
    List(List),
    Show(Show),
    History(History),
    Log(Log),
    Diff(Diff),
    Audit(Audit),
    Verify(Verify),
    /// Say, without a password, when each source was last backed up and what is overdue
    #[command(
        after_help = "Examples:\n  tuskvault status\n  tuskvault status --json   # exit code 9 when something is overdue or suspicious"
    )]
    Status,
    /// Read and authenticate everything in the vault
    #[command(after_help = "Example:\n  tuskvault check   # exit code 4 when something is wrong")]
    Check,
    Key(Key),
    Rekey(Rekey),
    Compact(Compact),
    Merge(Merge),
    Forget(Forget),
    /// Take a guided tour on a throw-away vault with sample client files
    #[command(after_help = "Example:\n  tuskvault demo   # needs nothing, leaves nothing behind")]
    Demo,
    Completions(Completions),
    Man(Man),
}

/// Create a vault
#[derive(Args)]
#[command(
    after_help = "Examples:\n  tuskvault init\n  tuskvault init --key-file ~/stick/vault.key   # passphrase and key file; makes the file if it is missing\n  tuskvault init --key-file ~/stick/vault.key --no-passphrase"
)]
pub(crate) struct Init {
    #[command(flatten)]
    pub(crate) kdf: Kdf,
    /// Let the key file alone open the vault
    #[arg(long, requires = "key_file")]
    pub(crate) no_passphrase: bool,
}

/// Find the client apps on this machine; needs no vault, shows no secret
#[derive(Args)]
#[command(
    after_help = "Examples:\n  tuskvault discover\n  tuskvault discover --root /mnt/old-laptop\n  \
                  tuskvault discover --root phone-backup/apps"
)]
pub(crate) struct Discover {
    /// Look inside this folder: a home folder, a mounted disk, a copy of an Android app's data, an unpacked `adb backup`
    #[arg(long, value_name = "DIR")]
    pub(crate) root: Option<PathBuf>,
}

/// Import from every client app on this machine, one run per source
#[derive(Args)]
#[command(
    after_help = "Examples:\n  tuskvault backup\n  tuskvault backup toot --note \"before the upgrade\"\n  tuskvault backup postgres --env-file /home/mastodon/live/.env.production"
)]
pub(crate) struct Backup {
    /// Only these connectors
    #[arg(value_name = "CONNECTOR")]
    pub(crate) connectors: Vec<String>,
    /// What `discover --root` finds in this folder, instead of what is on this machine
    #[arg(long, value_name = "DIR", conflicts_with_all = ["env_file", "url"])]
    pub(crate) root: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) database: Database,
    #[command(flatten)]
    pub(crate) run: RunOptions,
}

#[derive(Args, Clone)]
pub(crate) struct RunOptions {
    /// A note that is kept with the run
    #[arg(long, value_name = "TEXT")]
    pub(crate) note: Option<String>,
    /// Believe a source that suddenly holds much less than before
    #[arg(long)]
    pub(crate) accept_shrink: bool,
}

/// Import one source
#[derive(Args)]
#[command(
    after_help = "Examples:\n  tuskvault import toot --path ~/old-home/.config/toot\n  tuskvault import auto bot/config.json --instance m.example\n  tuskvault import json records.json\n  tuskvault import toot /mnt/2025/config.json --of ~/.config/toot/config.json   # an old copy\n  tuskvault import postgres --env-file /home/mastodon/live/.env.production\n  tuskvault import postgres --url postgres://backup@localhost/mastodon_production --user alice\n  tuskvault import pgdump mastodon-2025-03-01.sql.gz   # an old dump, at its own time\n  ssh server cat records.json | tuskvault import json -"
)]
pub(crate) struct Import {
    #[arg(help = named("The connector, or `auto` to find out by content", connectors::sources()))]
    pub(crate) connector: String,
    /// A file or folder; `-` reads standard input, where the connector can (json, dotenv, generic, pgdump, tuba)
    #[arg(value_name = "PATH", conflicts_with = "path")]
    pub(crate) place: Option<PathBuf>,
    /// A file or folder
    #[arg(long, value_name = "PATH")]
    pub(crate) path: Option<PathBuf>,
    /// The instance, where the file doesn't say
    #[arg(long, value_name = "DOMAIN")]
    pub(crate) instance: Option<String>,
    /// The user, where the file doesn't say; of a database, the one user whose tokens are read
    #[arg(long, value_name = "NAME")]
    pub(crate) user: Option<String>,
    #[command(flatten)]
    pub(crate) database: Database,
    /// Read the whole database, not only what was written since the last run
    #[arg(long)]
    pub(crate) full: bool,
    #[command(flatten)]
    pub(crate) dated: Dated,
    #[command(flatten)]
    pub(crate) run: RunOptions,
}

/// What an old copy is of, and from when.
#[derive(Args)]
pub(crate) struct Dated {
    /// When it was as it is in the file: a date as `--as-of` takes it, or `mtime`, when the file was last changed
    #[arg(long, value_name = "WHEN")]
    pub(crate) at: Option<String>,
    /// The file is an old copy of this source (its location, as `log` shows it) [default of `--at`: mtime; of a dump,
    /// the time that it tells]
    #[arg(long, value_name = "LOCATION")]
    pub(crate) of: Option<String>,
}

/// Where a Mastodon server's database is.
#[derive(Args, Clone, Default)]
pub(crate) struct Database {
    /// Mastodon's own settings, which say where its database is (postgres)
    #[arg(long, value_name = "PATH", conflicts_with = "url")]
    pub(crate) env_file: Option<PathBuf>,
    /// The database, as postgres://… or as key=value words; without a password (postgres)
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<String>,
}

/// Write records back into a client app, or into the server's database
#[derive(Args)]
#[command(
    after_help = "Examples:\n  tuskvault restore alice@m.example/toot --to toot\n  tuskvault restore alice@m.example/toot~1 --to toot   # the token before the current one\n  tuskvault restore alice@m.example --to dotenv --path bot/.env --as-of 2026-03-01\n  tuskvault restore tk_7f3a2c9d --to toot --dry-run\n  tuskvault restore alice@m.example/toot~1 --to postgres --env-file .env.production\n  tuskvault restore m.example --to postgres --all --as-of yesterday --dry-run\n  tuskvault restore m.example --to postgres --apps   # applications alone"
)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command line"
)]
pub(crate) struct Restore {
    /// [USER@]INSTANCE[/APP] or tk_…, with ~N for the Nth token before
    pub(crate) selector: Selector,
    #[arg(long, value_name = "CONNECTOR", help = named("The connector to write to", connectors::sinks()))]
    pub(crate) to: String,
    /// The file or folder to write to
    #[arg(long, value_name = "PATH")]
    pub(crate) path: Option<PathBuf>,
    /// As it was then
    #[arg(long, value_name = "WHEN")]
    pub(crate) as_of: Option<String>,
    /// Every record that the selector names
    #[arg(long)]
    pub(crate) all: bool,
    /// What to do with tokens that are known to be revoked or expired
    #[arg(long, value_name = "HOW", default_value = "skip")]
    pub(crate) revoked: Dead,
    /// Replace the app (client_id) that the client has for the instance
    #[arg(long)]
    pub(crate) replace_app: bool,
    /// Write although the client is running; it may write its own copy over it
    #[arg(long)]
    pub(crate) while_running: bool,
    /// Ask the instances afterwards whether what was restored works
    #[arg(long)]
    pub(crate) verify: bool,
    #[command(flatten)]
    pub(crate) asking: Asking,
    #[command(flatten)]
    pub(crate) database: Database,
    #[command(flatten)]
    pub(crate) server: RestoreServer,
}

/// A help text that names the connectors.
fn named(what: &str, connectors: impl Iterator<Item = &'static str>) -> String {
    format!("{what}: {}", connectors.collect::<Vec<_>>().join(", "))
}

/// Options of a restore into the server's database.
#[derive(Args)]
#[command(next_help_heading = "Options of `--to postgres`")]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command line"
)]
pub(crate) struct RestoreServer {
    /// The instance that the database is of (LOCAL_DOMAIN), where its settings don't say
    #[arg(long, value_name = "DOMAIN")]
    pub(crate) instance: Option<String>,
    /// Restore records of another instance too
    #[arg(long)]
    pub(crate) other_instance: bool,
    /// Restore applications alone, also those that have no tokens left
    #[arg(long, conflicts_with = "all")]
    pub(crate) apps: bool,
    /// Restore tokens of the web interface too; no page will show them to their users
    #[arg(long)]
    pub(crate) sessions: bool,
    /// Restore tokens although the account is younger: the name may be somebody else's now
    #[arg(long)]
    pub(crate) reused_names: bool,
    /// What to do when one record can't be restored
    #[arg(long, value_name = "HOW", default_value = "skip")]
    pub(crate) on_conflict: OnConflict,
    /// Drop and make anew the indexes of the token table, which must be empty; several times as fast
    #[arg(long, requires = "all")]
    pub(crate) rebuild_indexes: bool,
}

/// What a restore does when one of its records can't be restored.
#[derive(Clone, Copy, ValueEnum, PartialEq, Eq)]
pub(crate) enum OnConflict {
    /// Restore the others
    Skip,
    /// Restore nothing
    Fail,
}

/// What a restore does with tokens that are known not to work any more.
#[derive(Clone, Copy, ValueEnum, PartialEq, Eq)]
pub(crate) enum Dead {
    /// Leave them out
    Skip,
    /// Restore them as they are
    Keep,
    /// Let revoked ones work again (postgres)
    Clear,
}

/// Print records in another format
#[derive(Args)]
#[command(
    after_help = "Examples:\n  tuskvault export json > records.json\n  tuskvault export json --reveal --history -o everything.json\n  tuskvault export dotenv alice@m.example/bot --reveal -o .env\n  tuskvault export rails alice@m.example --reveal"
)]
pub(crate) struct Export {
    /// The format
    pub(crate) format: Format,
    /// [USER@]INSTANCE[/APP] or tk_… [default: everything]
    pub(crate) selector: Option<Selector>,
    /// Write to this new file (mode 0600); - is standard output
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// As it was then
    #[arg(long, value_name = "WHEN")]
    pub(crate) as_of: Option<String>,
    /// Revoked, expired and gone ones too
    #[arg(long)]
    pub(crate) all: bool,
    /// With the secrets
    #[arg(long)]
    pub(crate) reveal: bool,
    /// Every run, so that another vault gets the history too (json)
    #[arg(long, requires = "reveal")]
    pub(crate) history: bool,
}

impl Export {
    /// The file to write; `None` is standard output.
    pub(crate) fn file(&self) -> Option<&Path> {
        self.output
            .as_deref()
            .filter(|path| path.as_os_str() != "-")
    }
}

#[derive(Clone, Copy, ValueEnum, PartialEq, Eq)]
pub(crate) enum Format {
    Json,
    Csv,
    Dotenv,
    Rails,
}

/// List records
#[derive(Args)]
#[command(
    after_help = "Examples:\n  tuskvault list\n  tuskvault list '*@m.example' --all\n  tuskvault list --as-of 'yesterday' --json\n  tuskvault list --verified-before 30d\n  tuskvault list --broken --all"
)]
pub(crate) struct List {
    /// [USER@]INSTANCE[/APP] or tk_…, each part may hold *
    pub(crate) selector: Option<Selector>,
    /// As it was then: 2026-03-01 (its end), "2026-03-01 14:00", yesterday, "3 days ago", 3d, run:17
    #[arg(long, value_name = "WHEN")]
    pub(crate) as_of: Option<String>,
    /// Revoked, expired and gone ones too
    #[arg(long)]
    pub(crate) all: bool,
    /// Only those about which no instance was asked since then, or ever
    #[arg(long, value_name = "WHEN")]
    pub(crate) verified_before: Option<String>,
    /// Only those that did not work when their instance was last asked
    #[arg(long)]
    pub(crate) broken: bool,
}

/// Show one record in full
#[derive(Args)]
#[command(
    after_help = "Examples:\n  tuskvault show alice@m.example/toot\n  tuskvault show alice@m.example/toot~1 --reveal\n  tuskvault show tk_7f3a2c9d --field access_token"
)]
pub(crate) struct Show {
    /// [USER@]INSTANCE[/APP] or tk_…, with ~N for the Nth token before
    pub(crate) selector: Selector,
    /// As it was then
    #[arg(long, value_name = "WHEN")]
    pub(crate) as_of: Option<String>,
    /// With the secrets
    #[arg(long)]
    pub(crate) reveal: bool,
    /// Print one field alone, as --json names it (app.client_id for those of the app); naming a secret one reveals it
    #[arg(long, value_name = "NAME")]
    pub(crate) field: Option<String>,
}

/// Tell every state that a key or token had
#[derive(Args)]
#[command(after_help = "Example:\n  tuskvault history alice@m.example/toot")]
pub(crate) struct History {
    /// [USER@]INSTANCE[/APP] or tk_…
    pub(crate) selector: Selector,
    /// As it was known then
    #[arg(long, value_name = "WHEN")]
    pub(crate) as_of: Option<String>,
}

/// List the runs, or the changes of one run
#[derive(Args)]
#[command(
    after_help = "Examples:\n  tuskvault log\n  tuskvault log --source toot --since 30d\n  tuskvault log 17"
)]
pub(crate) struct Log {
    /// The number of a run
    #[arg(conflicts_with_all = ["source", "since"])]
    pub(crate) run: Option<u64>,
    /// Only runs of sources whose connector or location holds this
    #[arg(long, value_name = "S")]
    pub(crate) source: Option<String>,
    /// Only runs since then: 2026-03-01 (from its start on), "2026-03-01 14:00", "3 days ago", 3d, run:17
    #[arg(long, value_name = "WHEN")]
    pub(crate) since: Option<String>,
}

/// Tell what came, changed and went between two moments
#[derive(Args)]
#[command(after_help = "Examples:\n  tuskvault diff yesterday\n  tuskvault diff run:16 run:17")]
pub(crate) struct Diff {
    /// From when: 2026-03-01 (its end), "2026-03-01 14:00", yesterday, "3 days ago", 3d, run:17
    pub(crate) from: String,
    /// To when [default: now]
    pub(crate) to: Option<String>,
}

/// Tell how well sources and tokens are backed up, and what was done with the vault
#[derive(Args)]
#[command(
    after_help = "Examples:\n  tuskvault audit\n  tuskvault audit m.example --as-of 2026-03-01\n  tuskvault audit --chain   # exit code 4 when the audit log was tampered with\n  tuskvault audit --json"
)]
#[cfg_attr(
    feature = "report",
    command(
        after_help = "Examples:\n  tuskvault audit\n  tuskvault audit m.example --as-of 2026-03-01\n  tuskvault audit --chain   # exit code 4 when the audit log was tampered with\n  tuskvault audit --html audit.html\n  tuskvault audit --json"
    )
)]
pub(crate) struct Audit {
    /// Only these tokens: [USER@]INSTANCE[/APP] or tk_…, each part may hold * [default: all]
    pub(crate) selector: Option<Selector>,
    /// As it was then: tokens as they were, runs and events that the vault knew
    #[arg(long, value_name = "WHEN")]
    pub(crate) as_of: Option<String>,
    /// Verify that every entry of the audit log follows the one before
    #[arg(long)]
    pub(crate) chain: bool,
    /// Write it as a page of HTML that needs nothing else, with a timeline; always with the verdict on the audit log
    #[cfg(feature = "report")]
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
}

/// Print a completion script for a shell
#[derive(Args)]
#[command(
    after_help = "Example:\n  tuskvault completions bash > ~/.local/share/bash-completion/completions/tuskvault"
)]
pub(crate) struct Completions {
    /// The shell
    pub(crate) shell: clap_complete::Shell,
}

/// Print the manual page of the program, or of one command
#[derive(Args)]
#[command(
    after_help = "Examples:\n  tuskvault man > tuskvault.1\n  tuskvault man restore | man -l -"
)]
pub(crate) struct Man {
    /// The command
    pub(crate) command: Option<String>,
}

impl Cli {
    /// What was typed, and what the environment adds to it: a way to the passphrase that was typed counts for more than
    /// another one in the environment.
    pub(crate) fn typed() -> Result<Self, clap::Error> {
        let mut matches = Self::command().try_get_matches()?;
        let file_is_typed = is_typed(&matches, "password_file");
        let command_is_typed = is_typed(&matches, "password_command");
        let mut cli = Self::from_arg_matches_mut(&mut matches)?;
        if command_is_typed && !file_is_typed {
            cli.global.password_file = None;
        }
        Ok(cli)
    }
}

fn is_typed(matches: &ArgMatches, id: &str) -> bool {
    matches.value_source(id) == Some(ValueSource::CommandLine)
}

/// The instance that was typed.
pub(crate) fn domain(text: Option<&String>) -> Result<Option<Domain>, super::error::Failure> {
    text.map(|text| {
        Domain::parse(text).map_err(|error| super::error::Failure::usage(error.to_string()))
    })
    .transpose()
}
