//! `rekey` and `compact`: the vault written anew.

use tuskvault::{
    crypto::SlotKind,
    storage::EncryptedFile,
    vault::{Rewritten, Vault, compact as compact_vault, rekey as rekey_vault},
};

use super::{
    args::{Compact, Rekey},
    error::{Exit, Failure},
    session::Session,
};

pub(crate) fn rekey(session: &Session<'_>, args: &Rekey) -> Result<Exit, Failure> {
    let (vault, current) = session.open_with_credentials(session.access())?;
    let slots = vault.file().map(EncryptedFile::slots).unwrap_or_default();
    let dropped = slots.len().saturating_sub(1);
    if session.global.dry_run {
        session
            .output
            .would("encrypt the vault anew under a new master key, with one key slot")?;
        return Ok(Exit::Done);
    }
    if dropped > 0 {
        session.confirm(&format!(
            "The new key gets one key slot; {dropped} other must be added again with `key add`. Go on?"
        ))?;
    }
    // What the former slot asked for besides a passphrase, the new one goes on asking for.
    let asks_for_both = SlotKind::of(&current) == Some(SlotKind::Both)
        && slots.iter().any(|slot| slot.kind == SlotKind::Both);
    let kept_key_file = current.key_file.filter(|_| asks_for_both);
    let credentials = session.slot_credentials(&args.new, kept_key_file)?;
    let kdf = session.kdf(args.new.kdf)?;
    let bars = session.output.bars();
    let (actor, now) = (&session.actor, session.now);
    let done = rekey_vault(vault, (&credentials, kdf), !args.no_prev, actor, now, &bars)?;
    finish(
        session,
        &done,
        "encrypted anew",
        "the former key still opens it",
    )
}

pub(crate) fn compact(session: &Session<'_>, args: &Compact) -> Result<Exit, Failure> {
    let vault: Vault = session.open(session.access())?;
    if session.global.dry_run {
        session
            .output
            .would("rewrite the vault in its smallest form")?;
        return Ok(Exit::Done);
    }
    let bars = session.output.bars();
    let done = compact_vault(vault, !args.no_prev, &session.actor, session.now, &bars)?;
    finish(
        session,
        &done,
        "compacted",
        "it still holds everything that was in it",
    )
}

fn finish(
    session: &Session<'_>,
    done: &Rewritten,
    what: &str,
    of_previous: &str,
) -> Result<Exit, Failure> {
    let path = session.vault_path()?;
    session.remember_rewritten(&done.file);
    if session.output.json {
        session.output.object(&serde_json::json!({
            "vault": path.display().to_string(),
            "before_bytes": done.before_bytes,
            "after_bytes": done.after_bytes,
            "previous": done.previous.as_ref().map(|path| path.display().to_string()),
        }))?;
    }
    session.output.note(&format!(
        "{} is {what}: {} KiB before, {} KiB now",
        path.display(),
        done.before_bytes / 1024,
        done.after_bytes / 1024
    ));
    if let Some(previous) = &done.previous {
        session.output.note(&format!(
            "the former file is {} until the next successful backup; {of_previous}",
            previous.display()
        ));
    }
    Ok(Exit::Done)
}
