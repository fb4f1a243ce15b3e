//! Principals for JavaScript: the rules of names, IDs and documents, and the verification of OIDC tokens.

use countersign::principal::{
    IdentityError, Issuer, Principal, PrincipalError, Rules, TrustDomain, Uuid, WorkloadId,
    oidc::{self, OidcError, OidcVerifyOptions, verify_oidc_token},
};
use countersign::spiffe::{JwsAlgorithm, LeafFacts, X509VerifyError};
use napi::bindgen_prelude::{Either, Uint8ArraySlice};
use napi_derive::napi;
use serde_json::Value;
use zeroize::Zeroizing;

use crate::host::failure::{Failure, answer};
use crate::host::large_integers;
use crate::spiffe::{jwt_bundle::remarks, moment, x509_svid::leaf_text};

fn identity_failure(error: &IdentityError, message: &dyn std::fmt::Display) -> Failure {
    let reason = error.reason().map(|reason| reason.as_str());
    match error {
        IdentityError::InvalidSpiffeId(_) => Failure::new("ERR_INVALID_SPIFFE_ID", message).with("reason", reason),
        IdentityError::InvalidTrustDomain(_) => {
            Failure::new("ERR_INVALID_TRUST_DOMAIN", message).with("reason", reason)
        }
        IdentityError::InvalidComponent { component, .. } => {
            Failure::new("ERR_INVALID_COMPONENT", message).with("component", *component).with("reason", reason)
        }
        _ => Failure::new("ERR_NOT_AUTHENTICATED", message),
    }
}

fn written<T: ToString>(result: Result<T, IdentityError>) -> Either<String, Failure> {
    answer(result.map(|value| value.to_string()).map_err(|error| identity_failure(&error, &error)))
}

fn rules(strict: bool) -> Rules {
    if strict { Rules::Strict } else { Rules::Axess }
}

/// The JSON of a principal as it is written, a new line, and its integers beyond 2^53: `[[path, digits], ...]`, or
/// nothing when there are none. Or a failure.
#[napi]
pub fn principal(text: String, strict: bool) -> Either<String, Failure> {
    let principal = Principal::from_json_by(&text, rules(strict));
    answer(principal.map(|principal| principal_text(&principal)).map_err(|error| principal_failure(&error)))
}

fn principal_text(principal: &Principal) -> String {
    let mut text = principal.to_json();
    text.push('\n');
    let mut large = Vec::new();
    for (name, value) in principal.attributes() {
        large_integers::find(value, &mut vec![name.as_str().into()], &mut large);
    }
    if !large.is_empty() {
        text.push_str(&Value::Array(large).to_string());
    }
    text
}

fn principal_failure(error: &PrincipalError) -> Failure {
    let invalid = || Failure::new("ERR_INVALID_PRINCIPAL", error).with("rule", error.code());
    match error {
        PrincipalError::Identity(inner) => identity_failure(inner, error),
        PrincipalError::Id(inner) => {
            Failure::new("ERR_INVALID_ID", error).with("kind", inner.kind()).with("reason", inner.code())
        }
        PrincipalError::MissingMember(member) | PrincipalError::WrongType(member) => invalid().with("member", *member),
        _ => invalid(),
    }
}

/// A UUID in its canonical form; nothing when the text is none.
#[napi]
pub fn uuid(text: String) -> Option<String> {
    Uuid::parse_str(&text).ok().map(|uuid| uuid.to_string())
}

/// The ID of a workload, or a failure.
#[napi]
pub fn workload_id(text: String, strict: bool) -> Either<String, Failure> {
    written(WorkloadId::parse_by(&text, rules(strict)))
}

/// The ID of a service of a tenant, or a failure.
#[napi]
pub fn workload_id_of(trust_domain: String, service: String, tenant_slug: String) -> Either<String, Failure> {
    written(TrustDomain::parse(&trust_domain).and_then(|domain| WorkloadId::build(&domain, &service, &tenant_slug)))
}

/// The name of a trust domain by the rules of principals, or a failure.
#[napi]
pub fn principal_trust_domain(text: String) -> Either<String, Failure> {
    written(TrustDomain::parse(&text))
}

/// The label of an issuer, or a failure.
#[napi]
pub fn issuer_label(label: String) -> Either<String, Failure> {
    written(Issuer::custom(&label))
}

/// What a leaf says of itself, with any issuer: see `X509Svid.facts`. Or a failure.
#[napi]
pub fn x509_leaf(der: Uint8ArraySlice<'_>) -> Either<String, Failure> {
    answer(LeafFacts::parse(&der).map(|leaf| leaf_text(&leaf)).map_err(X509VerifyError::Leaf))
}

/// The keys of an OIDC provider.
#[napi]
pub struct OidcKeys(oidc::OidcKeys);

#[napi]
impl OidcKeys {
    /// A JWKS.
    #[napi(ts_return_type = "OidcKeys | Failure")]
    pub fn parse(json: Uint8ArraySlice<'_>) -> Either<OidcKeys, Failure> {
        answer(oidc::OidcKeys::parse(&json).map(Self))
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

    /// The claims of a token, or a failure.
    #[napi]
    pub fn verify(
        &self,
        token: String,
        issuer: String,
        audience: Vec<String>,
        algorithms: Vec<String>,
        leeway: f64,
        now: Option<f64>,
    ) -> Either<String, Failure> {
        let token = Zeroizing::new(token);
        let options = OidcVerifyOptions {
            issuer,
            audience,
            algorithms: algorithms.iter().filter_map(|name| JwsAlgorithm::from_name(name)).collect(),
            leeway: moment::duration(leeway),
            now: now.map(moment::time),
        };
        answer(verify_oidc_token(&token, &self.0, &options).map(|token| token.claims))
    }
}

impl From<OidcError> for Failure {
    fn from(error: OidcError) -> Failure {
        use OidcError as E;
        let code = match error {
            // A wrong option of the verifier is not the token's fault.
            E::NoExpectedIssuer | E::NoExpectedAudience | E::TooManyExpectedAudiences | E::LeewayTooLong => {
                "ERR_INVALID_ARGUMENT"
            }
            _ => "ERR_INVALID_TOKEN",
        };
        Failure::new(code, &error).with("rule", error.code())
    }
}
