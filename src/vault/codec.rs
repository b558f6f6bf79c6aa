//! How rows become bytes: bincode behind one door, and columns inside a block.
//!
//! A block holds rows of one kind, column by column: integers as differences in LEB128, repeated strings once in a
//! dictionary. A column that is the same in every row costs nothing per row. Every value begins with a version byte;
//! what is read is bounded, and nothing may follow it.

use std::{collections::HashMap, sync::Arc};

use bincode::{Decode, Encode, config};

use super::Error;

/// Encodes a value with its version byte.
pub(super) fn encode<T: Encode>(value: &T) -> Result<Vec<u8>, Error> {
    let mut bytes = vec![VERSION];
    let body = bincode::encode_to_vec(value, config::standard()).map_err(|_| Error::TooLarge)?;
    bytes.extend_from_slice(&body);
    if bytes.len() > MAX_VALUE_BYTES {
        return Err(Error::TooLarge);
    }
    Ok(bytes)
}

/// Decodes a value; `what` names it in the error.
pub(super) fn decode<T: Decode<()>>(bytes: &[u8], what: &'static str) -> Result<T, Error> {
    let damaged = || Error::Inconsistent { what };
    let (version, body) = bytes.split_first().ok_or_else(damaged)?;
    if *version != VERSION {
        return Err(damaged());
    }
    let config = config::standard().with_limit::<MAX_VALUE_BYTES>();
    let (value, read) = bincode::decode_from_slice(body, config).map_err(|_| damaged())?;
    if read == body.len() {
        Ok(value)
    } else {
        Err(damaged())
    }
}

/// A row that can stand in a block.
pub(super) trait Columnar: Sized {
    /// Writes the row's fields, always the same ones in the same order.
    fn write(&self, to: &mut Writer);
    /// Reads them back.
    fn read(from: &mut Reader<'_>) -> Option<Self>;
}

#[derive(Encode, Decode)]
struct Block {
    rows: u32,
    columns: Vec<Vec<u8>>,
}

/// Builds a block row by row.
#[derive(Default)]
pub(super) struct Writer {
    rows: u32,
    columns: Vec<Column>,
    /// The column that the next field goes to.
    at: usize,
    /// Bytes of the block so far, without the few of its frame.
    bytes: usize,
    log: Vec<Undo>,
}

#[derive(Default)]
struct Column {
    bytes: Vec<u8>,
    last: i64,
    symbols: Vec<Box<[u8]>>,
    index: HashMap<Box<[u8]>, u64>,
    symbol_bytes: usize,
    last_symbol: usize,
}

/// What a field changed in its column, to take it back when the row doesn't fit.
struct Undo {
    column: usize,
    bytes: usize,
    last: i64,
    symbols: usize,
    symbol_bytes: usize,
}

impl Writer {
    /// Adds a row, unless the block would grow beyond `limit`; a block takes its first row whatever its size.
    pub(super) fn push<R: Columnar>(&mut self, row: &R, limit: usize) -> bool {
        self.at = 0;
        self.log.clear();
        let before = self.bytes;
        row.write(self);
        if self.rows > 0 && self.size() > limit {
            self.take_back();
            self.bytes = before;
            return false;
        }
        self.rows += 1;
        true
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// The block's bytes; the writer is empty again.
    pub(super) fn finish(&mut self) -> Result<Vec<u8>, Error> {
        let columns = self.columns.drain(..).map(Column::finish).collect();
        let block = Block {
            rows: self.rows,
            columns,
        };
        *self = Self::default();
        encode(&block)
    }

    fn size(&self) -> usize {
        FRAME_BYTES + self.bytes + 4 * self.columns.len()
    }

    fn take_back(&mut self) {
        while let Some(undo) = self.log.pop() {
            let Some(column) = self.columns.get_mut(undo.column) else {
                continue;
            };
            column.bytes.truncate(undo.bytes);
            column.last = undo.last;
            column.symbol_bytes = undo.symbol_bytes;
            for symbol in column.symbols.drain(undo.symbols..) {
                column.index.remove(&symbol);
            }
        }
    }

    fn next(&mut self) -> &mut Column {
        let at = self.at;
        self.at += 1;
        if self.columns.len() <= at {
            self.columns.push(Column::default());
        }
        let columns = &mut self.columns;
        #[expect(
            clippy::indexing_slicing,
            reason = "pushed just above where it was missing"
        )]
        let column = &mut columns[at];
        self.log.push(Undo {
            column: at,
            bytes: column.bytes.len(),
            last: column.last,
            symbols: column.symbols.len(),
            symbol_bytes: column.symbol_bytes,
        });
        column
    }

    /// A field that this row does not have.
    pub(super) fn skip(&mut self) {
        self.next();
    }

    /// An integer near the one of the row before.
    pub(super) fn delta(&mut self, value: i64) {
        let column = self.next();
        let before = column.bytes.len();
        put_varint(&mut column.bytes, zigzag(value.wrapping_sub(column.last)));
        column.last = value;
        self.bytes += column.bytes.len() - before;
    }

    /// An integer on its own.
    pub(super) fn plain(&mut self, value: u64) {
        let column = self.next();
        let before = column.bytes.len();
        put_varint(&mut column.bytes, value);
        self.bytes += column.bytes.len() - before;
    }

    /// Bytes of a length that another field tells.
    pub(super) fn fixed(&mut self, bytes: &[u8]) {
        self.next().bytes.extend_from_slice(bytes);
        self.bytes += bytes.len();
    }

    /// Bytes of any length.
    pub(super) fn text(&mut self, bytes: &[u8]) {
        let column = self.next();
        let before = column.bytes.len();
        put_varint(&mut column.bytes, bytes.len() as u64);
        column.bytes.extend_from_slice(bytes);
        self.bytes += column.bytes.len() - before;
    }

    /// Bytes that other rows are likely to have too.
    pub(super) fn symbol(&mut self, bytes: &[u8]) {
        let column = self.next();
        let before = column.dictionary_bytes();
        let same = column
            .symbols
            .get(column.last_symbol)
            .is_some_and(|last| **last == *bytes);
        let number = if same {
            column.last_symbol as u64
        } else if let Some(number) = column.index.get(bytes) {
            *number
        } else {
            let number = column.symbols.len() as u64;
            column.symbols.push(bytes.into());
            column.index.insert(bytes.into(), number);
            column.symbol_bytes += bytes.len() + 3;
            number
        };
        // The same as in the row before, more often than not.
        column.last_symbol = usize::try_from(number).unwrap_or_default();
        put_varint(&mut column.bytes, number);
        self.bytes += column.dictionary_bytes() - before;
    }
}

impl Column {
    /// The numbers count only once there is a second symbol.
    fn dictionary_bytes(&self) -> usize {
        self.symbol_bytes
            + if self.symbols.len() > 1 {
                self.bytes.len()
            } else {
                0
            }
    }

    /// A dictionary column is the number of its symbols, the symbols, each after its length, then one number per row,
    /// left out where there is one symbol.
    fn finish(self) -> Vec<u8> {
        if self.symbols.is_empty() {
            return self.bytes;
        }
        let mut bytes = Vec::with_capacity(self.symbol_bytes + self.bytes.len() + 2);
        put_varint(&mut bytes, self.symbols.len() as u64);
        for symbol in &self.symbols {
            put_varint(&mut bytes, symbol.len() as u64);
            bytes.extend_from_slice(symbol);
        }
        if self.symbols.len() > 1 {
            bytes.extend_from_slice(&self.bytes);
        }
        bytes
    }
}

/// Reads a block row by row.
pub(super) struct Reader<'b> {
    columns: Vec<Cursor<'b>>,
    at: usize,
}

struct Cursor<'b> {
    rest: &'b [u8],
    last: i64,
    symbols: Option<Vec<Arc<[u8]>>>,
}

/// Reads all rows of a block.
pub(super) fn rows<R: Columnar>(bytes: &[u8], what: &'static str) -> Result<Vec<R>, Error> {
    let block: Block = decode(bytes, what)?;
    let damaged = || Error::Inconsistent { what };
    // Every row has at least one byte in some column, or the block is one row repeated.
    let count = usize::try_from(block.rows).map_err(|_| damaged())?;
    if count > MAX_ROWS {
        return Err(damaged());
    }
    let columns = block
        .columns
        .iter()
        .map(|bytes| Cursor {
            rest: bytes,
            last: 0,
            symbols: None,
        })
        .collect();
    let mut reader = Reader { columns, at: 0 };
    let mut rows = Vec::with_capacity(count);
    for _ in 0..count {
        reader.at = 0;
        rows.push(R::read(&mut reader).ok_or_else(damaged)?);
    }
    if reader.columns.iter().all(|column| column.rest.is_empty()) {
        Ok(rows)
    } else {
        Err(damaged())
    }
}

impl<'b> Reader<'b> {
    fn next(&mut self) -> Option<&mut Cursor<'b>> {
        let cursor = self.columns.get_mut(self.at);
        self.at += 1;
        cursor
    }

    pub(super) fn skip(&mut self) {
        self.at += 1;
    }

    pub(super) fn delta(&mut self) -> Option<i64> {
        let cursor = self.next()?;
        cursor.last = cursor.last.wrapping_add(unzigzag(cursor.varint()?));
        Some(cursor.last)
    }

    pub(super) fn plain(&mut self) -> Option<u64> {
        self.next()?.varint()
    }

    pub(super) fn fixed(&mut self, len: usize) -> Option<&'b [u8]> {
        self.next()?.take(len)
    }

    pub(super) fn text(&mut self) -> Option<&'b [u8]> {
        self.next()?.counted()
    }

    pub(super) fn symbol(&mut self) -> Option<Arc<[u8]>> {
        let cursor = self.next()?;
        if cursor.symbols.is_none() {
            let count = cursor.varint()?;
            let mut symbols = Vec::new();
            for _ in 0..count {
                symbols.push(Arc::from(cursor.counted()?));
            }
            cursor.symbols = Some(symbols);
        }
        let many = cursor
            .symbols
            .as_ref()
            .is_some_and(|symbols| symbols.len() > 1);
        let number = if many {
            usize::try_from(cursor.varint()?).ok()?
        } else {
            0
        };
        cursor.symbols.as_ref()?.get(number).cloned()
    }
}

impl<'b> Cursor<'b> {
    fn varint(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.rest.split_first()?;
            self.rest = rest;
            let part = u64::from(byte & 0x7f);
            if shift == 63 && part > 1 {
                return None;
            }
            value |= part << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn take(&mut self, len: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(taken)
    }

    fn counted(&mut self) -> Option<&'b [u8]> {
        let len = usize::try_from(self.varint()?).ok()?;
        self.take(len)
    }
}

fn put_varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    bytes.push(value.to_le_bytes()[0]);
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}

const VERSION: u8 = 1;
/// Version byte, row count, column count, with room for a long one of each.
const FRAME_BYTES: usize = 8;
/// No value is larger: one row is at most a token with its fields, each at most 64 KiB.
const MAX_VALUE_BYTES: usize = 1 << 20;
/// A block of one page can't hold more; hostile ones are stopped before they allocate.
const MAX_ROWS: usize = 1 << 16;

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    #[derive(Debug, Clone, PartialEq)]
    struct Sample {
        key: i64,
        number: u64,
        name: Vec<u8>,
        word: Vec<u8>,
    }

    impl Columnar for Sample {
        fn write(&self, to: &mut Writer) {
            to.delta(self.key);
            to.plain(self.number);
            to.text(&self.name);
            to.symbol(&self.word);
            to.fixed(&self.key.to_le_bytes());
        }

        fn read(from: &mut Reader<'_>) -> Option<Self> {
            let sample = Self {
                key: from.delta()?,
                number: from.plain()?,
                name: from.text()?.to_vec(),
                word: from.symbol()?.to_vec(),
            };
            (from.fixed(8)? == sample.key.to_le_bytes()).then_some(sample)
        }
    }

    fn samples() -> impl Strategy<Value = Vec<Sample>> {
        let sample = (
            any::<i64>(),
            any::<u64>(),
            vec(any::<u8>(), 0..20),
            vec(0u8..2, 0..3),
        );
        vec(
            sample.prop_map(|(key, number, name, word)| Sample {
                key,
                number,
                name,
                word,
            }),
            1..60,
        )
    }

    fn packed(samples: &[Sample], limit: usize) -> Vec<Vec<u8>> {
        let mut writer = Writer::default();
        let mut blocks = Vec::new();
        for sample in samples {
            if !writer.push(sample, limit) {
                blocks.push(writer.finish().unwrap());
                assert!(writer.push(sample, limit));
            }
        }
        blocks.push(writer.finish().unwrap());
        blocks
    }

    proptest! {
        #[test]
        fn rows_survive_their_blocks(samples in samples(), limit in 20usize..600) {
            let blocks = packed(&samples, limit);
            let mut read: Vec<Sample> = Vec::new();
            for block in &blocks {
                let rows: Vec<Sample> = rows(block, "block").unwrap();
                prop_assert!(rows.len() == 1 || block.len() <= limit, "{} > {limit}", block.len());
                read.extend(rows);
            }
            prop_assert_eq!(read, samples);
        }

        #[test]
        fn damaged_blocks_are_errors(samples in samples(), at in any::<prop::sample::Index>(), bit in 0u8..8) {
            let block = &packed(&samples, 10_000)[0];
            for cut in 0..block.len() {
                prop_assert!(rows::<Sample>(&block[..cut], "block").is_err());
            }
            let mut altered = block.clone();
            altered[at.index(block.len())] ^= 1 << bit;
            drop(rows::<Sample>(&altered, "block"));
            altered.push(0);
            prop_assert!(rows::<Sample>(&altered, "block").is_err());
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in vec(any::<u8>(), 0..300)) {
            drop(rows::<Sample>(&bytes, "block"));
            let mut marked = vec![VERSION];
            marked.extend(bytes);
            drop(rows::<Sample>(&marked, "block"));
        }
    }

    #[test]
    fn hostile_lengths_take_no_memory() {
        for hostile in [
            [VERSION, 253, 255, 255, 255, 255, 255, 255, 255, 255].as_slice(),
            &[VERSION, 252, 255, 255, 255, 255, 0],
        ] {
            assert!(rows::<Sample>(hostile, "block").is_err());
        }
    }
}
