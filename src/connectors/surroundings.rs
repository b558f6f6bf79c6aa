//! What the connectors may know of the machine they run on, and where programs keep things on which system.
//!
//! Evidence: the XDG base directory specification; Flatpak's `~/.var/app/<id>/{config,data}` and Snap's
//! `~/snap/<name>/current` in place of the home folder; Electron's `app.getPath("userData")` (the program's name in the
//! system's folder for settings); Windows' `%LOCALAPPDATA%\Packages\<family>` for programs from its store; Android's
//! folder of an app and what `adb backup` calls its parts (`BackupAgent`: `db`, `f`, `sp`).

use std::path::{Path, PathBuf};

use super::place;

/// What the connectors may know of the machine they run on.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// The person's home folder.
    pub home: PathBuf,
    /// Where programs keep their settings: `$XDG_CONFIG_HOME` or the system's own place.
    pub config: PathBuf,
    /// Where programs keep their data: `$XDG_DATA_HOME` or the system's own place.
    pub data: PathBuf,
    /// `$XDG_CONFIG_HOME`, when it is set (some clients honour it on every system).
    pub xdg_config_home: Option<PathBuf>,
    /// The root of the file system: `/`, or where a disk is mounted. Empty where only a home folder is known.
    pub root: PathBuf,
    /// The working directory.
    pub current: PathBuf,
    /// Folders that may be the folder of an Android app, or hold one for each app. Empty but for material of a phone.
    pub android: Vec<PathBuf>,
    /// The host name, part of a source's identity.
    pub host: String,
}

/// A program that keeps its store in a folder of its own name below the system's folder for settings.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Program {
    /// The names of its folder.
    pub(crate) names: &'static [&'static str],
    /// Its Flatpak id.
    pub(crate) flatpak: Option<&'static str>,
    /// Its name as a Snap.
    pub(crate) snap: Option<&'static str>,
    /// How the name of its package from the Windows store begins.
    pub(crate) store: Option<&'static str>,
}

impl Surroundings {
    /// The folders for settings: this system's own, and those of every system below the home folder, which may be that
    /// of another.
    pub(crate) fn config_folders(&self) -> Vec<PathBuf> {
        let mut folders = vec![self.config.clone()];
        for place in [".config", "Library/Application Support", "AppData/Roaming"] {
            let folder = self.home.join(place);
            if !folders.contains(&folder) {
                folders.push(folder);
            }
        }
        folders
    }

    /// The folders that a program may have.
    pub(crate) fn folders_of(&self, program: &Program) -> Vec<PathBuf> {
        let mut above = self.config_folders();
        let home = &self.home;
        let flatpak = program.flatpak;
        above.extend(flatpak.map(|id| home.join(".var/app").join(id).join("config")));
        let snap = program.snap;
        above.extend(snap.map(|name| home.join("snap").join(name).join("current/.config")));
        if let Some(store) = program.store {
            let packages = home.join("AppData/Local/Packages");
            let packages = place::entries(&packages).unwrap_or_default().into_iter();
            let is_ours = |path: &PathBuf| place::file_name(path).starts_with(store);
            above.extend(
                packages
                    .filter(is_ours)
                    .map(|path| path.join("LocalCache/Roaming")),
            );
        }
        let folders = above.iter().flat_map(|folder| {
            let names = program.names.iter();
            names.map(|name| folder.join(name))
        });
        folders.collect()
    }

    /// A file of every Android app that has one, in the folder that this part of its data has on a phone or in what
    /// `adb backup` made.
    pub(crate) fn android_files(&self, part: Part, name: &str) -> Vec<PathBuf> {
        let mut found = Vec::new();
        for folder in &self.android {
            let apps = place::entries(folder).unwrap_or_default();
            for app in std::iter::once(folder).chain(&apps) {
                let files = part.folders().map(|part| app.join(part).join(name));
                found.extend(files.into_iter().filter(|file| file.is_file()));
            }
        }
        found
    }
}

/// A part of an Android app's data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Databases,
    Files,
}

impl Part {
    fn folders(self) -> [&'static Path; 2] {
        match self {
            Self::Databases => ["databases", "db"].map(Path::new),
            Self::Files => ["files", "f"].map(Path::new),
        }
    }
}
