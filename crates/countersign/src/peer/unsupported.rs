//! Systems that have no way to ask for the peer.

use super::process::StartTime;
use super::{Exe, InlineCredentials, PeerCredentials, PeerError, PeerIds};

/// How this system names a socket.
pub type RawSocket = i32;

const WHAT: &str = "telling the peer of a local socket";

pub(super) fn credentials(_socket: RawSocket) -> Result<InlineCredentials, PeerError> {
    Err(PeerError::Unsupported(WHAT))
}

/// The process at the other end of a socket. Here, none can be had.
pub enum Peer {}

impl Peer {
    /// Always [`PeerError::Unsupported`].
    #[cfg(unix)]
    pub fn of(_socket: &impl std::os::fd::AsFd) -> Result<Peer, PeerError> {
        Err(PeerError::Unsupported(WHAT))
    }
    /// Always [`PeerError::Unsupported`].
    pub fn of_raw(_socket: RawSocket) -> Result<Peer, PeerError> {
        Err(PeerError::Unsupported(WHAT))
    }
    /// Always [`PeerError::Unsupported`].
    pub fn of_pid(_pid: u32) -> Result<Peer, PeerError> {
        Err(PeerError::Unsupported(WHAT))
    }
    /// What the kernel recorded when the connection was made: the numbers alone.
    pub fn ids(&self) -> PeerIds {
        match *self {}
    }
    /// The same with the groups and the security label.
    pub fn credentials(&self) -> &PeerCredentials {
        match *self {}
    }
    /// The process name.
    pub fn comm(&self) -> Result<String, PeerError> {
        match *self {}
    }
    /// SHA-256 of the executable.
    pub fn exe_sha256(&self) -> Result<Option<[u8; 32]>, PeerError> {
        match *self {}
    }
    /// Is the process still there?
    pub fn is_alive(&self) -> Result<bool, PeerError> {
        match *self {}
    }
    pub(super) fn name(&self) -> Result<Option<String>, PeerError> {
        match *self {}
    }
    pub(super) fn cgroup(&self) -> Result<Option<String>, PeerError> {
        match *self {}
    }
    pub(super) fn exe(&self) -> Result<Exe, PeerError> {
        match *self {}
    }
    pub(super) fn start_time(&self) -> Result<StartTime, PeerError> {
        match *self {}
    }
}
