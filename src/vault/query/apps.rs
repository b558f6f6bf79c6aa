//! The apps of a server, with or without tokens.

use crate::model::{AppView, Domain, Moment, SourceId};
use crate::vault::{
    Error, Ever, Vault,
    bodies::{AccountBody, AppBody},
    rows::Body,
};

use super::{ByKey, join::view};

impl Vault {
    /// Calls `each` with every app that a server's own database held at a moment, one at a time; those of the source
    /// with the latest run first. The same app may come from several sources.
    ///
    /// # Errors
    /// [`Error`] when the vault can't be read, or the one that `each` returns.
    pub fn server_apps<E: From<Error>>(
        &self,
        at: Moment,
        mut each: impl FnMut(&Domain, AppView) -> Result<(), E>,
    ) -> Result<(), E> {
        let reader = self.reader()?;
        let mut sources: Vec<(Moment, SourceId)> = Vec::new();
        for source in reader.sources()? {
            if source.instance.is_none() {
                continue;
            }
            let runs = reader.run_facts()?;
            let runs = runs.iter().filter(|run| run.source == source.id);
            let last = runs
                .map(|run| run.effective_at)
                .filter(|time| *time <= at)
                .max();
            sources.extend(last.map(|last| (last, source.id)));
        }
        sources.sort_unstable_by(|a, b| b.cmp(a));
        for (_, source) in sources {
            let accounts: ByKey<AccountBody> = ByKey::read(reader.ever(source, at))?;
            for ever in reader.ever::<AppBody>(source, at) {
                let Ever { version, .. } = ever?;
                if version.until.is_some_and(|until| until <= at) {
                    continue;
                }
                let inconsistent = Error::Inconsistent {
                    what: AppBody::WHAT,
                };
                let app = version.body.model().ok_or(inconsistent)?;
                let owner = accounts.get(app.owner)?;
                let instance = app.instance.clone();
                each(&instance, view(app, owner, Some(version.key)))?;
            }
        }
        Ok(())
    }
}
