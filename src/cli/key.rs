//! `key`: what opens a vault.

use std::time::Duration;

use tuskvault::{
    crypto::{Credentials, SlotKind},
    storage::{Access, LockedVault, SlotInfo},
    vault::{AuditEvent, Vault},
};

use super::{
    args::{KeyCommand, NewKey},
    error::{Exit, Failure},
    password,
    report::{self, cells, table, text},
    session::Session,
};

pub(crate) fn run(session: &Session<'_>, command: &KeyCommand) -> Result<Exit, Failure> {
    if let KeyCommand::List = command {
        return list(session);
    }
    if session.global.dry_run {
        session.output.would(&what(command))?;
        return Ok(Exit::Done);
    }
    match command {
        KeyCommand::List => {}
        KeyCommand::Add(new) => add(session, new)?,
        KeyCommand::Change { slot, new } => change(session, *slot, new)?,
        KeyCommand::Remove { slot } => remove(session, *slot)?,
        KeyCommand::NewFile { path } => {
            password::new_key_file(path)?;
            session.output.note(&format!(
                "made the key file {}: keep a copy of it apart from the vault; it opens nothing until `tuskvault key add \
                 --new-key-file` says so",
                path.display()
            ));
        }
    }
    Ok(Exit::Done)
}

/// What a command would do.
fn what(command: &KeyCommand) -> String {
    match command {
        KeyCommand::List => "list the key slots".to_owned(),
        KeyCommand::Add(_) => "add a key slot".to_owned(),
        KeyCommand::Change { slot: None, .. } => "change what opens the key slot".to_owned(),
        KeyCommand::Change {
            slot: Some(slot), ..
        } => format!("change what opens key slot {slot}"),
        KeyCommand::Remove { slot } => format!("remove key slot {slot}"),
        KeyCommand::NewFile { path } => format!("make the key file {}", path.display()),
    }
}

fn list(session: &Session<'_>) -> Result<Exit, Failure> {
    let path = session.vault_path()?;
    session.offer_conflict_copies(&path);
    let wait = Duration::from_secs(session.global.lock_timeout);
    let slots = LockedVault::open(&path, Access::Read, wait)?.slots();
    if session.output.json {
        for slot in &slots {
            session.output.object(&serde_json::json!({
                "slot": slot.number,
                "kind": slot.kind.as_str(),
                "kdf": {
                    "memory_mib": slot.kdf.memory_kib / 1024,
                    "iterations": slot.kdf.iterations,
                    "parallelism": slot.kdf.parallelism,
                },
                "created_at": created_at(slot),
            }))?;
        }
        return Ok(Exit::Done);
    }
    let mut table = table(&["slot", "opened by", "memory", "passes", "lanes", "made"]);
    for slot in &slots {
        table.add_row(cells([
            &*slot.number.to_string(),
            slot.kind.as_str(),
            &format!("{} MiB", slot.kdf.memory_kib / 1024),
            &slot.kdf.iterations.to_string(),
            &slot.kdf.parallelism.to_string(),
            &created_at(slot).map(report::time).unwrap_or_default(),
        ]));
    }
    session.output.line(&text(&table))?;
    Ok(Exit::Done)
}

fn created_at(slot: &SlotInfo) -> Option<jiff::Timestamp> {
    jiff::Timestamp::from_second(slot.created_at).ok()
}

fn add(session: &Session<'_>, new: &NewKey) -> Result<(), Failure> {
    let (mut vault, _) = session.open_with_credentials(Access::Write)?;
    let credentials = session.slot_credentials(new, None)?;
    let kdf = session.kdf(new.kdf)?;
    let slot = file(&vault)?.add_slot(&credentials, kdf, session.now.as_second())?;
    session.audit(&mut vault, &AuditEvent::KeyAdded { slot })?;
    session.output.note(&format!(
        "added key slot {slot} ({})",
        kind_of(&credentials)
    ));
    Ok(())
}

fn change(session: &Session<'_>, slot: Option<u8>, new: &NewKey) -> Result<(), Failure> {
    let (mut vault, current) = session.open_with_credentials(Access::Write)?;
    let file = file(&vault)?.clone();
    let slot = match slot {
        Some(number) => file
            .slots()
            .into_iter()
            .find(|slot| slot.number == number)
            .ok_or_else(|| tuskvault::storage::Error::NoSuchSlot {
                path: file.path().to_owned(),
                slot: number,
            })?,
        None => only_of_kind(&file.slots(), &current)?,
    };
    // What the slot asked for besides a passphrase, it goes on asking for.
    let kept_key_file = match slot.kind {
        SlotKind::Both => current.key_file,
        SlotKind::Passphrase | SlotKind::KeyFile => None,
    };
    if slot.kind == SlotKind::KeyFile && new.new_key_file.is_none() {
        return Err(Failure::usage(format!(
            "slot {} is opened by a key file alone",
            slot.number
        ))
        .hint("give `--new-key-file PATH --no-passphrase`"));
    }
    let credentials = session.slot_credentials(new, kept_key_file)?;
    let kdf = if new.kdf.is_given() {
        session.kdf(new.kdf)?
    } else {
        slot.kdf
    };
    file.change_slot(slot.number, &credentials, kdf, session.now.as_second())?;
    session.audit(&mut vault, &AuditEvent::KeyChanged { slot: slot.number })?;
    session.output.note(&format!(
        "changed key slot {} ({})",
        slot.number,
        kind_of(&credentials)
    ));
    session.output.note("older copies of the file still open with what it was before; `tuskvault rekey` protects what comes");
    Ok(())
}

fn only_of_kind(slots: &[SlotInfo], current: &Credentials) -> Result<SlotInfo, Failure> {
    let kind = SlotKind::of(current);
    let fitting: Vec<&SlotInfo> = slots
        .iter()
        .filter(|slot| Some(slot.kind) == kind)
        .collect();
    match fitting.as_slice() {
        [slot] => Ok(**slot),
        _ => Err(Failure::usage("which key slot is meant is not clear")
            .hint("`tuskvault key list` lists them; name one: `tuskvault key change N`")),
    }
}

fn remove(session: &Session<'_>, slot: u8) -> Result<(), Failure> {
    let (mut vault, _) = session.open_with_credentials(Access::Write)?;
    let file = file(&vault)?.clone();
    session.confirm(&format!(
        "Remove key slot {slot}? What opened it opens the vault no more."
    ))?;
    file.remove_slot(slot)?;
    session.audit(&mut vault, &AuditEvent::KeyRemoved { slot })?;
    session.output.note(&format!("removed key slot {slot}"));
    session
        .output
        .note("older copies of the file still open with it; `tuskvault rekey` protects what comes");
    Ok(())
}

fn file(vault: &Vault) -> Result<&tuskvault::storage::EncryptedFile, Failure> {
    vault
        .file()
        .ok_or_else(|| tuskvault::vault::Error::ReadOnly.into())
}

fn kind_of(credentials: &Credentials) -> &'static str {
    SlotKind::of(credentials).map_or("nothing", SlotKind::as_str)
}
