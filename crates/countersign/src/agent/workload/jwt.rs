//! `FetchJWTSVID` and `ValidateJWTSVID`.

use std::sync::Arc;

use super::call::Call;
use super::entitlement::no_identity;
use super::reply::issuing_failed;
use crate::agent::decisions::{AgentEvent, Authorized};
use crate::spiffe::clock::unix_seconds;
use crate::spiffe::limits::{AUDIENCES, TOKEN_BYTES};
use crate::spiffe::workload_api::proto::{
    JwtSvid, JwtSvidRequest, JwtSvidResponse, Struct, ValidateJwtSvidRequest, ValidateJwtSvidResponse,
};
use crate::spiffe::workload_api::{Code, Status};
use crate::spiffe::{self, JwtVerifyOptions, SpiffeId, verify_jwt_svid};

fn invalid(message: impl Into<String>) -> Status {
    Status::new(Code::InvalidArgument, message)
}

pub(super) async fn fetch(call: &Call<'_>, request: JwtSvidRequest) -> Result<Authorized<JwtSvidResponse>, Status> {
    if request.audience.is_empty() {
        return Err(invalid("audience must be specified"));
    }
    if request.audience.iter().any(String::is_empty) {
        return Err(invalid("an audience is empty"));
    }
    if request.audience.len() > AUDIENCES {
        return Err(invalid(format!("more than {AUDIENCES} audiences")));
    }
    // No client reads longer tokens.
    if request.audience.iter().map(String::len).sum::<usize>() > TOKEN_BYTES / 2 {
        return Err(invalid("the audiences are too long for a token"));
    }
    let wanted = match request.spiffe_id.as_str() {
        "" => None,
        text => Some(SpiffeId::parse(text).map_err(|error| invalid(format!("invalid requested SPIFFE ID: {error}")))?),
    };
    let who = call.attest().await?;
    let config = who.config()?;
    // The keys whose bundle was published, so that no verifier meets a token whose key it does not know yet.
    let issuing = Arc::clone(&call.workload.trust.borrow().issuing);
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
        let svid = JwtSvid {
            spiffe_id: rule.spiffe_id.as_str().to_owned(),
            svid: token.as_str().to_owned(),
            hint: rule.hint.clone(),
        };
        let event = |svid: &JwtSvid| AgentEvent::Issued {
            caller: call.caller(&who.process),
            method: call.method,
            spiffe_id: svid.spiffe_id.clone(),
            expires: Some(expires),
            renewed: false,
        };
        let svid = call.authorize(&who.process, svid, event)?;
        call.log(&who.process, Code::Ok, Some(&svid.spiffe_id));
        call.workload.counters.jwt_issued();
        svids.push(svid);
    }
    Authorized::join(svids, |svids| JwtSvidResponse { svids }).ok_or_else(|| {
        call.refuse(&who.process, Code::PermissionDenied, None);
        no_identity()
    })
}

/// A bad token is answered with `InvalidArgument`: that is what SPIRE answers and clients expect.
pub(super) async fn validate(
    call: &Call<'_>,
    request: ValidateJwtSvidRequest,
) -> Result<Authorized<ValidateJwtSvidResponse>, Status> {
    if request.audience.is_empty() {
        return Err(invalid("audience must be specified"));
    }
    if request.svid.is_empty() {
        return Err(invalid("svid must be specified"));
    }
    let who = call.attest().await?;
    let bundles = call.workload.trust.borrow().bundles_for(who.federates_with());
    let verified = verify_jwt_svid(&request.svid, &bundles, &JwtVerifyOptions::new(request.audience));
    let svid = verified.map_err(|error| {
        let why = error.to_string();
        call.refuse(&who.process, Code::InvalidArgument, Some(&why));
        invalid(why)
    })?;
    let event = |svid: &spiffe::JwtSvid| AgentEvent::Issued {
        caller: call.caller(&who.process),
        method: call.method,
        spiffe_id: svid.spiffe_id().as_str().to_owned(),
        expires: None,
        renewed: false,
    };
    let svid = call.authorize(&who.process, svid, event)?;
    call.log(&who.process, Code::Ok, Some(svid.spiffe_id().as_str()));
    svid.try_map(|svid| validated(&svid))
}

/// The answer about a token that was verified.
fn validated(svid: &spiffe::JwtSvid) -> Result<ValidateJwtSvidResponse, Status> {
    let unreadable = |_| invalid("the claims of the token are not a JSON object");
    let mut claims: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(svid.claims_json()).map_err(unreadable)?;
    // Always a list, also if the token has one text: this is the form clients know from SPIRE.
    claims.insert("aud".to_owned(), svid.audience().iter().map(String::as_str).collect());
    Ok(ValidateJwtSvidResponse {
        spiffe_id: svid.spiffe_id().as_str().to_owned(),
        claims: Some(Struct::from_json(&claims)),
    })
}
