//! Progress of long work, told through a trait: bars are drawn in the program, nothing here prints.

/// Hears how far a long piece of work has come.
pub trait Progress {
    /// A new step begins; `total` items are expected, where that is known.
    fn start(&self, what: &str, total: Option<u64>);
    /// So many items are done since the step began.
    fn at(&self, done: u64);
    /// The step is over.
    fn finish(&self);
}

/// Nobody listens.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn start(&self, _what: &str, _total: Option<u64>) {}
    fn at(&self, _done: u64) {}
    fn finish(&self) {}
}
