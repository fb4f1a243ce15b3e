//! The SVIDs a process is entitled to: evaluated anew for every call, and whenever something changes.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::Instant;

use super::call::Call;
use crate::agent::attest::{Attested, Attestor, Depth, Evaluation, Question, is_exhaustion, with_hashes};
use crate::agent::decisions::Denial;
use crate::agent::rules::rule::Rule;
use crate::agent::rules::store::RulesSnapshot;
use crate::agent::rules::svid_entry::SvidRule;
use crate::agent::rules::workload_api::WorkloadConfig;
use crate::peer::{Peer, PeerError};
use crate::spiffe::TrustDomain;
use crate::spiffe::workload_api::{Code, Status};

/// How long the hash of an executable may take.
const HASHING: Duration = Duration::from_secs(5);

/// The SVIDs of a process, and the rules that gave them.
pub(super) struct Entitlement {
    pub(super) snapshot: Arc<RulesSnapshot>,
    /// In the order of the rules: the first is the default identity. Never empty.
    pub(super) svids: Vec<Arc<SvidRule>>,
    /// The name of the process, for the log.
    pub(super) process: String,
}

impl Entitlement {
    /// The configuration of the Workload API, in the rules that matched.
    pub(super) fn config(&self) -> Result<&WorkloadConfig, Status> {
        let config = self.snapshot.workload.as_ref();
        config.ok_or_else(|| Status::new(Code::Unavailable, "the Workload API is not served"))
    }

    /// The foreign trust domains it may know.
    pub(super) fn federates_with(&self) -> impl Iterator<Item = &TrustDomain> {
        self.svids.iter().flat_map(|svid| &svid.federates_with)
    }
}

/// No rule gives this process an SVID.
pub(super) fn no_identity() -> Status {
    Status::new(Code::PermissionDenied, "no identity issued")
}

impl Call<'_> {
    /// Attests the caller. The error is the answer to it.
    pub(super) async fn attest(&self) -> Result<Entitlement, Status> {
        let snapshot = self.workload.core.rules.current();
        if self.workload.core.gate.is_closed() {
            let process = self.peer.comm().unwrap_or_default();
            return Err(self.deny(&process, Denial::Killed));
        }
        let found = match entitled(self.peer, &snapshot, Depth::Cheap) {
            Ok(None) => with_hash(self.peer, &snapshot).await,
            found => found,
        };
        let refusal = match found {
            Ok(Some(Entitled { svids, process })) if !svids.is_empty() => {
                return Ok(Entitlement { snapshot, svids, process });
            }
            Ok(Some(Entitled { process, .. })) => {
                self.refuse(&process, Code::PermissionDenied, None);
                return Err(no_identity());
            }
            Ok(None) => Status::new(Code::DeadlineExceeded, "the executable could not be examined in time"),
            Err(PeerError::Gone) => Status::new(Code::Unauthenticated, "the process that asks is gone"),
            Err(error) if is_exhaustion(&error) => Status::new(Code::Unavailable, "the agent is out of descriptors"),
            Err(_) => Status::new(Code::Internal, "the process that asks could not be examined"),
        };
        self.refuse("", refusal.code, Some(&refusal.message));
        Err(refusal)
    }
}

/// What the rules give a process: perhaps nothing.
struct Entitled {
    svids: Vec<Arc<SvidRule>>,
    process: String,
}

/// `None`: the answer depends on the hash of an executable, and there was no time for one.
fn entitled(peer: &Peer, snapshot: &RulesSnapshot, depth: Depth) -> Result<Option<Entitled>, PeerError> {
    Ok(match Attestor::new(peer, &snapshot.rules).evaluate(Question::Svids, depth)? {
        Evaluation::Attested(Attested { rules, process }) => Some(Entitled { svids: svids(&rules), process }),
        Evaluation::NeedsHash => None,
    })
}

/// The same with hashes, on a thread that may be kept busy by them.
async fn with_hash(peer: &Arc<Peer>, snapshot: &Arc<RulesSnapshot>) -> Result<Option<Entitled>, PeerError> {
    let (peer, snapshot) = (Arc::clone(peer), Arc::clone(snapshot));
    let work = move || entitled(&peer, &snapshot, Depth::Hash);
    // The pool of this thread: a busy Workload API keeps no whoami client waiting.
    with_hashes(&Handle::current(), Instant::now() + HASHING, work).await.unwrap_or(Ok(None))
}

/// The SVIDs of rules. Workload API 5.2.1: a hint is unique within a response. Clients take the first, and so do we.
fn svids(rules: &[&Rule]) -> Vec<Arc<SvidRule>> {
    let mut svids: Vec<Arc<SvidRule>> = Vec::new();
    for svid in rules.iter().filter_map(|rule| rule.svid.as_ref()) {
        let is_same = |other: &Arc<SvidRule>| match svid.hint.as_str() {
            "" => other.hint.is_empty() && other.spiffe_id == svid.spiffe_id,
            hint => other.hint == hint,
        };
        if !svids.iter().any(is_same) {
            svids.push(Arc::clone(svid));
        }
    }
    svids
}
