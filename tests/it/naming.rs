//! What an error names can be typed: suggestions, choices, commands.

use crate::home::{ADA, CHIYO, Home, NEW_TOKEN};

#[test]
fn a_record_without_an_app_is_named_by_its_id() {
    let home = Home::backed_up();
    let bare = r#"{"instance":"mastodon.example","user":"ada","access_token":"bare"}"#;
    home.run_with_input(&["import", "json", "-"], bare.as_bytes())
        .ok();
    // `ada@mastodon.example` alone is what was ambiguous.
    let ran = home.run(&["show", "ada@mastodon.example"]).exits(6);
    let mut words = ran.err.split_whitespace();
    let id = words.find(|word| word.starts_with("tk_"));
    let id = id.unwrap_or_else(|| panic!("no id in {}", ran.err));
    home.run(&["show", "--field", "access_token", id])
        .ok()
        .prints("bare\n");
    home.run(&[
        "show",
        "--field",
        "access_token",
        "ada@mastodon.example/toot",
    ])
    .ok()
    .prints(ADA);
}

#[test]
fn the_command_that_lists_earlier_tokens_can_be_typed() {
    let home = Home::backed_up();
    home.edit(&home.toot(), CHIYO, NEW_TOKEN);
    home.run(&["backup"]).ok();
    home.run(&["show", "chiyo@mstdn.example.jp/toot~2"])
        .exits(5)
        .says("1 earlier token")
        .says("`tuskvault history chiyo@mstdn.example.jp/toot`");
    // A shell would take the star for itself.
    home.run(&["show", "chiyo@*~2"])
        .exits(5)
        .says("`tuskvault history 'chiyo@*'`");
}

#[test]
fn a_target_that_is_not_there_gets_a_way_to_make_it() {
    let home = Home::backed_up();
    let restore = ["restore", "ada@mastodon.example", "--yes", "--to"];
    home.run_recording_nothing(
        &[&restore[..], &["dotenv", "--path", "bot/.env"]].concat(),
        "passphrase",
    )
    .exits(8)
    .says("there is no bot/.env")
    .says("`tuskvault export dotenv ada@mastodon.example --reveal -o bot/.env`");
    home.run_recording_nothing(
        &[&restore[..], &["toot", "--path", "none.json"]].concat(),
        "passphrase",
    )
    .exits(8)
    .says("there is no none.json")
    .says("log in with the client once");
}

#[test]
fn what_the_system_says_comes_in_words() {
    let home = Home::backed_up();
    for arguments in [
        &["list", "--password-file", "none"][..],
        &["list", "--key-file", "none"],
        &["key", "new-file", "none/vault.key"],
        &["import", "json", ".config"],
    ] {
        home.run_changing_nothing(arguments)
            .says("error: cannot ")
            .keeps_to_itself("os error")
            .keeps_to_itself(".tmp");
    }
    home.run(&["list", "--key-file", "none"])
        .exits(2)
        .says("tuskvault key new-file");
}

#[test]
fn an_argument_cannot_forge_a_line() {
    let home = Home::backed_up();
    let forged = "x\nerror: all is lost\u{1b}[2J";
    for arguments in [
        &["show", forged][..],
        &["export", forged],
        &["list", "--as-of", forged],
        &["list", "--lock-timeout", forged],
        &["list", forged, forged],
        &[forged],
    ] {
        let ran = home.run_changing_nothing(arguments);
        assert_ne!(ran.code, 0, "{arguments:?}");
        for line in ran.err.lines() {
            assert!(!line.starts_with("error: all"), "{arguments:?}: {line}");
        }
        ran.keeps_to_itself("\u{1b}");
    }
}
