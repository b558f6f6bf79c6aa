//! Connection strings as libpq has them, taken apart: URLs and `key=value` words.
//!
//! PostgreSQL 18, "Connection Strings" of libpq. Problems never quote the text: what stands in the wrong place may be a
//! password.

use zeroize::Zeroizing;

use super::Problem;

/// Keywords and values, in the order of the text.
pub(super) type Pairs = Vec<(String, Zeroizing<String>)>;

/// Takes a connection string apart, of either form.
///
/// # Errors
/// When it is none. The message holds none of its text.
pub(super) fn parse(text: &str) -> Result<Pairs, Problem> {
    if is_url(text) || text.contains("://") && !text.contains('=') {
        return parse_url(text);
    }
    check(text)?;
    words(text)
}

/// Takes a URL apart.
///
/// # Errors
/// When it is none of a PostgreSQL database. The message holds none of its text.
pub(super) fn parse_url(text: &str) -> Result<Pairs, Problem> {
    check(text)?;
    let rest = SCHEMES.iter().find_map(|scheme| text.strip_prefix(scheme));
    let rest = rest.ok_or_else(|| {
        problem(
            "this is no URL of a PostgreSQL database: it begins with postgres:// or postgresql://",
        )
    })?;
    url(rest)
}

fn is_url(text: &str) -> bool {
    SCHEMES.iter().any(|scheme| text.starts_with(scheme))
}

fn check(text: &str) -> Result<(), Problem> {
    if text.len() > MAX_BYTES {
        return Err(problem("the connection string is too long"));
    }
    if text.contains('\0') {
        return Err(problem("the connection string holds a NUL character"));
    }
    Ok(())
}

/// `key=value key = 'quoted value'`. A backslash takes the next character as it is.
fn words(text: &str) -> Result<Pairs, Problem> {
    let mut pairs = Pairs::new();
    let mut rest = text.trim_start_matches(is_space);
    while !rest.is_empty() {
        let end = rest.find(|c: char| c == '=' || is_space(c));
        let (key, after) = rest.split_at(end.unwrap_or(rest.len()));
        let value = after.trim_start_matches(is_space).strip_prefix('=');
        let value = value.filter(|_| !key.is_empty()).ok_or_else(|| {
            problem("expected key=value words, or a URL that begins with postgres://")
        })?;
        let (value, after) = word(value.trim_start_matches(is_space))?;
        pairs.push((key.to_owned(), value));
        rest = after.trim_start_matches(is_space);
    }
    Ok(pairs)
}

/// A value, and what follows it.
fn word(text: &str) -> Result<(Zeroizing<String>, &str), Problem> {
    let inside = text.strip_prefix('\'');
    let mut value = Zeroizing::new(String::with_capacity(text.len()));
    let mut letters = inside.unwrap_or(text).chars();
    loop {
        let before = letters.as_str();
        match letters.next() {
            Some('\'') if inside.is_some() => return Ok((value, letters.as_str())),
            Some(c) if inside.is_none() && is_space(c) => return Ok((value, before)),
            Some('\\') => value.extend(letters.next()),
            Some(c) => value.push(c),
            None if inside.is_some() => return Err(problem("a quote is not closed")),
            None => return Ok((value, "")),
        }
    }
}

/// What follows the scheme: `[user[:password]@][host][:port][/database][?key=value&…]`.
fn url(rest: &str) -> Result<Pairs, Problem> {
    let mut pairs = Pairs::new();
    let mut add = |key: &str, text: &str| {
        if !text.is_empty() {
            pairs.push((key.to_owned(), decoded(text)?));
        }
        Ok::<_, Problem>(())
    };
    // As in libpq: names and passwords end at the first @, and hold no / as it is.
    let rest = match rest.split(['/']).next().and_then(|part| part.find('@')) {
        Some(at) => {
            let (login, host) = rest.split_at(at);
            let (user, password) = login.split_once(':').unwrap_or((login, ""));
            add("user", user)?;
            add("password", password)?;
            host.strip_prefix('@').unwrap_or(host)
        }
        None => rest,
    };
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
    if authority.contains('@') || database.contains('@') {
        return Err(problem(
            "there is an @ too many: in names and passwords, write %40 for @, %2F for / and %3A for :",
        ));
    }
    let (host, port) = host_and_port(authority)?;
    add("host", host)?;
    add("port", port)?;
    add("dbname", database)?;
    for parameter in query.split('&').filter(|part| !part.is_empty()) {
        let (key, value) = parameter
            .split_once('=')
            .ok_or_else(|| problem("expected key=value behind the ? of the URL"))?;
        match (key, value) {
            // What JDBC writes, and libpq takes.
            ("ssl", "true") => add("sslmode", "require")?,
            _ => add(&decoded(key)?, value)?,
        }
    }
    Ok(pairs)
}

fn host_and_port(authority: &str) -> Result<(&str, &str), Problem> {
    if authority.contains(',') {
        return Err(problem("it names several hosts: name the one to use"));
    }
    if let Some(inside) = authority.strip_prefix('[') {
        let (host, rest) = inside
            .split_once(']')
            .ok_or_else(|| problem("the ] behind the address is missing"))?;
        let port = rest.strip_prefix(':');
        if port.is_none() && !rest.is_empty() {
            return Err(problem("expected : or / behind the ]"));
        }
        return Ok((host, port.unwrap_or_default()));
    }
    Ok(authority.split_once(':').unwrap_or((authority, "")))
}

/// Percent-decoding (RFC 3986): a + stays one.
fn decoded(text: &str) -> Result<Zeroizing<String>, Problem> {
    let wrong = || problem("a % in the URL is not followed by two hexadecimal digits: write %25");
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || char::from(rest.next()?).to_digit(16);
        let (high, low) = (digit().ok_or_else(wrong)?, digit().ok_or_else(wrong)?);
        match u8::try_from(high * 16 + low) {
            Ok(0) | Err(_) => return Err(problem("the URL holds a NUL character")),
            Ok(byte) => bytes.push(byte),
        }
    }
    let text = std::str::from_utf8(&bytes)
        .map_err(|_| problem("what stands behind a % of the URL is not UTF-8 text"))?;
    Ok(Zeroizing::new(text.to_owned()))
}

/// C's isspace, which libpq asks.
fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t'..='\r')
}

fn problem(text: &str) -> Problem {
    Problem(text.to_owned())
}

const SCHEMES: &[&str] = &["postgres://", "postgresql://"];

/// Far more than any connection has to say.
const MAX_BYTES: usize = 16 << 10;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(text: &str) -> String {
        match parse(text) {
            Ok(pairs) => {
                let pairs = pairs
                    .iter()
                    .map(|(key, value)| format!("{key}={}", **value));
                pairs.collect::<Vec<_>>().join("|")
            }
            Err(Problem(what)) => format!("! {what}"),
        }
    }

    /// The cases of PostgreSQL's own test of libpq's URLs (`src/interfaces/libpq/t/001_uri.pl`).
    #[test]
    fn urls_are_read_as_libpq_reads_them() {
        for (url, pairs) in [
            (
                "postgresql://uri-user:secret@host:12345/db",
                "user=uri-user|password=secret|host=host|port=12345|dbname=db",
            ),
            (
                "postgresql://uri-user@host:12345/db",
                "user=uri-user|host=host|port=12345|dbname=db",
            ),
            ("postgresql://uri-user@host/", "user=uri-user|host=host"),
            ("postgresql://host:12345/", "host=host|port=12345"),
            ("postgresql://host", "host=host"),
            ("postgresql://", ""),
            ("postgres:///", ""),
            ("postgresql:///db", "dbname=db"),
            ("postgresql://?hostaddr=127.0.0.1", "hostaddr=127.0.0.1"),
            (
                "postgresql://example.com?hostaddr=63.1.2.4",
                "host=example.com|hostaddr=63.1.2.4",
            ),
            ("postgresql://%68ost/", "host=host"),
            (
                "postgresql://host/db?user=uri-user",
                "host=host|dbname=db|user=uri-user",
            ),
            (
                "postgresql://host/db?u%73er=someotheruser&port=12345",
                "host=host|dbname=db|user=someotheruser|port=12345",
            ),
            (
                "postgresql:///?host=/path/to/socket/dir",
                "host=/path/to/socket/dir",
            ),
            (
                "postgres://otheruser@/no/such/directory",
                "user=otheruser|dbname=no/such/directory",
            ),
            (
                "postgres://otheruser@/?host=/no/such/directory",
                "user=otheruser|host=/no/such/directory",
            ),
            (
                "postgres://otheruser@%2Fno%2Fsuch%2Fdir/db",
                "user=otheruser|host=/no/such/dir|dbname=db",
            ),
            (
                "postgresql://[::1]:12345/db",
                "host=::1|port=12345|dbname=db",
            ),
            ("postgresql://[2001:db8::1234]/", "host=2001:db8::1234"),
            (
                "postgresql://user@[::1]?sslmode=disable",
                "user=user|host=::1|sslmode=disable",
            ),
            ("postgres://:@host", "host=host"),
            ("postgres://user:@host", "user=user|host=host"),
            ("postgres://host?ssl=true", "host=host|sslmode=require"),
            (
                "postgres://u:p%40%2f%3a%25+@h",
                "user=u|password=p@/:%+|host=h",
            ),
            ("postgres://u:a?b@h", "user=u|password=a?b|host=h"),
        ] {
            assert_eq!(shown(url), pairs, "{url}");
        }
    }

    #[test]
    fn words_are_read_as_libpq_reads_them() {
        for (text, pairs) in [
            ("", ""),
            ("host=h user = u", "host=h|user=u"),
            ("  host=h\n\tdbname='my db' ", "host=h|dbname=my db"),
            (r"dbname='it\'s \\' port=1", r"dbname=it's \|port=1"),
            (r"dbname=a\ b", "dbname=a b"),
            ("host= port=1", "host=port=1"),
            ("host='' port=1", "host=|port=1"),
            ("host='a'port=1", "host=a|port=1"),
            ("host=it's", "host=it's"),
            ("host=é", "host=é"),
        ] {
            assert_eq!(shown(text), pairs, "{text}");
        }
    }

    #[test]
    fn problems_never_quote_the_text() {
        for text in [
            "hunter2",
            "host=h hunter2",
            "host='hunter2",
            "=hunter2",
            "postgres://u:hunter2@x@host/db",
            "postgres://u@host/hunter2@x",
            "postgres://[hunter2/db",
            "postgres://[::1]hunter2/db",
            "postgres://a,hunter2/db",
            "postgres://u:hunter2%zz@h",
            "postgres://u:hunter2%00@h",
            "postgres://u:hunter2%ff@h",
            "postgres://h/db?hunter2",
            "postgres://h/db?a=hunter2%",
            "mysql://hunter2",
            "host=hunter2\0",
        ] {
            let shown = shown(text);
            assert!(shown.starts_with("! "), "{text}: {shown}");
            assert!(!shown.contains("hunter2"), "{text}: {shown}");
        }
        assert!(parse(&"host=".repeat(1 << 20)).is_err());
        assert_eq!(parse(&"a=1 ".repeat(4_000)).unwrap().len(), 4_000);
    }

    proptest! {
        #[test]
        fn quoted_values_come_back(values in prop::collection::vec("\\PC{0,12}", 0..6)) {
            let words = values.iter().map(|value| {
                let value = value.replace('\\', "\\\\").replace('\'', "\\'");
                format!("key = '{value}'")
            });
            let text = words.collect::<Vec<_>>().join(" ");
            let read = parse(&text).unwrap();
            let read: Vec<&str> = read.iter().map(|(_, value)| value.as_str()).collect();
            prop_assert_eq!(read, values);
        }

        #[test]
        fn encoded_parts_come_back(
            user in "[^\0]{1,8}", password in "[^\0]{1,8}", host in "[^\0]{1,8}", name in "[^\0]{1,8}",
        ) {
            let encoded = |text: &str| -> String {
                let bytes = text.bytes().map(|byte| format!("%{byte:02X}"));
                bytes.collect::<Vec<_>>().concat()
            };
            let [u, p, h, n] = [&user, &password, &host, &name].map(|text| encoded(text));
            let read = parse(&format!("postgres://{u}:{p}@{h}/{n}")).unwrap();
            let read: Vec<&str> = read.iter().map(|(_, value)| value.as_str()).collect();
            prop_assert_eq!(read, [user, password, host, name]);
        }

        #[test]
        fn any_text_is_read_or_refused(text in "(postgres://)?([a-z=' \\\\@/:?%&\\[\\],]|\\PC){0,40}") {
            drop(parse(&text));
        }
    }
}
