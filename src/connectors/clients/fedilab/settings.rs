//! The settings in an export: a Java-serialised map, which is not parsed. It holds the account in use a second time, and
//! the app takes the token from there. A string of the stream is `t`, its length in two bytes, and its bytes (Java Object
//! Serialization Specification, section 6.4.2, `TC_STRING`), so one of equal length can stand in its place.

use zeroize::Zeroizing;

use crate::connectors::store;

use super::rows::Changed;

/// What becomes of the settings.
pub(super) struct Settings {
    /// The stream with another token in it; `None` if it stays.
    pub(super) contents: Option<Zeroizing<Vec<u8>>>,
    /// Whether the token in it may be one that was replaced in the database.
    pub(super) is_stale: bool,
}

/// Puts the token of the account in use there, if that is one of these.
pub(super) fn changed(bytes: &[u8], changed: &[Changed]) -> Settings {
    let stays = |is_stale| Settings {
        contents: None,
        is_stale,
    };
    let value = |key: &str| string_after(bytes, key);
    let known = value("PREF_USER_ID").zip(value("PREF_USER_INSTANCE"));
    let (Some(((_, id), (_, instance))), Some((at, former))) = (known, value("PREF_USER_TOKEN"))
    else {
        return stays(true);
    };
    let is_in_use = |account: &&Changed| {
        account.user_id == id && account.instance.eq_ignore_ascii_case(instance)
    };
    let Some(account) = changed.iter().find(is_in_use) else {
        return stays(false);
    };
    let token = store::in_place_of(former, &account.token);
    if token.as_str() == former {
        return stays(false);
    }
    // Longer ones, and what is spelled otherwise in Java's UTF-8, would be another stream.
    if token.len() != former.len() || !token.is_ascii() {
        return stays(true);
    }
    let mut contents = Zeroizing::new(bytes.to_vec());
    match contents.get_mut(at..at + token.len()) {
        Some(place) => place.copy_from_slice(token.as_bytes()),
        None => return stays(true),
    }
    Settings {
        contents: Some(contents),
        is_stale: false,
    }
}

/// The string that follows a key, and where its bytes begin; `None` unless the key stands there exactly once.
fn string_after<'a>(bytes: &'a [u8], key: &str) -> Option<(usize, &'a str)> {
    if !bytes.starts_with(MAGIC) {
        return None;
    }
    let length = u16::try_from(key.len()).ok()?.to_be_bytes();
    let spelled = [b"t", length.as_slice(), key.as_bytes()].concat();
    let mut found = bytes
        .windows(spelled.len())
        .enumerate()
        .filter(|(_, window)| *window == spelled);
    let (at, _) = found.next()?;
    if found.next().is_some() {
        return None;
    }
    let rest = bytes.get(at + spelled.len()..)?;
    let [b't', high, low, text @ ..] = rest else {
        return None;
    };
    let length = usize::from(u16::from_be_bytes([*high, *low]));
    let text = std::str::from_utf8(text.get(..length)?).ok()?;
    Some((at + spelled.len() + 3, text))
}

/// How a serialised stream begins.
const MAGIC: &[u8] = b"\xac\xed\0\x05";
