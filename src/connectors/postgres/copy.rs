//! Rows of `COPY … TO STDOUT (FORMAT binary)`, borrowed from the buffer that they came in.
//!
//! The format is that of PostgreSQL's documentation (COPY, "Binary Format"): a signature, flags, a header extension; then
//! for each row the number of its fields as `i16`, for each field its length as `i32` (-1 = NULL) and its bytes; -1 in
//! place of a number of fields ends it. A server sends one row in each message; nothing here relies on that.

use std::io::BufRead;

use zeroize::Zeroizing;

/// Why rows can't be read.
#[derive(Debug)]
pub(super) enum Broken {
    /// The connection broke, or the server gave up.
    Io(std::io::Error),
    /// What came is not in the format.
    Malformed,
}

/// Calls `each` with the fields of every row; a field is `None` where it is NULL.
pub(super) fn rows<const N: usize, E: From<Broken>>(
    mut reader: impl BufRead,
    mut each: impl FnMut(&[Option<&[u8]>; N]) -> Result<(), E>,
) -> Result<(), E> {
    let mut stage = Stage::Header;
    // What is left of a chunk that ends within a row; the next chunk goes behind it.
    let mut waiting = Zeroizing::new(Vec::new());
    loop {
        let chunk = reader.fill_buf().map_err(Broken::Io)?;
        let length = chunk.len();
        if length == 0 {
            return match stage {
                Stage::End if waiting.is_empty() => Ok(()),
                _ => Err(Broken::Malformed.into()),
            };
        }
        if waiting.is_empty() {
            let used = stage.take(chunk, &mut each)?;
            append(&mut waiting, chunk.get(used..).unwrap_or_default());
        } else {
            append(&mut waiting, chunk);
            let used = stage.take(&waiting, &mut each)?;
            waiting.drain(..used);
        }
        if waiting.len() > MAX_ROW_BYTES {
            return Err(Broken::Malformed.into());
        }
        reader.consume(length);
    }
}

/// A vector that grows by itself leaves what it held behind; tokens are wiped.
fn append(to: &mut Zeroizing<Vec<u8>>, bytes: &[u8]) {
    let length = to.len() + bytes.len();
    if length > to.capacity() {
        let mut larger = Zeroizing::new(Vec::with_capacity(length.next_power_of_two()));
        larger.extend_from_slice(to);
        *to = larger;
    }
    to.extend_from_slice(bytes);
}

#[derive(Clone, Copy, PartialEq)]
enum Stage {
    Header,
    Rows,
    End,
}

impl Stage {
    /// Takes whole rows; answers how many bytes they took.
    fn take<const N: usize, E: From<Broken>>(
        &mut self,
        bytes: &[u8],
        each: &mut impl FnMut(&[Option<&[u8]>; N]) -> Result<(), E>,
    ) -> Result<usize, E> {
        let mut rest = bytes;
        let left = |rest: &[u8]| bytes.len() - rest.len();
        if *self == Stage::Header {
            let Some(after) = header(rest)? else {
                return Ok(0);
            };
            rest = after;
            *self = Stage::Rows;
        }
        while *self == Stage::Rows {
            let Some((count, after)) = rest.split_first_chunk() else {
                return Ok(left(rest));
            };
            match i16::from_be_bytes(*count) {
                -1 => {
                    rest = after;
                    *self = Stage::End;
                }
                count if usize::try_from(count) == Ok(N) => {
                    let Some((fields, after)) = fields::<N>(after)? else {
                        return Ok(left(rest));
                    };
                    each(&fields)?;
                    rest = after;
                }
                _ => return Err(Broken::Malformed.into()),
            }
        }
        Ok(left(rest))
    }
}

/// What follows the header; `None` when more must come.
fn header(bytes: &[u8]) -> Result<Option<&[u8]>, Broken> {
    let known = bytes.len().min(SIGNATURE.len());
    if bytes.get(..known) != SIGNATURE.get(..known) {
        return Err(Broken::Malformed);
    }
    let Some((_, rest)) = bytes.split_at_checked(SIGNATURE.len()) else {
        return Ok(None);
    };
    let Some((flags, rest)) = rest.split_first_chunk() else {
        return Ok(None);
    };
    let Some((length, rest)) = rest.split_first_chunk() else {
        return Ok(None);
    };
    let length = u32::from_be_bytes(*length) as usize;
    // The upper half of the flags are those that a reader must know; there are none since PostgreSQL 12.
    if u32::from_be_bytes(*flags) >> 16 != 0 || length > MAX_ROW_BYTES {
        return Err(Broken::Malformed);
    }
    Ok(rest.split_at_checked(length).map(|(_, rest)| rest))
}

type Fields<'b, const N: usize> = ([Option<&'b [u8]>; N], &'b [u8]);

fn fields<const N: usize>(bytes: &[u8]) -> Result<Option<Fields<'_, N>>, Broken> {
    let mut rest = bytes;
    let mut fields = [None; N];
    for field in &mut fields {
        let Some((length, after)) = rest.split_first_chunk() else {
            return Ok(None);
        };
        rest = after;
        let length = i32::from_be_bytes(*length);
        if length == -1 {
            continue;
        }
        let length = usize::try_from(length).map_err(|_| Broken::Malformed)?;
        let Some((value, after)) = rest.split_at_checked(length) else {
            return Ok(None);
        };
        *field = Some(value);
        rest = after;
    }
    Ok(Some((fields, rest)))
}

const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";
/// Far more than a row of ours takes; a server that sends more is not Mastodon's, or is hostile.
const MAX_ROW_BYTES: usize = 16 << 20;

/// Reads bytes as rows of nine fields and lets them go: what a hostile server may send.
#[doc(hidden)]
pub fn read_as_copy(bytes: &[u8]) {
    let taken = rows::<9, Broken>(bytes, |row| {
        for field in row {
            let _ = (id(*field), boolean(*field), micros(*field));
        }
        Ok(())
    });
    drop(taken);
}

/// A row id.
pub(super) fn id(field: Option<&[u8]>) -> Option<u64> {
    // The instance actor's account is -99; as bits it is as good a key as any.
    int(field).map(i64::cast_unsigned)
}

/// A `bigint`.
pub(super) fn int(field: Option<&[u8]>) -> Option<i64> {
    Some(i64::from_be_bytes(field?.try_into().ok()?))
}

/// A `boolean`.
pub(super) fn boolean(field: Option<&[u8]>) -> Option<bool> {
    match field? {
        [0] => Some(false),
        [1] => Some(true),
        _ => None,
    }
}

/// A `timestamp` in microseconds since 1970-01-01; infinities are no time.
pub(super) fn micros(field: Option<&[u8]>) -> Option<i64> {
    let since_2000 = int(field)?;
    if since_2000 == i64::MAX || since_2000 == i64::MIN {
        return None;
    }
    since_2000.checked_add(EPOCH_MICROS)
}

/// 2000-01-01, from where PostgreSQL counts, in microseconds since 1970-01-01.
const EPOCH_MICROS: i64 = 946_684_800_000_000;

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use proptest::{collection::vec, option, prelude::*};

    use super::*;

    impl From<Broken> for String {
        fn from(broken: Broken) -> Self {
            format!("{broken:?}")
        }
    }

    type Row = [Option<Vec<u8>>; 3];

    fn encoded(rows: &[Row]) -> Vec<u8> {
        let mut bytes = [SIGNATURE, &[0; 8]].concat();
        for row in rows {
            bytes.extend(3i16.to_be_bytes());
            for field in row {
                match field {
                    Some(value) => {
                        bytes.extend(i32::try_from(value.len()).unwrap().to_be_bytes());
                        bytes.extend(value);
                    }
                    None => bytes.extend((-1i32).to_be_bytes()),
                }
            }
        }
        bytes.extend((-1i16).to_be_bytes());
        bytes
    }

    fn read(bytes: &[u8], chunk: usize) -> Result<Vec<Row>, String> {
        let mut read = Vec::new();
        rows(BufReader::with_capacity(chunk, bytes), |row| {
            read.push(row.map(|field| field.map(<[u8]>::to_vec)));
            Ok::<_, String>(())
        })?;
        Ok(read)
    }

    proptest! {
        #[test]
        fn rows_come_whole_however_they_are_cut(
            given in vec([(); 3].map(|()| option::of(vec(any::<u8>(), 0..20))), 0..20),
            chunk in 1usize..64,
        ) {
            prop_assert_eq!(read(&encoded(&given), chunk).unwrap(), given);
        }

        #[test]
        fn what_is_cut_off_or_altered_is_an_error_or_other_rows(
            given in vec([(); 3].map(|()| option::of(vec(any::<u8>(), 0..9))), 1..4),
            at in any::<prop::sample::Index>(), bit in 0u8..8,
        ) {
            let bytes = encoded(&given);
            for cut in 0..bytes.len() {
                prop_assert!(read(&bytes[..cut], 16).is_err());
            }
            let mut altered = bytes.clone();
            altered[at.index(bytes.len())] ^= 1 << bit;
            drop(read(&altered, 16));
        }
    }

    #[test]
    fn a_length_that_never_comes_takes_no_memory() {
        let mut bytes = [SIGNATURE, &[0; 8]].concat();
        bytes.extend(3i16.to_be_bytes());
        bytes.extend(i32::MAX.to_be_bytes());
        bytes.resize(MAX_ROW_BYTES + (1 << 20), 0);
        assert_eq!(read(&bytes, 1 << 16), Err("Malformed".to_owned()));
    }

    #[test]
    fn values_are_taken_only_in_their_own_size() {
        assert_eq!(int(Some(&7i64.to_be_bytes())), Some(7));
        assert_eq!(int(Some(&7i32.to_be_bytes())), None);
        assert_eq!(boolean(Some(&[1])), Some(true));
        assert_eq!(boolean(Some(&[2])), None);
        assert_eq!(micros(Some(&0i64.to_be_bytes())), Some(EPOCH_MICROS));
        for infinity in [i64::MAX, i64::MIN] {
            assert_eq!(micros(Some(&infinity.to_be_bytes())), None);
        }
    }
}
