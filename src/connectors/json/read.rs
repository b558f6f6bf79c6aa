//! `import json`: records from text.

use std::collections::{BTreeMap, HashMap, hash_map::Entry as Slot};

use jiff::Timestamp;

use crate::{
    connectors::{error::Problem, values},
    model::{
        Account, App, Completeness, Domain, Scopes, Secret, Snapshot, SourceKey, Token, Verdict,
        Verification, VerifiedAccount, VerifiedApp,
    },
};

use super::fields::{Fields, Objects};

/// Reads JSON Lines or one array of records.
pub(super) fn records(bytes: &[u8], source: SourceKey) -> Result<Snapshot, Problem> {
    let mut read = Vec::new();
    for object in Objects::new(bytes) {
        read.push(Entry::read(object?)?);
    }
    let mut snapshot = Snapshot::of_client(source);
    // A list of records doesn't say that it is everything.
    snapshot.completeness = Completeness::Partial;
    let births = sign_up_times(&read);
    let repeated = repetitions(&read);
    for (entry, first) in read.into_iter().zip(repeated) {
        let line = entry.line;
        if let Some(first) = first {
            snapshot.warn(format!(
                "line {line}: the same token as on line {first}, which is used"
            ));
            continue;
        }
        if !values::is_visible(entry.token.access_token.expose()) {
            let why = values::Unusable::NotOneWord;
            snapshot.warn(format!("line {line}: \"access_token\" can't work: {why}"));
        }
        entry.add_to(&mut snapshot, &births);
    }
    Ok(snapshot)
}

/// Whether the first record has an id as we write them.
pub(super) fn has_our_ids(bytes: &[u8]) -> bool {
    let id = |fields: &mut Fields| fields.plain("id").ok().flatten();
    match Objects::new(bytes).next() {
        Some(Ok(mut fields)) => id(&mut fields).is_some_and(|id| id.starts_with("tk_")),
        _ => false,
    }
}

/// For each entry the line of an earlier one with the same token.
fn repetitions(entries: &[Entry]) -> Vec<Option<u64>> {
    let mut first: HashMap<(&str, &str), u64> = HashMap::with_capacity(entries.len());
    let lines = entries.iter().map(|entry| {
        let token = &entry.token;
        match first.entry((token.instance.as_str(), token.access_token.expose())) {
            Slot::Occupied(slot) => Some(*slot.get()),
            Slot::Vacant(slot) => {
                slot.insert(entry.line);
                None
            }
        }
    });
    lines.collect()
}

/// An account has one time of sign-up, whichever record knows it.
fn sign_up_times(entries: &[Entry]) -> BTreeMap<(Domain, String), Timestamp> {
    let mut times = BTreeMap::new();
    for entry in entries {
        if let Some(Account {
            instance,
            username: Some(name),
            created_at: Some(time),
        }) = &entry.account
        {
            times
                .entry((instance.clone(), name.clone()))
                .or_insert(*time);
        }
    }
    times
}

/// One record as read.
struct Entry {
    line: u64,
    app: App,
    owner: Option<String>,
    account: Option<Account>,
    token: Token,
    verified: Option<Verification>,
}

impl Entry {
    fn read(mut fields: Fields) -> Result<Self, Problem> {
        if fields.has("run") {
            return Err(fields.problem("a run: this material holds history, not records"));
        }
        for key in ["id", "status", "sources"] {
            fields.ignore(key)?;
        }
        let instance = instance(&mut fields)?;
        let (app, owner) = app(fields.object("app")?, &instance)?;
        let account = account(&mut fields, &instance)?;
        let token = token(&mut fields, instance)?;
        let verified = verification(fields.object("verified")?)?;
        let line = fields.line;
        fields.finish()?;
        Ok(Self {
            line,
            app,
            owner,
            account,
            token,
            verified,
        })
    }

    fn add_to(self, snapshot: &mut Snapshot, births: &BTreeMap<(Domain, String), Timestamp>) {
        let known = |mut account: Account| {
            if let Some(name) = &account.username
                && account.created_at.is_none()
            {
                let key = (account.instance.clone(), name.clone());
                account.created_at = births.get(&key).copied();
            }
            account
        };
        let mut app = self.app;
        app.owner = self.owner.map(|owner| {
            snapshot.add_account(known(Account {
                instance: app.instance.clone(),
                username: Some(owner),
                created_at: None,
            }))
        });
        let key = snapshot.add(app, self.account.map(known), self.token);
        snapshot
            .answers
            .extend(self.verified.map(|answer| (key, answer)));
    }
}

/// The instance that the object names.
pub(super) fn instance(fields: &mut Fields) -> Result<Domain, Problem> {
    let text = fields.text("instance")?;
    let text = fields.need("instance", text)?;
    Domain::parse(&text).map_err(|_| fields.problem("\"instance\" is not the name of an instance"))
}

/// The account; `None` for an application's own token.
fn account(fields: &mut Fields, instance: &Domain) -> Result<Option<Account>, Problem> {
    let username = fields.plain("user")?;
    let created_at = fields.time("account_created_at")?;
    if fields.flag("application_token")?.unwrap_or(false) {
        if username.is_some() {
            return Err(fields.problem("an application's own token has no \"user\""));
        }
        return Ok(None);
    }
    Ok(Some(Account {
        instance: instance.clone(),
        username,
        created_at,
    }))
}

/// An app and its owner's name, from its own object.
pub(super) fn app(mut fields: Fields, instance: &Domain) -> Result<(App, Option<String>), Problem> {
    let app = App {
        instance: instance.clone(),
        name: fields.plain("name")?,
        client_id: fields.plain("client_id")?,
        client_secret: secret(&mut fields, "client_secret")?,
        redirect_uris: fields.list("redirect_uris")?.unwrap_or_default(),
        scopes: scopes(&mut fields)?,
        website: fields.plain("website")?,
        base_url: fields.plain("base_url")?,
        superapp: fields.flag("superapp")?.unwrap_or(false),
        confidential: fields.flag("confidential")?,
        owner: None,
        created_at: fields.time("created_at")?,
    };
    let owner = fields.plain("owner")?;
    fields.finish()?;
    Ok((app, owner))
}

/// A token, from the object that holds it.
pub(super) fn token(fields: &mut Fields, instance: Domain) -> Result<Token, Problem> {
    let access_token = secret(fields, "access_token")?;
    let Some(access_token) = access_token else {
        return Err(fields.problem(
            "\"access_token\" is missing (`export json` writes secrets only with --reveal)",
        ));
    };
    Ok(Token {
        instance,
        access_token,
        refresh_token: secret(fields, "refresh_token")?,
        token_type: fields.plain("token_type")?.filter(|kind| kind != "Bearer"),
        scopes: scopes(fields)?,
        created_at: fields.time("created_at")?,
        expires_at: fields.time("expires_at")?,
        revoked_at: fields.time("revoked_at")?,
        app: None,
        account: None,
    })
}

/// What an instance answered, from its own object; `None` where the object is null.
pub(super) fn verification(mut fields: Fields) -> Result<Option<Verification>, Problem> {
    let Some(at) = fields.time("at")? else {
        fields.finish()?;
        return Ok(None);
    };
    let word = fields.plain("verdict")?;
    let verdict = Verdict::named(&fields.need("verdict", word)?);
    let verdict = verdict.ok_or_else(|| fields.problem("\"verdict\" is none that there is"))?;
    fields.ignore("works")?;
    let words = fields.plain("words")?;
    let mut of_account = fields.object("account")?;
    let account = of_account.plain("username")?;
    let account = match (of_account.plain("id")?, account) {
        (Some(id), Some(username)) => Some(VerifiedAccount { id, username }),
        _ => None,
    };
    of_account.finish()?;
    let mut of_app = fields.object("app")?;
    let app = VerifiedApp {
        id: of_app.plain("id")?,
        name: of_app.plain("name")?,
        website: of_app.plain("website")?,
        scopes: scopes(&mut of_app)?,
        redirect_uris: of_app.list("redirect_uris")?.unwrap_or_default(),
    };
    of_app.finish()?;
    fields.finish()?;
    Ok(Some(Verification {
        at,
        verdict,
        words,
        account,
        app: (app != VerifiedApp::default()).then_some(app),
    }))
}

fn secret(fields: &mut Fields, key: &str) -> Result<Option<Secret>, Problem> {
    Ok(fields.text(key)?.map(|text| Secret::from(text.as_str())))
}

fn scopes(fields: &mut Fields) -> Result<Option<Scopes>, Problem> {
    let Some(names) = fields.list("scopes")? else {
        return Ok(None);
    };
    if names
        .iter()
        .any(|name| name.is_empty() || name.contains(char::is_whitespace))
    {
        return Err(fields.problem("\"scopes\" must be a list of single names"));
    }
    Ok(Some(Scopes::from_names(names.iter().map(String::as_str))))
}
