/// The kinds of systemd unit that have processes of their own. (A slice has only other units in it.)
const KINDS: [&str; 5] = [".service", ".scope", ".socket", ".mount", ".swap"];

/// The systemd system unit a control group path belongs to: the first component that is not a slice, as
/// `sd_pid_get_unit` tells it.
///
/// Only that one counts. What comes after it may have been made by the user the unit was delegated to: every user
/// can create a `foo.service` below `user@1000.service`, and all of those are `user@1000.service` here.
pub fn unit_of_cgroup(path: &str) -> Option<&str> {
    let first = path.strip_prefix('/')?.split('/').find(|part| !is_unit(part, ".slice"))?;
    // systemd escapes names the kernel would take for its own with one underscore.
    let name = first.strip_prefix('_').unwrap_or(first);
    is_unit_name(name).then_some(name)
}

/// Is this the name of a unit that processes run in?
pub(super) fn is_unit_name(name: &str) -> bool {
    KINDS.iter().any(|kind| is_unit(name, kind))
}

fn is_unit(name: &str, kind: &str) -> bool {
    name.strip_suffix(kind).is_some_and(|stem| {
        !stem.is_empty()
            && !stem.starts_with('@')
            && name.len() <= 255
            && stem.bytes().all(|byte| byte.is_ascii_alphanumeric() || b":-_.\\@".contains(&byte))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_component_that_is_no_slice_is_the_unit() {
        for (path, unit) in [
            ("/system.slice/billing.service", Some("billing.service")),
            ("/system.slice/billing.service/worker", Some("billing.service")),
            ("/system.slice/system-getty.slice/getty@tty1.service", Some("getty@tty1.service")),
            ("/user.slice/user-1000.slice/user@1000.service/app.slice/foo.service", Some("user@1000.service")),
            ("/user.slice/user-1000.slice/session-3.scope", Some("session-3.scope")),
            ("/init.scope", Some("init.scope")),
            ("/system.slice/docker-abc.scope", Some("docker-abc.scope")),
            ("/system.slice/_cpu.service", Some("cpu.service")),
            ("/system.slice/dev-hugepages.mount", Some("dev-hugepages.mount")),
            ("/docker/abc/foo.service", None),
            ("/../foo.service", None),
            ("/system.slice", None),
            ("/user.slice/user-1000.slice", None),
            ("/", None),
            ("", None),
            ("foo.service", None),
            ("/.service", None),
            ("/@x.service", None),
            ("/a b.service", None),
            ("/.slice/foo.service", None),
            ("//foo.service", None),
        ] {
            assert_eq!(unit_of_cgroup(path), unit, "{path}");
        }
    }
}
