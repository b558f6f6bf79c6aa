//! The program: parse, run, outcome → exit code.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::harden::process();
    let parsed = match cli::args::Cli::typed() {
        Ok(parsed) => parsed,
        Err(error) => return cli::output::usage(error).into(),
    };
    let output = cli::output::Output::new(&parsed.global);
    match cli::contained(|| cli::run(parsed, &output)) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            output.failure(&failure);
            failure.exit.into()
        }
    }
}
