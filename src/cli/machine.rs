//! What the program knows of the machine that it runs on. The environment and the clock are read here and nowhere else.

use std::{
    borrow::Cow,
    env,
    path::{Path, PathBuf},
};

use etcetera::BaseStrategy;
use jiff::Timestamp;
use tuskvault::{connectors::Surroundings, files, model::Actor};
#[cfg(feature = "postgres")]
use tuskvault::{connectors::postgres, model::Secret};

/// The time now.
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}

/// Who runs the program, and where.
pub(crate) fn actor() -> Actor {
    let user = env::var("USER")
        .or_else(|_| env::var("LOGNAME"))
        .or_else(|_| env::var("USERNAME"));
    Actor {
        // Timers and containers set none of them.
        user: user.unwrap_or_else(|_| format!("uid {}", rustix::process::getuid().as_raw())),
        host: host(),
    }
}

fn host() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}

/// Where client apps may be.
pub(crate) fn surroundings() -> Surroundings {
    let folder =
        |pick: fn(&dyn Folders) -> PathBuf| native().map(|base| pick(&*base)).unwrap_or_default();
    Surroundings {
        home: etcetera::home_dir().unwrap_or_default(),
        config: folder(|base| base.config()),
        data: folder(|base| base.data()),
        xdg_config_home: env::var_os("XDG_CONFIG_HOME")
            .map(PathBuf::from)
            .filter(|path| !path.as_os_str().is_empty()),
        root: PathBuf::from("/"),
        current: env::current_dir().unwrap_or_default(),
        android: Vec::new(),
        host: host(),
    }
}

/// What the environment says of databases.
#[cfg(feature = "postgres")]
pub(crate) fn environment() -> postgres::Environment {
    let set = |name: &'static str| Some((name.to_owned(), Secret::new(env::var(name).ok()?)));
    postgres::Environment {
        variables: postgres::Environment::names().filter_map(set).collect(),
        home: etcetera::home_dir().unwrap_or_default(),
        user: login_name(),
    }
}

/// The name of the user whose rights the program has, as libpq and peer authentication know it: `sudo` and `su` may
/// leave the variables of another.
#[cfg(feature = "postgres")]
fn login_name() -> String {
    let id = rustix::process::geteuid().as_raw().to_string();
    let bytes = files::read_bounded(Path::new("/etc/passwd"), 1 << 20).unwrap_or_default();
    let users = String::from_utf8_lossy(&bytes);
    let known = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == id).then(|| name.to_owned())
    });
    known.unwrap_or_else(|| actor().user)
}

/// A process of one of these names, with its number. Linux only: elsewhere none is seen.
pub(crate) fn running(names: &[&str]) -> Option<(u32, String)> {
    let mut processes = files::entries(Path::new("/proc"), MAX_PROCESSES)
        .unwrap_or_default()
        .into_iter();
    processes.find_map(|process| {
        let id = process.file_name()?.to_str()?.parse().ok()?;
        let name = files::read_bounded(&process.join("comm"), 64).ok()?;
        let name = String::from_utf8_lossy(&name).trim().to_owned();
        // The kernel keeps fifteen bytes of a name.
        let is = |known: &&str| known.get(..15).unwrap_or(known).eq_ignore_ascii_case(&name);
        names.iter().any(is).then_some((id, name))
    })
}

/// More processes than a machine has.
const MAX_PROCESSES: usize = 4 << 20;

/// The same inside a folder: a home folder, one that holds them (a mounted disk), an Android app's data or what `adb
/// backup` made of it, or folders of such.
pub(crate) fn surroundings_in(root: &Path) -> Vec<Surroundings> {
    let mut homes = vec![root.to_owned(), root.join("root")];
    for above in ["home", "Users"] {
        homes.extend(files::entries(&root.join(above), MAX_HOMES).unwrap_or_default());
    }
    homes.retain(|home| home.is_dir());
    let phone = ["", "data/data", "data/user/0", "apps"].map(|place| root.join(place));
    let homes = homes.into_iter().map(|home| Surroundings {
        config: home.join(".config"),
        data: home.join(".local/share"),
        xdg_config_home: None,
        current: home.clone(),
        root: if home == root {
            root.to_owned()
        } else {
            PathBuf::new()
        },
        android: if home == root {
            phone.to_vec()
        } else {
            Vec::new()
        },
        host: host(),
        home,
    });
    homes.collect()
}

/// More home folders than this are looked into on no disk.
const MAX_HOMES: usize = 10_000;

/// A text as people read it: paths below the home folder begin with `~`.
pub(crate) fn with_tildes(text: &str) -> Cow<'_, str> {
    let home = etcetera::home_dir().ok();
    match home.as_deref().and_then(Path::to_str) {
        Some(home) if home.len() > 1 => tildes(text, &format!("{home}/")),
        _ => Cow::Borrowed(text),
    }
}

fn tildes<'t>(text: &'t str, home: &str) -> Cow<'t, str> {
    // The home folder of an old disk may be mounted somewhere: `/mnt/home/me` is not ours.
    let begins = |at: usize| {
        !text
            .get(..at)
            .unwrap_or_default()
            .ends_with(|c: char| c.is_alphanumeric() || "/._-~".contains(c))
    };
    let mut out = String::new();
    let mut done = 0;
    for (at, _) in text.match_indices(home).filter(|(at, _)| begins(*at)) {
        out.push_str(text.get(done..at).unwrap_or_default());
        out.push_str("~/");
        done = at + home.len();
    }
    if done == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(text.get(done..).unwrap_or_default());
    Cow::Owned(out)
}

/// Where the vault is unless told otherwise.
pub(crate) fn default_vault() -> Option<PathBuf> {
    Some(native()?.data().join("tuskvault").join("vault.tusk"))
}

/// Where this machine remembers what it has seen of vaults.
pub(crate) fn state_folder() -> Option<PathBuf> {
    if let Some(folder) = env::var_os("XDG_STATE_HOME").filter(|folder| !folder.is_empty()) {
        return Some(PathBuf::from(folder).join("tuskvault"));
    }
    Some(native()?.state().join("tuskvault"))
}

/// The passphrase in the environment, if there is one.
pub(crate) fn password_variable() -> Option<String> {
    env::var(PASSWORD).ok()
}

/// The variable that no program started by this one gets to see.
pub(crate) const PASSWORD: &str = "TUSKVAULT_PASSWORD";

trait Folders {
    fn config(&self) -> PathBuf;
    fn data(&self) -> PathBuf;
    fn state(&self) -> PathBuf;
}

impl<S: BaseStrategy> Folders for S {
    fn config(&self) -> PathBuf {
        self.config_dir()
    }

    fn data(&self) -> PathBuf {
        self.data_dir()
    }

    fn state(&self) -> PathBuf {
        self.state_dir().unwrap_or_else(|| self.data_dir())
    }
}

fn native() -> Option<Box<dyn Folders>> {
    let base = etcetera::base_strategy::choose_native_strategy().ok()?;
    Some(Box::new(base))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_below_the_home_folder_begin_with_a_tilde() {
        for (text, shown) in [
            ("/home/me/a and \"/home/me/b\"", "~/a and \"~/b\""),
            ("/mnt/home/me/a", "/mnt/home/me/a"),
            ("/home/me", "/home/me"),
            ("(/home/me/é)", "(~/é)"),
        ] {
            assert_eq!(tildes(text, "/home/me/"), shown);
        }
    }
}
