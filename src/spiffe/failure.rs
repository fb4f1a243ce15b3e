//! The errors of SPIFFE as failures: which code, and which details.

use countersign::spiffe::workload_api::{EndpointError, WorkloadApiError};
use countersign::spiffe::{
    BundleError, JwtVerifyError, LeafError, SpiffeIdError, TokenError, X509SvidError, X509VerifyError,
};

use crate::host::failure::Failure;

impl From<EndpointError> for Failure {
    fn from(error: EndpointError) -> Failure {
        by_rule("ERR_INVALID_ENDPOINT", &error, error.code(), None)
    }
}

impl From<&WorkloadApiError> for Failure {
    fn from(error: &WorkloadApiError) -> Failure {
        use WorkloadApiError as E;
        let new = |code: &str| Failure::new(code, error);
        let invalid = |rule: &str| new("ERR_INVALID_RESPONSE").with("rule", rule);
        match error {
            E::Connect { endpoint, source } => {
                let missing = source.kind() == std::io::ErrorKind::NotFound;
                new(if missing { "ERR_SOCKET_NOT_FOUND" } else { "ERR_CONNECTION_FAILED" })
                    .with("endpoint", endpoint.to_string())
                    .with("errno", source.raw_os_error())
            }
            E::Transport(_) | E::Reset { .. } => new("ERR_CONNECTION_FAILED"),
            E::Timeout { after, stage } => {
                new("ERR_TIMEOUT").with("timeout", after.as_secs_f64() * 1000.0).with("stage", *stage)
            }
            E::Status(status) | E::NotGrpc(status) => {
                new(if error.is_denial() { "ERR_NO_IDENTITY" } else { "ERR_WORKLOAD_API" })
                    .with("grpcStatus", status.code as u8)
                    .with("grpcCode", status.code.name())
                    .with("grpcMessage", status.message.as_str())
            }
            E::TooLarge { .. } => new("ERR_RESPONSE_TOO_LARGE"),
            E::MissingField(field) => invalid("missing_field").with("field", field.as_str()),
            E::NothingUsable(ignored) => {
                invalid("nothing_usable").with("ignored", super::x509_context::ignored_value(ignored))
            }
            E::Empty(field) => invalid("empty").with("field", *field),
            E::Malformed(_) => invalid("malformed"),
            E::Ended => invalid("ended"),
            E::TooManySvids(_) => invalid("too_many_svids"),
            E::Argument(_) => new("ERR_INVALID_ARGUMENT"),
            E::Closed => new("ERR_CLOSED"),
            _ => new("ERR_WORKLOAD_API"),
        }
    }
}

/// A failure that names a rule and, where a SPIFFE ID broke it, the reason.
fn by_rule(code: &str, error: &dyn std::fmt::Display, rule: &str, id: Option<&SpiffeIdError>) -> Failure {
    let failure = Failure::new(code, error).with("rule", rule);
    match id {
        Some(id) => failure.with("reason", id.code()),
        None => failure,
    }
}

pub fn id(error: SpiffeIdError) -> Failure {
    Failure::new("ERR_INVALID_SPIFFE_ID", &error).with("reason", error.code())
}

pub fn trust_domain(error: SpiffeIdError) -> Failure {
    Failure::new("ERR_INVALID_TRUST_DOMAIN", &error).with("reason", error.code())
}

fn leaf_id(error: &LeafError) -> Option<&SpiffeIdError> {
    match error {
        LeafError::InvalidSpiffeId(error) => Some(error),
        _ => None,
    }
}

impl From<X509SvidError> for Failure {
    fn from(error: X509SvidError) -> Failure {
        let id = match &error {
            X509SvidError::Leaf(leaf) => leaf_id(leaf),
            _ => None,
        };
        let failure = by_rule("ERR_INVALID_SVID", &error, error.code(), id);
        match &error {
            X509SvidError::Signing { index, .. } => failure.with("index", *index),
            _ => failure,
        }
    }
}

impl From<BundleError> for Failure {
    fn from(error: BundleError) -> Failure {
        let mut failure = by_rule("ERR_INVALID_BUNDLE", &error, error.code(), None);
        let mut inner = &error;
        if let BundleError::InMap { trust_domain, error } = &error {
            failure = failure.with("trustDomain", trust_domain.name());
            inner = error;
        }
        match inner {
            BundleError::InvalidTrustDomain(error) => failure.with("reason", error.code()),
            BundleError::DuplicateTrustDomain(name) => failure.with("trustDomain", name.name()),
            BundleError::Certificate { index, .. } | BundleError::UnwritableKey { index } => {
                failure.with("index", *index)
            }
            _ => failure,
        }
    }
}

impl From<TokenError> for Failure {
    fn from(error: TokenError) -> Failure {
        let id = match &error {
            TokenError::InvalidSubject(error) => Some(error),
            _ => None,
        };
        by_rule("ERR_INVALID_TOKEN", &error, error.code(), id)
    }
}

impl From<JwtVerifyError> for Failure {
    fn from(error: JwtVerifyError) -> Failure {
        use JwtVerifyError as E;
        match error {
            // A wrong option of the verifier is not the token's fault.
            E::NoExpectedAudience | E::TooManyExpectedAudiences | E::LeewayTooLong => {
                by_rule("ERR_INVALID_ARGUMENT", &error, error.code(), None)
            }
            E::Token(inner) => inner.into(),
            E::NoBundle(ref name)
            | E::AmbiguousKey(ref name)
            | E::UnknownKeyId(ref name)
            | E::MalformedBundle { trust_domain: ref name, .. } => {
                by_rule("ERR_INVALID_TOKEN", &error, error.code(), None).with("trustDomain", name.name())
            }
            _ => by_rule("ERR_INVALID_TOKEN", &error, error.code(), None),
        }
    }
}

impl From<X509VerifyError> for Failure {
    fn from(error: X509VerifyError) -> Failure {
        use X509VerifyError as E;
        let id = match &error {
            E::Leaf(leaf) => leaf_id(leaf),
            _ => None,
        };
        let failure = by_rule("ERR_UNTRUSTED_SVID", &error, error.code(), id);
        match &error {
            E::NoBundle(name) | E::NoAuthorities(name) => failure.with("trustDomain", name.name()),
            _ => failure,
        }
    }
}
