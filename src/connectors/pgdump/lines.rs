//! The lines of a dump, one at a time, in a buffer that is wiped.

use std::io::{self, BufRead, Read};

use zeroize::Zeroizing;

/// What came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Came {
    /// A whole line.
    Line,
    /// More than a line may hold.
    TooLong,
    /// The end, perhaps within a line.
    End,
}

pub(super) struct Lines<R> {
    reader: R,
    line: Zeroizing<Vec<u8>>,
    number: u64,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(reader: R) -> Self {
        Self {
            reader,
            line: Zeroizing::new(Vec::with_capacity(USUAL_LINE_BYTES)),
            number: 0,
        }
    }

    /// Reads the next line.
    ///
    /// # Errors
    /// As the reader says.
    pub(super) fn next(&mut self) -> io::Result<Came> {
        self.line.clear();
        loop {
            let room = self.line.capacity() - self.line.len();
            let mut bounded = (&mut self.reader).take(room as u64);
            let read = bounded.read_until(b'\n', &mut self.line)?;
            let is_all = read < room || self.line.last() == Some(&b'\n');
            if is_all || self.line.len() > MAX_LINE_BYTES {
                break;
            }
            // A vector that grows by itself leaves what it held behind; tokens are wiped.
            let mut larger = Zeroizing::new(Vec::with_capacity(self.line.len() * 4));
            larger.extend_from_slice(&self.line);
            self.line = larger;
        }
        self.number += 1;
        Ok(match self.line.pop() {
            Some(b'\n') => {
                if self.line.last() == Some(&b'\r') {
                    self.line.pop();
                }
                Came::Line
            }
            Some(last) => {
                self.line.push(last);
                if self.line.len() > MAX_LINE_BYTES {
                    Came::TooLong
                } else {
                    Came::End
                }
            }
            None => Came::End,
        })
    }

    /// Skips the rest of a line that is too long.
    ///
    /// # Errors
    /// As the reader says.
    pub(super) fn skip(&mut self) -> io::Result<()> {
        self.reader.skip_until(b'\n').map(drop)
    }

    /// Skips the rows of a table that nobody asks for, of any length; answers whether their end came.
    ///
    /// # Errors
    /// As the reader says.
    pub(super) fn skip_rows(&mut self) -> io::Result<bool> {
        loop {
            self.line.clear();
            let mut bounded = (&mut self.reader).take(END_OF_ROWS.len() as u64 + 2);
            bounded.read_until(b'\n', &mut self.line)?;
            self.number += 1;
            let Some(b'\n') = self.line.last() else {
                if self.reader.skip_until(b'\n')? == 0 && self.line.is_empty() {
                    return Ok(false);
                }
                continue;
            };
            if self.line.trim_ascii_end() == END_OF_ROWS {
                return Ok(true);
            }
        }
    }

    /// The line that came.
    pub(super) fn line(&mut self) -> &mut [u8] {
        &mut self.line
    }

    /// Its number, counted from 1.
    pub(super) fn number(&self) -> u64 {
        self.number
    }
}

/// The line after the last row of a table. In a row a backslash is written twice.
pub(super) const END_OF_ROWS: &[u8] = b"\\.";
/// Far more than a row of ours takes; what is longer is not Mastodon's, or is hostile.
const MAX_LINE_BYTES: usize = 16 << 20;
const USUAL_LINE_BYTES: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    fn all(text: &[u8], chunk: usize) -> Vec<String> {
        let mut lines = Lines::new(BufReader::with_capacity(chunk, text));
        let mut read = Vec::new();
        while lines.next().unwrap() == Came::Line {
            read.push(String::from_utf8(lines.line().to_vec()).unwrap());
        }
        read
    }

    #[test]
    fn lines_end_as_on_either_system_and_a_cut_one_is_none() {
        for chunk in [1, 2, 3, 64] {
            assert_eq!(all(b"a\r\n\nbc\ncut", chunk), ["a", "", "bc"], "{chunk}");
        }
    }

    #[test]
    fn rows_are_skipped_to_their_end_and_no_further() {
        for chunk in [1, 2, 3, 64] {
            let text = b"1\tx\n\\\\.\n\\.x\n\n.\n\\.\nafter\n";
            let mut lines = Lines::new(BufReader::with_capacity(chunk, text.as_slice()));
            assert!(lines.skip_rows().unwrap());
            assert_eq!(lines.next().unwrap(), Came::Line);
            assert_eq!(lines.line(), b"after", "{chunk}");
            assert_eq!(lines.number(), 7);
            for cut in 0..b"1\tx\n\\\\.\n\\.x\n\n.\n\\.".len() {
                let mut lines = Lines::new(BufReader::with_capacity(chunk, &text[..cut]));
                assert!(!lines.skip_rows().unwrap(), "{cut}");
            }
        }
    }

    #[test]
    fn a_line_that_never_ends_takes_no_memory() {
        let endless = BufReader::new(io::repeat(b'x'));
        let mut lines = Lines::new(endless);
        assert_eq!(lines.next().unwrap(), Came::TooLong);
        assert!(lines.line.capacity() <= 4 * MAX_LINE_BYTES);
    }

    #[test]
    fn a_long_line_is_whole() {
        let text = [vec![b'x'; 3 * USUAL_LINE_BYTES], b"\ny\n".to_vec()].concat();
        let mut lines = Lines::new(text.as_slice());
        assert_eq!(lines.next().unwrap(), Came::Line);
        assert_eq!(lines.line().len(), 3 * USUAL_LINE_BYTES);
        assert_eq!(lines.next().unwrap(), Came::Line);
        assert_eq!(lines.line(), b"y");
    }
}
