use std::path::PathBuf;

/// Conditions a peer must meet. Every condition given must hold; an empty policy cannot be built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerPolicy {
    /// Effective user id.
    pub uid: Option<u32>,
    /// Effective (primary) group id.
    pub gid: Option<u32>,
    /// A group the peer is in, as primary or supplementary group.
    pub group: Option<Group>,
    /// The executable: exact path, or a directory with trailing `/*` (everything below it).
    pub exe: Option<PathPattern>,
    /// SHA-256 of the executable, read through the process itself.
    pub exe_sha256: Option<[u8; 32]>,
    /// The process name; spoofable, see `allow_spoofable`.
    pub process: Option<String>,
    /// The process id.
    pub pid: Option<u32>,
    /// The control group: exact path, or trailing `/*`.
    pub cgroup: Option<PathPattern>,
    /// The systemd system unit the process runs in, told from the control group.
    pub unit: Option<String>,
    /// Accept a policy that rests on `process` alone.
    pub allow_spoofable: bool,
}

/// A group by number, with the name it was given by, if any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// The number that is compared.
    pub gid: u32,
    /// The name it was looked up from.
    pub name: Option<String>,
}

/// An exact path, or everything below a directory (`/opt/acme/*`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathPattern {
    /// Exactly this path.
    Exact(PathBuf),
    /// Any path below this directory, at any depth.
    Below(PathBuf),
}

/// The condition that did not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denied {
    /// The name of the field in the policy (`uid`, `exe`, ...).
    pub field: &'static str,
    /// What the policy asks for.
    pub expected: String,
    /// What the peer is.
    pub actual: String,
}

/// Why a policy cannot be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// No condition at all: it would accept everybody.
    #[error("an empty policy would accept everybody")]
    Empty,
    /// Only `process`, which every process sets for itself.
    #[error(
        "`process` alone proves nothing (a process names itself): add uid, gid, group, exe, exe_sha256, cgroup or unit, or set allow_spoofable"
    )]
    Spoofable,
    /// A field whose value cannot mean anything.
    #[error("{field}: {reason}")]
    Invalid {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        reason: String,
    },
}
