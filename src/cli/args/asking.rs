//! Options of asking instances.

use std::path::PathBuf;

use clap::Args;
use tuskvault::model::Selector;

/// Ask each instance whether tokens work, and keep the answers
///
/// Asking counts as use: the server notes when a token was last used, and when its user was last there.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  tuskvault verify\n  tuskvault verify alice@m.example/toot\n  tuskvault verify '*@m.example' --json   # exit code 9 when some don't work\n  tuskvault list --verified-before 30d"
)]
pub(crate) struct Verify {
    /// [USER@]INSTANCE[/APP] or tk_…, each part may hold *; needed where the vault holds a whole instance
    pub(crate) selector: Option<Selector>,
    /// Revoked and expired ones too; without a selector, every token there is
    #[arg(long)]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) asking: Asking,
}

/// How instances are asked.
#[derive(Args, Clone)]
pub(crate) struct Asking {
    /// Trust the certificates in this file (PEM) besides those of the system
    #[arg(long, value_name = "PATH")]
    pub(crate) ca_file: Option<PathBuf>,
    /// How long to wait for an answer [default: 30]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3_600))]
    pub(crate) timeout: Option<u64>,
    /// How long to wait where an instance asks to be asked less often [default: 330]
    #[arg(long, value_name = "SECONDS")]
    pub(crate) most_wait: Option<u64>,
}

impl Asking {
    /// The first of them that was given.
    pub(crate) fn given(&self) -> Option<&'static str> {
        let given = [
            (self.ca_file.is_some(), "--ca-file"),
            (self.timeout.is_some(), "--timeout"),
            (self.most_wait.is_some(), "--most-wait"),
        ];
        given
            .into_iter()
            .find(|(given, _)| *given)
            .map(|(_, name)| name)
    }
}
