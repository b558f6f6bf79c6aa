//! Text formats as one kind of tree, whose nodes know where they stand.

use std::ops::Range;

use zeroize::Zeroizing;

/// A value and its place.
pub struct Node {
    /// The bytes that spell it, quotes included. What a table of TOML or a block of YAML spans is not told: the place
    /// where it begins is.
    pub span: Range<usize>,
    /// What it is.
    pub kind: Kind,
}

/// What a value is.
pub enum Kind {
    /// A string, without quotes and escapes.
    Text(Zeroizing<String>),
    /// An array.
    List(Vec<Node>),
    /// An object, in the order of the text; a key may stand twice.
    Map(Vec<Member>),
    /// `null`, or nothing at all (YAML).
    Null,
    /// A number, a boolean, a date; in YAML also what has a tag of its own, or is an alias of a list or a map; in Lisp
    /// whatever is neither a string nor a list.
    Other,
}

/// A key and its value.
pub struct Member {
    /// The key, without quotes and escapes.
    pub key: String,
    /// The bytes that spell the key.
    pub key_span: Range<usize>,
    /// The value.
    pub value: Node,
}

impl Node {
    /// The members of a map.
    pub fn members(&self) -> Option<&[Member]> {
        match &self.kind {
            Kind::Map(members) => Some(members),
            _ => None,
        }
    }

    /// The text of a string.
    pub fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The whole number that `bytes`, the text that was parsed, spell here in digits alone.
    pub fn integer(&self, bytes: &[u8]) -> Option<i64> {
        let spelled = match self.kind {
            Kind::Other => bytes.get(self.span.clone())?,
            _ => return None,
        };
        std::str::from_utf8(spelled).ok()?.parse().ok()
    }

    /// The value of a key; of a key that stands twice the last, as nearly every program reads it.
    pub fn get(&self, key: &str) -> Option<&Node> {
        let members = self.members()?;
        let member = members.iter().rev().find(|member| member.key == key);
        member.map(|member| &member.value)
    }

    /// The member of a key, for programs that match keys in any case.
    pub fn member_in_any_case(&self, key: &str) -> Option<&Member> {
        let members = &mut self.members()?.iter().rev();
        members.find(|member| member.key.eq_ignore_ascii_case(key))
    }
}
