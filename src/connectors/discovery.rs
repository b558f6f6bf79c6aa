//! What is on this machine, and what a file is.

use std::{collections::BTreeSet, fs, io, path::Path, path::PathBuf};

use crate::model::Snapshot;

use super::{Error, ReadRequest, Source, Surroundings, all};

/// A store in one of its usual places.
pub struct Found {
    /// The connector that reads it.
    pub connector: &'static dyn Source,
    /// The place: a file, or the folder that holds it.
    pub path: PathBuf,
    /// What is in it, or why it can't be read.
    pub snapshot: Result<Snapshot, Error>,
}

/// The stores in the usual places of every connector, in each of these surroundings. What is there and can't be read is found with its error; a
/// place without a store is not found; a file that two places lead to is found once.
pub fn discover(surroundings: &[Surroundings]) -> Vec<Found> {
    discover_among(all(), surroundings)
}

fn discover_among(sources: &[&'static dyn Source], surroundings: &[Surroundings]) -> Vec<Found> {
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    for connector in sources {
        let places = surroundings.iter().flat_map(|surroundings| {
            let places = connector.usual_places(surroundings).into_iter();
            places.map(|path| (path, surroundings.host.clone()))
        });
        for (path, host) in places {
            let request = ReadRequest {
                path,
                instance: None,
                user: None,
                host,
            };
            let snapshot = readable(*connector, &request.path, "name it to have it read")
                .and_then(|()| connector.read(&request));
            let file = match &snapshot {
                Err(Error::NotFound { .. }) => continue,
                Ok(snapshot) => Path::new(&snapshot.source.location),
                Err(_) => &request.path,
            };
            if seen.insert(fs::canonicalize(file).unwrap_or_else(|_| file.to_owned())) {
                found.push(Found {
                    connector: *connector,
                    path: request.path,
                    snapshot,
                });
            }
        }
    }
    found
}

/// The connector that reads what is at `request.path`, by its contents: of those that fit, the most narrowly defined.
///
/// # Errors
/// [`Error::NotFound`] when none fits, [`Error::Ambiguous`] when two fit equally well, [`Error::Malformed`] for a pipe,
/// [`Error::Io`] for a file that can't be read.
pub fn recognise(request: &ReadRequest) -> Result<&'static dyn Source, Error> {
    recognise_among(all(), request)
}

fn recognise_among<'a>(
    sources: &[&'a dyn Source],
    request: &ReadRequest,
) -> Result<&'a dyn Source, Error> {
    let none = || Error::NotFound {
        connector: "any connector",
        path: request.path.clone(),
    };
    let first = *sources.first().ok_or_else(none)?;
    readable(first, &request.path, "name the connector").map_err(|error| match error {
        Error::NotFound { .. } => none(),
        error => error,
    })?;
    let fitting = sources.iter().copied();
    let fitting: Vec<_> = fitting.filter(|source| source.fits(request)).collect();
    let narrowest = fitting.iter().map(|source| source.specificity()).max();
    let narrow = fitting.into_iter();
    let narrow: Vec<_> = narrow
        .filter(|source| Some(source.specificity()) == narrowest)
        .collect();
    match narrow.as_slice() {
        [source] => Ok(*source),
        [] => {
            // What can't be read at all fits nothing; that is the better thing to say.
            let errors = sources
                .iter()
                .filter_map(|source| source.read(request).err());
            let denied = |error: &Error| {
                let is_folder = |source: &io::Error| source.kind() == io::ErrorKind::IsADirectory;
                matches!(error, Error::Io { source, .. } if !is_folder(source))
            };
            Err(errors.into_iter().find(denied).unwrap_or_else(none))
        }
        several => Err(Error::Ambiguous {
            path: request.path.clone(),
            connectors: several.iter().map(|source| source.name()).collect(),
        }),
    }
}

/// Whether there is a file or folder that can be read as often as we like: a pipe would wait, and is read only once.
fn readable(connector: &dyn Source, path: &Path, what_to_do: &str) -> Result<(), Error> {
    use io::ErrorKind::{NotADirectory, NotFound};
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() || metadata.is_dir() => Ok(()),
        Ok(_) => Err(Error::Malformed {
            path: path.to_owned(),
            detail: format!("it is a pipe or a device: {what_to_do}"),
        }),
        Err(error) if matches!(error.kind(), NotFound | NotADirectory) => Err(Error::NotFound {
            connector: connector.name(),
            path: path.to_owned(),
        }),
        Err(source) => Err(Error::Io {
            path: path.to_owned(),
            source,
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::{os::unix::fs::symlink, slice};

    use super::*;
    use crate::connectors::{
        Specificity,
        clients::Dotenv,
        testing::{data, read},
    };

    /// A home with toot's store and a `.env`.
    fn home() -> (tempfile::TempDir, Surroundings) {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().to_owned();
        fs::create_dir_all(home.join(".config/toot")).unwrap();
        let config = home.join(".config/toot/config.json");
        fs::copy(data("toot/config.json"), config).unwrap();
        fs::create_dir(home.join("bot")).unwrap();
        fs::copy(data("dotenv/.env"), home.join("bot/.env")).unwrap();
        let surroundings = Surroundings {
            config: home.join(".config"),
            current: home.join("bot"),
            host: "laptop".to_owned(),
            home,
            ..Surroundings::default()
        };
        (folder, surroundings)
    }

    /// Names, and numbers of tokens or what is wrong.
    fn told(surroundings: &Surroundings) -> Vec<(&'static str, Result<usize, String>)> {
        let found = discover(slice::from_ref(surroundings))
            .into_iter()
            .map(|found| {
                let tokens = found.snapshot.map(|snapshot| snapshot.tokens.len());
                let tokens = tokens.map_err(|error| error.to_string());
                (found.connector.name(), tokens)
            });
        found.collect()
    }

    fn recognised(path: &Path) -> Result<&'static str, Error> {
        recognise(&read(path)).map(Source::name)
    }

    #[test]
    fn every_store_in_a_usual_place_is_found() {
        let (_folder, surroundings) = home();
        assert_eq!(told(&surroundings), [("toot", Ok(4)), ("dotenv", Ok(1))]);
        let found = discover(slice::from_ref(&surroundings));
        assert_eq!(found[0].path, surroundings.home.join(".config/toot"));
        let source = &found[0].snapshot.as_ref().unwrap().source;
        assert_eq!(source.host, "laptop");
    }

    #[test]
    fn places_without_a_store_are_not_found() {
        let (_folder, surroundings) = home();
        fs::remove_file(surroundings.home.join(".config/toot/config.json")).unwrap();
        fs::write(surroundings.current.join(".env"), "PATH=/bin\n").unwrap();
        assert_eq!(told(&surroundings), []);
        fs::remove_dir_all(surroundings.home.join(".config")).unwrap();
        fs::remove_file(surroundings.current.join(".env")).unwrap();
        symlink("nowhere", surroundings.current.join(".env")).unwrap();
        assert_eq!(told(&surroundings), []);
        assert_eq!(told(&Surroundings::default()), []);
    }

    #[test]
    fn what_is_there_and_cannot_be_read_is_found_with_its_error() {
        let (_folder, surroundings) = home();
        let config = surroundings.home.join(".config/toot/config.json");
        fs::write(&config, "{").unwrap();
        let env = surroundings.current.join(".env");
        fs::remove_file(&env).unwrap();
        // Opening a pipe that nobody writes to would wait for ever.
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mknodat(rustix::fs::CWD, &env, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        let told = told(&surroundings);
        let errors: Vec<_> = told.iter().map(|(_, it)| it.clone().unwrap_err()).collect();
        assert!(errors[0].contains("config.json: line 1"), "{errors:?}");
        assert!(errors[1].contains("it is a pipe"), "{errors:?}");
        assert!(matches!(recognised(&env), Err(Error::Malformed { .. })));
    }

    #[test]
    fn a_file_that_two_places_lead_to_is_found_once() {
        struct TwoPlaces;
        impl Source for TwoPlaces {
            fn name(&self) -> &'static str {
                "two"
            }
            fn title(&self) -> &'static str {
                "two places"
            }
            fn usual_places(&self, surroundings: &Surroundings) -> Vec<PathBuf> {
                ["link", ".env", "other"]
                    .map(|name| surroundings.current.join(name))
                    .to_vec()
            }
            fn read(&self, request: &ReadRequest) -> Result<Snapshot, Error> {
                Dotenv.read(request)
            }
            fn specificity(&self) -> Specificity {
                Specificity::Convention
            }
        }
        let (_folder, surroundings) = home();
        symlink(".env", surroundings.current.join("link")).unwrap();
        let other = surroundings.current.join("other");
        fs::copy(surroundings.current.join(".env"), other).unwrap();
        let found = discover_among(&[&TwoPlaces, &Dotenv], slice::from_ref(&surroundings));
        let paths: Vec<_> = found
            .iter()
            .map(|found| found.path.file_name().unwrap())
            .collect();
        assert_eq!(paths, ["link", "other"]);
    }

    #[cfg(feature = "sqlite")]
    #[test]
    fn databases_are_recognised_by_their_tables() {
        for (path, name) in [
            ("fedilab", "fedilab"),
            (
                "fedilab/Fedilab_data_export_2026-01-02-03-04-05.zip",
                "fedilab",
            ),
            ("fedilab/databases/fedilab_db", "fedilab"),
            ("mastodon-android/C-official-2.13", "mastodon-android"),
            (
                "mastodon-android/C-official-2.13/databases/accounts.db",
                "mastodon-android",
            ),
            ("tusky/v30", "tusky"),
            ("tusky/v70", "tusky"),
            ("tusky/v70/databases/tuskyDB", "tusky"),
        ] {
            assert_eq!(recognised(&data(path)).unwrap(), name, "{path}");
        }
    }

    #[test]
    fn files_and_folders_are_recognised_by_what_they_hold() {
        for (path, name) in [
            ("bitlbee-mastodon", "bitlbee"),
            ("bitlbee-mastodon/ada.xml", "bitlbee"),
            ("mastodon-android/A-official-2.6", "mastodon-android"),
            (
                "mastodon-android/A-official-2.6/files/accounts.json",
                "mastodon-android",
            ),
            (
                "mastodon-android/B-megalodon/files/accounts.json",
                "mastodon-android",
            ),
            ("mastodon-ios/keychain-item.b64", "mastodon-ios"),
            ("mastodon-el/mastodon.plstore", "mastodon-el"),
            ("mastodon-el/encrypted.plstore", "mastodon-el"),
            ("tuba-tootle/tootle-0.2/accounts.json", "tootle"),
            ("tuba-tootle/tootle-1.0", "tootle"),
            ("tuba-tootle/tuba-secrets.json", "tuba"),
            ("tokodon/Tokodon-old.conf", "tokodon"),
            ("tokodon/tokodonstaterc", "tokodon"),
            ("web-clients/elk-localstorage.json", "web"),
            ("web-clients/elk-indexeddb-users.json", "web"),
            ("web-clients/phanpy-localstorage.json", "web"),
            ("web-clients/pinafore-localstorage.json", "web"),
            ("web-clients/sengi-localstorage.json", "web"),
            ("toot", "toot"),
            ("toot/config.json", "toot"),
            ("toot/config-empty.json", "toot"),
            ("toot/legacy/user.cfg", "toot"),
            ("mastodon-py", "mastodon-py"),
            ("mastodon-py/bot_usercred.secret", "mastodon-py"),
            ("dotenv", "dotenv"),
            ("dotenv/multi.env", "dotenv"),
            ("dotenv/server.env.production", "dotenv"),
            ("madonctl", "madonctl"),
            ("madonctl/madonctl.yaml", "madonctl"),
            ("madonctl/madonctl.toml", "madonctl"),
            ("madonctl/madonctl.json", "madonctl"),
            ("mastodon-archive", "mastodon-archive"),
            (
                "mastodon-archive/mastodon.example.user.ada.secret",
                "mastodon-archive",
            ),
            ("rust-crates", "mastodon-async"),
            ("rust-crates/mastodon-data.toml", "mastodon-async"),
            ("rust-crates/mastodon-data.json", "mastodon-async"),
            ("thedesk/export.thedeskconfig.json5", "thedesk"),
            ("thedesk/export-pretty-commented.json5", "thedesk"),
            ("thedesk/localstorage-v25.json", "thedesk"),
            ("whalebird/v4", "whalebird"),
            ("whalebird/v4/db/account.db", "whalebird"),
            #[cfg(feature = "sqlite")]
            ("whalebird/v5", "whalebird"),
            #[cfg(feature = "sqlite")]
            ("whalebird/v5/whalebird.db", "whalebird"),
            ("whalebird/v6/accounts-export.json", "whalebird"),
        ] {
            assert_eq!(recognised(&data(path)).unwrap(), name, "{path}");
            // Not by its name, but where that says whose tokens it holds.
            let folder = tempfile::tempdir().unwrap();
            let copy = folder.path().join("copy");
            let is_named = path.ends_with("user.cfg") || name == "mastodon-archive";
            if data(path).is_file() && !is_named {
                fs::copy(data(path), &copy).unwrap();
                assert_eq!(recognised(&copy).unwrap(), name, "{path}");
            }
        }
        let folder = tempfile::tempdir().unwrap();
        for text in [
            "",
            "\n",
            "hello\n",
            "{}",
            "[]",
            "{\"apps\":{}}",
            "\0",
            "A=b",
        ] {
            let path = folder.path().join("file");
            fs::write(&path, text).unwrap();
            let error = recognised(&path).err();
            assert!(
                matches!(error, Some(Error::NotFound { .. })),
                "{text}: {error:?}"
            );
        }
        for path in [folder.path(), &folder.path().join("nothing")] {
            let error = recognised(path).unwrap_err().to_string();
            assert!(
                error.ends_with("holds nothing that any connector reads"),
                "{error}"
            );
        }
    }

    #[test]
    fn the_interchange_is_told_from_what_bots_have() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        for (text, connector) in [
            (
                r#"{"id":"tk_abcdefgh","instance":"m.example","access_token":"t"}"#,
                "json",
            ),
            (r#"{"run":{"id":1}}"#, "json"),
            (r#"{"instance":"m.example","access_token":"t"}"#, "generic"),
        ] {
            fs::write(&path, text).unwrap();
            assert_eq!(recognised(&path).unwrap(), connector, "{text}");
        }
    }

    #[test]
    fn two_that_fit_equally_well_are_ambiguous_and_the_narrower_wins() {
        struct Fits(&'static str, Specificity);
        impl Source for Fits {
            fn name(&self) -> &'static str {
                self.0
            }
            fn title(&self) -> &'static str {
                self.0
            }
            fn usual_places(&self, _: &Surroundings) -> Vec<PathBuf> {
                Vec::new()
            }
            fn read(&self, request: &ReadRequest) -> Result<Snapshot, Error> {
                Err(Error::NotFound {
                    connector: self.0,
                    path: request.path.clone(),
                })
            }
            fn specificity(&self) -> Specificity {
                self.1
            }
            fn fits(&self, _: &ReadRequest) -> bool {
                true
            }
        }
        let wide = Fits("wide", Specificity::Generic);
        let one = Fits("one", Specificity::Convention);
        let other = Fits("other", Specificity::Convention);
        let request = read(&data("dotenv"));
        let source = recognise_among(&[&wide, &one], &request).unwrap();
        assert_eq!(source.name(), "one");
        let error = recognise_among(&[&other, &wide, &one], &request).err();
        let error = error.unwrap().to_string();
        assert!(error.ends_with("could be for other or one"), "{error}");
        // A folder that holds a `.env` and a bot's secret files.
        let folder = tempfile::tempdir().unwrap();
        fs::copy(data("dotenv/.env"), folder.path().join(".env")).unwrap();
        let secret = folder.path().join("bot.secret");
        fs::copy(data("mastodon-py/bot_usercred.secret"), secret).unwrap();
        let error = recognised(folder.path());
        assert!(matches!(error, Err(Error::Ambiguous { .. })));
    }
}
