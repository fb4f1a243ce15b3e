use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use aws_lc_rs::signature::{self, ParsedPublicKey, RsaParameters, RsaPublicKeyComponents};
use serde_json::Value;

use super::{
    PublicKey,
    jwk::{BadKey, Jwk, WrittenJwk},
    jws::{Curve, JwsAlgorithm},
};

/// A key that may sign the tokens of a trust domain: a key ID, a public key, and perhaps the one algorithm it is meant
/// for. Cheap to clone.
#[derive(Clone)]
pub struct JwtAuthority(Arc<Authority>);

struct Authority {
    key_id: Box<str>,
    key: PublicKey,
    algorithm: Option<JwsAlgorithm>,
    /// The key in the crypto library's own form: one for a curve, up to six for RSA, by [`slot`].
    parsed: [OnceLock<Option<ParsedPublicKey>>; 6],
}

impl JwtAuthority {
    /// An authority for tokens. `None` when the key is of a kind that signs no tokens, is no valid point or RSA key, or
    /// when the key ID is empty.
    pub fn new(key_id: &str, key: PublicKey) -> Option<Self> {
        if key_id.is_empty() {
            return None;
        }
        Self::checked(key_id, key, None).ok()
    }

    pub(crate) fn from_jwk(key_id: &str, jwk: &Jwk) -> Result<Self, BadKey> {
        let key = PublicKey::from_jwk(jwk)?;
        // RFC 7517 4.4: a key that names its algorithm is used with no other.
        let algorithm = match jwk.alg.as_deref() {
            None => None,
            Some(name) => {
                Some(JwsAlgorithm::from_name(name).filter(|algorithm| key.suits(*algorithm)).ok_or(BadKey::Algorithm)?)
            }
        };
        // RFC 7517 4.3: a key that lists its operations is used for no others.
        let verifies =
            |operations: &Value| operations.as_array().is_some_and(|all| all.iter().any(|one| one == "verify"));
        if !jwk.key_ops.as_ref().is_none_or(verifies) {
            return Err(BadKey::Algorithm);
        }
        Self::checked(key_id, key, algorithm)
    }

    fn checked(key_id: &str, key: PublicKey, algorithm: Option<JwsAlgorithm>) -> Result<Self, BadKey> {
        let first = match &key {
            PublicKey::Rsa { .. } => JwsAlgorithm::RS256,
            PublicKey::Ec { curve: Curve::P256, .. } => JwsAlgorithm::ES256,
            PublicKey::Ec { curve: Curve::P384, .. } => JwsAlgorithm::ES384,
            PublicKey::Ec { curve: Curve::P521, .. } => JwsAlgorithm::ES512,
            PublicKey::Ed25519(_) => return Err(BadKey::Unknown),
        };
        let authority = Authority { key_id: key_id.into(), key, algorithm, parsed: Default::default() };
        // The crypto library has the last word on whether a point lies on its curve.
        authority.parsed(first).ok_or(BadKey::Malformed)?;
        Ok(Self(Arc::new(authority)))
    }

    /// The key ID.
    pub fn key_id(&self) -> &str {
        &self.0.key_id
    }

    /// The public key.
    pub fn public_key(&self) -> &PublicKey {
        &self.0.key
    }

    /// The only algorithm the key is meant for, when its JWK names one.
    pub fn algorithm(&self) -> Option<JwsAlgorithm> {
        self.0.algorithm
    }

    /// Whether a token of this algorithm can come from this authority.
    pub fn suits(&self, algorithm: JwsAlgorithm) -> bool {
        self.0.key.suits(algorithm) && self.0.algorithm.is_none_or(|only| only == algorithm)
    }

    /// Whether the signature over the message is this authority's. The algorithm must suit it.
    pub(crate) fn verify(&self, algorithm: JwsAlgorithm, message: &[u8], signature: &[u8]) -> bool {
        self.suits(algorithm) && self.0.parsed(algorithm).is_some_and(|key| key.verify_sig(message, signature).is_ok())
    }

    pub(crate) fn written(&self, purpose: Option<&'static str>) -> WrittenJwk<'_> {
        WrittenJwk {
            purpose,
            kid: Some(&self.0.key_id),
            alg: self.0.algorithm.map(JwsAlgorithm::name),
            ..self.0.key.written()
        }
    }
}

impl Authority {
    fn parsed(&self, algorithm: JwsAlgorithm) -> Option<&ParsedPublicKey> {
        let parse = || match (&self.key, algorithm) {
            (PublicKey::Ec { point, .. }, JwsAlgorithm::ES256) => {
                ParsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, point).ok()
            }
            (PublicKey::Ec { point, .. }, JwsAlgorithm::ES384) => {
                ParsedPublicKey::new(&signature::ECDSA_P384_SHA384_FIXED, point).ok()
            }
            (PublicKey::Ec { point, .. }, JwsAlgorithm::ES512) => {
                ParsedPublicKey::new(&signature::ECDSA_P521_SHA512_FIXED, point).ok()
            }
            (PublicKey::Rsa { n, e }, _) => {
                let key = RsaPublicKeyComponents { n, e };
                key.to_parsed_public_key(rsa_parameters(algorithm)?).ok()
            }
            _ => None,
        };
        self.parsed[slot(algorithm)].get_or_init(parse).as_ref()
    }
}

fn rsa_parameters(algorithm: JwsAlgorithm) -> Option<&'static RsaParameters> {
    Some(match algorithm {
        JwsAlgorithm::RS256 => &signature::RSA_PKCS1_2048_8192_SHA256,
        JwsAlgorithm::RS384 => &signature::RSA_PKCS1_2048_8192_SHA384,
        JwsAlgorithm::RS512 => &signature::RSA_PKCS1_2048_8192_SHA512,
        JwsAlgorithm::PS256 => &signature::RSA_PSS_2048_8192_SHA256,
        JwsAlgorithm::PS384 => &signature::RSA_PSS_2048_8192_SHA384,
        JwsAlgorithm::PS512 => &signature::RSA_PSS_2048_8192_SHA512,
        _ => return None,
    })
}

/// A key has one curve, so all of ECDSA shares the place of RS256.
const fn slot(algorithm: JwsAlgorithm) -> usize {
    match algorithm {
        JwsAlgorithm::RS384 => 1,
        JwsAlgorithm::RS512 => 2,
        JwsAlgorithm::PS256 => 3,
        JwsAlgorithm::PS384 => 4,
        JwsAlgorithm::PS512 => 5,
        _ => 0,
    }
}

impl PartialEq for JwtAuthority {
    fn eq(&self, other: &Self) -> bool {
        self.0.key_id == other.0.key_id && self.0.key == other.0.key && self.0.algorithm == other.0.algorithm
    }
}

impl Eq for JwtAuthority {}

impl fmt::Debug for JwtAuthority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JwtAuthority({:?}, {:?})", self.0.key_id, self.0.key)
    }
}
