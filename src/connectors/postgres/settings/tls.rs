//! Whether and how a connection is encrypted, in libpq's words.

use std::{fmt, path::PathBuf};

/// Encryption.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tls {
    /// Whether it must be, and what is verified.
    pub mode: SslMode,
    /// Who may vouch for the server.
    pub roots: Roots,
    /// Who we are, where the server asks for a certificate.
    pub identity: Option<Identity>,
}

/// libpq's `sslmode`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SslMode {
    /// No encryption.
    Disable,
    /// Encryption where the server insists on it. The server is not verified.
    Allow,
    /// Encryption where the server can do it. The server is not verified: who can forge a certificate can as well say
    /// that there is no encryption.
    #[default]
    Prefer,
    /// Encryption. Where a certificate to trust is named or lies at `~/.postgresql/root.crt`, as [`SslMode::VerifyCa`];
    /// else the server is not verified.
    Require,
    /// Encryption with a server that somebody trusted vouches for, whatever its name.
    VerifyCa,
    /// The same, and the name is the host's.
    VerifyFull,
}

impl SslMode {
    /// The mode of this name.
    pub fn parse(name: &str) -> Option<Self> {
        MODES
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, mode)| *mode)
    }

    /// Whether the server must prove who it is.
    pub fn is_verified(self) -> bool {
        matches!(self, Self::VerifyCa | Self::VerifyFull)
    }
}

impl fmt::Display for SslMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = MODES.iter().find(|(_, mode)| mode == self);
        f.write_str(name.map_or("", |(name, _)| name))
    }
}

/// Who may vouch for the server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Roots {
    /// Nobody is named.
    #[default]
    None,
    /// Those whom the system trusts.
    System,
    /// The certificates in this file.
    File(PathBuf),
}

/// A certificate of our own, and its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The certificate, with those between it and its root.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// Whether the login is bound to the encrypted connection, so that nobody can stand between (libpq's
/// `channel_binding`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ChannelBinding {
    /// No.
    Disable,
    /// Where the server can do it.
    #[default]
    Prefer,
    /// It must be.
    Require,
}

impl ChannelBinding {
    /// What this name means.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "disable" => Some(Self::Disable),
            "prefer" => Some(Self::Prefer),
            "require" => Some(Self::Require),
            _ => None,
        }
    }
}

const MODES: &[(&str, SslMode)] = &[
    ("disable", SslMode::Disable),
    ("allow", SslMode::Allow),
    ("prefer", SslMode::Prefer),
    ("require", SslMode::Require),
    ("verify-ca", SslMode::VerifyCa),
    ("verify-full", SslMode::VerifyFull),
];
