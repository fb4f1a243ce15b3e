use std::fmt::Write as _;

use data_encoding::BASE64;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, IsCa, KeyUsagePurpose, PKCS_RSA_SHA256, PublicKeyData,
    SanType, SignatureAlgorithm,
};
use zeroize::Zeroizing;

use super::flaw::{JwtFlaw, X509Flaw};
use crate::spiffe::clock::unix_seconds;
use crate::spiffe::issue::{
    IssueError, IssuedX509, JwtIssuer, KeyUse, LeafRequest, SigningKey, X509Issuer, leaf_parameters, set_validity,
};
use crate::spiffe::{BundleError, JwtBundle, SpiffeBundle, SpiffeId, TrustDomain, X509Bundle};

const DAY: i64 = 24 * 3600;

/// An authority for tests. It issues good SVIDs, and SVIDs that break exactly one rule.
pub struct TestCa {
    trust_domain: TrustDomain,
    x509: X509Issuer,
    jwt: JwtIssuer,
}

impl TestCa {
    /// A new one, valid from yesterday on for thirty days.
    pub fn new(trust_domain: TrustDomain) -> Result<TestCa, IssueError> {
        let now = unix_seconds(None);
        let x509 = X509Issuer::generate(&trust_domain, now - DAY, now + 30 * DAY)?;
        Ok(TestCa { trust_domain, x509, jwt: JwtIssuer::generate(now + 30 * DAY)? })
    }

    /// Whom to trust.
    pub fn bundle(&self) -> Result<SpiffeBundle, BundleError> {
        let x509 = X509Bundle::from_der(self.trust_domain.clone(), self.x509.certificate())?;
        let mut jwt = JwtBundle::new(self.trust_domain.clone());
        if let Some(authority) = self.jwt.authority() {
            jwt.add_authority(authority)?;
        }
        SpiffeBundle::from_bundles(x509, jwt)
    }

    /// An X509-SVID that lives for so many seconds from now on, and breaks one rule if it shall.
    pub fn x509_svid(
        &self,
        id: &SpiffeId,
        dns_names: &[String],
        ttl: i64,
        flaw: Option<X509Flaw>,
    ) -> Result<IssuedX509, IssueError> {
        let now = unix_seconds(None);
        let (not_before, not_after) = match flaw {
            Some(X509Flaw::Expired) => (now - 7200, now - 3600),
            Some(X509Flaw::NotYetValid) => (now + 3600, now + 7200),
            _ => (now - 10.min(ttl / 20), now + ttl),
        };
        let mut leaf = leaf_parameters(&LeafRequest { spiffe_id: id, dns_names, not_before, not_after })?;
        set_validity(&mut leaf, not_before, not_after);
        bend(&mut leaf, flaw, &self.trust_domain)?;
        let key = SigningKey::generate(KeyUse::Certificates)?;
        let foreign;
        let issuer = match flaw {
            Some(X509Flaw::ForeignIssuer) => {
                foreign = TestCa::new(self.trust_domain.clone())?;
                &foreign.x509
            }
            _ => &self.x509,
        };
        let chain_der = match flaw {
            Some(X509Flaw::WeakKey) => issuer.sign(leaf, &WeakKey::new()?)?,
            Some(X509Flaw::Garbage) => b"\x30\x05garbage".to_vec(),
            _ => issuer.sign(leaf, &key)?,
        };
        let key_der = match flaw {
            Some(X509Flaw::WeakKey) => WeakKey::new()?.private,
            Some(X509Flaw::WrongKey) => SigningKey::generate(KeyUse::Certificates)?.to_pkcs8()?,
            _ => key.to_pkcs8()?,
        };
        Ok(IssuedX509 { chain_der, key_der, not_before, not_after })
    }

    /// A JWT-SVID that lives for so many seconds from now on, and breaks one rule if it shall.
    pub fn jwt_svid(
        &self,
        id: &SpiffeId,
        audience: &[String],
        ttl: i64,
        flaw: Option<JwtFlaw>,
    ) -> Result<Zeroizing<String>, IssueError> {
        let foreign = JwtIssuer::generate(i64::MAX)?;
        let header = header(self.jwt.key_id(), flaw);
        let payload = payload(id, audience, ttl, flaw);
        let signer = if flaw == Some(JwtFlaw::ForeignIssuer) { &foreign } else { &self.jwt };
        let token = signer.sign(&header, &payload)?;
        Ok(match flaw {
            Some(JwtFlaw::WrongSignature) => match token.rsplit_once('.') {
                Some((signed, _)) => foreign.sign_over(signed)?,
                None => token,
            },
            Some(JwtFlaw::AlgNone) => match token.rsplit_once('.') {
                Some((signed, _)) => Zeroizing::new(format!("{signed}.")),
                None => token,
            },
            Some(JwtFlaw::NotCompact) => Zeroizing::new(token.replacen('.', "", 1)),
            Some(JwtFlaw::BadBase64) => Zeroizing::new(token.replacen('.', "=.", 1)),
            _ => token,
        })
    }
}

/// The header of a token.
fn header(key_id: &str, flaw: Option<JwtFlaw>) -> String {
    use JwtFlaw as F;
    let alg = match flaw {
        Some(F::AlgNone) => "none",
        Some(F::AlgHs256) => "HS256",
        Some(F::AlgMismatch) => "RS256",
        _ => "ES256",
    };
    let key_id = match flaw {
        Some(F::UnknownKeyId) => "unknown",
        _ => key_id,
    };
    let mut header = format!(r#"{{"alg":"{alg}""#);
    if flaw != Some(F::NoKeyId) {
        let _ = write!(header, r#","kid":"{key_id}""#);
    }
    header += match flaw {
        Some(F::WrongType) => r#","typ":"at+jwt"}"#,
        Some(F::ExtraHeader) => r#","typ":"JWT","x5t":"abc"}"#,
        Some(F::CriticalHeader) => r#","typ":"JWT","crit":["exp"]}"#,
        _ => r#","typ":"JWT"}"#,
    };
    header
}

/// The claims of a token.
fn payload(id: &SpiffeId, audience: &[String], ttl: i64, flaw: Option<JwtFlaw>) -> String {
    use JwtFlaw as F;
    let now = unix_seconds(None);
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let mut claims = Vec::new();
    if flaw != Some(F::NoAudience) {
        let names: Vec<String> = audience.iter().map(|name| quoted(name)).collect();
        claims.push(format!(r#""aud":[{}]"#, names.join(",")));
    }
    match flaw {
        Some(F::NoExpiry) => {}
        Some(F::Expired) => claims.push(format!(r#""exp":{}"#, now - 3600)),
        _ => claims.push(format!(r#""exp":{}"#, now + ttl)),
    }
    claims.push(format!(r#""iat":{now}"#));
    match flaw {
        Some(F::NoSubject) => {}
        Some(F::NotASpiffeId) => claims.push(r#""sub":"https://example.org/who""#.to_owned()),
        _ => claims.push(format!(r#""sub":{}"#, quoted(id.as_str()))),
    }
    match flaw {
        Some(F::NotYetValid) => claims.push(format!(r#""nbf":{}"#, now + 3600)),
        Some(F::DuplicateClaim) => claims.push(format!(r#""sub":{}"#, quoted(id.as_str()))),
        Some(F::TooLong) => claims.push(format!(r#""padding":"{}""#, "x".repeat(64 * 1024))),
        _ => {}
    }
    match flaw {
        Some(F::NotJson) => "not JSON".to_owned(),
        _ => format!("{{{}}}", claims.join(",")),
    }
}

fn bend(leaf: &mut CertificateParams, flaw: Option<X509Flaw>, trust_domain: &TrustDomain) -> Result<(), IssueError> {
    let uri = |text: &str| -> Result<SanType, IssueError> { Ok(SanType::URI(text.try_into()?)) };
    match flaw {
        Some(X509Flaw::CaLeaf) => leaf.is_ca = IsCa::Ca(BasicConstraints::Unconstrained),
        Some(X509Flaw::TwoUris) => leaf.subject_alt_names.push(uri("spiffe://example.org/second")?),
        Some(X509Flaw::NoUri) => leaf.subject_alt_names[0] = SanType::DnsName("example.org".try_into()?),
        Some(X509Flaw::NotASpiffeId) => leaf.subject_alt_names[0] = uri("https://example.org/who")?,
        Some(X509Flaw::NoPath) => leaf.subject_alt_names[0] = uri(trust_domain.id().as_str())?,
        Some(X509Flaw::NoKeyUsage) => leaf.key_usages.clear(),
        Some(X509Flaw::KeyUsageNotCritical) => {
            leaf.key_usages.clear();
            // digitalSignature, the first bit (RFC 5280 4.2.1.3).
            leaf.custom_extensions.push(CustomExtension::from_oid_content(&[2, 5, 29, 15], vec![3, 2, 7, 0x80]));
        }
        Some(X509Flaw::NoDigitalSignature) => leaf.key_usages = vec![KeyUsagePurpose::KeyAgreement],
        Some(X509Flaw::KeyCertSign) => leaf.key_usages.push(KeyUsagePurpose::KeyCertSign),
        Some(X509Flaw::CrlSign) => leaf.key_usages.push(KeyUsagePurpose::CrlSign),
        _ => {}
    }
    Ok(())
}

/// RSA with 1024 bits. Everybody has this key: it is here.
struct WeakKey {
    public: Vec<u8>,
    private: Zeroizing<Vec<u8>>,
}

impl WeakKey {
    fn new() -> Result<WeakKey, IssueError> {
        let decode = |text: &str| BASE64.decode(text.as_bytes()).map_err(|_| IssueError::BadKey("not base64"));
        Ok(WeakKey { public: decode(WEAK_PUBLIC_KEY)?, private: Zeroizing::new(decode(WEAK_KEY)?) })
    }
}

impl PublicKeyData for WeakKey {
    fn der_bytes(&self) -> &[u8] {
        &self.public
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_RSA_SHA256
    }
}

/// PKCS#8 in base64.
const WEAK_KEY: &str = "\
     MIICdgIBADANBgkqhkiG9w0BAQEFAASCAmAwggJcAgEAAoGBAMosDzgtJOhIMuKP0uk4msb7INJNxKe1UZsuxXFA+zkKqyZuXHwjDv0EsBGCep\
     g92MCSXxObkj4ECa4IljSLA4+VwN0rHzAhlfq68rak4j56MZDrMbPOn74SG4PXyjwSz7io+O5EZB111b14c1FO0dWxCEJ9XwXjj0vdIhDwGYKL\
     AgMBAAECgYBUuPIH0KNO1DK+zxbLtXTnPgYbG4v12/4+0fLb6ydcWCQxDr6jJu35CiXesJc/hWt4B97gEKnQY1DLJb4MdtUeb4Hu7xzoQNuUHV\
     mvBPwtb7X4g3AceC3hY3k8Li1GEmUneUjqAveazwEmI7UFPesiLzoH/Cto6FcGhXZyxNKRAQJBAPdx/JYotSf1cTt3iT9KU2Vh2SpQ9OUqgSEh\
     IvDrlUUh2ahxOUy43YV8vh7n6oLkl6TJx2+4bwOFyw58Ibu+ZJsCQQDRKWIGuKrevv1yOmjXgdKpGZ1qvkuMhXrSdE3kUh8Wp0qfIzrcEBbwKV\
     +mP3rnN0ouSI4V5Xq6J/A/gFlJoiDRAkBmWrM11c7hoYheJdsS4AbRKAFxnJ1Aci2J67ANYhWTzCXBpFwkXU/cmLX4CMybqj0EACdMEklxdpWA\
     /13g0CfDAkA5Bco2wOO8pF8eZDQvBLK07UnQTx7zqXRJqfGOXKEjIOqkJgum8S//u5fbEBVmsdkkcx1hdNWXqMnD1i8BdxTxAkEAlApAJkItNd\
     JLtldOwyg7ZgXaFAI2lBnR1NhJbId/7TwWB7u5VITWlCKKXZNkzVLnLsEMgVU9ABzB2y3CSwIutA==";
/// PKCS#1 in base64.
const WEAK_PUBLIC_KEY: &str = "\
     MIGJAoGBAMosDzgtJOhIMuKP0uk4msb7INJNxKe1UZsuxXFA+zkKqyZuXHwjDv0EsBGCepg92MCSXxObkj4ECa4IljSLA4+VwN0rHzAhlfq68r\
     ak4j56MZDrMbPOn74SG4PXyjwSz7io+O5EZB111b14c1FO0dWxCEJ9XwXjj0vdIhDwGYKLAgMBAAE=";

#[cfg(test)]
#[allow(clippy::unwrap_used)] // what cannot be issued fails the test
mod tests {
    use super::*;
    use crate::spiffe::{
        BundleSet, JwtVerifyOptions, PresentedChain, X509Svid, X509VerifyOptions, verify_jwt_svid, verify_x509_svid,
    };

    fn scene() -> (TestCa, BundleSet, SpiffeId) {
        let ca = TestCa::new(TrustDomain::parse("example.org").unwrap()).unwrap();
        let mut bundles = BundleSet::new();
        bundles.insert(&ca.bundle().unwrap());
        (ca, bundles, SpiffeId::parse("spiffe://example.org/a").unwrap())
    }

    /// The verdict of verification, or else of parsing an SVID with its key.
    fn verdict(issued: &IssuedX509, bundles: &BundleSet) -> Result<(), &'static str> {
        let chain = PresentedChain::from_der(&issued.chain_der).map_err(|error| error.code())?;
        verify_x509_svid(chain.certificates(), bundles, &X509VerifyOptions::default()).map_err(|error| error.code())?;
        X509Svid::from_der(&issued.chain_der, &issued.key_der).map(drop).map_err(|error| error.code())
    }

    #[test]
    fn each_flaw_of_a_certificate_is_refused_under_its_own_name() {
        let (ca, bundles, id) = scene();
        assert_eq!(verdict(&ca.x509_svid(&id, &[], 600, None).unwrap(), &bundles), Ok(()));
        for &(name, flaw) in X509Flaw::ALL {
            let issued = ca.x509_svid(&id, &[], 600, Some(flaw)).unwrap();
            let expected = match flaw {
                X509Flaw::Expired => "expired",
                X509Flaw::NotYetValid => "not_yet_valid",
                X509Flaw::CaLeaf => "leaf_is_ca",
                X509Flaw::TwoUris => "multiple_uri_sans",
                X509Flaw::NoUri => "missing_spiffe_id",
                X509Flaw::NotASpiffeId => "invalid_spiffe_id",
                X509Flaw::NoPath => "leaf_id_without_path",
                X509Flaw::NoKeyUsage => "leaf_missing_key_usage",
                X509Flaw::KeyUsageNotCritical => "leaf_key_usage_not_critical",
                X509Flaw::NoDigitalSignature => "leaf_missing_digital_signature",
                X509Flaw::KeyCertSign => "leaf_has_key_cert_sign",
                X509Flaw::CrlSign => "leaf_has_crl_sign",
                X509Flaw::ForeignIssuer => "unknown_issuer",
                X509Flaw::WeakKey => "malformed_private_key",
                X509Flaw::WrongKey => "private_key_mismatch",
                X509Flaw::Garbage => "malformed_chain",
            };
            assert_eq!(verdict(&issued, &bundles), Err(expected), "{name}");
        }
    }

    #[test]
    fn each_flaw_of_a_token_is_refused_under_its_own_name() {
        let (ca, bundles, id) = scene();
        let options = JwtVerifyOptions { require_kid: true, ..JwtVerifyOptions::new("shop") };
        let verdict = |flaw| {
            let token = ca.jwt_svid(&id, &["shop".to_owned()], 600, flaw).unwrap();
            verify_jwt_svid(&token, &bundles, &options).map(drop).map_err(|error| error.code())
        };
        assert_eq!(verdict(None), Ok(()));
        for &(name, flaw) in JwtFlaw::ALL {
            let expected = match flaw {
                JwtFlaw::Expired => "expired",
                JwtFlaw::NotYetValid => "not_yet_valid",
                JwtFlaw::NoExpiry => "missing_expiry",
                JwtFlaw::NoSubject => "missing_subject",
                JwtFlaw::NotASpiffeId => "invalid_subject",
                JwtFlaw::NoAudience => "missing_audience",
                JwtFlaw::NoKeyId => "missing_key_id",
                JwtFlaw::UnknownKeyId => "unknown_key_id",
                JwtFlaw::WrongSignature | JwtFlaw::ForeignIssuer => "invalid_signature",
                JwtFlaw::AlgNone | JwtFlaw::AlgHs256 => "unsupported_algorithm",
                JwtFlaw::AlgMismatch => "algorithm_mismatch",
                JwtFlaw::WrongType => "invalid_type",
                JwtFlaw::ExtraHeader => "unexpected_header",
                JwtFlaw::CriticalHeader => "critical_header",
                JwtFlaw::DuplicateClaim | JwtFlaw::NotJson => "malformed_claims",
                JwtFlaw::NotCompact => "not_compact",
                JwtFlaw::BadBase64 => "malformed_base64",
                JwtFlaw::TooLong => "token_too_long",
            };
            assert_eq!(verdict(Some(flaw)), Err(expected), "{name}");
        }
    }
}
