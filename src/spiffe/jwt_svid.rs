//! JWT-SVIDs as text: the token itself is kept by JavaScript, which has it already.

use countersign::spiffe::JwtSvid;
use napi::bindgen_prelude::Either;
use napi_derive::napi;
use zeroize::Zeroizing;

use crate::host::failure::{Failure, answer};

/// What a token says: `[spiffeId, audience, expiry, issuedAt, rotationDue, algorithm, keyId]` as JSON, a line feed, and
/// the claims as they stand in the token.
pub fn facts(svid: &JwtSvid) -> String {
    let facts = (
        svid.spiffe_id().as_str(),
        svid.audience(),
        svid.expiry() * 1000,
        svid.issued_at().map(|seconds| seconds * 1000),
        svid.rotation_due() * 1000,
        svid.algorithm().name(),
        svid.key_id(),
    );
    let mut text = serde_json::to_string(&facts).unwrap_or_default();
    text.reserve(svid.claims_json().len() + 1);
    text.push('\n');
    text.push_str(svid.claims_json());
    text
}

/// Read a token without looking at its signature or at the clock. `fromWorkloadApi` accepts further headers.
#[napi]
pub fn jwt_svid_parse(token: String, from_workload_api: bool) -> Either<String, Failure> {
    let token = Zeroizing::new(token);
    let parsed =
        if from_workload_api { JwtSvid::from_workload_api(&token, None) } else { JwtSvid::parse_insecure(&token) };
    answer(parsed.map(|svid| facts(&svid)))
}
