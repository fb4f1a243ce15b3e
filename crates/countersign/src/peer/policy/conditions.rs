use std::fmt;
use std::ops::Deref;

use super::PolicyError;
use crate::peer::unit::is_unit_name;
use crate::peer::{Group, PathPattern};

/// The conditions of a policy before they are checked as a whole: fill in the fields, then [`PeerConditions::build`].
///
/// ```
/// use countersign::peer::PeerConditions;
///
/// let policy = PeerConditions { uid: Some(1001), ..PeerConditions::default() }.build()?;
/// assert_eq!(policy.to_string(), "uid 1001");
/// assert!(PeerConditions::default().build().is_err());
/// # Ok::<(), countersign::peer::PolicyError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PeerConditions {
    /// Effective user id.
    pub uid: Option<u32>,
    /// Effective (primary) group id.
    pub gid: Option<u32>,
    /// A group the peer is in, as primary or supplementary group.
    pub group: Option<Group>,
    /// The executable: exact path, or a directory with trailing `/*` (everything below it).
    pub exe: Option<PathPattern>,
    /// SHA-256 of the executable, read through the process itself.
    pub exe_sha256: Option<Sha256>,
    /// The process name; spoofable, see `allow_spoofable`.
    pub process: Option<ProcessName>,
    /// The process id.
    pub pid: Option<u32>,
    /// The control group: exact path, or trailing `/*`.
    pub cgroup: Option<PathPattern>,
    /// The systemd system unit of the process, derived from the control group.
    pub unit: Option<UnitName>,
    /// Accept a policy that rests on `process` alone.
    pub allow_spoofable: bool,
}

/// Conditions a peer must meet. Every condition given must hold, and there is at least one that the kernel vouches for
/// (or `allow_spoofable`). Made with [`PeerConditions::build`]; its conditions can be read, and not changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerPolicy(PeerConditions);

impl Deref for PeerPolicy {
    type Target = PeerConditions;

    fn deref(&self) -> &PeerConditions {
        &self.0
    }
}

impl PeerConditions {
    /// The policy, if it can mean something: at least one condition, not `process` alone (unless `allow_spoofable`),
    /// and absolute paths.
    pub fn build(self) -> Result<PeerPolicy, PolicyError> {
        // All fields are named here: a new condition does not compile before it is decided what it proves.
        let PeerConditions { uid, gid, group, exe, exe_sha256, process, pid, cgroup, unit, allow_spoofable } = &self;
        let proven_by_kernel = uid.is_some()
            || gid.is_some()
            || group.is_some()
            || exe.is_some()
            || exe_sha256.is_some()
            || pid.is_some()
            || cgroup.is_some()
            || unit.is_some();
        if !proven_by_kernel && process.is_none() {
            return Err(PolicyError::Empty);
        }
        if !proven_by_kernel && !allow_spoofable {
            return Err(PolicyError::Spoofable);
        }
        if let Some(exe) = exe {
            exe.validate("exe")?;
        }
        if let Some(cgroup) = cgroup {
            cgroup.validate("cgroup")?;
        }
        if *pid == Some(0) {
            return Err(PolicyError::Invalid { field: "pid", reason: "no process has the id 0".to_owned() });
        }
        Ok(PeerPolicy(self))
    }
}

impl PeerPolicy {
    /// What is left without the hash of the executable; `None` when the hash is all the policy asks for.
    pub fn without_hash(&self) -> Option<PeerPolicy> {
        // What is left may be the name alone; the hash is still required in addition.
        PeerConditions { exe_sha256: None, allow_spoofable: true, ..self.0.clone() }.build().ok()
    }
}

/// The name of a systemd unit that processes run in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitName(String);

impl UnitName {
    /// Checks the name: a stem, and one of `.service`, `.scope`, `.socket`, `.mount`, `.swap`.
    pub fn parse(name: &str) -> Result<UnitName, PolicyError> {
        if is_unit_name(name) {
            return Ok(UnitName(name.to_owned()));
        }
        let reason =
            format!("{name:?} is not the name of a unit processes run in (.service, .scope, .socket, .mount, .swap)");
        Err(PolicyError::Invalid { field: "unit", reason })
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The name of a process, as the kernel keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessName(String);

impl ProcessName {
    /// Checks the length: the kernel keeps 1 to 15 bytes.
    pub fn parse(name: &str) -> Result<ProcessName, PolicyError> {
        if (1..=15).contains(&name.len()) {
            return Ok(ProcessName(name.to_owned()));
        }
        let reason = format!("{name:?} cannot match: the kernel keeps 1 to 15 bytes of a process name");
        Err(PolicyError::Invalid { field: "process", reason })
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The SHA-256 of an executable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sha256([u8; 32]);

impl Sha256 {
    /// Reads 64 hexadecimal digits.
    pub fn parse(text: &str) -> Result<Sha256, PolicyError> {
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
        Ok(Sha256(hash))
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<[u8; 32]> for Sha256 {
    fn from(hash: [u8; 32]) -> Sha256 {
        Sha256(hash)
    }
}

/// 64 hexadecimal digits.
impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
