//! `completions` and `man`: made from the same definitions that parse the command line.

use clap::CommandFactory;

use super::{
    args::{Cli, Completions, Man},
    error::{Exit, Failure, did_you_mean},
    session::Session,
};

pub(crate) fn completions(session: &Session<'_>, args: &Completions) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "tuskvault", &mut script);
    session.output.raw(&script)?;
    Ok(Exit::Done)
}

pub(crate) fn man(session: &Session<'_>, args: &Man) -> Result<Exit, Failure> {
    let mut program = Cli::command();
    program.build();
    let command = match &args.command {
        None => program,
        Some(name) => {
            // Built, it knows itself as `tuskvault-restore`.
            program.find_subcommand(name).cloned().ok_or_else(|| {
                let names = program.get_subcommands().map(clap::Command::get_name);
                Failure::usage(format!("there is no command \"{name}\""))
                    .hint(did_you_mean(name, names))
            })?
        }
    };
    let mut page = Vec::new();
    clap_mangen::Man::new(command).render(&mut page)?;
    session.output.raw(&page)?;
    Ok(Exit::Done)
}
