use std::io;
use std::num::NonZero;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::sync::watch;

use crate::agent::audit_log::{AuditLogError, LogWriter};
use crate::agent::authority::{Authority, AuthorityError, DEFAULT_CA_TTL, Rotation};
use crate::agent::config::dev;
use crate::agent::config::options::AgentOptions;
use crate::agent::control::{Control, ControlServer, Sockets as SocketPaths};
use crate::agent::core::Core;
use crate::agent::decisions::{AgentEvent, EventBus, Gate, KillSwitch, Recorder};
use crate::agent::endpoint::bind::{ListenError, Listener, SocketAccess};
use crate::agent::endpoint::quota::Limits;
use crate::agent::endpoint::readiness::watched;
use crate::agent::endpoint::throttled_log::LogThrottle;
use crate::agent::fs::private_file::PrivateFileError;
use crate::agent::log;
use crate::agent::record::RecordWriter;
use crate::agent::rules::error::RulesError;
use crate::agent::rules::store::{ReadRules, ReloadReport, RuleStore};
use crate::agent::rules::workload_api::{
    BundleEndpoint, DEFAULT_STATE_DIR, DEFAULT_WORKLOAD_SOCKET_PATH, WorkloadConfig,
};
use crate::agent::self_audit::Posture;
use crate::agent::service_manager::{self, Activated, Change};
use crate::agent::whoami::idle_workers::IdleWorkers;
use crate::agent::whoami::server::{Whoami, assist, serve};
use crate::agent::whoami::stats::{AgentStats, Counters, WorkloadStats};
use crate::agent::workload::interceptor::{Interceptor, Untouched};
use crate::agent::workload::{Workload, WorkloadApi};
use crate::control::DEFAULT_CONTROL_SOCKET_PATH;
use crate::spiffe::{SpiffeBundle, TrustDomain};
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
    /// There are no keys to issue with.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// The audit log that shall be kept cannot be.
    #[error("no audit log: {0}")]
    AuditLog(#[from] AuditLogError),
    /// It cannot be told whether the kill switch is on.
    #[error("it cannot be told whether the kill switch is on: {0}")]
    KillSwitch(PrivateFileError),
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
    core: Arc<Core>,
    whoami: Arc<Whoami>,
    socket_path: PathBuf,
    workload: Option<WorkloadPart>,
    control: Option<ControlPart>,
    record_writer: Mutex<Option<RecordWriter>>,
    temporary: Option<PathBuf>,
    service_manager: bool,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Agent {
    /// Starts an agent; once this returns, clients are answered.
    pub fn start(options: AgentOptions) -> Result<Agent, AgentError> {
        Agent::start_with(options, Arc::new(Untouched))
    }

    /// The same, with an interceptor of calls to the Workload API.
    pub(super) fn start_with(options: AgentOptions, interceptor: Arc<dyn Interceptor>) -> Result<Agent, AgentError> {
        let rules = ReadRules::first(options.rules.clone(), options.workload_overrides())?;
        let workload = rules.snapshot.workload.clone();
        // Before there is anything to reach: nobody is answered who should not be, or without its being recorded.
        let state_dir = state_dir(&options, workload.as_ref());
        let kill_switch = KillSwitch::open(state_dir.as_deref()).map_err(AgentError::KillSwitch)?;
        let kill_switch = Arc::new(kill_switch);
        let log = options.audit_log.as_ref().map(LogWriter::open).transpose()?;
        let Sockets { listener, socket, workload: workload_socket, control: control_socket, temporary } =
            open_sockets(&options, workload.as_ref())?;
        let os = |what| move |source| AgentError::Os { what, source };
        let mut hold = Hold { listener, temporary: temporary.clone() };
        let mut control_hold = None;
        let control_socket = control_socket.map(|(listener, socket)| {
            control_hold = Some(Hold { listener, temporary: None });
            socket
        });
        let mut record_writer = None;
        if control_socket.is_some() || log.is_some() {
            let started = RecordWriter::start(log.zip(options.audit_log.as_ref())).map_err(os("starting a thread"))?;
            record_writer = Some(started);
        }
        let record = record_writer.as_ref().map(|record_writer| Arc::clone(record_writer.journal()));
        let bus = Arc::new(EventBus::new(record.clone().map(|journal| journal as Arc<dyn Recorder>)));
        let runtime = event_loop().map_err(os("starting an event loop"))?;
        let core = Arc::new(Core {
            rules: Arc::new(RuleStore::new(rules, Arc::clone(&bus))),
            gate: Gate::new(Arc::clone(&kill_switch), Arc::clone(&bus)),
            bus,
            reload_interval: options.reload_interval,
            known: Arc::default(),
            blocking: runtime.handle().clone(),
            exhaustion: LogThrottle::default(),
        });
        let whoami = Arc::new(Whoami {
            core: Arc::clone(&core),
            limits: Arc::new(Limits::new(options.max_connections, options.max_connections_per_uid)),
            counters: Counters::default(),
            grace: options.grace,
            connection_timeout: options.connection_timeout,
            idle_workers: IdleWorkers::default(),
            stop: watch::Sender::new(false),
        });
        let mut agent = Agent {
            core,
            whoami: Arc::clone(&whoami),
            socket_path: hold.listener.path().to_path_buf(),
            workload: None,
            control: None,
            record_writer: Mutex::new(record_writer),
            temporary,
            service_manager: options.service_manager,
            threads: Mutex::default(),
        };
        let socket = Arc::new(socket);
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        for _ in 1..options.threads.min(cores) {
            let (whoami, socket) = (Arc::clone(&whoami), Arc::clone(&socket));
            let runtime = event_loop().map_err(os("starting an event loop"))?;
            agent.spawn(move || runtime.block_on(assist(whoami, socket))).map_err(os("starting a thread"))?;
        }
        let listener = {
            let _its_loop = runtime.enter();
            watched(socket).map_err(os("watching the socket"))?
        };
        let first = move || {
            runtime.block_on(serve(whoami, listener, || hold.withdraw()));
            // A hash that is being computed is of no use to anybody now.
            runtime.shutdown_timeout(Duration::from_millis(10));
        };
        agent.spawn(first).map_err(os("starting a thread"))?;
        if let (Some(config), Some(socket)) = (&workload, workload_socket) {
            agent.workload = Some(WorkloadPart::start(&options, config, &agent.core, socket, interceptor)?);
        }
        if let (Some(socket), Some(hold), Some(record)) = (control_socket, control_hold, record) {
            let paths = SocketPaths {
                whoami: agent.socket_path.clone(),
                workload: agent.workload_socket_path().map(Path::to_path_buf),
                control: hold.listener.path().to_path_buf(),
            };
            let posture = Posture {
                rules_file: agent.core.rules.file().map(Path::to_path_buf),
                control_socket: paths.control.clone(),
                control_mode: control_mode(&options),
                others_are_named: others_are_named(&options),
                other_sockets: [Some(paths.whoami.clone()), paths.workload.clone()].into_iter().flatten().collect(),
                state_dir,
                audit_log: options.audit_log.clone(),
                is_dev: options.is_dev(),
                seen: Mutex::default(),
            };
            let shared = agent.workload.as_ref().map(|part| Arc::clone(&part.shared));
            let whoami = Arc::clone(&agent.whoami);
            let control = Control::new(whoami, shared, record, Arc::clone(&kill_switch), (&options, paths), posture);
            agent.control = Some(ControlPart::start(control, socket, hold).map_err(os("starting an event loop"))?);
        }
        let rules_in_force = agent.core.rules.current().rules.rules().len();
        let killed = kill_switch.is_on();
        agent.core.bus.publish(|| AgentEvent::Started { rules: rules_in_force, killed });
        if let Some(order) = kill_switch.order() {
            tracing::error!(target: log::TARGET, by = order.activated_by, reason = order.reason, "the kill switch is on: nobody is vouched for");
        }
        tracing::info!(
            target: log::TARGET,
            socket = %agent.socket_path.display(),
            rules = agent.core.rules.current().rules.rules().len(),
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

    /// The path operators connect to, if they are answered.
    pub fn control_socket_path(&self) -> Option<&Path> {
        Some(&self.control.as_ref()?.socket_path)
    }

    /// Is the kill switch on?
    pub fn is_killed(&self) -> bool {
        self.core.gate.is_closed()
    }

    /// The lines a shell needs so that clients find this agent: one for who asks who it is, one for the Workload API and one
    /// for operators, as far as they are served.
    pub fn export_lines(&self) -> String {
        let quoted = |text: &str| text.replace('\'', r"'\''");
        let mut lines = format!("export WHOAMI_SOCKET='{}'", quoted(&self.socket_path.to_string_lossy()));
        if let Some(endpoint) = self.endpoint() {
            lines += &format!("\nexport SPIFFE_ENDPOINT_SOCKET='{}'", quoted(&endpoint));
        }
        if let Some(path) = self.control_socket_path() {
            lines += &format!("\nexport COUNTERSIGN_CONTROL_SOCKET='{}'", quoted(&path.to_string_lossy()));
        }
        lines
    }

    /// The path clients of the Workload API connect to, if it is served.
    pub fn workload_socket_path(&self) -> Option<&Path> {
        Some(&self.workload.as_ref()?.socket_path)
    }

    /// The same as an address of a Workload API: `unix:` and the path.
    pub fn endpoint(&self) -> Option<String> {
        Some(format!("unix:{}", self.workload_socket_path()?.display()))
    }

    /// The authority of this machine, if the Workload API is served.
    pub fn authority(&self) -> Option<&Arc<Authority>> {
        Some(&self.workload.as_ref()?.shared.authority)
    }

    /// Changes the keys of the authority ahead of their time. Says whether anything changed.
    pub fn rotate_authority(&self, rotation: Rotation) -> Result<bool, AuthorityError> {
        let Some(part) = &self.workload else { return Ok(false) };
        let config = self.core.rules.current().workload.clone();
        let changed = part.shared.authority.rotate(rotation, config.map_or(DEFAULT_CA_TTL, |config| config.ca_ttl))?;
        if changed {
            // Now, and not when somebody gets round to it: what is signed from here on is signed by the new keys.
            part.shared.republish();
        }
        Ok(changed)
    }

    /// The foreign trust domains whose bundles are to be fetched from an endpoint. The agent itself does not go out: who
    /// runs it fetches, and hands over what came with [`Agent::take_foreign_bundle`].
    pub fn bundle_endpoints(&self) -> Vec<(TrustDomain, BundleEndpoint)> {
        let snapshot = self.core.rules.current();
        let federations = snapshot.workload.iter().flat_map(|config| &config.federates_with);
        federations.filter_map(|(name, federation)| Some((name.clone(), federation.endpoint.clone()?))).collect()
    }

    /// The bundle of a foreign trust domain as it is known now.
    pub fn foreign_bundle(&self, name: &TrustDomain) -> Option<SpiffeBundle> {
        self.workload.as_ref()?.shared.foreign_bundle(name)
    }

    /// Takes the bundle an endpoint of a foreign trust domain served. `None`: the rules ask for none of that name, or it is
    /// older than the one that is known; else whether it says anything new.
    pub fn take_foreign_bundle(&self, name: &TrustDomain, bundle: SpiffeBundle) -> Option<bool> {
        self.workload.as_ref()?.shared.take_foreign_bundle(name, bundle)
    }

    /// What the Workload API did so far, if it is served.
    pub fn workload_stats(&self) -> Option<WorkloadStats> {
        let shared = &self.workload.as_ref()?.shared;
        Some(shared.counters.snapshot(shared.limits.active()))
    }

    /// Has a function told of what the agent does, on the agent's own threads: it must not block.
    pub fn observe(&self, observer: impl Fn(&AgentEvent) + Send + Sync + 'static) {
        self.core.bus.subscribe(Box::new(observer));
    }

    /// Goes by these rules from now on, instead of those it was started with. If they are broken the old ones stay in
    /// force.
    pub fn replace_rules(&self, text: &str) -> Result<ReloadReport, RulesError> {
        self.core.rules.replace(text)
    }

    /// Reads the rules anew. If they are broken the old ones stay in force.
    pub fn reload(&self) -> Result<ReloadReport, RulesError> {
        self.tell(Change::Reloading);
        let report = self.core.rules.reload();
        self.tell(Change::Ready);
        report
    }

    /// What the agent did so far.
    pub fn stats(&self) -> AgentStats {
        self.whoami.counters.snapshot(self.whoami.limits.active())
    }

    /// Stops answering: removes the socket, answers who has come already (for at most a second), and ends the
    /// threads. Closing twice is closing once.
    pub fn close(&self) {
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        if threads.is_empty() {
            return;
        }
        self.tell(Change::Stopping);
        if let Some(workload) = &self.workload {
            workload.api.lock().unwrap_or_else(PoisonError::into_inner).close();
        }
        self.whoami.stop.send_replace(true);
        for running in threads.drain(..) {
            let _ = running.join();
        }
        self.core.bus.publish(|| AgentEvent::Stopped);
        if let Some(record_writer) = self.record_writer.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            record_writer.close();
        }
        // Last: who watches hears of the end.
        if let Some(control) = &self.control {
            control.server.lock().unwrap_or_else(PoisonError::into_inner).close();
        }
        if let Some(directory) = &self.temporary {
            let _ = std::fs::remove_dir(directory);
        }
        tracing::info!(target: log::TARGET, socket = %self.socket_path.display(), "closed");
    }

    fn tell(&self, change: Change) {
        if self.service_manager {
            service_manager::tell(change);
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

type OpenSocket = (Listener, UnixListener);

struct Sockets {
    listener: Listener,
    socket: UnixListener,
    workload: Option<OpenSocket>,
    control: Option<OpenSocket>,
    temporary: Option<PathBuf>,
}

/// Where the keys and the kill switch are, if anywhere.
fn state_dir(options: &AgentOptions, workload: Option<&WorkloadConfig>) -> Option<PathBuf> {
    match (workload, &options.state_dir) {
        (Some(config), _) => config.state_dir.clone(),
        (None, Some(path)) if !options.state_in_memory => Some(path.clone()),
        (None, None) if options.is_of_the_machine() && !options.state_in_memory => Some(DEFAULT_STATE_DIR.into()),
        (None, _) => None,
    }
}

fn others_are_named(options: &AgentOptions) -> bool {
    !options.control_readers.is_empty() || !options.control_writers.is_empty()
}

fn control_mode(options: &AgentOptions) -> u32 {
    options.control_socket_mode.unwrap_or(if others_are_named(options) { 0o666 } else { 0o600 })
}

/// The socket of the operator. That it cannot be made at the usual place keeps no agent from starting: there may be
/// another one on the machine, or no right to that place.
fn open_control(
    options: &AgentOptions,
    activated: Option<UnixListener>,
    private: Option<&PathBuf>,
) -> Result<Option<OpenSocket>, ListenError> {
    if let Some(socket) = activated {
        return Listener::adopt(socket).map(Some);
    }
    let access = SocketAccess { mode: control_mode(options), owner: None, group: None };
    if let Some(path) = options.control_socket.as_ref().or(private) {
        return Listener::bind(path, access).map(Some);
    }
    if !options.is_of_the_machine() {
        return Ok(None);
    }
    match Listener::bind(Path::new(DEFAULT_CONTROL_SOCKET_PATH), access) {
        Ok(opened) => Ok(Some(opened)),
        Err(error) => {
            tracing::error!(target: log::TARGET, %error, "operators are not answered: give --control-socket");
            Ok(None)
        }
    }
}

fn open_sockets(options: &AgentOptions, workload: Option<&WorkloadConfig>) -> Result<Sockets, AgentError> {
    let activated = if options.service_manager { service_manager::activated()? } else { Activated::default() };
    let place = match options.is_dev() {
        true => {
            let place = dev::place().map_err(|source| AgentError::Os { what: "making a private directory", source })?;
            Some(place)
        }
        false => None,
    };
    let path_or = |given: Option<&PathBuf>, private: Option<&PathBuf>, usual: &str| {
        given.or(private).cloned().unwrap_or_else(|| PathBuf::from(usual))
    };
    let access = SocketAccess { mode: options.socket_mode, owner: options.socket_owner, group: options.socket_group };
    let open = |activated: Option<UnixListener>, path: PathBuf| match activated {
        Some(socket) => Listener::adopt(socket),
        None => Listener::bind(&path, access),
    };
    let private = place.as_ref();
    let control = activated.control;
    let opened = open(
        activated.whoami,
        path_or(options.socket.as_ref(), private.map(|place| &place.socket), DEFAULT_SOCKET_PATH),
    )
    .and_then(|(mut listener, socket)| {
        let Some(config) = workload else { return Ok((listener, socket, None)) };
        let private = private.map(|place| &place.workload_socket);
        let path = path_or(config.socket.as_ref(), private, DEFAULT_WORKLOAD_SOCKET_PATH);
        match open(activated.workload, path) {
            Ok(workload) => Ok((listener, socket, Some(workload))),
            Err(error) => {
                listener.remove();
                Err(error)
            }
        }
    });
    let opened = opened.and_then(|(mut listener, socket, workload)| {
        match open_control(options, control, private.map(|place| &place.control_socket)) {
            Ok(control) => Ok((listener, socket, workload, control)),
            Err(error) => {
                listener.remove();
                if let Some((mut listener, _)) = workload {
                    listener.remove();
                }
                Err(error)
            }
        }
    });
    let temporary = place.and_then(|place| place.temporary);
    match opened {
        Ok((listener, socket, workload, control)) => Ok(Sockets { listener, socket, workload, control, temporary }),
        Err(error) => {
            if let Some(directory) = temporary {
                let _ = std::fs::remove_dir(directory);
            }
            Err(error.into())
        }
    }
}

/// What answers the operators of a running agent.
struct ControlPart {
    socket_path: PathBuf,
    server: Mutex<ControlServer>,
}

impl ControlPart {
    fn start(control: Control, socket: UnixListener, mut hold: Hold) -> io::Result<ControlPart> {
        let socket_path = hold.listener.path().to_path_buf();
        let server = ControlServer::start(Arc::new(control), socket, move || {
            hold.withdraw();
        })?;
        tracing::info!(target: log::TARGET, socket = %socket_path.display(), "answering operators");
        Ok(ControlPart { socket_path, server: Mutex::new(server) })
    }
}

/// The Workload API of a running agent.
struct WorkloadPart {
    shared: Arc<Workload>,
    socket_path: PathBuf,
    api: Mutex<WorkloadApi>,
}

impl WorkloadPart {
    fn start(
        options: &AgentOptions,
        config: &WorkloadConfig,
        core: &Arc<Core>,
        (mut listener, socket): OpenSocket,
        interceptor: Arc<dyn Interceptor>,
    ) -> Result<WorkloadPart, AgentError> {
        let authority = match &config.state_dir {
            Some(directory) => Authority::open(config.trust_domain.clone(), config.ca_ttl, directory),
            None => Authority::in_memory(config.trust_domain.clone(), config.ca_ttl),
        };
        let socket_path = listener.path().to_path_buf();
        let started = authority.map_err(AgentError::from).and_then(|authority| {
            let limits = Limits::new(options.max_workload_connections, options.max_workload_connections_per_uid);
            let shared = Workload::new(Arc::clone(core), authority, limits, interceptor);
            let mut hold = Hold { listener: listener.take(), temporary: None };
            let api = WorkloadApi::start(Arc::clone(&shared), socket, move || {
                hold.withdraw();
            })
            .map_err(|source| AgentError::Os { what: "starting an event loop", source })?;
            Ok((shared, api))
        });
        match started {
            Ok((shared, api)) => {
                tracing::info!(
                    target: log::TARGET,
                    socket = %socket_path.display(),
                    trust_domain = config.trust_domain.name(),
                    keys = config.state_dir.as_ref().map_or_else(|| "in memory".into(), |path| path.display().to_string()),
                    "serving the Workload API"
                );
                Ok(WorkloadPart { shared, socket_path, api: Mutex::new(api) })
            }
            Err(error) => {
                listener.remove();
                Err(error)
            }
        }
    }
}
