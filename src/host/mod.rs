//! The border to the host: errors, values and calls that both sides agree on, and the host's event loop. The only place
//! of the addon with `unsafe`.

#[cfg(target_os = "linux")]
pub mod event_loop;
pub mod failure;
#[cfg(target_os = "linux")]
pub mod guard;
#[cfg(target_os = "linux")]
pub mod identity;
pub mod large_integers;
pub mod mailbox;
pub mod runtime;
#[cfg(target_os = "linux")]
pub mod scratch;
#[cfg(target_os = "linux")]
mod script;
#[cfg(target_os = "linux")]
pub mod value;
