//! WHEN: every command that takes a moment means the same by it, in the local time zone.

use jiff::{Timestamp, ToSpan};

use crate::home::{CHIYO, Home, NEW, Ran};

const KEY: &str = "chiyo@mstdn.example.jp/toot";

/// A vault that knew one token of chiyo from its first run on, and another from its second.
struct Past {
    home: Home,
    zone: &'static str,
}

impl Past {
    fn new(zone: &'static str, times: [&str; 2]) -> Self {
        let home = Home::with_past_at(times);
        Self { home, zone }
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        let mut command = self.home.command(arguments);
        command.env("TZ", self.zone);
        Ran::of(arguments, command.output().unwrap())
    }

    /// Asks every command for the state at a moment: `None` when the vault knew nothing then.
    fn expect(&self, when: &str, token: Option<&str>) {
        let ask = |command: &[&str]| self.run(&[command, &["--as-of", when]].concat());
        let show = ask(&["show", KEY, "--field", "access_token"]);
        let list = ask(&["list", KEY, "--json"]);
        let export = ask(&["export", "json", KEY, "--reveal"]);
        let history = ask(&["history", KEY, "--json"]);
        self.home.copy("toot/config.json", "copy.json");
        let restore = ask(&[
            "restore",
            KEY,
            "--to",
            "toot",
            "--path",
            "copy.json",
            "--yes",
        ]);
        let diff = self.run(&["diff", when, "--json"]).ok();
        let Some(token) = token else {
            for ran in [show, list, export, history, restore] {
                ran.exits(5);
            }
            assert_eq!(diff.objects().len(), 4, "{when}");
            return;
        };
        let is_new = token == NEW;
        assert_eq!(show.ok().out.trim_end(), token, "show, {when}");
        let list = list.ok().objects();
        assert_eq!(list.len(), 1, "list, {when}");
        let export = export.ok().objects();
        assert_eq!(export[0]["access_token"], token, "export, {when}");
        assert_eq!(export[0]["id"], list[0]["id"], "list, {when}");
        let tokens = history.ok().objects().len();
        assert_eq!(tokens, 1 + usize::from(is_new), "history, {when}");
        restore.ok();
        let copy = std::fs::read_to_string(self.home.file("copy.json")).unwrap();
        assert!(copy.contains(token), "restore, {when}");
        let changes = if is_new { 0 } else { 2 };
        assert_eq!(diff.objects().len(), changes, "diff, {when}");
    }

    /// The runs that `log --since` lists.
    fn since(&self, when: &str) -> Vec<u64> {
        let ran = self.run(&["log", "--since", when, "--json"]);
        let runs = ran.objects();
        runs.iter()
            .map(|run| run["run"].as_u64().unwrap())
            .collect()
    }
}

#[test]
fn every_command_knows_the_hour_that_comes_twice() {
    // 02:15 in summer time, and an hour later 02:15 again.
    let past = Past::new(
        "Europe/Berlin",
        ["2026-10-25T00:15:00Z", "2026-10-25T01:15:00Z"],
    );
    for (when, token) in [
        ("2026-10-24", None),
        ("2026-10-25 01:59", None),
        ("2026-10-25T02:14:59+02:00", None),
        ("2026-10-25T02:15:00+02:00", Some(CHIYO)),
        ("2026-10-25T02:14:59+01:00", Some(CHIYO)),
        ("2026-10-25 02:14", Some(CHIYO)),
        ("2026-10-25 02:15", Some(NEW)),
        ("2026-10-25T01:15:00Z", Some(NEW)),
        ("2026-10-25", Some(NEW)),
        ("run:1", Some(CHIYO)),
        ("run:2", Some(NEW)),
    ] {
        past.expect(when, token);
    }
    assert_eq!(past.since("2026-10-25 02:15"), [1, 2]);
    assert_eq!(past.since("2026-10-25 02:16"), [2]);
    assert_eq!(past.since("2026-10-25T02:15:00+01:00"), [2]);
    past.run(&["log"]).ok().prints("2026-10-25 02:15");
}

#[test]
fn every_command_knows_the_hour_that_is_missing() {
    // One second before clocks go from 02:00 to 03:00, and 23:30 of the day that is an hour short.
    let past = Past::new(
        "Europe/Berlin",
        ["2026-03-29T00:59:59Z", "2026-03-29T21:30:00Z"],
    );
    for (when, token) in [
        ("2026-03-28", None),
        ("2026-03-29 01:59", None),
        ("2026-03-29 01:59:59", Some(CHIYO)),
        ("2026-03-29 02:30", Some(CHIYO)),
        ("2026-03-29 03:00", Some(CHIYO)),
        ("2026-03-29 23:29", Some(CHIYO)),
        ("2026-03-29 23:30", Some(NEW)),
        ("2026-03-29", Some(NEW)),
    ] {
        past.expect(when, token);
    }
    assert_eq!(past.since("2026-03-29"), [1, 2]);
    assert_eq!(past.since("2026-03-29 03:00"), [2]);
    assert_eq!(past.since("2026-03-30"), [0; 0]);
}

#[test]
fn every_command_counts_back_from_now() {
    let ago = |hours: i64| (Timestamp::now() - hours.hours()).to_string();
    let past = Past::new("Europe/Berlin", [&ago(120), &ago(60)]);
    for (when, token) in [
        ("6 days ago", None),
        ("1 week ago", None),
        ("3 days ago", Some(CHIYO)),
        ("3d", Some(CHIYO)),
        ("4d 2h", Some(CHIYO)),
        ("yesterday", Some(NEW)),
        ("today", Some(NEW)),
        ("now", Some(NEW)),
        ("1h", Some(NEW)),
    ] {
        past.expect(when, token);
    }
    assert_eq!(past.since("3d"), [2]);
    assert_eq!(past.since("6d"), [1, 2]);
    assert_eq!(past.since("yesterday"), [0; 0]);
}

#[test]
fn a_day_that_a_zone_left_out_is_said_to_be_none() {
    let past = Past::new(
        "Pacific/Apia",
        ["2011-12-29T12:00:00Z", "2011-12-30T12:00:00Z"],
    );
    past.expect("2011-12-29", Some(CHIYO));
    past.expect("2011-12-31", Some(NEW));
    for command in [
        &["list", "--as-of"][..],
        &["diff"],
        &["log", "--since"],
        &["history", KEY, "--as-of"],
    ] {
        past.run(&[command, &["2011-12-30"]].concat())
            .exits(2)
            .says("there was no 2011-12-30 in Pacific/Apia");
    }
}

#[test]
fn a_mistyped_moment_is_told_by_what_was_meant() {
    let past = Past::new("UTC", ["2026-03-01T12:00:00Z", "2026-03-03T12:00:00Z"]);
    for (when, told) in [
        ("run:0", "no run"),
        ("2026-13-01", "no day of the calendar"),
        ("2026-03-01 25:00", "no date and time"),
        ("99999999d", "no span of time"),
        ("soon", "no time"),
    ] {
        past.run(&["list", "--as-of", when]).exits(2).says(told);
        past.run(&["log", "--since", when]).exits(2).says(told);
        past.run(&["diff", when]).exits(2).says(told);
    }
}
