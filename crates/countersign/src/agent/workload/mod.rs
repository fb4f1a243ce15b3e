//! The Workload API of this machine, for the workloads of this machine (SPIFFE Workload API, Workload Endpoint).
//!
//! It has a thread, a socket and limits of its own: whoever keeps it busy keeps nobody from asking who they are.

mod bundles;
pub(super) mod call;
mod connection;
mod federation;
mod h2;
mod jwt;
pub(super) mod reply;
mod stream;
mod trust;
mod x509;

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::io::unix::AsyncFd;
use tokio::sync::watch;

pub use self::call::Method;

use self::federation::Federations;
use self::trust::Trust;
use crate::agent::attest::entitlement::Entitlement;
use crate::agent::authority::Authority;
use crate::agent::decisions::event::{AgentEvent, Caller};
use crate::agent::endpoint::accept::{Quarters, accept_batch, accept_until_stopped};
use crate::agent::endpoint::quota::Limits;
use crate::agent::endpoint::throttled_log::LogThrottle;
use crate::agent::log;
use crate::agent::rules::workload_api::WorkloadConfig;
use crate::agent::testing::faults::Faults;
use crate::agent::whoami::server::Service;
use crate::agent::whoami::stats::WorkloadCounters;
use crate::peer::Peer;
use crate::spiffe::issue::IssueError;
use crate::spiffe::workload_api::{Code, Status};
use crate::spiffe::{SpiffeBundle, TrustDomain};

/// How long a stopping agent waits for what it has begun.
const DRAIN_TIMEOUT: Duration = Duration::from_millis(1200);

/// What all connections to the Workload API share.
pub(super) struct Workload {
    /// The agent whose rules these are.
    pub(super) agent: Arc<Service>,
    pub(super) authority: Arc<Authority>,
    pub(super) counters: WorkloadCounters,
    pub(super) limits: Arc<Limits>,
    trust: watch::Sender<Arc<Trust>>,
    federations: Federations,
    stop: watch::Sender<bool>,
    floods: LogThrottle,
    faults: Option<Arc<Faults>>,
}

/// A running Workload API.
pub(super) struct WorkloadApi {
    pub(super) shared: Arc<Workload>,
    thread: Option<JoinHandle<()>>,
}

impl Workload {
    pub(super) fn new(
        agent: Arc<Service>,
        authority: Authority,
        limits: Limits,
        faults: Option<Arc<Faults>>,
    ) -> Arc<Workload> {
        let authority = Arc::new(authority);
        let federations = Federations::default();
        if let Some(config) = &agent.rules.current().workload {
            federations.look(&config.federates_with);
        }
        let trust = Arc::new(Trust::new(authority.current(), federations.bundles()));
        Arc::new(Workload {
            agent,
            authority,
            counters: WorkloadCounters::default(),
            limits: Arc::new(limits),
            trust: watch::Sender::new(trust),
            federations,
            stop: watch::Sender::new(false),
            floods: LogThrottle::default(),
            faults,
        })
    }

    /// How it runs, according to the rules somebody was held against.
    fn config<'a>(&self, who: &'a Entitlement) -> Result<&'a WorkloadConfig, Status> {
        who.snapshot.workload.as_ref().ok_or_else(|| Status::new(Code::Unavailable, "the Workload API is not served"))
    }

    /// Takes what the endpoint of a foreign trust domain said. `None`: nobody wants it, or it is older than what is known.
    pub(super) fn take_foreign_bundle(&self, name: &TrustDomain, bundle: SpiffeBundle) -> Option<bool> {
        let changed = self.federations.take(name, bundle)?;
        if changed {
            self.republish();
        }
        Some(changed)
    }

    /// The bundle of a foreign trust domain as it is known now.
    pub(super) fn foreign_bundle(&self, name: &TrustDomain) -> Option<SpiffeBundle> {
        Some(self.trust.borrow().foreign.get(name)?.bundle.clone())
    }

    /// Has everybody told of the keys and bundles of now.
    pub(super) fn republish(&self) {
        self.trust.send_replace(Arc::new(Trust::new(self.authority.current(), self.federations.bundles())));
    }
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
    accept_until_stopped(&listener, &mut stop, &workload.agent.exhaustion, |listener| {
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
            let code = Code::Unauthenticated.name();
            workload.agent.rules.observers.tell(|| AgentEvent::Refused { caller: Caller::default(), method: "", code });
            return;
        }
    };
    match workload.limits.admit(peer.credentials().uid) {
        Some(place) => drop(tokio::spawn(connection::attend(Arc::clone(workload), socket, peer, place))),
        None => {
            workload.counters.turned_away();
            workload.agent.rules.observers.tell(|| AgentEvent::Refused {
                caller: Caller::of(&peer, ""),
                method: "",
                code: Code::ResourceExhausted.name(),
            });
            let who = peer.credentials();
            tracing::debug!(target: log::TARGET, pid = who.pid, uid = who.uid, "too many connections to the Workload API");
            connection::dismiss(&socket);
        }
    }
}

/// Keeps keys and foreign bundles as they should be by now.
async fn keep_trust(workload: Arc<Workload>) {
    let mut snapshots = workload.agent.rules.subscribe();
    let mut keys = workload.authority.subscribe();
    keys.mark_unchanged();
    let mut advanced = Instant::now();
    loop {
        let config = workload.agent.rules.current().workload.clone();
        let ca_ttl = config.as_ref().map_or(crate::agent::authority::DEFAULT_CA_TTL, |config| config.ca_ttl);
        let pace = (ca_ttl / 100).clamp(Duration::from_millis(100), Duration::from_secs(60));
        tokio::select! {
            _ = snapshots.changed() => {}
            _ = keys.changed() => {
                workload.republish();
                let sequence = workload.authority.current().sequence;
                workload.agent.rules.observers.tell(|| AgentEvent::KeysChanged { sequence });
                continue;
            }
            () = tokio::time::sleep(pace.min(workload.agent.reload_interval.max(Duration::from_millis(1)))) => {}
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

/// For the log; the caller is told no more than that.
fn crypto_failed(error: &IssueError) -> Status {
    tracing::error!(target: log::TARGET, %error, "an SVID could not be issued");
    Status::new(Code::Internal, "the SVID could not be issued")
}
