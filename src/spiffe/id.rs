//! SPIFFE IDs and trust domains: canonical texts in, canonical texts or errors out.

use countersign::spiffe::{SpiffeId, SpiffeIdError, TrustDomain};
use napi::bindgen_prelude::Either;
use napi_derive::napi;

use super::failure;
use crate::host::failure::{Failure, answer};

fn written(result: Result<SpiffeId, SpiffeIdError>) -> Either<String, Failure> {
    answer(result.map(|id| id.as_str().to_owned()).map_err(failure::id))
}

/// The canonical form of a SPIFFE ID.
#[napi]
pub fn spiffe_id(text: String) -> Either<String, Failure> {
    written(SpiffeId::parse(&text))
}

/// An ID with a path put behind its own.
#[napi]
pub fn spiffe_id_append_path(id: String, path: String) -> Either<String, Failure> {
    written(SpiffeId::parse(&id).and_then(|id| id.append_path(&path)))
}

/// An ID with segments put behind its path.
#[napi]
pub fn spiffe_id_append_segments(id: String, segments: Vec<String>) -> Either<String, Failure> {
    written(SpiffeId::parse(&id).and_then(|id| id.append_segments(&segments)))
}

/// The ID in the same trust domain with another path.
#[napi]
pub fn spiffe_id_replace_path(id: String, path: String) -> Either<String, Failure> {
    written(SpiffeId::parse(&id).and_then(|id| id.replace_path(&path)))
}

/// The bare name of a trust domain, from the name, its own ID, or any ID in it.
#[napi]
pub fn trust_domain(text: String) -> Either<String, Failure> {
    let parsed = TrustDomain::parse(&text).map_err(failure::trust_domain);
    answer(parsed.map(|trust_domain| trust_domain.name().to_owned()))
}
