//! A source that could not be read is known to `status` until one can.

use std::fs;

use crate::home::Home;

#[test]
fn a_backup_that_could_not_read_its_source_is_known_until_one_can() {
    let home = Home::backed_up();
    let whole = fs::read(home.toot()).unwrap();
    fs::write(home.toot(), "{").unwrap();
    home.run(&["backup"]).exits(8);
    home.run(&["status"]).exits(9).prints("failed");
    let lines = home.run(&["status", "--json"]).exits(9).objects();
    assert_eq!(lines.len(), 1, "the source that was known before");
    assert_eq!(lines[0]["outcome"], "failed");
    assert!(lines[0]["last_backup"].is_string());
    fs::write(home.toot(), whole).unwrap();
    home.run(&["backup"]).ok();
    home.run(&["status"]).ok();
}

#[test]
fn a_source_that_was_never_read_is_told_too_and_only_until_it_is() {
    let home = Home::with_vault();
    home.write(".config/toot/config.json", "{");
    home.run(&["backup"]).exits(8);
    let lines = home.run(&["status", "--json"]).exits(9).objects();
    assert_eq!(lines[0]["source"], "toot");
    assert!(lines[0]["last_backup"].is_null());
    home.add_toot();
    home.run(&["backup"]).ok();
    assert_eq!(home.json(&["status"]).len(), 1);
}
