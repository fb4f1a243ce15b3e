use std::fmt;
use std::path::{Path, PathBuf};

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

impl Exe {
    /// The path, if it was proven: the only one a decision may rest on.
    pub fn proven(&self) -> Option<&Path> {
        match self {
            Exe::Proven(path) => Some(path),
            Exe::Doubtful(..) | Exe::Unknown(_) => None,
        }
    }

    /// The path as the kernel printed it, believed or not: for a human to read, never to decide on.
    pub fn printed(&self) -> Option<&Path> {
        match self {
            Exe::Proven(path) | Exe::Doubtful(path, _) => Some(path),
            Exe::Unknown(_) => None,
        }
    }

    /// Why it is not to be believed, if it is not.
    pub fn doubt(&self) -> Option<ExeDoubt> {
        match self {
            Exe::Proven(_) => None,
            Exe::Doubtful(_, doubt) | Exe::Unknown(doubt) => Some(*doubt),
        }
    }

    /// The same path, no longer believed. What was already in doubt keeps its first reason.
    #[cfg(target_os = "linux")]
    pub(super) fn doubted(self, doubt: ExeDoubt) -> Exe {
        match self {
            Exe::Proven(path) => Exe::Doubtful(path, doubt),
            other => other,
        }
    }
}

impl fmt::Display for Exe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Exe::Proven(path) => write!(f, "{}", path.display()),
            Exe::Doubtful(path, doubt) => write!(f, "{} (not believed: {doubt})", path.display()),
            Exe::Unknown(doubt) => write!(f, "unknown ({doubt})"),
        }
    }
}

impl fmt::Display for ExeDoubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ExeDoubt::Deleted => "the file was replaced or removed since the process started",
            ExeDoubt::OtherMount => "another file has that name here: the peer sees other mounts than we do",
            ExeDoubt::NotHolder => "the process no longer holds the other end of the socket",
            ExeDoubt::Permission => "the system does not let us look",
            ExeDoubt::Unsupported => "not supported on this platform",
        })
    }
}

/// When a process started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StartTime {
    pub ticks: Option<u64>,
    pub unix_ms: Option<u64>,
}
