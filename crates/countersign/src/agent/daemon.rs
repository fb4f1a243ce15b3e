use std::io;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::sync::watch;

use super::complaint::Complaint;
use super::crew::Crew;
use super::dev;
use super::limits::Limits;
use super::listener::{ListenError, Listener, SocketAccess};
use super::log;
use super::options::AgentOptions;
use super::readiness::watched;
use super::reload::{ReloadReport, RulesInForce};
use super::rules_error::RulesError;
use super::server::{Service, assist, serve};
use super::service::{self, Change};
use super::stats::{AgentStats, Counters};
use crate::whoami::DEFAULT_SOCKET_PATH;

/// Why an agent could not be started.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The rules are broken.
    #[error(transparent)]
    Rules(#[from] RulesError),
    /// There is no socket to answer on.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The operating system gave us no thread, event loop or directory.
    #[error("{what}: {source}")]
    Os {
        /// What was tried.
        what: &'static str,
        /// What came back.
        source: io::Error,
    },
}

/// A running agent, on threads of its own. Dropping it closes it.
pub struct Agent {
    service: Arc<Service>,
    socket_path: PathBuf,
    service_manager: bool,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Agent {
    /// Starts an agent; once this returns, clients are answered.
    pub fn start(options: AgentOptions) -> Result<Agent, AgentError> {
        let rules = RulesInForce::open(options.rules.clone())?;
        let (listener, socket, temporary) = open_socket(&options)?;
        let os = |what| move |source| AgentError::Os { what, source };
        let mut hold = Hold { listener, temporary };
        let runtime = event_loop().map_err(os("starting an event loop"))?;
        let service = Arc::new(Service {
            rules,
            limits: Arc::new(Limits::new(options.max_connections, options.max_connections_per_uid)),
            counters: Counters::default(),
            exhaustion: Complaint::default(),
            grace: options.grace,
            connection_timeout: options.connection_timeout,
            reload_interval: options.reload_interval,
            known: Arc::default(),
            crew: Crew::default(),
            hashing: runtime.handle().clone(),
            stop: watch::Sender::new(false),
        });
        let agent = Agent {
            service: Arc::clone(&service),
            socket_path: hold.listener.path().to_path_buf(),
            service_manager: options.service_manager,
            threads: Mutex::default(),
        };
        let socket = Arc::new(socket);
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        for _ in 1..options.threads.min(cores) {
            let (service, socket) = (Arc::clone(&service), Arc::clone(&socket));
            let runtime = event_loop().map_err(os("starting an event loop"))?;
            agent.spawn(move || runtime.block_on(assist(service, socket))).map_err(os("starting a thread"))?;
        }
        let listener = {
            let _its_loop = runtime.enter();
            watched(socket).map_err(os("watching the socket"))?
        };
        let first = move || {
            runtime.block_on(serve(service, listener, || hold.withdraw()));
            // A hash that is being computed is of no use to anybody now.
            runtime.shutdown_timeout(Duration::from_millis(10));
        };
        agent.spawn(first).map_err(os("starting a thread"))?;
        tracing::info!(
            target: log::TARGET,
            socket = %agent.socket_path.display(),
            rules = agent.service.rules.current().rules.rules().len(),
            "listening"
        );
        agent.tell(Change::Ready);
        Ok(agent)
    }

    fn spawn(&self, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let thread = std::thread::Builder::new().name("countersign-agent".into()).spawn(work)?;
        self.threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
        Ok(())
    }

    /// The path clients connect to.
    pub fn socket_path(&self) -> &Path {
        &self.socket_path
    }

    /// The line a shell needs so that clients find this agent.
    pub fn export_line(&self) -> String {
        let path = self.socket_path.to_string_lossy();
        format!("export WHOAMI_SOCKET='{}'", path.replace('\'', r"'\''"))
    }

    /// Reads the rules anew. If they are broken the old ones stay in force.
    pub fn reload(&self) -> Result<ReloadReport, RulesError> {
        self.tell(Change::Reloading);
        let report = self.service.rules.reload();
        self.tell(Change::Ready);
        report
    }

    /// What the agent did so far.
    pub fn stats(&self) -> AgentStats {
        self.service.counters.snapshot(self.service.limits.active())
    }

    /// Stops answering: removes the socket, answers who has come already (for at most a second), and ends the
    /// threads. Closing twice is closing once.
    pub fn close(&self) {
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        if threads.is_empty() {
            return;
        }
        self.tell(Change::Stopping);
        self.service.stop.send_replace(true);
        for running in threads.drain(..) {
            let _ = running.join();
        }
        tracing::info!(target: log::TARGET, socket = %self.socket_path.display(), "closed");
    }

    fn tell(&self, change: Change) {
        if self.service_manager {
            service::tell(change);
        }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.close();
    }
}

/// What has to be removed when the agent ends, however it ends.
struct Hold {
    listener: Listener,
    temporary: Option<PathBuf>,
}

impl Hold {
    /// Removes the socket. Says whether it was ours: then nobody else will answer those in its queue.
    fn withdraw(&mut self) -> bool {
        let ours = self.listener.is_ours();
        self.listener.remove();
        ours
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.listener.remove();
        if let Some(directory) = &self.temporary {
            let _ = std::fs::remove_dir(directory);
        }
    }
}

fn event_loop() -> io::Result<Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .max_blocking_threads(2)
        .thread_name("countersign-hash")
        .build()
}

type OpenSocket = (Listener, std::os::unix::net::UnixListener, Option<PathBuf>);

fn open_socket(options: &AgentOptions) -> Result<OpenSocket, AgentError> {
    if options.service_manager
        && let Some(socket) = service::activated()?
    {
        let (listener, socket) = Listener::adopt(socket)?;
        return Ok((listener, socket, None));
    }
    let (path, temporary) = match &options.socket {
        Some(path) => (path.clone(), None),
        None if options.is_dev() => {
            let place = dev::place().map_err(|source| AgentError::Os { what: "making a private directory", source })?;
            (place.socket, place.temporary)
        }
        None => (PathBuf::from(DEFAULT_SOCKET_PATH), None),
    };
    let access = SocketAccess { mode: options.socket_mode, owner: options.socket_owner, group: options.socket_group };
    match Listener::bind(&path, access) {
        Ok((listener, socket)) => Ok((listener, socket, temporary)),
        Err(error) => {
            if let Some(directory) = temporary {
                let _ = std::fs::remove_dir(directory);
            }
            Err(error.into())
        }
    }
}
