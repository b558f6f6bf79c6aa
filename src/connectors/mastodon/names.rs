//! The names of accounts by their ids: millions of short texts in few bytes.

/// Names by account id.
#[derive(Default)]
pub(in crate::connectors) struct Names {
    /// Sorted by id.
    entries: Vec<Entry>,
    text: String,
}

#[derive(Clone, Copy)]
struct Entry {
    id: i64,
    start: u32,
    length: u8,
}

impl Names {
    /// Takes names in any order: sorting them here is cheaper than having the server read them in order.
    pub(in crate::connectors) fn push(&mut self, id: i64, name: &str) {
        // Longer ones (Mastodon's end at 30 characters), and those beyond 4 GiB of names, no instance has: who bears one
        // has no name here.
        let (start, length) = (u32::try_from(self.text.len()), u8::try_from(name.len()));
        if let (Ok(start), Ok(length)) = (start, length) {
            self.text.push_str(name);
            self.entries.push(Entry { id, start, length });
        }
    }

    /// How many bytes they take.
    #[cfg(feature = "pgdump")]
    pub(in crate::connectors) fn bytes(&self) -> usize {
        self.entries.len() * size_of::<Entry>() + self.text.len()
    }

    /// All have come.
    pub(in crate::connectors) fn sorted(mut self) -> Self {
        self.entries.sort_unstable_by_key(|entry| entry.id);
        self
    }

    /// The name of an account.
    pub(in crate::connectors) fn of(&self, id: i64) -> Option<&str> {
        let at = self.entries.binary_search_by_key(&id, |entry| entry.id);
        let Entry { start, length, .. } = self.entries.get(at.ok()?)?;
        let start = *start as usize;
        self.text.get(start..start + usize::from(*length))
    }

    /// The ids, joined by commas.
    #[cfg(feature = "postgres")]
    pub(in crate::connectors) fn ids(&self) -> String {
        let ids: Vec<String> = self
            .entries
            .iter()
            .map(|entry| entry.id.to_string())
            .collect();
        ids.join(",")
    }

    #[cfg(feature = "postgres")]
    pub(in crate::connectors) fn len(&self) -> usize {
        self.entries.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_by_their_ids() {
        let mut names = Names::default();
        for (id, name) in [(7, "Bob_2"), (-99, "m.example"), (3, "alice"), (3, "alice")] {
            names.push(id, name);
        }
        let names = names.sorted();
        assert_eq!(names.of(-99), Some("m.example"));
        assert_eq!((names.of(3), names.of(7)), (Some("alice"), Some("Bob_2")));
        assert_eq!(names.of(4), None);
    }
}
