use std::ops::Deref;

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

/// The three numbers of [`PeerCredentials`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerIds {
    /// Process id in our pid namespace; `None` when the peer lives in a namespace we cannot see into.
    pub pid: Option<u32>,
    /// Effective user id.
    pub uid: Option<u32>,
    /// Effective group id.
    pub gid: Option<u32>,
}

impl PeerCredentials {
    /// Only the numbers.
    pub fn ids(&self) -> PeerIds {
        PeerIds { pid: self.pid, uid: self.uid, gid: self.gid }
    }
}

/// [`PeerCredentials`] laid out to live on the stack, for callers that ask thousands of times a second.
#[derive(Debug, Clone)]
pub struct InlineCredentials {
    /// Process id in our pid namespace; `None` when the peer lives in a namespace we cannot see into.
    pub pid: Option<u32>,
    /// Effective user id.
    pub uid: Option<u32>,
    /// Effective group id.
    pub gid: Option<u32>,
    /// Supplementary groups.
    pub groups: Option<GroupList>,
    /// The security label (SELinux, AppArmor, Smack), when a security module keeps one.
    pub security_label: Option<String>,
}

impl From<InlineCredentials> for PeerCredentials {
    fn from(inline: InlineCredentials) -> PeerCredentials {
        PeerCredentials {
            pid: inline.pid,
            uid: inline.uid,
            gid: inline.gid,
            groups: inline.groups.map(|groups| groups.to_vec()),
            security_label: inline.security_label,
        }
    }
}

/// A list of group ids that stays off the heap while it is short, as nearly all are. It reads as a slice.
#[derive(Debug, Clone)]
pub struct GroupList(Groups);

#[derive(Debug, Clone)]
enum Groups {
    Few { ids: [u32; GroupList::INLINE], len: usize },
    Many(Vec<u32>),
}

impl GroupList {
    /// How many ids fit without an allocation.
    pub const INLINE: usize = 32;

    /// A list out of a buffer of which the first `len` ids count (no more than the buffer holds).
    pub fn few(ids: [u32; GroupList::INLINE], len: usize) -> GroupList {
        GroupList(Groups::Few { ids, len: len.min(GroupList::INLINE) })
    }

    /// A list of any length.
    pub fn many(ids: Vec<u32>) -> GroupList {
        GroupList(Groups::Many(ids))
    }
}

impl Deref for GroupList {
    type Target = [u32];

    fn deref(&self) -> &[u32] {
        match &self.0 {
            Groups::Few { ids, len } => &ids[..*len],
            Groups::Many(ids) => ids,
        }
    }
}
