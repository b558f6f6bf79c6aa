//! `merge`: other vaults' runs come into this one.

use std::{path::Path, time::Duration};

use tuskvault::{
    connectors::json::RunJson,
    crypto::Credentials,
    storage::{self, Access, LockedVault},
    vault::{self, Merged, MergedSource, Other, Vault, merge as merge_vaults},
};

use super::{
    args::Merge,
    error::{Exit, Failure},
    password,
    report::{self, cells, plural, table, text},
    session::Session,
};

pub(crate) fn run(session: &Session<'_>, args: &Merge) -> Result<Exit, Failure> {
    let path = session.vault_path()?;
    for file in &args.files {
        if is_same_file(&path, file) {
            return Err(
                Failure::usage(format!("{} is the vault itself", file.display()))
                    .path(file)
                    .hint("name other vaults' files"),
            );
        }
    }
    let (vault, credentials) = session.open_without_offers(session.access())?;
    let given = given(session, args)?;
    let others = args
        .files
        .iter()
        .map(|file| open(session, file, given.as_ref(), &credentials));
    let others = others.collect::<Result<Vec<Other>, Failure>>()?;
    let merged = vault.would_merge(&others)?;
    for (name, entry) in &merged.broken_logs {
        let whose = if name.is_empty() {
            "this vault's"
        } else {
            &format!("{name}: the")
        };
        session.output.warn(&format!(
            "{whose} audit log does not hold together at entry {entry}; what it says from there on may have been changed"
        ));
    }
    tell(session, &merged)?;
    if session.global.dry_run {
        session.output.would(&format!(
            "bring in {}{}",
            plural(merged.runs(), "run"),
            returned(merged.returned)
        ))?;
        return Ok(Exit::Done);
    }
    if merged.is_nothing() {
        session
            .output
            .note("everything that they hold is here already; nothing was written");
        return summary(session, args, &merged, None);
    }
    let bars = session.output.bars();
    let now = (&session.actor, session.now);
    let (merged, done) = merge_vaults(vault, &others, !args.no_prev, now, &bars)?;
    session.remember_rewritten(&done.file);
    session.output.note(&format!(
        "{}{}{} and {} of the audit log came into {}; the other {} as {} and can be removed",
        plural(merged.runs(), "run"),
        returned(merged.returned),
        answers(merged.answers),
        entries(merged.audit_entries),
        path.display(),
        if others.len() == 1 {
            "file is"
        } else {
            "files are"
        },
        if others.len() == 1 {
            "it was"
        } else {
            "they were"
        },
    ));
    if let Some(previous) = &done.previous {
        session.output.note(&format!(
            "the former file is {} until the next successful backup",
            previous.display()
        ));
    }
    summary(session, args, &merged, done.previous.as_deref())
}

/// What comes, by source; runs one by one in JSON.
fn tell(session: &Session<'_>, merged: &Merged) -> Result<(), Failure> {
    if session.output.json {
        for run in merged.sources.iter().flat_map(|source| &source.runs) {
            session.output.object(&RunJson::new(run))?;
        }
        return Ok(());
    }
    if merged.sources.is_empty() {
        return Ok(());
    }
    let mut table = table(&[
        "source",
        "runs that come",
        "from",
        "to",
        "known on both sides",
    ]);
    for source in &merged.sources {
        let key = &source.source.key;
        let place = match key.host.as_str() {
            "" => format!("{} {}", key.connector, key.location),
            host => format!("{} {} on {host}", key.connector, key.location),
        };
        let time = |run: Option<&tuskvault::model::Run>| {
            run.map(|run| report::time(run.effective_at))
                .unwrap_or_default()
        };
        table.add_row(cells([
            &*place,
            &coming(source),
            &time(source.runs.first()),
            &time(source.runs.last()),
            &source.shared.to_string(),
        ]));
    }
    session.output.line(&text(&table))
}

fn answers(count: u64) -> String {
    match count {
        0 => String::new(),
        1 => ", 1 answer of an instance".to_owned(),
        count => format!(", {count} answers of instances"),
    }
}

fn returned(count: u64) -> String {
    match count {
        0 => String::new(),
        count => format!(", {} that this vault has forgotten", plural(count, "token")),
    }
}

fn entries(count: u64) -> String {
    match count {
        1 => "1 entry".to_owned(),
        count => format!("{count} entries"),
    }
}

fn coming(source: &MergedSource) -> String {
    match source.between {
        0 => source.runs.len().to_string(),
        between => format!(
            "{} ({between} before runs that are here)",
            source.runs.len()
        ),
    }
}

fn summary(
    session: &Session<'_>,
    args: &Merge,
    merged: &Merged,
    previous: Option<&Path>,
) -> Result<Exit, Failure> {
    if session.output.json {
        let files = args.files.iter().map(|file| file.display().to_string());
        session.output.object(&serde_json::json!({
            "merged": files.collect::<Vec<_>>(),
            "runs": merged.runs(),
            "audit_entries": merged.audit_entries,
            "answers": merged.answers,
            "returned": merged.returned,
            "previous": previous.map(|path| path.display().to_string()),
        }))?;
    }
    Ok(Exit::Done)
}

/// Opens another vault: with what was given for it, else with what opened this one, else by asking.
fn open(
    session: &Session<'_>,
    file: &Path,
    given: Option<&Credentials>,
    own: &Credentials,
) -> Result<Other, Failure> {
    let lock = || {
        let wait = Duration::from_secs(session.global.lock_timeout);
        LockedVault::open(file, Access::Read, wait).map_err(|error| match &error {
            storage::Error::Missing { .. } => Failure::from(error)
                .with(Exit::BadSource)
                .hint(TAKES_VAULTS),
            storage::Error::NotAVault { .. } => Failure::from(error).hint(TAKES_VAULTS),
            _ => Failure::from(error),
        })
    };
    let vault = match given {
        Some(credentials) => match Vault::unlock(lock()?, credentials) {
            // A key file alone is not enough: with it, this vault's passphrase may be.
            Err(error) if is_wrong(&error) && credentials.passphrase.is_none() => {
                let both = Credentials {
                    passphrase: own.passphrase.clone(),
                    key_file: credentials.key_file.clone(),
                };
                Vault::unlock(lock()?, &both).map_err(|_| error)?
            }
            other => other?,
        },
        None => match Vault::unlock(lock()?, own) {
            Err(error) if is_wrong(&error) && password::can_ask() => {
                let passphrase = Some(password::ask(file)?);
                let key_file = own.key_file.clone();
                Vault::unlock(
                    lock()?,
                    &Credentials {
                        passphrase,
                        key_file,
                    },
                )?
            }
            Err(
                error @ vault::Error::Storage(
                    storage::Error::WrongCredentials { .. } | storage::Error::NoCredentials { .. },
                ),
            ) => {
                return Err(Failure::from(error).hint(
                    "another passphrase or key file is given with `--other-password-file` or `--other-key-file`",
                ));
            }
            other => other?,
        },
    };
    let name = file.display().to_string();
    Ok(Other { name, vault })
}

fn given(session: &Session<'_>, args: &Merge) -> Result<Option<Credentials>, Failure> {
    if args.other_password_file.is_none() && args.other_key_file.is_none() {
        return Ok(None);
    }
    let passphrase = args.other_password_file.as_deref();
    let passphrase = passphrase
        .map(|path| password::from_file(path, session.output))
        .transpose()?;
    let key_file = args
        .other_key_file
        .as_deref()
        .map(password::key_file)
        .transpose()?;
    Ok(Some(Credentials {
        passphrase,
        key_file,
    }))
}

fn is_wrong(error: &vault::Error) -> bool {
    matches!(
        error,
        vault::Error::Storage(storage::Error::WrongCredentials { .. })
    )
}

fn is_same_file(one: &Path, other: &Path) -> bool {
    let real = |path: &Path| std::fs::canonicalize(path).ok();
    real(one).is_some_and(|one| Some(one) == real(other))
}

const TAKES_VAULTS: &str = "`merge` takes the files of other vaults";
