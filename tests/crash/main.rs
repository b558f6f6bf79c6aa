//! What is left of a vault when something goes wrong below it: power cuts, killed processes, full and failing disks,
//! and bytes that somebody altered.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test helpers outside of #[test] functions"
)]

mod damage;
mod disk;
mod faults;
mod power;
mod random;
mod vaults;
