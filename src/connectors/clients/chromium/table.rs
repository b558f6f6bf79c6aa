//! Whether a table of a LevelDB can be given to the package that reads it. That takes whatever memory a block says it
//! needs, and goes one call deeper for each block in turn that it can't use: both end the program, and by no panic.
//!
//! Facts: Google's LevelDB, `doc/table_format.md` and `table/{format,block}.cc`; Snappy, `format_description.txt`.

use rusty_leveldb::compressor::{Compressor, SnappyCompressor};
use zeroize::Zeroizing;

use super::leveldb;

/// Whether its blocks stand in it one after the other, have their checksums, and are neither too many nor too large. (Of
/// a damaged block the package would say nothing, and leave out what is in it.)
pub(super) fn is_sound(bytes: &[u8]) -> bool {
    checked(bytes).is_some()
}

fn checked(bytes: &[u8]) -> Option<()> {
    let (stored, footer) = bytes.split_at_checked(bytes.len().checked_sub(FOOTER)?)?;
    let mut footer = footer.strip_suffix(&MAGIC)?;
    let (about, index) = (Handle::take(&mut footer)?, Handle::take(&mut footer)?);
    // What is known of the blocks: a filter.
    for handle in handles(&about.contents(stored)?)? {
        handle.block(stored)?;
    }
    let mut from = 0;
    for handle in handles(&index.contents(stored)?)? {
        handle
            .block(stored)?
            .size()
            .filter(|size| *size <= MAX_BLOCK)?;
        (handle.offset >= from).then_some(())?;
        from = handle.offset + handle.size;
    }
    Some(())
}

/// Where a block is.
struct Handle {
    offset: usize,
    size: usize,
}

/// A block as it is stored.
struct Block<'a> {
    bytes: &'a [u8],
    is_compressed: bool,
}

impl Handle {
    fn take(bytes: &mut &[u8]) -> Option<Self> {
        Some(Self {
            offset: number(bytes)?,
            size: number(bytes)?,
        })
    }

    fn block<'a>(&self, stored: &'a [u8]) -> Option<Block<'a>> {
        let rest = stored.get(self.offset..)?;
        let (bytes, trailer) = rest.split_at_checked(self.size)?;
        let [compression, checksum @ ..] = trailer.first_chunk::<TRAILER>()?;
        (leveldb::checksum(&[bytes, &[*compression]]) == *checksum).then_some(())?;
        Some(Block {
            bytes,
            is_compressed: *compression != 0,
        })
    }

    fn contents(&self, stored: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let block = self.block(stored)?;
        block.size().filter(|size| *size <= MAX_BLOCK)?;
        let bytes = block.bytes.to_vec();
        let contents = if block.is_compressed {
            SnappyCompressor.decode(bytes).ok()?
        } else {
            bytes
        };
        Some(Zeroizing::new(contents))
    }
}

impl Block<'_> {
    /// What it says that it takes in memory.
    fn size(&self) -> Option<usize> {
        if self.is_compressed {
            number(&mut { self.bytes })
        } else {
            Some(self.bytes.len())
        }
    }
}

/// The handles that the entries of a block are; at most [`MAX_BLOCKS`].
fn handles(block: &[u8]) -> Option<Vec<Handle>> {
    let (rest, count) = block.split_last_chunk::<4>()?;
    let restarts = usize::try_from(u32::from_le_bytes(*count)).ok()?;
    let mut rest = rest.get(..rest.len().checked_sub(restarts.checked_mul(4)?)?)?;
    let mut handles = Vec::new();
    while !rest.is_empty() {
        let (_shared, own, value) = (number(&mut rest)?, number(&mut rest)?, number(&mut rest)?);
        let (mut value, after) = rest.get(own..)?.split_at_checked(value)?;
        rest = after;
        handles.push(Handle::take(&mut value)?);
        (handles.len() <= MAX_BLOCKS).then_some(())?;
    }
    Some(handles)
}

/// Takes a number of seven bits a byte, the lowest first.
fn number(bytes: &mut &[u8]) -> Option<usize> {
    let mut number: u64 = 0;
    for place in 0..9 {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return usize::try_from(number).ok();
        }
    }
    None
}

/// Two handles, filled up to 40 bytes, and a magic number.
const FOOTER: usize = 48;
const MAGIC: [u8; 8] = [0x57, 0xfb, 0x80, 0x8b, 0x24, 0x75, 0x47, 0xdb];

/// How a block is compressed, and a checksum.
const TRAILER: usize = 5;

/// Chromium's tables have two megabytes, and blocks of four kilobytes.
const MAX_BLOCKS: usize = 4_000;

/// The longest text of an origin has ten megabytes, which one block holds.
const MAX_BLOCK: usize = 32 << 20;
