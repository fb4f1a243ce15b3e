use std::{borrow::Cow, fmt};

use serde::{
    Deserialize,
    de::{self, Deserializer, IgnoredAny, MapAccess, Visitor},
};
use serde_json::Value;

use super::jwt::TokenFacts;
use crate::spiffe::{
    JwsAlgorithm, SpiffeId, SpiffeIdError,
    clock::LAST_MOMENT,
    json,
    jws::{CompactJws, NotCompact},
    limits::{AUDIENCES, TOKEN_BYTES},
};

/// The rule a token breaks before its signature is checked (JWT-SVID 2, 3, 5.1).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// Longer than is looked at.
    #[error("the token is longer than {TOKEN_BYTES} bytes")]
    TooLong,
    /// Not three parts between two dots (JWT-SVID 5.1: compact serialization only).
    #[error("the token is not a JWS in compact serialization")]
    NotCompact,
    /// A part is not base64url without padding (RFC 7515 2).
    #[error("a part of the token is not base64url without padding")]
    Base64,
    /// The header is not a JSON object with its members in their kinds, each named once.
    #[error("the header of the token is malformed")]
    MalformedHeader,
    /// The algorithm is none of the nine (JWT-SVID 2.1).
    #[error("the algorithm of the token is none of RS256 to RS512, ES256 to ES512, PS256 to PS512")]
    UnsupportedAlgorithm,
    /// `typ` is neither `JWT` nor `JOSE` (JWT-SVID 2.3).
    #[error("the typ of the token is neither JWT nor JOSE")]
    InvalidType,
    /// A header other than `alg`, `kid` and `typ` (JWT-SVID 2).
    #[error("the header of the token has a parameter other than alg, kid and typ")]
    UnexpectedHeader,
    /// `crit` names extensions that must be understood (RFC 7515 4.1.11); there are none that are.
    #[error("the header of the token marks parameters critical that are not known")]
    CriticalHeader,
    /// The payload is not a JSON object in which the claims that matter are named once.
    #[error("the claims of the token are not a JSON object, or a claim is named twice")]
    MalformedClaims,
    /// No `sub` (JWT-SVID 3.1).
    #[error("the token has no subject")]
    MissingSubject,
    /// `sub` is not text.
    #[error("the subject of the token is not a string")]
    MalformedSubject,
    /// `sub` is no SPIFFE ID (JWT-SVID 3.1).
    #[error("the subject of the token: {0}")]
    InvalidSubject(#[source] SpiffeIdError),
    /// No `aud`, or none in it (JWT-SVID 3.2).
    #[error("the token has no audience")]
    MissingAudience,
    /// `aud` is neither a string nor a list of strings (RFC 7519 4.1.3).
    #[error("the audience of the token is neither a string nor a list of strings")]
    MalformedAudience,
    /// More audiences than are looked at.
    #[error("the token has more than {AUDIENCES} audiences")]
    TooManyAudiences,
    /// No `exp` (JWT-SVID 3.3).
    #[error("the token has no expiry")]
    MissingExpiry,
    /// `exp` is no number of seconds before the year 10000 (RFC 7519 2, NumericDate).
    #[error("the expiry of the token is not a time in seconds")]
    InvalidExpiry,
    /// `nbf` is no number of seconds before the year 10000 (RFC 7519 2, NumericDate).
    #[error("the not-before of the token is not a time in seconds")]
    InvalidNotBefore,
}

impl From<NotCompact> for TokenError {
    fn from(fault: NotCompact) -> Self {
        match fault {
            NotCompact::Parts => Self::NotCompact,
            NotCompact::Base64 => Self::Base64,
        }
    }
}

impl TokenError {
    /// The stable name of the rule.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooLong => "token_too_long",
            Self::NotCompact => "not_compact",
            Self::Base64 => "malformed_base64",
            Self::MalformedHeader => "malformed_header",
            Self::UnsupportedAlgorithm => "unsupported_algorithm",
            Self::InvalidType => "invalid_type",
            Self::UnexpectedHeader => "unexpected_header",
            Self::CriticalHeader => "critical_header",
            Self::MalformedClaims => "malformed_claims",
            Self::MissingSubject => "missing_subject",
            Self::MalformedSubject | Self::InvalidSubject(_) => "invalid_subject",
            Self::MissingAudience => "missing_audience",
            Self::MalformedAudience => "invalid_audience",
            Self::TooManyAudiences => "too_many_audiences",
            Self::MissingExpiry => "missing_expiry",
            Self::InvalidExpiry => "invalid_expiry",
            Self::InvalidNotBefore => "invalid_not_before",
        }
    }
}

/// Whether headers beyond the three of JWT-SVID 2 are borne. `crit` never is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HeaderRules {
    Strict,
    ExtraAllowed,
}

/// A token taken apart, every rule kept that needs neither clock nor key.
pub(crate) struct Token<'a> {
    pub jws: CompactJws<'a>,
    /// It bears headers beyond `alg`, `kid` and `typ`.
    pub extra_headers: bool,
    pub facts: TokenFacts,
}

impl<'a> Token<'a> {
    pub fn parse(token: &'a str, rules: HeaderRules) -> Result<Self, TokenError> {
        if token.len() > TOKEN_BYTES {
            return Err(TokenError::TooLong);
        }
        let mut jws = CompactJws::split(token)?;
        let header = Header::parse(&jws.header)?;
        let algorithm =
            header.algorithm.and_then(|name| JwsAlgorithm::from_name(&name)).ok_or(TokenError::UnsupportedAlgorithm)?;
        if header.typ.is_some_and(|typ| typ != "JWT" && typ != "JOSE") {
            return Err(TokenError::InvalidType);
        }
        if header.critical {
            return Err(TokenError::CriticalHeader);
        }
        if header.extra && rules == HeaderRules::Strict {
            return Err(TokenError::UnexpectedHeader);
        }
        let payload = String::from_utf8(std::mem::take(&mut jws.payload)).map_err(|_| TokenError::MalformedClaims)?;
        let claims: Claims = json::object(&payload).map_err(|_| TokenError::MalformedClaims)?;
        let facts = TokenFacts {
            algorithm,
            key_id: header.key_id,
            subject: subject(claims.sub)?,
            audience: audience(claims.aud)?,
            expiry: match claims.exp {
                None => return Err(TokenError::MissingExpiry),
                Some(exp) => numeric_date(&exp, f64::floor).ok_or(TokenError::InvalidExpiry)?,
            },
            not_before: match claims.nbf {
                None => None,
                Some(nbf) => Some(numeric_date(&nbf, f64::ceil).ok_or(TokenError::InvalidNotBefore)?),
            },
            issued_at: claims.iat.and_then(|iat| numeric_date(&iat, f64::floor)),
            claims: payload,
        };
        Ok(Self { jws, extra_headers: header.extra, facts })
    }

    pub fn into_facts(self) -> TokenFacts {
        self.facts
    }
}

/// A JOSE header, each parameter that matters named at most once.
#[derive(Default)]
pub(crate) struct Header {
    pub algorithm: Option<String>,
    pub key_id: Option<String>,
    pub typ: Option<String>,
    pub critical: bool,
    extra: bool,
}

impl Header {
    pub fn parse(json: &[u8]) -> Result<Self, TokenError> {
        let text = std::str::from_utf8(json).map_err(|_| TokenError::MalformedHeader)?;
        serde_json::from_str(text).map_err(|_| TokenError::MalformedHeader)
    }
}

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(HeaderVisitor)
    }
}

struct HeaderVisitor;

impl<'de> Visitor<'de> for HeaderVisitor {
    type Value = Header;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JOSE header")
    }

    /// RFC 7515 4: names are unique. One that is repeated is refused, because readers disagree on which one counts.
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Header, A::Error> {
        fn once<E: de::Error>(slot: &mut Option<String>, value: String) -> Result<(), E> {
            match slot.replace(value) {
                None => Ok(()),
                Some(_) => Err(E::custom("a header is named twice")),
            }
        }
        let mut header = Header::default();
        while let Some(name) = map.next_key::<Cow<'de, str>>()? {
            match &*name {
                "alg" => once(&mut header.algorithm, map.next_value()?)?,
                "kid" => once(&mut header.key_id, map.next_value()?)?,
                "typ" => once(&mut header.typ, map.next_value()?)?,
                other => {
                    header.critical |= other == "crit";
                    header.extra = true;
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(header)
    }
}

/// The claims with rules. They are read as values first, so that each can fail under its own name; deriving refuses
/// the ones that come twice.
#[derive(Deserialize)]
struct Claims {
    sub: Option<Value>,
    aud: Option<Value>,
    exp: Option<Value>,
    nbf: Option<Value>,
    iat: Option<Value>,
}

fn subject(claim: Option<Value>) -> Result<SpiffeId, TokenError> {
    match claim {
        None => Err(TokenError::MissingSubject),
        Some(Value::String(text)) if text.is_empty() => Err(TokenError::MissingSubject),
        Some(Value::String(text)) => SpiffeId::parse(&text).map_err(TokenError::InvalidSubject),
        Some(_) => Err(TokenError::MalformedSubject),
    }
}

pub(crate) fn audience(claim: Option<Value>) -> Result<Vec<String>, TokenError> {
    let values = match claim {
        None => Vec::new(),
        Some(Value::Array(values)) => values,
        Some(value) => vec![value],
    };
    if values.len() > AUDIENCES {
        return Err(TokenError::TooManyAudiences);
    }
    let audience = values
        .into_iter()
        .map(|value| match value {
            Value::String(text) => Ok(text),
            _ => Err(TokenError::MalformedAudience),
        })
        .collect::<Result<Vec<_>, _>>()?;
    // An empty name names no verifier.
    if audience.iter().all(String::is_empty) {
        return Err(TokenError::MissingAudience);
    }
    Ok(audience)
}

/// RFC 7519 2: seconds since 1970, perhaps with a fraction. The fraction goes to the side of the shorter validity.
fn numeric_date(claim: &Value, round: fn(f64) -> f64) -> Option<i64> {
    let Value::Number(number) = claim else {
        return None;
    };
    let seconds = match number.as_i64() {
        Some(seconds) => seconds,
        None if number.is_f64() => {
            let seconds = round(number.as_f64()?);
            if !(-LAST_MOMENT as f64..=LAST_MOMENT as f64).contains(&seconds) {
                return None;
            }
            seconds as i64
        }
        None => return None,
    };
    (-LAST_MOMENT..=LAST_MOMENT).contains(&seconds).then_some(seconds)
}
