//! The control plane: what is said on the wire, what an audit report is, and how an audit log is judged.
#![cfg(unix)]
#![allow(clippy::unwrap_used)]

mod log;
mod reply;
mod report;
mod request;
mod stream;
mod timestamp;
