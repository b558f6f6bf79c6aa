//! `check`: whether everything in the file can be read that is in use.

use std::sync::Arc;

use redb::Builder;
use zeroize::Zeroizing;

use super::{
    EncryptedFile, Error,
    dense::Dense,
    file::Mode,
    header::Header,
    layout::{BLOCKS_PER_LEAF, UNIT},
    open::contained,
    tree::Tree,
};

impl EncryptedFile {
    /// Reads and authenticates every block in the file as it is, and lets redb verify all that it has in use. Answers
    /// what is wrong, one sentence each. Writes nothing, and trusts nothing that was read before.
    ///
    /// A block that can't be read is no damage where redb doesn't use it: an unfinished commit may have written over it
    /// before a crash. Which ones are in use only redb knows, and it stops at the first that it can't read: then all are
    /// named.
    ///
    /// # Errors
    /// [`Error::Damaged`] when there is nothing to begin with; [`Error::Io`].
    pub fn check(&self, cache_bytes: usize) -> Result<Vec<String>, Error> {
        let overlay = self.anew()?;
        let unreadable = overlay.unreadable_blocks()?;
        let mut builder = Builder::new();
        builder.set_cache_size(cache_bytes);
        builder.set_check_integrity_on_open(true);
        let opened = contained(&overlay, || {
            builder.create_with_backend(Dense(overlay.clone()))
        });
        Ok(match opened {
            Ok(_) => Vec::new(),
            Err(error @ Error::Io { .. }) => return Err(error),
            Err(error) if unreadable.is_empty() => vec![error.to_string()],
            Err(_) => unreadable
                .iter()
                .map(|block| format!("block {block} can't be read"))
                .collect(),
        })
    }

    /// The same file as it is now, with a state of its own that is never written.
    fn anew(&self) -> Result<Self, Error> {
        let (path, medium) = (self.path(), Arc::clone(self.medium()));
        let header = Header::read(&*medium, path)?;
        let master = self.master();
        let tree = Tree::read(header.vault_id, &master.page_key(), &*medium, path)?;
        Ok(Self::new(
            path,
            medium,
            header,
            tree,
            master.clone(),
            Mode::Overlay,
        ))
    }

    /// Every block that the tree vouches for and that is not as it says. Of a leaf or mid that can't be read, all.
    fn unreadable_blocks(&self) -> Result<Vec<u64>, Error> {
        let mut bytes = Zeroizing::new([0; UNIT]);
        let mut unreadable = Vec::new();
        let mut block = 0;
        while block < self.blocks() {
            match self.is_written(block) {
                Ok(false) => {}
                Ok(true) => match self.read_one(block, &mut bytes) {
                    Ok(()) => {}
                    Err(Error::Damaged { .. }) => unreadable.push(block),
                    Err(error) => return Err(error),
                },
                Err(Error::Damaged { .. }) => {
                    let next = (block / BLOCKS_PER_LEAF + 1) * BLOCKS_PER_LEAF;
                    unreadable.extend(block..next.min(self.blocks()));
                    block = next;
                    continue;
                }
                Err(error) => return Err(error),
            }
            block += 1;
        }
        Ok(unreadable)
    }
}
