//! `FetchJWTSVID` and `ValidateJWTSVID`.

use std::sync::Arc;

use super::Workload;
use super::reply::issuing_failed;
use crate::agent::attest::entitlement::{attest, no_identity, refuse, vouch};
use crate::agent::decisions::event::{AgentEvent, Caller};
use crate::peer::Peer;
use crate::spiffe::clock::unix_seconds;
use crate::spiffe::limits::{AUDIENCES, TOKEN_BYTES};
use crate::spiffe::workload_api::proto::{
    JwtSvid, JwtSvidRequest, JwtSvidResponse, Struct, ValidateJwtSvidRequest, ValidateJwtSvidResponse,
};
use crate::spiffe::workload_api::{Code, Method, Status};
use crate::spiffe::{JwtVerifyOptions, SpiffeId, verify_jwt_svid};

fn invalid(message: impl Into<String>) -> Status {
    Status::new(Code::InvalidArgument, message)
}

pub(super) async fn fetch(
    workload: &Workload,
    peer: &Arc<Peer>,
    request: JwtSvidRequest,
) -> Result<JwtSvidResponse, Status> {
    if request.audience.is_empty() {
        return Err(invalid("audience must be specified"));
    }
    if request.audience.iter().any(String::is_empty) {
        return Err(invalid("an audience is empty"));
    }
    if request.audience.len() > AUDIENCES {
        return Err(invalid(format!("more than {AUDIENCES} audiences")));
    }
    // Longer tokens are read by nobody.
    if request.audience.iter().map(String::len).sum::<usize>() > TOKEN_BYTES / 2 {
        return Err(invalid("the audiences are too long for a token"));
    }
    let wanted = match request.spiffe_id.as_str() {
        "" => None,
        text => Some(SpiffeId::parse(text).map_err(|error| invalid(format!("invalid requested SPIFFE ID: {error}")))?),
    };
    let who = attest(workload, peer, Method::FetchJwtSvid).await?;
    let config = workload.config(&who)?;
    // The keys whose bundle was published, so that nobody meets a token whose key is not known yet.
    let issuing = Arc::clone(&workload.trust.borrow().issuing);
    let now = unix_seconds(None);
    let mut svids = Vec::new();
    for rule in &who.svids {
        if wanted.as_ref().is_some_and(|wanted| *wanted != rule.spiffe_id) {
            continue;
        }
        let ttl = rule.jwt_svid_ttl.unwrap_or(config.jwt_svid_ttl).as_secs() as i64;
        let expires = now.saturating_add(ttl);
        let token = issuing.jwt.issue(&rule.spiffe_id, &request.audience, now, expires);
        let token = token.map_err(|error| issuing_failed(&error))?;
        let event = AgentEvent::Issued {
            caller: Caller::of(peer, who.process.as_str()),
            method: Method::FetchJwtSvid.name(),
            spiffe_id: rule.spiffe_id.as_str().to_owned(),
            expires: Some(expires),
            renewed: false,
        };
        vouch(workload, peer, &who.process, event)?;
        workload.counters.jwt_issued();
        svids.push(JwtSvid {
            spiffe_id: rule.spiffe_id.as_str().to_owned(),
            svid: token.as_str().to_owned(),
            hint: rule.hint.clone(),
        });
    }
    if svids.is_empty() {
        refuse(workload, peer, Method::FetchJwtSvid, &who.process, Code::PermissionDenied, None);
        return Err(no_identity());
    }
    Ok(JwtSvidResponse { svids })
}

/// A bad token is told as `InvalidArgument`: that is what SPIRE answers and clients expect.
pub(super) async fn validate(
    workload: &Workload,
    peer: &Arc<Peer>,
    request: ValidateJwtSvidRequest,
) -> Result<ValidateJwtSvidResponse, Status> {
    if request.audience.is_empty() {
        return Err(invalid("audience must be specified"));
    }
    if request.svid.is_empty() {
        return Err(invalid("svid must be specified"));
    }
    let who = attest(workload, peer, Method::ValidateJwtSvid).await?;
    let bundles = workload.trust.borrow().bundles_for(who.federates_with());
    let verified = verify_jwt_svid(&request.svid, &bundles, &JwtVerifyOptions::new(request.audience));
    let svid = verified.map_err(|error| {
        let why = error.to_string();
        refuse(workload, peer, Method::ValidateJwtSvid, &who.process, Code::InvalidArgument, Some(&why));
        invalid(why)
    })?;
    let event = AgentEvent::Issued {
        caller: Caller::of(peer, who.process.as_str()),
        method: Method::ValidateJwtSvid.name(),
        spiffe_id: svid.spiffe_id().as_str().to_owned(),
        expires: None,
        renewed: false,
    };
    vouch(workload, peer, &who.process, event)?;
    let unreadable = |_| invalid("the claims of the token are not a JSON object");
    let mut claims: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(svid.claims_json()).map_err(unreadable)?;
    // However it stood in the token: this is the form clients know from SPIRE.
    claims.insert("aud".to_owned(), svid.audience().iter().map(String::as_str).collect());
    Ok(ValidateJwtSvidResponse {
        spiffe_id: svid.spiffe_id().as_str().to_owned(),
        claims: Some(Struct::from_json(&claims)),
    })
}
