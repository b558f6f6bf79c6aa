//! Certificates for a server on this machine, made anew for every cluster.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, date_time_ymd,
};

/// What kind of certificate a server shows. All are for `localhost` and 127.0.0.1, none for 127.0.0.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Validity {
    Valid,
    Expired,
    /// Signed by nobody but itself, and an authority's, as OpenSSL makes them.
    SelfSigned,
}

/// All in PEM.
pub(crate) struct Certificates {
    pub(crate) authority: String,
    /// Of an authority that did not sign the server's.
    pub(crate) other_authority: String,
    pub(crate) server: String,
    pub(crate) server_key: String,
}

impl Certificates {
    pub(crate) fn new(validity: Validity) -> Self {
        let authority = authority("tests");
        let mut params = CertificateParams::new(["localhost".into(), "127.0.0.1".into()]).unwrap();
        params
            .distinguished_name
            .push(DnType::CommonName, "localhost");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        if validity == Validity::Expired {
            params.not_before = date_time_ymd(2020, 1, 1);
            params.not_after = date_time_ymd(2021, 1, 1);
        }
        let key = KeyPair::generate().unwrap();
        if validity == Validity::SelfSigned {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            let own = params.self_signed(&key).unwrap().pem();
            return Self {
                authority: own.clone(),
                other_authority: authority.pem(),
                server: own,
                server_key: key.serialize_pem(),
            };
        }
        Self {
            server: params.signed_by(&key, &authority).unwrap().pem(),
            server_key: key.serialize_pem(),
            other_authority: self::authority("others").pem(),
            authority: authority.pem(),
        }
    }
}

fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}
