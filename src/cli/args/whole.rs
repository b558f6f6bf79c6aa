//! Options of the commands that are about a vault as a whole: what opens it, and what it is written anew for.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use tuskvault::{model::Selector, vault::Retention};

/// The cost of a key derivation.
#[derive(Args, Clone, Copy, Default)]
pub(crate) struct Kdf {
    /// Memory of the key derivation in MiB, at least 8 [default: measured, half a second to unlock]
    #[arg(long, value_name = "MIB")]
    pub(crate) kdf_memory: Option<u32>,
    /// Passes of the key derivation [default: 3]
    #[arg(long, value_name = "N")]
    pub(crate) kdf_iterations: Option<u32>,
    /// Lanes of the key derivation [default: 4]
    #[arg(long, value_name = "N")]
    pub(crate) kdf_parallelism: Option<u32>,
}

impl Kdf {
    /// Whether any of it was given.
    pub(crate) fn is_given(self) -> bool {
        self.kdf_memory.is_some() || self.kdf_iterations.is_some() || self.kdf_parallelism.is_some()
    }
}

/// List and change what opens the vault
#[derive(Args)]
#[command(
    after_help = "Examples:\n  tuskvault key list\n  tuskvault key add --new-password-file new.txt\n  tuskvault key new-file ~/stick/vault.key\n  tuskvault key add --new-key-file ~/stick/vault.key --no-passphrase\n  tuskvault key change\n  tuskvault key remove 1"
)]
pub(crate) struct Key {
    #[command(subcommand)]
    pub(crate) command: KeyCommand,
}

#[derive(Subcommand)]
pub(crate) enum KeyCommand {
    /// List the key slots; needs no password
    #[command(after_help = "Example:\n  tuskvault key list")]
    List,
    /// Add a key slot
    #[command(
        after_help = "Examples:\n  tuskvault key add\n  tuskvault key add --new-password-file new.txt --kdf-memory 64   # for a small machine\n  tuskvault key add --new-key-file ~/stick/vault.key --no-passphrase"
    )]
    Add(NewKey),
    /// Change what opens a key slot
    #[command(
        after_help = "Examples:\n  tuskvault key change\n  tuskvault key change 1 --new-password-file new.txt"
    )]
    Change {
        /// The slot [default: the only one of the kind that is given]
        slot: Option<u8>,
        #[command(flatten)]
        new: NewKey,
    },
    /// Remove a key slot, but never the last
    #[command(after_help = "Example:\n  tuskvault key remove 1")]
    Remove {
        /// The slot
        slot: u8,
    },
    /// Make a new key file
    #[command(after_help = "Example:\n  tuskvault key new-file ~/stick/vault.key")]
    NewFile {
        /// Where
        path: PathBuf,
    },
}

#[derive(Args, Clone)]
pub(crate) struct NewKey {
    /// File whose first line is the new passphrase
    #[arg(long, value_name = "PATH")]
    pub(crate) new_password_file: Option<PathBuf>,
    /// Key file of the slot, alone or with a passphrase
    #[arg(long, value_name = "PATH")]
    pub(crate) new_key_file: Option<PathBuf>,
    /// Let the key file alone open the slot
    #[arg(long, requires = "new_key_file")]
    pub(crate) no_passphrase: bool,
    #[command(flatten)]
    pub(crate) kdf: Kdf,
}

/// Encrypt the vault anew under a new master key; only one key slot stays
#[derive(Args)]
#[command(
    after_help = "Examples:\n  tuskvault rekey              # asks for a new passphrase\n  tuskvault rekey --no-prev    # keep no former file"
)]
pub(crate) struct Rekey {
    #[command(flatten)]
    pub(crate) new: NewKey,
    /// Keep no former file
    #[arg(long)]
    pub(crate) no_prev: bool,
}

/// Rewrite the vault in its smallest form
#[derive(Args)]
#[command(after_help = "Example:\n  tuskvault compact --no-prev")]
pub(crate) struct Compact {
    /// Keep no former file
    #[arg(long)]
    pub(crate) no_prev: bool,
}

/// Bring the runs of other vaults into this one: nothing is lost on either side
///
/// The other files stay as they are. A run that both have is taken once; any other lies where it belongs in time.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  tuskvault merge laptop.tusk\n  tuskvault merge 'vault.sync-conflict-20260301-140000-ABCDEFG.tusk' --dry-run"
)]
pub(crate) struct Merge {
    /// Other vaults: another machine's, or a conflict copy that a sync program left
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// File whose first line is the other vaults' passphrase [default: this vault's is tried, else it is asked for]
    #[arg(long, value_name = "PATH")]
    pub(crate) other_password_file: Option<PathBuf>,
    /// Key file of the other vaults
    #[arg(long, value_name = "PATH")]
    pub(crate) other_key_file: Option<PathBuf>,
    /// Keep no former file
    #[arg(long)]
    pub(crate) no_prev: bool,
}

/// Remove tokens with all their history, or thin runs, for good
///
/// Runs are counted per source (and user, where a run read one user alone) by when they were recorded. Old copies that
/// were dated back are never counted and never removed. What was removed is in no byte of the new file; the audit log keeps the selector.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  tuskvault forget --keep-daily 14 --keep-weekly 8 --keep-monthly 24 --dry-run\n  tuskvault forget tk_7f3a2c9d\n  tuskvault forget alice@m.example"
)]
pub(crate) struct Forget {
    /// [USER@]INSTANCE[/APP] or tk_…: tokens to remove from all runs, with accounts and apps that nothing else refers to
    pub(crate) selector: Option<Selector>,
    /// Keep the newest N runs
    #[arg(long, value_name = "N")]
    pub(crate) keep_last: Option<u32>,
    /// Keep the newest run of each of the last N days that have one, local time
    #[arg(long, value_name = "N")]
    pub(crate) keep_daily: Option<u32>,
    /// Keep the newest run of each of the last N weeks that have one
    #[arg(long, value_name = "N")]
    pub(crate) keep_weekly: Option<u32>,
    /// Keep the newest run of each of the last N months that have one
    #[arg(long, value_name = "N")]
    pub(crate) keep_monthly: Option<u32>,
    /// Keep the newest run of each of the last N years that have one
    #[arg(long, value_name = "N")]
    pub(crate) keep_yearly: Option<u32>,
    /// Remove a run even where it is the only one that holds a token
    #[arg(long)]
    pub(crate) even_last: bool,
    /// Keep the former file, which still holds everything, until the next successful backup
    #[arg(long)]
    pub(crate) keep_prev: bool,
}

impl Forget {
    pub(crate) fn retention(&self) -> Retention {
        Retention {
            last: self.keep_last,
            daily: self.keep_daily,
            weekly: self.keep_weekly,
            monthly: self.keep_monthly,
            yearly: self.keep_yearly,
        }
    }
}
