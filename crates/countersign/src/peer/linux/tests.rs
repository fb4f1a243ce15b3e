//! The way of kernels without `SO_PEERPIDFD`, walked on one that has it.

#[path = "../../../tests/peer_process/mod.rs"]
mod peer_process;

use std::path::Path;

use self::peer_process::{Connected, Stage, in_a_pid_namespace, skipped, take_over};
use super::*;
use crate::peer::{PathPattern, PeerConditions, PeerPolicy};

fn without_peer_pidfd(connected: &Connected) -> Result<Peer, PeerError> {
    Peer::new(socket::duplicate(connected.stream.as_raw_fd())?, Some(false))
}

fn is(exe: &Path) -> PeerPolicy {
    PeerConditions { exe: Some(PathPattern::Exact(exe.into())), ..PeerConditions::default() }.build().unwrap()
}

#[test]
fn both_ways_tell_the_same() {
    let stage = Stage::new();
    let connected = stage.connect(&[]);
    let peer = without_peer_pidfd(&connected).unwrap();
    assert!(peer.first_seen.is_some());
    assert_eq!(peer.process().unwrap(), Peer::of(&connected.stream).unwrap().process().unwrap());
    assert_eq!(peer.check(&is(&stage.program())).unwrap(), Ok(()));
}

#[test]
fn another_start_time_is_another_process() {
    // A pair has no names: nothing but the start time tells here.
    let (left, _right) = std::os::unix::net::UnixStream::pair().unwrap();
    let hold = || Peer::new(socket::duplicate(left.as_raw_fd()).unwrap(), Some(false)).unwrap();
    assert!(hold().is_alive().unwrap());
    let mut peer = hold();
    peer.first_seen = peer.first_seen.map(|ticks| ticks - 1);
    assert!(matches!(peer.process(), Err(PeerError::Gone)));
}

#[test]
fn a_peer_that_ended_is_gone() {
    let stage = Stage::new();
    let mut connected = stage.connect(&[]);
    let untouched = without_peer_pidfd(&connected).unwrap();
    let looked_at = without_peer_pidfd(&connected).unwrap();
    assert!(looked_at.is_alive().unwrap());
    connected.kill();
    assert!(matches!(untouched.process(), Err(PeerError::Gone)));
    assert!(matches!(looked_at.process(), Err(PeerError::Gone)));
    assert!(!looked_at.is_alive().unwrap());
    assert!(matches!(without_peer_pidfd(&connected), Err(PeerError::Gone)));
}

#[test]
fn the_next_owner_of_the_pid_is_never_taken_for_the_peer() {
    let name = "peer::linux::tests::the_next_owner_of_the_pid_is_never_taken_for_the_peer";
    if skipped(name) || !in_a_pid_namespace(name) {
        return;
    }
    let stage = Stage::new();
    let trusted = stage.copy(Path::new("/bin/sleep"), "trusted");
    let mut connected = stage.connect(&[]);
    let pid = connected.child.id();
    let untouched = without_peer_pidfd(&connected).unwrap();
    let looked_at = without_peer_pidfd(&connected).unwrap();
    looked_at.process().unwrap();
    connected.kill();
    // A clock tick later, or the start times could be the same.
    std::thread::sleep(std::time::Duration::from_millis(30));
    let mut newcomer = take_over(pid, &trusted);
    // This one first looks when the number has already changed hands: only the socket gives it away.
    let afterwards = without_peer_pidfd(&connected).unwrap();
    for peer in [untouched, looked_at, afterwards] {
        assert!(matches!(peer.process(), Err(PeerError::Gone)));
        assert!(matches!(peer.comm(), Err(PeerError::Gone)));
        assert!(matches!(peer.check(&is(&trusted)), Err(PeerError::Gone)));
        assert!(!peer.is_alive().unwrap());
    }
    newcomer.kill().unwrap();
    newcomer.wait().unwrap();
}
