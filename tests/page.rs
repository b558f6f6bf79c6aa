//! The page of an audit: what it says, what it never holds, and how a browser shows it.

#![cfg(feature = "report")]
#![expect(
    clippy::unwrap_used,
    reason = "test helpers outside of a #[test] function"
)]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use jiff::{SignedDuration, Timestamp, ToSpan, tz::TimeZone};
use quick_xml::{Reader, events::Event as Xml};
use tuskvault::{
    model::{RunOutcome, Status},
    report::{
        AuditPage, Chain, Event, Finding, FindingKind, FoundToken, Key, Run, Source, Token, Totals,
    },
};

#[test]
fn the_page_needs_nothing_but_itself_and_runs_nothing() {
    for page in [sample(), hostile(), empty()] {
        let html = written(&page);
        let markup = elements(&html);
        for never in [
            "script", "link", "img", "iframe", "object", "base", "form", "image",
        ] {
            assert!(!markup.names.contains(never), "{never}");
        }
        for (name, value) in &markup.attributes {
            assert!(!name.starts_with("on") && name != "src", "{name}");
            assert!(name != "href" || value.starts_with('#'), "{value}");
        }
        for never in ["http://", "https://", "@import", "url(h", "//"] {
            assert!(!html.contains(never), "{never}");
        }
        assert!(html.contains("default-src 'none'; style-src 'unsafe-inline'"));
    }
}

#[test]
fn the_page_is_well_formed_and_each_reference_leads_somewhere() {
    for page in [sample(), hostile(), empty()] {
        let markup = elements(&written(&page));
        let of = |wanted: &'static str| {
            let named = markup
                .attributes
                .iter()
                .filter(move |(name, _)| name == wanted);
            named.map(|(_, value)| value.as_str())
        };
        let ids: BTreeSet<&str> = of("id").collect();
        assert_eq!(ids.len(), of("id").count(), "an id stands twice");
        for target in of("href") {
            assert!(ids.contains(target.trim_start_matches('#')), "{target}");
        }
        for target in of("aria-labelledby").flat_map(str::split_whitespace) {
            assert!(ids.contains(target), "{target}");
        }
    }
}

#[test]
fn the_page_says_what_was_found() {
    let html = written(&sample());
    for said in [
        "1 of 4 sources overdue; the audit log is whole.",
        "mastodon.example / alice / Tusky",
        "2026-03-02 08:00 <span class=\"offset\">+01:00</span>",
        "<time datetime=\"2026-03-02T07:00:00Z\">",
        "times are those of Europe/Berlin",
        "every day",
        "run 61, ",
        "Live tokens without their app’s secret: 1",
        "tk_qk33w2ne: first seen 2026-01-20 03:30 +01:00, active; 2 times in no source",
        "in no source 2026-01-28 03:30 +01:00 to 2026-02-04 03:30 +01:00",
        "reveal",
        "admin@server",
        "revoked",
    ] {
        assert!(html.contains(said), "{said}");
    }
    assert_eq!(html.matches("class=\"away\"").count(), 2);
}

#[test]
fn a_broken_chain_is_the_first_thing_said() {
    let mut page = sample();
    page.chain = Chain::Broken { entries: 9, at: 4 };
    let html = written(&page);
    assert!(html.contains("overdue; the audit log is broken."));
    assert!(html.contains("entry 4 does not follow"));
}

#[test]
fn hostile_names_are_text_and_are_cut() {
    let html = written(&hostile());
    let markup = elements(&html);
    assert!(markup.text.contains("<script>alert(1)</script>"));
    assert!(markup.text.contains("\\u{202e}") && !html.contains('\u{202e}'));
    assert!(!html.chars().any(|c| c.is_control() && c != '\n'));
    assert!(!html.contains(&"x".repeat(200)));
    assert!(html.len() < 100_000, "{}", html.len());
}

#[test]
fn a_page_of_very_much_stays_small_and_says_what_is_left_out() {
    let mut page = sample();
    let source = page.sources.first().unwrap().clone();
    let hour = |n: i64| page.as_of - n.hours();
    let runs = |_| Source {
        runs: (1..20_000)
            .rev()
            .map(|n| run(20_000 - n, hour(n.cast_signed())))
            .collect(),
        ..source.clone()
    };
    page.sources = (0..150).map(runs).collect();
    let token = |n: i64| Token {
        id: format!("tk_{n:08}"),
        from: hour(n),
        until: None,
        away: (0..100)
            .rev()
            .map(|m| (hour(n) + (2 * m).seconds(), hour(n) + (2 * m + 1).seconds()))
            .collect(),
        status: Status::Active,
        places: "toot".repeat(100),
    };
    let key = |n: i64| Key {
        name: format!("m.example / user{n} / app"),
        tokens: (1..=100).rev().map(token).collect(),
    };
    page.keys = (0..1000).map(key).collect();
    page.totals.keys = 123_456;
    let html = written(&page);
    assert!(html.len() < 10_000_000, "{}", html.len());
    for said in [
        "123\u{202f}256 more keys not shown here: tuskvault list --all lists all of them.",
        "50 more sources not shown here",
        "and 88 earlier",
    ] {
        assert!(html.contains(said), "{said}");
    }
    elements(&html);
}

#[test]
fn marks_that_would_lie_on_each_other_are_one_and_tell_the_worst() {
    let mut page = sample();
    let source = page.sources.first_mut().unwrap();
    let at: Timestamp = "2026-02-01T12:00:00Z".parse().unwrap();
    source.runs = vec![
        run(1, at - 48.hours()),
        run(2, at),
        Run {
            outcome: RunOutcome::Shrunk,
            ..run(3, at + 1.second())
        },
        run(4, at + 2.seconds()),
    ];
    page.sources.truncate(1);
    let html = written(&page);
    let marks = html.matches("y=\"13\"><title>").count();
    assert_eq!(marks, 2, "{html}");
    assert!(html.contains(
        "3 runs, 2026-02-01 13:00 +01:00 to 2026-02-01 13:00 +01:00: 2 complete, 1 shrunk"
    ));
    assert!(html.contains("class=\"mark shrunk\""));
}

/// In Chromium, where there is one: at a phone's width nothing sticks out, nothing is fetched, and what is drawn is
/// there.
#[test]
fn a_browser_shows_the_page_at_the_width_of_a_phone() {
    let Some(chromium) = chromium() else {
        eprintln!("skipped: there is no Chromium on the search path");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    for (name, page) in [
        ("sample", sample()),
        ("hostile", hostile()),
        ("empty", empty()),
    ] {
        let html = written(&page);
        // The page forbids scripts; a copy that allows one measures itself and tells the frame around it.
        let csp = html.find("<meta http-equiv").unwrap();
        let (head, rest) = html.split_at(csp);
        let (_, rest) = rest.split_once("/>").unwrap();
        let measured = format!("{head}{rest}").replace("</body>", &format!("{MEASURE}</body>"));
        fs::write(folder.path().join("page.html"), measured).unwrap();
        fs::write(folder.path().join("frame.html"), FRAME).unwrap();
        let dom = dump(&chromium, folder.path(), "frame.html");
        let (_, told) = dom.split_once("id=\"told\">").unwrap();
        let (told, _) = told.split_once('<').unwrap();
        let told: serde_json::Value = serde_json::from_str(told).unwrap();
        assert_eq!(told["width"], told["view"], "{name}: {told}");
        assert_eq!(told["stick_out"], serde_json::json!([]), "{name}: {told}");
        assert_eq!(told["fetched"], 0, "{name}: {told}");
        assert_eq!(
            told["marks"],
            html.matches("<use ").count(),
            "{name}: {told}"
        );
        assert_eq!(told["unseen_marks"], 0, "{name}: {told}");
    }
}

/// Looks at the page as it is, with its policy, by a picture: for a person (`PAGE_SAMPLE=FILE cargo test --test page
/// writes_a_sample -- --ignored`).
#[test]
#[ignore = "writes the file that the variable names, for a person to look at"]
fn writes_a_sample() {
    let path = PathBuf::from(std::env::var_os("PAGE_SAMPLE").unwrap());
    fs::write(&path, written(&sample())).unwrap();
    fs::write(path.with_extension("hostile.html"), written(&hostile())).unwrap();
}

const FRAME: &str = r#"<!DOCTYPE html><title>frame</title>
<iframe src="page.html" style="width:390px;height:800px;border:0"></iframe><pre id="told">nothing</pre>
<script>addEventListener("message", event => { document.getElementById("told").textContent = event.data });</script>"#;

/// A part that scrolls in a box of its own doesn't stick out; a mark that has no size isn't seen.
const MEASURE: &str = r##"<script>
addEventListener("load", () => {
  const root = document.documentElement;
  const boxed = element => element.closest(".box") !== null;
  const stick_out = [...document.querySelectorAll("body *")]
    .filter(element => !boxed(element) && !(element.closest("svg") && element.localName !== "svg"))
    .filter(element => element.getBoundingClientRect().right > root.clientWidth + 1 || element.scrollWidth > root.clientWidth)
    .map(element => element.outerHTML.slice(0, 80).replaceAll("<", "["));
  const uses = [...document.querySelectorAll("use")];
  parent.postMessage(JSON.stringify({
    width: root.scrollWidth,
    view: root.clientWidth,
    stick_out,
    fetched: performance.getEntriesByType("resource").length,
    marks: uses.length,
    unseen_marks: uses.filter(use => use.getAttribute("href") !== "#grid" && use.getBoundingClientRect().height === 0).length,
  }), "*");
});
</script>"##;

fn chromium() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let names = ["chromium", "chromium-browser", "google-chrome"];
    std::env::split_paths(&path)
        .flat_map(|folder| names.map(|name| folder.join(name)))
        .find(|program| program.is_file())
}

fn dump(chromium: &Path, folder: &Path, file: &str) -> String {
    let output = Command::new(chromium)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-background-networking",
        ])
        .args([
            "--no-first-run",
            "--virtual-time-budget=10000",
            "--dump-dom",
        ])
        .arg(format!(
            "--user-data-dir={}",
            folder.join("profile").display()
        ))
        .arg(format!("file://{}", folder.join(file).display()))
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

fn written(page: &AuditPage) -> String {
    let mut bytes = Vec::new();
    page.write(&mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

#[derive(Default)]
struct Markup {
    names: BTreeSet<String>,
    attributes: Vec<(String, String)>,
    text: String,
}

/// What stands in the page; it must be well-formed XML as well, so that any parser sees the same in it.
fn elements(html: &str) -> Markup {
    let mut reader = Reader::from_str(html);
    reader.config_mut().check_end_names = true;
    let mut markup = Markup::default();
    let mut depth = 0_i32;
    loop {
        let event = reader.read_event().unwrap();
        match &event {
            Xml::Start(element) | Xml::Empty(element) => {
                depth += i32::from(matches!(event, Xml::Start(_)));
                let name = element.name();
                markup.names.insert(name.as_ref().to_owned());
                for attribute in element.attributes() {
                    let attribute = attribute.unwrap();
                    let name = attribute.key.as_ref().to_owned();
                    let value = attribute.value.into_owned();
                    markup.attributes.push((name, value));
                }
            }
            Xml::End(_) => depth -= 1,
            Xml::Text(text) => markup.text.push_str(text),
            Xml::GeneralRef(name) => {
                markup.text.push(name.resolve_char_ref().unwrap().unwrap());
            }
            Xml::Eof => break,
            _ => {}
        }
    }
    assert_eq!(depth, 0);
    markup
}

fn run(number: u64, at: Timestamp) -> Run {
    Run {
        number,
        at,
        outcome: RunOutcome::Complete,
    }
}

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn empty() -> AuditPage {
    AuditPage {
        vault: "/home/alice/.local/share/tuskvault/vault.tusk".to_owned(),
        selector: None,
        as_of: time("2026-03-04T11:00:00Z"),
        made_at: time("2026-03-04T11:00:00Z"),
        version: "0.1.0".to_owned(),
        zone: TimeZone::get("Europe/Berlin").unwrap(),
        totals: Totals::default(),
        sources: Vec::new(),
        keys: Vec::new(),
        findings: Vec::new(),
        events: Vec::new(),
        chain: Chain::Whole { entries: 1 },
    }
}

fn source(connector: &str, location: &str, host: &str, runs: Vec<Run>) -> Source {
    Source {
        connector: connector.to_owned(),
        location: location.to_owned(),
        host: Some(host.to_owned()),
        instance: None,
        runs,
        rhythm: Some(SignedDuration::from_hours(24)),
        overdue: false,
        backups: 1,
    }
}

fn token(id: &str, from: &str, until: Option<&str>, status: Status, places: &str) -> Token {
    Token {
        id: format!("tk_{id}"),
        from: time(from),
        until: until.map(time),
        away: Vec::new(),
        status,
        places: places.to_owned(),
    }
}

fn found(id: &str, key: &str, places: &str, since: &str) -> FoundToken {
    FoundToken {
        id: format!("tk_{id}"),
        key: key.to_owned(),
        places: places.to_owned(),
        since: Some(time(since)),
    }
}

/// A server, a laptop and a phone over three months.
fn sample() -> AuditPage {
    let start = time("2025-12-01T02:30:00Z");
    let daily = (0..93).map(|day| {
        let mut run = run(day + 1, start + (24 * day.cast_signed()).hours());
        run.outcome = match day {
            40 => RunOutcome::Partial,
            60 => RunOutcome::Shrunk,
            _ => RunOutcome::Complete,
        };
        run
    });
    let database = Source {
        instance: Some("mastodon.example".to_owned()),
        ..source(
            "postgres",
            "mastodon_production on db.internal:5432",
            "server",
            daily.collect(),
        )
    };
    let weekly = (0..13).map(|week| {
        run(
            100 + week,
            time("2025-12-03T18:12:00Z") + (168 * week.cast_signed()).hours(),
        )
    });
    let laptop = Source {
        rhythm: Some(SignedDuration::from_hours(168)),
        ..source(
            "toot",
            "/home/alice/.config/toot/config.json",
            "laptop",
            weekly.collect(),
        )
    };
    let phone = Source {
        overdue: true,
        backups: 1,
        rhythm: Some(SignedDuration::from_hours(240)),
        ..source(
            "tusky",
            "/home/alice/Backups/phone/data/com.keylesspalace.tusky/databases/tuskyDB",
            "laptop",
            vec![
                run(120, time("2025-12-20T10:00:00Z")),
                run(121, time("2025-12-30T10:00:00Z")),
            ],
        )
    };
    let env = Source {
        rhythm: None,
        ..source(
            "dotenv",
            "/srv/bot/.env",
            "server",
            vec![run(130, time("2026-03-02T07:00:00Z"))],
        )
    };
    AuditPage {
        totals: Totals {
            keys: 1_284,
            active: 1_391,
            revoked: 212,
            expired: 3,
            gone: 17,
            events: 4,
        },
        sources: vec![database, laptop, phone, env],
        keys: sample_keys(),
        findings: sample_findings(),
        events: sample_events(),
        chain: Chain::Whole { entries: 112 },
        ..empty()
    }
}

fn sample_keys() -> Vec<Key> {
    let start = time("2025-12-01T02:30:00Z");
    let everywhere = "postgres mastodon_production, toot ~/.config/toot/config.json";
    let database_only = "postgres mastodon_production";
    let tusky = Key {
        name: "mastodon.example / alice / Tusky".to_owned(),
        tokens: vec![
            token(
                "5xq2hd7m",
                "2025-12-01T02:30:00Z",
                Some("2025-12-29T02:30:00Z"),
                Status::Revoked,
                database_only,
            ),
            token(
                "m4t7zzab",
                "2025-12-29T02:30:00Z",
                Some("2026-02-02T02:30:00Z"),
                Status::Gone,
                database_only,
            ),
            Token {
                away: vec![
                    (time("2026-01-28T02:30:00Z"), time("2026-02-04T02:30:00Z")),
                    // Too short to be seen; it is in the table.
                    (time("2026-02-20T02:30:00Z"), time("2026-02-20T02:31:00Z")),
                ],
                ..token(
                    "qk33w2ne",
                    "2026-01-20T02:30:00Z",
                    None,
                    Status::Active,
                    "postgres mastodon_production, tusky tuskyDB",
                )
            },
        ],
    };
    let mut keys = vec![
        tusky,
        Key {
            name: "mastodon.example / alice / toot - a Mastodon CLI client".to_owned(),
            tokens: vec![token(
                "c2vv6j3p",
                "2025-12-01T02:30:00Z",
                None,
                Status::Active,
                everywhere,
            )],
        },
        Key {
            name: "mastodon.example / robot / dotenv bot".to_owned(),
            tokens: vec![token(
                "x7wl4n5e",
                "2026-03-02T07:00:00Z",
                None,
                Status::Active,
                "dotenv /srv/bot/.env",
            )],
        },
        Key {
            name: "mastodon.example / bob / Elk".to_owned(),
            tokens: vec![token(
                "e6rr2c4y",
                "2025-12-11T02:30:00Z",
                Some("2026-01-11T00:00:00Z"),
                Status::Expired,
                database_only,
            )],
        },
        Key {
            name: "mastodon.example / ? / Mastodon for iOS".to_owned(),
            tokens: vec![token(
                "ud5k2b7s",
                "2026-01-07T02:30:00Z",
                Some("2026-01-08T02:30:00Z"),
                Status::Gone,
                database_only,
            )],
        },
    ];
    keys.extend((0..30).map(|n| Key {
        name: format!("mastodon.example / user{n:02} / Ivory"),
        tokens: vec![Token {
            from: start + (24 * 2 * n).hours(),
            ..token(
                &format!("{n:02}abcdef"),
                "2025-12-01T02:30:00Z",
                None,
                Status::Active,
                database_only,
            )
        }],
    }));
    keys
}

fn sample_findings() -> Vec<Finding> {
    let database = "postgres mastodon_production";
    let finding = |kind, total, tokens| Finding {
        kind,
        total,
        tokens,
    };
    vec![
        finding(
            FindingKind::OneSource,
            1_388,
            vec![
                found(
                    "qk33w2ne",
                    "mastodon.example / alice / Tusky",
                    database,
                    "2026-01-20T02:30:00Z",
                ),
                found(
                    "x7wl4n5e",
                    "mastodon.example / robot / dotenv bot",
                    "dotenv /srv/bot/.env",
                    "2026-03-02T07:00:00Z",
                ),
            ],
        ),
        finding(
            FindingKind::NoAppSecret,
            1,
            vec![found(
                "x7wl4n5e",
                "mastodon.example / robot / dotenv bot",
                "dotenv /srv/bot/.env",
                "2026-03-02T07:00:00Z",
            )],
        ),
        finding(
            FindingKind::Revoked,
            212,
            vec![found(
                "5xq2hd7m",
                "mastodon.example / alice / Tusky",
                database,
                "2025-12-29T02:30:00Z",
            )],
        ),
        finding(
            FindingKind::Gone,
            1,
            vec![found(
                "ud5k2b7s",
                "mastodon.example / ? / Mastodon for iOS",
                database,
                "2026-01-08T02:30:00Z",
            )],
        ),
    ]
}

fn sample_events() -> Vec<Event> {
    let event = |at: &str, actor: &str, what: &str, detail: &str| Event {
        at: time(at),
        actor: actor.to_owned(),
        what: what.to_owned(),
        detail: detail.to_owned(),
    };
    vec![
        event(
            "2026-03-04T10:59:00Z",
            "alice@laptop",
            "export",
            "json of *: 1391 records",
        ),
        event(
            "2026-02-02T09:15:00Z",
            "admin@server",
            "restore",
            "tk_qk33w2ne to postgres mastodon_production on db.internal:5432",
        ),
        event(
            "2026-01-15T21:40:00Z",
            "alice@laptop",
            "reveal",
            "alice@mastodon.example/toot: 1 record",
        ),
        event(
            "2025-12-24T17:02:00Z",
            "admin@server",
            "key change",
            "slot 1 added",
        ),
    ]
}

/// Names that somebody chose to do harm.
fn hostile() -> AuditPage {
    let long = "x".repeat(100_000);
    let names = [
        "<script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "evil\u{202e}gnp.exe \u{0}\u{1b}[31m\u{200b}",
        "🐘🏳️‍🌈 سلام 漢字 Ｗ",
        "{{ vault }}{% include %}",
        "]]> --> </style></title>",
        &long,
    ];
    let key = |name: &str| Key {
        name: name.to_owned(),
        tokens: vec![Token {
            id: name.to_owned(),
            places: name.to_owned(),
            ..token("a", "2026-03-01T00:00:00Z", None, Status::Active, "")
        }],
    };
    let place = |name: &str| Source {
        instance: Some(name.to_owned()),
        ..source(name, name, name, vec![run(1, time("2026-03-01T00:00:00Z"))])
    };
    let finding = |name: &str| Finding {
        kind: FindingKind::Gone,
        total: 1,
        tokens: vec![FoundToken {
            since: None,
            ..found(name, name, name, "2026-03-01T00:00:00Z")
        }],
    };
    let event = |name: &str| Event {
        at: time("2026-03-01T00:00:00Z"),
        actor: name.to_owned(),
        what: name.to_owned(),
        detail: name.to_owned(),
    };
    AuditPage {
        vault: names.concat(),
        selector: Some(names.concat()),
        version: long.clone(),
        sources: names.map(place).to_vec(),
        keys: names.map(key).to_vec(),
        findings: names.map(finding).to_vec(),
        events: names.map(event).to_vec(),
        ..empty()
    }
}
