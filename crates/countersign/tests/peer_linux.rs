//! What is told about an honest peer, and what is said when there is none.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say so and stop")]

mod peer_process;

use std::fs::{self, File};
use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::process::Command;

use countersign::peer::{
    self, Exe, ExeDoubt, Group, PathPattern, Peer, PeerConditions, PeerError, ProcessName, Sha256, UnitName,
};
use peer_process::{Stage, skipped, wait_until};

fn not_a_unix_socket(fd: RawFd) -> &'static str {
    let answers = [peer::credentials(fd).err(), Peer::of_raw(fd).err(), peer::credentials_inline(fd).err()];
    let mut reasons = answers.map(|error| match error {
        Some(PeerError::NotAUnixSocket(reason)) => reason,
        other => panic!("{other:?}"),
    });
    reasons.sort();
    assert_eq!(reasons[0], reasons[2]);
    reasons[0]
}

#[test]
fn what_is_no_connected_unix_socket_is_a_typed_error() {
    for fd in [-1, 9999, RawFd::MIN, RawFd::MAX] {
        assert!(matches!(peer::credentials(fd), Err(PeerError::Closed)), "{fd}");
        assert!(matches!(Peer::of_raw(fd), Err(PeerError::Closed)), "{fd}");
    }
    let file = File::open("/dev/null").unwrap();
    assert_eq!(not_a_unix_socket(file.as_raw_fd()), "not a socket");
    let (pipe, _writer) = std::io::pipe().unwrap();
    assert_eq!(not_a_unix_socket(pipe.as_raw_fd()), "not a socket");

    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let connected = TcpStream::connect(tcp.local_addr().unwrap()).unwrap();
    let unconnected =
        rustix::net::socket(rustix::net::AddressFamily::INET, rustix::net::SocketType::STREAM, None).unwrap();
    for fd in [tcp.as_raw_fd(), connected.as_raw_fd(), unconnected.as_raw_fd()] {
        assert_eq!(not_a_unix_socket(fd), "a socket of another family");
    }

    let stage = Stage::new();
    assert_eq!(not_a_unix_socket(stage.listener.as_raw_fd()), "listening, not connected");
    let fresh = rustix::net::socket(rustix::net::AddressFamily::UNIX, rustix::net::SocketType::STREAM, None).unwrap();
    assert_eq!(not_a_unix_socket(fresh.as_raw_fd()), "not connected");
    assert_eq!(not_a_unix_socket(UnixDatagram::unbound().unwrap().as_raw_fd()), "not connected");
    let receiver = UnixDatagram::bind(stage.dir.join("datagrams")).unwrap();
    let sender = UnixDatagram::unbound().unwrap();
    sender.connect(stage.dir.join("datagrams")).unwrap();
    assert_eq!(not_a_unix_socket(sender.as_raw_fd()), "a datagram socket has no peer credentials");
    drop(receiver);
}

#[test]
fn a_socket_closed_meanwhile_is_closed() {
    let (left, _right) = UnixStream::pair().unwrap();
    let fd = rustix::io::fcntl_dupfd_cloexec(&left, 700).unwrap();
    let number = fd.as_raw_fd();
    assert!(peer::credentials(number).is_ok());
    drop(fd);
    assert!(matches!(peer::credentials(number), Err(PeerError::Closed)));
}

#[test]
fn a_socket_pair_is_ourselves() {
    let (left, _right) = UnixStream::pair().unwrap();
    let peer = Peer::of(&left).unwrap();
    let process = peer.process().unwrap();
    assert_eq!(process.credentials.pid, Some(std::process::id()));
    assert_eq!(process.exe, Exe::Proven(std::env::current_exe().unwrap()));
    assert_eq!(process.process, peer.comm().ok());
    assert!(peer.is_alive().unwrap());
    assert_eq!(*peer.credentials(), peer::credentials(left.as_raw_fd()).unwrap());
}

#[test]
fn both_sides_of_a_connection_tell_the_other() {
    let stage = Stage::new();
    let client = UnixStream::connect(stage.dir.join("socket")).unwrap();
    let (server, _) = stage.listener.accept().unwrap();
    for end in [&client, &server] {
        let peer = Peer::of(end).unwrap();
        assert_eq!(peer.exe_proven(), Some(std::env::current_exe().unwrap()));
    }
    // A peer that closed its end is still told, by what the kernel recorded: but no longer as the program.
    drop(client);
    let peer = Peer::of(&server).unwrap();
    assert_eq!(peer.credentials().pid, Some(std::process::id()));
    assert_eq!(peer.process().unwrap().exe.doubt(), Some(ExeDoubt::NotHolder));
}

trait Proven {
    fn exe_proven(&self) -> Option<std::path::PathBuf>;
}

impl Proven for Peer {
    fn exe_proven(&self) -> Option<std::path::PathBuf> {
        self.process().unwrap().exe.proven().map(Into::into)
    }
}

#[test]
fn another_user_is_told_with_all_groups() {
    if skipped("another_user_is_told_with_all_groups") {
        return;
    }
    let stage = Stage::new();
    let many: Vec<u32> = (2000..2100).collect();
    for groups in [vec![], vec![7, 4_000_000_000], many] {
        let list = groups.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
        let groups_option = if groups.is_empty() { "--clear-groups".to_owned() } else { format!("--groups={list}") };
        let peer = stage.connect(&["setpriv", "--reuid=1001", "--regid=1002", &groups_option]);
        let told = peer::credentials(peer.stream.as_raw_fd()).unwrap();
        assert_eq!((told.pid, told.uid, told.gid), (Some(peer.child.id()), Some(1001), Some(1002)));
        assert_eq!(told.groups.as_deref(), Some(&groups[..]));
        let inline = peer::credentials_inline(peer.stream.as_raw_fd()).unwrap();
        assert_eq!(inline.groups.as_deref(), Some(&groups[..]));
        assert_eq!(*Peer::of(&peer.stream).unwrap().credentials(), told);
        let looked_up = Peer::of_pid(peer.child.id()).unwrap();
        assert_eq!(*looked_up.credentials(), told);
        assert_eq!(looked_up.process().unwrap().exe, Exe::Proven(stage.program()));
    }
}

#[test]
fn the_label_is_what_the_kernel_says() {
    let (left, _right) = UnixStream::pair().unwrap();
    let label = Peer::of(&left).unwrap().credentials().security_label.clone();
    let ours = fs::read_to_string("/proc/self/attr/current").unwrap_or_default();
    let ours = ours.trim_end_matches(['\0', '\n']);
    assert_eq!(label.as_deref().unwrap_or_default(), ours);
}

#[test]
fn the_process_is_told_and_holds_against_policies() {
    if skipped("the_process_is_told_and_holds_against_policies") {
        return;
    }
    let stage = Stage::new();
    let connected = stage.connect(&["setpriv", "--reuid=1001", "--regid=1002", "--clear-groups"]);
    let pid = connected.child.id();
    let peer = Peer::of(&connected.stream).unwrap();
    let process = peer.process().unwrap();
    assert_eq!(process.exe, Exe::Proven(stage.program()));
    let comm = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap();
    assert_eq!(process.process.as_deref(), Some(comm.trim()));
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let ticks = stat.rsplit_once(')').unwrap().1.split_whitespace().nth(19).unwrap().parse().unwrap();
    assert_eq!(process.start_ticks, Some(ticks));
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as u64;
    assert!(process.start_time_ms.unwrap().abs_diff(now) < 60_000);
    let cgroup = process.cgroup.clone().unwrap();
    assert!(fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap().contains(&cgroup));

    let sum = Command::new("sha256sum").arg(stage.program()).output().unwrap().stdout;
    let sha = Sha256::parse(std::str::from_utf8(&sum[..64]).unwrap()).unwrap();
    assert_eq!(peer.exe_sha256().unwrap().as_ref(), Some(sha.as_bytes()));
    assert_eq!(peer.exe_sha256().unwrap().as_ref(), Some(sha.as_bytes()));

    let everything = PeerConditions {
        uid: Some(1001),
        gid: Some(1002),
        group: Some(Group::from(1002)),
        exe: Some(PathPattern::parse("exe", stage.program().to_str().unwrap()).unwrap()),
        exe_sha256: Some(sha),
        process: Some(ProcessName::parse(process.process.as_deref().unwrap()).unwrap()),
        pid: Some(pid),
        cgroup: Some(PathPattern::Exact(cgroup.into())),
        unit: None,
        allow_spoofable: false,
    };
    assert_eq!(peer.check(&everything.clone().build().unwrap()).unwrap(), Ok(()));
    let below = format!("{}/*", stage.dir.display());
    let elsewhere = |text| Some(PathPattern::parse("exe", text).unwrap());
    assert_eq!(
        peer.check(&PeerConditions { exe: elsewhere(&below), ..everything.clone() }.build().unwrap()).unwrap(),
        Ok(())
    );
    for (policy, field) in [
        (PeerConditions { uid: Some(0), ..everything.clone() }, "uid"),
        (PeerConditions { gid: Some(0), ..everything.clone() }, "gid"),
        (PeerConditions { group: Some(Group::named("root").unwrap()), ..everything.clone() }, "group"),
        (PeerConditions { exe: elsewhere("/usr/bin/*"), ..everything.clone() }, "exe"),
        (PeerConditions { exe_sha256: Some([0; 32].into()), ..everything.clone() }, "exe_sha256"),
        (PeerConditions { process: ProcessName::parse("other").ok(), ..everything.clone() }, "process"),
        (PeerConditions { pid: Some(1), ..everything.clone() }, "pid"),
        (PeerConditions { cgroup: elsewhere("/no/such"), ..everything.clone() }, "cgroup"),
        (PeerConditions { unit: UnitName::parse("no-such.service").ok(), ..everything.clone() }, "unit"),
    ] {
        assert_eq!(peer.check(&policy.build().unwrap()).unwrap().unwrap_err().field, field);
    }
    let denied = peer.check(&PeerConditions { uid: Some(0), ..everything }.build().unwrap()).unwrap().unwrap_err();
    assert_eq!(denied.to_string(), "uid: expected 0, peer has 1001");
}

#[test]
fn a_peer_with_very_many_descriptors_is_found_every_time() {
    let stage = Stage::new();
    for ballast in ["0", "900"] {
        let mut command = stage.command(&[]);
        command.env("PEER_PROCESS_BALLAST", ballast);
        let connected = stage.connect_by(command);
        for _ in 0..3 {
            assert_eq!(Peer::of(&connected.stream).unwrap().exe_proven(), Some(stage.program()));
        }
    }
}

#[test]
fn a_peer_that_ended_is_gone() {
    let stage = Stage::new();
    let mut connected = stage.connect(&[]);
    let before = Peer::of(&connected.stream).unwrap();
    assert!(before.process().is_ok());
    connected.kill();
    assert_eq!(connected.stream.read(&mut [0]).unwrap(), 0);
    let after = Peer::of(&connected.stream).unwrap();
    let policy = PeerConditions {
        uid: before.credentials().uid,
        exe: PathPattern::parse("exe", "/x").ok(),
        ..Default::default()
    };
    let policy = policy.build().unwrap();
    for peer in [before, after] {
        assert!(!peer.is_alive().unwrap());
        assert_eq!(peer.credentials().uid, Some(rustix::process::geteuid().as_raw()));
        assert!(matches!(peer.process(), Err(PeerError::Gone)));
        assert!(matches!(peer.comm(), Err(PeerError::Gone)));
        assert!(matches!(peer.exe_sha256(), Err(PeerError::Gone)));
        assert!(matches!(peer.check(&policy), Err(PeerError::Gone)));
    }
    assert!(matches!(Peer::of_pid(connected.child.id()), Err(PeerError::Gone)));
    assert!(matches!(Peer::of_pid(0), Err(PeerError::Gone)));
    assert!(matches!(Peer::of_pid(u32::MAX), Err(PeerError::Gone)));
}

#[test]
fn a_zombie_is_gone() {
    let stage = Stage::new();
    let mut connected = stage.connect(&[]);
    connected.child.kill().unwrap();
    let stat = format!("/proc/{}/stat", connected.child.id());
    wait_until(|| fs::read_to_string(&stat).unwrap().contains(") Z "));
    let seen = Peer::of(&connected.stream).unwrap().process();
    assert!(matches!(seen, Err(PeerError::Gone)), "{seen:?}");
}

#[test]
fn a_removed_or_replaced_executable_is_in_doubt() {
    let stage = Stage::new();
    let connected = stage.connect(&[]);
    let peer = Peer::of(&connected.stream).unwrap();
    let hash = peer.exe_sha256().unwrap();
    let program = stage.program();
    fs::hard_link(&program, stage.dir.join("kept")).unwrap();
    fs::remove_file(&program).unwrap();
    let deleted = Exe::Doubtful(program.clone(), ExeDoubt::Deleted);
    assert_eq!(peer.process().unwrap().exe, deleted, "another link keeps the file");
    fs::remove_file(stage.dir.join("kept")).unwrap();
    assert_eq!(peer.process().unwrap().exe, deleted);
    stage.copy(std::path::Path::new("/bin/sleep"), "program");
    assert_eq!(peer.process().unwrap().exe, deleted);
    // The hash is that of what runs, not of what has its name now.
    assert_eq!(peer.exe_sha256().unwrap(), hash);
    let policy = PeerConditions { exe: Some(PathPattern::Exact(program)), ..Default::default() }.build().unwrap();
    assert_eq!(peer.check(&policy).unwrap().unwrap_err().field, "exe");
}

#[test]
fn no_descriptor_is_left_behind() {
    let stage = Stage::new();
    let connected = stage.connect(&[]);
    let count = || {
        fs::read_dir("/proc/self/fd")
            .unwrap()
            .filter(|entry| {
                // Only what we make: other tests run beside this one.
                let link = fs::read_link(entry.as_ref().unwrap().path()).unwrap_or_default();
                link.to_str().unwrap_or_default().contains(&format!("/proc/{}", connected.child.id()))
            })
            .count()
    };
    for _ in 0..50 {
        let peer = Peer::of(&connected.stream).unwrap();
        peer.process().unwrap();
        peer.exe_sha256().unwrap();
    }
    assert_eq!(count(), 0);
    let _ = UnixListener::bind(stage.dir.join("unused"));
}
