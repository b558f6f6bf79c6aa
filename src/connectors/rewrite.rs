//! Write-back to a text file, as a plan: the spans that change, and nothing else.

use std::path::Path;

use zeroize::Zeroizing;

use crate::{
    document::Edits,
    model::{Action, Outcome, Plan, PlannedChange, Record},
};

use super::{Error, Prepared, WriteRequest, place, place::Loaded};

/// A plan for one file.
pub(crate) struct Rewrite {
    plan: Plan,
    file: Loaded,
    contents: Zeroizing<Vec<u8>>,
    now: jiff::Timestamp,
}

impl Rewrite {
    /// The plan that these edits of the file are.
    pub(crate) fn prepared(
        connector: &'static str,
        file: Loaded,
        edits: Edits,
        changes: Vec<PlannedChange>,
        notes: Vec<String>,
        request: &WriteRequest,
    ) -> Box<dyn Prepared> {
        let contents = edits.apply(file.bytes());
        Self::replacing(connector, file, contents, changes, notes, request)
    }

    /// The plan to put other contents into the place of the file's.
    pub(crate) fn replacing(
        connector: &'static str,
        file: Loaded,
        contents: Zeroizing<Vec<u8>>,
        changes: Vec<PlannedChange>,
        notes: Vec<String>,
        request: &WriteRequest,
    ) -> Box<dyn Prepared> {
        Box::new(Self {
            plan: Plan {
                target: target(connector, file.path()),
                changes,
                notes,
            },
            file,
            contents,
            now: request.now,
        })
    }
}

impl Prepared for Rewrite {
    fn plan(&self) -> &Plan {
        &self.plan
    }

    fn apply(self: Box<Self>) -> Result<Outcome, Error> {
        let backup = if self.contents.as_slice() == self.file.bytes() {
            None
        } else {
            Some(place::replace(&self.file, &self.contents, self.now)?)
        };
        Ok(Outcome {
            plan: self.plan,
            backup,
        })
    }
}

/// A plan that refuses every record for the same reason.
pub(crate) fn refused_all(
    connector: &'static str,
    path: &Path,
    records: &[Record],
    why: &str,
) -> Box<dyn Prepared> {
    let changes = records
        .iter()
        .map(|record| change(record, Action::Refuse, why));
    Box::new(Refused(Plan {
        target: target(connector, path),
        changes: changes.collect(),
        notes: Vec::new(),
    }))
}

struct Refused(Plan);

impl Prepared for Refused {
    fn plan(&self) -> &Plan {
        &self.0
    }

    fn apply(self: Box<Self>) -> Result<Outcome, Error> {
        Ok(Outcome {
            plan: self.0,
            backup: None,
        })
    }
}

/// One line of a plan.
pub(crate) fn change(record: &Record, action: Action, detail: impl Into<String>) -> PlannedChange {
    PlannedChange {
        id: record.id,
        short_id: record.short_id(),
        action,
        detail: detail.into(),
    }
}

/// How a plan names what it is about.
pub(crate) fn target(connector: &str, path: &Path) -> String {
    format!("{connector} {}", path.display())
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;
    use crate::connectors::{Sink, clients::Toot, testing};

    /// A plan that changes the token of a file, which is done to before the plan is applied.
    fn applied_after(change: impl Fn(&Path)) -> (tempfile::TempDir, Result<Outcome, Error>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        fs::copy(testing::data("toot/config.json"), &path).unwrap();
        let record = testing::record("mastodon.example", Some("ada"), "new-token");
        let plan = Toot.plan(&testing::write(&path), &[record]).unwrap();
        change(&path);
        let outcome = plan.apply();
        (folder, outcome)
    }

    #[test]
    fn applying_keeps_the_former_file_beside_the_new_one() {
        let (folder, outcome) = applied_after(|_| ());
        let backup = outcome.unwrap().backup.unwrap();
        let former = fs::read(testing::data("toot/config.json")).unwrap();
        assert_eq!(fs::read(&backup).unwrap(), former);
        let name = backup.file_name().unwrap();
        assert_eq!(name, "config.json.tuskvault-20260301T120000Z.bak");
        assert_ne!(fs::read(folder.path().join("config.json")).unwrap(), former);
    }

    #[test]
    fn a_store_that_changed_after_the_plan_is_an_error_of_its_own() {
        let (folder, outcome) = applied_after(|path| fs::write(path, "{}").unwrap());
        let error = outcome.unwrap_err();
        assert!(matches!(error, Error::Changed { .. }), "{error:?}");
        assert!(error.to_string().ends_with("changed since it was read"));
        assert_eq!(fs::read(folder.path().join("config.json")).unwrap(), b"{}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
