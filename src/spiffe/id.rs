//! SPIFFE IDs and trust domains: canonical texts in, canonical texts or errors out.

use countersign::spiffe::{SpiffeId, SpiffeIdError, TrustDomain};
use napi_derive::napi;

use super::failure;

fn written(result: Result<SpiffeId, SpiffeIdError>) -> String {
    match result {
        Ok(id) => id.as_str().to_owned(),
        Err(error) => failure::id(&error),
    }
}

/// The canonical form of a SPIFFE ID.
#[napi]
pub fn spiffe_id(text: String) -> String {
    written(SpiffeId::parse(&text))
}

/// An ID with a path put behind its own.
#[napi]
pub fn spiffe_id_append_path(id: String, path: String) -> String {
    written(SpiffeId::parse(&id).and_then(|id| id.append_path(&path)))
}

/// An ID with segments put behind its path.
#[napi]
pub fn spiffe_id_append_segments(id: String, segments: Vec<String>) -> String {
    written(SpiffeId::parse(&id).and_then(|id| id.append_segments(&segments)))
}

/// The ID in the same trust domain with another path.
#[napi]
pub fn spiffe_id_replace_path(id: String, path: String) -> String {
    written(SpiffeId::parse(&id).and_then(|id| id.replace_path(&path)))
}

/// The bare name of a trust domain, from the name, its own ID, or any ID in it.
#[napi]
pub fn trust_domain(text: String) -> String {
    match TrustDomain::parse(&text) {
        Ok(trust_domain) => trust_domain.name().to_owned(),
        Err(error) => failure::trust_domain(&error),
    }
}
