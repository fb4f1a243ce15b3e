//! Who is at the other end of a local socket, on nobody's word but the kernel's.

mod credentials;
mod error;
mod policy;
mod process;

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
use linux as os;

pub use credentials::PeerCredentials;
pub use error::PeerError;
pub use os::Peer;
pub use policy::{Denied, Group, PathPattern, PeerPolicy, PolicyError};
pub use process::{Exe, ExeDoubt, PeerProcess};
