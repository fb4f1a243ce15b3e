use std::fmt;

/// The rule a text breaks that claims to be a SPIFFE ID or a trust domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// There is nothing (SPIFFE-ID 2).
    Empty,
    /// More than 2048 bytes (SPIFFE-ID 2.3).
    TooLong,
    /// The scheme is not `spiffe://` (SPIFFE-ID 2).
    WrongScheme,
    /// Nothing between the scheme and the path (SPIFFE-ID 2.1).
    MissingTrustDomain,
    /// A character other than letters, digits, dot, dash and underscore, which is also what a port, user info, a query
    /// or percent-encoding shows as (SPIFFE-ID 2.1).
    BadTrustDomainChar,
    /// More than 255 bytes (SPIFFE-ID 2.3).
    TrustDomainTooLong,
    /// A path, or a part of one, that does not start with a slash (SPIFFE-ID 2.2).
    MissingLeadingSlash,
    /// Two slashes without a name between them, or an empty segment (SPIFFE-ID 2.2).
    EmptySegment,
    /// A segment that is `.` or `..` (SPIFFE-ID 2.2).
    DotSegment,
    /// A slash at the end (SPIFFE-ID 2.2).
    TrailingSlash,
    /// A character other than letters, digits, dot, dash and underscore in a segment (SPIFFE-ID 2.2).
    BadPathSegmentChar,
}

impl Reason {
    /// The stable name, such as `dot_segment`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::TooLong => "too_long",
            Self::WrongScheme => "wrong_scheme",
            Self::MissingTrustDomain => "missing_trust_domain",
            Self::BadTrustDomainChar => "bad_trust_domain_char",
            Self::TrustDomainTooLong => "trust_domain_too_long",
            Self::MissingLeadingSlash => "missing_leading_slash",
            Self::EmptySegment => "empty_segment",
            Self::DotSegment => "dot_segment",
            Self::TrailingSlash => "trailing_slash",
            Self::BadPathSegmentChar => "bad_path_segment_char",
        }
    }

    /// The rule in words.
    pub const fn explanation(self) -> &'static str {
        match self {
            Self::Empty => "it is empty",
            Self::TooLong => "it is longer than 2048 bytes",
            Self::WrongScheme => "the scheme is not spiffe://",
            Self::MissingTrustDomain => "the trust domain is missing",
            Self::BadTrustDomainChar => {
                "a trust domain holds only letters, digits, dots, dashes and underscores \
                 (no port, no user, no query, no percent-encoding)"
            }
            Self::TrustDomainTooLong => "the trust domain is longer than 255 bytes",
            Self::MissingLeadingSlash => "a path starts with a slash",
            Self::EmptySegment => "a path has no empty segments",
            Self::DotSegment => "a path has no . or .. segments",
            Self::TrailingSlash => "a path does not end with a slash",
            Self::BadPathSegmentChar => {
                "a path segment holds only letters, digits, dots, dashes and underscores \
                 (no query, no fragment, no percent-encoding)"
            }
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that is not a SPIFFE ID, or not a trust domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a valid SPIFFE ID or trust domain: {}", .reason.explanation())]
pub struct SpiffeIdError {
    /// The rule that is broken.
    pub reason: Reason,
}

impl SpiffeIdError {
    /// The stable name of the rule, such as `dot_segment`.
    pub const fn code(&self) -> &'static str {
        self.reason.as_str()
    }
}

impl From<Reason> for SpiffeIdError {
    fn from(reason: Reason) -> Self {
        Self { reason }
    }
}
