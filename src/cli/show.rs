//! `show`: one record in full.

use serde_json::Value;
use tuskvault::{
    connectors::json::{RecordJson, Reveal},
    model::{Record, Secret, User},
    storage::Access,
    vault::{AuditEvent, Query},
};

use super::{
    args::Show,
    error::{Exit, Failure},
    output::shown,
    report,
    session::Session,
    verdict,
};

pub(crate) fn run(session: &Session<'_>, args: &Show) -> Result<Exit, Failure> {
    let field = args.field.as_deref().map(field_named).transpose()?;
    let reveals = args.reveal || field.is_some_and(|field| field.secret);
    let mut vault = if reveals {
        session.open_to_reveal()?
    } else {
        session.open(Access::Read)?
    };
    let query = Query {
        selector: &args.selector,
        at: session.moment(args.as_of.as_ref(), &vault)?,
        all: true,
    };
    let record = report::chosen(vault.choose(&query)?, &args.selector.to_string())?;
    if reveals && session.global.dry_run {
        session.output.would(&format!(
            "show secrets of {} and note that in the audit log",
            record.key()
        ))?;
        return Ok(Exit::Done);
    }
    if reveals {
        let selector = args.selector.to_string();
        session.audit(
            &mut vault,
            &AuditEvent::Revealed {
                selector,
                records: 1,
            },
        )?;
    }
    let reveal = if reveals { Reveal::Yes } else { Reveal::No };
    if let Some(field) = field {
        return print_field(session, &record, field);
    }
    if session.output.json {
        session.output.object(&RecordJson::new(&record, reveal))?;
        return Ok(Exit::Done);
    }
    print(session, &record, reveal)?;
    Ok(Exit::Done)
}

fn print(session: &Session<'_>, record: &Record, reveal: Reveal) -> Result<(), Failure> {
    let app = &record.app;
    let user = match &record.user {
        User::Named(name) => name.clone(),
        User::Unknown => "not known".to_owned(),
        User::Application => "none: the application's own token".to_owned(),
    };
    let mut lines: Vec<(&str, String)> = vec![
        ("id", record.short_id()),
        ("key", record.key().to_string()),
        ("status", report::status(record)),
        ("user", user),
    ];
    lines.extend(verdict::of_in_full(record, session.now).map(|text| ("verified", text)));
    lines.extend(record.app.name.clone().map(|name| ("app", name)));
    let other_names = app
        .names
        .iter()
        .filter(|name| Some(*name) != app.name.as_ref());
    lines.extend(other_names.map(|name| ("also named", name.clone())));
    lines.extend(app.client_id.clone().map(|id| ("client_id", id)));
    for (name, time) in [
        ("issued", record.created_at),
        ("expires", record.expires_at),
        ("app registered", app.created_at),
    ] {
        lines.extend(time.map(|time| (name, report::time(time))));
    }
    lines.extend(
        record
            .scopes
            .as_ref()
            .map(|scopes| ("scopes", scopes.to_string())),
    );
    lines.extend(
        app.scopes
            .as_ref()
            .map(|scopes| ("app scopes", scopes.to_string())),
    );
    lines.extend(
        app.redirect_uris
            .iter()
            .map(|uri| ("redirect URI", uri.clone())),
    );
    lines.extend(app.website.clone().map(|site| ("website", site)));
    lines.extend(app.base_url.clone().map(|url| ("API address", url)));
    lines.extend(
        record
            .sightings
            .iter()
            .map(|place| ("seen in", report::sighting(place))),
    );
    lines.extend(
        record
            .disagreements
            .iter()
            .map(|sentence| ("sources disagree", sentence.clone())),
    );
    for (name, text) in lines {
        session
            .output
            .line(&format!("{name:>16}  {}", shown(&text)))?;
    }
    if reveal == Reveal::No {
        session
            .output
            .note("the secrets are left out; `--reveal` shows them");
        return Ok(());
    }
    let secrets = [
        ("access_token", Some(&record.access_token)),
        ("refresh_token", record.refresh_token.as_ref()),
        ("client_secret", app.client_secret.as_ref()),
    ];
    for (name, secret) in secrets {
        if let Some(secret) = secret {
            session
                .output
                .secret_line(&format!("{name:>16}  "), secret)?;
        }
    }
    Ok(())
}

/// A field that `--field` prints alone.
#[derive(Clone, Copy)]
struct Field {
    name: &'static str,
    secret: bool,
}

fn field_named(name: &str) -> Result<Field, Failure> {
    let known = FIELDS.iter().find(|field| field.name == name);
    known.copied().ok_or_else(|| {
        let names: Vec<&str> = FIELDS.iter().map(|field| field.name).collect();
        Failure::usage(format!("a record has no field \"{name}\""))
            .hint(format!("one of {}", names.join(", ")))
    })
}

fn print_field(session: &Session<'_>, record: &Record, field: Field) -> Result<Exit, Failure> {
    let missing = || {
        Failure::new(
            Exit::NoMatch,
            format!("\"{}\" of {} is not known", field.name, record.key()),
        )
        .hint("no source says it; `tuskvault show` prints what is known")
    };
    if field.secret {
        let secret: Option<&Secret> = match field.name {
            "access_token" => Some(&record.access_token),
            "refresh_token" => record.refresh_token.as_ref(),
            _ => record.app.client_secret.as_ref(),
        };
        session
            .output
            .secret_line("", secret.ok_or_else(missing)?)?;
        return Ok(Exit::Done);
    }
    let object = serde_json::to_value(RecordJson::new(record, Reveal::No)).unwrap_or_default();
    let pointer = format!("/{}", field.name.replace('.', "/"));
    let value = object.pointer(&pointer).unwrap_or_default();
    if value.is_null() {
        return Err(missing());
    }
    if session.output.json {
        session
            .output
            .object(&serde_json::json!({ "value": value }))?;
        return Ok(Exit::Done);
    }
    match value {
        Value::String(text) => session.output.line(&shown(text))?,
        Value::Array(items) => {
            let items: Vec<&str> = items.iter().filter_map(Value::as_str).collect();
            session.output.line(&shown(&items.join(" ")))?;
        }
        other => session.output.line(&other.to_string())?,
    }
    Ok(Exit::Done)
}

const fn open(name: &'static str) -> Field {
    Field {
        name,
        secret: false,
    }
}

const fn secret(name: &'static str) -> Field {
    Field { name, secret: true }
}

/// The names are those of the JSON record; `sources` is no single value.
const FIELDS: &[Field] = &[
    open("id"),
    open("instance"),
    open("user"),
    secret("access_token"),
    secret("refresh_token"),
    open("token_type"),
    open("scopes"),
    open("created_at"),
    open("expires_at"),
    open("revoked_at"),
    open("status"),
    open("app.name"),
    open("app.client_id"),
    secret("app.client_secret"),
    open("app.redirect_uris"),
    open("app.scopes"),
    open("app.website"),
    open("app.base_url"),
    open("app.superapp"),
    open("app.confidential"),
    open("app.owner"),
    open("app.created_at"),
    open("application_token"),
    open("account_created_at"),
];
