//! A row of COPY's text format, and what its values say (PostgreSQL's documentation: COPY, "Text Format").

/// The wanted fields of a row, unescaped where they stand. `slots` tells for each column of the table where its value
/// belongs, if anywhere; `None` when the row has more columns or fewer.
pub(super) fn fields<'l, const N: usize>(
    line: &'l mut [u8],
    slots: &[Option<usize>],
) -> Option<[Option<&'l [u8]>; N]> {
    let mut places = [None; N];
    let mut start = 0;
    for (at, slot) in slots.iter().enumerate() {
        let rest = line.get_mut(start..)?;
        let length = rest.iter().position(|byte| *byte == b'\t');
        if length.is_none() != (at + 1 == slots.len()) {
            return None;
        }
        let length = length.unwrap_or(rest.len());
        if let Some(slot) = slot {
            let field = rest.get_mut(..length)?;
            if field != b"\\N" {
                *places.get_mut(*slot)? = Some((start, unescape(field)));
            }
        }
        start += length + 1;
    }
    let line: &'l [u8] = line;
    Some(places.map(|place| place.and_then(|(start, length)| line.get(start..start + length))))
}

/// Puts the characters in place of their escapes; answers how many bytes are left. What is written is never ahead of
/// what is read.
fn unescape(field: &mut [u8]) -> usize {
    let Some(first) = field.iter().position(|byte| *byte == b'\\') else {
        return field.len();
    };
    let (mut from, mut to) = (first, first);
    while let Some(&byte) = field.get(from) {
        from += 1;
        let (meant, more) = match byte {
            b'\\' => escaped(field.get(from..).unwrap_or_default()),
            byte => (byte, 0),
        };
        from += more;
        if let Some(place) = field.get_mut(to) {
            *place = meant;
        }
        to += 1;
    }
    to
}

/// What stands behind a backslash, and how many bytes it takes.
fn escaped(rest: &[u8]) -> (u8, usize) {
    let Some(&letter) = rest.first() else {
        return (b'\\', 0);
    };
    match letter {
        b'b' => (8, 1),
        b'f' => (12, 1),
        b'n' => (b'\n', 1),
        b'r' => (b'\r', 1),
        b't' => (b'\t', 1),
        b'v' => (11, 1),
        b'0'..=b'7' => number(rest, 8, 3),
        b'x' => match number(rest.get(1..).unwrap_or_default(), 16, 2) {
            (_, 0) => (b'x', 1),
            (byte, digits) => (byte, digits + 1),
        },
        other => (other, 1),
    }
}

/// A byte as at most so many digits, and how many there are. As in PostgreSQL, what is too large loses its upper bits.
fn number(digits: &[u8], base: u32, most: usize) -> (u8, usize) {
    let (mut value, mut count) = (0u32, 0);
    for digit in digits.iter().take(most) {
        let Some(digit) = char::from(*digit).to_digit(base) else {
            break;
        };
        value = value * base + digit;
        count += 1;
    }
    (u8::try_from(value & 0xff).unwrap_or_default(), count)
}

/// A row id.
pub(super) fn id(field: Option<&[u8]>) -> Option<u64> {
    // The instance actor's account is -99; as bits it is as good a key as any.
    int(field).map(i64::cast_unsigned)
}

/// A `bigint`.
pub(super) fn int(field: Option<&[u8]>) -> Option<i64> {
    std::str::from_utf8(field?).ok()?.parse().ok()
}

/// A `boolean`.
pub(super) fn boolean(field: Option<&[u8]>) -> Option<bool> {
    match field? {
        b"f" => Some(false),
        b"t" => Some(true),
        _ => None,
    }
}

/// A `timestamp` in microseconds since 1970-01-01; infinities are no time. pg_dump sets DateStyle to ISO:
/// `2026-01-02 03:04:05.678901`, with ` BC` behind it before the year 1, which has as many digits as it takes.
pub(super) fn micros(field: Option<&[u8]>) -> Option<i64> {
    let text = std::str::from_utf8(field?).ok()?;
    let (text, is_bc) = match text.strip_suffix(" BC") {
        Some(text) => (text, true),
        None => (text, false),
    };
    let (date, time) = text.split_once(' ')?;
    let [year, month, day] = parts(date, '-')?;
    let (time, fraction) = time.split_once('.').unwrap_or((time, ""));
    let [hour, minute, second] = parts(time, ':')?;
    let in_range = year >= 1
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour <= 24
        && minute < 60
        && second <= 60
        && fraction.len() <= 6;
    if !in_range {
        return None;
    }
    let year = if is_bc { 1 - year } else { year };
    let micros = match fraction {
        "" => 0,
        digits => whole(digits)? * 10i64.pow(u32::try_from(6 - digits.len()).ok()?),
    };
    let seconds = days(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second;
    seconds.checked_mul(1_000_000)?.checked_add(micros)
}

fn parts(text: &str, by: char) -> Option<[i64; 3]> {
    let mut parts = text.splitn(3, by).map(whole);
    Some([parts.next()??, parts.next()??, parts.next()??])
}

/// A number of few digits.
fn whole(digits: &str) -> Option<i64> {
    let is_plain = digits.len() <= 6 && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| is_plain)
}

/// Days from 1970-01-01 to a day of the Gregorian calendar, reckoned backwards too, as PostgreSQL does. Its years go
/// further than those of jiff. Years begin in March here, so that the day that comes and goes is their last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let month = (month + 9) % 12;
    let of_year = (153 * month + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use jiff::civil;
    use proptest::{collection::vec, option, prelude::*};

    use super::*;

    /// As COPY TO writes it.
    fn escape(value: &[u8]) -> Vec<u8> {
        let mut text = Vec::new();
        for byte in value {
            match byte {
                b'\\' => text.extend(b"\\\\"),
                8 => text.extend(b"\\b"),
                12 => text.extend(b"\\f"),
                b'\n' => text.extend(b"\\n"),
                b'\r' => text.extend(b"\\r"),
                b'\t' => text.extend(b"\\t"),
                11 => text.extend(b"\\v"),
                byte => text.push(*byte),
            }
        }
        text
    }

    fn line(row: &[Option<Vec<u8>>]) -> Vec<u8> {
        let fields: Vec<Vec<u8>> = row
            .iter()
            .map(|field| {
                field
                    .as_ref()
                    .map_or(b"\\N".to_vec(), |value| escape(value))
            })
            .collect();
        fields.join(&b'\t')
    }

    proptest! {
        #[test]
        fn rows_are_read_as_they_were_written(row in vec(option::of(vec(any::<u8>(), 0..20)), 4)) {
            let mut text = line(&row);
            let slots = [Some(1), None, Some(0), Some(2)];
            let read = fields::<3>(&mut text, &slots).unwrap();
            let expected = [&row[2], &row[0], &row[3]].map(Option::as_deref);
            prop_assert_eq!(read, expected);
            let more = [Some(0); 5];
            prop_assert!(fields::<3>(&mut line(&row), &more).is_none());
            prop_assert!(fields::<3>(&mut line(&row), &slots[..3]).is_none());
        }

        #[test]
        fn whatever_stands_behind_a_backslash_is_read(mut text in vec(any::<u8>(), 0..40)) {
            let length = text.len();
            prop_assert!(unescape(&mut text) <= length);
        }

        #[test]
        fn times_are_those_of_the_calendar(micros_since_1970 in -60_000_000_000_000_000i64..253_000_000_000_000_000) {
            let time = jiff::Timestamp::from_microsecond(micros_since_1970).unwrap();
            let shown = time.to_string().replace('T', " ");
            let shown = shown.trim_end_matches('Z');
            prop_assert_eq!(micros(Some(shown.as_bytes())), Some(micros_since_1970));
        }
    }

    #[test]
    fn every_escape_of_the_manual_is_known() {
        for (text, value) in [
            (r"a\\b", &b"a\\b"[..]),
            (r"\b\f\n\r\t\v", &[8, 12, 10, 13, 9, 11]),
            (r"\101\7\0008", b"A\x07\x008"),
            (r"\x41\x4g\xg", b"A\x04gxg"),
            (r"\q\.", b"q."),
            (r"\NN", b"NN"),
            ("end\\", b"end\\"),
        ] {
            let mut bytes = text.as_bytes().to_vec();
            assert_eq!(
                fields::<1>(&mut bytes, &[Some(0)]),
                Some([Some(value)]),
                "{text}"
            );
        }
        let (mut null, mut empty) = (b"\\N".to_vec(), Vec::new());
        assert_eq!(fields::<1>(&mut null, &[Some(0)]), Some([None]));
        assert_eq!(fields::<1>(&mut empty, &[Some(0)]), Some([Some(&[][..])]));
    }

    #[test]
    fn values_are_taken_only_as_postgres_writes_them() {
        assert_eq!(id(Some(b"-99")), Some((-99i64).cast_unsigned()));
        assert_eq!(
            (int(Some(b"7 ")), int(Some(b"")), int(None)),
            (None, None, None)
        );
        assert_eq!(
            (boolean(Some(b"t")), boolean(Some(b"true"))),
            (Some(true), None)
        );
        for no_time in [
            "infinity",
            "-infinity",
            "",
            "2026-01-02",
            "2026-13-01 00:00:00",
            "2026-01-02 03:04:05+01",
            "0000-01-01 00:00:00",
            "2026-01-02 03:04:05.1234567",
        ] {
            assert_eq!(micros(Some(no_time.as_bytes())), None, "{no_time}");
        }
        let day = civil::date(-43, 3, 15).at(12, 0, 0, 500_000_000);
        let day = day.in_tz("UTC").unwrap().timestamp().as_microsecond();
        assert_eq!(micros(Some(b"0044-03-15 12:00:00.5 BC")), Some(day));
        // The last years of PostgreSQL's are beyond what counts from 1970, there as here.
        assert!(micros(Some(b"294246-12-31 23:59:59.999999")).is_some());
        assert_eq!(micros(Some(b"294276-12-31 23:59:59.999999")), None);
        assert_eq!(micros(Some(b"999999-12-31 23:59:59.999999")), None);
    }
}
