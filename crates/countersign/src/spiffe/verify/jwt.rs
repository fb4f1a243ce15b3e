use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::source::JwtBundleSource;
use super::verified::{VerifiedToken, token_digest};
use crate::spiffe::{
    BundleError, JwtAuthority, JwtBundle, JwtSvid, TokenError, TrustDomain, clock,
    limits::{AUDIENCES, LEEWAY_SECONDS},
    svid::{HeaderRules, Token, TokenFacts},
};

/// How to verify a token.
#[derive(Debug, Clone)]
pub struct JwtVerifyOptions {
    /// The names the verifier answers to: the token must be meant for one of them. At least one is needed.
    pub audience: Vec<String>,
    /// How much the clocks of issuer and verifier may differ: 5 seconds by default, 2 minutes at most.
    pub leeway: Duration,
    /// The moment to verify at; the present when `None`.
    pub now: Option<SystemTime>,
    /// Refuse tokens without a key ID. By default one is accepted when the trust domain has exactly one authority that
    /// suits the token's algorithm (JWT-SVID 2.2: the key ID is optional).
    pub require_kid: bool,
    /// Accept headers beyond `alg`, `kid` and `typ`, which JWT-SVID 2 forbids. Critical ones are refused all the same.
    pub allow_extra_headers: bool,
}

impl JwtVerifyOptions {
    /// The defaults, for a verifier that answers to this one name.
    pub fn new(audience: impl Into<String>) -> Self {
        Self { audience: vec![audience.into()], ..Self::default() }
    }
}

impl Default for JwtVerifyOptions {
    fn default() -> Self {
        Self {
            audience: Vec::new(),
            leeway: Duration::from_secs(5),
            now: None,
            require_kid: false,
            allow_extra_headers: false,
        }
    }
}

/// Why a token does not prove a name to this verifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JwtVerifyError {
    /// The verifier names no audience: every token would be accepted.
    #[error("the verifier names no audience of its own")]
    NoExpectedAudience,
    /// The verifier answers to more names than are looked at.
    #[error("the verifier names more than {AUDIENCES} audiences")]
    TooManyExpectedAudiences,
    /// The verifier allows more than two minutes.
    #[error("a leeway of more than {LEEWAY_SECONDS} seconds")]
    LeewayTooLong,
    /// The token breaks a rule of its form.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The token is meant for others (JWT-SVID 3.2).
    #[error("the token is not meant for this verifier")]
    AudienceMismatch,
    /// The expiry has come (JWT-SVID 3.3).
    #[error("the token has expired")]
    Expired,
    /// The token is for later (RFC 7519 4.1.5).
    #[error("the token is not valid yet")]
    NotYetValid,
    /// There is no JWT bundle for the trust domain of the subject.
    #[error("there is no JWT bundle for the trust domain {0}")]
    NoBundle(TrustDomain),
    /// There is one, and it cannot be read.
    #[error("the JWT bundle of {trust_domain}: {error}")]
    MalformedBundle {
        /// The trust domain whose bundle it is.
        trust_domain: TrustDomain,
        /// What is wrong with it.
        #[source]
        error: BundleError,
    },
    /// The token names no key, and the verifier wants one.
    #[error("the token names no key")]
    MissingKeyId,
    /// The token names no key, and there is not exactly one that suits.
    #[error("the token names no key, and the bundle of {0} does not hold exactly one that suits its algorithm")]
    AmbiguousKey(TrustDomain),
    /// The key the token names is none of the trust domain's.
    #[error("the token names a key that the bundle of {0} does not hold")]
    UnknownKeyId(TrustDomain),
    /// The key is of a type, on a curve, or meant for an algorithm that does not suit the token's (RFC 7518 3.3, 3.4).
    #[error("the algorithm of the token does not suit the key it names")]
    AlgorithmMismatch,
    /// The signature is not that key's.
    #[error("the signature of the token is wrong")]
    InvalidSignature,
}

impl JwtVerifyError {
    /// The stable name of the rule.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoExpectedAudience => "no_expected_audience",
            Self::TooManyExpectedAudiences => "too_many_expected_audiences",
            Self::LeewayTooLong => "leeway_too_long",
            Self::Token(error) => error.code(),
            Self::AudienceMismatch => "audience_mismatch",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::NoBundle(_) => "no_bundle",
            Self::MalformedBundle { .. } => "malformed_bundle",
            Self::MissingKeyId => "missing_key_id",
            Self::AmbiguousKey(_) => "ambiguous_key",
            Self::UnknownKeyId(_) => "unknown_key_id",
            Self::AlgorithmMismatch => "algorithm_mismatch",
            Self::InvalidSignature => "invalid_signature",
        }
    }
}

/// Verifies a token: its form, its audience, its time, and its signature by an authority of its subject's own
/// trust domain (JWT-SVID 4). Only a checked signature makes an SVID; with a [`BundleSet`], one that was
/// checked by the same bundle before counts, and everything else is checked anew.
pub fn verify_jwt_svid(
    token: &str,
    bundles: &dyn JwtBundleSource,
    options: &JwtVerifyOptions,
) -> Result<JwtSvid, JwtVerifyError> {
    if options.audience.iter().all(String::is_empty) {
        return Err(JwtVerifyError::NoExpectedAudience);
    }
    if options.audience.len() > AUDIENCES {
        return Err(JwtVerifyError::TooManyExpectedAudiences);
    }
    if options.leeway > Duration::from_secs(LEEWAY_SECONDS) {
        return Err(JwtVerifyError::LeewayTooLong);
    }
    let memory = bundles.verified_tokens().map(|memory| (memory, token_digest(token)));
    if let Some((memory, key)) = &memory
        && let Some(VerifiedToken { facts, bundle_revision, extra_headers }) = memory.get(key)
        && (options.allow_extra_headers || !extra_headers)
        && (!options.require_kid || facts.key_id.is_some())
        && bundles.jwt_bundle(&facts.subject.trust_domain()).is_some_and(|one| one.revision() == bundle_revision)
    {
        check_claims(&facts, options)?;
        return Ok(JwtSvid::from_facts(facts, token));
    }

    let rules = if options.allow_extra_headers { HeaderRules::ExtraAllowed } else { HeaderRules::Strict };
    let parsed = Token::parse(token, rules)?;
    check_claims(&parsed.facts, options)?;
    let trust_domain = parsed.facts.subject.trust_domain();
    let bundle = bundles.jwt_bundle(&trust_domain).ok_or_else(|| JwtVerifyError::NoBundle(trust_domain.clone()))?;
    if let Err(error) = bundle.check() {
        return Err(JwtVerifyError::MalformedBundle { trust_domain, error });
    }
    let authority = authority(&bundle, &parsed.facts, options.require_kid)?;
    if !authority.verify(parsed.facts.algorithm, parsed.jws.signed, &parsed.jws.signature) {
        return Err(JwtVerifyError::InvalidSignature);
    }
    let (bundle_revision, extra_headers) = (bundle.revision(), parsed.extra_headers);
    let facts = Arc::new(parsed.into_facts());
    if let Some((memory, key)) = memory {
        memory.put(key, VerifiedToken { facts: Arc::clone(&facts), bundle_revision, extra_headers });
    }
    Ok(JwtSvid::from_facts(facts, token))
}

/// The audience of the token, and its times.
fn check_claims(token: &TokenFacts, options: &JwtVerifyOptions) -> Result<(), JwtVerifyError> {
    let meant = |name: &String| !name.is_empty() && token.audience.contains(name);
    if !options.audience.iter().any(meant) {
        return Err(JwtVerifyError::AudienceMismatch);
    }
    let now = clock::unix_seconds(options.now);
    let leeway = options.leeway.as_secs() as i64;
    // RFC 7519 4.1.4: the present must be before the expiry. 4.1.5: and not before nbf.
    if now >= token.expiry + leeway {
        return Err(JwtVerifyError::Expired);
    }
    if token.not_before.is_some_and(|not_before| now.saturating_add(leeway) < not_before) {
        return Err(JwtVerifyError::NotYetValid);
    }
    Ok(())
}

/// The key the token names. Without a name, the only key that could have made the signature: with several, a verifier
/// that tries them all would make the key ID meaningless.
fn authority<'b>(
    bundle: &'b JwtBundle,
    token: &TokenFacts,
    require_kid: bool,
) -> Result<&'b JwtAuthority, JwtVerifyError> {
    let Some(key_id) = &token.key_id else {
        if require_kid {
            return Err(JwtVerifyError::MissingKeyId);
        }
        let mut suitable = bundle.authorities().filter(|one| one.suits(token.algorithm));
        return match (suitable.next(), suitable.next()) {
            (Some(only), None) => Ok(only),
            _ => Err(JwtVerifyError::AmbiguousKey(bundle.trust_domain().clone())),
        };
    };
    let authority =
        bundle.authority(key_id).ok_or_else(|| JwtVerifyError::UnknownKeyId(bundle.trust_domain().clone()))?;
    if !authority.suits(token.algorithm) {
        return Err(JwtVerifyError::AlgorithmMismatch);
    }
    Ok(authority)
}
