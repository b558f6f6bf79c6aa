//! `verify` in a build that asks nobody.

use super::{
    args::{Asking, Restore, Verify},
    error::{Exit, Failure},
    session::Session,
};

/// There is none.
pub(crate) enum Client {}

pub(crate) fn run(session: &Session<'_>, args: &Verify) -> Result<Exit, Failure> {
    match prepare(session, &args.asking)? {}
}

pub(crate) fn prepare(_session: &Session<'_>, _asking: &Asking) -> Result<Client, Failure> {
    let lacks = "this tuskvault was built without feature `online`, which asking instances needs";
    Err(Failure::usage(lacks).hint("`cargo install --path . --features online` builds one with it"))
}

pub(crate) fn after_restore<T>(
    _session: &Session<'_>,
    _args: &Restore,
    client: &Client,
    _restored: T,
    _exit: Exit,
) -> Exit {
    match *client {}
}
