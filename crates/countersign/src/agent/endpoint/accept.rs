//! The accept loop: the same for every socket of the agent.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;

use rustix::io::Errno;
use tokio::io::unix::AsyncFd;

use super::shutdown::Stop;
use super::throttled_log::LogThrottle;
use crate::agent::log;

/// How many connections are accepted before the tasks of the event loop get their turn.
const BATCH: usize = 64;

/// Whether connections are left for the next batch.
pub(super) enum Queue {
    Empty,
    Waiting,
}

/// Accepts batches until the endpoint stops. On EMFILE or ENOMEM: backs off and retries.
pub(super) async fn accept_until_stopped<T: AsRawFd>(
    listener: &AsyncFd<T>,
    stop: &mut Stop,
    exhaustion: &LogThrottle,
    mut batch: impl FnMut(&T) -> Result<Queue, Errno>,
) {
    let mut pause = Duration::ZERO;
    loop {
        let readable = tokio::select! {
            biased;
            () = stop.requested() => return,
            readable = listener.readable() => readable,
        };
        let Ok(mut readable) = readable else { return };
        match batch(listener.get_ref()) {
            Ok(Queue::Empty) => readable.clear_ready(),
            // The listener is still readable, but the tasks come first.
            Ok(Queue::Waiting) => tokio::task::yield_now().await,
            Err(errno) => {
                if let Some(times) = exhaustion.note() {
                    let error = std::io::Error::from(errno);
                    tracing::error!(target: log::TARGET, %error, times, "cannot accept connections");
                }
                pause = (pause * 2).clamp(Duration::from_millis(5), Duration::from_secs(1));
                tokio::select! {
                    biased;
                    () = stop.requested() => return,
                    () = tokio::time::sleep(pause) => {}
                }
                continue;
            }
        }
        pause = Duration::ZERO;
    }
}

/// Accepts some connections. An error is a temporary one.
pub(super) fn accept_batch(listener: &impl AsFd, mut take: impl FnMut(usize, OwnedFd)) -> Result<Queue, Errno> {
    for turn in 0..BATCH {
        match accept(listener) {
            Ok(socket) => take(turn, socket),
            Err(Errno::AGAIN) => return Ok(Queue::Empty),
            // The client has given up.
            Err(Errno::CONNABORTED | Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(Queue::Waiting)
}

#[cfg(target_os = "linux")]
fn accept(listener: &impl AsFd) -> Result<OwnedFd, Errno> {
    use rustix::net::{SocketFlags, accept_with};
    accept_with(listener, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK)
}

#[cfg(not(target_os = "linux"))]
fn accept(listener: &impl AsFd) -> Result<OwnedFd, Errno> {
    let socket = rustix::net::accept(listener)?;
    rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::CLOEXEC)?;
    rustix::io::ioctl_fionbio(&socket, true)?;
    Ok(socket)
}
