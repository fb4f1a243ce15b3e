//! The core of countersign: workload identity in plain Rust. It knows nothing of Node.
//!
//! The rooms, and the way the arrows point (a room may use what stands below it, never above):
//!
//! * [`agent`]  - the daemon: rules, attestation, the whoami server
//! * [`whoami`] - identity-by-PID: what is said on the wire, and the client
//! * [`peer`]   - who is at the other end of a local socket: credentials, process, policy; one file per OS

#[cfg(unix)]
pub mod agent;
pub mod peer;
#[cfg(unix)]
pub mod whoami;
