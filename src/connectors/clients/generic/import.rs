//! From what was found in the files of a source to its snapshot.

use crate::{
    connectors::{ReadRequest, place, values::Unusable},
    model::{Account, App, Completeness, Secret, Snapshot, Token},
};

use super::{
    NAME, Tree,
    object::usable,
    search::{Entry, search},
};

/// A snapshot in the making.
pub(super) struct Import<'a> {
    request: &'a ReadRequest,
    snapshot: Snapshot,
    rows: Vec<Row>,
}

/// A token as one place has it.
struct Row {
    app: App,
    account: Account,
    token: Token,
}

/// Why a token is not imported.
struct Skipped {
    what: String,
    /// Whether it may be one that an earlier run imported.
    is_partial: bool,
}

impl<'a> Import<'a> {
    pub(super) fn new(request: &'a ReadRequest) -> Self {
        let source = place::source_key(NAME, &request.path, request);
        Self {
            request,
            snapshot: Snapshot::of_client(source),
            rows: Vec::new(),
        }
    }

    /// Takes what a file holds; `prefix` stands before what is told of it.
    pub(super) fn tree(&mut self, tree: &Tree, prefix: &str) {
        let given = self.request.instance.as_ref();
        let found = search(&tree.root, &tree.lines, given);
        if found.is_partial {
            self.snapshot.completeness = Completeness::Partial;
        }
        if found.entries.is_empty() && found.warnings.is_empty() {
            self.warn(format!(
                "{prefix}no token stands under one of the usual names"
            ));
        }
        for warning in &found.warnings {
            self.warn(format!("{prefix}{warning}"));
        }
        for entry in &found.entries {
            match Row::of(entry) {
                Ok(row) => self.rows.push(row),
                Err(why) => {
                    let line = entry.line;
                    self.warn(format!("{prefix}line {line}: {}", why.what));
                    if why.is_partial {
                        self.snapshot.completeness = Completeness::Partial;
                    }
                }
            }
        }
    }

    /// Tells of a file that could not be read.
    pub(super) fn unread(&mut self, why: String) {
        self.snapshot.completeness = Completeness::Partial;
        self.warn(why);
    }

    pub(super) fn finish(mut self) -> Snapshot {
        let mut rows = united(std::mem::take(&mut self.rows));
        self.name(&mut rows);
        for row in rows {
            self.snapshot.add(row.app, Some(row.account), row.token);
        }
        self.snapshot
    }

    /// Gives the one token without a user the name that the person gave.
    fn name(&mut self, rows: &mut [Row]) {
        let Some(user) = &self.request.user else {
            return;
        };
        let nameless = rows.iter_mut().filter(|row| row.account.username.is_none());
        match nameless.collect::<Vec<_>>().as_mut_slice() {
            [] => {}
            [row] => row.account.username = Some(user.clone()),
            several => {
                let count = several.len();
                self.warn(format!(
                    "{count} tokens have no user name: the one given is used for none of them"
                ));
            }
        }
    }

    fn warn(&mut self, what: String) {
        self.snapshot.warn(what);
    }
}

/// One row for what several places say of the same token, in the order of the first places. Places that say different
/// things stay apart.
fn united(rows: Vec<Row>) -> Vec<Row> {
    let mut rows: Vec<_> = rows.into_iter().enumerate().collect();
    rows.sort_by(|(_, one), (_, other)| one.key().cmp(&other.key()));
    rows.dedup_by(|(_, later), (_, first)| first.unite(later));
    rows.sort_by_key(|(at, _)| *at);
    rows.into_iter().map(|(_, row)| row).collect()
}

impl Row {
    fn of(entry: &Entry<'_>) -> Result<Self, Skipped> {
        let token = entry.secret().map_err(|why| Skipped {
            what: format!("the token can't be used: {why}"),
            is_partial: matches!(why, Unusable::NotOneWord | Unusable::TooLong),
        })?;
        let place = entry.place.clone().ok_or_else(|| Skipped {
            what: "a token of an unknown instance: not imported; name it with --instance"
                .to_owned(),
            is_partial: true,
        })?;
        let app = App {
            client_id: usable(entry.client_id).map(str::to_owned),
            client_secret: usable(entry.client_secret).map(Secret::from),
            base_url: place.base_url,
            ..App::unknown(place.domain.clone())
        };
        let account = Account {
            instance: place.domain.clone(),
            username: entry.user.clone(),
            created_at: None,
        };
        let mut token = Token::new(place.domain, Secret::from(token));
        token.scopes.clone_from(&entry.scopes);
        Ok(Self {
            app,
            account,
            token,
        })
    }

    fn key(&self) -> (&str, &str) {
        let token = &self.token;
        (token.instance.as_str(), token.access_token.expose())
    }

    /// Takes over what another row of the same token knows besides; answers whether the two agree.
    fn unite(&mut self, other: &Self) -> bool {
        let same = self.token.instance == other.token.instance
            && self.token.access_token == other.token.access_token
            && agree(
                self.account.username.as_ref(),
                other.account.username.as_ref(),
            )
            && agree(self.app.client_id.as_ref(), other.app.client_id.as_ref())
            && agree(
                self.app.client_secret.as_ref(),
                other.app.client_secret.as_ref(),
            )
            && agree(self.app.base_url.as_ref(), other.app.base_url.as_ref())
            && agree(self.token.scopes.as_ref(), other.token.scopes.as_ref());
        if same {
            take_over(&mut self.account.username, other.account.username.as_ref());
            take_over(&mut self.app.client_id, other.app.client_id.as_ref());
            take_over(
                &mut self.app.client_secret,
                other.app.client_secret.as_ref(),
            );
            take_over(&mut self.app.base_url, other.app.base_url.as_ref());
            take_over(&mut self.token.scopes, other.token.scopes.as_ref());
        }
        same
    }
}

fn agree<T: PartialEq>(one: Option<&T>, other: Option<&T>) -> bool {
    one.is_none() || other.is_none() || one == other
}

fn take_over<T: Clone>(to: &mut Option<T>, from: Option<&T>) {
    if to.is_none() {
        *to = from.cloned();
    }
}
