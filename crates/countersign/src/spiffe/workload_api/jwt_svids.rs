use std::collections::HashSet;

use super::error::{Ignored, IgnoredReason, WorkloadApiError};
use super::proto::{JwtSvidResponse, ValidateJwtSvidResponse};
use crate::spiffe::limits::{HINT_BYTES, SVIDS};
use crate::spiffe::{JwtSvid, SpiffeId};

/// Tokens of the workload for an audience.
#[derive(Debug, Clone)]
pub struct JwtSvids {
    /// The tokens; the first is that of the default identity. Never empty.
    pub svids: Vec<JwtSvid>,
    /// What had to be ignored.
    pub ignored: Vec<Ignored>,
}

/// What a Workload API says of a token it found good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Validated {
    /// The proven name.
    pub spiffe_id: SpiffeId,
    /// The claims as a JSON object.
    pub claims_json: String,
}

impl JwtSvids {
    pub(super) fn read(response: &JwtSvidResponse, audience: &[String]) -> Result<JwtSvids, WorkloadApiError> {
        if response.svids.is_empty() {
            return Err(WorkloadApiError::Empty("svids"));
        }
        if response.svids.len() > SVIDS {
            return Err(WorkloadApiError::TooManySvids(response.svids.len()));
        }
        for (index, svid) in response.svids.iter().enumerate() {
            for (field, missing) in [("spiffe_id", svid.spiffe_id.is_empty()), ("svid", svid.svid.is_empty())] {
                if missing {
                    return Err(WorkloadApiError::MissingField(format!("svids[{index}].{field}")));
                }
            }
        }
        let (mut svids, mut ignored, mut hints) = (Vec::new(), Vec::new(), HashSet::new());
        for (index, offered) in response.svids.iter().enumerate() {
            let what = || format!("svids[{index}] ({:?})", offered.spiffe_id);
            let mut hint = Some(offered.hint.as_str()).filter(|hint| !hint.is_empty());
            if hint.is_some_and(|hint| hint.len() > HINT_BYTES) {
                ignored.push(Ignored { what: what(), reason: IgnoredReason::HintTooLong });
                hint = None;
            }
            let read = match hint {
                Some(hint) if hints.contains(hint) => Err(IgnoredReason::DuplicateHint),
                hint => own_token(&offered.spiffe_id, &offered.svid, hint, audience),
            };
            match read {
                Ok(svid) => {
                    hints.extend(hint);
                    svids.push(svid);
                }
                Err(reason) => ignored.push(Ignored { what: what(), reason }),
            }
        }
        if svids.is_empty() {
            return Err(WorkloadApiError::NothingUsable(ignored));
        }
        Ok(JwtSvids { svids, ignored })
    }
}

fn own_token(label: &str, token: &str, hint: Option<&str>, audience: &[String]) -> Result<JwtSvid, IgnoredReason> {
    let label = SpiffeId::parse(label).map_err(IgnoredReason::Label)?;
    let svid = JwtSvid::from_workload_api(token, hint).map_err(IgnoredReason::Token)?;
    if *svid.spiffe_id() != label {
        return Err(IgnoredReason::OtherName { actual: svid.spiffe_id().to_string() });
    }
    if !audience.iter().all(|name| svid.audience().contains(name)) {
        return Err(IgnoredReason::OtherAudience);
    }
    Ok(svid)
}

impl Validated {
    pub(super) fn read(response: &ValidateJwtSvidResponse) -> Result<Validated, WorkloadApiError> {
        if response.spiffe_id.is_empty() {
            return Err(WorkloadApiError::MissingField("spiffe_id".to_owned()));
        }
        let claims = response.claims.as_ref().ok_or_else(|| WorkloadApiError::MissingField("claims".to_owned()))?;
        let spiffe_id = SpiffeId::parse(&response.spiffe_id)
            .map_err(|error| WorkloadApiError::Malformed(format!("spiffe_id: {error}")))?;
        Ok(Validated { spiffe_id, claims_json: claims.to_json().to_string() })
    }
}
