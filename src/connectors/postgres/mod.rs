//! The Mastodon server's own database: the place where every token of an instance lies in clear.
//!
//! Facts of fourteen releases, Mastodon 2.4.5 to 4.7.0 with Doorkeeper 5.0 to 6.0, stand at the code that rests on
//! them. Columns are found in the catalogue and named in every statement; a release number is never asked for.
//! `docs/server.md` tells an administrator what each command needs.

mod certificate;
mod connect;
mod copy;
mod error;
mod read;
pub mod restore;
mod schema;
mod settings;
mod tls;
mod watermark;

pub use connect::connect;
#[doc(hidden)]
pub use copy::read_as_copy;
pub use error::{Error, Said};
pub use read::{ImportRequest, Read, ReadError, Reading};
pub use settings::{
    ChannelBinding, Environment, Identity, PasswordNote, Roots, Settings, SslMode, Tls,
    usual_env_files,
};
pub use tls::CertificateFault;

/// The connector's name.
pub const NAME: &str = "postgres";
