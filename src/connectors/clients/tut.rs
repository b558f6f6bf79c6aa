//! tut, a terminal client: `accounts.toml`.
//!
//! Evidence: tut 2.0.1, `config/accounts.go` and `auth/` (pelletier/go-toml, which matches keys in any case), and Go's
//! `os.UserConfigDir`. Each table of `Accounts` has `Name` (without domain), `Server` (a URL as it was typed),
//! `ClientID`, `ClientSecret`, `AccessToken`. Scopes are not stored. 1.x wrote double quotes, 2.x writes single ones.
//!
//! A value that begins with `!CMD!` is a command whose output is the secret. It is never run, and never replaced: the
//! person's secret is in a password manager.

use std::path::PathBuf;

use crate::{
    connectors::{
        Error, Prepared, ReadRequest, Sink, Source, Specificity, Surroundings, WriteRequest,
        error::Problem,
        place,
        store::{self, Entry, Skipped, Spans, Taken, TextPlan},
        values::shown,
    },
    document::{Format, Kind, Member, Node, Splice},
    model::{Record, Snapshot},
};

/// tut's accounts.
#[derive(Debug, Clone, Copy)]
pub struct Tut;

const NAME: &str = "tut";

impl Source for Tut {
    fn name(&self) -> &'static str {
        NAME
    }

    fn title(&self) -> &'static str {
        "tut, a client for the terminal"
    }

    fn usual_places(&self, surroundings: &Surroundings) -> Vec<PathBuf> {
        let folders = surroundings.config_folders().into_iter();
        folders
            .map(|folder| folder.join("tut").join(FILE))
            .collect()
    }

    fn specificity(&self) -> Specificity {
        Specificity::Client
    }

    fn read(&self, request: &ReadRequest) -> Result<Snapshot, Error> {
        let path = path(request.path.clone())?;
        let mut snapshot = Snapshot::of_client(place::source_key(NAME, &path, request));
        let file = place::load(NAME, &path, place::MAX_BYTES)?;
        let root = parse(file.bytes()).map_err(|problem| problem.at(&path))?;
        store::import(&entries(&root), request, &mut snapshot);
        Ok(snapshot)
    }

    fn sink(&self) -> Option<&dyn Sink> {
        Some(self)
    }

    fn programs(&self) -> &'static [&'static str] {
        &["tut"]
    }
}

impl Sink for Tut {
    fn plan(&self, request: &WriteRequest, records: &[Record]) -> Result<Box<dyn Prepared>, Error> {
        let path = path(request.path.clone())?;
        let file = place::load(NAME, &path, place::MAX_BYTES)?;
        let root = parse(file.bytes()).map_err(|problem| problem.at(&path))?;
        let plan = TextPlan {
            connector: NAME,
            format: Format::Toml,
            root: &root,
            entries: &entries(&root),
            taken: Taken::Apart,
            insert: &|splice, name, record| insert(splice, accounts(&root), name, record),
            advice: "restart tut: it reads its accounts when it starts",
        };
        Ok(plan.prepared(file, request, records))
    }
}

/// The file itself, or the one in the folder.
fn path(path: PathBuf) -> Result<PathBuf, Error> {
    place::file_in(&path, &[FILE, "tut/accounts.toml"]).ok_or(Error::NotFound {
        connector: NAME,
        path,
    })
}

/// Parses it and makes sure that it is tut's: an array of tables `Accounts`, each with the keys of an account.
fn parse(bytes: &[u8]) -> Result<Node, Problem> {
    let root = Format::Toml.parse(bytes)?;
    let tables = accounts(&root).map(|member| &member.value.kind);
    let Some(Kind::List(tables)) = tables else {
        return Err(Problem(
            "expected an array of tables \"Accounts\"".to_owned(),
        ));
    };
    store::bounded(tables.len())?;
    let is_account =
        |node: &Node| get(node, "Server").is_some() && get(node, "AccessToken").is_some();
    if !tables.iter().all(is_account) {
        let what = "expected \"Server\" and \"AccessToken\" in each of \"Accounts\"";
        return Err(Problem(what.to_owned()));
    }
    Ok(root)
}

fn accounts(root: &Node) -> Option<&Member> {
    root.member_in_any_case("Accounts")
}

fn get<'a>(node: &'a Node, key: &str) -> Option<&'a Node> {
    Some(&node.member_in_any_case(key)?.value)
}

fn entries(root: &Node) -> Vec<Entry<Option<Spans<'_>>>> {
    let Some(Kind::List(tables)) = accounts(root).map(|member| &member.value.kind) else {
        return Vec::new();
    };
    tables.iter().map(entry).collect()
}

fn entry(table: &Node) -> Entry<Option<Spans<'_>>> {
    let string = |key: &str| get(table, key).filter(|node| node.text().is_some());
    let text = |key: &str| string(key).and_then(Node::text).map(str::to_owned);
    let (token, id, secret) = (
        string("AccessToken"),
        string("ClientID"),
        string("ClientSecret"),
    );
    let name = text("Name").unwrap_or_default();
    let server = text("Server").unwrap_or_default();
    let is_command = |node: Option<&Node>| {
        let text = node.and_then(Node::text);
        text.is_some_and(|text| text.trim_start().starts_with(COMMAND))
    };
    let skipped = if is_command(token) {
        let what = "its token is the output of a command, which is never run: back up what the command reads from, or \
                    put the token itself there";
        Some(Skipped::known(what))
    } else if token.is_none() {
        Some(Skipped::unread("expected a string for \"AccessToken\""))
    } else {
        None
    };
    // A client that is kept elsewhere is not known, and stays.
    let client = id.zip(secret);
    let client = client.filter(|(id, secret)| !is_command(Some(id)) && !is_command(Some(secret)));
    Entry {
        place: token.map(|token| Spans { token, client }),
        label: format!("account \"{}\" of {}", shown(&name), shown(&server)),
        instance: Some(server.clone()),
        base_url: Some(server),
        user: Some(name),
        token: token
            .and_then(Node::text)
            .map(|text| text.to_owned().into()),
        client_id: client.and_then(|(id, _)| id.text()).map(str::to_owned),
        client_secret: client
            .and_then(|(_, secret)| secret.text())
            .map(|text| text.to_owned().into()),
        app_name: Some("tut-tui".to_owned()),
        redirect_uri: Some(REDIRECT_URI.to_owned()),
        skipped,
        ..Entry::default()
    }
}

/// Appends a table: the first one is the default account.
fn insert(
    splice: &mut Splice<'_>,
    accounts: Option<&Member>,
    name: &str,
    record: &Record,
) -> Result<String, String> {
    let (id, secret) = store::client_of(record)
        .ok_or("tut needs client_id and client_secret of the app, which are not known")?;
    let base_url = record.app.base_url.clone();
    let server = base_url.unwrap_or_else(|| format!("https://{}", record.instance));
    let accounts = accounts.ok_or("the file has no accounts: log in with tut once")?;
    let fields = [
        ("Name", name),
        ("Server", &server),
        ("ClientID", id),
        ("ClientSecret", secret),
        ("AccessToken", record.access_token.expose()),
    ];
    let added = splice.append(accounts, &fields);
    added.map_err(|why| format!("the account can't be added: {why}"))?;
    Ok(format!(
        "account \"{}\" of {}",
        shown(name),
        record.instance
    ))
}

const FILE: &str = "accounts.toml";
const COMMAND: &str = "!CMD!";
const REDIRECT_URI: &str = "urn:ietf:wg:oauth:2.0:oob";

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::{
        connectors::testing::{
            NEW_TOKEN, assert_changes_only_the_token, assert_survives_damage,
            assert_takes_back_its_own, copied, data, read, record, records, warnings, write,
        },
        model::{Action, Secret},
    };

    const SAMPLE: &str = "tut/accounts.toml";

    #[test]
    fn every_account_is_read_but_one_whose_token_is_a_command() {
        let snapshot = Tut.read(&read(&data(SAMPLE))).unwrap();
        let records = records(&snapshot);
        let held = records.iter().map(|record| record.key().to_string());
        assert_eq!(
            held.collect::<Vec<_>>(),
            [
                "ada@mastodon.example/tut-tui",
                "b_orges@fosstodon.example/tut-tui"
            ]
        );
        let ada = &records[0];
        assert_eq!(
            ada.access_token.expose(),
            "UJTFvdToYI8_-YG8jwL3AklYSeF3ucpc9nbffBBEl9U"
        );
        assert!(
            ada.app
                .client_secret
                .as_ref()
                .unwrap()
                .expose()
                .starts_with("MHfCpw")
        );
        assert_eq!(ada.scopes, None);
        let warnings = warnings(&snapshot);
        assert_eq!(warnings.len(), 1);
        assert!(warnings[0].contains("\"chiyo\"") && warnings[0].contains("never run"));
        assert!(
            !warnings[0].contains("pass"),
            "what the command is stays out of messages"
        );
    }

    #[test]
    fn what_1_x_wrote_is_read_and_found_in_its_folder() {
        let (folder, file) = copied("tut/accounts-v1.toml");
        let tut = folder.path().join("tut");
        fs::create_dir(&tut).unwrap();
        fs::rename(file, tut.join(FILE)).unwrap();
        for path in [tut.join(FILE), tut, folder.path().to_owned()] {
            assert_eq!(Tut.read(&read(&path)).unwrap().tokens.len(), 1, "{path:?}");
        }
    }

    #[test]
    fn writing_changes_the_token_and_its_client_alone() {
        assert_eq!(assert_takes_back_its_own(&Tut, SAMPLE), 2);
        let notes = assert_changes_only_the_token(&Tut, SAMPLE, "b_orges@fosstodon.example");
        assert!(
            notes.iter().any(|note| note.starts_with("restart tut")),
            "{notes:?}"
        );
    }

    #[test]
    fn a_new_account_is_the_last_and_a_command_is_never_replaced() {
        let (_folder, path) = copied(SAMPLE);
        let mut new = record("new.example", Some("zoe"), NEW_TOKEN);
        let refused = Tut.plan(&write(&path), std::slice::from_ref(&new)).unwrap();
        assert!(refused.plan().changes[0].detail.contains("client_id"));
        new.app.client_id = Some("id-1".to_owned());
        new.app.client_secret = Some(Secret::from("it's-1"));
        let chiyo = record("mstdn.example.jp", Some("chiyo"), NEW_TOKEN);
        let plan = Tut.plan(&write(&path), &[new, chiyo]).unwrap();
        let actions = plan.plan().changes.iter().map(|change| change.action);
        assert_eq!(
            actions.collect::<Vec<_>>(),
            [Action::Insert, Action::Refuse]
        );
        plan.apply().unwrap();
        let before = fs::read_to_string(data(SAMPLE)).unwrap();
        let after = fs::read_to_string(&path).unwrap();
        let added = after.strip_prefix(&before).unwrap();
        let expected = format!(
            "\n[[Accounts]]\nName = 'zoe'\nServer = 'https://new.example'\nClientID = 'id-1'\nClientSecret = \"it's-1\"\n\
             AccessToken = '{NEW_TOKEN}'\n"
        );
        assert_eq!(added, expected);
    }

    #[test]
    fn damage_is_told_without_secrets() {
        assert_survives_damage(&Tut, SAMPLE);
        for not_ours in [
            "",
            "a = 1",
            "Accounts = 1",
            "[[Accounts]]\nName = 'x'",
            "[Accounts]\n",
        ] {
            let (_folder, path) = copied(SAMPLE);
            fs::write(&path, not_ours).unwrap();
            let error = Tut.read(&read(&path)).unwrap_err();
            assert!(
                matches!(error, Error::Malformed { .. }),
                "{not_ours}: {error}"
            );
        }
        let (_folder, path) = copied(SAMPLE);
        fs::write(
            &path,
            "[[Accounts]]\nName='x'\nServer='https://a.example'\nAccessToken=5\n",
        )
        .unwrap();
        let snapshot = Tut.read(&read(&path)).unwrap();
        assert_eq!(snapshot.completeness, crate::model::Completeness::Partial);
    }
}
