//! What an operator is answered: its own socket, its own thread, and every request judged by who the kernel says is asking.

mod access;
mod connection;
mod metrics;
mod status;
mod verbs;

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::io::unix::AsyncFd;
use tokio::sync::watch;

use self::access::Access;
use crate::agent::config::options::AgentOptions;
use crate::agent::core::Core;
use crate::agent::decisions::KillSwitch;
use crate::agent::endpoint::accept::{Quarters, accept_batch, accept_until_stopped};
use crate::agent::endpoint::quota::Limits;
use crate::agent::log;
use crate::agent::record::Journal;
use crate::agent::self_audit::Posture;
use crate::agent::whoami::server::Whoami;
use crate::agent::workload::Workload;
use crate::control::Timestamp;
use crate::peer::Peer;

/// Connections at once, in all and for one user: somebody may want to have a thousand subscribers.
const CONNECTIONS: (usize, usize) = (4096, 2048);
/// How often the agent looks at its own posture.
const CHECKS: Duration = Duration::from_secs(3600);
/// How long a stopping agent waits for what it has begun.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);

/// What all connections of operators share.
pub(super) struct Control {
    pub(super) core: Arc<Core>,
    pub(super) whoami: Arc<Whoami>,
    pub(super) workload: Option<Arc<Workload>>,
    pub(super) record: Arc<Journal>,
    pub(super) kill_switch: Arc<KillSwitch>,
    pub(super) posture: Posture,
    pub(super) sockets: Sockets,
    access: Access,
    limits: Arc<Limits>,
    started: (Timestamp, Instant),
    stop: watch::Sender<bool>,
}

/// Where the agent answers.
pub(super) struct Sockets {
    pub(super) whoami: PathBuf,
    pub(super) workload: Option<PathBuf>,
    pub(super) control: PathBuf,
}

impl Control {
    pub(super) fn new(
        whoami: Arc<Whoami>,
        workload: Option<Arc<Workload>>,
        record: Arc<Journal>,
        kill_switch: Arc<KillSwitch>,
        (options, sockets): (&AgentOptions, Sockets),
        posture: Posture,
    ) -> Control {
        let owner = rustix::process::geteuid().as_raw();
        Control {
            core: Arc::clone(&whoami.core),
            whoami,
            workload,
            record,
            kill_switch,
            posture,
            sockets,
            access: Access::new(owner, &options.control_readers, &options.control_writers),
            limits: Arc::new(Limits::new(CONNECTIONS.0, CONNECTIONS.1)),
            started: (Timestamp::now(), Instant::now()),
            stop: watch::Sender::new(false),
        }
    }
}

/// A running control server.
pub(super) struct ControlServer {
    pub(super) shared: Arc<Control>,
    thread: Option<JoinHandle<()>>,
}

impl ControlServer {
    /// Starts answering, on a thread of its own.
    pub(super) fn start(
        shared: Arc<Control>,
        socket: UnixListener,
        withdraw: impl FnOnce() + Send + 'static,
    ) -> std::io::Result<ControlServer> {
        let quarters = Quarters { names: ["countersign-ctl"; 2], patience: Duration::from_millis(100) };
        let control = Arc::clone(&shared);
        let thread = quarters.start(socket, |listener| serve(control, listener, withdraw))?;
        Ok(ControlServer { shared, thread: Some(thread) })
    }

    /// Ends. Closing twice is closing once.
    pub(super) fn close(&mut self) {
        self.shared.stop.send_replace(true);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn serve(control: Arc<Control>, listener: AsyncFd<UnixListener>, withdraw: impl FnOnce()) {
    let checks = tokio::spawn(keep_checking(Arc::clone(&control)));
    let mut stop = control.stop.subscribe();
    accept_until_stopped(&listener, &mut stop, &control.core.exhaustion, |listener| {
        accept_batch(listener, |_, socket| take(&control, socket))
    })
    .await;
    checks.abort();
    withdraw();
    drop(listener);
    control.limits.drain(DRAIN_TIMEOUT).await;
}

/// Takes a connection, if there is room and the kernel says whose it is.
fn take(control: &Arc<Control>, socket: OwnedFd) {
    let peer = match Peer::of(&socket) {
        Ok(peer) => peer,
        Err(error) => {
            tracing::warn!(target: log::TARGET, %error, "an operator could not be told, and is not answered");
            return;
        }
    };
    match control.limits.admit(peer.credentials().uid) {
        Some(place) => drop(tokio::spawn(connection::attend(Arc::clone(control), socket, peer, place))),
        None => connection::dismiss(&socket),
    }
}

/// Looks at the agent's own posture, at the start, when the rules are others, and now and then. What is new is told of.
async fn keep_checking(control: Arc<Control>) {
    let mut snapshots = control.core.rules.subscribe();
    loop {
        snapshots.mark_unchanged();
        let checking = Arc::clone(&control);
        let _ = tokio::task::spawn_blocking(move || checking.check(false, false)).await;
        tokio::select! {
            _ = snapshots.changed() => {}
            () = tokio::time::sleep(CHECKS) => {}
        }
    }
}
