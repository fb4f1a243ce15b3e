//! How connections come in: the same for every socket of the agent.

use std::future::Future;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::io::Errno;
use tokio::io::unix::AsyncFd;
use tokio::sync::watch;

use super::readiness;
use super::throttled_log::LogThrottle;
use crate::agent::log;

/// How many connections are accepted before the tasks that wait get their turn.
const BATCH: usize = 64;

/// What is left for the next batch.
pub(in crate::agent) enum Queue {
    Empty,
    Waiting,
}

/// A thread and an event loop for a socket of its own.
pub(in crate::agent) struct Quarters {
    /// The name of the thread, and of those that may block for it.
    pub(in crate::agent) names: [&'static str; 2],
    /// How long what may block is waited for at the end.
    pub(in crate::agent) patience: Duration,
}

impl Quarters {
    /// Starts serving, and returns when the socket is watched.
    pub(in crate::agent) fn start<F: Future<Output = ()>>(
        self,
        socket: UnixListener,
        serve: impl FnOnce(AsyncFd<UnixListener>) -> F + Send + 'static,
    ) -> std::io::Result<JoinHandle<()>> {
        let Quarters { names: [name, blocking], patience } = self;
        let (started, waiting) = mpsc::channel();
        let thread = std::thread::Builder::new().name(name.into()).spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_io()
                .enable_time()
                .max_blocking_threads(2)
                .thread_name(blocking)
                .build();
            let runtime = match runtime {
                Ok(runtime) => runtime,
                Err(error) => return drop(started.send(Err(error))),
            };
            runtime.block_on(async {
                match readiness::watched(socket) {
                    Ok(listener) => {
                        let _ = started.send(Ok(()));
                        serve(listener).await;
                    }
                    Err(error) => drop(started.send(Err(error))),
                }
            });
            runtime.shutdown_timeout(patience);
        })?;
        match waiting.recv() {
            Ok(Ok(())) => Ok(thread),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(std::io::Error::other("the thread ended")),
        }
    }
}

/// Has batches accepted until told to stop. What the kernel has no room for passes, and is waited for.
pub(in crate::agent) async fn accept_until_stopped<T: AsRawFd>(
    listener: &AsyncFd<T>,
    stop: &mut watch::Receiver<bool>,
    exhaustion: &LogThrottle,
    mut batch: impl FnMut(&T) -> Result<Queue, Errno>,
) {
    let mut pause = Duration::ZERO;
    loop {
        let readable = tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => return,
            readable = listener.readable() => readable,
        };
        let Ok(mut readable) = readable else { return };
        match batch(listener.get_ref()) {
            Ok(Queue::Empty) => readable.clear_ready(),
            // The tasks first; the listener is still readable.
            Ok(Queue::Waiting) => tokio::task::yield_now().await,
            Err(errno) => {
                if let Some(times) = exhaustion.note() {
                    let error = std::io::Error::from(errno);
                    tracing::error!(target: log::TARGET, %error, times, "cannot accept connections");
                }
                pause = (pause * 2).clamp(Duration::from_millis(5), Duration::from_secs(1));
                tokio::select! {
                    biased;
                    _ = stop.wait_for(|stop| *stop) => return,
                    () = tokio::time::sleep(pause) => {}
                }
                continue;
            }
        }
        pause = Duration::ZERO;
    }
}

/// Accepts some connections. An error is one that will pass.
pub(in crate::agent) fn accept_batch(
    listener: &UnixListener,
    mut take: impl FnMut(usize, OwnedFd),
) -> Result<Queue, Errno> {
    for turn in 0..BATCH {
        match accept(listener) {
            Ok(socket) => take(turn, socket),
            Err(Errno::AGAIN) => return Ok(Queue::Empty),
            // The client has changed its mind.
            Err(Errno::CONNABORTED | Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(Queue::Waiting)
}

#[cfg(target_os = "linux")]
fn accept(listener: &UnixListener) -> Result<OwnedFd, Errno> {
    use rustix::net::{SocketFlags, accept_with};
    accept_with(listener, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK)
}

#[cfg(not(target_os = "linux"))]
fn accept(listener: &UnixListener) -> Result<OwnedFd, Errno> {
    let socket = rustix::net::accept(listener)?;
    rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::CLOEXEC)?;
    rustix::io::ioctl_fionbio(&socket, true)?;
    Ok(socket)
}
