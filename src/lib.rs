//! The addon: the border between the countersign core and Node. Nothing is decided here; one file per room of the
//! core, and the glue to the host's event loop, the only place with `unsafe`.

#[cfg(unix)]
mod agent;
#[cfg(unix)]
mod event_loop;
mod peer;
mod spiffe;
#[cfg(unix)]
mod whoami;

/// The version of this addon; the JavaScript side refuses any but its own.
#[napi_derive::napi]
pub fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}
