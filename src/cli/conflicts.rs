//! Conflict copies of a vault: what programs that sync folders leave beside it when two machines changed it.

use std::path::{Path, PathBuf};

/// The conflict copies beside this vault, by name.
///
/// - Syncthing: `vault.sync-conflict-20260301-140000-ABCDEFG.tusk`
///   (<https://docs.syncthing.net/users/syncing.html#conflicting-changes>)
/// - Nextcloud and ownCloud: `vault (conflicted copy 2026-03-01 140000).tusk`
/// - Dropbox: `vault (Alice's conflicted copy 2026-03-01).tusk`, in the language of its user: `(In Konflikt stehende
///   Kopie von …)`, `(Copie en conflit de …)`
pub(crate) fn beside(vault: &Path) -> Vec<PathBuf> {
    let (Some(stem), Some(name)) = (vault.file_stem(), vault.file_name()) else {
        return Vec::new();
    };
    let (stem, name) = (stem.to_string_lossy(), name.to_string_lossy());
    let ending = name.strip_prefix(&*stem).unwrap_or_default().to_owned();
    let folder = vault
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let Ok(entries) = std::fs::read_dir(folder.unwrap_or(Path::new("."))) else {
        return Vec::new();
    };
    let copies = entries.flatten().filter(|entry| {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let mark = name
            .strip_prefix(&*stem)
            .and_then(|rest| rest.strip_suffix(&*ending));
        mark.is_some_and(is_mark) && entry.file_type().is_ok_and(|kind| kind.is_file())
    });
    let mut copies: Vec<PathBuf> = copies.map(|entry| entry.path()).collect();
    copies.sort();
    copies
}

/// What stands between the name and its ending.
fn is_mark(mark: &str) -> bool {
    let is_named = || {
        let mark = mark.to_lowercase();
        ["conflict", "konflikt", "conflit"]
            .iter()
            .any(|word| mark.contains(word))
    };
    mark.starts_with(".sync-conflict-")
        || (mark.starts_with(" (") && mark.ends_with(')') && is_named())
}
