//! Errors of the core as text for JavaScript.

use countersign::spiffe::workload_api::{EndpointError, WorkloadApiError};
use countersign::spiffe::{
    BundleError, JwtVerifyError, LeafError, SpiffeIdError, TokenError, X509SvidError, X509VerifyError,
};
use serde_json::{Value, json};

/// An error of some kind: which of ours it is, what it says, which rule it names, and further details.
pub fn text(code: &str, message: &dyn std::fmt::Display, details: Value) -> String {
    let mut error = details;
    error["code"] = json!(code);
    error["message"] = json!(message.to_string());
    format!("!{error}")
}

pub fn endpoint(error: &EndpointError) -> String {
    text("ERR_INVALID_ENDPOINT", error, rule(error.code(), None))
}

pub fn workload_api(error: &WorkloadApiError) -> String {
    format!("!{}", workload_api_value(error))
}

/// The same, to be put inside of something.
pub fn workload_api_value(error: &WorkloadApiError) -> Value {
    use WorkloadApiError as E;
    let invalid = |rule: &str| ("ERR_INVALID_RESPONSE", json!({ "rule": rule }));
    let (code, mut details) = match error {
        E::Connect { endpoint, source } => {
            let missing = source.kind() == std::io::ErrorKind::NotFound;
            let code = if missing { "ERR_SOCKET_NOT_FOUND" } else { "ERR_CONNECTION_FAILED" };
            (code, json!({ "endpoint": endpoint.to_string(), "errno": source.raw_os_error() }))
        }
        E::Transport(_) | E::Reset { .. } => ("ERR_CONNECTION_FAILED", json!({})),
        E::Timeout { after, stage } => {
            ("ERR_TIMEOUT", json!({ "timeout": after.as_secs_f64() * 1000.0, "stage": stage }))
        }
        E::Status(status) | E::NotGrpc(status) => {
            let code = if error.is_denial() { "ERR_NO_IDENTITY" } else { "ERR_WORKLOAD_API" };
            let (number, name) = (status.code as u8, status.code.name());
            (code, json!({ "grpcStatus": number, "grpcCode": name, "grpcMessage": status.message }))
        }
        E::TooLarge { .. } => ("ERR_RESPONSE_TOO_LARGE", json!({})),
        E::MissingField(field) => ("ERR_INVALID_RESPONSE", json!({ "rule": "missing_field", "field": field })),
        E::NothingUsable(ignored) => {
            let ignored = super::x509_context::ignored_value(ignored);
            ("ERR_INVALID_RESPONSE", json!({ "rule": "nothing_usable", "ignored": ignored }))
        }
        E::Empty(field) => ("ERR_INVALID_RESPONSE", json!({ "rule": "empty", "field": field })),
        E::Malformed(_) => invalid("malformed"),
        E::Ended => invalid("ended"),
        E::TooManySvids(_) => invalid("too_many_svids"),
        E::Argument(_) => ("ERR_INVALID_ARGUMENT", json!({})),
        E::Closed => ("ERR_CLOSED", json!({})),
        _ => ("ERR_WORKLOAD_API", json!({})),
    };
    details["code"] = json!(code);
    details["message"] = json!(error.to_string());
    details
}

/// A rule by its name and, where a SPIFFE ID broke it, the reason.
fn rule(rule: &str, id: Option<&SpiffeIdError>) -> Value {
    match id {
        Some(error) => json!({ "rule": rule, "reason": error.code() }),
        None => json!({ "rule": rule }),
    }
}

pub fn id(error: &SpiffeIdError) -> String {
    text("ERR_INVALID_SPIFFE_ID", error, json!({ "reason": error.code() }))
}

pub fn trust_domain(error: &SpiffeIdError) -> String {
    text("ERR_INVALID_TRUST_DOMAIN", error, json!({ "reason": error.code() }))
}

fn leaf_id(error: &LeafError) -> Option<&SpiffeIdError> {
    match error {
        LeafError::InvalidSpiffeId(error) => Some(error),
        _ => None,
    }
}

fn token_id(error: &TokenError) -> Option<&SpiffeIdError> {
    match error {
        TokenError::InvalidSubject(error) => Some(error),
        _ => None,
    }
}

pub fn svid(error: &X509SvidError) -> String {
    let mut details = match error {
        X509SvidError::Leaf(leaf) => rule(error.code(), leaf_id(leaf)),
        _ => rule(error.code(), None),
    };
    if let X509SvidError::Signing { index, .. } = error {
        details["index"] = json!(index);
    }
    text("ERR_INVALID_SVID", error, details)
}

pub fn bundle(error: &BundleError) -> String {
    let mut details = rule(error.code(), None);
    let mut inner = error;
    if let BundleError::InMap { trust_domain, error } = error {
        details["trustDomain"] = json!(trust_domain.name());
        inner = error;
    }
    match inner {
        BundleError::InvalidTrustDomain(error) => details["reason"] = json!(error.code()),
        BundleError::DuplicateTrustDomain(name) => details["trustDomain"] = json!(name.name()),
        BundleError::Certificate { index, .. } | BundleError::UnwritableKey { index } => {
            details["index"] = json!(index);
        }
        _ => {}
    }
    text("ERR_INVALID_BUNDLE", error, details)
}

pub fn token(error: &TokenError) -> String {
    text("ERR_INVALID_TOKEN", error, rule(error.code(), token_id(error)))
}

pub fn jwt(error: &JwtVerifyError) -> String {
    use JwtVerifyError as E;
    match error {
        // What the verifier says of itself is not the token's fault.
        E::NoExpectedAudience | E::TooManyExpectedAudiences | E::LeewayTooLong => {
            text("ERR_INVALID_ARGUMENT", error, rule(error.code(), None))
        }
        E::Token(inner) => token(inner),
        E::NoBundle(name)
        | E::AmbiguousKey(name)
        | E::UnknownKeyId(name)
        | E::MalformedBundle { trust_domain: name, .. } => {
            let mut details = rule(error.code(), None);
            details["trustDomain"] = json!(name.name());
            text("ERR_INVALID_TOKEN", error, details)
        }
        _ => text("ERR_INVALID_TOKEN", error, rule(error.code(), None)),
    }
}

pub fn chain(error: &X509VerifyError) -> String {
    use X509VerifyError as E;
    let details = match error {
        E::Leaf(leaf) => rule(error.code(), leaf_id(leaf)),
        E::NoBundle(name) | E::NoAuthorities(name) => {
            json!({ "rule": error.code(), "trustDomain": name.name() })
        }
        _ => rule(error.code(), None),
    };
    text("ERR_UNTRUSTED_SVID", error, details)
}
