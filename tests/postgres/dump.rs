//! `import pgdump`: a dump of a database says the same as the database.

use std::path::PathBuf;

use serde_json::Value;

use crate::{
    cluster::finish,
    database::{Database, GENERATIONS, INSTANCE},
    home::{Home, Ran},
};

/// Dumps the database into the home.
fn dump(home: &Home, database: &Database, name: &str, more: &[&str]) -> PathBuf {
    let path = home.file(name);
    let mut pg_dump = database.cluster.program("pg_dump");
    pg_dump
        .arg("-h")
        .arg(database.cluster.socket())
        .args(["-p", &database.cluster.port.to_string()])
        .args(["-U", "postgres", "-d", &database.name])
        .args(more)
        .arg("-f")
        .arg(&path);
    finish(&mut pg_dump);
    path
}

fn import(home: &Home, name: &str, more: &[&str]) -> Ran {
    home.run(&[&["import", "pgdump", name, "--json"], more].concat())
}

fn import_live(home: &Home, database: &Database) -> Value {
    let url = database.url();
    let ran = home.run(&["import", "postgres", "--url", &url, "--json"]);
    ran.ok().objects().pop().unwrap()
}

/// Every record, without what is another in each vault.
fn records(home: &Home) -> Vec<String> {
    let mut records = home.json(&["export", "json", "--reveal", "--all"]);
    for record in &mut records {
        let record = record.as_object_mut().unwrap();
        assert!(record.remove("id").is_some() && record.remove("sources").is_some());
    }
    let mut texts: Vec<String> = records.iter().map(Value::to_string).collect();
    texts.sort();
    texts
}

/// Rows seen, and those among them that were known with the same contents.
fn seen_and_unchanged(run: &Value) -> [[u64; 2]; 3] {
    ["tokens", "apps", "accounts"]
        .map(|relation| ["seen", "unchanged"].map(|count| run[relation][count].as_u64().unwrap()))
}

#[test]
fn the_dump_of_every_generation_gives_the_rows_of_the_live_database() {
    for generation in GENERATIONS {
        let Some(database) = Database::new(generation, 400) else {
            return;
        };
        database.execute(
            r"UPDATE oauth_applications SET name = E'a\tb\\c\n\b\f\v', website = '\N' WHERE id = 5;
              UPDATE oauth_applications SET redirect_uri = E'\\.\r\nx' WHERE id = 6;
              UPDATE oauth_access_tokens SET revoked_at = 'infinity' WHERE id = (SELECT min(id) FROM oauth_access_tokens);",
        );
        same_rows(generation, &database, &[("dump.sql", &[])]);
    }
}

#[test]
fn every_format_gives_the_rows_of_the_live_database() {
    let Some(database) = Database::new("4.7", 400) else {
        return;
    };
    // Rows that were written later lie behind the others.
    database.execute("UPDATE oauth_access_tokens SET scopes = 'read' WHERE id % 7 = 0");
    let formats: &[(&str, &[&str])] = &[
        ("verbose.sql", &["-v"]),
        ("dump.sql.gz", &["-Z", "6"]),
        ("dump.custom", &["-Fc"]),
        ("dump.tar", &["-Ft"]),
        ("dump.folder", &["-Fd", "-j", "2"]),
    ];
    same_rows("4.7", &database, formats);
}

/// Imports dumps in these formats into vaults of their own, and into that of the live database.
fn same_rows(generation: &str, database: &Database, formats: &[(&str, &[&str])]) {
    let live = Home::with_vault();
    let first = import_live(&live, database);
    for (name, how) in formats {
        let alone = Home::with_vault();
        dump(&alone, database, name, how);
        import(&alone, name, &[]).ok();
        let (found, expected) = (records(&alone), records(&live));
        assert_eq!(found.len(), 400, "{generation}, {name}");
        assert!(found == expected, "{generation}, {name}");

        dump(&live, database, name, how);
        let run = import(&live, name, &["--at", "2026-01-01"]).ok();
        let run = run.objects().pop().unwrap();
        assert_eq!(run["source"], "postgres", "{generation}, {name}");
        assert_eq!(run["location"], first["location"]);
        // A second one has the first before it.
        let run = import(&live, name, &["--at", "2026-01-02"]).ok();
        let run = run.objects().pop().unwrap();
        for [seen, unchanged] in seen_and_unchanged(&run) {
            assert!(seen > 0 && seen == unchanged, "{generation}, {name}: {run}");
        }
        live.run(&["check"]).ok();
    }
    for [seen, unchanged] in seen_and_unchanged(&import_live(&live, database)) {
        assert!(seen == unchanged, "{generation}");
    }
}

#[test]
fn a_dump_of_another_database_is_refused_before_and_after_what_is_known() {
    let Some(database) = Database::new("4.7", 400) else {
        return;
    };
    let home = Home::with_vault();
    import_live(&home, &database);
    database.execute("UPDATE oauth_access_tokens SET token = 'other' || id");
    dump(&home, &database, "other.sql", &[]);
    for when in ["2026-01-01", "mtime"] {
        import(&home, "other.sql", &["--at", when])
            .exits(9)
            .says("another database")
            .says("nothing was recorded");
    }
    assert_eq!(home.json(&["log"]).len(), 1);
    import(&home, "other.sql", &["--accept-shrink"]).ok();
}

#[test]
fn one_user_of_a_dump_is_who_they_are_live() {
    let Some(database) = Database::new("4.7", 400) else {
        return;
    };
    let (live, alone) = (Home::with_vault(), Home::with_vault());
    let url = database.url();
    live.run(&["import", "postgres", "--url", &url, "--user", "alice"])
        .ok();
    dump(&alone, &database, "dump.sql", &[]);
    import(&alone, "dump.sql", &["--user", "Alice"]).ok();
    assert!(!records(&live).is_empty());
    assert!(records(&live) == records(&alone));
}

#[test]
fn an_archive_comes_through_a_pipe_where_somebody_says_when() {
    let Some(database) = Database::new("4.7", 400) else {
        return;
    };
    let home = Home::with_vault();
    let archive = std::fs::read(dump(&home, &database, "dump.custom", &["-Fc"])).unwrap();
    home.run_with_input(&["import", "pgdump", "-"], &archive)
        .exits(2)
        .says("--at WHEN");
    let piped = ["import", "pgdump", "-", "--at", "2026-01-01"];
    home.run_with_input(&piped, &archive)
        .ok()
        .prints(&format!("pgdump {INSTANCE}: run 1: 400 tokens (400 new)"));
    // The first half is not yet the tokens.
    let cut = ["import", "pgdump", "-", "--at", "2026-01-02"];
    home.run_with_input(&cut, &archive[..archive.len() / 2])
        .exits(8)
        .says("pg_restore: could not read from input file");
    assert_eq!(home.json(&["log"]).len(), 1);
    home.run(&["check"]).ok();
}
