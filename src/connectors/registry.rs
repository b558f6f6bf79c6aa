//! Every connector there is. A new one is its file and its line here.

use super::{Source, clients, json::Json};

/// All connectors, in the order in which `discover` and `backup` take them.
pub fn all() -> &'static [&'static dyn Source] {
    ALL
}

/// The connector of this name.
pub fn find(name: &str) -> Option<&'static dyn Source> {
    ALL.iter().copied().find(|source| source.name() == name)
}

/// The feature that this build would need for a connector.
pub fn lacking(name: &str) -> Option<&'static str> {
    let mut optional = OPTIONAL.iter();
    let (_, feature) = optional.find(|(optional, _)| *optional == name)?;
    (!sources().any(|source| source == name)).then_some(feature)
}

/// Connectors that need a feature of the build.
const OPTIONAL: &[(&str, &str)] = &[
    ("chromium", "chromium"),
    ("fedilab", "sqlite"),
    ("pgdump", "pgdump"),
    ("postgres", "postgres"),
    ("tusky", "sqlite"),
];

/// Names of the connectors that read.
pub fn sources() -> impl Iterator<Item = &'static str> {
    ALL.iter()
        .map(|source| source.name())
        .chain(DATABASES.iter().copied())
        .chain(DUMPS.iter().copied())
}

/// Names of the connectors that also write.
pub fn sinks() -> impl Iterator<Item = &'static str> {
    ALL.iter()
        .filter(|source| source.sink().is_some())
        .map(|source| source.name())
        .chain(DATABASES.iter().copied())
}

/// Connectors that reach a database instead of files.
#[cfg(feature = "postgres")]
const DATABASES: &[&str] = &[super::postgres::NAME];
#[cfg(not(feature = "postgres"))]
const DATABASES: &[&str] = &[];

/// Connectors whose rows are the server's own, too many to be held as a client's are.
#[cfg(feature = "pgdump")]
const DUMPS: &[&str] = &[super::pgdump::NAME];
#[cfg(not(feature = "pgdump"))]
const DUMPS: &[&str] = &[];

const ALL: &[&dyn Source] = &[
    &clients::TheDesk,
    &clients::Whalebird,
    &clients::Toot,
    &clients::Tut,
    &clients::Madonctl,
    &clients::MastodonAsync,
    &clients::MastodonArchive,
    &clients::MastodonEl,
    &clients::Tootle,
    &clients::Tuba,
    &clients::Tokodon,
    #[cfg(feature = "sqlite")]
    &clients::Tusky,
    &clients::MastodonAndroid,
    #[cfg(feature = "sqlite")]
    &clients::Fedilab,
    &clients::MastodonIos,
    &clients::Web,
    #[cfg(feature = "chromium")]
    &clients::Chromium,
    &clients::Bitlbee,
    &clients::MastodonPy,
    &clients::Dotenv,
    &Json,
    &clients::Generic,
];
