//! Processes that want to be taken for another.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say so and stop")]

mod peer_process;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use countersign::peer::{Exe, ExeDoubt, PathPattern, Peer, PeerConditions, PeerError, PeerPolicy};
use peer_process::{Stage, in_a_pid_namespace, skipped, take_over};

fn is(exe: &Path) -> PeerPolicy {
    PeerConditions { exe: Some(PathPattern::Exact(exe.into())), ..PeerConditions::default() }.build().unwrap()
}

#[test]
fn the_next_owner_of_the_pid_is_never_taken_for_the_peer() {
    if skipped("the_next_owner_of_the_pid_is_never_taken_for_the_peer")
        || !in_a_pid_namespace("the_next_owner_of_the_pid_is_never_taken_for_the_peer")
    {
        return;
    }
    let stage = Stage::new();
    let trusted = stage.copy(Path::new("/bin/sleep"), "trusted");
    let mut connected = stage.connect(&[]);
    let pid = connected.child.id();
    let untouched = Peer::of(&connected.stream).unwrap();
    let looked_at = Peer::of(&connected.stream).unwrap();
    looked_at.process().unwrap();
    connected.kill();
    let mut newcomer = take_over(pid, &trusted);
    let afterwards = Peer::of(&connected.stream).unwrap();
    for peer in [untouched, looked_at, afterwards] {
        assert_eq!(peer.credentials().pid, Some(pid));
        assert!(matches!(peer.process(), Err(PeerError::Gone)));
        assert!(matches!(peer.comm(), Err(PeerError::Gone)));
        assert!(matches!(peer.exe_sha256(), Err(PeerError::Gone)));
        assert!(matches!(peer.check(&is(&trusted)), Err(PeerError::Gone)));
        assert!(!peer.is_alive().unwrap());
    }
    // The newcomer would have passed.
    assert_eq!(Peer::of_pid(pid).unwrap().check(&is(&trusted)).unwrap(), Ok(()));
    newcomer.kill().unwrap();
    newcomer.wait().unwrap();
}

#[test]
fn a_program_started_after_connecting_does_not_inherit_the_trust() {
    let stage = Stage::new();
    let trusted = stage.copy(Path::new("/bin/sleep"), "trusted");
    let mut connected = stage.connect(&[]);
    let held_before = Peer::of(&connected.stream).unwrap();
    held_before.process().unwrap();
    connected.exec("drop", &trusted);
    expect_no_trust(&trusted, [held_before, Peer::of(&connected.stream).unwrap()]);
}

#[test]
fn a_socket_left_with_another_process_does_not_help() {
    let stage = Stage::new();
    let trusted = stage.copy(Path::new("/bin/sleep"), "trusted");
    let mut connected = stage.connect(&[]);
    let held_before = Peer::of(&connected.stream).unwrap();
    held_before.process().unwrap();
    connected.exec("leave", &trusted);
    expect_no_trust(&trusted, [held_before, Peer::of(&connected.stream).unwrap()]);
}

fn expect_no_trust(trusted: &Path, peers: [Peer; 2]) {
    for peer in peers {
        assert!(peer.is_alive().unwrap());
        assert_eq!(peer.process().unwrap().exe, Exe::Doubtful(trusted.into(), ExeDoubt::NotHolder));
        let denied = peer.check(&is(trusted)).unwrap().unwrap_err();
        assert_eq!(denied.field, "exe");
        assert!(denied.actual.contains("no longer holds"), "{denied}");
        assert_eq!(peer.exe_sha256().unwrap(), None);
    }
}

#[test]
fn a_program_that_kept_the_socket_over_exec_is_the_program_it_is() {
    let stage = Stage::new();
    let worker = stage.copy(Path::new("/bin/sleep"), "worker");
    let mut connected = stage.connect(&[]);
    connected.exec("keep", &worker);
    let peer = Peer::of(&connected.stream).unwrap();
    assert_eq!(peer.process().unwrap().exe, Exe::Proven(worker.clone()));
    assert_eq!(peer.check(&is(&worker)).unwrap(), Ok(()));
    assert_eq!(peer.check(&is(&stage.program())).unwrap().unwrap_err().field, "exe");
}

#[test]
fn a_mount_of_ones_own_does_not_make_a_trusted_program() {
    if skipped("a_mount_of_ones_own_does_not_make_a_trusted_program") {
        return;
    }
    let stage = Stage::new();
    for name in ["bin", "evil"] {
        std::fs::create_dir(stage.dir.join(name)).unwrap();
        // Whatever the umask is: another user runs what is in it.
        std::fs::set_permissions(stage.dir.join(name), std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let trusted = stage.copy(Path::new("/bin/sleep"), "bin/billing");
    stage.copy(&stage.program(), "evil/billing");
    let script = r#"mount --bind "$0/evil" "$0/bin" && exec "$0/bin/billing" "$@""#;
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid=65534", "--regid=65534", "--clear-groups", "unshare", "-Urm", "sh", "-c", script])
        .arg(&stage.dir)
        .args(Stage::arguments())
        .env("PEER_PROCESS_CONNECT", stage.dir.join("socket"))
        .stdin(Stdio::piped())
        .stdout(Stdio::null());
    let connected = stage.connect_by(command);
    // The kernel prints exactly the trusted path: that is the trap.
    let printed = std::fs::read_link(format!("/proc/{}/exe", connected.child.id())).unwrap();
    assert_eq!(printed, trusted);
    let peer = Peer::of(&connected.stream).unwrap();
    assert_eq!(peer.process().unwrap().exe, Exe::Doubtful(trusted.clone(), ExeDoubt::OtherMount));
    assert_eq!(peer.check(&is(&trusted)).unwrap().unwrap_err().field, "exe");
}

#[test]
fn a_path_that_exists_nowhere_here_is_in_doubt() {
    if skipped("a_path_that_exists_nowhere_here_is_in_doubt") {
        return;
    }
    let stage = Stage::new();
    std::fs::create_dir(stage.dir.join("private")).unwrap();
    let script =
        r#"mount -t tmpfs none "$0/private" && cp "$0/program" "$0/private/mine" && exec "$0/private/mine" "$@""#;
    let mut command = Command::new("unshare");
    command
        .args(["-m", "sh", "-c", script])
        .arg(&stage.dir)
        .args(Stage::arguments())
        .env("PEER_PROCESS_CONNECT", stage.dir.join("socket"))
        .stdin(Stdio::piped())
        .stdout(Stdio::null());
    let connected = stage.connect_by(command);
    let exe = Peer::of(&connected.stream).unwrap().process().unwrap().exe;
    assert_eq!(exe.doubt(), Some(ExeDoubt::OtherMount), "{exe}");
}

#[test]
fn an_unprivileged_observer_believes_nothing_it_may_not_see() {
    if skipped("an_unprivileged_observer_believes_nothing_it_may_not_see") {
        return;
    }
    // We connect to ourselves as root, and look as nobody: in a process of its own, for the change is for good.
    if std::env::var_os("PEER_OBSERVER").is_none() {
        let status = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "an_unprivileged_observer_believes_nothing_it_may_not_see",
                "--nocapture",
                "--test-threads=1",
            ])
            .env("PEER_OBSERVER", "1")
            .status()
            .unwrap();
        assert!(status.success());
        return;
    }
    let stage = Stage::new();
    let connected = stage.connect(&[]);
    let peer = Peer::of(&connected.stream).unwrap();
    rustix::thread::set_thread_groups(&[]).unwrap();
    rustix::thread::set_thread_gid(rustix::process::Gid::from_raw(65534)).unwrap();
    rustix::thread::set_thread_uid(rustix::process::Uid::from_raw(65534)).unwrap();
    let process = peer.process().unwrap();
    assert_eq!(process.exe, Exe::Unknown(ExeDoubt::Permission));
    assert_eq!(process.credentials.uid, Some(0));
    assert!(process.process.is_some() && process.start_ticks.is_some() && process.cgroup.is_some());
    assert_eq!(peer.exe_sha256().unwrap(), None);
    assert_eq!(peer.check(&is(&stage.program())).unwrap().unwrap_err().field, "exe");
    // Nobody may not end root's process; what is left behind ends with its standard input.
    drop(peer);
    std::process::exit(0);
}

#[test]
fn a_peer_outside_our_pid_namespace_has_no_pid() {
    if skipped("a_peer_outside_our_pid_namespace_has_no_pid") {
        return;
    }
    if std::env::var_os("PEER_BELOW").is_some() {
        // Our standard input is a socket whose other end is held by a process above us.
        let peer = Peer::of(&std::io::stdin()).unwrap();
        assert_eq!((peer.credentials().pid, peer.credentials().uid), (None, Some(0)));
        let process = peer.process().unwrap();
        assert_eq!((process.exe.doubt(), process.process), (Some(ExeDoubt::Permission), None));
        assert!(peer.comm().is_err());
        assert!(peer.is_alive().unwrap());
        return;
    }
    let stage = Stage::new();
    let connected = stage.connect(&[]);
    for proc_of in ["--mount-proc", "--fork"] {
        let status = Command::new("unshare")
            .args(["-f", "-p", "--kill-child", proc_of])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", "a_peer_outside_our_pid_namespace_has_no_pid", "--nocapture", "--test-threads=1"])
            .env("PEER_BELOW", "1")
            .stdin(Stdio::from(std::os::fd::OwnedFd::from(connected.stream.try_clone().unwrap())))
            .status()
            .unwrap();
        assert!(status.success());
    }
}

#[test]
fn a_proc_of_another_pid_namespace_is_not_asked() {
    if skipped("a_proc_of_another_pid_namespace_is_not_asked") {
        return;
    }
    if std::env::var_os("PEER_FOREIGN_PROC").is_none() {
        let status = Command::new("unshare")
            .args(["-f", "-p", "--kill-child"])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", "a_proc_of_another_pid_namespace_is_not_asked", "--nocapture", "--test-threads=1"])
            .env("PEER_FOREIGN_PROC", "1")
            .status()
            .unwrap();
        assert!(status.success());
        return;
    }
    // We are process 1 here, and /proc/1 is somebody else, very much alive.
    let (left, _right) = std::os::unix::net::UnixStream::pair().unwrap();
    let process = Peer::of(&left).unwrap().process().unwrap();
    assert_eq!(process.credentials.pid, Some(1));
    assert_eq!((process.process, process.exe), (None, Exe::Unknown(ExeDoubt::Permission)));
}
