/// What the kernel says about the process at the other end. What an OS cannot say is `None`, never 0 or -1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerCredentials {
    /// Process id in our pid namespace; `None` when the peer lives in a namespace we cannot see into.
    pub pid: Option<u32>,
    /// Effective user id.
    pub uid: Option<u32>,
    /// Effective group id.
    pub gid: Option<u32>,
    /// Supplementary groups.
    pub groups: Option<Vec<u32>>,
    /// The security label (SELinux, AppArmor, Smack), when a security module keeps one.
    pub security_label: Option<String>,
}
