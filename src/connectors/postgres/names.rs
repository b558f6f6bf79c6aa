//! The names of accounts by their ids: millions of short texts in few bytes.

/// Names by account id.
#[derive(Default)]
pub(super) struct Names {
    /// Ids, ascending, and where the names end.
    entries: Vec<(i64, u32)>,
    text: String,
}

impl Names {
    /// Adds a name. Ids come in ascending order.
    pub(super) fn push(&mut self, id: i64, name: &str) {
        // 4 GiB of names: no instance has so many; whoever does not fit has no name here.
        if let Ok(end) = u32::try_from(self.text.len() + name.len()) {
            self.text.push_str(name);
            self.entries.push((id, end));
        }
    }

    /// Adds others, which may be the same.
    pub(super) fn extend(&mut self, others: &Self) {
        if others.is_empty() {
            return;
        }
        let own = std::mem::take(self);
        let mut all: Vec<(i64, &str)> = own.iter().chain(others.iter()).collect();
        all.sort_unstable();
        all.dedup_by_key(|(id, _)| *id);
        for (id, name) in all {
            self.push(id, name);
        }
    }

    /// The name of an account.
    pub(super) fn of(&self, id: i64) -> Option<&str> {
        let at = self.entries.binary_search_by_key(&id, |(id, _)| *id).ok()?;
        self.at(at)
    }

    /// The ids, joined by commas.
    pub(super) fn ids(&self) -> String {
        let ids: Vec<String> = self.entries.iter().map(|(id, _)| id.to_string()).collect();
        ids.join(",")
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn iter(&self) -> impl Iterator<Item = (i64, &str)> {
        let entries = self.entries.iter().enumerate();
        entries.filter_map(|(at, (id, _))| self.at(at).map(|name| (*id, name)))
    }

    fn at(&self, at: usize) -> Option<&str> {
        let (_, end) = self.entries.get(at)?;
        let start = match at.checked_sub(1) {
            Some(before) => self.entries.get(before)?.1,
            None => 0,
        };
        self.text.get(start as usize..*end as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_by_their_ids() {
        let mut names = Names::default();
        for (id, name) in [(-99, "m.example"), (3, "alice"), (7, "Bob_2")] {
            names.push(id, name);
        }
        let mut others = Names::default();
        others.push(3, "alice");
        others.push(5, "carol");
        names.extend(&others);
        assert_eq!(names.ids(), "-99,3,5,7");
        assert_eq!(names.of(-99), Some("m.example"));
        assert_eq!((names.of(5), names.of(7)), (Some("carol"), Some("Bob_2")));
        assert_eq!(names.of(4), None);
    }
}
