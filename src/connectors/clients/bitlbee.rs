//! bitlbee-mastodon, a gateway from IRC: the settings of a BitlBee user, `<nick>.xml`.
//!
//! Evidence: BitlBee 3.6 (`storage_xml.c`, `lib/arc.c`) with bitlbee-mastodon 1.4 (`src/mastodon.c`,
//! `src/mastodon-lib.c`). The app's client_id and client_secret are settings (`consumer_key`, `consumer_secret`); the
//! token is in the account's `password`, a URL-encoded `access_token=…` that is encrypted with the password of the
//! BitlBee user, and then base64. Where another system checks that password (`auth_backend`), it is base64 alone. The
//! app is called `bitblee`, its redirect URI is `urn:ietf:wg:oauth:2.0:oob`; scopes are not stored. Accounts of other
//! protocols hold other passwords: nothing of them is kept.
//!
//! XML is read as it stands: entities that a file declares are never put in.

use std::path::{Path, PathBuf};

use data_encoding::BASE64;
use quick_xml::{
    Reader, XmlVersion,
    events::{BytesRef, BytesStart, Event},
};
use zeroize::Zeroizing;

use crate::{
    connectors::{
        Error, ReadRequest, Source, Specificity, Surroundings,
        error::Problem,
        place,
        store::{self, Entry, Skipped, Text},
        values::shown,
    },
    document::Lines,
    model::Snapshot,
};

/// The Mastodon accounts of a BitlBee user.
#[derive(Debug, Clone, Copy)]
pub struct Bitlbee;

const NAME: &str = "bitlbee";

impl Source for Bitlbee {
    fn name(&self) -> &'static str {
        NAME
    }

    fn title(&self) -> &'static str {
        "BitlBee with bitlbee-mastodon, a gateway from IRC"
    }

    /// The files of all users, where this one may read them.
    fn usual_places(&self, surroundings: &Surroundings) -> Vec<PathBuf> {
        if surroundings.root.as_os_str().is_empty() {
            return Vec::new();
        }
        files_in(&surroundings.root.join("var/lib/bitlbee"))
    }

    fn specificity(&self) -> Specificity {
        Specificity::Client
    }

    fn read(&self, request: &ReadRequest) -> Result<Snapshot, Error> {
        let path = path(&request.path)?;
        let mut snapshot = Snapshot::of_client(place::source_key(NAME, &path, request));
        let file = place::load(NAME, &path, place::MAX_BYTES)?;
        let entries = entries(file.bytes()).map_err(|problem| problem.at(&path))?;
        store::import(&entries, request, &mut snapshot);
        Ok(snapshot)
    }
}

fn files_in(folder: &Path) -> Vec<PathBuf> {
    let mut files = place::entries(folder).unwrap_or_default();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "xml"));
    files
}

/// The file itself, or the only one in the folder.
fn path(path: &Path) -> Result<PathBuf, Error> {
    if !path.is_dir() {
        return Ok(path.to_owned());
    }
    let files = files_in(path);
    match files.as_slice() {
        [file] => Ok(file.clone()),
        [] => Err(Error::NotFound {
            connector: NAME,
            path: path.to_owned(),
        }),
        _ => {
            let what = "it holds the settings of several BitlBee users: name a file";
            Err(Problem(what.to_owned()).at(path))
        }
    }
}

/// The Mastodon accounts of a file.
fn entries(bytes: &[u8]) -> Result<Vec<Entry<()>>, Problem> {
    let text =
        std::str::from_utf8(bytes).map_err(|_| Problem("it is not UTF-8 text".to_owned()))?;
    let text = text.trim_start_matches('\u{feff}');
    let mut reader = Reader::from_str(text);
    let mut user = User::default();
    loop {
        let event = reader
            .read_event()
            .map_err(|_| ())
            .and_then(|event| user.event(event));
        match event {
            Ok(true) => {}
            Ok(false) => break,
            Err(()) => {
                let at = usize::try_from(reader.buffer_position()).unwrap_or(text.len());
                let line = Lines::of(text.as_bytes()).number(at) as u64;
                return Err(Problem::line(line, "it is not XML as BitlBee writes it"));
            }
        }
    }
    let expected = "expected a BitlBee user's settings: <user> with \"nick\", and \"password\" or \"auth_backend\"";
    if !user.is_ours {
        return Err(Problem(expected.to_owned()));
    }
    if !user.open.is_empty() {
        return Err(Problem("it ends too early".to_owned()));
    }
    Ok(user
        .accounts
        .iter()
        .map(|account| account.entry(user.is_clear))
        .collect())
}

/// What is known of a file so far.
#[derive(Default)]
struct User {
    is_ours: bool,
    /// Whether passwords are not encrypted.
    is_clear: bool,
    /// The elements that are open, as far as they matter.
    open: Vec<Element>,
    accounts: Vec<Account>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Element {
    User,
    /// A Mastodon account: the last of those known.
    Account,
    /// One of its settings: the last of those known.
    Setting,
    Other,
}

#[derive(Default)]
struct Account {
    handle: Option<String>,
    tag: Option<String>,
    /// As it stands in the file.
    password: Option<Text>,
    settings: Vec<(String, Text)>,
    /// Whether something stands in it that is not text.
    is_odd: bool,
}

impl User {
    /// Takes the next part of the file; returns whether more may follow.
    fn event(&mut self, event: Event<'_>) -> Result<bool, ()> {
        match event {
            Event::Start(start) => {
                if self.open.len() >= MAX_DEPTH {
                    return Err(());
                }
                let element = self.element(&start)?;
                self.open.push(element);
            }
            Event::Empty(start) => {
                self.element(&start)?;
            }
            Event::End(_) => {
                self.open.pop().ok_or(())?;
            }
            Event::Text(text) => self.text(&text.xml10_content()),
            Event::CData(text) => self.text(&text.xml10_content()),
            Event::GeneralRef(reference) => self.reference(&reference),
            Event::Eof => return Ok(false),
            Event::Decl(_) | Event::PI(_) | Event::DocType(_) | Event::Comment(_) => {}
        }
        Ok(true)
    }

    fn element(&mut self, start: &BytesStart<'_>) -> Result<Element, ()> {
        let name = start.name().into_inner().to_ascii_lowercase();
        let [nick, password, backend] = attributes(start, ["nick", "password", "auth_backend"])?;
        Ok(match (name.as_str(), self.open.last()) {
            ("user", None) => {
                self.is_ours = nick.is_some() && (password.is_some() || backend.is_some());
                self.is_clear = backend.is_some();
                Element::User
            }
            ("account", Some(Element::User)) => {
                let [protocol, handle, tag] = attributes(start, ["protocol", "handle", "tag"])?;
                if protocol.as_deref().map(String::as_str) != Some("mastodon") {
                    return Ok(Element::Other);
                }
                if self.accounts.len() >= store::MAX_ACCOUNTS {
                    return Err(());
                }
                let plain = |text: Option<Text>| text.map(|text| text.as_str().to_owned());
                self.accounts.push(Account {
                    handle: plain(handle),
                    tag: plain(tag),
                    password,
                    ..Account::default()
                });
                Element::Account
            }
            ("setting", Some(Element::Account)) => {
                let [name] = attributes(start, ["name"])?;
                let name = name.map_or_else(String::new, |name| name.as_str().to_owned());
                if !SETTINGS.contains(&name.as_str()) {
                    return Ok(Element::Other);
                }
                // Long enough for what a setting holds, so that it doesn't grow and leave a copy behind.
                let text = Zeroizing::new(String::with_capacity(256));
                let account = self.accounts.last_mut().ok_or(())?;
                // The last one of a name counts.
                account.settings.retain(|(other, _)| *other != name);
                account.settings.push((name, text));
                Element::Setting
            }
            _ => Element::Other,
        })
    }

    fn text(&mut self, text: &str) {
        if self.open.last() == Some(&Element::Setting)
            && let Some((_, value)) = self
                .accounts
                .last_mut()
                .and_then(|account| account.settings.last_mut())
        {
            value.push_str(text);
        }
    }

    /// A character that is named. What the file itself declares stays unknown.
    fn reference(&mut self, reference: &BytesRef<'_>) {
        let character = match &*reference.xml10_content() {
            "amp" => Some('&'),
            "lt" => Some('<'),
            "gt" => Some('>'),
            "quot" => Some('"'),
            "apos" => Some('\''),
            _ => reference.resolve_char_ref().ok().flatten(),
        };
        match character {
            Some(c) => self.text(c.encode_utf8(&mut [0; 4])),
            None => {
                if let Some(account) = self.accounts.last_mut() {
                    account.is_odd = true;
                }
            }
        }
    }
}

/// The values of these attributes, whose names may have any case.
fn attributes<const N: usize>(
    start: &BytesStart<'_>,
    names: [&str; N],
) -> Result<[Option<Text>; N], ()> {
    let mut values = [const { None }; N];
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|_| ())?;
        let key = attribute.key.into_inner();
        let known = names.iter().position(|name| key.eq_ignore_ascii_case(name));
        if let Some(value) = known.and_then(|at| values.get_mut(at)) {
            let text = attribute
                .normalized_value(XmlVersion::Implicit1_0)
                .map_err(|_| ())?;
            *value = Some(Zeroizing::new(text.into_owned()));
        }
    }
    Ok(values)
}

impl Account {
    fn setting(&self, name: &str) -> Option<&Text> {
        let mut settings = self.settings.iter().rev();
        let (_, value) = settings.find(|(key, _)| key == name)?;
        Some(value)
    }

    fn entry(&self, is_clear: bool) -> Entry<()> {
        let text = |name: &str| self.setting(name).map(|text| text.as_str().to_owned());
        let handle = self.handle.clone().unwrap_or_default();
        let base_url = text("base_url").filter(|url| !url.is_empty());
        // The address of the API is left out where it follows from the handle.
        let host = handle.trim_start_matches('@').split_once('@');
        let instance = base_url
            .clone()
            .or_else(|| host.map(|(_, host)| host.to_owned()));
        let mut entry = Entry {
            label: format!(
                "account \"{}\" ({})",
                shown(&handle),
                shown(self.tag.as_deref().unwrap_or("no tag"))
            ),
            instance,
            base_url,
            user: Some(handle),
            client_id: text("consumer_key"),
            client_secret: self.setting("consumer_secret").cloned(),
            // As the plugin spells it.
            app_name: Some("bitblee".to_owned()),
            redirect_uri: Some("urn:ietf:wg:oauth:2.0:oob".to_owned()),
            ..Entry::default()
        };
        let password = self.password.as_ref().map_or("", |text| text.as_str());
        if self.is_odd {
            entry.skipped = Some(Skipped::unread("it holds references that are not followed"));
        } else if password.is_empty() {
            // Never logged in.
        } else if !is_clear {
            entry.skipped = Some(Skipped::known(ENCRYPTED));
        } else if let Some(parameters) = parameters(password) {
            entry.token = parameter(&parameters, "access_token");
            entry.refresh_token = parameter(&parameters, "refresh_token");
        } else {
            let what =
                "expected base64 of its token, which is what BitlBee writes beside an auth_backend";
            entry.skipped = Some(Skipped::unread(what));
        }
        entry
    }
}

/// The clear text of a password that is not encrypted: a query string.
fn parameters(password: &str) -> Option<Text> {
    let bytes = Zeroizing::new(BASE64.decode(password.as_bytes()).ok()?);
    let text = std::str::from_utf8(&bytes).ok()?;
    let text = text.trim_end_matches('\0');
    text.is_ascii().then(|| Zeroizing::new(text.to_owned()))
}

/// A parameter of a query string.
fn parameter(text: &str, name: &str) -> Option<Text> {
    let mut pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.find(|(key, _)| *key == name)?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(value.len()));
    let mut rest = value.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        let digits = after
            .get(..2)
            .and_then(|digits| std::str::from_utf8(digits).ok());
        let escaped = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match (byte, escaped) {
            (b'%', Some(escaped)) => {
                bytes.push(escaped);
                rest = after.get(2..).unwrap_or_default();
            }
            (b'+', _) => bytes.push(b' '),
            (byte, _) => bytes.push(*byte),
        }
    }
    let text = std::str::from_utf8(&bytes).ok()?;
    Some(Zeroizing::new(text.to_owned()))
}

/// What is read of an account's settings.
const SETTINGS: [&str; 3] = ["base_url", "consumer_key", "consumer_secret"];

/// BitlBee nests three.
const MAX_DEPTH: usize = 64;
const ENCRYPTED: &str = "its token is encrypted with your BitlBee password, and BitlBee has no command that shows it: \
                         decrypt it yourself (docs/clients.md says how), and import it with `tuskvault import json -`";

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::{
        connectors::testing::{assert_survives_damage, copied, data, read, records, warnings},
        model::Completeness,
    };

    const SAMPLE: &str = "bitlbee-mastodon/ada.xml";

    /// The settings of a user whose password another system checks, with an account.
    fn clear(account: &str) -> String {
        format!(
            "<user nick=\"ada\" auth_backend=\"ldap\" version=\"1\">\n\
             <account protocol=\"jabber\" handle=\"ada@im.example\" password=\"aHVudGVyMg==\"/>\n{account}\n</user>\n"
        )
    }

    fn account(password: &str, settings: &str) -> String {
        format!(
            "<account protocol=\"mastodon\" handle=\"ada\" tag=\"m\" password=\"{password}\">{settings}</account>"
        )
    }

    fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
        let (folder, path) = copied(SAMPLE);
        fs::write(&path, text).unwrap();
        (folder, path)
    }

    #[test]
    fn an_encrypted_token_is_told() {
        for path in [data(SAMPLE), data("bitlbee-mastodon")] {
            let snapshot = Bitlbee.read(&read(&path)).unwrap();
            assert!(snapshot.tokens.is_empty());
            assert_eq!(snapshot.completeness, Completeness::Complete);
            let told = warnings(&snapshot);
            assert_eq!(told.len(), 1);
            assert!(told[0].starts_with("account \"ada\" (mastodon): its token is encrypted"));
        }
    }

    #[test]
    fn a_token_in_clear_is_read_with_its_app() {
        let settings = "<setting name=\"base_url\">https://m.example/api/v1</setting>\
                        <setting name=\"consumer_key\">i&amp;1</setting>\
                        <setting name=\"consumer_secret\">s&#49;<![CDATA[2]]></setting>";
        let password = BASE64.encode(b"refresh_token=r1&access_token=t%2B1");
        let text = clear(&account(&password, settings));
        for text in [
            text.clone(),
            format!("\u{feff}{}", text.replace('\n', "\r\n")),
        ] {
            let (_folder, path) = file(&text);
            let snapshot = Bitlbee.read(&read(&path)).unwrap();
            assert!(warnings(&snapshot).is_empty(), "{:?}", warnings(&snapshot));
            let [ada]: [_; 1] = records(&snapshot).try_into().ok().unwrap();
            assert_eq!(ada.key().to_string(), "ada@m.example/bitblee");
            assert_eq!(ada.app.client_id.as_deref(), Some("i&1"));
            assert_eq!(ada.access_token.expose(), "t+1");
            assert_eq!(ada.refresh_token.as_ref().unwrap().expose(), "r1");
            assert_eq!(ada.app.client_secret.as_ref().unwrap().expose(), "s12");
            assert_eq!(
                ada.app.base_url.as_deref(),
                Some("https://m.example/api/v1")
            );
            assert_eq!(ada.app.redirect_uris, ["urn:ietf:wg:oauth:2.0:oob"]);
            assert_eq!(ada.scopes, None);
        }
    }

    #[test]
    fn the_instance_may_be_in_the_handle_and_the_login_unfinished() {
        let password = BASE64.encode(b"access_token=t1");
        let whole = account(&password, "").replace("\"ada\"", "\"@ada@M.example\"");
        let (_folder, path) = file(&clear(&whole));
        let snapshot = Bitlbee.read(&read(&path)).unwrap();
        assert_eq!(
            records(&snapshot)[0].key().to_string(),
            "ada@m.example/bitblee"
        );
        for (account, why, completeness) in [
            (account(&password, ""), "--instance", Completeness::Partial),
            (account("", ""), "no token", Completeness::Complete),
            (
                account(&BASE64.encode(b"x=y"), ""),
                "no token",
                Completeness::Complete,
            ),
            (
                account("no base64", ""),
                "expected base64",
                Completeness::Partial,
            ),
            (
                account("//8=", ""),
                "expected base64",
                Completeness::Partial,
            ),
        ] {
            let (_folder, path) = file(&clear(&account));
            let snapshot = Bitlbee.read(&read(&path)).unwrap();
            let told = warnings(&snapshot);
            assert_eq!((snapshot.tokens.len(), told.len()), (0, 1), "{told:?}");
            assert!(told[0].contains(why), "{told:?}");
            assert_eq!(snapshot.completeness, completeness, "{told:?}");
        }
    }

    #[test]
    fn it_is_found_on_the_disk_that_is_meant() {
        let disk = tempfile::tempdir().unwrap();
        let folder = disk.path().join("var/lib/bitlbee");
        fs::create_dir_all(&folder).unwrap();
        fs::copy(data(SAMPLE), folder.join("ada.xml")).unwrap();
        let mut surroundings = Surroundings {
            root: disk.path().to_owned(),
            ..Surroundings::default()
        };
        assert_eq!(
            Bitlbee.usual_places(&surroundings),
            [folder.join("ada.xml")]
        );
        surroundings.root = PathBuf::new();
        assert!(Bitlbee.usual_places(&surroundings).is_empty());
    }

    #[test]
    fn entities_of_the_file_are_never_put_in() {
        let grows = (1..30).map(|n| {
            let inside = format!("&a{};", n - 1).repeat(10);
            format!("<!ENTITY a{n} \"{inside}\">")
        });
        let bomb = format!(
            "<!DOCTYPE user [<!ENTITY a0 \"aaaaaaaaaa\">{}<!ENTITY file SYSTEM \"file:///etc/passwd\">]>\n",
            grows.collect::<Vec<_>>().concat()
        );
        let password = BASE64.encode(b"access_token=t1");
        for entity in ["&a29;", "&file;", "&none;"] {
            let setting = format!("<setting name=\"base_url\">https://{entity}</setting>");
            let (_folder, path) = file(&(bomb.clone() + &clear(&account(&password, &setting))));
            let snapshot = Bitlbee.read(&read(&path)).unwrap();
            assert_eq!(snapshot.completeness, Completeness::Partial);
            assert!(warnings(&snapshot)[0].contains("not followed"));
            let (_folder, path) = file(&(bomb.clone() + &clear(&account(entity, ""))));
            let error = Bitlbee.read(&read(&path)).unwrap_err();
            assert!(matches!(error, Error::Malformed { .. }));
        }
    }

    #[test]
    fn a_folder_of_several_users_is_not_guessed_at() {
        let (folder, path) = copied(SAMPLE);
        let other = folder.path().join("bea.xml");
        fs::copy(path, &other).unwrap();
        let error = Bitlbee.read(&read(folder.path())).unwrap_err();
        assert!(error.to_string().contains("name a file"), "{error}");
        assert_eq!(files_in(folder.path()).len(), 2);
        let empty = tempfile::tempdir().unwrap();
        let error = Bitlbee.read(&read(empty.path())).unwrap_err();
        assert!(matches!(error, Error::NotFound { .. }));
    }

    #[test]
    fn damage_is_told_without_secrets() {
        assert_survives_damage(&Bitlbee, SAMPLE);
        let deep = format!("<user nick=\"a\" password=\"b\">{}", "<x>".repeat(200_000));
        for not_ours in [
            "",
            "text",
            "<user/>",
            "<user nick=\"a\"></user>",
            "<html></html>",
            "<user nick=\"a\" password=\"b\">",
            "<user nick=\"a\" password=\"b\"><account></user>",
            "<user nick=\"a\" nick=\"b\" password=\"b\"></user>",
            &deep,
        ] {
            let (_folder, path) = file(not_ours);
            let error = Bitlbee.read(&read(&path)).unwrap_err();
            assert!(matches!(error, Error::Malformed { .. }), "{error}");
        }
    }
}
