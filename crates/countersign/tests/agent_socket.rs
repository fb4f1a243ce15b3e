//! The socket: what it is like, what it may replace, and that it is gone afterwards.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

mod agent_scene;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::sync::Barrier;

use agent_scene::{Scene, exists, is_root, own_rule};
use countersign::agent::{Agent, AgentError, BoundSocket, ListenError, SocketAccess};

const OPEN: SocketAccess = SocketAccess { mode: 0o666, owner: None, group: None };

#[track_caller]
fn refused(scene: &Scene, name: &str, says: &str) {
    let error = BoundSocket::bind(&scene.path(name), OPEN).expect_err("must be refused").to_string();
    assert!(error.contains(says), "{error}");
    assert!(!exists(&scene.path(&format!(".{name}.lock"))), "the lock is left behind");
}

#[test]
fn it_has_the_mode_and_owner_asked_for() {
    let scene = Scene::new();
    for mode in [0o666, 0o600, 0o660] {
        let socket = BoundSocket::bind(&scene.socket(), SocketAccess { mode, ..OPEN }).unwrap();
        assert_eq!(fs::symlink_metadata(scene.socket()).unwrap().mode() & 0o7777, mode);
        drop(socket);
        assert!(!exists(&scene.socket()));
    }
    if is_root("another owner") {
        let access = SocketAccess { mode: 0o660, owner: Some(1001), group: Some(1002) };
        let socket = BoundSocket::bind(&scene.socket(), access).unwrap();
        let found = fs::symlink_metadata(scene.socket()).unwrap();
        assert_eq!((found.uid(), found.gid()), (1001, 1002));
        // Dead, and given to another user by an agent that was killed: its successor may replace it.
        drop(socket);
        drop(UnixListener::bind(scene.socket()).unwrap());
        std::os::unix::fs::lchown(scene.socket(), Some(1001), Some(1002)).unwrap();
        BoundSocket::bind(&scene.socket(), access).unwrap();
    }
}

#[test]
fn missing_directories_are_made() {
    let scene = Scene::new();
    let path = scene.path("a/b/whoami.sock");
    let _socket = BoundSocket::bind(&path, OPEN).unwrap();
    for directory in ["a", "a/b"] {
        assert_eq!(fs::metadata(scene.path(directory)).unwrap().mode() & 0o7777, 0o755);
    }
}

#[test]
fn a_directory_open_to_all_is_refused() {
    let scene = Scene::new();
    let chmod = |name: &str, mode| fs::set_permissions(scene.path(name), fs::Permissions::from_mode(mode)).unwrap();
    fs::create_dir_all(scene.path("open/inner")).unwrap();
    chmod("open", 0o777);
    for name in ["open/whoami.sock", "open/inner/whoami.sock"] {
        let error = BoundSocket::bind(&scene.path(name), OPEN).expect_err("must be refused").to_string();
        assert!(error.contains("open: mode 0777: every user could replace the socket"), "{error}");
    }
    chmod("open", 0o1777);
    BoundSocket::bind(&scene.path("open/whoami.sock"), OPEN).unwrap();
}

#[test]
fn only_a_dead_socket_of_our_own_is_replaced() {
    let scene = Scene::new();
    drop(UnixListener::bind(scene.socket()).unwrap());
    let socket = BoundSocket::bind(&scene.socket(), OPEN).unwrap();
    refused(&scene, "whoami.sock", "another process is listening");
    drop(socket);

    fs::write(scene.path("file"), "precious").unwrap();
    refused(&scene, "file", "not a socket");
    assert_eq!(fs::read_to_string(scene.path("file")).unwrap(), "precious");
    fs::create_dir(scene.path("directory")).unwrap();
    refused(&scene, "directory", "not a socket");
    std::os::unix::fs::symlink(scene.socket(), scene.path("link")).unwrap();
    refused(&scene, "link", "not a socket");
    let _datagram = UnixDatagram::bind(scene.path("datagram")).unwrap();
    refused(&scene, "datagram", "cannot be told to be dead");

    if is_root("a dead socket of another user") {
        drop(UnixListener::bind(scene.path("theirs")).unwrap());
        std::os::unix::fs::lchown(scene.path("theirs"), Some(1001), None).unwrap();
        refused(&scene, "theirs", "a dead socket of uid 1001");
    }
}

#[test]
fn a_full_backlog_is_a_sign_of_life() {
    let scene = Scene::new();
    let socket = BoundSocket::bind(&scene.socket(), OPEN).unwrap();
    rustix::net::listen(&socket, 0).unwrap();
    let _waiting = scene.connect();
    refused(&scene, "whoami.sock", "another process is listening");
}

#[test]
fn of_many_that_start_at_once_one_wins() {
    for dead_one_in_the_way in [false, true] {
        let scene = Scene::new();
        if dead_one_in_the_way {
            drop(UnixListener::bind(scene.socket()).unwrap());
        }
        let barrier = Barrier::new(8);
        let started: Vec<Result<Agent, AgentError>> = std::thread::scope(|scope| {
            let start = || {
                barrier.wait();
                Agent::start(scene.options(&own_rule("A")))
            };
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(start)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(started.iter().filter(|agent| agent.is_ok()).count(), 1);
        for error in started.iter().filter_map(|agent| agent.as_ref().err()) {
            assert!(matches!(error, AgentError::Listen(ListenError::Live(_))), "{error}");
        }
        assert_eq!(scene.ask(b"")["identity"], "A");
        assert!(!exists(&scene.path(".whoami.sock.lock")));
    }
}

#[test]
fn what_is_not_ours_any_more_is_not_removed() {
    let scene = Scene::new();
    let agent = scene.start(&own_rule("A"));
    fs::remove_file(scene.socket()).unwrap();
    let _successor = UnixListener::bind(scene.socket()).unwrap();
    agent.close();
    assert!(exists(&scene.socket()));
}

#[test]
fn a_path_that_is_too_long_says_so() {
    let scene = Scene::new();
    let error = BoundSocket::bind(&scene.path(&"x".repeat(120)), OPEN).expect_err("too long").to_string();
    assert!(error.contains("too long") || error.contains("name"), "{error}");
}
