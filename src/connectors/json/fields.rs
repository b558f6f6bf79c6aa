//! Reading JSON objects field by field: what is missing, unknown, doubled or of the wrong type is named by its key
//! and line, never by its value.

use std::fmt;

use jiff::Timestamp;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use zeroize::Zeroizing;

use crate::connectors::{error::Problem, values::shown};

/// The objects of a text, one after the other: JSON Lines, or one array of them. Each is found by its braces alone
/// and parsed for itself, so that nothing but one object is held at a time.
pub(super) struct Objects<'a> {
    rest: &'a [u8],
    line: u64,
    array: Array,
    done: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Array {
    No,
    BeforeFirst,
    AfterObject,
    AfterComma,
    Closed,
}

impl<'a> Objects<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        let mut objects = Self {
            rest: bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes),
            line: 1,
            array: Array::No,
            done: false,
        };
        objects.skip_space();
        if objects.rest.first() == Some(&b'[') {
            objects.advance(1);
            objects.array = Array::BeforeFirst;
        }
        objects
    }

    fn advance(&mut self, by: usize) {
        let (passed, rest) = self.rest.split_at(by.min(self.rest.len()));
        self.line += passed.split(|byte| *byte == b'\n').skip(1).count() as u64;
        self.rest = rest;
    }

    fn skip_space(&mut self) {
        let space = self
            .rest
            .iter()
            .take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n'))
            .count();
        self.advance(space);
    }

    fn step(&mut self) -> Result<Option<Fields>, Problem> {
        loop {
            self.skip_space();
            let line = self.line;
            match (self.rest.first(), self.array) {
                (None, Array::No | Array::Closed) => return Ok(None),
                (None, _) => return Err(Problem::line(line, "the array is not closed")),
                (Some(b']'), Array::BeforeFirst | Array::AfterObject) => {
                    self.array = Array::Closed;
                    self.advance(1);
                }
                (Some(b','), Array::AfterObject) => {
                    self.array = Array::AfterComma;
                    self.advance(1);
                }
                (Some(b'{'), Array::No | Array::BeforeFirst | Array::AfterComma) => {
                    if self.array != Array::No {
                        self.array = Array::AfterObject;
                    }
                    return self.object(line).map(Some);
                }
                (Some(_), _) => return Err(Problem::line(line, "expected a JSON object")),
            }
        }
    }

    fn object(&mut self, line: u64) -> Result<Fields, Problem> {
        let length = object_length(self.rest)
            .ok_or_else(|| Problem::line(line, "the object is not closed, or longer than 1 MiB"))?;
        let text = self.rest.get(..length).unwrap_or_default();
        let value = serde_json::from_slice::<Value>(text).map_err(|error| {
            let at = line + (error.line() as u64).saturating_sub(1);
            Problem::line(at, syntax(&error))
        })?;
        self.advance(length);
        match value {
            Value::Object(fields) => Ok(Fields { line, fields }),
            _ => Err(Problem::line(line, "expected a JSON object")),
        }
    }
}

impl Iterator for Objects<'_> {
    type Item = Result<Fields, Problem>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let step = self.step();
        self.done = !matches!(step, Ok(Some(_)));
        step.transpose()
    }
}

/// The length of the object that begins here, by its braces and strings.
fn object_length(text: &[u8]) -> Option<usize> {
    let (mut depth, mut in_string, mut escaped) = (0_u32, false, false);
    for (at, byte) in text.iter().take(MAX_OBJECT).enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'{' => depth += 1,
            b'}' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
    }
    None
}

/// The parser's words for what is wrong with the syntax. They hold nothing of the text: our own type takes every
/// value, so that no "invalid type: string …" arises.
fn syntax(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let text = text.split(" at line ").next().unwrap_or_default();
    format!("column {}: {text}", error.column())
}

/// A JSON value whose strings are wiped.
pub(super) enum Value {
    Null,
    Bool(bool),
    /// A whole number of at most 64 bits.
    Whole(u64),
    OtherNumber,
    Text(Zeroizing<String>),
    List(Vec<Value>),
    Object(Vec<(String, Value)>),
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Whole(value))
    }

    fn visit_i64<E>(self, _value: i64) -> Result<Value, E> {
        Ok(Value::OtherNumber)
    }

    fn visit_f64<E>(self, _value: f64) -> Result<Value, E> {
        Ok(Value::OtherNumber)
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(Zeroizing::new(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(value) = seq.next_element()? {
            list.push(value);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut fields = Vec::new();
        while let Some(entry) = map.next_entry()? {
            fields.push(entry);
        }
        Ok(Value::Object(fields))
    }
}

/// The fields of one object that were not taken yet.
pub(super) struct Fields {
    /// The line on which the object begins.
    pub(super) line: u64,
    fields: Vec<(String, Value)>,
}

impl Fields {
    pub(super) fn problem(&self, what: impl AsRef<str>) -> Problem {
        Problem::line(self.line, what)
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.fields.iter().any(|(name, _)| name == key)
    }

    /// Takes a field; `null` is the same as its absence.
    fn take(&mut self, key: &str) -> Result<Option<Value>, Problem> {
        let Some(at) = self.fields.iter().position(|(name, _)| name == key) else {
            return Ok(None);
        };
        let (_, value) = self.fields.swap_remove(at);
        if self.has(key) {
            return Err(self.problem(format!("\"{key}\" stands twice")));
        }
        Ok(match value {
            Value::Null => None,
            value => Some(value),
        })
    }

    fn wrong(&self, key: &str, expected: &str) -> Problem {
        self.problem(format!("\"{key}\" must be {expected}"))
    }

    /// Takes a field that only a reader of ours would miss.
    pub(super) fn ignore(&mut self, key: &str) -> Result<(), Problem> {
        self.take(key).map(|_| ())
    }

    pub(super) fn text(&mut self, key: &str) -> Result<Option<Zeroizing<String>>, Problem> {
        match self.take(key)? {
            None => Ok(None),
            Some(Value::Text(text)) if text.is_empty() => {
                Err(self.problem(format!("\"{key}\" is empty: write null for unknown")))
            }
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(_) => Err(self.wrong(key, "a string or null")),
        }
    }

    pub(super) fn plain(&mut self, key: &str) -> Result<Option<String>, Problem> {
        Ok(self.text(key)?.map(|text| text.as_str().to_owned()))
    }

    pub(super) fn flag(&mut self, key: &str) -> Result<Option<bool>, Problem> {
        match self.take(key)? {
            None => Ok(None),
            Some(Value::Bool(value)) => Ok(Some(value)),
            Some(_) => Err(self.wrong(key, "true, false or null")),
        }
    }

    pub(super) fn whole(&mut self, key: &str) -> Result<Option<u64>, Problem> {
        match self.take(key)? {
            None => Ok(None),
            Some(Value::Whole(value)) => Ok(Some(value)),
            Some(_) => Err(self.wrong(key, "a whole number or null")),
        }
    }

    pub(super) fn time(&mut self, key: &str) -> Result<Option<Timestamp>, Problem> {
        let Some(text) = self.text(key)? else {
            return Ok(None);
        };
        text.parse()
            .map(Some)
            .map_err(|_| self.wrong(key, "a time as RFC 3339 has it (2026-01-02T03:04:05Z)"))
    }

    /// A list of strings.
    pub(super) fn list(&mut self, key: &str) -> Result<Option<Vec<String>>, Problem> {
        let expected = "a list of strings or null";
        let list = match self.take(key)? {
            None => return Ok(None),
            Some(Value::List(list)) => list,
            Some(_) => return Err(self.wrong(key, expected)),
        };
        let texts = list.into_iter().map(|value| match value {
            Value::Text(text) => Ok(text.as_str().to_owned()),
            _ => Err(self.wrong(key, expected)),
        });
        texts.collect::<Result<_, _>>().map(Some)
    }

    /// An object; an absent one has no fields.
    pub(super) fn object(&mut self, key: &str) -> Result<Fields, Problem> {
        let fields = match self.take(key)? {
            None => Vec::new(),
            Some(Value::Object(fields)) => fields,
            Some(_) => return Err(self.wrong(key, "an object or null")),
        };
        Ok(Fields {
            line: self.line,
            fields,
        })
    }

    /// Takes what must be there.
    pub(super) fn need<T>(&self, key: &str, value: Option<T>) -> Result<T, Problem> {
        value.ok_or_else(|| self.problem(format!("\"{key}\" is missing")))
    }

    /// Refuses what nobody took.
    pub(super) fn finish(self) -> Result<(), Problem> {
        match self.fields.first() {
            None => Ok(()),
            Some((key, _)) => {
                Err(self.problem(format!("\"{}\" is no key of this format", shown(key))))
            }
        }
    }
}

/// The largest record has a few scopes and addresses: 1 MiB is far beyond it.
const MAX_OBJECT: usize = 1 << 20;
