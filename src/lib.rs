//! The addon: the border between the countersign core and Node. Nothing is decided here; one file per room of the
//! core, and the glue to the host's event loop, the only place with `unsafe`.

#[cfg(target_os = "linux")]
mod agent;
#[cfg(unix)]
mod control;
#[cfg(target_os = "linux")]
mod event_loop;
mod large_integers;
#[cfg(target_os = "linux")]
mod peer;
mod principal;
mod spiffe;
#[cfg(target_os = "linux")]
mod testing;
#[cfg(target_os = "linux")]
mod whoami;

/// The version of this addon; the JavaScript side refuses any but its own.
#[napi_derive::napi]
pub fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}
