//! `init`: create a vault.

use tuskvault::{crypto::KdfParams, vault::Vault};

use super::{
    args::Init,
    error::{Exit, Failure},
    session::Session,
};

pub(crate) fn run(session: &Session<'_>, args: &Init) -> Result<Exit, Failure> {
    let path = session.vault_path()?;
    if std::fs::symlink_metadata(&path).is_ok() {
        return Err(tuskvault::storage::Error::Exists { path }.into());
    }
    if session.global.dry_run {
        session
            .output
            .would(&format!("create {}", path.display()))?;
        return Ok(Exit::Done);
    }
    let kdf = session.kdf(args.kdf)?;
    create(session, args.no_passphrase, kdf)?;
    Ok(Exit::Done)
}

/// Creates the vault where it belongs and says what it is like.
pub(crate) fn create(
    session: &Session<'_>,
    no_passphrase: bool,
    kdf: KdfParams,
) -> Result<Vault, Failure> {
    let path = session.vault_path()?;
    let credentials = session.new_credentials(no_passphrase)?;
    session.make_folder_of(&path)?;
    let vault = Vault::create(&path, &credentials, kdf, &session.actor, session.now)?;
    session.remember(&vault, None);
    if session.output.json {
        session.output.object(&serde_json::json!({
            "vault": path.display().to_string(),
            "kdf": {
                "memory_mib": kdf.memory_kib / 1024,
                "iterations": kdf.iterations,
                "parallelism": kdf.parallelism,
            },
        }))?;
    }
    session.output.note(&format!(
        "created {} (each try of a passphrase costs {} MiB of memory, {})",
        path.display(),
        kdf.memory_kib / 1024,
        match kdf.iterations {
            1 => "1 pass".to_owned(),
            passes => format!("{passes} passes"),
        }
    ));
    session
        .output
        .note("there is no way back in without its passphrase or key file");
    Ok(vault)
}
