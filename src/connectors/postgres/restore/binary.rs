//! PostgreSQL's binary COPY format: rows into a buffer, the buffer to the server whenever it is full.
//!
//! The format is documented in PostgreSQL's manual under COPY, "Binary Format": a header, per row the number of its
//! fields, per field its length (-1: NULL) and its bytes in network order, and -1 at the end.

use std::io::{self, Write};

use zeroize::Zeroize as _;

/// Writes rows of one COPY.
pub(super) struct Rows<W> {
    out: W,
    buffer: Vec<u8>,
    width: i16,
}

impl<W: Write> Rows<W> {
    /// Begins rows of so many fields.
    pub(super) fn new(out: W, width: i16) -> Self {
        let mut buffer = Vec::with_capacity(FULL + ROOM);
        buffer.extend_from_slice(b"PGCOPY\n\xff\r\n\0");
        buffer.extend_from_slice(&[0; 8]);
        Self { out, buffer, width }
    }

    /// Begins the next row; as many fields as the width says must follow.
    pub(super) fn row(&mut self) -> io::Result<()> {
        if self.buffer.len() >= FULL {
            self.flush()?;
        }
        self.buffer.extend_from_slice(&self.width.to_be_bytes());
        Ok(())
    }

    pub(super) fn null(&mut self) {
        self.buffer.extend_from_slice(&(-1_i32).to_be_bytes());
    }

    pub(super) fn bytes(&mut self, value: Option<&[u8]>) {
        // Values are bounded long before they reach a length that 31 bits don't hold.
        match value.and_then(|value| Some((value, i32::try_from(value.len()).ok()?))) {
            Some((value, length)) => {
                self.buffer.extend_from_slice(&length.to_be_bytes());
                self.buffer.extend_from_slice(value);
            }
            None => self.null(),
        }
    }

    pub(super) fn text(&mut self, value: Option<&str>) {
        self.bytes(value.map(str::as_bytes));
    }

    pub(super) fn bool(&mut self, value: Option<bool>) {
        self.bytes(
            value
                .map(|value| [u8::from(value)])
                .as_ref()
                .map(<[u8; 1]>::as_slice),
        );
    }

    pub(super) fn int2(&mut self, value: Option<i16>) {
        self.bytes(
            value
                .map(i16::to_be_bytes)
                .as_ref()
                .map(<[u8; 2]>::as_slice),
        );
    }

    pub(super) fn int4(&mut self, value: Option<i32>) {
        self.bytes(
            value
                .map(i32::to_be_bytes)
                .as_ref()
                .map(<[u8; 4]>::as_slice),
        );
    }

    pub(super) fn int8(&mut self, value: Option<i64>) {
        self.bytes(
            value
                .map(i64::to_be_bytes)
                .as_ref()
                .map(<[u8; 8]>::as_slice),
        );
    }

    /// Ends the rows and gives the writer back.
    pub(super) fn finish(mut self) -> io::Result<W> {
        self.buffer.extend_from_slice(&(-1_i16).to_be_bytes());
        self.flush()?;
        Ok(self.out)
    }

    fn flush(&mut self) -> io::Result<()> {
        let written = self.out.write_all(&self.buffer);
        // The rows hold tokens.
        self.buffer.zeroize();
        written
    }
}

/// From so many bytes on, the buffer is sent.
const FULL: usize = 64 << 10;
/// The largest row should fit behind it, so that the buffer never grows and leaves a copy behind.
const ROOM: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_written_as_the_manual_says() {
        let mut rows = Rows::new(Vec::new(), 3);
        rows.row().unwrap();
        rows.text(Some("é"));
        rows.null();
        rows.int8(Some(-2));
        rows.row().unwrap();
        rows.bool(Some(true));
        rows.int2(Some(1));
        rows.int4(None);
        let written = rows.finish().unwrap();
        let expected: Vec<u8> = [
            b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0".as_slice(),
            &[0, 3, 0, 0, 0, 2, 0xc3, 0xa9, 255, 255, 255, 255],
            &[0, 0, 0, 8, 255, 255, 255, 255, 255, 255, 255, 254],
            &[0, 3, 0, 0, 0, 1, 1, 0, 0, 0, 2, 0, 1, 255, 255, 255, 255],
            &[255, 255],
        ]
        .concat();
        assert_eq!(written, expected);
    }
}
