use std::path::PathBuf;

use super::PeerCredentials;

/// The process at the other end; everything in here was proven to belong to the peer, or is absent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerProcess {
    /// What the kernel vouched for when the connection was made.
    pub credentials: PeerCredentials,
    /// The executable.
    pub exe: Exe,
    /// The process name (`comm`): the process can set it itself, so it proves nothing.
    pub process: Option<String>,
    /// Start time in clock ticks since boot (with the pid: the identity of a process).
    pub start_ticks: Option<u64>,
    /// Start time in milliseconds since the Unix epoch.
    pub start_time_ms: Option<u64>,
    /// The control group path.
    pub cgroup: Option<String>,
}

/// The executable of a peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exe {
    /// The path, and the file of that name in our own mount namespace is the very file the peer runs.
    Proven(PathBuf),
    /// A path the kernel printed but that must not be matched against.
    Doubtful(PathBuf, ExeDoubt),
    /// Nothing could be read.
    Unknown(ExeDoubt),
}

/// Why an executable path is not to be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExeDoubt {
    /// The file was replaced or removed since the process started.
    Deleted,
    /// The path names another file (or none) in our mount namespace: the peer lives in one of its own.
    OtherMount,
    /// The process no longer holds the other end of this socket (it ran another program, or passed it on).
    NotHolder,
    /// The kernel does not let us look.
    Permission,
    /// This operating system cannot say.
    Unsupported,
}
