//! Principals for JavaScript: the rules of names, IDs and documents, and the judge of OIDC tokens.
//!
//! As in the room of SPIFFE, a text that starts with `!` is an error.

use countersign::principal::{
    IdentityError, Issuer, Principal, PrincipalError, Rules, TrustDomain, Uuid, WorkloadId,
    oidc::{self, OidcError, OidcVerifyOptions, verify_oidc_token},
};
use countersign::spiffe::{JwsAlgorithm, LeafFacts, X509VerifyError};
use napi::bindgen_prelude::{Either, Uint8ArraySlice};
use napi_derive::napi;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::large_integers;
use crate::spiffe::{failure, jwt_bundle::remarks, moment, x509_svid::leaf_text};

fn identity_failure(error: &IdentityError, message: &dyn std::fmt::Display) -> String {
    let reason = error.reason().map(|reason| reason.as_str());
    match error {
        IdentityError::InvalidSpiffeId(_) => {
            failure::text("ERR_INVALID_SPIFFE_ID", message, json!({ "reason": reason }))
        }
        IdentityError::InvalidTrustDomain(_) => {
            failure::text("ERR_INVALID_TRUST_DOMAIN", message, json!({ "reason": reason }))
        }
        IdentityError::InvalidComponent { component, .. } => {
            failure::text("ERR_INVALID_COMPONENT", message, json!({ "component": component, "reason": reason }))
        }
        _ => failure::text("ERR_NOT_AUTHENTICATED", message, json!({})),
    }
}

fn written<T: ToString>(result: Result<T, IdentityError>) -> String {
    match result {
        Ok(value) => value.to_string(),
        Err(error) => identity_failure(&error, &error),
    }
}

fn rules(strict: bool) -> Rules {
    if strict { Rules::Strict } else { Rules::Axess }
}

/// The JSON of a principal as it is written, a new line, and its integers beyond 2^53: `[[path, digits], ...]`, or
/// nothing when there are none.
#[napi]
pub fn principal(text: String, strict: bool) -> String {
    let principal = match Principal::from_json_by(&text, rules(strict)) {
        Ok(principal) => principal,
        Err(error) => return principal_failure(&error),
    };
    let mut answer = principal.to_json();
    answer.push('\n');
    let mut large = Vec::new();
    for (name, value) in principal.attributes() {
        large_integers::find(value, &mut vec![name.as_str().into()], &mut large);
    }
    if !large.is_empty() {
        answer.push_str(&Value::Array(large).to_string());
    }
    answer
}

fn principal_failure(error: &PrincipalError) -> String {
    match error {
        PrincipalError::Identity(inner) => identity_failure(inner, error),
        PrincipalError::Id(inner) => {
            failure::text("ERR_INVALID_ID", error, json!({ "kind": inner.kind(), "reason": inner.code() }))
        }
        PrincipalError::MissingMember(member) | PrincipalError::WrongType(member) => {
            failure::text("ERR_INVALID_PRINCIPAL", error, json!({ "rule": error.code(), "member": member }))
        }
        _ => failure::text("ERR_INVALID_PRINCIPAL", error, json!({ "rule": error.code() })),
    }
}

/// A UUID in its canonical form; nothing when the text is none.
#[napi]
pub fn uuid(text: String) -> Option<String> {
    Uuid::parse_str(&text).ok().map(|uuid| uuid.to_string())
}

/// The ID of a workload, or an error.
#[napi]
pub fn workload_id(text: String, strict: bool) -> String {
    written(WorkloadId::parse_by(&text, rules(strict)))
}

/// The ID of a service of a tenant, or an error.
#[napi]
pub fn workload_id_of(trust_domain: String, service: String, tenant_slug: String) -> String {
    written(TrustDomain::parse(&trust_domain).and_then(|domain| WorkloadId::build(&domain, &service, &tenant_slug)))
}

/// The name of a trust domain by the rules of principals, or an error.
#[napi]
pub fn principal_trust_domain(text: String) -> String {
    written(TrustDomain::parse(&text))
}

/// The label of an issuer, or an error.
#[napi]
pub fn issuer_label(label: String) -> String {
    written(Issuer::custom(&label))
}

/// What a leaf says of itself, whoever issued it: see `X509Svid.facts`. Or an error.
#[napi]
pub fn x509_leaf(der: Uint8ArraySlice<'_>) -> String {
    match LeafFacts::parse(&der) {
        Ok(leaf) => leaf_text(&leaf),
        Err(error) => failure::chain(&X509VerifyError::Leaf(error)),
    }
}

/// The keys of an OIDC provider.
#[napi]
pub struct OidcKeys(oidc::OidcKeys);

#[napi]
impl OidcKeys {
    /// A JWKS.
    #[napi(ts_return_type = "OidcKeys | string")]
    pub fn parse(json: Uint8ArraySlice<'_>) -> Either<OidcKeys, String> {
        match oidc::OidcKeys::parse(&json) {
            Ok(keys) => Either::A(Self(keys)),
            Err(error) => Either::B(failure::bundle(&error)),
        }
    }

    /// The key IDs, in order.
    #[napi]
    pub fn key_ids(&self) -> Vec<String> {
        self.0.key_ids().map(str::to_owned).collect()
    }

    /// The keys that were left out, as JSON: `[[index, reason], ...]`.
    #[napi]
    pub fn skipped(&self) -> String {
        remarks(self.0.skipped())
    }

    /// The claims of a token, or an error.
    #[napi]
    pub fn verify(
        &self,
        token: String,
        issuer: String,
        audience: Vec<String>,
        algorithms: Vec<String>,
        leeway: f64,
        now: Option<f64>,
    ) -> String {
        let token = Zeroizing::new(token);
        let options = OidcVerifyOptions {
            issuer,
            audience,
            algorithms: algorithms.iter().filter_map(|name| JwsAlgorithm::from_name(name)).collect(),
            leeway: moment::duration(leeway),
            now: now.map(moment::time),
        };
        match verify_oidc_token(&token, &self.0, &options) {
            Ok(token) => token.claims,
            Err(error) => oidc_failure(&error),
        }
    }
}

fn oidc_failure(error: &OidcError) -> String {
    use OidcError as E;
    let code = match error {
        // What the verifier says of itself is not the token's fault.
        E::NoExpectedIssuer | E::NoExpectedAudience | E::TooManyExpectedAudiences | E::LeewayTooLong => {
            "ERR_INVALID_ARGUMENT"
        }
        _ => "ERR_INVALID_TOKEN",
    };
    failure::text(code, error, json!({ "rule": error.code() }))
}
