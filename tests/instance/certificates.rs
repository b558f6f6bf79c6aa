//! Certificates for any name, made when they are asked for.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex},
};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, date_time_ymd,
};
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::PrivateKeyDer,
    server::{ClientHello, ResolvesServerCert},
    sign::{CertifiedKey, SigningKey},
};

/// What kind of certificate is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Certificate {
    Valid,
    Expired,
    NotYet,
    /// Of `elsewhere.example`.
    WrongName,
    /// Signed by nobody but itself.
    SelfSigned,
    /// By an authority that nobody trusts.
    Stranger,
}

pub(super) struct Certificates {
    authority: CertifiedIssuer<'static, KeyPair>,
    stranger: CertifiedIssuer<'static, KeyPair>,
    key: KeyPair,
    signing: Arc<dyn SigningKey>,
    kind: fn(&str) -> Certificate,
    made: Mutex<HashMap<String, Arc<CertifiedKey>>>,
}

impl Certificates {
    pub(super) fn new(kind: fn(&str) -> Certificate) -> Self {
        let key = KeyPair::generate().unwrap();
        let der = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        Self {
            authority: authority("tests"),
            stranger: authority("strangers"),
            signing: ring::sign::any_supported_type(&der).unwrap(),
            key,
            kind,
            made: Mutex::default(),
        }
    }

    pub(super) fn authority(&self) -> String {
        self.authority.pem()
    }

    pub(super) fn into_config(self) -> Arc<ServerConfig> {
        let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().unwrap();
        let builder = builder.with_no_client_auth();
        Arc::new(builder.with_cert_resolver(Arc::new(self)))
    }

    fn make(&self, name: &str) -> CertifiedKey {
        let kind = (self.kind)(name);
        let names = match (kind, name) {
            (Certificate::WrongName, _) => vec!["elsewhere.example".to_owned()],
            (_, "") => ["127.0.0.1", "::1"].map(str::to_owned).to_vec(),
            (_, name) => vec![name.to_owned()],
        };
        let mut params = CertificateParams::new(names).unwrap();
        params
            .distinguished_name
            .push(DnType::CommonName, "a server");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        match kind {
            Certificate::Expired => {
                params.not_before = date_time_ymd(2020, 1, 1);
                params.not_after = date_time_ymd(2021, 1, 1);
            }
            Certificate::NotYet => params.not_before = date_time_ymd(2999, 1, 1),
            _ => {}
        }
        let certificate = match kind {
            Certificate::SelfSigned => params.self_signed(&self.key),
            Certificate::Stranger => params.signed_by(&self.key, &self.stranger),
            _ => params.signed_by(&self.key, &self.authority),
        };
        let der = certificate.unwrap().der().clone();
        CertifiedKey::new(vec![der], Arc::clone(&self.signing))
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Certificates")
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name().unwrap_or_default().to_owned();
        let mut made = self.made.lock().unwrap();
        let key = made
            .entry(name.clone())
            .or_insert_with(|| Arc::new(self.make(&name)));
        Some(Arc::clone(key))
    }
}

fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}
