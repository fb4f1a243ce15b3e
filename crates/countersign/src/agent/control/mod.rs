//! What an operator is answered: its own socket, its own thread, and every request judged by who the kernel says is asking.

mod access;
mod connection;
mod metrics;
mod status;
mod verbs;

use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::io::unix::AsyncFd;
use tokio::sync::watch;

use self::access::Access;
use super::kill_switch::KillSwitch;
use super::limits::Limits;
use super::log;
use super::options::AgentOptions;
use super::posture::Posture;
use super::readiness;
use super::record::Record;
use super::server::{Service, accept};
use super::workload::Workload;
use crate::control::Timestamp;
use crate::peer::Peer;

/// Connections at once, in all and for one user: somebody may want to have a thousand subscribers.
const CONNECTIONS: (usize, usize) = (4096, 2048);
/// How many connections are accepted before others get their turn.
const BATCH: usize = 64;
/// How often the agent looks at its own posture.
const CHECKS: Duration = Duration::from_secs(3600);
/// How long a stopping agent waits for what it has begun.
const FAREWELL: Duration = Duration::from_secs(1);

/// What all connections of operators share.
pub(super) struct Control {
    pub(super) service: Arc<Service>,
    pub(super) workload: Option<Arc<Workload>>,
    pub(super) record: Arc<Record>,
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
        service: Arc<Service>,
        workload: Option<Arc<Workload>>,
        record: Arc<Record>,
        kill_switch: Arc<KillSwitch>,
        (options, sockets): (&AgentOptions, Sockets),
        posture: Posture,
    ) -> Control {
        let owner = rustix::process::geteuid().as_raw();
        Control {
            service,
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
        let (started, waiting) = mpsc::channel();
        let control = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("countersign-ctl".into()).spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_io()
                .enable_time()
                .max_blocking_threads(2)
                .thread_name("countersign-ctl")
                .build();
            let runtime = match runtime {
                Ok(runtime) => runtime,
                Err(error) => return drop(started.send(Err(error))),
            };
            runtime.block_on(async {
                match readiness::watched(socket) {
                    Ok(listener) => {
                        let _ = started.send(Ok(()));
                        serve(control, listener, withdraw).await;
                    }
                    Err(error) => drop(started.send(Err(error))),
                }
            });
            runtime.shutdown_timeout(Duration::from_millis(100));
        })?;
        match waiting.recv() {
            Ok(Ok(())) => Ok(ControlServer { shared, thread: Some(thread) }),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(std::io::Error::other("the thread ended")),
        }
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
    let mut pause = Duration::ZERO;
    loop {
        let readable = tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => break,
            readable = listener.readable() => readable,
        };
        let Ok(mut readable) = readable else { break };
        match accept_batch(&control, listener.get_ref()) {
            Ok(false) => readable.clear_ready(),
            Ok(true) => tokio::task::yield_now().await,
            Err(error) => {
                if let Some(times) = control.service.exhaustion.note() {
                    tracing::error!(target: log::TARGET, %error, times, "cannot accept connections");
                }
                pause = (pause * 2).clamp(Duration::from_millis(5), Duration::from_secs(1));
                tokio::select! {
                    biased;
                    _ = stop.wait_for(|stop| *stop) => break,
                    () = tokio::time::sleep(pause) => {}
                }
                continue;
            }
        }
        pause = Duration::ZERO;
    }
    checks.abort();
    withdraw();
    drop(listener);
    let until = Instant::now() + FAREWELL;
    while control.limits.active() > 0 && Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Accepts some connections; says whether more may be waiting. An error is one that will pass.
fn accept_batch(control: &Arc<Control>, listener: &UnixListener) -> std::io::Result<bool> {
    use rustix::io::Errno;
    for _ in 0..BATCH {
        let socket = match accept(listener) {
            Ok(socket) => socket,
            Err(Errno::AGAIN) => return Ok(false),
            // The client has changed its mind.
            Err(Errno::CONNABORTED | Errno::INTR) => continue,
            Err(errno) => return Err(errno.into()),
        };
        let peer = match Peer::of(&socket) {
            Ok(peer) => peer,
            Err(error) => {
                tracing::warn!(target: log::TARGET, %error, "an operator could not be told, and is not answered");
                continue;
            }
        };
        match control.limits.admit(peer.credentials().uid) {
            Some(place) => drop(tokio::spawn(connection::attend(Arc::clone(control), socket, peer, place))),
            None => connection::dismiss(&socket),
        }
    }
    Ok(true)
}

/// Looks at the agent's own posture, at the start, when the rules are others, and now and then. What is new is told of.
async fn keep_checking(control: Arc<Control>) {
    let mut editions = control.service.rules.subscribe();
    loop {
        editions.mark_unchanged();
        let checking = Arc::clone(&control);
        let _ = tokio::task::spawn_blocking(move || checking.check(false, false)).await;
        tokio::select! {
            _ = editions.changed() => {}
            () = tokio::time::sleep(CHECKS) => {}
        }
    }
}
