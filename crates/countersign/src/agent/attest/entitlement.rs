//! Who calls, and which SVIDs that process is to have: looked at anew for every call, and whenever something changes.

use std::sync::Arc;
use std::time::Duration;

use super::attestor::is_exhaustion;
use crate::agent::decisions::event::{AgentEvent, Caller, Objection};
use crate::agent::log;
use crate::agent::rules::rule::BeforeHash;
use crate::agent::rules::store::RulesSnapshot;
use crate::agent::rules::svid_entry::SvidRule;
use crate::agent::workload::Workload;
use crate::peer::{Examination, Peer, PeerError};
use crate::spiffe::TrustDomain;
use crate::spiffe::workload_api::{Code, Method, Status};

/// How long the hash of an executable may take.
const HASHING: Duration = Duration::from_secs(5);

/// The SVIDs of a process, and the rules that gave them.
pub(in crate::agent) struct Entitlement {
    pub(in crate::agent) snapshot: Arc<RulesSnapshot>,
    /// In the order of the rules: the first is the default identity. Never empty.
    pub(in crate::agent) svids: Vec<Arc<SvidRule>>,
    /// The name of the process, for the log.
    pub(in crate::agent) process: String,
}

impl Entitlement {
    /// The foreign trust domains it may know.
    pub(in crate::agent) fn federates_with(&self) -> impl Iterator<Item = &TrustDomain> {
        self.svids.iter().flat_map(|svid| &svid.federates_with)
    }
}

/// No rule gives this process an SVID.
pub(in crate::agent) fn no_identity() -> Status {
    Status::new(Code::PermissionDenied, "no identity issued")
}

/// Attests the caller. The error is what it is told.
pub(in crate::agent) async fn attest(
    workload: &Workload,
    peer: &Arc<Peer>,
    method: Method,
) -> Result<Entitlement, Status> {
    let snapshot = workload.core.rules.current();
    if workload.core.rules.observers.are_killed() {
        let process = peer.comm().unwrap_or_default();
        return Err(objected(workload, peer, method, &process, Objection::Killed));
    }
    let found = match entitled(peer, &snapshot, false) {
        Ok(None) => whole(peer, &snapshot).await,
        found => found,
    };
    let refusal = match found {
        Ok(Some((svids, process))) if !svids.is_empty() => return Ok(Entitlement { snapshot, svids, process }),
        Ok(Some((_, process))) => {
            refuse(workload, peer, method, &process, Code::PermissionDenied, None);
            return Err(no_identity());
        }
        Ok(None) => Status::new(Code::DeadlineExceeded, "the executable could not be examined in time"),
        Err(PeerError::Gone) => Status::new(Code::Unauthenticated, "the process that asks is gone"),
        Err(PeerError::Os { ref source, .. }) if is_exhaustion(source) => {
            Status::new(Code::Unavailable, "the agent is out of descriptors")
        }
        Err(_) => Status::new(Code::Internal, "the process that asks could not be examined"),
    };
    let error = refusal.message.as_str();
    refuse(workload, peer, method, "", refusal.code, Some(error));
    Err(refusal)
}

/// With hashes, on a thread that may be kept busy by them.
async fn whole(peer: &Arc<Peer>, snapshot: &Arc<RulesSnapshot>) -> Found {
    let (peer, snapshot) = (Arc::clone(peer), Arc::clone(snapshot));
    let work = tokio::task::spawn_blocking(move || entitled(&peer, &snapshot, true));
    match tokio::time::timeout(HASHING, work).await {
        Ok(Ok(found)) => found,
        _ => Ok(None),
    }
}

/// `None`: it takes the hash of an executable to tell, and there was no time for one.
type Found = Result<Option<(Vec<Arc<SvidRule>>, String)>, PeerError>;

fn entitled(peer: &Peer, snapshot: &RulesSnapshot, may_hash: bool) -> Found {
    // One look for one decision: what is read twice could be two programs.
    let look = Examination::new(peer);
    let mut svids: Vec<Arc<SvidRule>> = Vec::new();
    for rule in snapshot.rules.rules() {
        let Some(svid) = &rule.svid else { continue };
        if !may_hash {
            match &rule.before_hash {
                BeforeHash::NotAsked => {}
                BeforeHash::HashOnly => return Ok(None),
                BeforeHash::Conditions(conditions) if look.check(conditions)?.is_ok() => return Ok(None),
                BeforeHash::Conditions(_) => continue,
            }
        }
        if look.check(&rule.policy)?.is_err() {
            continue;
        }
        // Workload API 5.2.1: a hint is unique within a response. Clients take the first, and so do we.
        let taken = |other: &Arc<SvidRule>| match svid.hint.as_str() {
            "" => other.hint.is_empty() && other.spiffe_id == svid.spiffe_id,
            hint => other.hint == hint,
        };
        if !svids.iter().any(taken) {
            svids.push(Arc::clone(svid));
        }
    }
    // Read last: that it can be read proves that the process was still there when the rules were held against it.
    let process = look.comm()?.unwrap_or_default();
    Ok(Some((svids, process)))
}

/// Asks whether the caller may be vouched for, and puts it on record. The error is what it is told instead.
pub(in crate::agent) fn vouch(
    workload: &Workload,
    peer: &Peer,
    process: &str,
    event: AgentEvent,
) -> Result<(), Status> {
    let (method, name) = match &event {
        AgentEvent::Issued { method, spiffe_id, .. } => (*method, Some(spiffe_id.clone())),
        AgentEvent::Shown { method, .. } => (*method, None),
        _ => ("", None),
    };
    if let Err(objection) = workload.core.rules.observers.vouch(|| event) {
        let method = Method::from_name(method).unwrap_or(Method::FetchX509Svid);
        return Err(objected(workload, peer, method, process, objection));
    }
    if let Some(name) = name {
        journal(peer, method, process, Code::Ok, Some(&name));
    }
    Ok(())
}

fn objected(workload: &Workload, peer: &Peer, method: Method, process: &str, objection: Objection) -> Status {
    let status = match objection {
        // What takes an identity away from who has one.
        Objection::Killed => Status::new(Code::PermissionDenied, "the kill switch is on: nobody is vouched for"),
        Objection::Unrecorded => Status::new(Code::Unavailable, "the decision could not be recorded"),
    };
    refuse(workload, peer, method, process, status.code, Some(&status.message));
    status
}

/// Puts on record that a caller was refused.
pub(in crate::agent) fn refuse(
    workload: &Workload,
    peer: &Peer,
    method: Method,
    process: &str,
    code: Code,
    why: Option<&str>,
) {
    let caller = || Caller::of(peer, process);
    let method = method.name();
    workload.core.rules.observers.tell(|| AgentEvent::Refused { caller: caller(), method, code: code.name() });
    journal(peer, method, process, code, why);
}

/// One line per decision.
fn journal(peer: &Peer, method: &str, process: &str, code: Code, more: Option<&str>) {
    let who = peer.ids();
    tracing::info!(
        target: log::TARGET,
        pid = who.pid,
        uid = who.uid,
        gid = who.gid,
        process,
        method,
        code = code.name(),
        more,
        "{}",
        if code == Code::Ok { "vouched for" } else { "refused" },
    );
}
