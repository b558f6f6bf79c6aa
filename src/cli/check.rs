//! `check`: read and authenticate everything.

use tuskvault::storage::Access;

use super::{
    error::{Exit, Failure},
    output::shown,
    report::plural,
    session::Session,
};

pub(crate) fn run(session: &Session<'_>) -> Result<Exit, Failure> {
    let mut vault = session.open(Access::Read)?;
    let path = session.vault_path()?;
    let report = vault.check(&session.output.bars())?;
    let well = report.problems.is_empty();
    if session.output.json {
        session.output.object(&serde_json::json!({
            "vault": path.display().to_string(),
            "sources": report.sources,
            "runs": report.runs,
            "tokens": report.tokens,
            "apps": report.apps,
            "accounts": report.accounts,
            "audit_entries": report.audit_entries,
            "problems": report.problems,
        }))?;
    } else if well {
        session.output.line(&shown(&format!(
            "{} is well: {}, {}, {} of tokens, an audit log of {} entries: all of it read and authenticated",
            path.display(),
            plural(report.sources, "source"),
            plural(report.runs, "run"),
            plural(report.tokens, "version"),
            report.audit_entries,
        )))?;
    }
    if well {
        return Ok(Exit::Done);
    }
    for problem in &report.problems {
        session.output.warn(&shown(problem));
    }
    let count = plural(report.problems.len() as u64, "problem");
    Err(
        Failure::new(Exit::Damaged, format!("{} has {count}", path.display()))
            .path(path)
            .hint("restore the file from a copy; nothing was changed"),
    )
}
