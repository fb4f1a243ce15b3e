use std::time::{Duration, SystemTime};

use serde_json::{Map, Value};

use super::{OidcError, OidcKeys};
use crate::spiffe::{
    JwsAlgorithm, TokenError,
    clock::{LAST_MOMENT, unix_seconds},
    json::{self, EachMemberOnce},
    jws::CompactJws,
    limits::{AUDIENCES, LEEWAY_SECONDS},
    svid::{Header, audience},
};

/// Bytes of a token that is looked at.
pub const TOKEN_BYTES: usize = 8192;

/// How to verify a token.
#[derive(Debug, Clone)]
pub struct OidcVerifyOptions {
    /// Who must have issued it: `iss`, letter by letter.
    pub issuer: String,
    /// The names the verifier answers to: the token must be meant for one of them. At least one is needed.
    pub audience: Vec<String>,
    /// The algorithms that are taken: RS256 to RS512, ES256 and ES384 by default. Those of RFC 7518 that rest on a
    /// shared secret, and `none`, do not exist here.
    pub algorithms: Vec<JwsAlgorithm>,
    /// How much the clocks of issuer and verifier may differ: a minute by default, two at most.
    pub leeway: Duration,
    /// The moment to verify at; the present when `None`.
    pub now: Option<SystemTime>,
}

impl OidcVerifyOptions {
    /// The defaults, for tokens of this issuer and a verifier that answers to this one name.
    pub fn new(issuer: impl Into<String>, audience: impl Into<String>) -> Self {
        use JwsAlgorithm::{ES256, ES384, RS256, RS384, RS512};
        Self {
            issuer: issuer.into(),
            audience: vec![audience.into()],
            algorithms: vec![RS256, RS384, RS512, ES256, ES384],
            leeway: Duration::from_secs(60),
            now: None,
        }
    }
}

/// A token whose claims are the issuer's word.
#[derive(Clone)]
#[non_exhaustive]
pub struct OidcToken {
    /// The claims, as the JSON object in the token. Each member is named once, at every depth.
    pub claims: String,
    /// When it expires, in seconds since 1970.
    pub expiry: i64,
}

impl std::fmt::Debug for OidcToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OidcToken").field("expiry", &self.expiry).finish_non_exhaustive()
    }
}

/// Verifies a token: its form and algorithm, its signature by the key it names, and only then what it says of issuer,
/// audience and time (RFC 7519 7.2, RFC 8725 3). Keys and addresses of keys in the token are never looked at.
pub fn verify_oidc_token(token: &str, keys: &OidcKeys, options: &OidcVerifyOptions) -> Result<OidcToken, OidcError> {
    if options.issuer.is_empty() {
        return Err(OidcError::NoExpectedIssuer);
    }
    if options.audience.iter().all(String::is_empty) {
        return Err(OidcError::NoExpectedAudience);
    }
    if options.audience.len() > AUDIENCES {
        return Err(OidcError::TooManyExpectedAudiences);
    }
    if options.leeway > Duration::from_secs(LEEWAY_SECONDS) {
        return Err(OidcError::LeewayTooLong);
    }
    if token.len() > TOKEN_BYTES {
        return Err(OidcError::TooLong);
    }
    let jws = CompactJws::split(token).map_err(TokenError::from)?;
    check_signature(&jws, keys, options)?;
    let claims = String::from_utf8(jws.payload).map_err(|_| TokenError::MalformedClaims)?;
    json::object::<EachMemberOnce>(&claims).map_err(|_| TokenError::MalformedClaims)?;
    let expiry = check_claims(serde_json::from_str(&claims).map_err(|_| TokenError::MalformedClaims)?, options)?;
    Ok(OidcToken { claims, expiry })
}

fn check_signature(jws: &CompactJws<'_>, keys: &OidcKeys, options: &OidcVerifyOptions) -> Result<(), OidcError> {
    let header = Header::parse(&jws.header)?;
    let algorithm =
        header.algorithm.and_then(|name| JwsAlgorithm::from_name(&name)).ok_or(TokenError::UnsupportedAlgorithm)?;
    // RFC 7515 4.1.9: a media type, of which neither case nor `application/` matter.
    let known = |typ: &str| {
        let typ = typ.strip_prefix("application/").unwrap_or(typ);
        typ.eq_ignore_ascii_case("JWT") || typ.eq_ignore_ascii_case("at+jwt")
    };
    if !header.typ.as_deref().is_none_or(known) {
        return Err(OidcError::InvalidType);
    }
    if header.critical {
        return Err(TokenError::CriticalHeader.into());
    }
    if !options.algorithms.contains(&algorithm) {
        return Err(OidcError::AlgorithmNotAllowed);
    }
    let key_id = header.key_id.filter(|key_id| !key_id.is_empty()).ok_or(OidcError::MissingKeyId)?;
    let key = keys.get(&key_id).ok_or(OidcError::UnknownKeyId)?;
    if !key.suits(algorithm) {
        return Err(OidcError::AlgorithmMismatch);
    }
    if key.verify(algorithm, jws.signed, &jws.signature) { Ok(()) } else { Err(OidcError::InvalidSignature) }
}

/// The expiry of a token whose signature is right.
fn check_claims(mut claims: Map<String, Value>, options: &OidcVerifyOptions) -> Result<i64, OidcError> {
    match claims.get("iss") {
        Some(Value::String(issuer)) if *issuer == options.issuer => {}
        Some(Value::String(_)) => return Err(OidcError::IssuerMismatch),
        _ => return Err(OidcError::MissingIssuer),
    }
    let audience = audience(claims.remove("aud"))?;
    if !options.audience.iter().any(|name| !name.is_empty() && audience.contains(name)) {
        return Err(OidcError::AudienceMismatch);
    }
    let time =
        |name| claims.get(name).map(|claim| claim.as_i64().filter(|time| (-LAST_MOMENT..=LAST_MOMENT).contains(time)));
    let expiry = time("exp").ok_or(TokenError::MissingExpiry)?.ok_or(TokenError::InvalidExpiry)?;
    let not_before = time("nbf").map(|time| time.ok_or(TokenError::InvalidNotBefore)).transpose()?;
    let now = unix_seconds(options.now);
    let leeway = options.leeway.as_secs() as i64;
    if now > expiry + leeway {
        return Err(OidcError::Expired);
    }
    if not_before.is_some_and(|not_before| now.saturating_add(leeway) < not_before) {
        return Err(OidcError::NotYetValid);
    }
    Ok(expiry)
}
