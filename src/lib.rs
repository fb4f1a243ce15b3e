//! The addon: the border between the countersign core and Node. Nothing is decided here; one file per room of the
//! core, and the glue to the host's event loop, the only place with `unsafe`.

#[cfg(unix)]
mod event_loop;
#[cfg(unix)]
mod whoami;
