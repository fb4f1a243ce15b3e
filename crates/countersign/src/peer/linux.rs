use std::os::fd::{AsFd, RawFd};

use super::{Denied, PeerCredentials, PeerError, PeerPolicy, PeerProcess};

/// A race-free hold on the process at the other end of a socket: its credentials as of connect/listen, and its
/// pidfd. What is read later is proven against that pidfd, and read only when asked for.
pub struct Peer {}

impl Peer {
    /// The peer of a connected Unix socket.
    pub fn of(_socket: &impl AsFd) -> Result<Peer, PeerError> {
        todo!()
    }
    /// The same for a bare descriptor number: a number that is not open is [`PeerError::Closed`].
    pub fn of_raw(_fd: RawFd) -> Result<Peer, PeerError> {
        todo!()
    }
    /// What the kernel recorded when the connection was made.
    pub fn credentials(&self) -> &PeerCredentials {
        todo!()
    }
    /// Everything, proven.
    pub fn process(&self) -> Result<PeerProcess, PeerError> {
        todo!()
    }
    /// Only the process name (cheap: for the answer's `process` field), proven to be the peer's.
    pub fn comm(&self) -> Result<String, PeerError> {
        todo!()
    }
    /// Does the peer meet the policy? Reads only what the policy asks for. `Ok(Err(denied))` names the first
    /// condition that fails; `Err(Gone)` when the peer died meanwhile.
    pub fn check(&self, _policy: &PeerPolicy) -> Result<Result<(), Denied>, PeerError> {
        todo!()
    }
    /// SHA-256 of the executable, read through the process itself and cached by file identity.
    pub fn exe_sha256(&self) -> Result<Option<[u8; 32]>, PeerError> {
        todo!()
    }
    /// Is the process still there?
    pub fn is_alive(&self) -> Result<bool, PeerError> {
        todo!()
    }
    /// A running process by pid instead of by socket (for `countersign check --as-pid`).
    pub fn of_pid(_pid: u32) -> Result<Peer, PeerError> {
        todo!()
    }
}
