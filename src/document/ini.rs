//! INI files of Qt and KDE programs: sections of keys and texts, read only.
//!
//! The two dialects look alike and escape differently. Facts: Qt 6, `qsettings.cpp` (`readIniLine`, `iniUnescapedKey`,
//! `iniUnescapedStringList`, `stringToVariant`); KDE Frameworks 6, `kconfigini.cpp` (`parseConfig`,
//! `printableToString`). What is no text (lists, stored objects) has no value.

use zeroize::Zeroizing;

use super::SyntaxError;

/// A dialect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// `QSettings::IniFormat`: `a%40b\key="x\x41;"`, where `\` in a key parts groups.
    Qt,
    /// KConfig: `key[$i]=x\s`, `[group][in a group]`.
    Kde,
}

/// A section, in the order of the text; the same may stand twice.
pub struct Section {
    /// Its name; empty for what stands outside of any. Groups in a group are parted by `/` (Qt) or U+001D (KDE).
    pub name: String,
    /// Keys and their values; of a key that stands twice the last counts.
    pub entries: Vec<(String, Option<Zeroizing<String>>)>,
}

impl Section {
    /// The text of a key.
    pub fn get(&self, key: &str) -> Option<&str> {
        let mut entries = self.entries.iter().rev();
        let (_, value) = entries.find(|(name, _)| name == key)?;
        value.as_ref().map(|text| text.as_str())
    }
}

/// Reads a file.
///
/// # Errors
/// [`SyntaxError`] when it is no text, or a line is neither a section nor a key.
pub fn parse(dialect: Dialect, bytes: &[u8]) -> Result<Vec<Section>, SyntaxError> {
    let (text, shift) = super::syntax::text(bytes)?;
    let mut sections = vec![Section {
        name: String::new(),
        entries: Vec::new(),
    }];
    let mut rest = text;
    while !rest.is_empty() {
        let offset = text.len() - rest.len() + shift;
        let end = match dialect {
            Dialect::Qt => qt_line(rest),
            Dialect::Kde => rest.find('\n').unwrap_or(rest.len()),
        };
        let (line, after) = rest.split_at(end);
        // What ends a line of Qt's may be a comment on the same one.
        rest = after
            .find('\n')
            .map_or("", |at| after.get(at + 1..).unwrap_or_default());
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        let wrong = |what: &str| SyntaxError::at(bytes, offset, what);
        if line.starts_with('[') {
            let name = section(dialect, line).ok_or_else(|| wrong("a section is not closed"))?;
            sections.push(Section {
                name,
                entries: Vec::new(),
            });
            continue;
        }
        let (key, value) = match (line.split_once('='), dialect) {
            (Some(parts), _) => parts,
            // A deleted key.
            (None, Dialect::Kde) if line.ends_with(']') => continue,
            (None, _) => return Err(wrong("expected key=value")),
        };
        let entry = match dialect {
            Dialect::Qt => (qt_key(key.trim()), qt_value(value)),
            Dialect::Kde => (kde_key(key), kde(value.trim())),
        };
        if let Some(section) = sections.last_mut() {
            section.entries.push(entry);
        }
    }
    Ok(sections)
}

/// The name in a section's line.
fn section(dialect: Dialect, line: &str) -> Option<String> {
    match dialect {
        Dialect::Qt => {
            let name = line.strip_prefix('[')?.split(']').next()?;
            line.contains(']').then_some(())?;
            // The name of what stands outside of any section, and how a section of that name is told from it.
            Some(match name.trim() {
                name if name.eq_ignore_ascii_case("general") => String::new(),
                name if name.eq_ignore_ascii_case("%general") => name.replace('%', ""),
                name => qt_key(name),
            })
        }
        Dialect::Kde => {
            let mut names = Vec::new();
            let mut rest = line;
            while let Some(inside) = rest.strip_prefix('[') {
                let (name, after) = inside.split_once(']')?;
                rest = after;
                if name != "$i" {
                    names.push(kde(name)?.as_str().to_owned());
                }
            }
            Some(names.join("\u{1d}"))
        }
    }
}

/// How long a line of Qt's is: line breaks in quotes and after a backslash belong to it, a comment does not.
fn qt_line(text: &str) -> usize {
    let mut quoted = false;
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = byte == b'\r',
            b'\\' => escaped = true,
            b'"' => quoted = !quoted,
            b'\n' if !quoted => return at,
            b';' if !quoted && at > 0 => return at,
            _ => {}
        }
        if at == 0 && matches!(byte, b';' | b'#') {
            return text.find('\n').unwrap_or(text.len());
        }
    }
    text.len()
}

/// `%40` and `%U20AC` are characters (units of UTF-16), a backslash parts groups.
fn qt_key(key: &str) -> String {
    let mut units: Vec<u16> = Vec::with_capacity(key.len());
    let mut rest = key;
    while let Some(c) = rest.chars().next() {
        let after = rest.get(c.len_utf8()..).unwrap_or_default();
        let (digits, long) = match after.strip_prefix('U') {
            Some(digits) => (digits.get(..4), 1),
            None => (after.get(..2), 0),
        };
        let unit = digits.and_then(|digits| u16::from_str_radix(digits, 16).ok());
        match (c, unit) {
            ('%', Some(unit)) => {
                units.push(unit);
                let passed = digits.map_or(0, str::len) + long;
                rest = after.get(passed..).unwrap_or_default();
                continue;
            }
            ('\\', _) => units.push(u16::from(b'/')),
            _ => units.extend_from_slice(c.encode_utf16(&mut [0; 2])),
        }
        rest = after;
    }
    String::from_utf16_lossy(&units)
}

/// A text in C's escapes, with or without quotes; `None` for a list, or an object.
fn qt_value(value: &str) -> Option<Zeroizing<String>> {
    // Units of UTF-16, of which no escape makes more than it has bytes: nothing grows, so no copy stays behind.
    let mut units: Zeroizing<Vec<u16>> = Zeroizing::new(Vec::with_capacity(value.len()));
    let mut chars = value.trim_start().chars().peekable();
    let mut quoted = false;
    // As far as white space counts.
    let mut kept = 0;
    while let Some(c) = chars.next() {
        match c {
            '"' => quoted = !quoted,
            ',' if !quoted => return None,
            '\\' => {
                let escape = chars.next()?;
                let number = |first: Option<char>,
                              radix: u32,
                              chars: &mut std::iter::Peekable<_>| {
                    let mut number = first.and_then(|c| c.to_digit(radix)).unwrap_or(0);
                    while let Some(digit) = chars.peek().and_then(|c: &char| c.to_digit(radix)) {
                        number = (number << radix.trailing_zeros() | digit) & 0xffff;
                        chars.next();
                    }
                    u16::try_from(number).unwrap_or_default()
                };
                units.push(match escape {
                    'a' => 0x07,
                    'b' => 0x08,
                    'f' => 0x0c,
                    'n' => 0x0a,
                    'r' => 0x0d,
                    't' => 0x09,
                    'v' => 0x0b,
                    'x' => number(None, 16, &mut chars),
                    '0'..='7' => number(Some(escape), 8, &mut chars),
                    '\r' => {
                        chars.next_if_eq(&'\n');
                        continue;
                    }
                    '"' | '?' | '\'' | '\\' => u16::try_from(u32::from(escape)).ok()?,
                    // A line break goes on with the next line; what is no escape is left out.
                    _ => continue,
                });
                kept = units.len();
            }
            c => {
                units.extend_from_slice(c.encode_utf16(&mut [0; 2]));
                if quoted || !c.is_whitespace() {
                    kept = units.len();
                }
            }
        }
    }
    units.truncate(kept);
    let text = Zeroizing::new(String::from_utf16(&units).ok()?);
    let Some(named) = text.strip_prefix('@') else {
        return Some(text);
    };
    // A text that begins with the sign has it twice; else it names what is stored.
    let inside = |name: &str| named.strip_prefix(name)?.strip_suffix(')');
    let text = match named.strip_prefix('@') {
        Some(_) => Some(named),
        None => inside("String(").or_else(|| inside("ByteArray(")),
    };
    text.map(|text| Zeroizing::new(text.to_owned()))
}

/// A key without its options (`[$i]`) and language.
fn kde_key(key: &str) -> String {
    let key = key.trim();
    let bare = key.split('[').next().unwrap_or(key).trim_end();
    kde(bare).map_or_else(String::new, |text| text.as_str().to_owned())
}

/// A text in KConfig's escapes, which name bytes.
fn kde(text: &str) -> Option<Zeroizing<String>> {
    let mut out = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        match bytes.next() {
            Some(b's') => out.push(b' '),
            Some(b't') => out.push(b'\t'),
            Some(b'n') => out.push(b'\n'),
            Some(b'r') => out.push(b'\r'),
            Some(b'\\') | None => out.push(b'\\'),
            Some(b'x') => {
                let mut digit = || char::from(bytes.next()?).to_digit(16);
                let number = digit()? << 4 | digit()?;
                out.push(u8::try_from(number).ok()?);
            }
            // In lists: the backslash stays.
            Some(other) => out.extend_from_slice(&[b'\\', other]),
        }
    }
    let text = std::str::from_utf8(&out).ok()?;
    Some(Zeroizing::new(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sections with their keys and values.
    fn told(dialect: Dialect, text: &str) -> Vec<String> {
        let sections = parse(dialect, text.as_bytes()).unwrap();
        let lines = sections.iter().flat_map(|section| {
            section.entries.iter().map(|(key, value)| {
                let value = value.as_ref().map_or("?", |text| text.as_str());
                format!("[{}]{key}={value}", section.name)
            })
        });
        lines.collect()
    }

    #[test]
    fn what_qt_writes_is_read() {
        for (text, expected) in [
            ("[General]\nv=1\n", "[]v=1"),
            ("[%General]\nv=1\n", "[General]v=1"),
            ("\u{feff}v = 1 \r\n", "[]v=1"),
            ("[a%20b]\r\nx%40y\\k\\%U20ACl=1\r\n", "[a b]x@y/k/€l=1"),
            ("k=\" a;b,c=d \"\n", "[]k= a;b,c=d "),
            ("k=a ; comment\nk=b # none\n", "[]k=a|[]k=b # none"),
            (";k=1\n#k=2\n\nk=3", "[]k=3"),
            (r#"k=\x41\"\\\x20ac"\n"\101""#, "[]k=A\"\\€\nA"),
            ("k=a\\\n  b\n", "[]k=a  b"),
            ("k=\"a\nb\"\n", "[]k=a\nb"),
            (
                "k=a, b\nl=@Invalid()\nm=@@x\nn=@ByteArray(y)\n",
                "[]k=?|[]l=?|[]m=@x|[]n=y",
            ),
            ("k=\nk=%\n%=1\n", "[]k=|[]k=%|[]%=1"),
        ] {
            assert_eq!(told(Dialect::Qt, text).join("|"), expected, "{text}");
        }
    }

    #[test]
    fn what_kde_writes_is_read() {
        for (text, expected) in [
            (
                "[a@b]\nK=v\n\n[c][d][$i]\nK=w\r\n",
                "[a@b]K=v|[c\u{1d}d]K=w",
            ),
            ("K=\\sa\\tb\\\\\\x41\\xc3\\xa9\\n\n", "[]K= a\tb\\Aé\n"),
            ("K[$i]=v\nK[de]=w\nL[$d]\n# c\n", "[]K=v|[]K=w"),
            ("\\x5bK=a;b \\;c\n", "[][K=a;b \\;c"),
            ("K=\\xff\n", "[]K=?"),
            ("[\\x5ba]\nK=[v]\n", "[[a]K=[v]"),
        ] {
            assert_eq!(told(Dialect::Kde, text).join("|"), expected, "{text}");
        }
    }

    #[test]
    fn of_a_key_that_stands_twice_the_last_counts() {
        let sections = parse(Dialect::Kde, b"[a]\nk=1\nk=2\n").unwrap();
        assert_eq!(sections[1].get("k"), Some("2"));
        assert_eq!(sections[1].get("l"), None);
    }

    #[test]
    fn what_is_no_line_is_an_error_that_shows_nothing() {
        for (dialect, text, line) in [
            (Dialect::Qt, "a=1\nSECRET\n", 2),
            (Dialect::Kde, "a=1\nSECRET\n", 2),
            (Dialect::Qt, "[SECRET\n", 1),
            (Dialect::Kde, "\n[a][SECRET\n", 2),
        ] {
            let error = parse(dialect, text.as_bytes()).err().unwrap();
            assert_eq!(error.line, line, "{text}");
            assert!(!error.to_string().contains("SECRET"));
        }
        assert!(parse(Dialect::Qt, b"a=\xff").is_err());
    }
}
