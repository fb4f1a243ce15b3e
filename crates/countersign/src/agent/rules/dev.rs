//! The rules of a development agent.

use std::path::Path;
use std::sync::Arc;

use super::error::RulesError;
use super::rule::{BeforeHash, Rule};
use super::ruleset::RuleSet;
use super::svid_entry::SvidRule;
use super::token::TokenSource;
use crate::peer::{PathPattern, PeerConditions};
use crate::spiffe::{SpiffeId, TrustDomain};

/// The identity a development agent gives.
pub const DEV_IDENTITY: &str = "DEV";

/// One rule: the agent's own user, and the given executable.
pub(super) fn rules(exe: Option<&Path>, trust_domain: &TrustDomain) -> Result<RuleSet, RulesError> {
    let conditions = PeerConditions {
        uid: Some(rustix::process::geteuid().as_raw()),
        exe: exe.map(|path| PathPattern::Exact(path.to_path_buf())),
        ..PeerConditions::default()
    };
    let policy = conditions.build().map_err(|error| RulesError::whole(error.to_string()))?;
    Ok(RuleSet::new(vec![Rule {
        identity: Some(DEV_IDENTITY.to_owned()),
        before_hash: BeforeHash::of(&policy),
        policy,
        idm_url: String::new(),
        config_url: String::new(),
        token: TokenSource::None,
        svid: SpiffeId::from_segments(trust_domain, ["dev"]).ok().map(SvidRule::of).map(Arc::new),
        position: None,
    }]))
}
