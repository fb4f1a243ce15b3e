//! The WIT profile is incubating: what is here may change with the standard.

use std::collections::BTreeMap;
use std::fmt;

use zeroize::Zeroizing;

use super::error::{Ignored, WorkloadApiError};
use super::proto::{WitBundlesResponse, WitSvidResponse, method};
use super::subject::Subject;
use crate::spiffe::limits::SVIDS;
use crate::spiffe::{SpiffeId, TrustDomain};

/// A token whose holder must prove that it has the key named in it.
#[derive(Clone, PartialEq, Eq)]
pub struct WitSvid {
    /// The name it is labelled with.
    pub spiffe_id: SpiffeId,
    /// JWS in compact serialization, `typ: wit+jwt`. Not looked into.
    pub token: Zeroizing<String>,
    /// The private key as a JWK. Not looked into.
    pub key_jwk: Zeroizing<String>,
    /// What an operator calls it.
    pub hint: Option<String>,
}

/// All WIT-SVIDs of the workload.
#[derive(Debug, Clone)]
pub struct WitSvids {
    /// The SVIDs; the first is the default identity. Never empty.
    pub svids: Vec<WitSvid>,
}

/// The WIT bundles of all trust domains the workload may know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WitBundles {
    /// JWKS by trust domain.
    pub bundles: BTreeMap<TrustDomain, String>,
}

impl Subject for WitSvids {
    type Response = WitSvidResponse;
    const METHOD: &'static str = method::FETCH_WIT_SVID;
    const NAME: &'static str = "WIT-SVIDs";
    type Memory = ();

    fn read(response: WitSvidResponse, _memory: Option<&()>) -> Result<Self, WorkloadApiError> {
        if response.svids.is_empty() {
            return Err(WorkloadApiError::Empty("svids"));
        }
        if response.svids.len() > SVIDS {
            return Err(WorkloadApiError::TooManySvids(response.svids.len()));
        }
        let read = |(index, offered): (usize, super::proto::WitSvid)| {
            for (field, missing) in [
                ("spiffe_id", offered.spiffe_id.is_empty()),
                ("wit_svid", offered.wit_svid.is_empty()),
                ("wit_svid_key", offered.wit_svid_key.is_empty()),
            ] {
                if missing {
                    return Err(WorkloadApiError::MissingField(format!("svids[{index}].{field}")));
                }
            }
            let spiffe_id = SpiffeId::parse(&offered.spiffe_id)
                .map_err(|error| WorkloadApiError::Malformed(format!("svids[{index}].spiffe_id: {error}")))?;
            Ok(WitSvid {
                spiffe_id,
                token: offered.wit_svid.into(),
                key_jwk: offered.wit_svid_key.into(),
                hint: Some(offered.hint).filter(|hint| !hint.is_empty()),
            })
        };
        let svids = response.svids.into_iter().enumerate().map(read).collect::<Result<_, _>>()?;
        Ok(WitSvids { svids })
    }

    fn memory(&self) {}

    fn says_the_same(&self, other: &Self) -> bool {
        self.svids == other.svids
    }

    fn ignored(&self) -> &[Ignored] {
        &[]
    }
}

impl Subject for WitBundles {
    type Response = WitBundlesResponse;
    const METHOD: &'static str = method::FETCH_WIT_BUNDLES;
    const NAME: &'static str = "WIT bundles";
    type Memory = ();

    fn read(response: WitBundlesResponse, _memory: Option<&()>) -> Result<Self, WorkloadApiError> {
        if response.bundles.is_empty() {
            return Err(WorkloadApiError::Empty("bundles"));
        }
        let read = |(key, jwks): (String, String)| {
            let name = TrustDomain::parse(&key)
                .map_err(|error| WorkloadApiError::Malformed(format!("bundles[{key:?}]: {error}")))?;
            Ok((name, jwks))
        };
        Ok(WitBundles { bundles: response.bundles.into_iter().map(read).collect::<Result<_, WorkloadApiError>>()? })
    }

    fn memory(&self) {}

    fn says_the_same(&self, other: &Self) -> bool {
        self == other
    }

    fn ignored(&self) -> &[Ignored] {
        &[]
    }
}

impl fmt::Debug for WitSvid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WitSvid").field("spiffe_id", &self.spiffe_id).field("hint", &self.hint).finish_non_exhaustive()
    }
}
