use std::fmt;
use std::path::PathBuf;

use crate::spiffe::TrustDomain;

/// The trust domain of a development agent: the one of every example.
pub const DEV_TRUST_DOMAIN: &str = "example.org";

/// Where the rules come from.
#[derive(Clone, PartialEq, Eq)]
pub enum RulesSource {
    /// A file, watched for changes.
    File(PathBuf),
    /// TOML text; there is nothing to reload.
    Text(zeroize::Zeroizing<String>),
    /// One rule for our own user, identity `DEV`; with a path, only for processes running that executable.
    Dev {
        /// The executable that is asked for besides the user.
        exe: Option<PathBuf>,
    },
}

/// The text may hold tokens, so it is not shown.
impl fmt::Debug for RulesSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RulesSource::File(path) => f.debug_tuple("File").field(path).finish(),
            RulesSource::Text(_) => f.write_str("Text([redacted])"),
            RulesSource::Dev { exe } => f.debug_struct("Dev").field("exe", exe).finish(),
        }
    }
}

/// What was asked for on the command line about the Workload API.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::agent) struct WorkloadOverrides {
    /// The socket, instead of the one in the rules.
    pub(in crate::agent) socket: Option<PathBuf>,
    /// The trust domain, when the rules name none. It must not contradict them.
    pub(in crate::agent) trust_domain: Option<TrustDomain>,
    pub(in crate::agent) state: StateLocation,
}

/// Where the operator wants the keys to be kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::agent) enum StateLocation {
    /// In memory only.
    Memory,
    Directory(PathBuf),
    /// Where the rules say, or at the usual place.
    #[default]
    Default,
}

impl WorkloadOverrides {
    /// Does the command line alone ask for a Workload API?
    pub(super) fn ask_for_one(&self) -> bool {
        self.trust_domain.is_some() || self.socket.is_some()
    }
}
