//! The command line: one file per command, each from arguments through one library call to a report.

pub(crate) mod args;
mod audit;
mod backfill;
mod backup;
mod changes;
mod check;
mod conflicts;
#[cfg(feature = "postgres")]
mod database;
mod demo;
mod diff;
mod discover;
#[cfg(feature = "pgdump")]
mod dump;
mod error;
mod export;
mod forget;
pub(crate) mod harden;
mod history;
mod import;
mod init;
mod key;
mod list;
mod log;
mod machine;
mod manual;
mod merge;
pub(crate) mod output;
mod password;
mod progress;
mod report;
mod restore;
#[cfg(feature = "postgres")]
mod restore_database;
mod rewrite;
mod session;
mod show;
mod state;
mod status;
mod verdict;
#[cfg_attr(not(feature = "online"), path = "verify/lacking.rs")]
mod verify;

use std::panic::{self, AssertUnwindSafe};

use args::{Cli, Command};
use error::{Exit, Failure};
use output::Output;
use session::Session;

/// Runs the command.
pub(crate) fn run(cli: Cli, output: &Output) -> Result<Exit, Failure> {
    let session = Session::new(cli.global, output);
    match cli.command {
        Command::Init(args) => init::run(&session, &args),
        Command::Discover(args) => discover::run(&session, &args),
        Command::Backup(args) => backup::run(&session, &args),
        Command::Import(args) => import::run(&session, &args),
        Command::Restore(args) => restore::run(&session, &args),
        Command::Export(args) => export::run(&session, &args),
        Command::List(args) => list::run(&session, &args),
        Command::Show(args) => show::run(&session, &args),
        Command::History(args) => history::run(&session, &args),
        Command::Log(args) => log::run(&session, &args),
        Command::Diff(args) => diff::run(&session, &args),
        Command::Audit(args) => audit::run(&session, &args),
        Command::Verify(args) => verify::run(&session, &args),
        Command::Status => status::run(&session),
        Command::Check => check::run(&session),
        Command::Key(args) => key::run(&session, &args.command),
        Command::Rekey(args) => rewrite::rekey(&session, &args),
        Command::Merge(args) => merge::run(&session, &args),
        Command::Forget(args) => forget::run(&session, &args),
        Command::Compact(args) => rewrite::compact(&session, &args),
        Command::Demo => demo::run(&session),
        Command::Completions(args) => manual::completions(&session, &args),
        Command::Man(args) => manual::man(&session, &args),
    }
}

/// Turns a panic, which is always a flaw of ours or of a package, into a failure. Its message may quote data and is
/// shown nowhere.
pub(crate) fn contained(run: impl FnOnce() -> Result<Exit, Failure>) -> Result<Exit, Failure> {
    panic::set_hook(Box::new(|_| {}));
    panic::catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| {
        Err(
            Failure::new(Exit::Damaged, "the program met something that must not be").hint(
                "nothing was half-written; `tuskvault check` tells whether the vault is well; please report this",
            ),
        )
    })
}
