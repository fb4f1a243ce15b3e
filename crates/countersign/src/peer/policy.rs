mod conditions;
mod covers;
mod document;
mod text;

use std::fmt;

use super::{Exe, Group, PeerCredentials, PeerError, PeerIds, unit_of_cgroup};

pub use conditions::{PeerConditions, PeerPolicy, ProcessName, Sha256, UnitName};
pub use document::{DocumentError, GroupNameOrNumber, Plain, PolicyDocument, Shape};

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
        "`process` alone proves nothing (a process names itself): add uid, gid, group, pid, exe, exe_sha256, cgroup or \
         unit, or set allow_spoofable"
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

/// Where a policy gets the facts from. Each is asked for only when a condition needs it.
pub(super) trait Facts {
    fn ids(&self) -> PeerIds;
    fn credentials(&self) -> &PeerCredentials;
    fn comm(&self) -> Result<Option<String>, PeerError>;
    fn cgroup(&self) -> Result<Option<String>, PeerError>;
    fn exe(&self) -> Result<Exe, PeerError>;
    fn exe_sha256(&self) -> Result<Option<[u8; 32]>, PeerError>;
}

impl PeerPolicy {
    /// Compares from cheap to expensive, so that most refusals cost no more than the credentials.
    pub(super) fn evaluate(&self, facts: &impl Facts) -> Result<Result<(), Denied>, PeerError> {
        // All fields are named here: a new condition does not compile before it is compared.
        let PeerConditions { uid, gid, group, exe, exe_sha256, process, pid, cgroup, unit, allow_spoofable: _ } =
            &**self;
        let ids = facts.ids();
        let denied = number("uid", *uid, ids.uid)
            .or_else(|| number("gid", *gid, ids.gid))
            .or_else(|| number("pid", *pid, ids.pid))
            .or_else(|| group.as_ref().and_then(|group| outside(group, facts.credentials())));
        if let Some(denied) = denied {
            return Ok(Err(denied));
        }
        if let Some(expected) = process {
            let actual = facts.comm()?;
            if actual.as_deref() != Some(expected.as_str()) {
                return Ok(Err(Denied::new("process", expected.as_str(), actual)));
            }
        }
        if cgroup.is_some() || unit.is_some() {
            let actual = facts.cgroup()?;
            if let Some(pattern) = cgroup
                && !actual.as_ref().is_some_and(|path| pattern.matches(path.as_ref()))
            {
                return Ok(Err(Denied::new("cgroup", pattern, actual)));
            }
            if let Some(unit) = unit {
                let actual = actual.as_deref().and_then(unit_of_cgroup);
                if actual != Some(unit.as_str()) {
                    return Ok(Err(Denied::new("unit", unit.as_str(), actual)));
                }
            }
        }
        if let Some(pattern) = exe {
            let actual = facts.exe()?;
            if !actual.proven().is_some_and(|path| pattern.matches(path)) {
                return Ok(Err(Denied::new("exe", pattern, Some(actual))));
            }
        }
        if let Some(expected) = exe_sha256 {
            let actual = facts.exe_sha256()?.map(Sha256::from);
            if actual != Some(*expected) {
                return Ok(Err(Denied::new("exe_sha256", expected, actual)));
            }
        }
        Ok(Ok(()))
    }
}

fn number(field: &'static str, expected: Option<u32>, actual: Option<u32>) -> Option<Denied> {
    let expected = expected?;
    (actual != Some(expected)).then(|| Denied::new(field, expected, actual))
}

fn outside(group: &Group, credentials: &PeerCredentials) -> Option<Denied> {
    let supplementary = credentials.groups.as_deref().unwrap_or_default();
    if credentials.gid == Some(group.gid) || supplementary.contains(&group.gid) {
        return None;
    }
    let actual: Vec<String> = credentials.gid.iter().chain(supplementary).map(u32::to_string).collect();
    Some(Denied::new("group", group, (!actual.is_empty()).then(|| actual.join(", "))))
}

impl Denied {
    fn new(field: &'static str, expected: impl ToString, actual: Option<impl ToString>) -> Denied {
        let actual = actual.map_or_else(|| "unknown".to_owned(), |actual| actual.to_string());
        Denied { field, expected: expected.to_string(), actual }
    }
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: expected {}, peer has {}", self.field, self.expected, self.actual)
    }
}

impl std::error::Error for Denied {}

#[cfg(all(test, unix))]
mod tests;
