//! The rules of a development agent.

use std::path::Path;
use std::sync::Arc;

use super::rule::{BeforeHash, Rule};
use super::ruleset::RuleSet;
use super::svid_entry::SvidRule;
use super::token::TokenSource;
use crate::peer::{PathPattern, PeerPolicy};
use crate::spiffe::{SpiffeId, TrustDomain};

/// The identity a development agent gives.
pub const DEV_IDENTITY: &str = "DEV";
/// The trust domain of a development agent: the one of every example.
pub const DEV_TRUST_DOMAIN: &str = "example.org";

/// One rule: our own user, and the given executable.
pub(super) fn rules(exe: Option<&Path>, trust_domain: &TrustDomain) -> RuleSet {
    let policy = PeerPolicy {
        uid: Some(rustix::process::geteuid().as_raw()),
        exe: exe.map(|path| PathPattern::Exact(path.to_path_buf())),
        ..PeerPolicy::default()
    };
    RuleSet::new(vec![Rule {
        identity: Some(DEV_IDENTITY.to_owned()),
        before_hash: BeforeHash::of(&policy),
        policy,
        idm_url: String::new(),
        config_url: String::new(),
        token: TokenSource::None,
        svid: SpiffeId::from_segments(trust_domain, ["dev"]).ok().map(SvidRule::of).map(Arc::new),
        position: None,
    }])
}
