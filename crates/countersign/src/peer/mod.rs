//! The process at the other end of a local socket, as the kernel and nothing else says.
//!
//! * [`credentials()`] - pid, uid, gid, groups: a few system calls and nothing kept, for callers that only ask that
//! * [`Peer`] - a hold on the very process, under which everything else about it is read and proven
//! * [`Examination`] - one look at a peer through many policies, reading each fact once
//! * [`PeerPolicy`] - what a peer must be, built from [`PeerConditions`], which a [`PolicyDocument`] has as text;
//!   [`Denied`] names the first condition that does not hold

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test that cannot go on should say so and stop"))]

mod credentials;
mod error;
mod examination;
mod group;
mod pattern;
mod policy;
mod process;
mod unit;
mod user;

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
use linux as os;

#[cfg(target_os = "macos")]
mod macos;
#[cfg(target_os = "macos")]
use macos as os;

#[cfg(windows)]
mod windows;
#[cfg(windows)]
use windows as os;

#[cfg(not(any(target_os = "linux", target_os = "macos", windows)))]
mod unsupported;
#[cfg(not(any(target_os = "linux", target_os = "macos", windows)))]
use unsupported as os;

pub use credentials::{GroupList, InlineCredentials, PeerCredentials, PeerIds};
pub use error::PeerError;
pub use examination::Examination;
pub use group::Group;
#[cfg(target_os = "linux")]
pub(crate) use os::KnownProcesses;
pub use os::{Peer, RawSocket};
pub use pattern::PathPattern;
pub use policy::{
    Denied, DocumentError, GroupNameOrNumber, PeerConditions, PeerPolicy, Plain, PolicyDocument, PolicyError,
    ProcessName, Sha256, Shape, UnitName,
};
pub use process::{Exe, ExeDoubt, PeerProcess};
pub use unit::unit_of_cgroup;
pub use user::uid_of_user;

/// The credentials of the peer of a connected Unix socket, in as few system calls as it takes to be sure of them.
///
/// Nothing is kept: to ask for more than this, hold the process with a [`Peer`].
pub fn credentials(socket: RawSocket) -> Result<PeerCredentials, PeerError> {
    os::credentials(socket).map(PeerCredentials::from)
}

/// The same without touching the heap (unless the peer is in very many groups, or a security module keeps labels).
pub fn credentials_inline(socket: RawSocket) -> Result<InlineCredentials, PeerError> {
    os::credentials(socket)
}
