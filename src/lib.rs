//! The addon: the border between the countersign core and Node. Nothing is decided here: one file or folder for each
//! room of the core, and `host`, what all of them need of Node, the only place with `unsafe`.

// More than 60: see clippy.toml. Tables of tests may be longer.
#![warn(clippy::too_many_lines)]

use std::hint::black_box;

#[cfg(target_os = "linux")]
mod agent;
#[cfg(unix)]
mod control;
mod host;
#[cfg(target_os = "linux")]
mod peer;
mod principal;
mod spiffe;
#[cfg(target_os = "linux")]
mod testing;
#[cfg(target_os = "linux")]
mod whoami;

/// How this addon was built, and from which sources: build.rs says it, scripts/addon.js reads it in the file.
static BUILD: &str = env!("COUNTERSIGN_BUILD");

/// The version of this addon; the JavaScript side refuses any but its own.
#[napi_derive::napi]
pub fn version() -> &'static str {
    // A linker leaves out what is not used.
    black_box(BUILD);
    env!("CARGO_PKG_VERSION")
}
