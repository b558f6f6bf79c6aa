//! How rows become bytes: bincode behind one door, and columns inside a block.
//!
//! A block holds rows of one kind, column by column: integers as differences in LEB128, names without what they share
//! with the one before, repeated strings once in a dictionary with as few bits per row as will do. A column that is the
//! same in every row costs nothing per row. Every value begins with a version byte; what is read is bounded, and nothing
//! may follow it.

use std::{collections::VecDeque, marker::PhantomData, sync::Arc};

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

/// Bytes that many rows have in common, as they stand in a dictionary.
pub(super) type Symbol = Arc<[u8]>;

/// A row that can stand in a block.
pub(super) trait Columnar: Sized {
    /// Writes the row's fields, always in the same order. A row may end before fields that it does not have.
    fn write(&self, to: &mut Writer);
    /// Reads them back.
    fn read(from: &mut Reader<'_>) -> Option<Self>;
}

/// Builds blocks row by row, one after the other in the same buffers.
#[derive(Default)]
pub(super) struct Writer {
    rows: u64,
    columns: Vec<Column>,
    /// The column that the next field goes to.
    at: usize,
    /// Bytes in all columns and dictionaries.
    bytes: usize,
    /// Bits that a row takes in all dictionary columns.
    bits: usize,
}

#[derive(Default)]
struct Column {
    bytes: Vec<u8>,
    /// The integer, or the text, of the row before.
    last: u64,
    last_text: Vec<u8>,
    symbols: Vec<Box<[u8]>>,
    /// Which symbol each row has.
    numbers: Vec<usize>,
    before: Before,
}

/// What a row found in a column, to take the row back when it doesn't fit.
#[derive(Default)]
struct Before {
    /// How many rows there were.
    rows: u64,
    bytes: usize,
    symbols: usize,
    numbers: usize,
}

impl Writer {
    /// Adds a row, unless the block would grow beyond `limit`; a block takes its first row whatever its size. After a
    /// refusal, [`Writer::finish`] comes next.
    pub(super) fn push<R: Columnar>(&mut self, row: &R, limit: usize) -> bool {
        self.at = 0;
        row.write(self);
        if self.rows > 0 && self.size() > limit {
            let rows = self.rows;
            let touched = |column: &&mut Column| column.before.rows == rows;
            let columns = self.columns.iter_mut().filter(touched);
            columns.for_each(Column::take_back);
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
        let mut block = Vec::with_capacity(self.size());
        block.push(VERSION);
        put_varint(&mut block, self.rows);
        put_varint(&mut block, self.columns.len() as u64);
        for column in &mut self.columns {
            column.finish(&mut block);
        }
        (self.rows, self.bytes, self.bits) = (0, 0, 0);
        if block.len() > MAX_VALUE_BYTES {
            return Err(Error::TooLarge);
        }
        Ok(block)
    }

    /// The most that the block may take with one more row.
    fn size(&self) -> usize {
        let rows = usize::try_from(self.rows).unwrap_or_default() + 1;
        FRAME_BYTES + self.bytes + 3 * self.columns.len() + rows * self.bits / 8
    }

    /// The column of the next field. What it grows by is to be counted.
    fn next(&mut self) -> &mut Column {
        let at = self.at;
        self.at += 1;
        if self.columns.len() <= at {
            self.columns.resize_with(at + 1, Column::default);
        }
        #[expect(
            clippy::indexing_slicing,
            reason = "pushed just above where it was missing"
        )]
        let column = &mut self.columns[at];
        column.before = Before {
            rows: self.rows,
            bytes: column.bytes.len(),
            symbols: column.symbols.len(),
            numbers: column.numbers.len(),
        };
        column
    }

    fn field(&mut self, write: impl FnOnce(&mut Column)) {
        let column = self.next();
        write(column);
        self.bytes += column.bytes.len() - column.before.bytes;
    }

    /// A field that this row does not have.
    pub(super) fn skip(&mut self) {
        self.at += 1;
    }

    /// An integer by which the rows are sorted.
    pub(super) fn ascending(&mut self, value: u64) {
        self.field(|column| {
            put_varint(&mut column.bytes, value.wrapping_sub(column.last));
            column.last = value;
        });
    }

    /// An integer near the one of the row before.
    pub(super) fn delta(&mut self, value: i64) {
        self.field(|column| {
            let difference = value.wrapping_sub(column.last.cast_signed());
            put_varint(&mut column.bytes, zigzag(difference));
            column.last = value.cast_unsigned();
        });
    }

    /// An integer on its own.
    pub(super) fn plain(&mut self, value: u64) {
        self.field(|column| put_varint(&mut column.bytes, value));
    }

    /// Bytes of a length that another field tells.
    pub(super) fn fixed(&mut self, bytes: &[u8]) {
        self.field(|column| column.bytes.extend_from_slice(bytes));
    }

    /// Bytes of any length.
    pub(super) fn text(&mut self, bytes: &[u8]) {
        self.field(|column| put_counted(&mut column.bytes, bytes));
    }

    /// Bytes by which the rows are sorted: they begin as those of the row before.
    pub(super) fn sorted_text(&mut self, bytes: &[u8]) {
        self.field(|column| {
            let pairs = column.last_text.iter().zip(bytes);
            let shared = pairs.take_while(|(before, now)| before == now).count();
            let own = bytes.get(shared..).unwrap_or_default();
            put_varint(&mut column.bytes, shared as u64);
            put_counted(&mut column.bytes, own);
            column.last_text.truncate(shared);
            column.last_text.extend_from_slice(own);
        });
    }

    /// Bytes that other rows are likely to have too.
    pub(super) fn symbol(&mut self, bytes: &[u8]) {
        let column = self.next();
        // The same as in the row before, more often than not.
        let last = column.numbers.last().copied().unwrap_or_default();
        let is_it = |symbol: &[u8]| is_same(symbol, bytes);
        if column.symbols.get(last).is_some_and(|symbol| is_it(symbol)) {
            column.numbers.push(last);
        } else if let Some(known) = column.symbols.iter().position(|symbol| is_it(symbol)) {
            column.numbers.push(known);
        } else {
            let known = column.symbols.len();
            column.numbers.push(known);
            column.symbols.push(bytes.into());
            self.bytes += bytes.len() + SYMBOL_BYTES;
            self.bits += bits_for(known + 1) - bits_for(known);
        }
    }
}

impl Column {
    fn take_back(&mut self) {
        self.bytes.truncate(self.before.bytes);
        self.symbols.truncate(self.before.symbols);
        self.numbers.truncate(self.before.numbers);
    }

    /// Appends the column to a block and empties it. A dictionary is the number of its symbols, the symbols, each after
    /// its length, then for each row the number of its symbol, in as few bits as the largest takes, lowest bits first.
    fn finish(&mut self, block: &mut Vec<u8>) {
        let bits = bits_for(self.symbols.len());
        if !self.symbols.is_empty() {
            put_varint(&mut self.bytes, self.symbols.len() as u64);
        }
        for symbol in self.symbols.drain(..) {
            put_counted(&mut self.bytes, &symbol);
        }
        if bits > 0 {
            put_bits(&mut self.bytes, &self.numbers, bits);
        }
        put_counted(block, &self.bytes);
        self.bytes.clear();
        self.last_text.clear();
        self.numbers.clear();
        self.last = 0;
    }
}

/// Reads a block row by row.
pub(super) struct Reader<'b> {
    columns: Vec<Cursor<'b>>,
    at: usize,
}

struct Cursor<'b> {
    rest: &'b [u8],
    last: u64,
    last_text: Vec<u8>,
    symbols: Vec<Symbol>,
    /// Bits of `rest` that were read: of a dictionary alone.
    bit: usize,
}

/// The rows of a block, one after the other.
pub(super) struct Rows<'b, R> {
    reader: Reader<'b>,
    left: usize,
    what: &'static str,
    kind: PhantomData<R>,
}

/// Reads a block; `what` names it in errors.
pub(super) fn rows<'b, R: Columnar>(
    block: &'b [u8],
    what: &'static str,
) -> Result<Rows<'b, R>, Error> {
    let (left, columns) = frame(block).ok_or(Error::Inconsistent { what })?;
    Ok(Rows {
        reader: Reader { columns, at: 0 },
        left,
        what,
        kind: PhantomData,
    })
}

/// The first column of a block, where rows are sorted by a number alone: their keys, without the rows.
pub(super) fn ascending(block: &[u8], what: &'static str) -> Result<VecDeque<u64>, Error> {
    let damaged = Error::Inconsistent { what };
    let (count, columns) = frame(block).ok_or(Error::Inconsistent { what })?;
    let mut reader = Reader { columns, at: 0 };
    let keys: Option<_> = (0..count)
        .map(|_| {
            reader.at = 0;
            reader.ascending()
        })
        .collect();
    keys.ok_or(damaged)
}

/// The number of rows in a block, and its columns.
fn frame(block: &[u8]) -> Option<(usize, Vec<Cursor<'_>>)> {
    let mut frame = Cursor::new(block);
    if frame.take(1)? != [VERSION] {
        return None;
    }
    let rows = usize::try_from(frame.varint()?).ok()?;
    let count = usize::try_from(frame.varint()?).ok()?;
    // Every column takes a byte; a row may take none.
    if rows == 0 || rows > MAX_ROWS || count > block.len() {
        return None;
    }
    let columns: Option<Vec<_>> = (0..count)
        .map(|_| frame.counted().map(Cursor::new))
        .collect();
    frame.rest.is_empty().then_some((rows, columns?))
}

impl<R: Columnar> Rows<'_, R> {
    fn step(&mut self) -> Option<R> {
        self.left -= 1;
        self.reader.at = 0;
        let row = R::read(&mut self.reader)?;
        let is_last = self.left == 0;
        (!is_last || self.reader.columns.iter().all(Cursor::is_at_end)).then_some(row)
    }
}

impl<R: Columnar> Iterator for Rows<'_, R> {
    type Item = Result<R, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            return None;
        }
        let row = self.step();
        if row.is_none() {
            self.left = 0;
        }
        Some(row.ok_or(Error::Inconsistent { what: self.what }))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (usize::from(self.left > 0), Some(self.left))
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

    pub(super) fn ascending(&mut self) -> Option<u64> {
        let cursor = self.next()?;
        cursor.last = cursor.last.wrapping_add(cursor.varint()?);
        Some(cursor.last)
    }

    pub(super) fn delta(&mut self) -> Option<i64> {
        let cursor = self.next()?;
        let difference = unzigzag(cursor.varint()?).cast_unsigned();
        cursor.last = cursor.last.wrapping_add(difference);
        Some(cursor.last.cast_signed())
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

    pub(super) fn sorted_text(&mut self) -> Option<&[u8]> {
        let cursor = self.next()?;
        let shared = usize::try_from(cursor.varint()?).ok()?;
        let own = cursor.counted()?;
        if shared > cursor.last_text.len() {
            return None;
        }
        cursor.last_text.truncate(shared);
        cursor.last_text.extend_from_slice(own);
        Some(&cursor.last_text)
    }

    pub(super) fn symbol(&mut self) -> Option<Symbol> {
        let cursor = self.next()?;
        if cursor.symbols.is_empty() {
            for _ in 0..cursor.varint()? {
                let symbol = cursor.counted()?;
                cursor.symbols.push(symbol.into());
            }
        }
        let number = cursor.bits(bits_for(cursor.symbols.len()))?;
        cursor.symbols.get(number).cloned()
    }
}

impl<'b> Cursor<'b> {
    fn new(bytes: &'b [u8]) -> Self {
        Self {
            rest: bytes,
            last: 0,
            last_text: Vec::new(),
            symbols: Vec::new(),
            bit: 0,
        }
    }

    fn is_at_end(&self) -> bool {
        self.rest.len() == self.bit.div_ceil(8)
    }

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

    fn bits(&mut self, count: usize) -> Option<usize> {
        let mut value = 0;
        for at in 0..count {
            let byte = self.rest.get(self.bit / 8)?;
            value |= usize::from(byte >> (self.bit % 8) & 1) << at;
            self.bit += 1;
        }
        Some(value)
    }
}

/// Whether two symbols are the same. Most are short, and most of the others differ at an end.
pub(super) fn is_same(a: &[u8], b: &[u8]) -> bool {
    let ends_alike = a.len() == b.len() && a.first() == b.first() && a.last() == b.last();
    ends_alike && (a.len() <= 2 || a == b)
}

/// How many bits tell so many symbols apart.
fn bits_for(symbols: usize) -> usize {
    let largest = symbols.saturating_sub(1);
    (usize::BITS - largest.leading_zeros()) as usize
}

fn put_bits(bytes: &mut Vec<u8>, numbers: &[usize], bits: usize) {
    let (mut waiting, mut count) = (0u64, 0);
    for number in numbers {
        waiting |= (*number as u64) << count;
        count += bits;
        while count >= 8 {
            bytes.push(waiting.to_le_bytes()[0]);
            waiting >>= 8;
            count -= 8;
        }
    }
    if count > 0 {
        bytes.push(waiting.to_le_bytes()[0]);
    }
}

fn put_counted(bytes: &mut Vec<u8>, part: &[u8]) {
    put_varint(bytes, part.len() as u64);
    bytes.extend_from_slice(part);
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
/// Version byte, and as many bytes for the numbers of rows and columns as a block of one page needs.
const FRAME_BYTES: usize = 4;
/// The most that the length of a symbol and its part of their number take.
const SYMBOL_BYTES: usize = 3;
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
        rank: u64,
    }

    impl Columnar for Sample {
        fn write(&self, to: &mut Writer) {
            to.delta(self.key);
            to.plain(self.number);
            to.text(&self.name);
            to.symbol(&self.word);
            to.fixed(&self.key.to_le_bytes());
            to.ascending(self.rank);
            to.sorted_text(&self.name);
        }

        fn read(from: &mut Reader<'_>) -> Option<Self> {
            let mut sample = Self {
                key: from.delta()?,
                number: from.plain()?,
                name: from.text()?.to_vec(),
                word: from.symbol()?.to_vec(),
                rank: 0,
            };
            let fixed = from.fixed(8)? == sample.key.to_le_bytes();
            sample.rank = from.ascending()?;
            (fixed && from.sorted_text()? == sample.name).then_some(sample)
        }
    }

    fn samples() -> impl Strategy<Value = Vec<Sample>> {
        let sample = (
            any::<i64>(),
            any::<u64>(),
            vec(any::<u8>(), 0..20),
            vec(0u8..3, 0..4),
            any::<u64>(),
        );
        vec(
            sample.prop_map(|(key, number, name, word, rank)| Sample {
                key,
                number,
                name,
                word,
                rank,
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

    fn read(block: &[u8]) -> Result<Vec<Sample>, Error> {
        rows(block, "block")?.collect()
    }

    proptest! {
        #[test]
        fn rows_survive_their_blocks(samples in samples(), limit in 20usize..600) {
            let blocks = packed(&samples, limit);
            let mut all: Vec<Sample> = Vec::new();
            for block in &blocks {
                let rows = read(block).unwrap();
                prop_assert!(rows.len() == 1 || block.len() <= limit, "{} > {limit}", block.len());
                all.extend(rows);
            }
            prop_assert_eq!(all, samples);
        }

        #[test]
        fn damaged_blocks_are_errors(samples in samples(), at in any::<prop::sample::Index>(), bit in 0u8..8) {
            let block = &packed(&samples, 10_000)[0];
            for cut in 0..block.len() {
                prop_assert!(read(&block[..cut]).is_err());
            }
            let mut altered = block.clone();
            altered[at.index(block.len())] ^= 1 << bit;
            drop(read(&altered));
            altered.push(0);
            prop_assert!(read(&altered).is_err());
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in vec(any::<u8>(), 0..300)) {
            drop(read(&bytes));
            let mut marked = vec![VERSION];
            marked.extend(bytes);
            drop(read(&marked));
        }
    }

    #[test]
    fn hostile_lengths_take_no_memory() {
        let huge = [0xff; 9];
        for hostile in [
            [&[VERSION], huge.as_slice(), &[1]].concat(),
            [&[VERSION, 1], huge.as_slice(), &[1]].concat(),
            [&[VERSION, 1, 1], huge.as_slice(), &[1]].concat(),
            [&[VERSION, 1, 5, 0, 0, 0, 11], huge.as_slice(), &[1, 0]].concat(),
        ] {
            assert!(read(&hostile).is_err());
        }
    }
}
