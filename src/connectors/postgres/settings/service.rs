//! libpq's connection services: named sets of parameters in `pg_service.conf`.
//!
//! PostgreSQL 18, "The Connection Service File" of libpq, and `parseServiceFile` in `fe-connect.c`.

use std::{
    io,
    path::{Path, PathBuf},
};

use crate::files;

use super::{Environment, Error, MAX_FILE_BYTES, Parameters, Problem};

/// What the service of this name says: in `PGSERVICEFILE`, or `~/.pg_service.conf` and then the system's file.
pub(super) fn look_up(name: &str, environment: &Environment) -> Result<Parameters, Error> {
    let system = environment.get("PGSYSCONFDIR").unwrap_or(SYSTEM_FOLDER);
    let own = match environment.get("PGSERVICEFILE") {
        Some(path) => PathBuf::from(path),
        None => environment.home.join(".pg_service.conf"),
    };
    for path in [own, Path::new(system).join("pg_service.conf")] {
        let bytes = match files::read_bounded(&path, MAX_FILE_BYTES) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(source) => return Err(Error::File { path, source }),
        };
        match find(&bytes, name) {
            Ok(Some(service)) => return Ok(service),
            Ok(None) => {}
            Err(Problem(detail)) => return Err(Error::Settings { path, detail }),
        }
    }
    Err(Error::Typed {
        detail: "there is no service of this name in ~/.pg_service.conf (or PGSERVICEFILE)"
            .to_owned(),
    })
}

/// The parameters in the section of this name.
fn find(bytes: &[u8], name: &str) -> Result<Option<Parameters>, Problem> {
    let text =
        std::str::from_utf8(bytes).map_err(|_| Problem("it is not UTF-8 text".to_owned()))?;
    let mut found: Option<Parameters> = None;
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(title) = line.strip_prefix('[') {
            if found.is_some() {
                break;
            }
            if title.strip_suffix(']') == Some(name) {
                found = Some(Parameters::default());
            }
            continue;
        }
        let Some(service) = &mut found else { continue };
        let problem = |what: &str| Problem::line(number, what);
        let (keyword, value) = line
            .split_once('=')
            .ok_or_else(|| problem("expected key=value"))?;
        if keyword == "service" {
            return Err(problem("a service can't name another"));
        }
        let set = service.set(keyword, value);
        set.map_err(|Problem(what)| problem(&what))?;
    }
    Ok(found)
}

/// Debian's. Others have it where PostgreSQL was installed, which PGSYSCONFDIR tells.
const SYSTEM_FOLDER: &str = "/etc/postgresql-common";

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::prelude::*;

    use crate::model::Secret;

    use super::*;

    fn environment(file: &[u8], folder: &Path) -> Environment {
        fs::write(folder.join(".pg_service.conf"), file).unwrap();
        Environment {
            home: folder.to_owned(),
            ..Environment::default()
        }
    }

    #[test]
    fn a_service_is_found_by_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let file = b"# comment\n[other]\nhost=no\n[ mine]\nhost=no\n\n[mine]\r\n  host=h\t\n# c\nport=7\nuser=u\npassword= p w =\n[mine]\nhost=second\n";
        let environment = environment(file, folder.path());
        let found = look_up("mine", &environment).unwrap();
        assert_eq!(found.host.as_deref(), Some("h"));
        assert_eq!(found.port, Some(7));
        assert_eq!(found.password, Some(Secret::from(" p w =")));
        assert!(matches!(
            look_up("none", &environment),
            Err(Error::Typed { .. })
        ));
    }

    #[test]
    fn the_named_file_replaces_the_one_at_home_and_the_systems_comes_after() {
        let folder = tempfile::tempdir().unwrap();
        let mut environment = environment(b"[a]\nhost=home\n", folder.path());
        let (named, system) = (folder.path().join("named"), folder.path().join("etc"));
        fs::write(&named, "[b]\nhost=named\n").unwrap();
        fs::create_dir(&system).unwrap();
        fs::write(system.join("pg_service.conf"), "[a]\nhost=system\n").unwrap();
        let host = |environment: &Environment, name: &str| {
            look_up(name, environment).unwrap().host.unwrap()
        };
        assert_eq!(host(&environment, "a"), "home");
        for (name, path) in [("PGSERVICEFILE", &named), ("PGSYSCONFDIR", &system)] {
            let path = Secret::from(path.to_str().unwrap());
            environment.variables.insert(name.to_owned(), path);
        }
        assert_eq!(host(&environment, "b"), "named");
        assert_eq!(host(&environment, "a"), "system");
    }

    #[test]
    fn what_is_wrong_with_a_service_is_told_by_its_line() {
        for (file, line) in [
            (&b"[a]\nhost=h\nnonsense"[..], "line 3: "),
            (b"[a]\nservice=b", "line 2: "),
            (b"[a]\nport=x", "line 2: port "),
            (b"[a]\nldap://hunter2", "line 2: "),
            (b"[a]\nhunter2!=1", "line 2: "),
            (b"[a]\nhost=\xff", "it is not"),
        ] {
            let Err(Problem(what)) = find(file, "a") else {
                panic!("{line}");
            };
            assert!(what.starts_with(line), "{what}");
            assert!(!what.contains("hunter2"), "{what}");
        }
        let many = b"[x]\nhost=h\n".repeat(10_000);
        assert!(find(&many, "a").unwrap().is_none());
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "(\\[a\\]\n|host=|[a-z=\\[\\]\n# ]|\\PC){0,40}") {
            drop(find(text.as_bytes(), "a"));
        }
    }
}
