//! `import --at` and `--of`: material that was true before now.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use tuskvault::{
    model::{Run, Snapshot, Source, When},
    vault::Vault,
};

use super::{
    args::Dated,
    error::{Exit, Failure},
    machine::{self, with_tildes},
    report,
    session::Session,
};

/// What is known of the material's date before the vault is open.
pub(crate) struct Backfill<'a> {
    of: Option<&'a str>,
    at: Option<At<'a>>,
}

enum At<'a> {
    /// When the file was last changed.
    Mtime,
    /// A moment that needs no vault.
    Time(Timestamp),
    /// The moment of a run, as it was typed.
    Run(&'a String),
}

impl<'a> Backfill<'a> {
    /// Understands the options, as far as that takes no vault.
    pub(crate) fn new(session: &Session<'_>, args: &'a Dated) -> Result<Self, Failure> {
        let at = match args.at.as_ref() {
            None => args.of.as_ref().map(|_| At::Mtime),
            Some(text) if text == MTIME => Some(At::Mtime),
            Some(text) => Some(
                match When::parse(text, &session.now_here())
                    .map_err(|error| Failure::usage(error.to_string()))?
                {
                    When::At(time) => At::Time(past(session, time)?),
                    When::Run(_) => At::Run(text),
                },
            ),
        };
        let backfill = Self {
            of: args.of.as_deref(),
            at,
        };
        if backfill.needs_vault() {
            backfill.expect_vault(&session.vault_path()?)?;
        }
        Ok(backfill)
    }

    /// Whether the person dates the material or says what it is a copy of.
    pub(crate) fn is_given(&self) -> bool {
        self.at.is_some()
    }

    /// Whether the answer is in the vault.
    pub(crate) fn needs_vault(&self) -> bool {
        self.of.is_some() || matches!(self.at, Some(At::Run(_)))
    }

    fn expect_vault(&self, path: &Path) -> Result<(), Failure> {
        if std::fs::symlink_metadata(path).is_ok() {
            return Ok(());
        }
        let what = match self.of {
            Some(_) => "`--of` names a source that it knows",
            None => "`--at run:N` names one of its runs",
        };
        let message = format!("there is no vault at {} yet, and {what}", path.display());
        Err(Failure::usage(message)
            .path(path)
            .hint("import the present first, or give `--at` a date, without `--of`"))
    }

    /// Dates the snapshot of what was read at `path`, and makes it one of the source that it is a copy of; says when it
    /// was true. `vault` is there where [`Backfill::needs_vault`].
    pub(crate) fn apply(
        &self,
        session: &Session<'_>,
        vault: Option<&Vault>,
        path: &Path,
        snapshot: &mut Snapshot,
    ) -> Result<(), Failure> {
        if self.at.is_none() {
            return Ok(());
        }
        let key = &snapshot.source;
        let source = match (self.of, vault) {
            (Some(of), Some(vault)) => Some(known(vault, &[&key.connector], of)?),
            _ => None,
        };
        let Some((time, why)) = self.moment(session, vault, path, &key.location)? else {
            return Ok(());
        };
        snapshot.effective_at = Some(time);
        tell(session, time, why);
        if let (Some(source), Some(vault)) = (source, vault) {
            warn_of_the_last_word(session, vault, &source, time)?;
            snapshot.source = source.key;
        }
        Ok(())
    }

    /// When the material was true, as the person says or the file's own time, and what says so.
    pub(crate) fn moment(
        &self,
        session: &Session<'_>,
        vault: Option<&Vault>,
        path: &Path,
        location: &str,
    ) -> Result<Option<(Timestamp, &'static str)>, Failure> {
        let Some(at) = &self.at else { return Ok(None) };
        Ok(Some(match (at, vault) {
            (At::Time(time), _) => (*time, ""),
            (At::Mtime, _) => (
                past(session, changed_at(path, location)?)?,
                ", when the file was last changed",
            ),
            (At::Run(text), Some(vault)) => {
                let time = session.moment(Some(text), vault)?.timestamp();
                (past(session, time)?, ", the time of that run")
            }
            (At::Run(_), None) => {
                self.expect_vault(&session.vault_path()?)?;
                return Ok(None);
            }
        }))
    }
}

/// Says when the material was true.
pub(crate) fn tell(session: &Session<'_>, time: Timestamp, why: &str) {
    session
        .output
        .note(&format!("true at {}{why}", report::time_here(time)));
}

/// Warns where nothing later is known of the source: then the material says how it is now.
pub(crate) fn warn_of_the_last_word(
    session: &Session<'_>,
    vault: &Vault,
    source: &Source,
    time: Timestamp,
) -> Result<(), Failure> {
    let runs = vault.runs()?;
    let is_older = |run: &Run| run.source.id != source.id || run.effective_at <= time;
    if runs.iter().all(is_older) {
        session.output.warn(
            "that is later than all that is known of this source: what the copy doesn't hold counts as gone from it since",
        );
    }
    Ok(())
}

/// The time, unless it is still to come.
pub(crate) fn past(session: &Session<'_>, time: Timestamp) -> Result<Timestamp, Failure> {
    if time <= session.now {
        return Ok(time);
    }
    let shown = report::time_here(time);
    Err(
        Failure::usage(format!("{shown} is in the future: nothing was true then"))
            .hint("`--at` takes a time in the past; a day alone means its end"),
    )
}

/// When the file was last changed that was read at `path`, where the source says which one it is.
pub(crate) fn changed_at(path: &Path, location: &str) -> Result<Timestamp, Failure> {
    if path == Path::new("-") {
        return Err(
            Failure::usage("what comes through a pipe doesn't say when it was true")
                .hint("give `--at WHEN`"),
        );
    }
    let path = if path.is_dir() {
        PathBuf::from(location)
    } else {
        path.to_owned()
    };
    if path.is_dir() {
        let message = format!("{} holds files of several times", path.display());
        return Err(Failure::usage(message)
            .path(path)
            .hint("give `--at WHEN`, or name one file"));
    }
    let changed = |path: &Path| std::fs::metadata(path)?.modified();
    let unread = |error: &std::io::Error| Failure::file("read", &path, error).with(Exit::BadSource);
    let mut time = changed(&path).map_err(|error| unread(&error))?;
    // SQLite writes here first.
    let mut log = path.clone().into_os_string();
    log.push("-wal");
    if let Ok(later) = changed(Path::new(&log)) {
        time = time.max(later);
    }
    Timestamp::try_from(time).map_err(|_| {
        let message = format!("{} was changed at no time that can be", path.display());
        Failure::usage(message).path(&path).hint("give `--at WHEN`")
    })
}

/// The source of one of these connectors at this location, as `log` shows it.
pub(crate) fn known(vault: &Vault, connectors: &[&str], location: &str) -> Result<Source, Failure> {
    let mut sources = vault.sources()?;
    sources.retain(|source| connectors.contains(&source.key.connector.as_str()));
    let connector = connectors.join(" or ");
    let absolute = std::path::absolute(location).unwrap_or_default();
    let is_meant = |source: &&Source| {
        let known = source.key.location.as_str();
        known == location || with_tildes(known) == location || Path::new(known) == absolute
    };
    let meant: Vec<&Source> = sources.iter().filter(is_meant).collect();
    let here = machine::surroundings().host;
    let on_this_machine = meant.iter().find(|source| source.key.host == here);
    match (meant.as_slice(), on_this_machine) {
        ([source], _) | (_, Some(source)) => Ok((*source).clone()),
        ([], None) => {
            let failure = Failure::usage(format!("the vault knows no {connector} at {location}"));
            Err(failure.hint(if sources.is_empty() {
                format!(
                    "it knows no source of {connector} at all; `tuskvault log` lists what it knows"
                )
            } else {
                format!("it knows {}", listed(sources.iter()))
            }))
        }
        (several, None) => Err(Failure::new(
            Exit::Ambiguous,
            format!("the vault knows {location} of several machines, none of which is this one"),
        )
        .hint(format!("there are {}", listed(several.iter().copied())))),
    }
}

fn listed<'s>(sources: impl Iterator<Item = &'s Source>) -> String {
    let here = machine::surroundings().host;
    let name = |source: &Source| match source.key.host.as_str() {
        "" => source.key.location.clone(),
        host if host == here => source.key.location.clone(),
        host => format!("{} on {host}", source.key.location),
    };
    sources.map(name).collect::<Vec<_>>().join(", ")
}

/// The word for the time at which a file was last changed.
const MTIME: &str = "mtime";
