use std::fmt;

/// The rule that is broken, with a stable name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum IdentityReason {
    /// There is nothing.
    Empty,
    /// More than 2048 bytes.
    TooLong,
    /// It does not start with `spiffe://`, in lower case.
    WrongScheme,
    /// A `?` or a `#`.
    QueryOrFragment,
    /// An `@` in the trust domain.
    UserInfo,
    /// A `:` in the trust domain.
    Port,
    /// Nothing between the scheme and the path.
    MissingTrustDomain,
    /// A trust domain of more than 255 bytes.
    TrustDomainTooLong,
    /// A trust domain that does not start with a letter or a digit.
    BadFirstChar,
    /// A character other than lower-case letters, digits, dot and dash in the trust domain.
    BadTrustDomainChar,
    /// A segment without a character: two slashes in a row, or one at the end.
    EmptySegment,
    /// A segment that is `.` or `..`.
    DotSegment,
    /// A character that a segment may not hold.
    BadPathSegmentChar,
    /// The path is not a service and a tenant.
    WrongPathShape,
    /// The name lives in another trust domain than it must.
    TrustDomainMismatch,
    /// A label that is the name of a built-in issuer.
    ReservedLabel,
    /// A label that is empty, or longer than 32 bytes.
    LabelLength,
    /// A label with a character other than lower-case letters, digits and underscore.
    BadLabelChar,
}

impl IdentityReason {
    /// The stable name, such as `dot_segment`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::TooLong => "too_long",
            Self::WrongScheme => "wrong_scheme",
            Self::QueryOrFragment => "query_or_fragment",
            Self::UserInfo => "user_info",
            Self::Port => "port",
            Self::MissingTrustDomain => "missing_trust_domain",
            Self::TrustDomainTooLong => "trust_domain_too_long",
            Self::BadFirstChar => "bad_first_char",
            Self::BadTrustDomainChar => "bad_trust_domain_char",
            Self::EmptySegment => "empty_segment",
            Self::DotSegment => "dot_segment",
            Self::BadPathSegmentChar => "bad_path_segment_char",
            Self::WrongPathShape => "wrong_path_shape",
            Self::TrustDomainMismatch => "trust_domain_mismatch",
            Self::ReservedLabel => "reserved_label",
            Self::LabelLength => "label_length",
            Self::BadLabelChar => "bad_label_char",
        }
    }

    /// The rule in words.
    pub const fn explanation(self) -> &'static str {
        match self {
            Self::Empty => "it is empty",
            Self::TooLong => "it is longer than 2048 bytes",
            Self::WrongScheme => "it does not start with spiffe://",
            Self::QueryOrFragment => "it has a query or a fragment",
            Self::UserInfo => "its trust domain has user info",
            Self::Port => "its trust domain has a port",
            Self::MissingTrustDomain => "the trust domain is missing",
            Self::TrustDomainTooLong => "the trust domain is longer than 255 bytes",
            Self::BadFirstChar => "a trust domain starts with a letter or a digit",
            Self::BadTrustDomainChar => "a trust domain holds only lower-case letters, digits, dots and dashes",
            Self::EmptySegment => "a segment is not empty, and a path does not end with a slash",
            Self::DotSegment => "a segment is not . or ..",
            Self::BadPathSegmentChar => {
                "a segment holds only letters, digits, dots, dashes and underscores (and tildes, \
                 where SPIFFE's rules are not asked for)"
            }
            Self::WrongPathShape => "its path is not a service and a tenant",
            Self::TrustDomainMismatch => "it lives in another trust domain",
            Self::ReservedLabel => "it is the name of a built-in issuer",
            Self::LabelLength => "it is empty, or longer than 32 bytes",
            Self::BadLabelChar => "a label holds only lower-case letters, digits and underscores",
        }
    }
}

impl fmt::Display for IdentityReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.explanation())
    }
}

/// Why a text is no name, or there is no authenticated principal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// Not the ID of a workload.
    #[error("invalid SPIFFE identifier: {0}")]
    InvalidSpiffeId(IdentityReason),
    /// Not a trust domain.
    #[error("invalid trust domain: {0}")]
    InvalidTrustDomain(IdentityReason),
    /// A part of a name cannot be one.
    #[error("invalid workload identifier component: {component}: {reason}")]
    InvalidComponent {
        /// Which part: `service`, `tenant_slug`, `path segment`, `label`.
        component: &'static str,
        /// The rule.
        reason: IdentityReason,
    },
    /// There is no principal.
    #[error("no authenticated identity available")]
    NotAuthenticated,
}

impl IdentityError {
    /// The rule that is broken; none when there is no principal.
    pub const fn reason(&self) -> Option<IdentityReason> {
        match self {
            Self::InvalidSpiffeId(reason)
            | Self::InvalidTrustDomain(reason)
            | Self::InvalidComponent { reason, .. } => Some(*reason),
            Self::NotAuthenticated => None,
        }
    }

    pub(super) const fn component(component: &'static str, reason: IdentityReason) -> Self {
        Self::InvalidComponent { component, reason }
    }
}
