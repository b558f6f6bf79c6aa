//! Receives on a thread of its own, so that rows are taken while the next ones come.
//!
//! A server sends each row in a message of its own, and receiving a million messages takes a third of the time that
//! packing their rows does.

use std::{
    io::{self, BufRead, Read},
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread,
};

use zeroize::Zeroizing;

type Batch = io::Result<Zeroizing<Vec<u8>>>;

/// Calls `take` with what `reader` reads, some batches ahead.
pub(in crate::connectors) fn reading_ahead<T>(
    mut reader: impl BufRead + Send,
    take: impl FnOnce(Ahead) -> T,
) -> T {
    let (sender, receiver) = sync_channel(BATCHES);
    thread::scope(|scope| {
        scope.spawn(move || receive(&mut reader, &sender));
        let batch = Zeroizing::new(Vec::new());
        take(Ahead {
            receiver,
            batch,
            at: 0,
        })
    })
}

/// Reads until the end, or until nobody takes it any more.
fn receive(reader: &mut impl BufRead, sender: &SyncSender<Batch>) {
    loop {
        let mut batch = Zeroizing::new(Vec::with_capacity(BATCH_BYTES));
        let done = loop {
            match reader.fill_buf() {
                Ok([]) => break Ok(true),
                Ok(chunk) if chunk.len() > MAX_MESSAGE_BYTES => {
                    break Err(io::ErrorKind::InvalidData.into());
                }
                Ok(chunk) => {
                    // A buffer that grew would leave copies of secrets behind.
                    if !batch.is_empty() && batch.len() + chunk.len() > BATCH_BYTES {
                        break Ok(false);
                    }
                    batch.extend_from_slice(chunk);
                    let length = chunk.len();
                    reader.consume(length);
                }
                Err(error) => break Err(error),
            }
        };
        let goes_on = matches!(done, Ok(false));
        let is_taken = batch.is_empty() || sender.send(Ok(batch)).is_ok();
        if let Err(error) = done {
            drop(sender.send(Err(error)));
        }
        if !goes_on || !is_taken {
            return;
        }
    }
}

/// What was read ahead.
pub(in crate::connectors) struct Ahead {
    receiver: Receiver<Batch>,
    batch: Zeroizing<Vec<u8>>,
    at: usize,
}

impl BufRead for Ahead {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.at >= self.batch.len()
            && let Ok(batch) = self.receiver.recv()
        {
            self.batch = batch?;
            self.at = 0;
        }
        Ok(self.batch.get(self.at..).unwrap_or_default())
    }

    fn consume(&mut self, amount: usize) {
        self.at += amount;
    }
}

impl Read for Ahead {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(to)?;
        self.consume(read);
        Ok(read)
    }
}

/// One message is one row; a server that sends more is not Mastodon's, or is hostile.
const MAX_MESSAGE_BYTES: usize = 16 << 20;
const BATCH_BYTES: usize = 64 << 10;
/// Half a megabyte ahead.
const BATCHES: usize = 8;

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    #[test]
    fn everything_comes_in_order_and_then_the_end() {
        let bytes: Vec<u8> = (0..1_000_000u32).flat_map(u32::to_le_bytes).collect();
        let reader = BufReader::with_capacity(1000, bytes.as_slice());
        let mut read = Vec::new();
        reading_ahead(reader, |mut ahead| ahead.read_to_end(&mut read)).unwrap();
        assert!(read == bytes);
    }

    #[test]
    fn an_error_comes_after_what_was_read_before_it() {
        struct Broken(bool);
        impl Read for Broken {
            fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
                if std::mem::replace(&mut self.0, true) {
                    return Err(io::Error::other("broken"));
                }
                to[..3].copy_from_slice(b"abc");
                Ok(3)
            }
        }
        let mut read = Vec::new();
        let reader = BufReader::new(Broken(false));
        let error = reading_ahead(reader, |mut ahead| ahead.read_to_end(&mut read)).unwrap_err();
        assert_eq!(
            (read.as_slice(), error.to_string()),
            (&b"abc"[..], "broken".to_owned())
        );
    }

    #[test]
    fn a_message_that_is_no_row_is_not_copied() {
        let bytes = vec![7; MAX_MESSAGE_BYTES + 1];
        let mut read = Vec::new();
        let error = reading_ahead(bytes.as_slice(), |mut ahead| ahead.read_to_end(&mut read));
        assert_eq!(error.unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert!(read.is_empty());
    }

    #[test]
    fn who_stops_taking_stops_the_reader() {
        let endless = BufReader::new(io::repeat(7));
        let first = reading_ahead(endless, |mut ahead| {
            let mut byte = [0];
            ahead.read_exact(&mut byte).map(|()| byte)
        });
        assert_eq!(first.unwrap(), [7]);
    }
}
