//! What `secret-tool search --all --unlock version 1` prints: the items of the keyring, of whatever program, with their
//! secrets.
//!
//! Evidence: libsecret 0.21, `tool/secret-tool.c` (`on_retrieve_secret`): `[/12]`, `label = …`, `secret = …` as it is
//! (none where it can't be had), `created = …`, `modified = …`, `schema = …`; the attributes go to standard error.

/// An item.
pub(super) struct Item<'a> {
    /// Its number in the output, counted from 1.
    pub(super) number: usize,
    /// The first line of its secret.
    pub(super) secret: Option<&'a [u8]>,
    pub(super) schema: Option<&'a str>,
}

/// Whether it is such an output.
pub(super) fn is_one(bytes: &[u8]) -> bool {
    !items(bytes).is_empty()
}

/// The items. What stands outside of them and what else they hold is left alone.
pub(super) fn items(bytes: &[u8]) -> Vec<Item<'_>> {
    let mut items: Vec<Item<'_>> = Vec::new();
    let mut lines = bytes
        .split(|byte| *byte == b'\n')
        .map(without_return)
        .peekable();
    while let Some(line) = lines.next() {
        let follows_label = lines
            .peek()
            .is_some_and(|next| next.starts_with(b"label = "));
        if line.starts_with(b"[") && line.ends_with(b"]") && follows_label {
            items.push(Item {
                number: items.len() + 1,
                secret: None,
                schema: None,
            });
            continue;
        }
        let Some(item) = items.last_mut() else {
            continue;
        };
        if let Some(secret) = line.strip_prefix(b"secret = ") {
            item.secret.get_or_insert(secret);
        } else if let Some(schema) = line.strip_prefix(b"schema = ") {
            item.schema = std::str::from_utf8(schema).ok();
        }
    }
    items
}

fn without_return(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}
