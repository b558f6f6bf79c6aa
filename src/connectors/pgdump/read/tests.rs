//! What a dump may hold, and where it may end.

use std::{fs, io::BufReader};

use proptest::prelude::*;

use super::*;

fn sample() -> String {
    fs::read_to_string("tests/data/pgdump/mastodon.sql").unwrap()
}

fn read(text: &[u8]) -> Result<Dump, Error> {
    Dump::read(
        Path::new("dump.sql"),
        BufReader::with_capacity(1_000, text),
        &Silent,
    )
}

/// What is wrong with it.
fn refusal(text: &str) -> String {
    read(text.as_bytes())
        .err()
        .expect("it is refused")
        .to_string()
}

const SMALL: &str = "--\n-- PostgreSQL database dump\n--\n
COPY public.accounts (id, username, domain, note) FROM stdin;
-99\tm.example\t\\N\t
5\talice\t\\N\ta\\nCOPY public.users (id, account_id) FROM stdin;\\n\\\\.
6\talice\tfar.example\tx
\\.
COPY public.another (id) FROM stdin;
\\\\.
\\.
COPY public.oauth_access_tokens (token, id, created_at, application_id, resource_owner_id) FROM stdin;
second\t2\t2026-01-02 03:04:05\t1\t7
first\t1\t2026-01-02 03:04:05\t1\t7
\\.
COPY public.oauth_applications (id, name, uid, secret, redirect_uri) FROM stdin;
1\ttoot\tu\ts\tr
\\.
COPY public.users (id, account_id) FROM stdin;
7\t5
\\.
--\n-- PostgreSQL database dump complete\n--\n";

#[test]
fn a_dump_is_read_with_what_it_says_of_itself() {
    let dump = read(sample().as_bytes()).unwrap();
    assert_eq!(dump.counts(), [8, 8, 24]);
    assert!(dump.is_whole() && dump.cut().is_none());
    assert_eq!(dump.instance().unwrap().as_str(), "m.example");
    let began = "2025-12-31T23:00:00Z".parse().unwrap();
    assert_eq!(dump.started(), Some(&Started::At(began)));
    let keys: Vec<u64> = dump.sample(4).map(|(key, _)| key).collect();
    assert_eq!(keys.len(), 4);
    assert!(keys.is_sorted());
}

#[test]
fn rows_are_found_among_others_and_sorted() {
    let dump = read(SMALL.as_bytes()).unwrap();
    assert_eq!(dump.counts(), [1, 1, 2]);
    let tokens: Vec<(u64, &str)> = dump.sample(9).collect();
    assert_eq!(tokens, [(1, "first"), (2, "second")]);
    assert_eq!((dump.names.of(5), dump.names.of(6)), (Some("alice"), None));
}

#[test]
fn a_dump_that_is_cut_anywhere_gives_what_came_before_or_an_error() {
    for (text, step) in [(SMALL, 1), (&sample(), 97)] {
        let whole = read(text.as_bytes()).unwrap().counts();
        let end = text.find("-- PostgreSQL database dump complete").unwrap();
        for cut in (0..end).step_by(step) {
            match read(&text.as_bytes()[..cut]) {
                Ok(dump) => {
                    let [apps, accounts, tokens] = dump.counts();
                    assert!(dump.cut().is_some(), "{cut}");
                    assert!(apps + tokens > 0, "{cut}");
                    assert!(
                        dump.is_whole() == (dump.counts() == whole && dump.has_whole(USERS_TABLE))
                    );
                    assert!(apps <= whole[0] && accounts <= whole[1] && tokens <= whole[2]);
                }
                Err(error) => assert!(
                    matches!(error, Error::Cut { .. } | Error::NotADump { .. }),
                    "{cut}: {error}"
                ),
            }
        }
    }
}

proptest! {
    #[test]
    fn a_dump_that_is_altered_is_an_error_or_other_rows(
        at in any::<prop::sample::Index>(), byte in any::<u8>(),
    ) {
        let mut bytes = SMALL.as_bytes().to_vec();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        drop(read(&bytes));
    }
}

#[test]
fn what_is_no_dump_of_mastodons_is_refused_and_says_why() {
    let without = |table: &str| SMALL.replace(&format!("public.{table} "), "public.other ");
    for (text, why) in [
        (String::new(), "no dump that pg_dump wrote"),
        ("hello\n".repeat(5_000), "no dump that pg_dump wrote"),
        (without("accounts"), "no rows of a table accounts"),
        (
            without("oauth_access_tokens"),
            "no rows of a table oauth_access_tokens",
        ),
        (
            SMALL.replace("domain, note", "host, note"),
            "no column accounts.domain",
        ),
        (
            SMALL.replace("7\t5\n", "7\n"),
            "line 21: this is no row of users",
        ),
        (
            SMALL.replace("7\t5\n", "x\t5\n"),
            "line 21: this is no row of users",
        ),
        (
            SMALL.replace("second\t2", "second\t1"),
            "row 1 of oauth_access_tokens comes twice",
        ),
        (format!("{SMALL}{SMALL}"), "several tables accounts"),
        (
            SMALL.replace(
                "COPY public.accounts",
                "INSERT INTO public.x VALUES ('\nCOPY public.accounts",
            ),
            "INSERT statements",
        ),
        (
            SMALL.replace("--\n\n", "--\nSET client_encoding = 'LATIN1';\n"),
            "another encoding",
        ),
    ] {
        let said = refusal(&text);
        assert!(said.contains(why), "{said}, not {why}");
    }
    let long = format!(
        "COPY public.users (id, account_id) FROM stdin;\n{}",
        "1".repeat(17 << 20)
    );
    assert!(
        refusal(&long).contains("line 2: this is too long"),
        "{}",
        refusal(&long)
    );
}

#[test]
fn tables_of_another_schema_are_read_unless_there_are_mastodons_own() {
    let other = SMALL.replace("public.", "\"my mastodon\".");
    assert_eq!(read(other.as_bytes()).unwrap().counts(), [1, 1, 2]);
    let stranger = SMALL
        .replace("public.", "another.")
        .replace("second", "third");
    for both in [format!("{stranger}{SMALL}"), format!("{SMALL}{stranger}")] {
        let dump = read(both.as_bytes()).unwrap();
        let tokens: Vec<(u64, &str)> = dump.sample(9).collect();
        assert_eq!(tokens, [(1, "first"), (2, "second")]);
    }
    let third = stranger.replace("another.", "third.");
    assert!(refusal(&format!("{stranger}{third}")).contains("several tables"));
}

#[test]
fn a_table_of_the_same_name_that_lacks_columns_is_somebody_elses() {
    let other = "COPY other.users (id, name) FROM stdin;\n1\tx\n\\.\n";
    for text in [format!("{other}{SMALL}"), format!("{SMALL}{other}")] {
        assert!(read(text.as_bytes()).is_ok_and(|dump| dump.is_whole() || dump.cut().is_some()));
    }
}
