//! Configuration files of bots and scripts, by the names that their keys usually have: JSON (also with comments), TOML
//! and YAML.
//!
//! Evidence: how-to articles and published bots (observed, not a standard). A record needs a token and an instance: both
//! in one object, or the instance in the nearest enclosing object, or in the key under which the object stands (`host`,
//! `user@host`), or named by the person. What is less sure is told and not imported.

mod import;
mod names;
mod object;
mod search;
#[cfg(test)]
mod tests;
mod write;

use std::path::{Path, PathBuf};

use crate::{
    connectors::{
        Error, Prepared, ReadRequest, Sink, Source, Specificity, Surroundings, WriteRequest,
        error::Problem,
        place::{self, Loaded},
    },
    document::{Format, Kind, Lines, Node},
    model::{Record, Snapshot},
};

use import::Import;
use search::search;

/// Configuration files with the usual names in them.
#[derive(Debug, Clone, Copy)]
pub struct Generic;

const NAME: &str = "generic";

impl Source for Generic {
    fn name(&self) -> &'static str {
        NAME
    }

    fn title(&self) -> &'static str {
        "configuration of bots and scripts (JSON, TOML, YAML)"
    }

    fn usual_places(&self, _surroundings: &Surroundings) -> Vec<PathBuf> {
        Vec::new()
    }

    fn specificity(&self) -> Specificity {
        Specificity::Generic
    }

    /// Only a file in which there is a token: any other could be about anything.
    fn fits(&self, request: &ReadRequest) -> bool {
        let holds_token = |path: &PathBuf| {
            let tree = load(path).and_then(|file| Tree::of(&file));
            tree.is_ok_and(|tree| {
                let found = search(&tree.root, &tree.lines, None);
                found.entries.iter().any(|entry| entry.secret().is_ok())
            })
        };
        files(&request.path).is_ok_and(|files| files.iter().any(holds_token))
    }

    fn read(&self, request: &ReadRequest) -> Result<Snapshot, Error> {
        let mut import = Import::new(request);
        if !request.path.is_dir() {
            import.tree(&Tree::of(&load(&request.path)?)?, "");
            return Ok(import.finish());
        }
        for path in files(&request.path)? {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            match load(&path).and_then(|file| Tree::of(&file)) {
                Ok(tree) => import.tree(&tree, &format!("{name}: ")),
                Err(Error::Malformed { detail, .. }) => import.unread(format!("{name}: {detail}")),
                Err(error) => import.unread(error.to_string()),
            }
        }
        Ok(import.finish())
    }

    fn read_bytes(&self, request: &ReadRequest, bytes: &[u8]) -> Result<Snapshot, Error> {
        let tree =
            Tree::parse(&request.path, bytes).map_err(|problem| problem.at(&request.path))?;
        let mut import = Import::new(request);
        import.tree(&tree, "");
        Ok(import.finish())
    }

    fn sink(&self) -> Option<&dyn Sink> {
        Some(self)
    }
}

impl Sink for Generic {
    fn plan(&self, request: &WriteRequest, records: &[Record]) -> Result<Box<dyn Prepared>, Error> {
        write::plan(request, records)
    }
}

/// The file itself, or those of a folder that have a usual name.
fn files(path: &Path) -> Result<Vec<PathBuf>, Error> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let names = USUAL_NAMES.iter().flat_map(|stem| {
        let ends = ["json", "jsonc", "json5", "toml", "yaml", "yml"];
        ends.map(|end| path.join(format!("{stem}.{end}")))
    });
    let files: Vec<_> = names.filter(|file| file.is_file()).collect();
    if files.is_empty() {
        return Err(Error::NotFound {
            connector: NAME,
            path: path.to_owned(),
        });
    }
    Ok(files)
}

fn load(path: &Path) -> Result<Loaded, Error> {
    place::load(NAME, path, MAX_BYTES)
}

/// A parsed file.
struct Tree {
    format: Format,
    root: Node,
    lines: Lines,
}

impl Tree {
    fn of(file: &Loaded) -> Result<Self, Error> {
        Self::parse(file.path(), file.bytes()).map_err(|problem| problem.at(file.path()))
    }

    /// Parses a text in the format that its name says, else in the first that fits.
    fn parse(path: &Path, bytes: &[u8]) -> Result<Self, Problem> {
        let end = path.extension().unwrap_or_default().to_ascii_lowercase();
        let known = match end.to_str() {
            Some("json" | "jsonc" | "json5") => Some(Format::Json5),
            Some("toml") => Some(Format::Toml),
            Some("yaml" | "yml") => Some(Format::Yaml),
            _ => None,
        };
        let (format, root) = match known {
            Some(format) => (format, format.parse(bytes)?),
            None => first_fitting(bytes)?,
        };
        Ok(Self {
            format,
            root,
            lines: Lines::of(bytes),
        })
    }
}

/// The first format in which a text is more than a word.
fn first_fitting(bytes: &[u8]) -> Result<(Format, Node), Problem> {
    let mut first_error = None;
    for format in [Format::Json5, Format::Toml, Format::Yaml] {
        match format.parse(bytes) {
            Ok(root) if matches!(root.kind, Kind::List(_) | Kind::Map(_)) => {
                return Ok((format, root));
            }
            Ok(_) => {}
            Err(error) => first_error = first_error.or(Some(error)),
        }
    }
    let text = String::from_utf8_lossy(bytes);
    let is_json = text
        .trim_start_matches('\u{feff}')
        .trim_start()
        .starts_with('{');
    match first_error {
        Some(error) if is_json || std::str::from_utf8(bytes).is_err() => Err(error.into()),
        _ => Err(Problem("it is neither JSON nor TOML nor YAML".to_owned())),
    }
}

/// What bots call their files.
const USUAL_NAMES: &[&str] = &["config", "settings", "tokens", "credentials"];

/// Beyond any file that people write.
const MAX_BYTES: u64 = 4 << 20;
