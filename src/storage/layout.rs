//! Where everything stands in the file, in units of 4 KiB. The names are those of `docs/format.md`.
//!
//! ```text
//! 0 header A   1 header B   2 superblock A   3 superblock B   then segments:
//! segment = mid A, mid B, 99 × group      group = leaf A, leaf B, 102 × block
//! ```

use crate::crypto::{NONCE_BYTES, Seal, TAG_BYTES};

/// Bytes of a unit, of a block, and of redb's page.
pub(super) const UNIT: usize = 4096;
/// [`UNIT`] as a file offset.
pub(super) const UNIT_U64: u64 = UNIT as u64;
/// The two copies of the header.
pub(super) const HEADERS: [u64; 2] = [0, 1];
/// The two copies of the superblock.
pub(super) const SUPERBLOCKS: [u64; 2] = [2, 3];
/// Nonce and tag of a block, in a leaf.
pub(super) const SEAL_BYTES: usize = NONCE_BYTES + TAG_BYTES;
/// Which copy is the current one (1 byte), its nonce and tag: a leaf in its mid, a mid in the superblock.
pub(super) const CHILD_BYTES: usize = 1 + SEAL_BYTES;
/// Blocks that a leaf vouches for.
pub(super) const BLOCKS_PER_LEAF: u64 = (UNIT / SEAL_BYTES) as u64;
/// Leaves that a mid vouches for.
pub(super) const LEAVES_PER_MID: u64 = (UNIT / CHILD_BYTES) as u64;
/// Mids that the superblock vouches for.
pub(super) const MIDS: u64 = 65;
/// Stretches of blocks whose order the superblock holds, in 2 bytes each.
pub(super) const STRETCHES: usize = 512;
/// Blocks that a vault can hold: about 2.7 GB.
pub(super) const MAX_BLOCKS: u64 = MIDS * LEAVES_PER_MID * BLOCKS_PER_LEAF;

const FIRST_SEGMENT: u64 = 4;
const GROUP_UNITS: u64 = 2 + BLOCKS_PER_LEAF;
const SEGMENT_UNITS: u64 = 2 + LEAVES_PER_MID * GROUP_UNITS;

/// The unit in which a copy of a mid stands.
pub(super) fn mid_unit(mid: u64, copy: u8) -> u64 {
    FIRST_SEGMENT + mid * SEGMENT_UNITS + u64::from(copy)
}

/// The unit in which a copy of a leaf stands.
pub(super) fn leaf_unit(leaf: u64, copy: u8) -> u64 {
    let (mid, place) = (leaf / LEAVES_PER_MID, leaf % LEAVES_PER_MID);
    mid_unit(mid, 0) + 2 + place * GROUP_UNITS + u64::from(copy)
}

/// The unit in which a block stands. Blocks are redb's pages but the first, counted from 0.
pub(super) fn block_unit(block: u64) -> u64 {
    leaf_unit(block / BLOCKS_PER_LEAF, 0) + 2 + block % BLOCKS_PER_LEAF
}

/// Reads a seal; all zeroes = never written.
pub(super) fn seal_from(bytes: &[u8]) -> Option<Seal> {
    let (nonce, rest) = bytes.split_first_chunk::<NONCE_BYTES>()?;
    let (tag, _) = rest.split_first_chunk::<TAG_BYTES>()?;
    let seal = Seal {
        nonce: *nonce,
        tag: *tag,
    };
    (seal != NEVER).then_some(seal)
}

/// Writes a seal; `None` = never written.
pub(super) fn seal_to(seal: Option<Seal>, bytes: &mut [u8]) {
    let seal = seal.unwrap_or(NEVER);
    for (to, from) in bytes.iter_mut().zip(seal.nonce.iter().chain(&seal.tag)) {
        *to = *from;
    }
}

/// A random nonce is never zero but once in 2^192.
const NEVER: Seal = Seal {
    nonce: [0; NONCE_BYTES],
    tag: [0; TAG_BYTES],
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_things_stand_in_one_unit() {
        let mut units = std::collections::BTreeSet::from([0, 1, 2, 3]);
        for mid in 0..2 {
            units.extend([mid_unit(mid, 0), mid_unit(mid, 1)]);
        }
        for leaf in 0..2 * LEAVES_PER_MID {
            units.extend([leaf_unit(leaf, 0), leaf_unit(leaf, 1)]);
        }
        let blocks = 2 * LEAVES_PER_MID * BLOCKS_PER_LEAF;
        units.extend((0..blocks).map(block_unit));
        let expected = 4 + 4 + 4 * LEAVES_PER_MID + blocks;
        assert_eq!(units.len() as u64, expected);
        assert_eq!(units.last(), Some(&(expected - 1)), "and there is no gap");
    }
}
