//! Mints certificates for the tests, with rcgen: every default is conformant, every test bends one thing.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use countersign::spiffe::{SpiffeId, TrustDomain, X509Bundle};
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SanType, SignatureAlgorithm,
};

/// The moment all tests live in.
pub const NOW: u64 = 1_800_000_000;

pub fn at(seconds: u64) -> Option<SystemTime> {
    Some(UNIX_EPOCH + Duration::from_secs(seconds))
}

pub fn td(name: &str) -> TrustDomain {
    TrustDomain::parse(name).unwrap()
}

/// A signing certificate and its key.
pub struct Ca {
    pub der: Vec<u8>,
    issuer: Issuer<'static, KeyPair>,
}

pub struct Leaf {
    pub der: Vec<u8>,
    pub key: Vec<u8>,
}

/// Parameters of a conformant signing certificate.
pub fn ca_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    valid(&mut params, NOW - 100_000, NOW + 100_000);
    params
}

/// Parameters of a conformant leaf.
pub fn leaf_params(uri: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "SPIRE");
    params.subject_alt_names = vec![uri_san(uri)];
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    valid(&mut params, NOW - 1000, NOW + 1000);
    params
}

pub fn uri_san(uri: &str) -> SanType {
    SanType::URI(uri.try_into().unwrap())
}

pub fn valid(params: &mut CertificateParams, from: u64, to: u64) {
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = epoch + Duration::from_secs(from);
    params.not_after = epoch + Duration::from_secs(to);
}

/// A key usage extension with the given bits (RFC 5280 4.2.1.3), critical or not.
pub fn key_usage(bits: u8, critical: bool) -> CustomExtension {
    let unused = u8::try_from(bits.trailing_zeros().min(7)).unwrap();
    let mut extension = CustomExtension::from_oid_content(&[2, 5, 29, 15], vec![3, 2, unused, bits]);
    extension.set_criticality(critical);
    extension
}

pub fn key() -> KeyPair {
    KeyPair::generate().unwrap()
}

impl Ca {
    pub fn root(name: &str) -> Self {
        Self::self_signed(ca_params(name))
    }

    pub fn self_signed(params: CertificateParams) -> Self {
        Self::self_signed_with(params, key())
    }

    pub fn self_signed_for(params: CertificateParams, algorithm: &'static SignatureAlgorithm) -> Self {
        Self::self_signed_with(params, KeyPair::generate_for(algorithm).unwrap())
    }

    fn self_signed_with(params: CertificateParams, key: KeyPair) -> Self {
        let der = params.self_signed(&key).unwrap().der().to_vec();
        Self { der, issuer: Issuer::new(params, key) }
    }

    pub fn intermediate(&self, params: CertificateParams) -> Self {
        let key = key();
        let der = params.signed_by(&key, &self.issuer).unwrap().der().to_vec();
        Self { der, issuer: Issuer::new(params, key) }
    }

    pub fn issue(&self, params: CertificateParams) -> Leaf {
        self.issue_with(params, key())
    }

    pub fn issue_for(&self, params: CertificateParams, algorithm: &'static SignatureAlgorithm) -> Leaf {
        self.issue_with(params, KeyPair::generate_for(algorithm).unwrap())
    }

    fn issue_with(&self, params: CertificateParams, key: KeyPair) -> Leaf {
        let der = params.signed_by(&key, &self.issuer).unwrap().der().to_vec();
        Leaf { der, key: key.serialize_der() }
    }

    pub fn bundle(&self, name: &str) -> X509Bundle {
        X509Bundle::from_der(td(name), &self.der).unwrap()
    }
}

pub const ID: &str = "spiffe://example.org/billing";

pub fn id() -> SpiffeId {
    SpiffeId::parse(ID).unwrap()
}
