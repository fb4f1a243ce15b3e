//! The Workload API of this machine, for the workloads of this machine (SPIFFE Workload API, Workload Endpoint).
//!
//! It has a thread, a socket and limits of its own: whoever keeps it busy keeps nobody from asking who they are.

mod bundles;
mod call;
mod connection;
mod entitlement;
mod federation;
mod h2;
pub(super) mod interceptor;
mod jwt;
pub(super) mod reply;
mod request;
mod shared;
mod stream;
mod trust;
mod x509;

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::io::unix::AsyncFd;

pub(super) use self::shared::Workload;

use crate::agent::decisions::{AgentEvent, Caller};
use crate::agent::endpoint::accept::{Quarters, accept_batch, accept_until_stopped};
use crate::agent::log;
use crate::peer::Peer;
use crate::spiffe::workload_api::Code;

/// How long a stopping agent waits for what it has begun.
const DRAIN_TIMEOUT: Duration = Duration::from_millis(1200);

/// A running Workload API.
pub(super) struct WorkloadApi {
    pub(super) shared: Arc<Workload>,
    thread: Option<JoinHandle<()>>,
}

impl WorkloadApi {
    /// Starts answering, on a thread of its own.
    pub(super) fn start(
        shared: Arc<Workload>,
        socket: UnixListener,
        withdraw: impl FnOnce() + Send + 'static,
    ) -> std::io::Result<WorkloadApi> {
        let quarters =
            Quarters { names: ["countersign-spiffe", "countersign-hash"], patience: Duration::from_millis(10) };
        let workload = Arc::clone(&shared);
        let thread = quarters.start(socket, |listener| serve(workload, listener, withdraw))?;
        Ok(WorkloadApi { shared, thread: Some(thread) })
    }

    /// Tells everybody, and ends. Closing twice is closing once.
    pub(super) fn close(&mut self) {
        self.shared.stop.send_replace(true);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        self.shared.authority.close();
    }
}

async fn serve(workload: Arc<Workload>, listener: AsyncFd<UnixListener>, withdraw: impl FnOnce()) {
    let keeping = tokio::spawn(keep_trust(Arc::clone(&workload)));
    let mut stop = workload.stop.subscribe();
    accept_until_stopped(&listener, &mut stop, &workload.core.exhaustion, |listener| {
        accept_batch(listener, |_, socket| take(&workload, socket))
    })
    .await;
    keeping.abort();
    withdraw();
    drop(listener);
    workload.limits.drain(DRAIN_TIMEOUT).await;
}

/// Takes a connection, if there is room and the kernel says whose it is.
fn take(workload: &Arc<Workload>, socket: OwnedFd) {
    let peer = match Peer::of(&socket) {
        Ok(peer) => peer,
        Err(error) => {
            tracing::warn!(target: log::TARGET, %error, "a peer could not be told");
            let code = Code::Unauthenticated;
            workload.core.bus.publish(|| AgentEvent::Refused { caller: Caller::default(), method: None, code });
            return;
        }
    };
    match workload.limits.admit(peer.credentials().uid) {
        Some(place) => drop(tokio::spawn(connection::attend(Arc::clone(workload), socket, peer, place))),
        None => {
            workload.counters.turned_away();
            workload.core.bus.publish(|| AgentEvent::Refused {
                caller: Caller::of(&peer, ""),
                method: None,
                code: Code::ResourceExhausted,
            });
            let who = peer.credentials();
            tracing::debug!(target: log::TARGET, pid = who.pid, uid = who.uid, "too many connections to the Workload API");
            connection::dismiss(&socket);
        }
    }
}

/// Keeps keys and foreign bundles as they should be by now.
async fn keep_trust(workload: Arc<Workload>) {
    let mut snapshots = workload.core.rules.subscribe();
    let mut keys = workload.authority.subscribe();
    keys.mark_unchanged();
    let mut advanced = Instant::now();
    loop {
        let config = workload.core.rules.current().workload.clone();
        let ca_ttl = config.as_ref().map_or(crate::agent::authority::DEFAULT_CA_TTL, |config| config.ca_ttl);
        let pace = (ca_ttl / 100).clamp(Duration::from_millis(100), Duration::from_secs(60));
        tokio::select! {
            _ = snapshots.changed() => {}
            _ = keys.changed() => {
                workload.republish();
                let sequence = workload.authority.current().sequence;
                workload.core.bus.publish(|| AgentEvent::KeysChanged { sequence });
                continue;
            }
            () = tokio::time::sleep(pace.min(workload.core.reload_interval.max(Duration::from_millis(1)))) => {}
        }
        if let Some(config) = &config
            && workload.federations.look(&config.federates_with)
        {
            workload.republish();
        }
        if advanced.elapsed() >= pace {
            advanced = Instant::now();
            let authority = Arc::clone(&workload.authority);
            // It may write to the disk, and wait for it.
            match tokio::task::spawn_blocking(move || authority.advance(ca_ttl)).await {
                Ok(Ok(_)) | Err(_) => {}
                Ok(Err(error)) => {
                    tracing::error!(target: log::TARGET, %error, "the keys of the authority could not be changed");
                }
            }
        }
    }
}
