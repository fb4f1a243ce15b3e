use std::cell::OnceCell;

use super::policy::Facts;
use super::{Denied, Exe, Peer, PeerCredentials, PeerError, PeerIds, PeerPolicy, PeerProcess};

/// One look at a peer, for holding it against many policies: each fact is read when first asked for, proven, and
/// then kept. Drop it after the decision: an `exec` makes another program of the same process, and a later
/// decision wants a new look.
pub struct Examination<'a> {
    peer: &'a Peer,
    comm: OnceCell<Option<String>>,
    cgroup: OnceCell<Option<String>>,
    exe: OnceCell<Exe>,
    exe_sha256: OnceCell<Option<[u8; 32]>>,
}

impl Peer {
    /// One look at the peer, to be held against many policies.
    pub fn examine(&self) -> Examination<'_> {
        Examination::new(self)
    }

    /// Everything, proven.
    pub fn process(&self) -> Result<PeerProcess, PeerError> {
        self.examine().process()
    }

    /// Does the peer meet the policy? Reads only what the policy asks for. `Ok(Err(denied))` names the first condition
    /// that fails; `Err(Gone)` when the peer died, or became another program, meanwhile.
    pub fn check(&self, policy: &PeerPolicy) -> Result<Result<(), Denied>, PeerError> {
        self.examine().check(policy)
    }
}

impl<'a> Examination<'a> {
    /// Nothing is read yet.
    pub fn new(peer: &'a Peer) -> Examination<'a> {
        Examination {
            peer,
            comm: OnceCell::new(),
            cgroup: OnceCell::new(),
            exe: OnceCell::new(),
            exe_sha256: OnceCell::new(),
        }
    }

    /// Does the peer meet the policy? `Ok(Err(denied))` names the first condition that does not hold;
    /// `Err(PeerError::Gone)` when the peer died meanwhile.
    pub fn check(&self, policy: &PeerPolicy) -> Result<Result<(), Denied>, PeerError> {
        policy.evaluate(self)
    }

    /// Everything about the process (except the hash, which only a policy asks for).
    pub fn process(&self) -> Result<PeerProcess, PeerError> {
        let start = self.peer.start_time()?;
        Ok(PeerProcess {
            credentials: self.credentials().clone(),
            exe: self.exe()?,
            process: self.comm()?,
            start_ticks: start.ticks,
            start_time_ms: start.unix_ms,
            cgroup: self.cgroup()?,
        })
    }

    /// The name of the process; `None` where it cannot be seen.
    pub fn comm(&self) -> Result<Option<String>, PeerError> {
        known(&self.comm, || self.peer.name())
    }

    /// The executable.
    pub fn exe(&self) -> Result<Exe, PeerError> {
        known(&self.exe, || self.peer.exe())
    }
}

impl Facts for Examination<'_> {
    fn ids(&self) -> PeerIds {
        self.peer.ids()
    }
    fn credentials(&self) -> &PeerCredentials {
        self.peer.credentials()
    }
    fn comm(&self) -> Result<Option<String>, PeerError> {
        Examination::comm(self)
    }
    fn cgroup(&self) -> Result<Option<String>, PeerError> {
        known(&self.cgroup, || self.peer.cgroup())
    }
    fn exe(&self) -> Result<Exe, PeerError> {
        Examination::exe(self)
    }
    fn exe_sha256(&self) -> Result<Option<[u8; 32]>, PeerError> {
        known(&self.exe_sha256, || self.peer.exe_sha256())
    }
}

fn known<T: Clone>(cell: &OnceCell<T>, read: impl FnOnce() -> Result<T, PeerError>) -> Result<T, PeerError> {
    if let Some(value) = cell.get() {
        return Ok(value.clone());
    }
    let value = read()?;
    Ok(cell.get_or_init(|| value).clone())
}
