//! The program: parse, run, outcome → exit code.

fn main() {}
