//! `verify` in a build that asks nobody.

use super::{
    args::{Restore, Verify},
    error::{Exit, Failure},
    session::Session,
};

pub(crate) fn run(_session: &Session<'_>, _args: &Verify) -> Result<Exit, Failure> {
    Err(lacking())
}

/// That nobody has forbidden to ask; here, the build has.
pub(crate) fn allowed(_session: &Session<'_>) -> Result<(), Failure> {
    Err(lacking())
}

pub(crate) fn after_restore<T>(
    _session: &Session<'_>,
    _args: &Restore,
    _restored: T,
    exit: Exit,
) -> Exit {
    exit
}

fn lacking() -> Failure {
    let lacks = "this tuskvault was built without feature `online`, which asking instances needs";
    Failure::usage(lacks).hint("`cargo install --path . --features online` builds one with it")
}
