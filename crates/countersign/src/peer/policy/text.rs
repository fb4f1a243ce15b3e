use std::fmt;

use super::PeerPolicy;

/// The conditions in words, for people: `uid 1001, exe /usr/bin/billing`.
impl fmt::Display for PeerPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let conditions = [
            self.uid.map(|uid| format!("uid {uid}")),
            self.gid.map(|gid| format!("gid {gid}")),
            self.group.as_ref().map(|group| format!("group {group}")),
            self.pid.map(|pid| format!("pid {pid}")),
            self.process.as_ref().map(|process| format!("process {process:?}")),
            self.cgroup.as_ref().map(|cgroup| format!("cgroup {cgroup}")),
            self.unit.as_ref().map(|unit| format!("unit {unit}")),
            self.exe.as_ref().map(|exe| format!("exe {exe}")),
            self.exe_sha256
                .map(|hash| hash.iter().fold("exe_sha256 ".to_owned(), |text, byte| format!("{text}{byte:02x}"))),
        ];
        let words: Vec<String> = conditions.into_iter().flatten().collect();
        f.write_str(if words.is_empty() { "nobody" } else { "" })?;
        f.write_str(&words.join(", "))
    }
}
