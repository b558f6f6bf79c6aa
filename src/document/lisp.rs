//! Lisp as Emacs prints it (`print`, `prin1`, `pp`): reading it, and spelling strings.
//!
//! The root is the list of all expressions of the text. Lists and vectors are lists; symbols, numbers and the dot of a
//! pair are told by their bytes alone. Facts: Emacs 30, `src/lread.c` (`read0`, `read_string_literal`) and
//! `src/print.c`.

use std::ops::Range;

use zeroize::Zeroizing;

use super::{Kind, Node, SyntaxError, syntax::text};

/// Parses the expressions of a text. A string that is no text (raw bytes that are not UTF-8, keys of a keyboard), and
/// what has a `#` before it, is as opaque as a symbol.
pub(super) fn parse(bytes: &[u8]) -> Result<Node, SyntaxError> {
    let (text, shift) = text(bytes)?;
    if text.len() > MAX_BYTES {
        return Err(SyntaxError::at(bytes, 0, "it is too large"));
    }
    let mut reader = Reader {
        bytes,
        at: shift,
        open: Vec::new(),
        nodes: Vec::new(),
    };
    reader
        .all()
        .map_err(|Fault(at, what)| SyntaxError::at(bytes, at, what))?;
    Ok(Node {
        span: shift..bytes.len(),
        kind: Kind::List(reader.nodes),
    })
}

/// What is wrong, and where.
struct Fault(usize, &'static str);

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    /// The lists that are open, and what stood before each of them.
    open: Vec<Open>,
    /// What is known of the innermost list.
    nodes: Vec<Node>,
}

/// A list or vector that is being read.
struct Open {
    start: usize,
    closed_by: u8,
    /// Whether it is printed in another way than a list is.
    is_opaque: bool,
    /// What stands before it in the list around it.
    before: Vec<Node>,
}

impl Reader<'_> {
    fn peek(&self, ahead: usize) -> Option<u8> {
        self.bytes.get(self.at + ahead).copied()
    }

    fn all(&mut self) -> Result<(), Fault> {
        while let Some(byte) = self.peek(0) {
            let start = self.at;
            self.at += 1;
            match byte {
                // Quotes say how the next expression is taken, which is then read as it stands.
                b' ' | b'\t' | b'\n' | b'\r' | 0x0c | b'\'' | b'`' | b',' => {}
                // A no-break space.
                0xc2 if self.peek(0) == Some(0xa0) => self.at += 1,
                b';' => self.pass_comment(),
                b'(' => self.open(start, b')', false)?,
                b'[' => self.open(start, b']', false)?,
                b')' | b']' => self.close(start, byte)?,
                b'"' => self.string(start)?,
                b'#' => self.hash(start)?,
                b'?' => self.character(start),
                _ => self.symbol(start),
            }
        }
        match self.open.last() {
            Some(open) => Err(Fault(open.start, "a list is not closed")),
            None => Ok(()),
        }
    }

    fn pass_comment(&mut self) {
        while self.peek(0).is_some_and(|byte| byte != b'\n') {
            self.at += 1;
        }
    }

    fn open(&mut self, start: usize, closed_by: u8, is_opaque: bool) -> Result<(), Fault> {
        if self.open.len() >= MAX_DEPTH {
            return Err(Fault(start, "it is nested too deeply"));
        }
        self.open.push(Open {
            start,
            closed_by,
            is_opaque,
            before: std::mem::take(&mut self.nodes),
        });
        Ok(())
    }

    fn close(&mut self, at: usize, byte: u8) -> Result<(), Fault> {
        let open = self.open.pop().filter(|open| open.closed_by == byte);
        let open = open.ok_or(Fault(at, "this closes no list"))?;
        let inside = std::mem::replace(&mut self.nodes, open.before);
        let kind = if open.is_opaque {
            Kind::Other
        } else {
            Kind::List(inside)
        };
        self.put(open.start, kind);
        Ok(())
    }

    fn put(&mut self, start: usize, kind: Kind) {
        let span = start..self.at;
        self.nodes.push(Node { span, kind });
    }

    /// `#s(record)`, `#("text with properties" …)`, `#[a function]`, `#1=`, `#'f`; what `#<` begins can't be read.
    fn hash(&mut self, start: usize) -> Result<(), Fault> {
        match (self.peek(0), self.peek(1)) {
            (Some(b'<'), _) => Err(Fault(start, "this is nothing that can be read back")),
            (Some(b'('), _) | (Some(b's'), Some(b'(')) => {
                self.at += if self.peek(0) == Some(b's') { 2 } else { 1 };
                self.open(start, b')', true)
            }
            (Some(b'['), _) => {
                self.at += 1;
                self.open(start, b']', true)
            }
            (Some(b'\''), _) => {
                self.at += 1;
                Ok(())
            }
            // A bool-vector: its length, then a string.
            (Some(b'&'), _) => {
                self.pass_symbol();
                if self.peek(0) == Some(b'"') {
                    self.at += 1;
                    self.pass_string(start)?;
                }
                self.put(start, Kind::Other);
                Ok(())
            }
            _ => {
                self.symbol(start);
                Ok(())
            }
        }
    }

    /// `?a`, `?\(`, `?\C-x`.
    fn character(&mut self, start: usize) {
        if self.peek(0) == Some(b'\\') {
            self.at += 1;
        }
        self.pass_char();
        self.symbol(start);
    }

    fn symbol(&mut self, start: usize) {
        if self.bytes.get(start) == Some(&b'\\') {
            self.pass_char();
        }
        self.pass_symbol();
        self.put(start, Kind::Other);
    }

    fn pass_symbol(&mut self) {
        while let Some(byte) = self.peek(0) {
            let is_space = byte == 0xc2 && self.peek(1) == Some(0xa0);
            match byte {
                b'\\' => {
                    self.at += 1;
                    self.pass_char();
                }
                _ if is_space || byte <= b' ' || b"\"';()[]`,".contains(&byte) => return,
                _ => self.at += 1,
            }
        }
    }

    /// Passes one character, of however many bytes.
    fn pass_char(&mut self) {
        let is_more = |byte: u8| byte & 0xc0 == 0x80;
        self.at = self.bytes.len().min(self.at + 1);
        while self.peek(0).is_some_and(is_more) {
            self.at += 1;
        }
    }

    fn string(&mut self, start: usize) -> Result<(), Fault> {
        self.pass_string(start)?;
        let inside = self.bytes.get(start + 1..self.at - 1);
        let text = inside.and_then(unescaped);
        self.put(start, text.map_or(Kind::Other, Kind::Text));
        Ok(())
    }

    /// Passes a string whose quote was read.
    fn pass_string(&mut self, start: usize) -> Result<(), Fault> {
        loop {
            match self.peek(0) {
                None => return Err(Fault(start, "a string is not closed")),
                Some(b'"') => break,
                Some(b'\\') => self.at += 2,
                Some(_) => self.at += 1,
            }
        }
        self.at += 1;
        Ok(())
    }
}

/// What stands between the quotes, without its escapes; `None` where that is no text.
fn unescaped(inside: &[u8]) -> Option<Zeroizing<String>> {
    // No escape stands for more bytes than it has, so this never grows and leaves no copy behind.
    let mut out = Zeroizing::new(Vec::with_capacity(inside.len()));
    let mut rest = inside;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte != b'\\' {
            out.push(*byte);
            continue;
        }
        let (escape, after) = rest.split_first()?;
        rest = after;
        let control = match escape {
            b'\n' | b' ' => continue,
            b'\r' if rest.starts_with(b"\n") => {
                rest = rest.get(1..)?;
                continue;
            }
            b'a' => 0x07,
            b'b' => 0x08,
            b't' => b'\t',
            b'n' => b'\n',
            b'v' => 0x0b,
            b'f' => 0x0c,
            b'r' => b'\r',
            b'e' => 0x1b,
            b'd' => 0x7f,
            b's' => b' ',
            b'0'..=b'7' => {
                // The first digit is the escape itself.
                rest = inside.get(inside.len() - rest.len() - 1..)?;
                push(&mut out, number(&mut rest, 8, 0..3)?, Raw::Bytes)?;
                continue;
            }
            b'x' => {
                push(&mut out, number(&mut rest, 16, 1..8)?, Raw::Bytes)?;
                continue;
            }
            b'u' => {
                push(&mut out, number(&mut rest, 16, 4..4)?, Raw::Never)?;
                continue;
            }
            b'U' => {
                push(&mut out, number(&mut rest, 16, 8..8)?, Raw::Never)?;
                continue;
            }
            // Keys with modifiers, and characters by name.
            b'C' | b'M' | b'S' | b'H' | b'A' if rest.starts_with(b"-") => return None,
            b'^' | b'N' => return None,
            other => *other,
        };
        out.push(control);
    }
    let text = std::str::from_utf8(&out).ok()?;
    Some(Zeroizing::new(text.to_owned()))
}

/// Whether a number of 0x80 to 0xff is a byte or a character.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Raw {
    Bytes,
    Never,
}

fn push(out: &mut Vec<u8>, number: u32, raw: Raw) -> Option<()> {
    match u8::try_from(number) {
        Ok(byte) if raw == Raw::Bytes || byte < 0x80 => out.push(byte),
        _ => {
            let mut buffer = [0; 4];
            let spelled = char::from_u32(number)?.encode_utf8(&mut buffer);
            out.extend_from_slice(spelled.as_bytes());
        }
    }
    Some(())
}

/// Takes the digits of a number: at least `digits.start` of them, at most `digits.end`.
fn number(rest: &mut &[u8], radix: u32, digits: Range<usize>) -> Option<u32> {
    let mut number: u32 = 0;
    let mut count = 0;
    while count < digits.end
        && let Some((byte, after)) = rest.split_first()
        && let Some(digit) = char::from(*byte).to_digit(radix)
    {
        number = number.checked_mul(radix)?.checked_add(digit)?;
        *rest = after;
        count += 1;
    }
    (count >= digits.start).then_some(number)
}

/// A string as `prin1` spells it: only quotes and backslashes are escaped.
pub(super) fn literal(text: &str) -> Zeroizing<String> {
    let mut out = Zeroizing::new(String::with_capacity(text.len() * 2 + 2));
    out.push('"');
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
    out
}

/// Far beyond any file that Emacs writes for itself, and safe to recurse into.
const MAX_DEPTH: usize = 64;

/// The bound of every text file that is read.
const MAX_BYTES: usize = 64 << 20;
