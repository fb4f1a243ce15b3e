use super::TOKEN_BYTES;
use crate::spiffe::{
    TokenError,
    limits::{AUDIENCES, LEEWAY_SECONDS},
};

/// Why a token proves nothing to this verifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OidcError {
    /// The verifier does not say whose tokens it believes.
    #[error("the verifier names no issuer")]
    NoExpectedIssuer,
    /// The verifier does not say whom it is: with no audience, every token would do.
    #[error("the verifier names no audience of its own")]
    NoExpectedAudience,
    /// The verifier answers to more names than are looked at.
    #[error("the verifier names more than {AUDIENCES} audiences")]
    TooManyExpectedAudiences,
    /// The verifier forgives more than two minutes.
    #[error("a leeway of more than {LEEWAY_SECONDS} seconds")]
    LeewayTooLong,
    /// Longer than is looked at.
    #[error("the token is longer than {TOKEN_BYTES} bytes")]
    TooLong,
    /// The token breaks a rule of its form.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// `typ` is that of a token for something else (RFC 8725 3.11).
    #[error("the typ of the token is neither JWT nor at+jwt")]
    InvalidType,
    /// The algorithm is none that this verifier takes.
    #[error("the verifier takes no token of this algorithm")]
    AlgorithmNotAllowed,
    /// The token names no key.
    #[error("the token names no key")]
    MissingKeyId,
    /// The key the token names is none of the provider's.
    #[error("the token names a key that the provider does not publish")]
    UnknownKeyId,
    /// The key is of a type, on a curve, or meant for an algorithm that does not suit the token's.
    #[error("the algorithm of the token does not suit the key it names")]
    AlgorithmMismatch,
    /// The signature is not that key's.
    #[error("the signature of the token is wrong")]
    InvalidSignature,
    /// No `iss`, or it is not text.
    #[error("the token does not say who issued it")]
    MissingIssuer,
    /// The token has another issuer.
    #[error("the token was issued by somebody else")]
    IssuerMismatch,
    /// The token is meant for others.
    #[error("the token is not meant for this verifier")]
    AudienceMismatch,
    /// The expiry has come.
    #[error("the token has expired")]
    Expired,
    /// The token is for later.
    #[error("the token is not valid yet")]
    NotYetValid,
}

impl OidcError {
    /// The stable name of the rule.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoExpectedIssuer => "no_expected_issuer",
            Self::NoExpectedAudience => "no_expected_audience",
            Self::TooManyExpectedAudiences => "too_many_expected_audiences",
            Self::LeewayTooLong => "leeway_too_long",
            Self::TooLong => "token_too_long",
            Self::Token(error) => error.code(),
            Self::InvalidType => "invalid_type",
            Self::AlgorithmNotAllowed => "algorithm_not_allowed",
            Self::MissingKeyId => "missing_key_id",
            Self::UnknownKeyId => "unknown_key_id",
            Self::AlgorithmMismatch => "algorithm_mismatch",
            Self::InvalidSignature => "invalid_signature",
            Self::MissingIssuer => "missing_issuer",
            Self::IssuerMismatch => "issuer_mismatch",
            Self::AudienceMismatch => "audience_mismatch",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
        }
    }
}
