//! The core of countersign: workload identity in plain Rust. It knows nothing of Node.
//!
//! The rooms, and the way the arrows point (a room may use what stands below it, never above):
//!
//! * [`agent`]     - the daemon: rules, attestation, the whoami server
//! * [`principal`] - what every proof of identity ends in: a human or a workload; and tokens that are no SVIDs
//! * [`whoami`]    - identity-by-PID: the wire format, and the client
//! * [`spiffe`]    - SPIFFE IDs, SVIDs, bundles, and their verification
//! * [`peer`]      - the process at the other end of a local socket: credentials, process, policy; one file per OS
//! * [`backoff`]   - pauses between attempts

// More than 60: see clippy.toml. Tables of tests may be longer.
#![warn(clippy::too_many_lines)]

#[cfg(all(target_os = "linux", feature = "spiffe"))]
pub mod agent;
pub mod backoff;
#[cfg(all(unix, feature = "spiffe"))]
pub mod control;
pub mod peer;
#[cfg(feature = "spiffe")]
pub mod principal;
#[cfg(any(target_os = "linux", feature = "spiffe"))]
#[cfg_attr(
    not(all(target_os = "linux", feature = "spiffe")),
    allow(dead_code, reason = "some of its methods are used on Linux alone, or by SPIFFE alone")
)]
mod recent_map;
#[cfg(feature = "spiffe")]
pub mod spiffe;
#[cfg(target_os = "linux")]
pub mod whoami;
