use std::{fmt, sync::Arc, time::SystemTime};

use zeroize::Zeroizing;

use super::token::{HeaderRules, Token, TokenError};
use crate::spiffe::{JwsAlgorithm, SpiffeId, clock};

/// A token that names a workload (JWT-SVID). Cheap to clone; wiped when the last clone is dropped.
#[derive(Clone)]
pub struct JwtSvid {
    inner: Arc<Inner>,
    hint: Option<Arc<str>>,
}

struct Inner {
    token: Zeroizing<String>,
    facts: Arc<TokenFacts>,
    received_at: i64,
}

/// What a token says. It can be kept without keeping the token.
#[derive(Debug)]
pub(crate) struct TokenFacts {
    pub claims: String,
    pub algorithm: JwsAlgorithm,
    pub key_id: Option<String>,
    pub subject: SpiffeId,
    pub audience: Vec<String>,
    pub expiry: i64,
    pub not_before: Option<i64>,
    pub issued_at: Option<i64>,
}

impl JwtSvid {
    /// Reads a token without looking at its signature or at the clock. Nothing it says is proven.
    ///
    /// Every other rule is kept: form, algorithm, headers, and the presence and form of the claims.
    pub fn parse_insecure(token: &str) -> Result<Self, TokenError> {
        Ok(Self::of(Token::parse(token, HeaderRules::Strict)?, token))
    }

    /// A token as the Workload API hands it out for this workload's own use: trusted by construction, and not this
    /// workload's to verify strictly, so further headers are accepted.
    pub fn from_workload_api(token: &str, hint: Option<&str>) -> Result<Self, TokenError> {
        let parsed = Token::parse(token, HeaderRules::ExtraAllowed)?;
        Ok(Self::of(parsed, token).with_hint(hint))
    }

    /// The SVID a token makes. Whether anything it says is proven is for the caller to know.
    pub(crate) fn of(parsed: Token<'_>, token: &str) -> Self {
        Self::from_facts(Arc::new(parsed.into_facts()), token)
    }

    /// The same for a token that was read before.
    pub(crate) fn from_facts(facts: Arc<TokenFacts>, token: &str) -> Self {
        let received_at = clock::unix_seconds(None);
        Self { inner: Arc::new(Inner { token: Zeroizing::new(token.to_owned()), facts, received_at }), hint: None }
    }

    /// The same SVID with the label an operator gave it (Workload API 6.2.1).
    pub fn with_hint(mut self, hint: Option<&str>) -> Self {
        self.hint = hint.filter(|hint| !hint.is_empty()).map(Arc::from);
        self
    }

    /// The label an operator gave it.
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// The token itself. Treat it as the secret it is.
    pub fn token(&self) -> &str {
        &self.inner.token
    }

    /// The name of the workload: the `sub` claim.
    pub fn spiffe_id(&self) -> &SpiffeId {
        &self.inner.facts.subject
    }

    /// Whom the token is meant for.
    pub fn audience(&self) -> &[String] {
        &self.inner.facts.audience
    }

    /// When it expires.
    pub fn expires_at(&self) -> SystemTime {
        clock::system_time(self.inner.facts.expiry)
    }

    /// When it expires, in seconds since 1970.
    pub fn expiry(&self) -> i64 {
        self.inner.facts.expiry
    }

    /// When it was issued, in seconds since 1970. The standard does not ask for it.
    pub fn issued_at(&self) -> Option<i64> {
        self.inner.facts.issued_at
    }

    /// Whether the expiry has come. No leeway.
    pub fn is_expired(&self, now: Option<SystemTime>) -> bool {
        clock::unix_seconds(now) >= self.inner.facts.expiry
    }

    /// When half of the lifetime is over, in seconds since 1970: the moment a live source should hold a fresh one. A
    /// token that does not say when it was issued is as old as this value.
    pub fn rotation_due(&self) -> i64 {
        let TokenFacts { expiry, issued_at, .. } = *self.inner.facts;
        let start = issued_at.unwrap_or(self.inner.received_at).min(expiry);
        start + (expiry - start) / 2
    }

    /// Whether half of the lifetime is over.
    pub fn needs_rotation(&self, now: Option<SystemTime>) -> bool {
        clock::unix_seconds(now) >= self.rotation_due()
    }

    /// All claims, as the JSON object in the token.
    pub fn claims_json(&self) -> &str {
        &self.inner.facts.claims
    }

    /// The algorithm it is signed with.
    pub fn algorithm(&self) -> JwsAlgorithm {
        self.inner.facts.algorithm
    }

    /// The ID of the key it claims to be signed with.
    pub fn key_id(&self) -> Option<&str> {
        self.inner.facts.key_id.as_deref()
    }
}

impl PartialEq for JwtSvid {
    fn eq(&self, other: &Self) -> bool {
        let (ours, theirs) = (self.token().as_bytes(), other.token().as_bytes());
        aws_lc_rs::constant_time::verify_slices_are_equal(ours, theirs).is_ok() && self.hint == other.hint
    }
}

impl Eq for JwtSvid {}

impl fmt::Debug for JwtSvid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtSvid")
            .field("spiffe_id", &self.inner.facts.subject.as_str())
            .field("audience", &self.inner.facts.audience)
            .field("expiry", &self.inner.facts.expiry)
            .field("hint", &self.hint())
            .finish_non_exhaustive()
    }
}
