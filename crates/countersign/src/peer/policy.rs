use std::fmt;

use super::unit::is_unit_name;
use super::{Exe, Group, PathPattern, PeerCredentials, PeerError, PeerIds, unit_of_cgroup};

/// Conditions a peer must meet. Every condition given must hold; a policy that asks for nothing accepts nobody.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
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
        "`process` alone proves nothing (a process names itself): add uid, gid, group, pid, exe, exe_sha256, cgroup or unit, or set allow_spoofable"
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
    /// The policy, if it can mean something: at least one condition, not `process` alone (unless
    /// `allow_spoofable`), absolute paths, a real unit name. Do this once, where the policy is read.
    pub fn validated(self) -> Result<PeerPolicy, PolicyError> {
        self.rests_on_something()?;
        if let Some(exe) = &self.exe {
            exe.validate("exe")?;
        }
        if let Some(cgroup) = &self.cgroup {
            cgroup.validate("cgroup")?;
        }
        if let Some(unit) = &self.unit
            && !is_unit_name(unit)
        {
            let reason = format!(
                "{unit:?} is not the name of a unit processes run in (.service, .scope, .socket, .mount, .swap)"
            );
            return Err(PolicyError::Invalid { field: "unit", reason });
        }
        if let Some(process) = &self.process
            && !(1..=15).contains(&process.len())
        {
            let reason = format!("{process:?} cannot match: the kernel keeps 1 to 15 bytes of a process name");
            return Err(PolicyError::Invalid { field: "process", reason });
        }
        if self.pid == Some(0) {
            return Err(PolicyError::Invalid { field: "pid", reason: "no process has the id 0".to_owned() });
        }
        Ok(self)
    }

    /// Is there a condition, and one that the peer cannot meet by merely saying so?
    fn rests_on_something(&self) -> Result<(), PolicyError> {
        let vouched_for = self.uid.is_some()
            || self.gid.is_some()
            || self.group.is_some()
            || self.exe.is_some()
            || self.exe_sha256.is_some()
            || self.pid.is_some()
            || self.cgroup.is_some()
            || self.unit.is_some();
        if !vouched_for && self.process.is_none() {
            return Err(PolicyError::Empty);
        }
        if !vouched_for && !self.allow_spoofable {
            return Err(PolicyError::Spoofable);
        }
        Ok(())
    }

    /// Reads the 64 hexadecimal digits of an `exe_sha256`.
    pub fn parse_sha256(text: &str) -> Result<[u8; 32], PolicyError> {
        let invalid =
            || PolicyError::Invalid { field: "exe_sha256", reason: format!("{text:?} is not 64 hexadecimal digits") };
        // Digit by digit: `from_str_radix` would take a `+` as well.
        let digit = |byte: u8| (byte as char).to_digit(16).ok_or_else(invalid);
        let bytes = text.as_bytes();
        if bytes.len() != 64 {
            return Err(invalid());
        }
        let mut hash = [0; 32];
        for (slot, pair) in hash.iter_mut().zip(bytes.chunks_exact(2)) {
            *slot = (digit(pair[0])? << 4 | digit(pair[1])?) as u8;
        }
        Ok(hash)
    }

    /// Compares from cheap to dear, so that most refusals cost no more than the credentials.
    pub(super) fn judge(&self, facts: &impl Facts) -> Result<Result<(), Denied>, PeerError> {
        // Policies can be put together without `validated`; one that asks for nothing must not accept everybody.
        if let Err(error) = self.rests_on_something() {
            let expected = "a condition the kernel vouches for".to_owned();
            return Ok(Err(Denied { field: "policy", expected, actual: error.to_string() }));
        }
        let ids = facts.ids();
        let denied = number("uid", self.uid, ids.uid)
            .or_else(|| number("gid", self.gid, ids.gid))
            .or_else(|| number("pid", self.pid, ids.pid))
            .or_else(|| self.group.as_ref().and_then(|group| outside(group, facts.credentials())));
        if let Some(denied) = denied {
            return Ok(Err(denied));
        }
        if let Some(expected) = &self.process {
            let actual = facts.comm()?;
            if actual.as_ref() != Some(expected) {
                return Ok(Err(Denied::new("process", expected, actual)));
            }
        }
        if self.cgroup.is_some() || self.unit.is_some() {
            let actual = facts.cgroup()?;
            if let Some(pattern) = &self.cgroup
                && !actual.as_ref().is_some_and(|path| pattern.matches(path.as_ref()))
            {
                return Ok(Err(Denied::new("cgroup", pattern, actual)));
            }
            if let Some(unit) = &self.unit {
                let actual = actual.as_deref().and_then(unit_of_cgroup);
                if actual != Some(unit) {
                    return Ok(Err(Denied::new("unit", unit, actual)));
                }
            }
        }
        if let Some(pattern) = &self.exe {
            let actual = facts.exe()?;
            if !actual.proven().is_some_and(|path| pattern.matches(path)) {
                return Ok(Err(Denied::new("exe", pattern, Some(actual))));
            }
        }
        if let Some(expected) = &self.exe_sha256 {
            let actual = facts.exe_sha256()?;
            if actual.as_ref() != Some(expected) {
                return Ok(Err(Denied::new("exe_sha256", hex(expected), actual.as_ref().map(hex))));
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

fn hex(bytes: &[u8; 32]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
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

mod text;

#[cfg(all(test, unix))]
mod tests;
