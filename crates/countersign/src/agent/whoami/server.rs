use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;
use tokio::io::unix::AsyncFd;
use tokio::sync::watch;

use super::connection::greet;
use super::idle_workers::IdleWorkers;
use super::stats::Counters;
use crate::agent::core::Core;
use crate::agent::endpoint::accept::{Queue, accept_batch, accept_until_stopped};
use crate::agent::endpoint::quota::Limits;
use crate::whoami::WhoamiCode;

/// What a request is received into; larger ones take more than one go.
const BUFFER: usize = 16 * 1024;
/// How long a stopping agent waits for what it has begun.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);

/// What all connections to the whoami socket share, on every thread.
pub(in crate::agent) struct Whoami {
    pub(in crate::agent) core: Arc<Core>,
    pub(in crate::agent) limits: Arc<Limits>,
    pub(in crate::agent) counters: Counters,
    /// How long a client may take until the first byte of its request.
    pub(in crate::agent) grace: Duration,
    pub(in crate::agent) connection_timeout: Duration,
    pub(in crate::agent) idle_workers: IdleWorkers,
    /// Turns true when the agent shall stop.
    pub(in crate::agent) stop: watch::Sender<bool>,
}

impl Whoami {
    pub(in crate::agent) fn count(&self, code: WhoamiCode) {
        self.counters.answered(code);
    }
}

/// Answers until told to stop, then finishes what it has begun. `withdraw` takes the socket out of the clients'
/// sight; it says whether clients that are still in the queue have nobody else to wait for.
pub(in crate::agent) async fn serve(
    whoami: Arc<Whoami>,
    listener: AsyncFd<Arc<UnixListener>>,
    withdraw: impl FnOnce() -> bool,
) {
    let mut stop = whoami.stop.subscribe();
    let watch = tokio::spawn(Arc::clone(&whoami.core.rules).watch(whoami.core.reload_interval));
    let mut buffer = vec![0; BUFFER];
    accept_until_stopped(&listener, &mut stop, &whoami.core.exhaustion, |listener| {
        let accepted = answer_batch(&whoami, listener, &mut buffer);
        if accepted.is_err() {
            whoami.counters.accept_error();
            whoami.core.known.forget();
        }
        accepted
    })
    .await;
    watch.abort();
    if withdraw() {
        while let Ok(Queue::Waiting) = answer_batch(&whoami, listener.get_ref(), &mut buffer) {}
    }
    drop(listener);
    whoami.limits.drain(DRAIN_TIMEOUT).await;
}

/// Answers beside [`serve`] whenever that is called for. What the kernel refuses is left to [`serve`].
pub(in crate::agent) async fn assist(whoami: Arc<Whoami>, listener: Arc<UnixListener>) {
    let mut stop = whoami.stop.subscribe();
    let mut buffer = vec![0; BUFFER];
    loop {
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => break,
            () = whoami.idle_workers.rest() => {}
        }
        while !*stop.borrow() && matches!(answer_batch(&whoami, &listener, &mut buffer), Ok(Queue::Waiting)) {
            tokio::task::yield_now().await;
        }
    }
    drop(listener);
    whoami.limits.drain(DRAIN_TIMEOUT).await;
}

/// Answers some connections. An error is one that will pass.
fn answer_batch(whoami: &Arc<Whoami>, listener: &UnixListener, buffer: &mut [u8]) -> Result<Queue, Errno> {
    accept_batch(listener, |turn, socket| {
        if turn > 0 {
            whoami.idle_workers.call();
        }
        greet(whoami, socket, buffer);
    })
}
