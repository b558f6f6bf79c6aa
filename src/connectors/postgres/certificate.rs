//! What webpki does not tell of a certificate: its version, and the key in one of version 1.
//!
//! The recipe in PostgreSQL's manual ("Creating Certificates") makes certificates of version 1 with OpenSSL before 3.2,
//! and webpki takes version 3 only.

/// Whether this is a certificate of X.509 version 1 (RFC 5280, 4.1.2.1: the version is left out).
pub(super) fn is_version_1(der: &[u8]) -> bool {
    fields(der)
        .is_some_and(|mut fields| element(&mut fields).is_some_and(|first| first.tag == INTEGER))
}

/// The public key of a certificate of version 1 (its SubjectPublicKeyInfo).
pub(super) fn public_key(der: &[u8]) -> Option<&[u8]> {
    let mut fields = fields(der)?;
    // Serial number, signature, issuer, validity, subject.
    for tag in [INTEGER, SEQUENCE, SEQUENCE, SEQUENCE, SEQUENCE] {
        element(&mut fields).filter(|field| field.tag == tag)?;
    }
    let key = element(&mut fields).filter(|field| field.tag == SEQUENCE)?;
    Some(key.whole)
}

/// What the signed part of a certificate holds.
fn fields(mut der: &[u8]) -> Option<&[u8]> {
    let certificate = element(&mut der).filter(|outer| outer.tag == SEQUENCE)?;
    let mut inside = certificate.inside;
    let signed = element(&mut inside).filter(|inner| inner.tag == SEQUENCE)?;
    Some(signed.inside)
}

struct Element<'a> {
    tag: u8,
    inside: &'a [u8],
    whole: &'a [u8],
}

/// The next element (X.690, 8.1), with a length of at most 65,535.
fn element<'a>(rest: &mut &'a [u8]) -> Option<Element<'a>> {
    let (header, length) = match **rest {
        [_, 0x81, length, ..] => (3, usize::from(length)),
        [_, 0x82, high, low, ..] => (4, usize::from(u16::from_be_bytes([high, low]))),
        [_, length @ ..=0x7f, ..] => (2, usize::from(length)),
        _ => return None,
    };
    let (whole, after) = rest.split_at_checked(header + length)?;
    *rest = after;
    Some(Element {
        tag: *whole.first()?,
        inside: whole.get(header..)?,
        whole,
    })
}

const INTEGER: u8 = 0x02;
const SEQUENCE: u8 = 0x30;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rustls::pki_types::{CertificateDer, pem::PemObject};

    use super::*;

    fn certificate(pem: &str) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
    }

    const VERSION_1: &str = include_str!("../../../tests/data/postgres/version-1.crt");
    const VERSION_3: &str = include_str!("../../../tests/data/postgres/version-3.crt");

    #[test]
    fn versions_are_told_apart() {
        assert!(is_version_1(&certificate(VERSION_1)));
        assert!(!is_version_1(&certificate(VERSION_3)));
        assert!(!is_version_1(b""));
    }

    #[test]
    fn the_key_of_version_1_is_found() {
        let certificate = certificate(VERSION_1);
        let key = public_key(&certificate).unwrap();
        // P-256: two identifiers, and a point of 65 bytes.
        assert_eq!(key.len(), 91);
        assert_eq!(key[91 - 65], 4);
    }

    proptest! {
        #[test]
        fn any_bytes_are_looked_at_without_harm(
            bytes in prop::collection::vec(prop_oneof![Just(0x30), Just(2), Just(0x82), 0..=255_u8], 0..64),
            at in any::<prop::sample::Index>(),
            byte: u8,
        ) {
            let mut altered = certificate(VERSION_1).to_vec();
            let at = at.index(altered.len());
            altered[at] = byte;
            for bytes in [&bytes, &altered, &altered[..at].to_vec()] {
                is_version_1(bytes);
                public_key(bytes);
            }
        }
    }
}
