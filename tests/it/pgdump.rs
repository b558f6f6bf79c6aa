//! `import pgdump`: a dump of a server's database comes into the history at its own time.

use std::{
    fs,
    io::Write,
    time::{Duration, SystemTime},
};

use crate::home::{Home, INIT, Ran, texts};

/// An empty vault.
fn home() -> Home {
    let home = Home::new();
    home.run(&INIT).ok();
    home
}

/// The sample, which pg_dump -v wrote.
fn sample() -> String {
    fs::read_to_string("tests/data/pgdump/mastodon.sql").unwrap()
}

/// The sample without a word about when it was begun.
fn undated() -> String {
    sample().replace("-- Started on ", "-- ")
}

fn import(home: &Home, file: &str, more: &[&str]) -> Ran {
    home.run(&[&["import", "pgdump", file], more].concat())
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

fn zstd(text: &str) -> Vec<u8> {
    zstd::encode_all(text.as_bytes(), 3).unwrap()
}

#[test]
fn a_dump_is_a_run_at_the_time_when_it_was_begun() {
    let home = home();
    home.write("dump", sample());
    let ran = import(&home, "dump", &[]).ok();
    ran.prints("pgdump m.example: run 1: 24 tokens (24 new), 8 apps")
        .says("true at 2025-12-31 23:00 UTC, when the dump was begun");
    let run = &home.json(&["log"])[0];
    assert_eq!(run["source"], "pgdump");
    assert_eq!(run["instance"], "m.example");
    assert_eq!(run["effective_at"], "2025-12-31T23:00:00Z");
    assert_eq!(
        home.json(&["list", "--as-of", "2025-12-31 22:59", "--all"])
            .len(),
        0
    );
    let records = home.json(&["export", "json", "--all", "--reveal"]);
    assert_eq!(records.len(), 24);
    let token = "YotJ2W3N6XpDDdT1l3BYmeCalo95NJHktwTK4zpA3AI";
    let record = records
        .iter()
        .find(|record| record["access_token"] == token);
    let record = record.unwrap();
    assert_eq!(record["user"], "alice");
    assert_eq!(record["created_at"], "2019-08-14T15:17:17.962025Z");
    assert_eq!(record["app"]["name"], "Ünïcode \"quoted\" app; DROP");
    home.run(&["check"]).ok();
}

#[test]
fn packed_dumps_are_known_by_their_contents() {
    for bytes in [gzip(&sample()), zstd(&sample())] {
        let home = home();
        home.write("dump.sql", &bytes);
        import(&home, "dump.sql", &[])
            .ok()
            .prints("24 tokens (24 new)");
        let piped = home.run_with_input(&["import", "pgdump", "-"], &bytes).ok();
        piped.prints("24 tokens (24 as before)");
        let ran = home.run(&["import", "auto", "dump.sql", "--dry-run"]).ok();
        ran.says("dump.sql is for pgdump")
            .prints("would record 24 tokens and 8 apps of m.example");
    }
}

#[test]
fn a_dry_run_counts_the_rows_of_the_one_user() {
    let home = home();
    home.write("dump.sql", sample());
    let command = ["import", "pgdump", "dump.sql", "--user", "alice"];
    let would = home.json(&[&command[..], &["--dry-run"]].concat());
    let run = home.json(&command);
    for relation in ["tokens", "apps", "accounts"] {
        assert_eq!(would[0][relation], run[0][relation]["seen"], "{relation}");
    }
    assert!(would[0]["tokens"].as_u64().unwrap() < 24);
}

#[test]
fn without_a_date_of_its_own_the_file_or_the_person_says_when() {
    let home = home();
    let path = home.write("dump.sql", undated());
    let file = fs::File::options().write(true).open(path).unwrap();
    // 2026-01-02T03:04:05Z
    let changed = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_323_045);
    file.set_modified(changed).unwrap();
    import(&home, "dump.sql", &[])
        .ok()
        .says("true at 2026-01-02 03:04 UTC, when the file was last changed");
    import(&home, "dump.sql", &["--at", "2026-01-01 12:00"])
        .ok()
        .prints("24 tokens")
        .says("true at 2026-01-01 12:00 UTC");
    let piped = |more: &[&str]| {
        let arguments = [&["import", "pgdump", "-"], more].concat();
        home.run_with_input(&arguments, undated().as_bytes())
    };
    piped(&[]).exits(2).says("give `--at WHEN`");
    piped(&["--at", "2026-01-03"]).ok().prints("24 as before");

    let unclear = sample().replace("23:00:00 UTC", "23:00:00 CST");
    home.write("unclear.sql", unclear);
    import(&home, "unclear.sql", &[])
        .exits(2)
        .says("2025-12-31 23:00:00 CST")
        .says("--at");
    import(&home, "unclear.sql", &["--at", "2025-12-31T23:00:00-06:00"]).ok();
    // Where this machine's own zone goes by that name, it is that one.
    for (zone, code) in [("America/Chicago", 0), ("Europe/Berlin", 2)] {
        let arguments = ["import", "pgdump", "unclear.sql", "--dry-run"];
        let mut command = home.command(&arguments);
        command.env("TZ", zone);
        let ran = Ran::of(&arguments, command.output().unwrap()).exits(code);
        if code == 0 {
            ran.says("true at 2025-12-31 23:00 CST, when the dump was begun, if that is the zone of this machine");
        }
    }
}

#[test]
fn dumps_of_several_days_are_one_history() {
    let home = home();
    let text = sample();
    let at = text.find("\n2\t1\t2020-04-15").unwrap();
    let (before, rest) = text.split_at(at + 1);
    let without = format!("{before}{}", rest.split_once('\n').unwrap().1);
    home.write("first.sql", sample());
    home.write("third.sql", without);
    import(&home, "first.sql", &[]).ok();
    import(&home, "third.sql", &["--at", "2026-01-03"])
        .ok()
        .prints("23 tokens (23 as before, 1 gone)");
    // Between both.
    import(&home, "first.sql", &["--at", "2026-01-02"]).ok();
    for (when, count) in [("2026-01-01", 24), ("2026-01-02", 24), ("2026-01-03", 23)] {
        let all = home.json(&["list", "--all", "--as-of", when]);
        let there = texts(&all, "status").into_iter().filter(|it| *it != "gone");
        assert_eq!(there.count(), count, "{when}");
    }
    assert_eq!(home.json(&["log"]).len(), 3);
    home.run(&["check"]).ok();
}

#[test]
fn a_dump_that_is_cut_off_ends_nothing_and_says_so() {
    let text = sample();
    let within_apps = text.find("COPY public.oauth_applications").unwrap() + 600;
    let packed = gzip(&text);
    for bytes in [
        text.as_bytes()[..within_apps].to_vec(),
        packed[..packed.len() * 3 / 4].to_vec(),
    ] {
        let home = home();
        home.write("whole.sql", &text);
        import(&home, "whole.sql", &["--at", "2025-12-30"]).ok();
        home.write("cut.sql", bytes);
        import(&home, "cut.sql", &[])
            .exits(9)
            .says("the dump is cut off, and this is what stands before that");
        assert_eq!(home.json(&["log"]).pop().unwrap()["tokens"]["gone"], 0);
        home.run(&["check"]).ok();
    }
}

#[test]
fn a_file_that_is_no_dump_changes_nothing() {
    let home = home();
    let text = sample();
    let before_tokens = text.find("COPY public.oauth_access_tokens").unwrap();
    let other = text.replace("public.oauth_access_tokens", "public.tokens");
    for (name, bytes, why) in [
        ("empty", Vec::new(), "no dump that pg_dump wrote"),
        (
            "text",
            b"hello\n".repeat(2_000),
            "no dump that pg_dump wrote",
        ),
        (
            "other",
            other.into_bytes(),
            "no rows of a table oauth_access_tokens",
        ),
        (
            "cut",
            text.as_bytes()[..before_tokens].to_vec(),
            "ends before the first",
        ),
        (
            "cut.gz",
            gzip(&text)[..200].to_vec(),
            "ends before the first",
        ),
        (
            "cut.zst",
            zstd(&text)[..200].to_vec(),
            "ends before the first",
        ),
        (
            "inserts",
            b"-- PostgreSQL database dump\nINSERT INTO public.users VALUES (1);\n".to_vec(),
            "--inserts",
        ),
        ("lz4", b"\x04\x22\x4d\x18 and more".to_vec(), "lz4 -dc"),
        ("archive", b"PGDMP and nothing more".to_vec(), "pg_restore"),
    ] {
        home.write(name, bytes);
        home.run_changing_nothing(&["import", "pgdump", name])
            .exits(8)
            .says(why);
    }
    home.write("dump.sql", &text);
    for (more, code, why) in [
        (&["--user", "nobody"][..], 8, "no local user"),
        (
            &["--of", "nowhere"],
            2,
            "knows no postgres or pgdump at nowhere",
        ),
    ] {
        import(&home, "dump.sql", more).exits(code).says(why);
    }
    for command in [
        &["restore", "m.example", "--to", "pgdump"][..],
        &["backup", "pgdump"],
    ] {
        home.run(command).exits(2).says("a dump is read once");
    }
    assert_eq!(home.json(&["log"]).len(), 0);
}

#[test]
fn an_instance_that_nobody_names_is_asked_for() {
    let home = home();
    // Before Mastodon 3.2.
    let nameless = sample().replace("\n-99\t", "\n99\t");
    home.write("dump.sql", nameless);
    import(&home, "dump.sql", &[])
        .exits(2)
        .says("--instance DOMAIN");
    import(&home, "dump.sql", &["--instance", "old.example"])
        .ok()
        .prints("pgdump old.example");
}

#[test]
fn one_user_is_read_alone() {
    let home = home();
    home.write("dump.sql", sample());
    import(&home, "dump.sql", &["--user", "ALICE"]).ok();
    let users = home.json(&["list", "--all"]);
    assert!(!users.is_empty());
    assert!(texts(&users, "user").iter().all(|user| *user == "alice"));
}
