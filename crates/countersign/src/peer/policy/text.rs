use std::fmt;

use super::{PeerConditions, PeerPolicy};

/// The conditions in words, for people: `uid 1001, exe /usr/bin/billing`.
impl fmt::Display for PeerPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // All fields are named here: a new condition does not compile before it has words.
        let PeerConditions { uid, gid, group, exe, exe_sha256, process, pid, cgroup, unit, allow_spoofable: _ } =
            &**self;
        let conditions = [
            uid.map(|uid| format!("uid {uid}")),
            gid.map(|gid| format!("gid {gid}")),
            group.as_ref().map(|group| format!("group {group}")),
            pid.map(|pid| format!("pid {pid}")),
            process.as_ref().map(|process| format!("process {:?}", process.as_str())),
            cgroup.as_ref().map(|cgroup| format!("cgroup {cgroup}")),
            unit.as_ref().map(|unit| format!("unit {}", unit.as_str())),
            exe.as_ref().map(|exe| format!("exe {exe}")),
            exe_sha256.map(|hash| format!("exe_sha256 {hash}")),
        ];
        let words: Vec<String> = conditions.into_iter().flatten().collect();
        f.write_str(&words.join(", "))
    }
}
