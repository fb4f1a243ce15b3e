use std::io;
use std::os::fd::{AsFd, AsRawFd};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Registers a descriptor with the event loop of the current thread, for reading.
///
/// tokio's safe constructor is deprecated because a type may name a descriptor it does not own, or name another one
/// later. What is watched here are the standard library's owning types, which do neither.
#[allow(deprecated)]
pub(in crate::agent) fn watched<T: AsFd + AsRawFd>(owner: T) -> io::Result<AsyncFd<T>> {
    AsyncFd::with_interest(owner, Interest::READABLE)
}
