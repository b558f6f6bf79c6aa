//! The fuzz targets, as plain functions of bytes. None may panic, hang or take memory out of proportion, whatever comes;
//! some check more: what was written into a document is what is read from it.

mod clients;
mod medium;
mod targets;

/// Something that takes bytes from outside.
pub struct Target {
    /// Its name.
    pub name: &'static str,
    /// Feeds it.
    pub run: fn(&[u8]),
    /// Where its first inputs are, below `tests/data`; a folder stands for every file in it.
    pub seeds: &'static [&'static str],
}

/// The target of this name.
pub fn find(name: &str) -> Option<&'static Target> {
    all().find(|target| target.name == name)
}

/// First inputs of a target that are made rather than kept.
pub fn made_seeds(target: &Target) -> Vec<Vec<u8>> {
    match target.name {
        "blocks" => targets::blocks(),
        _ => Vec::new(),
    }
}

/// All targets.
pub fn all() -> impl Iterator<Item = &'static Target> {
    targets::ALL.iter().chain(clients::ALL)
}
