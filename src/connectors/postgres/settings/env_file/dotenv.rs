//! Environment files as Ruby's dotenv reads them: with references to other variables, and never with commands.
//!
//! dotenv 3, `lib/dotenv/parser.rb` and `substitutions/`. Only what is asked for is looked at.

use zeroize::Zeroizing;

use crate::document::env::{Assignment, Env, Quoting, Unreadable};

use super::{Environment, Problem};

/// The variables of a file and of the environment, which wins.
pub(super) struct Dotenv<'a> {
    text: &'a str,
    env: Env,
    environment: &'a Environment,
    /// How many references were followed.
    expansions: usize,
    pub(super) warnings: &'a mut Vec<String>,
}

impl<'a> Dotenv<'a> {
    /// Reads a file. Lines that are no assignments come as a warning, or as a problem where they seem to be of a
    /// variable that counts.
    pub(super) fn read(
        bytes: &'a [u8],
        environment: &'a Environment,
        warnings: &'a mut Vec<String>,
    ) -> Result<Self, Problem> {
        let not_text = || Problem("it is not UTF-8 text".to_owned());
        let mut file = Self {
            text: std::str::from_utf8(bytes).map_err(|_| not_text())?,
            env: Env::parse(bytes).map_err(|_| not_text())?,
            environment,
            expansions: 0,
            warnings,
        };
        file.check_lines()?;
        Ok(file)
    }

    /// Whether a variable is set, to nothing or to something.
    pub(super) fn is_set(&self, name: &str) -> bool {
        self.environment.get(name).is_some() || self.last(name, usize::MAX).is_some()
    }

    /// The line that sets a variable, where the environment does not.
    pub(super) fn line(&self, name: &str) -> Option<&Assignment> {
        let is_free = self.environment.get(name).is_none();
        is_free
            .then(|| self.last(name, usize::MAX))?
            .map(|(_, line)| line)
    }

    /// The value of a variable: the environment's, else the file's.
    pub(super) fn value(&mut self, name: &str) -> Result<Option<Zeroizing<String>>, Problem> {
        self.value_before(name, usize::MAX, 0)
    }

    /// The value that a variable has above the assignment with this number.
    fn value_before(
        &mut self,
        name: &str,
        before: usize,
        depth: usize,
    ) -> Result<Option<Zeroizing<String>>, Problem> {
        if let Some(value) = self.environment.get(name) {
            return Ok(Some(Zeroizing::new(value.to_owned())));
        }
        let Some((number, line)) = self.last(name, before) else {
            return Ok(None);
        };
        let raw = raw(self.text, line);
        let (quoting, number_of_line) = (line.quoting, line.line);
        let value = self.evaluated(raw, quoting, number, depth);
        let value = value
            .map_err(|Problem(what)| Problem::line(number_of_line, format!("{name} {what}")))?;
        Ok(Some(value))
    }

    /// The last assignment of this name above the one with this number: later ones win.
    fn last(&self, name: &str, before: usize) -> Option<(usize, &Assignment)> {
        let lines = self.env.assignments.iter().enumerate().take(before);
        lines.rev().find(|(_, line)| line.key == name)
    }

    /// What Ruby's dotenv makes of the text of a value: `$NAME` and `${NAME}` are replaced unless a backslash stands
    /// before them, other backslashes take the next character as it is; nothing of that in single quotes.
    fn evaluated(
        &mut self,
        raw: &str,
        quoting: Quoting,
        number: usize,
        depth: usize,
    ) -> Result<Zeroizing<String>, Problem> {
        if quoting == Quoting::Single {
            return Ok(Zeroizing::new(raw.to_owned()));
        }
        let unescaped = unescaped(raw, quoting);
        let mut value = Zeroizing::new(String::with_capacity(unescaped.len()));
        let mut rest = unescaped.as_str();
        while let Some((before, after)) = rest.split_once('$') {
            if let Some(before) = before.strip_suffix('\\') {
                value.push_str(before);
                value.push('$');
                rest = after;
                continue;
            }
            value.push_str(before);
            if after.starts_with('(') && after.contains(')') {
                return Err(Problem(
                    "is made by a command, and commands are never run from a file: set it in the environment".to_owned(),
                ));
            }
            let inside = after.strip_prefix('{').unwrap_or(after);
            let length = inside.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            let (name, after_name) = inside.split_at(length.unwrap_or(inside.len()));
            if name.is_empty() {
                value.push('$');
                rest = after;
                continue;
            }
            rest = after_name.strip_prefix('}').unwrap_or(after_name);
            value.push_str(&self.referred(name, number, depth)?);
            if value.len() > MAX_VALUE_BYTES {
                return Err(Problem("is too long".to_owned()));
            }
        }
        value.push_str(rest);
        Ok(value)
    }

    fn referred(
        &mut self,
        name: &str,
        number: usize,
        depth: usize,
    ) -> Result<Zeroizing<String>, Problem> {
        self.expansions += 1;
        if depth == MAX_DEPTH || self.expansions > MAX_EXPANSIONS {
            return Err(Problem("refers to too many others".to_owned()));
        }
        let value = self.value_before(name, number, depth + 1)?;
        if value.is_none() {
            let warning = "the env file refers to a variable that is not set: it counts as empty";
            if !self.warnings.iter().any(|known| known == warning) {
                self.warnings.push(warning.to_owned());
            }
        }
        Ok(value.unwrap_or_default())
    }

    /// Tells of lines that are no assignments.
    fn check_lines(&mut self) -> Result<(), Problem> {
        let unreadable = &self.env.unreadable;
        for Unreadable { line, span, fault } in unreadable {
            let text = self.text.get(span.clone()).unwrap_or_default().trim_start();
            let text = text.strip_prefix("export").map_or(text, str::trim_start);
            let name = text.split(['=', ' ', ':']).next().unwrap_or_default();
            if Environment::names().any(|known| known == name) {
                return Err(Problem::line(*line, format!("{name}: {fault}")));
            }
        }
        if let Some(Unreadable { line, fault, .. }) = unreadable.first() {
            let others = match unreadable.len() - 1 {
                0 => String::new(),
                more => format!(" ({more} more lines are no assignments either)"),
            };
            self.warnings.push(format!(
                "line {line} of the env file is left out: {fault}{others}"
            ));
        }
        Ok(())
    }
}

/// The text of a value as Ruby's dotenv delimits it, without quotes: a `#` ends what is not quoted.
fn raw<'a>(text: &'a str, line: &Assignment) -> &'a str {
    let raw = text.get(line.span.clone()).unwrap_or_default();
    match line.quoting {
        Quoting::Bare => raw.split('#').next().unwrap_or_default().trim_end(),
        _ => raw.get(1..raw.len() - 1).unwrap_or_default(),
    }
}

/// Without backslashes but those before a `$`. dotenv 3 leaves `\n` and `\r` in double quotes as they are.
fn unescaped(raw: &str, quoting: Quoting) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(raw.len()));
    let mut letters = raw.chars();
    while let Some(c) = letters.next() {
        if c != '\\' {
            text.push(c);
            continue;
        }
        match letters.next() {
            Some(c @ ('n' | 'r')) if quoting == Quoting::Double => text.extend(['\\', c]),
            Some('$') => text.push_str("\\$"),
            Some(c) => text.push(c),
            None => text.push('\\'),
        }
    }
    text
}

/// References in references: nobody nests them deeper.
const MAX_DEPTH: usize = 16;
/// Each reference may hold many others: without a bound, 16 levels would never end.
const MAX_EXPANSIONS: usize = 200;
const MAX_VALUE_BYTES: usize = 64 << 10;
