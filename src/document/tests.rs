use proptest::prelude::*;

use super::*;

const ALL: [Format; 5] = [
    Format::Json,
    Format::Json5,
    Format::Toml,
    Format::Yaml,
    Format::Lisp,
];

fn parse(format: Format, text: &str) -> Node {
    format.parse(text.as_bytes()).unwrap()
}

/// The value at a path of keys and places.
fn at<'a>(root: &'a Node, path: &[&str]) -> &'a Node {
    path.iter().fold(root, |node, step| match &node.kind {
        Kind::List(nodes) => &nodes[step.parse::<usize>().unwrap()],
        _ => node.get(step).unwrap(),
    })
}

/// Replaces the string at a path.
fn set(format: Format, text: &str, path: &[&str], new: &str) -> Result<String, SpliceError> {
    let root = parse(format, text);
    let mut splice = Splice::new(format, text.as_bytes(), &root);
    splice.set(at(&root, path), new)?;
    let after = splice.finish()?.apply(text.as_bytes());
    Ok(String::from_utf8(after.to_vec()).unwrap())
}

#[test]
fn every_string_and_key_knows_where_it_stands() {
    for bom in ["", "\u{feff}"] {
        for (format, text, path, spelled) in [
            (
                Format::Json,
                "{\r\n\"é\": [1, {\"k\": \"v\\n\"}]}",
                &["é", "1", "k"][..],
                "\"v\\n\"",
            ),
            (
                Format::Json5,
                "// ü\n{é: ['x', {k: 'v\\'',}]}",
                &["é", "1", "k"],
                "'v\\''",
            ),
            (
                Format::Toml,
                "# ü\r\n[a.\"é\"]\r\nb.c = \"v\"\r\n",
                &["a", "é", "b", "c"],
                "\"v\"",
            ),
            (
                Format::Toml,
                "[[a]]\n[[a]]\nb = [1, { c.d = '''\nv''' }]",
                &["a", "1", "b", "1", "c", "d"],
                "'''\nv'''",
            ),
            (
                Format::Yaml,
                "# ü\r\né:\r\n- x\r\n- k: &a v # c\r\n  l: *a\r\n",
                &["é", "1", "k"],
                "v",
            ),
            (
                Format::Yaml,
                "# ü\r\né:\r\n- x\r\n- k: &a v # c\r\n  l: *a\r\n",
                &["é", "1", "l"],
                "*a",
            ),
            (
                Format::Yaml,
                "---\n{a: {b: !!str 12}}\n...\n",
                &["a", "b"],
                "12",
            ),
        ] {
            let text = format!("{bom}{text}");
            let root = parse(format, &text);
            let node = at(&root, path);
            assert_eq!(&text[node.span.clone()], spelled, "{text}");
            assert!(node.text().is_some());
            check_keys(&root, &text);
        }
    }
}

fn check_keys(node: &Node, text: &str) {
    match &node.kind {
        Kind::List(nodes) => nodes.iter().for_each(|node| check_keys(node, text)),
        Kind::Map(members) => {
            for member in members {
                let spelled = text[member.key_span.clone()].trim_matches(['"', '\'']);
                assert_eq!(spelled, member.key);
                check_keys(&member.value, text);
            }
        }
        _ => {}
    }
}

#[test]
fn a_string_keeps_its_quotes_where_they_can_hold_the_new_one() {
    for (format, text, new, spelled) in [
        (
            Format::Json,
            "{\"k\":\"v\"}",
            "a\"é'",
            "{\"k\":\"a\\\"\\u00e9'\"}",
        ),
        (Format::Json5, "{k: 'v'}", "a\"'", "{k: 'a\"\\''}"),
        (Format::Toml, "k = 'v'", "a\"\\", "k = 'a\"\\'"),
        (Format::Toml, "k = 'v'", "a'", "k = \"a'\""),
        (
            Format::Toml,
            "k = \"v\"",
            "a\"\u{7}é",
            "k = \"a\\\"\\u0007é\"",
        ),
        (
            Format::Toml,
            "k = \"\"\"\nv\"\"\" # c",
            "w",
            "k = \"w\" # c",
        ),
        (Format::Yaml, "k: v # c", "w", "k: w # c"),
        (Format::Yaml, "k: v\n  u\n", "w", "k: w\n"),
        (Format::Yaml, "k: v # c", "w #", "k: \"w #\" # c"),
        (Format::Yaml, "k: v", "1e3", "k: \"1e3\""),
        (Format::Yaml, "k: v", "no", "k: \"no\""),
        (Format::Yaml, "k: v", "2026-01-01", "k: \"2026-01-01\""),
        (
            Format::Yaml,
            "k: v",
            "https://m.example",
            "k: https://m.example",
        ),
        (Format::Yaml, "k: 'v'", "it's", "k: 'it''s'"),
        (Format::Yaml, "k: 'v'", "a\nb", "k: \"a\\U0000000ab\""),
        (Format::Yaml, "{k: v, l: w}", "a, b", "{k: \"a, b\", l: w}"),
        (
            Format::Yaml,
            "k: >-\n  v\n  u\n\nl: t",
            "w",
            "k: >-\n  w\n\nl: t",
        ),
        (Format::Yaml, "a: &x 1y\nk: *x\n", "w", "a: &x 1y\nk: w\n"),
    ] {
        assert_eq!(
            set(format, text, &["k"], new).as_deref(),
            Ok(spelled),
            "{text}"
        );
        let same = parse(format, text)
            .get("k")
            .unwrap()
            .text()
            .unwrap()
            .to_owned();
        assert_eq!(set(format, text, &["k"], &same).as_deref(), Ok(text));
    }
}

#[test]
fn a_splice_that_would_be_read_otherwise_is_an_error() {
    for (text, path) in [
        ("k: |\n  v\n", "k"),
        ("k: |+\n  v\n\nl: u\n", "k"),
        ("k: &x v\nl: *x\n", "k"),
    ] {
        assert_eq!(
            set(Format::Yaml, text, &[path], "w"),
            Err(SpliceError::Differs),
            "{text}"
        );
    }
    assert_eq!(
        set(Format::Yaml, "k: 1", &["k"], "w"),
        Err(SpliceError::NotAString)
    );
    assert_eq!(
        set(Format::Yaml, "k:", &["k"], "w"),
        Err(SpliceError::NotAString)
    );
    assert_eq!(
        set(Format::Toml, "k = 1", &["k"], "w"),
        Err(SpliceError::NotAString)
    );
    // Two changes of one place, and a tree that is not that of the text.
    let text = b"{\"k\": \"v\", \"l\": \"v\"}";
    let root = Format::Json.parse(text).unwrap();
    let mut splice = Splice::new(Format::Json, text, &root);
    for new in ["a", "b"] {
        splice.set(root.get("k").unwrap(), new).unwrap();
    }
    assert_eq!(splice.finish().err(), Some(SpliceError::Differs));
    let other = Format::Json.parse(b"{ \"k\": \"v\"}").unwrap();
    let mut splice = Splice::new(Format::Json, text, &other);
    splice.set(other.get("k").unwrap(), "a").unwrap();
    assert_eq!(splice.finish().err(), Some(SpliceError::Differs));
}

#[test]
fn a_whole_number_is_replaced_and_no_other_value() {
    let text = r#"{"big":9007199254740993, "at":1700000000,"f":1.50,"b":true,"s":"7"}"#;
    let root = parse(Format::Json, text);
    let bytes = text.as_bytes();
    assert_eq!(
        at(&root, &["big"]).integer(bytes),
        Some(9_007_199_254_740_993)
    );
    let mut splice = Splice::new(Format::Json, bytes, &root);
    for key in ["f", "b", "s"] {
        let error = splice.set_number(at(&root, &[key]), 1);
        assert_eq!(error, Err(SpliceError::NotANumber), "{key}");
    }
    splice
        .set_number(at(&root, &["big"]), 9_007_199_254_740_993)
        .unwrap();
    assert!(splice.is_empty());
    splice.set_number(at(&root, &["at"]), -5).unwrap();
    let after = splice.finish().unwrap().apply(bytes);
    let expected = text.replace("1700000000", "-5");
    assert_eq!(after.as_slice(), expected.as_bytes());
}

#[test]
fn a_member_is_added_where_there_is_a_simple_place() {
    for (text, after) in [
        ("{\"k\": \"v\"}", Some("{\"k\": \"v\",\"n\": \"w\"}")),
        (
            "{ \"k\":\"v\", \"l\": 1 }",
            Some("{ \"k\":\"v\", \"n\":\"w\", \"l\": 1 }"),
        ),
        (
            "{\r\n\t\"k\": \"v\",\r\n\t\"l\": 1\r\n}",
            Some("{\r\n\t\"k\": \"v\",\r\n\t\"n\": \"w\",\r\n\t\"l\": 1\r\n}"),
        ),
        ("{\n  k: 'v',\n}", Some("{\n  k: 'v',\n  n: 'w',\n}")),
        ("{\n  k: 'v'\n}", Some("{\n  k: 'v',\n  n: 'w'\n}")),
        ("{\n  k: 'v' // mine\n}", None),
        ("{\n  k: 'v', // mine\n}", None),
        ("{\n  k: /* c */ 'v'\n}", None),
        ("{\n  k:\n  'v'\n}", None),
        ("{\n  k: 'v', l: 1\n}", None),
    ] {
        let root = parse(Format::Json5, text);
        let member = &root.members().unwrap()[0];
        let mut splice = Splice::new(Format::Json5, text.as_bytes(), &root);
        let added = splice.add_after(member, "n", "w");
        assert_eq!(added.is_ok(), after.is_some(), "{text}");
        let Some(after) = after else { continue };
        let bytes = splice.finish().unwrap().apply(text.as_bytes());
        assert_eq!(std::str::from_utf8(&bytes), Ok(after));
    }
    let root = parse(Format::Toml, "k = 'v'");
    let mut splice = Splice::new(Format::Toml, b"k = 'v'", &root);
    let added = splice.add_after(&root.members().unwrap()[0], "n", "w");
    assert_eq!(added, Err(SpliceError::NoRoom));
}

/// Appends a map to the list at a key of the root.
fn append(
    format: Format,
    text: &str,
    key: &str,
    fields: &[(&str, &str)],
) -> Result<String, SpliceError> {
    let root = parse(format, text);
    let members = &mut root.members().unwrap().iter();
    let list = members.find(|member| member.key == key).unwrap();
    let mut splice = Splice::new(format, text.as_bytes(), &root);
    splice.append(list, fields)?;
    let after = splice.finish()?.apply(text.as_bytes());
    Ok(String::from_utf8(after.to_vec()).unwrap())
}

#[test]
fn a_list_gets_another_map_in_the_style_of_its_last() {
    for (text, after) in [
        ("{\"l\":[]}", "{\"l\":[{\"k\":\"v\",\"n\":\"'\"}]}"),
        ("{l:[{a:1}]}", "{l:[{a:1},{k:\"v\",n:\"'\"}]}"),
        (
            "{l:[ { 'a': 'x' } ] }",
            "{l:[ { 'a': 'x' }, { 'k': 'v', 'n': '\\'' } ] }",
        ),
        (
            "{l: [\r\n  {\r\n    \"a\": 1,\r\n    \"b\": \"x\",\r\n  }, // c\r\n]}",
            "{l: [\r\n  {\r\n    \"a\": 1,\r\n    \"b\": \"x\",\r\n  },\r\n  {\r\n    \"k\": \"v\",\r\n    \"n\": \
             \"'\"\r\n  }, // c\r\n]}",
        ),
        (
            "{l: [{a: 1}, // c\n  /* d */ {a: 2}]}",
            "{l: [{a: 1}, // c\n  /* d */ {a: 2}, {k: \"v\",n: \"'\"}]}",
        ),
    ] {
        let made = append(Format::Json5, text, "l", &[("k", "v"), ("n", "'")]);
        assert_eq!(made.as_deref(), Ok(after));
    }
    let toml = "# top\n[[l]]\na = 'x'\n[l.m]\nb = 1\n\n[o]\nc = 1";
    let made = append(Format::Toml, toml, "l", &[("k", "v"), ("n", "'")]);
    assert_eq!(made, Ok(format!("{toml}\n\n[[l]]\nk = 'v'\nn = \"'\"")));
}

#[test]
fn a_list_gets_two_maps_also_where_it_was_empty() {
    for (format, text, after) in [
        (
            Format::Json,
            "{\"l\":[ ]}",
            "{\"l\":[{\"k\":\"1\"},{\"k\":\"2\"} ]}",
        ),
        (
            Format::Json5,
            "{l:[{k:'0'}]}",
            "{l:[{k:'0'},{k:'1'},{k:'2'}]}",
        ),
        (
            Format::Toml,
            "[[l]]\nk = '0'\n",
            "[[l]]\nk = '0'\n\n[[l]]\nk = '1'\n\n[[l]]\nk = '2'\n",
        ),
    ] {
        let root = format.parse(text.as_bytes()).unwrap();
        let mut splice = Splice::new(format, text.as_bytes(), &root);
        let list = &root.members().unwrap()[0];
        splice.append(list, &[("k", "1")]).unwrap();
        splice.append(list, &[("k", "2")]).unwrap();
        let made = splice.finish().unwrap().apply(text.as_bytes());
        assert_eq!(std::str::from_utf8(&made).unwrap(), after);
    }
}

#[test]
fn what_cannot_be_appended_is_an_error() {
    let fields = [("k", "v")];
    for (format, text, why) in [
        (Format::Json, "{\"l\":[1]}", SpliceError::NoRoom),
        (Format::Json, "{\"l\":{}}", SpliceError::NoRoom),
        (Format::Json, "{\"l\":[{}]}", SpliceError::NoRoom),
        (Format::Toml, "l = []", SpliceError::NoRoom),
        // An array that is written in line can't be reopened.
        (Format::Toml, "l = [{a = 'x'}]", SpliceError::NoRoom),
        (Format::Toml, "[[\"l m\"]]\na = 'x'", SpliceError::NoRoom),
        (Format::Yaml, "l:\n- a: x", SpliceError::NoRoom),
    ] {
        let key = if text.contains("l m") { "l m" } else { "l" };
        assert_eq!(append(format, text, key, &fields), Err(why), "{text}");
    }
}

#[test]
fn only_what_every_yaml_reads_as_a_string_is_one() {
    for (text, is_text) in [
        ("a", true),
        ("0f1e2d3c", true),
        ("1.2.3", true),
        ("127.0.0.1", true),
        ("1-2", true),
        ("12e", true),
        ("12", false),
        ("-1_000", false),
        ("1e5", false),
        (".5", false),
        ("0x1F", false),
        ("0o17", false),
        ("12:30", false),
        (".inf", false),
        ("Yes", false),
        ("off", false),
        ("~", false),
        ("null", false),
        ("2026-01-01", false),
        ("2026-1-1 10:00:00", false),
        ("!env TOKEN", false),
        ("!!binary aGk=", false),
        ("!!str 12", true),
        ("'12'", true),
    ] {
        let root = parse(Format::Yaml, &format!("k: {text}"));
        assert_eq!(root.get("k").unwrap().text().is_some(), is_text, "{text}");
    }
}

/// Keys that each stand one column further in.
fn nested_lines(count: usize) -> String {
    let lines: Vec<_> = (0..count).map(|i| " ".repeat(i) + "a:").collect();
    lines.join("\n")
}

/// What each expression of a Lisp text is: a string's text, the parts of a list, or how it is spelled.
fn lisp(text: &str) -> String {
    fn told(node: &Node, text: &str) -> String {
        match &node.kind {
            Kind::Text(text) => format!("{:?}", text.as_str()),
            Kind::List(nodes) => {
                let nodes: Vec<_> = nodes.iter().map(|node| told(node, text)).collect();
                format!("<{}>", nodes.join("|"))
            }
            _ => text[node.span.clone()].to_owned(),
        }
    }
    told(&parse(Format::Lisp, text), text)
}

#[test]
fn lisp_is_read_as_emacs_prints_it() {
    for (text, expected) in [
        ("", "<>"),
        ("\u{feff};; c\r\n()", "<<>>"),
        (
            "(a :k 1 -2.5 nil\n\t[\"v\"])",
            "<<a|:k|1|-2.5|nil|<\"v\">>>",
        ),
        ("(\"a\" . \"b\")(c . d)", "<<\"a\"|.|\"b\">|<c|.|d>>"),
        ("(\"a\";)\"\n\"b\")", "<<\"a\"|\"b\">>"),
        ("('a `(b ,c ,@d) #'f)", "<<a|<b|c|@d>|f>>"),
        (
            "(?\\( ?) a\\ b \\(c é\u{a0}d)",
            "<<?\\(|?)|a\\ b|\\(c|é|d>>",
        ),
        (
            "(#(\"p\" 0 1 (f b)) #s(r 1) #[1] #&3\"\\5\" #1=x)",
            "<<#(\"p\" 0 1 (f b))|#s(r 1)|#[1]|#&3\"\\5\"|#1=x>>",
        ),
        ("\"a\nb\"", "<\"a\\nb\">"),
    ] {
        assert_eq!(lisp(text), expected, "{text}");
    }
}

#[test]
fn every_escape_of_a_lisp_string_is_read() {
    for (escaped, text) in [
        (r#"\" \\"#, "\" \\"),
        (r"\a\b\t\n\v\f\r\e\d\s", "\x07\x08\t\n\x0b\x0c\r\x1b\x7f "),
        ("a\\\nb\\\r\nc\\ d\\q", "abcdq"),
        (r"\303\251\1019\0", "éA9\0"),
        (r"\xc3\ \xa9\x20ac\ f", "é€f"),
        (r"\u00e9\U0001f418", "é🐘"),
    ] {
        let root = parse(Format::Lisp, &format!("(\"{escaped}\")"));
        assert_eq!(at(&root, &["0", "0"]).text(), Some(text), "{escaped}");
    }
    // Raw bytes that are no text, keys, and numbers that are no character.
    for escaped in [
        r"\377",
        r"\xff",
        r"\C-a",
        r"\M-a",
        r"\^a",
        r"\N{DASH}",
        r"\ud800",
        r"\u12",
        r"\x",
        r"\x110000",
    ] {
        let root = parse(Format::Lisp, &format!("(\"{escaped}\" \"b\")"));
        assert!(at(&root, &["0", "0"]).text().is_none(), "{escaped}");
        assert_eq!(at(&root, &["0", "1"]).text(), Some("b"));
    }
}

#[test]
fn a_string_of_lisp_is_replaced_and_nothing_else() {
    let text = SAMPLES[4];
    for new in ["w", "\"\\\n", "é\u{7}"] {
        let after = set(Format::Lisp, text, &["0", "1", "2"], new).unwrap();
        let root = parse(Format::Lisp, &after);
        assert_eq!(at(&root, &["0", "1", "2"]).text(), Some(new));
        let span = at(&parse(Format::Lisp, text), &["0", "1", "2"])
            .span
            .clone();
        assert!(after.starts_with(&text[..span.start]) && after.ends_with(&text[span.end..]));
    }
    let opaque = set(Format::Lisp, text, &["0", "0", "1"], "w");
    assert_eq!(opaque, Err(SpliceError::NotAString));
}

#[test]
fn deep_nesting_is_an_error_before_the_stack_ends() {
    let n = 200_000;
    let dotted = format!("{}a", "a.".repeat(78));
    let tables = format!("{}1{}", format!("{{{dotted} = ").repeat(78), "}".repeat(78));
    for (format, text) in [
        (Format::Json, "[".repeat(n)),
        (Format::Json5, "{a:".repeat(n)),
        (Format::Json, format!("{}{}", "[".repeat(n), "]".repeat(n))),
        (Format::Toml, format!("a = {}", "[".repeat(n))),
        (Format::Toml, format!("a = {}", "{a = ".repeat(n))),
        (Format::Toml, format!("{}a = 1", "a.".repeat(n))),
        (Format::Toml, format!("[{}a]", "a.".repeat(n))),
        (Format::Toml, format!("[[{}a]]", "a.".repeat(n))),
        (Format::Toml, format!("a = {tables}")),
        (Format::Yaml, "[".repeat(n)),
        (Format::Yaml, "{a: ".repeat(n)),
        (Format::Yaml, "- ".repeat(n)),
        (Format::Yaml, nested_lines(2_000)),
        (
            Format::Yaml,
            format!("{}{}", "- ".repeat(200), "[".repeat(200)),
        ),
        (Format::Lisp, "(".repeat(n)),
        (Format::Lisp, "[".repeat(n)),
        (Format::Lisp, "#s(".repeat(n)),
        (Format::Lisp, format!("{}{}", "(".repeat(n), ")".repeat(n))),
    ] {
        assert!(format.parse(text.as_bytes()).is_err(), "{}", &text[..20]);
    }
}

#[test]
fn aliases_can_tell_nothing_to_grow() {
    let mut lines = vec!["a0: &a0 [x, x]".to_owned()];
    lines.extend((1..40).map(|i| format!("a{i}: &a{i} [*a{0}, *a{0}, *a{0}]", i - 1)));
    let bomb = lines.join("\n");
    let root = parse(Format::Yaml, &bomb);
    assert!(matches!(at(&root, &["a39", "0"]).kind, Kind::Other));
    assert!(matches!(
        parse(Format::Yaml, "a: &a [*a]").get("a").unwrap().kind,
        Kind::List(_)
    ));
    let long = format!(
        "a: &a {}\nb: [{}]",
        "x".repeat(10_000),
        "*a, ".repeat(1_000)
    );
    let error = Format::Yaml.parse(long.as_bytes()).err().unwrap();
    assert_eq!(error.what, "its aliases repeat too much");
    assert!(Format::Yaml.parse(b"a: *b").is_err());
}

#[test]
fn what_yaml_can_hold_and_we_do_not_read_is_an_error() {
    for text in [
        "a: 1\n---\nb: 2\n",
        "? [a]\n: b\n",
        "{{a: b}: c}",
        "a: b\n---\n",
    ] {
        assert!(Format::Yaml.parse(text.as_bytes()).is_err(), "{text}");
    }
    for text in ["", "\u{feff}", "# nothing\n", "---\n"] {
        assert!(
            matches!(parse(Format::Yaml, text).kind, Kind::Null),
            "{text}"
        );
    }
    let root = parse(Format::Yaml, "a: !mine {b: c}\nd: e\n");
    assert!(matches!(root.get("a").unwrap().kind, Kind::Other));
    assert_eq!(root.get("d").unwrap().text(), Some("e"));
}

#[test]
fn errors_say_where_and_nothing_of_the_text() {
    for (format, text, line, column) in [
        (Format::Json, "{\n \"a\": \"SECRET\" SECRET", 2, 15),
        (Format::Json5, "{a: '\\uSECRET'}", 1, 6),
        (Format::Json5, "{a: '\\ud83d SECRET'}", 1, 6),
        (Format::Toml, "\u{feff}a = 1\r\nb = SECRET\r\n", 2, 5),
        (Format::Toml, "SECRET = 1\nSECRET = 2\n", 2, 1),
        (Format::Toml, "a = \"SECRET\nb = 1", 1, 12),
        (Format::Yaml, "a: b\nc: [SECRET", 2, 4),
        (Format::Yaml, "\u{feff}é: \"SECRET", 1, 4),
        (Format::Yaml, "a: *SECRET", 1, 4),
        (Format::Yaml, "a: !SECRET!x y", 1, 4),
        (Format::Lisp, "; é\n(\"a\" \"SECRET\"", 2, 1),
        (Format::Lisp, "(\"a\" \"SECRET)\n", 1, 6),
        (Format::Lisp, "(\"SECRET\"]", 1, 10),
        (Format::Lisp, "(#<SECRET>)", 1, 2),
    ] {
        let error = format.parse(text.as_bytes()).err().unwrap();
        assert!(!error.to_string().contains("SECRET"), "{error}");
        assert!(!error.to_string().contains("d83d"), "{error}");
        assert_eq!((error.line, error.column), (line, column), "{text} {error}");
    }
    for format in ALL {
        let error = format.parse(b"a\nb\xff").err().unwrap();
        assert_eq!(error.to_string(), "line 2, column 2: it is not UTF-8 text");
    }
}

#[test]
fn a_text_cut_anywhere_is_read_or_refused() {
    for (format, text) in ALL.into_iter().zip(SAMPLES) {
        for end in 0..text.len() {
            drop(format.parse(&text.as_bytes()[..end]));
            let mut bytes = text.as_bytes().to_vec();
            bytes[end] ^= 0x15;
            drop(format.parse(&bytes));
        }
    }
}

#[test]
fn lines_are_counted_from_one() {
    let lines = Lines::of(b"a\nb\r\n\nc");
    assert_eq!(
        [0, 1, 2, 4, 5, 6].map(|at| lines.number(at)),
        [1, 1, 2, 2, 3, 4]
    );
}

/// One text of each format, with strings of every style under `s`.
const SAMPLES: [&str; 5] = [
    "{\"o\": [1.10, 1e3, null, \"\\u00e9\"], \"s\": {\"a\": \"x\", \"b\": \"\"}, \"z\": true}",
    "// c\n{o: [0x1F, +1, .5], s: {a: \"x\", b: 'y', /* d */}, z: NaN,}\n",
    "\u{feff}o = [1_0, 1979-05-27, 'é'] # c\r\n[s]\r\na = \"x\"\r\nb = 'y'\r\nc = '''\r\nz'''\r\nd = \"\"\"a\\\r\n  b\"\"\"\r\n[z]\r\n",
    "o: [1.10, 0x1F, ~, é]\ns:\n  a: x\n  b: 'y'\n  c: \"z\"\n  d: a\n    b\n  e: {f: g}\nz: |\n  text\n",
    ";; c\n((\"o\" :k [1 -2.5 nil t] ?\\( 'q) (\"s\" . \"a\\303\\251\\\n b\"))\n#(\"p\" 0 1 (f b))\n\"z\n\"\n",
];

proptest! {
    #[test]
    fn any_string_comes_back_and_nothing_else_moves(
        new in prop_oneof!["\\PC{0,40}", any::<String>(), "[-+.0-9eExo_:]{1,8}", "[!-~]{0,12}"],
        which in 0_usize..4,
    ) {
        let (format, text) = (ALL[which], SAMPLES[which]);
        let root = parse(format, text);
        for member in root.get("s").unwrap().members().unwrap() {
            if member.value.text().is_none() {
                continue;
            }
            let after = set(format, text, &["s", &member.key], &new).unwrap();
            let read = parse(format, &after);
            prop_assert_eq!(at(&read, &["s", &member.key]).text(), Some(new.as_str()));
            let span = member.value.span.clone();
            prop_assert!(after.starts_with(&text[..span.start]));
            prop_assert!(after.ends_with(&text[span.end..]));
        }
    }
}
