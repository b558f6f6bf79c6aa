//! `restore --to postgres --verify`: what was put back is asked about.

use crate::{
    cluster::Role,
    home::Ran,
    instance::{Behaviour, Reply, Server},
    restore::{delete, into, one},
};

#[test]
fn what_was_put_back_is_asked_about() {
    let Some((database, home, token, id)) = one() else {
        return;
    };
    let record = &home.json(&["show", &id])[0];
    let user = record["user"].as_str().unwrap().to_owned();
    let known = token.clone();
    let server = Server::start(Behaviour::new(move |request| {
        let path = request.path();
        if path != "/api/v1/accounts/verify_credentials" {
            Reply::json(404, "{}")
        } else if request.token() == Some(&known) {
            Reply::json(200, &format!(r#"{{"id":"1","username":"{user}"}}"#))
        } else {
            Reply::sample("token-invalid")
        }
    }));
    let ca_file = server.ca_file();
    let restore = |more: &[&str]| {
        let asking = ["--verify", "--ca-file", ca_file.to_str().unwrap()];
        let arguments = [&["restore", "--to", "postgres", "--yes"], more, &asking].concat();
        let mut command = home.command(&arguments);
        into(&mut command, &database, Role::Peer);
        command.env("HTTPS_PROXY", server.proxy_url());
        Ran::of(&arguments, command.output().unwrap())
    };
    delete(&database, &token);
    restore(&[&id]).ok().prints("works as ");
    assert_eq!(home.json(&["show", &id])[0]["verified"]["verdict"], "works");
    assert_eq!(server.with_token().len(), 1);
    // Nobody is asked about what was there already.
    restore(&[&id]).ok();
    assert_eq!(server.with_token().len(), 1);
}
