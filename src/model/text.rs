//! Text from files, databases and vaults, made harmless to show.

use std::borrow::Cow;

/// The text with what would steer a terminal, or hide or reorder text, spelled out (`\u{1b}`).
///
/// ```
/// use tuskvault::model::shown;
/// assert_eq!(shown("toot 🐘"), "toot 🐘");
/// assert_eq!(shown("a\x1b[31mb"), "a\\u{1b}[31mb");
/// ```
pub fn shown(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_steering) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_steering(c) {
            safe.extend(c.escape_unicode());
        } else {
            safe.push(c);
        }
    }
    Cow::Owned(safe)
}

/// Control characters; bidirectional marks, embeddings, overrides and isolates (Unicode TR 9); invisible characters.
pub fn is_steering(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_terminal_is_spelled_out() {
        assert_eq!(shown("toot 🐘 für alle"), "toot 🐘 für alle");
        assert_eq!(
            shown("a\x1b[31mb\u{202e}c\u{200b}\r\n"),
            "a\\u{1b}[31mb\\u{202e}c\\u{200b}\\u{d}\\u{a}"
        );
    }
}
