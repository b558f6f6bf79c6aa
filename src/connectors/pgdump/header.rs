//! What the lines between the rows say: which table comes, when the dump was begun.

use jiff::{Timestamp, civil, tz::Offset};

/// When a dump was begun, as it says itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Started {
    /// A moment.
    At(Timestamp),
    /// By a clock of which no time zone is told.
    Local(civil::DateTime),
    /// In a time zone whose abbreviation stands for several, or for none.
    Unclear(String),
}

impl Started {
    /// Reads what stands behind `-- Started on `: a date, a time and, except on Windows, the time zone's abbreviation.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (date, rest) = text.trim().split_once(' ')?;
        let (time, zone) = rest.split_once(' ').unwrap_or((rest, ""));
        let local: civil::DateTime = format!("{date}T{time}").parse().ok()?;
        let shown = || {
            let zone: String = zone
                .chars()
                .take(MAX_SHOWN)
                .filter(|c| !c.is_control())
                .collect();
            Self::Unclear(format!("{date} {time} {zone}").trim_end().to_owned())
        };
        Some(
            match offset(zone).and_then(|offset| offset.to_timestamp(local).ok()) {
                Some(time) => Self::At(time),
                None => shown(),
            },
        )
    }
}

/// The offset that an abbreviation is: zones without one of their own have their offset in its place.
fn offset(zone: &str) -> Option<Offset> {
    if ["UTC", "GMT", "Z", "UCT"].contains(&zone) {
        return Some(Offset::UTC);
    }
    let (sign, digits) = match zone.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    let digits = digits.replace(':', "");
    let number = |range| {
        digits
            .get(range)
            .and_then(|digits: &str| digits.parse::<i32>().ok())
    };
    let minutes = match digits.len() {
        2 => number(0..2)? * 60,
        4 => number(0..2)? * 60 + number(2..4)?,
        _ => return None,
    };
    Offset::from_seconds(sign * minutes * 60).ok()
}

/// The beginning of a table's rows.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Copy {
    pub(super) schema: String,
    pub(super) table: String,
    pub(super) columns: Vec<String>,
}

impl Copy {
    /// Reads `COPY public.users (id, email) FROM stdin;`.
    pub(super) fn parse(line: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(line).ok()?.strip_prefix("COPY ")?;
        let text = text.strip_suffix(" FROM stdin;")?;
        let (first, mut rest) = name(text)?;
        let (schema, table) = match rest.strip_prefix('.') {
            Some(after) => {
                let (table, after) = name(after)?;
                rest = after;
                (first, table)
            }
            None => (String::new(), first),
        };
        let mut list = rest.strip_prefix(" (")?;
        let mut columns = Vec::new();
        loop {
            let (column, after) = name(list)?;
            columns.push(column);
            match after.strip_prefix(", ") {
                Some(more) => list = more,
                None => {
                    break (after == ")").then_some(Self {
                        schema,
                        table,
                        columns,
                    });
                }
            }
        }
    }
}

/// An identifier, quoted or not, and what follows it.
fn name(text: &str) -> Option<(String, &str)> {
    let Some(mut quoted) = text.strip_prefix('"') else {
        let end = text
            .find(['.', ',', ' ', '(', ')', '"'])
            .unwrap_or(text.len());
        let (name, rest) = text.split_at_checked(end)?;
        return (!name.is_empty()).then(|| (name.to_owned(), rest));
    };
    let mut name = String::new();
    loop {
        let (part, rest) = quoted.split_once('"')?;
        name.push_str(part);
        match rest.strip_prefix('"') {
            Some(more) => {
                name.push('"');
                quoted = more;
            }
            None => return Some((name, rest)),
        }
    }
}

/// Bodies of functions stand between dollars: their lines are no statements of the dump.
#[derive(Default)]
pub(super) struct Bodies {
    /// The tag that ends the one that is open.
    open: Option<Vec<u8>>,
}

impl Bodies {
    /// Takes a line; answers whether it begins within a body.
    pub(super) fn take(&mut self, mut line: &[u8]) -> bool {
        let is_inside = self.open.is_some();
        while let Some(at) = line.iter().position(|byte| *byte == b'$') {
            let rest = line.get(at..).unwrap_or_default();
            match (&self.open, tag(rest)) {
                (Some(open), _) if rest.starts_with(open) => {
                    line = rest.get(open.len()..).unwrap_or_default();
                    self.open = None;
                }
                (None, Some(tag)) => {
                    line = rest.get(tag.len()..).unwrap_or_default();
                    self.open = Some(tag.to_vec());
                }
                _ => line = rest.get(1..).unwrap_or_default(),
            }
        }
        is_inside
    }
}

/// `$$` or `$name$` at the beginning.
fn tag(text: &[u8]) -> Option<&[u8]> {
    let end = text
        .iter()
        .skip(1)
        .take(MAX_SHOWN)
        .position(|byte| *byte == b'$')?
        + 1;
    let inside = text.get(1..end)?;
    let is_name = inside
        .iter()
        .all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
        && !inside.first().is_some_and(u8::is_ascii_digit);
    is_name.then(|| text.get(..=end)).flatten()
}

/// Longer names of time zones, and tags, are not looked at.
const MAX_SHOWN: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_and_its_columns_are_told_apart_whatever_they_are_called() {
        let parsed = |text: &str| {
            Copy::parse(text.as_bytes())
                .map(|copy| (copy.schema, copy.table, copy.columns.join("|")))
        };
        let told = |schema: &str, table: &str, columns: &str| {
            Some((schema.to_owned(), table.to_owned(), columns.to_owned()))
        };
        for (text, expected) in [
            (
                "COPY public.users (id, account_id) FROM stdin;",
                told("public", "users", "id|account_id"),
            ),
            ("COPY users (id) FROM stdin;", told("", "users", "id")),
            (
                r#"COPY "My ""x""".users ("a, b) FROM stdin;", "c.d") FROM stdin;"#,
                told("My \"x\"", "users", "a, b) FROM stdin;|c.d"),
            ),
            ("COPY public.users FROM stdin;", None),
            ("COPY public.users () FROM stdin;", None),
            ("COPY public.users (id FROM stdin;", None),
            ("COPY public.users (\"id) FROM stdin;", None),
            ("COPY public.users (id) TO stdout;", None),
        ] {
            assert_eq!(parsed(text), expected, "{text}");
        }
    }

    #[test]
    fn a_time_is_one_where_its_zone_is_no_riddle() {
        let at = |text: &str| Some(Started::At(text.parse().unwrap()));
        for (text, expected) in [
            ("2026-01-02 03:04:05 UTC", at("2026-01-02T03:04:05Z")),
            ("2026-01-02 03:04:05 GMT", at("2026-01-02T03:04:05Z")),
            ("2026-01-02 03:04:05 +03", at("2026-01-02T00:04:05Z")),
            ("2026-01-02 03:04:05 -0330", at("2026-01-02T06:34:05Z")),
            (
                "2026-01-02 03:04:05 CET",
                Some(Started::Unclear("2026-01-02 03:04:05 CET".into())),
            ),
            (
                "2026-01-02 03:04:05 W. Europe Standard Time",
                Some(Started::Unclear(
                    "2026-01-02 03:04:05 W. Europe Standard Time".into(),
                )),
            ),
            (
                "2026-01-02 03:04:05",
                Some(Started::Unclear("2026-01-02 03:04:05".into())),
            ),
            ("yesterday", None),
            ("", None),
        ] {
            assert_eq!(Started::parse(text), expected, "{text}");
        }
    }

    #[test]
    fn lines_of_a_function_are_inside_it() {
        let text = "a\nAS $_$ b\nINSERT $1 $$ c\n$_$;\nAS $$d$$;\n'$2a$'\ne";
        let mut bodies = Bodies::default();
        let inside: Vec<bool> = text
            .lines()
            .map(|line| bodies.take(line.as_bytes()))
            .collect();
        assert_eq!(inside, [false, false, true, true, false, false, false]);
    }
}
