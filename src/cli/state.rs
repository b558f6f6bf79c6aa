//! What this machine remembers of vaults: how far it has seen them go, and when their sources were last backed up. No
//! secret, no account names. `status` reads it without a password.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use tuskvault::{
    files::Staged,
    model::{self, RHYTHM_TIMES, Run, RunOutcome},
    storage::VaultId,
};

use super::machine;

/// The whole file.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) vaults: BTreeMap<String, VaultState>,
}

/// One vault.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct VaultState {
    pub(crate) path: PathBuf,
    pub(crate) commits: u64,
    pub(crate) sources: Vec<SourceState>,
}

/// One source of a vault.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct SourceState {
    pub(crate) source: String,
    pub(crate) location: String,
    pub(crate) host: String,
    pub(crate) outcome: String,
    /// How a database was reached, so that `backup` finds it again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reach: Option<Reach>,
    /// Times of the last backups, oldest first.
    pub(crate) backups: Vec<Timestamp>,
}

/// How a database is reached; never with a password.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reach {
    /// As Mastodon's own settings say.
    EnvFile(PathBuf),
    /// As the person said.
    Url(String),
    /// As libpq's variables say.
    Environment,
}

impl SourceState {
    /// One that could not be read, and never was.
    fn failed(connector: &str, location: &str, host: &str) -> Self {
        Self {
            source: connector.to_owned(),
            location: location.to_owned(),
            host: host.to_owned(),
            outcome: FAILED.to_owned(),
            reach: None,
            backups: Vec::new(),
        }
    }

    /// The usual time between two backups; `None` before there were two.
    pub(crate) fn rhythm(&self, now: Timestamp) -> Option<SignedDuration> {
        model::rhythm(&self.backups, now)
    }

    /// The last backup; of those that a clock ahead of its time noted only where there is no other.
    pub(crate) fn last_backup(&self, now: Timestamp) -> Option<Timestamp> {
        let known = |at: &&Timestamp| !model::is_ahead(**at, now);
        let last = self.backups.iter().rfind(known);
        last.or(self.backups.last()).copied()
    }

    /// Whether a backup is overdue.
    pub(crate) fn is_overdue(&self, now: Timestamp) -> bool {
        model::is_overdue(&self.backups, now)
    }
}

impl State {
    /// Reads the file; nothing is remembered where it is missing or can't be read.
    pub(crate) fn read() -> Self {
        Self::try_read().unwrap_or_default()
    }

    fn try_read() -> io::Result<Self> {
        let path = file().ok_or(io::ErrorKind::NotFound)?;
        let bytes = tuskvault::files::read_bounded(&path, MAX_BYTES)?;
        serde_json::from_slice(&bytes).map_err(|error| {
            let kind = if error.is_data() {
                io::ErrorKind::Unsupported
            } else {
                io::ErrorKind::InvalidData
            };
            io::Error::new(kind, error)
        })
    }

    /// Changes what is remembered. The file is written in one step, mode 0600; not being able to is no reason to fail. One
    /// that can't be read, or is of a later version, stays as it is: it remembers how far vaults have come. One that is
    /// no JSON is put aside.
    pub(crate) fn update(change: impl FnOnce(&mut Self)) {
        let mut state = match Self::try_read() {
            Ok(state) => state,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::default(),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                let Some(path) = file() else { return };
                if std::fs::rename(&path, path.with_extension("json.unreadable")).is_err() {
                    return;
                }
                Self::default()
            }
            Err(_) => return,
        };
        change(&mut state);
        let write = || -> io::Result<()> {
            let Some(path) = file() else { return Ok(()) };
            if let Some(folder) = path.parent() {
                tuskvault::files::create_private_folder(folder)?;
            }
            let staged = Staged::beside(&path)?;
            serde_json::to_writer_pretty(staged.file(), &state)?;
            staged.replace()
        };
        drop(write());
    }

    /// The commits of this vault that were seen before.
    pub(crate) fn commits(&self, id: VaultId) -> u64 {
        self.vaults
            .get(&id.to_string())
            .map_or(0, |vault| vault.commits)
    }

    /// The sources that were backed up into the vault at this path.
    pub(crate) fn sources_of(&self, path: &Path) -> Vec<SourceState> {
        let vaults = self.vaults.values().filter(|vault| vault.path == path);
        vaults
            .flat_map(|vault| vault.sources.iter().cloned())
            .collect()
    }

    /// Takes an older state of a vault for the newest from here on.
    pub(crate) fn accept(&mut self, id: VaultId, commits: u64) {
        if let Some(vault) = self.vaults.get_mut(&id.to_string()) {
            vault.commits = commits;
        }
    }

    /// Remembers how far a vault has come, and a run where there was one.
    pub(crate) fn remember(&mut self, id: VaultId, commits: u64, path: &Path, run: Option<&Run>) {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let vault = self
            .vaults
            .entry(id.to_string())
            .or_insert_with(|| VaultState {
                path: path.clone(),
                commits: 0,
                sources: Vec::new(),
            });
        vault.path = path;
        vault.commits = vault.commits.max(commits);
        let Some(run) = run else { return };
        let key = &run.source.key;
        let known = vault.sources.iter().position(|known| {
            (&known.source, &known.location, &known.host)
                == (&key.connector, &key.location, &key.host)
        });
        let at = known.unwrap_or_else(|| {
            vault.sources.push(SourceState {
                source: key.connector.clone(),
                location: key.location.clone(),
                host: key.host.clone(),
                outcome: String::new(),
                reach: None,
                backups: Vec::new(),
            });
            vault.sources.len() - 1
        });
        // A folder that could not be read holds a file that now was.
        let file = Path::new(&key.location);
        let is_stale = |known: &SourceState| {
            known.backups.is_empty()
                && (&known.source, &known.host) == (&key.connector, &key.host)
                && known.location != key.location
                && file.starts_with(&known.location)
        };
        let Some(source) = vault.sources.get_mut(at) else {
            return;
        };
        outcome_word(run.outcome).clone_into(&mut source.outcome);
        source.backups.push(run.recorded_at);
        let surplus = source.backups.len().saturating_sub(RHYTHM_TIMES);
        source.backups.drain(..surplus);
        vault.sources.retain(|known| !is_stale(known));
    }

    /// Remembers how the source of a run was reached.
    #[cfg(feature = "postgres")]
    pub(crate) fn remember_reach(&mut self, id: VaultId, run: &Run, reach: &Reach) {
        let key = &run.source.key;
        let sources = self.vaults.get_mut(&id.to_string());
        let mut sources = sources.into_iter().flat_map(|vault| &mut vault.sources);
        if let Some(source) = sources.find(|known| {
            (&known.source, &known.location, &known.host)
                == (&key.connector, &key.location, &key.host)
        }) {
            source.reach = Some(reach.clone());
        }
    }

    /// Remembers that a database could not be read.
    #[cfg(feature = "postgres")]
    pub(crate) fn remember_unreached(
        &mut self,
        id: VaultId,
        connector: &str,
        host: &str,
        location: &str,
    ) {
        let Some(vault) = self.vaults.get_mut(&id.to_string()) else {
            return;
        };
        let is_it = |known: &&mut SourceState| {
            (&*known.source, &*known.location, &*known.host) == (connector, location, host)
        };
        match vault.sources.iter_mut().find(is_it) {
            Some(known) => FAILED.clone_into(&mut known.outcome),
            None => vault
                .sources
                .push(SourceState::failed(connector, location, host)),
        }
    }

    /// Remembers that the sources at this path, a file or the folder that holds them, could not be read.
    pub(crate) fn remember_unread(
        &mut self,
        id: VaultId,
        connector: &str,
        host: &str,
        path: &Path,
    ) {
        let Some(vault) = self.vaults.get_mut(&id.to_string()) else {
            return;
        };
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let mut is_known = false;
        for known in &mut vault.sources {
            let is_there = Path::new(&known.location).starts_with(&path);
            if known.source == connector && known.host == host && is_there {
                FAILED.clone_into(&mut known.outcome);
                is_known = true;
            }
        }
        if !is_known {
            let location = path.display().to_string();
            vault
                .sources
                .push(SourceState::failed(connector, &location, host));
        }
    }
}

/// The outcome of a backup that could not read its source.
const FAILED: &str = "failed";

/// The word for an outcome in JSON and tables.
pub(crate) fn outcome_word(outcome: RunOutcome) -> &'static str {
    match outcome {
        RunOutcome::Complete => "complete",
        RunOutcome::Partial => "partial",
        RunOutcome::Shrunk => "shrunk",
    }
}

fn file() -> Option<PathBuf> {
    Some(machine::state_folder()?.join("state.json"))
}

/// Thousands of sources.
const MAX_BYTES: u64 = 4 << 20;
