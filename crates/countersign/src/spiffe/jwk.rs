//! Public keys as JSON (RFC 7517, RFC 7518 6).

use std::fmt;

use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize, de::IgnoredAny};
use serde_json::Value;
use x509_parser::{
    oid_registry::{OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_NIST_EC_P384, OID_NIST_EC_P521, OID_SIG_ED25519},
    prelude::FromDer,
    public_key as spki,
    x509::SubjectPublicKeyInfo,
};

use super::{
    jws::{Curve, JwsAlgorithm},
    limits::RSA_BITS,
};

/// A public key of a kind that SPIFFE documents can hold.
#[derive(Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PublicKey {
    /// RSA: modulus and exponent, big-endian without leading zeros.
    Rsa {
        /// The modulus.
        n: Box<[u8]>,
        /// The public exponent.
        e: Box<[u8]>,
    },
    /// A point on a NIST curve, uncompressed (SEC 1 2.3.3).
    Ec {
        /// The curve.
        curve: Curve,
        /// `04`, then x and y.
        point: Box<[u8]>,
    },
    /// Ed25519. It may sign certificates, but not tokens.
    Ed25519(Box<[u8]>),
}

/// Why a key is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadKey {
    #[error("unknown key type or curve")]
    Unknown,
    #[error("a parameter is missing or malformed")]
    Malformed,
    #[error("an RSA key outside of 2048 to 8192 bits")]
    RsaSize,
    #[error("an algorithm that does not suit the key, or is none of the nine")]
    Algorithm,
}

/// A JWK as it is read. Members that are not named here do not matter to SPIFFE; those that belong to one key type are
/// looked at for that type only, regardless of other members (RFC 7517 4: what is not understood is ignored).
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Jwk {
    pub kty: Option<String>,
    #[serde(rename = "use")]
    pub purpose: Option<String>,
    pub kid: Option<String>,
    pub alg: Option<String>,
    pub key_ops: Option<Value>,
    pub crv: Option<Value>,
    pub n: Option<Value>,
    pub e: Option<Value>,
    pub x: Option<Value>,
    pub y: Option<Value>,
    pub x5c: Option<Value>,
    /// Parameters of private keys. That they are there is all that is looked at.
    d: Option<IgnoredAny>,
    p: Option<IgnoredAny>,
    q: Option<IgnoredAny>,
}

impl Jwk {
    /// Whether it holds more than the public half of a key.
    pub fn is_private(&self) -> bool {
        self.d.is_some() || self.p.is_some() || self.q.is_some()
    }
}

/// A JWK as it is written: always the same members in the same order.
#[derive(Debug, Serialize)]
pub(crate) struct WrittenJwk<'a> {
    #[serde(rename = "use", skip_serializing_if = "Option::is_none")]
    pub purpose: Option<&'static str>,
    pub kty: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alg: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crv: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub e: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub x: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub y: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub x5c: Option<[String; 1]>,
}

/// RFC 7518 2: base64url without padding.
fn decode(parameter: Option<&Value>) -> Result<Vec<u8>, BadKey> {
    let text = parameter.and_then(Value::as_str).ok_or(BadKey::Malformed)?;
    BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| BadKey::Malformed)
}

fn without_leading_zeros(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    &bytes[zeros..]
}

impl PublicKey {
    /// The key a JWK describes. Only public parameters are looked at.
    pub(crate) fn from_jwk(jwk: &Jwk) -> Result<Self, BadKey> {
        match jwk.kty.as_deref() {
            Some("RSA") => Self::rsa(&decode(jwk.n.as_ref())?, &decode(jwk.e.as_ref())?),
            Some("EC") => {
                let curve = Curve::from_name(jwk.crv.as_ref().and_then(Value::as_str).ok_or(BadKey::Malformed)?)
                    .ok_or(BadKey::Unknown)?;
                let (x, y) = (decode(jwk.x.as_ref())?, decode(jwk.y.as_ref())?);
                // RFC 7518 6.2.1.2: a coordinate is written in full length, leading zeros included.
                if x.len() != curve.coordinate_len() || y.len() != curve.coordinate_len() {
                    return Err(BadKey::Malformed);
                }
                Ok(Self::Ec { curve, point: [&[4][..], &x, &y].concat().into() })
            }
            Some("OKP") if jwk.crv.as_ref().and_then(Value::as_str) == Some("Ed25519") => {
                let x = decode(jwk.x.as_ref())?;
                if x.len() == 32 { Ok(Self::Ed25519(x.into())) } else { Err(BadKey::Malformed) }
            }
            _ => Err(BadKey::Unknown),
        }
    }

    fn rsa(n: &[u8], e: &[u8]) -> Result<Self, BadKey> {
        let (n, e) = (without_leading_zeros(n), without_leading_zeros(e));
        let first = *n.first().ok_or(BadKey::Malformed)?;
        let bits = n.len() * 8 - first.leading_zeros() as usize;
        if !RSA_BITS.contains(&bits) {
            return Err(BadKey::RsaSize);
        }
        // RFC 8017 3.1: n is a product of odd primes, e is odd and at least 3. With e = 1 everybody can sign.
        let odd = |number: &[u8]| number.last().is_some_and(|last| last & 1 == 1);
        if !odd(n) || !odd(e) || e == [1] {
            return Err(BadKey::Malformed);
        }
        Ok(Self::Rsa { n: n.into(), e: e.into() })
    }

    /// The key in a SubjectPublicKeyInfo (RFC 5280 4.1.2.7), such as the public half of a signing key. `None` when it
    /// is of another kind, or an RSA key outside of 2048 to 8192 bits.
    pub fn from_spki_der(der: &[u8]) -> Option<Self> {
        let (rest, info) = SubjectPublicKeyInfo::from_der(der).ok()?;
        if rest.is_empty() { Self::from_spki(&info) } else { None }
    }

    pub(crate) fn from_spki(info: &SubjectPublicKeyInfo<'_>) -> Option<Self> {
        let oid = &info.algorithm.algorithm;
        if *oid == OID_SIG_ED25519 {
            return Some(Self::Ed25519(info.subject_public_key.data.as_ref().into()));
        }
        match info.parsed().ok()? {
            spki::PublicKey::RSA(key) => Self::rsa(key.modulus, key.exponent).ok(),
            spki::PublicKey::EC(point) if *oid == OID_KEY_TYPE_EC_PUBLIC_KEY => {
                let curve = info.algorithm.parameters.as_ref()?.as_oid().ok()?;
                let curve =
                    [(OID_EC_P256, Curve::P256), (OID_NIST_EC_P384, Curve::P384), (OID_NIST_EC_P521, Curve::P521)]
                        .into_iter()
                        .find_map(|(known, name)| (known == curve).then_some(name))?;
                let point = point.data();
                let whole = point.len() == 1 + 2 * curve.coordinate_len() && point[0] == 4;
                whole.then(|| Self::Ec { curve, point: point.into() })
            }
            _ => None,
        }
    }

    /// Whether signatures of this algorithm can come from this key (RFC 7518 3.3, 3.4).
    pub fn suits(&self, algorithm: JwsAlgorithm) -> bool {
        match self {
            Self::Rsa { .. } => algorithm.curve().is_none(),
            Self::Ec { curve, .. } => algorithm.curve() == Some(*curve),
            Self::Ed25519(_) => false,
        }
    }

    pub(crate) fn written(&self) -> WrittenJwk<'static> {
        let encode = |bytes: &[u8]| Some(BASE64URL_NOPAD.encode(bytes));
        let mut jwk = WrittenJwk {
            purpose: None,
            kty: "RSA",
            kid: None,
            alg: None,
            crv: None,
            n: None,
            e: None,
            x: None,
            y: None,
            x5c: None,
        };
        match self {
            Self::Rsa { n, e } => (jwk.n, jwk.e) = (encode(n), encode(e)),
            Self::Ec { curve, point } => {
                let (x, y) = point[1..].split_at(curve.coordinate_len());
                (jwk.kty, jwk.crv) = ("EC", Some(curve.name()));
                (jwk.x, jwk.y) = (encode(x), encode(y));
            }
            Self::Ed25519(x) => {
                (jwk.kty, jwk.crv, jwk.x) = ("OKP", Some("Ed25519"), encode(x));
            }
        }
        jwk
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rsa { n, .. } => write!(f, "Rsa({} bits)", n.len() * 8),
            Self::Ec { curve, .. } => write!(f, "Ec({})", curve.name()),
            Self::Ed25519(_) => f.write_str("Ed25519"),
        }
    }
}
