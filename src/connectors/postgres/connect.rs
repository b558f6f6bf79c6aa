//! Connecting.

use super::{Error, Settings};

/// Opens a connection.
///
/// # Errors
/// [`Error::Connect`].
pub fn connect(settings: &Settings) -> Result<postgres::Client, Error> {
    let mut config = postgres::Config::new();
    config
        .host(&settings.host)
        .port(settings.port)
        .user(&settings.user)
        .dbname(&settings.dbname)
        .application_name("tuskvault");
    if let Some(password) = &settings.password {
        config.password(password.expose());
    }
    config
        .connect(postgres::NoTls)
        .map_err(|source| Error::Connect {
            location: settings.location(),
            source,
        })
}
