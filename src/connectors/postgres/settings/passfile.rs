//! libpq's password file: `host:port:database:user:password` lines, the first that fits counts.
//!
//! PostgreSQL 18, "The Password File" of libpq, and `passwordFromFile` in `fe-connect.c`.

use std::path::Path;

use zeroize::Zeroizing;

use crate::{files, model::Secret};

use super::{MAX_FILE_BYTES, Settings, parameters::SOCKET_FOLDERS};

/// The password that the file has for these settings. A file that is not there has none; one that cannot be used, or
/// that others may read, has none either, with a warning.
pub(super) fn look_up(
    path: &Path,
    settings: &Settings,
    warnings: &mut Vec<String>,
) -> Option<Secret> {
    let mut ignored = |why: &str| {
        warnings.push(format!(
            "the password file {} is ignored: {why}",
            path.display()
        ));
    };
    let metadata = std::fs::metadata(path).ok()?;
    if !metadata.is_file() {
        // As in libpq: `PGPASSFILE=/dev/null` says that there is none.
        return None;
    }
    if is_open_to_others(&metadata) {
        ignored("others may read it (`chmod 0600` closes it)");
        return None;
    }
    match files::read_bounded(path, MAX_FILE_BYTES) {
        Ok(bytes) => find(&bytes, settings, &mut ignored),
        Err(error) => {
            ignored(&format!("it cannot be read ({})", error.kind()));
            None
        }
    }
}

#[cfg(unix)]
fn is_open_to_others(metadata: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    metadata.permissions().mode() & 0o077 != 0
}

#[cfg(not(unix))]
fn is_open_to_others(_metadata: &std::fs::Metadata) -> bool {
    false
}

fn find(bytes: &[u8], settings: &Settings, ignored: &mut impl FnMut(&str)) -> Option<Secret> {
    let host = match settings.host.as_str() {
        folder if SOCKET_FOLDERS.contains(&folder) => "localhost",
        host => host,
    };
    let port = settings.port.to_string();
    let wanted = [host, &port, &settings.dbname, &settings.user];
    for line in bytes.split(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.first() == Some(&b'#') {
            continue;
        }
        let fields = wanted
            .iter()
            .try_fold(line, |rest, field| after(rest, field));
        let Some(rest) = fields else { continue };
        let password = unescaped(rest);
        return match std::str::from_utf8(&password) {
            Ok("") => None,
            Ok(text) => Some(Secret::from(text)),
            Err(_) => {
                ignored("the password in it is not UTF-8 text");
                None
            }
        };
    }
    None
}

/// What follows a field that is `*` or this text, its `:` and `\` escaped.
fn after<'a>(line: &'a [u8], field: &str) -> Option<&'a [u8]> {
    if let Some(rest) = line.strip_prefix(b"*:") {
        return Some(rest);
    }
    let mut rest = line;
    for expected in field.bytes() {
        let (first, others) = rest.split_first()?;
        let (byte, others) = match first {
            b'\\' => others.split_first()?,
            b':' => return None,
            _ => (first, others),
        };
        if *byte != expected {
            return None;
        }
        rest = others;
    }
    rest.strip_prefix(b":")
}

/// The last field, up to a `:` that is not escaped.
fn unescaped(rest: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut password = Zeroizing::new(Vec::with_capacity(rest.len()));
    let mut bytes = rest.iter();
    while let Some(&byte) = bytes.next() {
        match byte {
            b':' => break,
            b'\\' => password.push(*bytes.next().unwrap_or(&byte)),
            _ => password.push(byte),
        }
    }
    password
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use proptest::prelude::*;

    use super::{super::Environment, *};

    fn settings(text: &str) -> Settings {
        Settings::from_url(text, &Environment::default()).unwrap().0
    }

    fn found(file: &[u8], text: &str) -> Option<String> {
        let password = find(file, &settings(text), &mut |_| ());
        password.map(|password| password.expose().to_owned())
    }

    #[test]
    fn the_first_line_that_fits_counts() {
        let file =
            b"# h:1:d:u:comment\r\nother:1:d:u:no\nh:1:d:u:yes\r\nh:*:*:u:port\n*:*:*:*:rest\n";
        for (text, password) in [
            ("host=h port=1 dbname=d user=u", "yes"),
            ("host=h port=2 dbname=d user=u", "port"),
            ("host=h port=2 dbname=d user=v", "rest"),
            ("host=other port=1 dbname=d user=u", "no"),
            ("host=hh port=1 dbname=d user=u", "rest"),
        ] {
            assert_eq!(found(file, text).as_deref(), Some(password), "{text}");
        }
        assert_eq!(found(b"h:1:d:u", "host=h port=1 dbname=d user=u"), None);
        assert_eq!(found(b"h:1:d:u:", "host=h port=1 dbname=d user=u"), None);
    }

    #[test]
    fn escapes_and_sockets_are_read_as_libpq_reads_them() {
        for (line, text, password) in [
            (r"\:\:1:5432:d:u:p", "host=::1 dbname=d user=u", "p"),
            ("::1:5432:d:u:p", "host=::1 dbname=d user=u", ""),
            (
                r"h:5432:a\\b:u:p\:q\\r",
                r"host=h dbname='a\\b' user=u",
                r"p:q\r",
            ),
            ("h:5432:d:u:p:q", "host=h dbname=d user=u", "p"),
            (r"h:5432:d:u:p\", "host=h dbname=d user=u", r"p\"),
            (
                "localhost:*:d:u:p",
                "host=/var/run/postgresql dbname=d user=u",
                "p",
            ),
            ("/run/pg:*:d:u:p", "host=/run/pg dbname=d user=u", "p"),
            ("localhost:*:d:u:p", "host=/run/pg dbname=d user=u", ""),
        ] {
            assert_eq!(
                found(line.as_bytes(), text).unwrap_or_default(),
                password,
                "{line}"
            );
        }
    }

    #[test]
    fn a_file_that_others_may_read_is_ignored_with_a_warning() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".pgpass");
        fs::write(&path, "*:*:*:*:hunter2\n").unwrap();
        let settings = settings("host=h user=u");
        for (mode, is_used) in [(0o600, true), (0o400, true), (0o640, false), (0o604, false)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let mut warnings = Vec::new();
            let password = look_up(&path, &settings, &mut warnings);
            assert_eq!(password.is_some(), is_used, "{mode:o}");
            assert_eq!(warnings.is_empty(), is_used, "{mode:o}");
            assert!(!warnings.concat().contains("hunter2"));
        }
        let mut warnings = Vec::new();
        assert!(look_up(Path::new("/dev/null"), &settings, &mut warnings).is_none());
        assert!(look_up(folder.path(), &settings, &mut warnings).is_none());
        assert!(look_up(&folder.path().join("none"), &settings, &mut warnings).is_none());
        assert_eq!(warnings, [""; 0]);
    }

    #[test]
    fn hostile_files_have_no_password_and_do_no_harm() {
        let text = "host=h port=1 dbname=d user=u";
        assert_eq!(found(b"h:1:d:u:\xff\xfe", text), None);
        assert_eq!(found(b"\0\0\0::::", text), None);
        let mut many = b"x:1:d:u:p\n".repeat(10_000);
        assert_eq!(found(&many, text), None);
        many.extend(b"h:1:d:u:last");
        assert_eq!(found(&many, text).as_deref(), Some("last"));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("huge");
        fs::write(&path, vec![b'*'; (1 << 20) + 1]).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let mut warnings = Vec::new();
        assert!(look_up(&path, &settings(text), &mut warnings).is_none());
        assert_eq!(warnings.len(), 1);
    }

    proptest! {
        #[test]
        fn what_is_escaped_is_found(
            host in "[^\0,@/\\\\\\s\\p{Cc}][^\0,@/\\\\\\s\\p{Cc}]{0,5}", name in "[^\0\n\r]{1,6}", user in "[^\0\n\r]{1,6}", password in "[^\0\n\r]{1,6}",
        ) {
            let escaped = |text: &str| text.replace('\\', "\\\\").replace(':', "\\:");
            let line = format!("{}:5432:{}:{}:{}", escaped(&host), escaped(&name), escaped(&user), escaped(&password));
            let settings = Settings { host, dbname: name, user, ..settings("host=h user=u") };
            // A first character that makes it a comment is libpq's own trap.
            prop_assume!(!line.starts_with('#'));
            let found = find(line.as_bytes(), &settings, &mut |_| ());
            prop_assert_eq!(found, Some(Secret::from(password.as_str())));
        }
    }
}
