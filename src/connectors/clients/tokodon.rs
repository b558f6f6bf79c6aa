//! Tokodon, KDE's client: the settings of versions before 23.08, which hold the tokens, and the state file of later
//! ones, which does not.
//!
//! Evidence: Tokodon 22.02 to 23.08 and its development in 2026 (`src/accountmanager.cpp`, `src/account.cpp`,
//! `src/account/accountmanager.cpp`, `src/accountconfig.kcfg`). Old: `QSettings`, a group in `accounts` for each account
//! (`ada`, later `ada@mastodon.example`) with `token`, `client_id`, `client_secret`, `instance_uri`, `name`; the first
//! start of a newer version empties the file. New: KConfig, a group `ada@mastodon.example` with `ClientId`,
//! `InstanceUri`, `Name`; token and client_secret are in the system's keychain (QtKeychain: service `Tokodon`, key
//! `ada@mastodon.example-access-token`, in Flatpak `…-flatpak-access-token`; with the Secret Service these are the
//! attributes `server` and `user`, with KWallet folder and entry). The app is called `Tokodon`; its redirect URI
//! changed over time, and like the scopes it is not stored.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use crate::{
    connectors::{
        Error, ReadRequest, Source, Specificity, Surroundings,
        error::Problem,
        place,
        store::{self, Entry, Skipped},
        values::{self, shown},
    },
    document::ini::{self, Dialect, Section},
    model::Snapshot,
};

/// Tokodon's accounts.
#[derive(Debug, Clone, Copy)]
pub struct Tokodon;

const NAME: &str = "tokodon";

impl Source for Tokodon {
    fn name(&self) -> &'static str {
        NAME
    }

    fn title(&self) -> &'static str {
        "Tokodon, KDE's client"
    }

    fn usual_places(&self, surroundings: &Surroundings) -> Vec<PathBuf> {
        let home = &surroundings.home;
        let flatpak = home.join(".var/app").join(FLATPAK);
        let mut configs = surroundings.config_folders();
        configs.push(flatpak.join("config"));
        let mut places: Vec<_> = configs
            .iter()
            .flat_map(|folder| OLD.map(|file| folder.join(file)))
            .collect();
        for above in [home, &flatpak] {
            places.push(above.join(".local/state").join(STATE));
        }
        let shared = home.join(".local/share");
        for data in [&surroundings.data, &shared, &flatpak.join("data")] {
            places.extend(DATA.map(|folder| data.join(folder).join(STATE)));
        }
        places
    }

    fn specificity(&self) -> Specificity {
        Specificity::Client
    }

    fn read(&self, request: &ReadRequest) -> Result<Snapshot, Error> {
        let not_found = || Error::NotFound {
            connector: NAME,
            path: request.path.clone(),
        };
        if !request.path.is_dir() {
            // A file that a newer version has emptied holds nothing; of any other name it is something else.
            let is_named = is_named(&request.path);
            return read_file(&request.path, request)?.ok_or_else(|| {
                if is_named {
                    return not_found();
                }
                Problem(EXPECTED.to_owned()).at(&request.path)
            });
        }
        for file in files_in(&request.path) {
            if let Some(snapshot) = read_file(&file, request)? {
                return Ok(snapshot);
            }
        }
        Err(not_found())
    }
}

/// The files that can be in a folder: that of the settings, of the state, of Flatpak, or the home folder.
fn files_in(folder: &Path) -> Vec<PathBuf> {
    let mut names = vec![STATE.to_owned()];
    for above in ["", "config/", ".config/"] {
        names.extend(OLD.iter().map(|file| format!("{above}{file}")));
    }
    names.extend(
        OLD.iter()
            .filter_map(|file| file.strip_prefix("KDE/"))
            .map(str::to_owned),
    );
    names.push(format!(".local/state/{STATE}"));
    for above in ["", "data/", ".local/share/"] {
        names.extend(DATA.iter().map(|data| format!("{above}{data}/{STATE}")));
    }
    let files = names.iter().map(|name| folder.join(name));
    files.filter(|file| file.is_file()).collect()
}

fn is_named(path: &Path) -> bool {
    let name = place::file_name(path);
    name == STATE
        || OLD
            .iter()
            .any(|file| file.rsplit('/').next() == Some(&name))
}

/// Reads a file; nothing where it holds no account.
fn read_file(path: &Path, request: &ReadRequest) -> Result<Option<Snapshot>, Error> {
    let file = place::load(NAME, path, place::MAX_BYTES)?;
    let mut snapshot = Snapshot::of_client(place::source_key(NAME, path, request));
    let entries = entries(file.bytes(), path).map_err(|problem| problem.at(path))?;
    store::import(&entries, request, &mut snapshot);
    Ok((!entries.is_empty()).then_some(snapshot))
}

/// The accounts of either kind of file.
fn entries(bytes: &[u8], path: &Path) -> Result<Vec<Entry<()>>, Problem> {
    let old = ini::parse(Dialect::Qt, bytes);
    if let Ok(sections) = &old {
        let entries = old_entries(sections)?;
        if !entries.is_empty() {
            return Ok(entries);
        }
    }
    let sections = ini::parse(Dialect::Kde, bytes)?;
    let accounts = sections.iter().filter(|section| {
        section.name.contains('@')
            && section.get("InstanceUri").is_some()
            && (section.get("ClientId").is_some() || section.get("Name").is_some())
    });
    let accounts: Vec<_> = accounts.collect();
    store::bounded(accounts.len())?;
    let entries = accounts.iter().map(|account| new_entry(account, path));
    Ok(entries.collect())
}

/// The accounts of the settings, in the order of their groups.
fn old_entries(sections: &[Section]) -> Result<Vec<Entry<()>>, Problem> {
    let mut accounts: Vec<Section> = Vec::new();
    let mut places: BTreeMap<&str, usize> = BTreeMap::new();
    let sections = sections.iter().filter(|section| section.name == "accounts");
    for (key, value) in sections.flat_map(|section| &section.entries) {
        let Some((group, key)) = key.rsplit_once('/') else {
            continue;
        };
        let entry = (key.to_owned(), value.clone());
        let place = *places.entry(group).or_insert(accounts.len());
        match accounts.get_mut(place) {
            Some(account) => account.entries.push(entry),
            None => accounts.push(Section {
                name: group.to_owned(),
                entries: vec![entry],
            }),
        }
    }
    store::bounded(accounts.len())?;
    accounts.retain(|account| {
        let has = |key: &str| account.entries.iter().any(|(name, _)| name == key);
        has("instance_uri") && (has("token") || has("client_id"))
    });
    Ok(accounts.iter().map(old_entry).collect())
}

fn old_entry(account: &Section) -> Entry<()> {
    let text = |key: &str| account.get(key).map(str::to_owned);
    let is_there = account.entries.iter().any(|(key, _)| key == "token");
    let skipped = is_there && account.get("token").is_none();
    Entry {
        token: text("token").map(Into::into),
        client_id: text("client_id"),
        client_secret: text("client_secret").map(Into::into),
        skipped: skipped.then(|| Skipped::unread("expected a text for \"token\"")),
        ..known(
            &account.name,
            account.get("name"),
            account.get("instance_uri"),
        )
    }
}

/// What is known of an account in either file.
fn known(group: &str, name: Option<&str>, instance: Option<&str>) -> Entry<()> {
    let name = name.filter(|name| !name.is_empty());
    let own = group.split('@').next().unwrap_or(group);
    Entry {
        label: format!("account \"{}\"", shown(group)),
        instance: instance.map(str::to_owned),
        base_url: instance.map(str::to_owned),
        user: Some(name.unwrap_or(own).to_owned()),
        app_name: Some("Tokodon".to_owned()),
        ..Entry::default()
    }
}

fn new_entry(account: &Section, path: &Path) -> Entry<()> {
    let token = account.get("Token").filter(|token| !token.is_empty());
    Entry {
        token: token.map(|token| token.to_owned().into()),
        client_id: account.get("ClientId").map(str::to_owned),
        skipped: token
            .is_none()
            .then(|| Skipped::known(in_keychain(account, path))),
        ..known(
            &account.name,
            account.get("Name"),
            account.get("InstanceUri"),
        )
    }
}

/// Where the token is, and what shows it.
fn in_keychain(account: &Section, path: &Path) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "@._-:".contains(c);
    let group = Some(account.name.as_str()).filter(|name| name.chars().all(is_plain));
    let flatpak = if path.components().any(|part| part.as_os_str() == FLATPAK) {
        "-flatpak"
    } else {
        ""
    };
    let key = format!("{}{flatpak}-access-token", group.unwrap_or("USER@HOST"));
    let instance = account.get("InstanceUri").and_then(values::instance);
    let instance = instance.as_ref().map_or("HOST", |domain| domain.as_str());
    let name = account
        .get("Name")
        .and_then(values::handle)
        .map_or("USER", |(name, _)| name);
    format!(
        "its token is in the system's keychain: `secret-tool lookup server Tokodon user {key}` shows it (KWallet: \
         `kwallet-query -f Tokodon -r {key} kdewallet`, macOS: `security find-generic-password -s Tokodon -a {key} -w`); \
         with {{\"instance\":\"{instance}\",\"user\":\"{name}\",\"access_token\":\"…\"}} around it, `tuskvault import \
         json -` takes it"
    )
}

const FLATPAK: &str = "org.kde.tokodon";
const OLD: [&str; 3] = ["KDE/Tokodon.conf", "KDE/tokodon.conf", "tokodonrc"];
const STATE: &str = "tokodonstaterc";

/// Where the state was kept before there was a folder for it.
const DATA: [&str; 3] = ["KDE/tokodon", "KDE/Tokodon", "tokodon"];
const EXPECTED: &str = "expected accounts in [accounts], as Tokodon's settings have them, or in groups like [user@host], as its state has";

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::{
        connectors::testing::{assert_survives_damage, copied, data, read, records, warnings},
        model::Completeness,
    };

    const OLD_SAMPLE: &str = "tokodon/Tokodon-old.conf";
    const NEW_SAMPLE: &str = "tokodon/tokodonstaterc";

    fn keys(snapshot: &Snapshot) -> Vec<String> {
        let records = records(snapshot).into_iter();
        records.map(|record| record.key().to_string()).collect()
    }

    /// A file of this name and text.
    fn file(name: &str, text: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        (folder, path)
    }

    #[test]
    fn the_settings_of_old_versions_hold_everything() {
        let snapshot = Tokodon.read(&read(&data(OLD_SAMPLE))).unwrap();
        assert_eq!(
            keys(&snapshot),
            [
                "ada@mastodon.example/Tokodon",
                "b_orges@fosstodon.example/Tokodon"
            ]
        );
        let ada = &records(&snapshot)[0];
        assert_eq!(
            ada.access_token.expose(),
            "UJTFvdToYI8_-YG8jwL3AklYSeF3ucpc9nbffBBEl9U"
        );
        assert!(ada.app.client_id.as_deref().unwrap().starts_with("vlwohv"));
        assert!(
            ada.app
                .client_secret
                .as_ref()
                .unwrap()
                .expose()
                .starts_with("MHfCpw")
        );
        assert_eq!((&ada.scopes, ada.app.redirect_uris.len()), (&None, 0));
        assert!(warnings(&snapshot).is_empty());
    }

    #[test]
    fn the_escapes_of_the_settings_are_undone() {
        for text in [
            // The groups of the first versions were users alone.
            "[accounts]\nada\\token=t1\nada\\instance_uri=https://M.example\nada\\name=ada\n",
            "\u{feff}[accounts]\r\nada%40m.example\\token=\"\\x74\\61\"\r\nada%40m.example\\instance_uri=\"https://m.example\"\r\n",
            "[accounts]\nada%40m.example\\token=t0\nada%40m.example\\token=t1\nada%40m.example\\instance_uri=m.example\n",
        ] {
            let (_folder, path) = file("x", text);
            let snapshot = Tokodon.read(&read(&path)).unwrap();
            assert_eq!(keys(&snapshot), ["ada@m.example/Tokodon"], "{text}");
            assert_eq!(records(&snapshot)[0].access_token.expose(), "t1");
        }
        for (text, completeness) in [
            (
                "[accounts]\na\\token=b, c\na\\instance_uri=m.example\n",
                Completeness::Partial,
            ),
            (
                "[accounts]\na\\token=\na\\instance_uri=m.example\n",
                Completeness::Complete,
            ),
        ] {
            let (_folder, path) = file("x", text);
            let snapshot = Tokodon.read(&read(&path)).unwrap();
            assert_eq!((snapshot.tokens.len(), snapshot.warnings.len()), (0, 1));
            assert_eq!(snapshot.completeness, completeness, "{text}");
        }
    }

    #[test]
    fn the_state_of_new_versions_says_where_the_token_is() {
        let snapshot = Tokodon.read(&read(&data(NEW_SAMPLE))).unwrap();
        assert!(snapshot.tokens.is_empty());
        assert_eq!(snapshot.completeness, Completeness::Complete);
        let told = warnings(&snapshot);
        assert_eq!(told.len(), 2);
        let command = "`secret-tool lookup server Tokodon user ada@mastodon.example-access-token`";
        assert!(told[0].contains(command), "{told:?}");
        assert!(told[0].contains("{\"instance\":\"mastodon.example\",\"user\":\"ada\","));
        // Of Flatpak.
        let folder = tempfile::tempdir().unwrap();
        let flatpak = folder.path().join(FLATPAK);
        fs::create_dir_all(flatpak.join(".local/state")).unwrap();
        fs::copy(data(NEW_SAMPLE), flatpak.join(".local/state").join(STATE)).unwrap();
        let snapshot = Tokodon.read(&read(&flatpak)).unwrap();
        assert!(warnings(&snapshot)[0].contains("ada@mastodon.example-flatpak-access-token"));
        // A name that would be a command's.
        let text = "[a`id`@m.example]\nInstanceUri=https://m.example\nName=a`id`\n\n[b@m.example]\nInstanceUri=m.example\n\
                    ClientId=i\nToken=t1\n";
        let (_folder, path) = file(STATE, text);
        let snapshot = Tokodon.read(&read(&path)).unwrap();
        assert!(warnings(&snapshot)[0].contains("user USER@HOST-access-token"));
        assert_eq!(
            keys(&snapshot),
            ["b@m.example/Tokodon"],
            "written by no version, yet clear"
        );
    }

    #[test]
    fn it_is_found_where_each_version_keeps_it() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path();
        let surroundings = Surroundings {
            home: home.to_owned(),
            config: home.join(".config"),
            data: home.join(".local/share"),
            ..Surroundings::default()
        };
        for (place, sample) in [
            (".config/KDE/Tokodon.conf", OLD_SAMPLE),
            (".config/tokodonrc", OLD_SAMPLE),
            (".local/state/tokodonstaterc", NEW_SAMPLE),
            (".local/share/KDE/tokodon/tokodonstaterc", NEW_SAMPLE),
        ] {
            for above in [home.to_owned(), home.join(".var/app/org.kde.tokodon")] {
                let inside = if above == home {
                    place.to_owned()
                } else {
                    let inside = place.replace(".config", "config");
                    inside.replace(".local/share", "data")
                };
                let path = above.join(inside);
                assert!(
                    Tokodon.usual_places(&surroundings).contains(&path),
                    "{path:?}"
                );
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::copy(data(sample), &path).unwrap();
                // What a newer version left of the old settings.
                let wiped = above.join("tokodonrc");
                fs::write(&wiped, "").unwrap();
                for path in [&path, path.parent().unwrap(), &above] {
                    let snapshot = Tokodon.read(&read(path)).unwrap();
                    assert_eq!(
                        snapshot.tokens.len() + snapshot.warnings.len(),
                        2,
                        "{path:?}"
                    );
                }
                let error = Tokodon.read(&read(&wiped)).unwrap_err();
                assert!(matches!(error, Error::NotFound { .. }));
                fs::remove_file(path).unwrap();
            }
        }
        let error = Tokodon.read(&read(home)).unwrap_err();
        assert!(matches!(error, Error::NotFound { .. }));
    }

    #[test]
    fn damage_is_told_without_secrets() {
        assert_survives_damage(&Tokodon, OLD_SAMPLE);
        assert_survives_damage(&Tokodon, NEW_SAMPLE);
        for not_ours in [
            "",
            "[General]\na=1\n",
            "[accounts]\na\\token=t\n",
            "[accounts]\ntoken=t\ninstance_uri=m.example\n",
            "[a@b]\nK=v\n",
            "no ini",
        ] {
            let (_folder, path) = copied(OLD_SAMPLE);
            fs::write(&path, not_ours).unwrap();
            let error = Tokodon.read(&read(&path)).unwrap_err();
            assert!(
                matches!(error, Error::Malformed { .. }),
                "{not_ours}: {error}"
            );
        }
    }
}
