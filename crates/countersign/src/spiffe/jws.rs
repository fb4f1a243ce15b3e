//! What JWT-SVID takes from JOSE: nine algorithms and the compact serialization (JWT-SVID 2.1 and 5.1).

use std::fmt;

use data_encoding::BASE64URL_NOPAD;

/// A curve of RFC 7518 6.2.1.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Curve {
    /// P-256 (secp256r1).
    P256,
    /// P-384 (secp384r1).
    P384,
    /// P-521 (secp521r1).
    P521,
}

impl Curve {
    /// The name in a JWK.
    pub const fn name(self) -> &'static str {
        match self {
            Self::P256 => "P-256",
            Self::P384 => "P-384",
            Self::P521 => "P-521",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        [Self::P256, Self::P384, Self::P521].into_iter().find(|curve| curve.name() == name)
    }

    /// Bytes of one coordinate.
    pub(crate) const fn coordinate_len(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
            Self::P521 => 66,
        }
    }
}

/// A signature algorithm a JWT-SVID may name (JWT-SVID 2.1). There are no others: not `none`, not `HS256`, not `EdDSA`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)] // the names say it all
pub enum JwsAlgorithm {
    RS256,
    RS384,
    RS512,
    ES256,
    ES384,
    ES512,
    PS256,
    PS384,
    PS512,
}

impl JwsAlgorithm {
    /// All nine.
    pub const ALL: [Self; 9] = [
        Self::RS256,
        Self::RS384,
        Self::RS512,
        Self::ES256,
        Self::ES384,
        Self::ES512,
        Self::PS256,
        Self::PS384,
        Self::PS512,
    ];

    /// The name in the `alg` header.
    pub const fn name(self) -> &'static str {
        match self {
            Self::RS256 => "RS256",
            Self::RS384 => "RS384",
            Self::RS512 => "RS512",
            Self::ES256 => "ES256",
            Self::ES384 => "ES384",
            Self::ES512 => "ES512",
            Self::PS256 => "PS256",
            Self::PS384 => "PS384",
            Self::PS512 => "PS512",
        }
    }

    /// The algorithm of that name. Names are case-sensitive (RFC 7515 4.1.1).
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }

    /// The curve an ECDSA algorithm is bound to (RFC 7518 3.4); `None` for RSA.
    pub const fn curve(self) -> Option<Curve> {
        match self {
            Self::ES256 => Some(Curve::P256),
            Self::ES384 => Some(Curve::P384),
            Self::ES512 => Some(Curve::P521),
            _ => None,
        }
    }
}

impl fmt::Display for JwsAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The three parts of a compact JWS (RFC 7515 3.1), decoded.
pub(crate) struct CompactJws<'a> {
    pub header: Vec<u8>,
    pub payload: Vec<u8>,
    pub signature: Vec<u8>,
    /// What the signature is over: header and payload as they stand in the text.
    pub signed: &'a [u8],
}

/// The text is not a compact JWS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotCompact {
    /// Not three parts between two dots. JSON serializations (JWT-SVID 5.1) and JWE end here.
    Parts,
    /// A part is not base64url without padding (RFC 7515 2).
    Base64,
}

impl<'a> CompactJws<'a> {
    pub fn split(token: &'a str) -> Result<Self, NotCompact> {
        let (signed, signature) = token.rsplit_once('.').ok_or(NotCompact::Parts)?;
        let (header, payload) = signed.split_once('.').ok_or(NotCompact::Parts)?;
        if payload.contains('.') || header.is_empty() {
            return Err(NotCompact::Parts);
        }
        let decode = |part: &str| BASE64URL_NOPAD.decode(part.as_bytes()).map_err(|_| NotCompact::Base64);
        Ok(Self {
            header: decode(header)?,
            payload: decode(payload)?,
            signature: decode(signature)?,
            signed: signed.as_bytes(),
        })
    }
}
