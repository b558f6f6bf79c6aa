//! Encryption: what libpq's modes mean to rustls.

use std::{io, path::Path, sync::Arc};

use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, OtherError, RootCertStore,
    SignatureScheme,
    client::{
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_cert_signed_by_trust_anchor, verify_server_name,
    },
    crypto::{
        CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature,
        verify_tls13_signature_with_raw_key,
    },
    pki_types::{
        CertificateDer, PrivateKeyDer, ServerName, SubjectPublicKeyInfoDer, UnixTime,
        pem::PemObject,
    },
    server::ParsedCertificate,
};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::files;

use super::{Error, Identity, Roots, Settings, SslMode, certificate};

/// What makes encrypted connections.
///
/// # Errors
/// [`Error::File`] and [`Error::Settings`] for the files with certificates and keys.
pub(super) fn connector(settings: &Settings) -> Result<MakeRustlsConnect, Error> {
    let provider = Arc::new(ring::default_provider());
    let verifier = Verifier {
        check: check(settings)?,
        provider: Arc::clone(&provider),
    };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::Tls {
            location: settings.location(),
            source: io::Error::other(error),
        })?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let config = match &settings.tls.identity {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            let (chain, key) = (certificates(&identity.cert)?, key(identity)?);
            let built = builder.with_client_auth_cert(chain, key);
            built.map_err(|error| unusable(&identity.cert, &error))?
        }
    };
    Ok(MakeRustlsConnect::new(config))
}

/// What of a certificate is checked.
#[derive(Debug)]
enum Check {
    /// Nothing.
    Nothing,
    /// That somebody trusted vouches for it.
    Chain(Trusted),
    /// The same, and that it is the host's.
    ChainAndName(Trusted),
}

fn check(settings: &Settings) -> Result<Check, Error> {
    match settings.tls.mode {
        SslMode::Disable | SslMode::Allow | SslMode::Prefer => Ok(Check::Nothing),
        SslMode::Require if settings.tls.roots == Roots::None => Ok(Check::Nothing),
        SslMode::Require | SslMode::VerifyCa => Ok(Check::Chain(trusted(&settings.tls.roots)?)),
        SslMode::VerifyFull => Ok(Check::ChainAndName(trusted(&settings.tls.roots)?)),
    }
}

/// Who may vouch for a server.
#[derive(Debug)]
struct Trusted {
    roots: RootCertStore,
    /// Certificates that are trusted as they are, whatever they may be used for: a server's own, self-signed.
    pinned: Vec<CertificateDer<'static>>,
}

fn trusted(roots: &Roots) -> Result<Trusted, Error> {
    let mut store = RootCertStore::empty();
    let pinned = match roots {
        Roots::None => Vec::new(),
        Roots::System => {
            store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            Vec::new()
        }
        Roots::File(path) => {
            let certificates = certificates(path)?;
            store.add_parsable_certificates(certificates.iter().cloned());
            certificates
        }
    };
    Ok(Trusted {
        roots: store,
        pinned,
    })
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let bytes = read(path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(unusable(path, &"it holds no certificates in PEM form")),
    }
}

fn key(identity: &Identity) -> Result<PrivateKeyDer<'static>, Error> {
    let path = &identity.key;
    let bytes = read(path)?;
    if is_open_to_others(path) {
        return Err(unusable(
            path,
            &"others may read this private key (`chmod 0600` closes it)",
        ));
    }
    PrivateKeyDer::from_pem_slice(&bytes).map_err(|_| {
        unusable(
            path,
            &"it holds no private key in PEM form without a passphrase",
        )
    })
}

/// libpq's rule: nobody else, but for a key of root's its group.
#[cfg(unix)]
fn is_open_to_others(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(path).is_ok_and(|metadata| {
        let others = if metadata.uid() == 0 { 0o037 } else { 0o077 };
        metadata.mode() & others != 0
    })
}

#[cfg(not(unix))]
fn is_open_to_others(_path: &Path) -> bool {
    false
}

fn read(path: &Path) -> Result<zeroize::Zeroizing<Vec<u8>>, Error> {
    files::read_bounded(path, MAX_FILE_BYTES).map_err(|source| Error::File {
        path: path.to_owned(),
        source,
    })
}

fn unusable(path: &Path, why: &dyn std::fmt::Display) -> Error {
    Error::Settings {
        path: path.to_owned(),
        detail: why.to_string(),
    }
}

/// What is wrong with a server's certificate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateFault {
    /// It, and those above it, lead to nobody trusted.
    #[error("nobody who is trusted signed it")]
    UnknownIssuer,
    /// Its time is over.
    #[error("it has expired")]
    Expired,
    /// Its time has not come.
    #[error("it is not valid yet")]
    NotValidYet,
    /// It is of a version that cannot hold what is to be verified.
    #[error(
        "it is of X.509 version 1, which cannot be verified: make one of version 3, with subjectAltName"
    )]
    Version1,
    /// Something else.
    #[error("{0}")]
    Other(String),
}

impl From<CertificateFault> for rustls::Error {
    fn from(fault: CertificateFault) -> Self {
        Self::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(fault))))
    }
}

impl From<&CertificateError> for CertificateFault {
    fn from(error: &CertificateError) -> Self {
        use CertificateError as E;
        match error {
            E::UnknownIssuer | E::BadSignature => Self::UnknownIssuer,
            E::Expired | E::ExpiredContext { .. } => Self::Expired,
            E::NotValidYet | E::NotValidYetContext { .. } => Self::NotValidYet,
            E::Other(OtherError(inner)) => match inner.downcast_ref::<Self>() {
                Some(fault) => fault.clone(),
                // A self-signed one of an authority that is another than the trusted ones, or one that is malformed.
                None => Self::Other(format!("it is unusable for a server ({inner})")),
            },
            other => Self::Other(other.to_string()),
        }
    }
}

/// Checks what the mode asks for, and always that the server holds the key of its certificate.
#[derive(Debug)]
struct Verifier {
    check: Check,
    provider: Arc<CryptoProvider>,
}

impl Verifier {
    fn verify_chain(
        &self,
        trusted: &Trusted,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), rustls::Error> {
        use CertificateError as E;
        use rustls::Error::InvalidCertificate as Invalid;
        if certificate::is_version_1(end_entity) {
            return Err(CertificateFault::Version1.into());
        }
        let algorithms = self.provider.signature_verification_algorithms.all;
        let parsed = ParsedCertificate::try_from(end_entity)?;
        let chain = verify_server_cert_signed_by_trust_anchor(
            &parsed,
            &trusted.roots,
            intermediates,
            now,
            algorithms,
        );
        match chain {
            Ok(()) => Ok(()),
            // OpenSSL's self-signed certificates say that they are an authority's, which webpki takes for no server's.
            // The time comes first: what is pinned was found to be valid now.
            Err(Invalid(E::Other(_))) if trusted.pinned.contains(end_entity) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match &self.check {
            Check::Nothing => {}
            Check::Chain(trusted) => self.verify_chain(trusted, end_entity, intermediates, now)?,
            Check::ChainAndName(trusted) => {
                self.verify_chain(trusted, end_entity, intermediates, now)?;
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
            }
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        match certificate::public_key(cert) {
            // Only where nothing else of it is verified does one come here.
            Some(key) => {
                let key = SubjectPublicKeyInfoDer::from(key);
                verify_tls13_signature_with_raw_key(message, &key, dss, algorithms)
            }
            None => verify_tls13_signature(message, cert, dss, algorithms),
        }
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let algorithms = &self.provider.signature_verification_algorithms;
        algorithms.supported_schemes()
    }
}

/// A bundle of all public authorities is a quarter of it.
const MAX_FILE_BYTES: u64 = 1 << 20;
