use super::{PeerConditions, PeerPolicy};
use crate::peer::{Group, PathPattern};

impl PeerPolicy {
    /// Does every process that meets `narrow` meet this policy as well? Only what the conditions alone can tell.
    pub fn covers(&self, narrow: &PeerPolicy) -> bool {
        fn same<T: PartialEq>(wide: &Option<T>, narrow: &Option<T>) -> bool {
            wide.is_none() || wide == narrow
        }
        // All fields are named here: a new condition does not compile before it is compared.
        let PeerConditions { uid, gid, group, exe, exe_sha256, process, pid, cgroup, unit, allow_spoofable: _ } =
            &**self;
        same(uid, &narrow.uid)
            && same(gid, &narrow.gid)
            && covers_group(group.as_ref(), narrow)
            && covers_path(exe.as_ref(), narrow.exe.as_ref())
            && same(exe_sha256, &narrow.exe_sha256)
            && same(process, &narrow.process)
            && same(pid, &narrow.pid)
            && covers_path(cgroup.as_ref(), narrow.cgroup.as_ref())
            && same(unit, &narrow.unit)
    }
}

/// The primary group is one of the groups a process is in.
fn covers_group(wide: Option<&Group>, narrow: &PeerPolicy) -> bool {
    let Some(wide) = wide else { return true };
    narrow.gid == Some(wide.gid) || narrow.group.as_ref().is_some_and(|narrow| narrow.gid == wide.gid)
}

fn covers_path(wide: Option<&PathPattern>, narrow: Option<&PathPattern>) -> bool {
    match (wide, narrow) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(PathPattern::Exact(wide)), Some(PathPattern::Exact(narrow))) => wide == narrow,
        (Some(PathPattern::Exact(_)), Some(PathPattern::Below(_))) => false,
        (Some(PathPattern::Below(wide)), Some(PathPattern::Exact(narrow))) => {
            narrow != wide && narrow.starts_with(wide)
        }
        (Some(PathPattern::Below(wide)), Some(PathPattern::Below(narrow))) => narrow.starts_with(wide),
    }
}
