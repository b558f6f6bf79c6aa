//! From a passphrase to a key: Argon2id (RFC 9106), version 0x13.

use std::time::{Duration, Instant};

use argon2::{Algorithm, Argon2, Block, Params, Version};
use zeroize::{Zeroize, Zeroizing};

/// The cost of a key derivation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KdfParams {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub iterations: u32,
    /// Lanes, computed in parallel.
    pub parallelism: u32,
}

impl KdfParams {
    /// RFC 9106's second recommendation (64 MiB, 3 passes, 4 lanes): the least that `calibrate` chooses.
    pub const RECOMMENDED: Self = Self {
        memory_kib: 64 * 1024,
        iterations: 3,
        parallelism: 4,
    };

    /// The least that is accepted: 8 MiB in one pass. For a key file alone it is plenty: 256 random bits need no
    /// stretching.
    pub const LEAST: Self = Self {
        memory_kib: 8 * 1024,
        iterations: 1,
        parallelism: 1,
    };

    /// The most memory that is accepted, 4 GiB: RFC 9106's first recommendation is 2 GiB, and a hostile file must not
    /// make us take more than a machine has.
    pub const MOST_MEMORY_KIB: u32 = 4 * 1024 * 1024;

    /// The most passes times memory that is accepted, as a multiple of one pass over 4 GiB: minutes, not years.
    const MOST_WORK_KIB: u64 = 16 * Self::MOST_MEMORY_KIB as u64;

    /// The most lanes that are accepted.
    const MOST_LANES: u32 = 64;

    /// Measures this machine and chooses the largest memory, up to 256 MiB and a quarter of what there is, with which
    /// 3 passes in 4 lanes take about half a second; never less than [`KdfParams::RECOMMENDED`].
    ///
    /// # Errors
    /// [`KdfError::Memory`] when even 64 MiB can't be had.
    pub fn calibrate() -> Result<Self, KdfError> {
        let start = Instant::now();
        Self::RECOMMENDED.derive(b"calibration", &[0; 32])?;
        let took = start.elapsed().max(Duration::from_millis(1));
        let per_mib = took.as_secs_f64() / 64.0;
        let quarter = total_memory_mib().map_or(u64::from(MOST_CALIBRATED_MIB), |mib| mib / 4);
        let most = u32::try_from(quarter)
            .unwrap_or(u32::MAX)
            .min(MOST_CALIBRATED_MIB);
        let mut mib = 64;
        while mib + 16 <= most && f64::from(mib + 16) * per_mib <= TARGET.as_secs_f64() {
            mib += 16;
        }
        Ok(Self {
            memory_kib: mib * 1024,
            ..Self::RECOMMENDED
        })
    }

    /// Whether it costs an attacker less than RFC 9106's second recommendation.
    pub fn is_weak(&self) -> bool {
        self.memory_kib < Self::RECOMMENDED.memory_kib
            || self.iterations < Self::RECOMMENDED.iterations
    }

    /// Checks the bounds.
    ///
    /// # Errors
    /// [`KdfError::OutOfBounds`] with the numbers.
    pub fn check(&self) -> Result<(), KdfError> {
        let work = u64::from(self.memory_kib).saturating_mul(u64::from(self.iterations));
        let lanes_fit = u64::from(self.memory_kib) >= 8 * u64::from(self.parallelism);
        if self.memory_kib < Self::LEAST.memory_kib
            || self.memory_kib > Self::MOST_MEMORY_KIB
            || self.iterations == 0
            || work > Self::MOST_WORK_KIB
            || self.parallelism == 0
            || self.parallelism > Self::MOST_LANES
            || !lanes_fit
        {
            return Err(KdfError::OutOfBounds(*self));
        }
        Ok(())
    }

    /// Derives 32 bytes. The memory is taken before the work and wiped after it.
    ///
    /// # Errors
    /// [`KdfError::OutOfBounds`], or [`KdfError::Memory`] when it can't be had.
    pub fn derive(&self, secret: &[u8], salt: &[u8; 32]) -> Result<Zeroizing<[u8; 32]>, KdfError> {
        self.check()?;
        let params = Params::new(self.memory_kib, self.iterations, self.parallelism, Some(32))
            .map_err(|_| KdfError::OutOfBounds(*self))?;
        let blocks = params.block_count();
        let mut memory: Vec<Block> = Vec::new();
        memory
            .try_reserve_exact(blocks)
            .map_err(|_| KdfError::Memory {
                mib: self.memory_kib / 1024,
            })?;
        memory.resize(blocks, Block::new());
        let mut key = Zeroizing::new([0; 32]);
        let result = Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into_with_memory(secret, salt, &mut *key, &mut memory);
        memory.iter_mut().for_each(Zeroize::zeroize);
        result.map_err(|_| KdfError::OutOfBounds(*self))?;
        Ok(key)
    }
}

/// A key can't be derived.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KdfError {
    /// The parameters are outside of what is accepted.
    #[error(
        "key derivation with {} MiB of memory, {} passes and {} lanes is not accepted (8 MiB to 4 GiB, at most 64 lanes and \
         64 GiB of memory passes)",
        .0.memory_kib / 1024, .0.iterations, .0.parallelism
    )]
    OutOfBounds(KdfParams),
    /// The system doesn't give so much memory.
    #[error("deriving the key needs {mib} MiB of memory, which this system does not give")]
    Memory {
        /// How much was asked for, in MiB.
        mib: u32,
    },
}

#[cfg(target_os = "linux")]
#[expect(clippy::unnecessary_wraps, reason = "other systems have no answer")]
fn total_memory_mib() -> Option<u64> {
    let info = rustix::system::sysinfo();
    let unit = u64::from(info.mem_unit.max(1));
    #[expect(
        clippy::useless_conversion,
        reason = "totalram is 32 bits wide on some targets"
    )]
    let total = u64::from(info.totalram);
    Some(total.saturating_mul(unit) / (1024 * 1024))
}

#[cfg(not(target_os = "linux"))]
fn total_memory_mib() -> Option<u64> {
    None
}

/// How long an unlock may take where `init` chooses.
const TARGET: Duration = Duration::from_millis(500);
/// Vaults made on a big machine must open on a small one.
const MOST_CALIBRATED_MIB: u32 = 256;

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;

    use super::*;

    #[test]
    fn argon2id_is_that_of_the_reference_implementation() {
        // Computed with the C reference implementation, version 0x13 (argon2-cffi 25.1, `hash_secret_raw`).
        let counting = std::array::from_fn(|n| n.to_le_bytes()[0]);
        for (params, salt, expected) in [
            (
                KdfParams::LEAST,
                [1; 32],
                "eb5399359d59e24e79153a24eb61a8e9aa9876a7e6695bd100fc090c595a3ce6",
            ),
            (
                KdfParams::RECOMMENDED,
                counting,
                "fc5d642bb060f1becda3a96cf47ed429465a98babc939c96228302fc85e53a4f",
            ),
        ] {
            let key = params.derive(b"correct horse", &salt).unwrap();
            assert_eq!(HEXLOWER.encode(&*key), expected, "{params:?}");
        }
    }

    #[test]
    fn hostile_parameters_cost_nothing() {
        let good = KdfParams::RECOMMENDED;
        for bad in [
            KdfParams {
                memory_kib: 96 * 1024 * 1024,
                ..good
            },
            KdfParams {
                memory_kib: u32::MAX,
                ..good
            },
            KdfParams {
                memory_kib: 8 * 1024 - 1,
                ..good
            },
            KdfParams {
                iterations: 0,
                ..good
            },
            KdfParams {
                iterations: u32::MAX,
                ..good
            },
            KdfParams {
                parallelism: 0,
                ..good
            },
            KdfParams {
                parallelism: 65,
                ..good
            },
        ] {
            assert_eq!(bad.derive(b"x", &[0; 32]), Err(KdfError::OutOfBounds(bad)));
        }
    }
}
