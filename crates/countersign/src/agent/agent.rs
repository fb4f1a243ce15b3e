use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::agent::audit_log::{AuditLogError, LogWriter};
use crate::agent::authority::{Authority, AuthorityError, Rotation};
use crate::agent::config::dev::TemporaryDirectory;
use crate::agent::config::options::AgentOptions;
use crate::agent::config::resolve::{AgentConfig, ControlSocket};
use crate::agent::control::{Access, Control, Sockets as SocketPaths, WorkloadFacts};
use crate::agent::core::Core;
use crate::agent::core::blocking_pool::BlockingPool;
use crate::agent::core::stats::{AgentStats, WorkloadStats};
use crate::agent::decisions::{AgentEvent, EventBus, Gate, KillSwitch, Recorder};
use crate::agent::endpoint::activation::{Activated, activated};
use crate::agent::endpoint::bind::{BoundSocket, ListenError, SocketAccess};
use crate::agent::endpoint::endpoint::Endpoint;
use crate::agent::endpoint::throttled_log::LogThrottle;
use crate::agent::fs::private_file::PrivateFileError;
use crate::agent::log;
use crate::agent::record::{Journal, RecordWriter};
use crate::agent::rules::error::RulesError;
use crate::agent::rules::store::{ReadRules, ReloadReport, RuleStore};
use crate::agent::rules::workload_api::{BundleEndpoint, DEFAULT_CA_TTL, WorkloadConfig};
use crate::agent::self_audit::SelfAudit;
use crate::agent::service_manager::{self, Change};
use crate::agent::whoami::Whoami;
use crate::agent::workload::Workload;
use crate::agent::workload::interceptor::{Interceptor, Untouched};
use crate::spiffe::{SpiffeBundle, TrustDomain};

/// Why an agent could not be started.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The rules are broken.
    #[error(transparent)]
    Rules(#[from] RulesError),
    /// A socket could not be made.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The keys of the authority could not be read or made.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// The audit log cannot be written.
    #[error("no audit log: {0}")]
    AuditLog(#[from] AuditLogError),
    /// It is unknown whether the kill switch is on.
    #[error("cannot find out whether the kill switch is on: {0}")]
    KillSwitch(PrivateFileError),
    /// The operating system refused a thread, an event loop or a directory.
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
    whoami: Endpoint<Whoami>,
    workload: Option<Endpoint<Workload>>,
    control: Option<Endpoint<Control>>,
    record_writer: Mutex<Option<RecordWriter>>,
    blocking_pool: BlockingPool,
    temporary: Option<TemporaryDirectory>,
    service_manager: bool,
    closed: Mutex<bool>,
}

impl Agent {
    /// Starts an agent; once this returns, clients are answered.
    pub fn start(options: AgentOptions) -> Result<Agent, AgentError> {
        Agent::start_with(options, Arc::new(Untouched))
    }

    /// The same, with an interceptor of calls to the Workload API.
    pub(super) fn start_with(options: AgentOptions, interceptor: Arc<dyn Interceptor>) -> Result<Agent, AgentError> {
        let config = AgentConfig::resolve(options).map_err(AgentError::os("making a private directory"))?;
        let rules = ReadRules::first(config.rules.clone(), config.overrides.clone())?;
        let workload = rules.snapshot.workload.clone();
        // Before there is anything to reach: nothing is vouched for against the kill switch, or unrecorded.
        let state_dir = config.state_dir(workload.as_ref());
        let kill_switch = Arc::new(KillSwitch::open(state_dir.as_deref()).map_err(AgentError::KillSwitch)?);
        let log = config.audit_log.as_ref().map(LogWriter::open).transpose()?;
        let sockets = Sockets::open(&config, workload.as_ref())?;
        let mut record_writer = None;
        if sockets.control.is_some() || log.is_some() {
            let log = log.zip(config.audit_log.as_ref());
            record_writer = Some(RecordWriter::start(log).map_err(AgentError::os("starting a thread"))?);
        }
        let recorder = record_writer.as_ref().map(|writer| Arc::clone(writer.journal()) as Arc<dyn Recorder>);
        let bus = Arc::new(EventBus::new(recorder));
        let authority = workload.as_ref().map(open_authority).transpose()?;
        let event_loop = AgentError::os("starting an event loop");
        let (blocking_pool, blocking) = BlockingPool::new().map_err(event_loop)?;
        let core = Arc::new(Core {
            rules: Arc::new(RuleStore::new(rules, Arc::clone(&bus))),
            gate: Gate::new(Arc::clone(&kill_switch), Arc::clone(&bus)),
            bus,
            reload_interval: config.reload_interval,
            known: Arc::default(),
            blocking,
            exhaustion: LogThrottle::default(),
        });
        let whoami = Whoami::start(Arc::clone(&core), &config.whoami, sockets.whoami);
        let whoami = whoami.map_err(AgentError::os("serving the whoami socket"))?;
        let workload = authority.zip(sockets.workload).map(|(authority, socket)| {
            let quota = Arc::clone(&config.workload.quota);
            Workload::new(Arc::clone(&core), authority, quota, interceptor).start(socket)
        });
        let workload = workload.transpose().map_err(AgentError::os("serving the Workload API"))?;
        let control = record_writer.as_ref().zip(sockets.control).map(|(writer, socket)| {
            let decisions = (writer.journal(), &kill_switch);
            start_control(&config, state_dir, &core, decisions, &whoami, workload.as_ref(), socket)
        });
        let control = control.transpose().map_err(AgentError::os("serving the control socket"))?;
        let agent = Agent {
            core,
            whoami,
            workload,
            control,
            record_writer: Mutex::new(record_writer),
            blocking_pool,
            service_manager: config.service_manager,
            temporary: config.temporary,
            closed: Mutex::default(),
        };
        agent.announce(&kill_switch);
        Ok(agent)
    }

    /// Says in the log, on record and to the service manager that the agent has started.
    fn announce(&self, kill_switch: &KillSwitch) {
        let rules = self.core.rules.current().rules.rules().len();
        let order = kill_switch.order();
        self.core.bus.publish(|| AgentEvent::Started { rules, killed: order.is_some() });
        if let Some(order) = order {
            let (by, reason) = (order.activated_by, order.reason);
            tracing::error!(target: log::TARGET, by, reason, "the kill switch is on: no credential is issued");
        }
        tracing::info!(target: log::TARGET, socket = %self.socket_path().display(), rules, "listening");
        self.notify(Change::Ready);
    }

    /// The path clients connect to.
    pub fn socket_path(&self) -> &Path {
        self.whoami.path()
    }

    /// The path operators connect to, if there is a control socket.
    pub fn control_socket_path(&self) -> Option<&Path> {
        Some(self.control.as_ref()?.path())
    }

    /// Is the kill switch on?
    pub fn is_killed(&self) -> bool {
        self.core.gate.is_closed()
    }

    /// The lines a shell needs so that clients find this agent: one for the whoami socket, one for the Workload API
    /// and one for the control socket, as far as they are served.
    pub fn export_lines(&self) -> String {
        let quoted = |text: &str| text.replace('\'', r"'\''");
        let mut lines = format!("export WHOAMI_SOCKET='{}'", quoted(&self.socket_path().to_string_lossy()));
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
        Some(self.workload.as_ref()?.path())
    }

    /// The same as an address of a Workload API: `unix:` and the path.
    pub fn endpoint(&self) -> Option<String> {
        Some(format!("unix:{}", self.workload_socket_path()?.display()))
    }

    /// The authority of this machine, if the Workload API is served.
    pub fn authority(&self) -> Option<&Arc<Authority>> {
        Some(&self.workload.as_ref()?.protocol().authority)
    }

    /// Changes the keys of the authority ahead of their time. Says whether anything changed.
    pub fn rotate_authority(&self, rotation: Rotation) -> Result<bool, AuthorityError> {
        let Some(workload) = &self.workload else { return Ok(false) };
        let config = self.core.rules.current().workload.clone();
        let changed =
            workload.protocol().authority.rotate(rotation, config.map_or(DEFAULT_CA_TTL, |config| config.ca_ttl))?;
        if changed {
            // At once: what is signed from here on is signed by the new keys.
            workload.protocol().republish();
        }
        Ok(changed)
    }

    /// The foreign trust domains whose bundles are to be fetched from an endpoint. The agent itself makes no
    /// connections: its owner fetches the bundles, and hands them over with [`Agent::take_foreign_bundle`].
    pub fn bundle_endpoints(&self) -> Vec<(TrustDomain, BundleEndpoint)> {
        let snapshot = self.core.rules.current();
        let federations = snapshot.workload.iter().flat_map(|config| &config.federates_with);
        federations.filter_map(|(name, federation)| Some((name.clone(), federation.endpoint.clone()?))).collect()
    }

    /// The bundle of a foreign trust domain as it is known now.
    pub fn foreign_bundle(&self, name: &TrustDomain) -> Option<SpiffeBundle> {
        self.workload.as_ref()?.protocol().foreign_bundle(name)
    }

    /// Takes the bundle an endpoint of a foreign trust domain served. `None`: the rules ask for none of that name, or
    /// it is older than the one that is known; else whether it says anything new.
    pub fn take_foreign_bundle(&self, name: &TrustDomain, bundle: SpiffeBundle) -> Option<bool> {
        self.workload.as_ref()?.protocol().take_foreign_bundle(name, bundle)
    }

    /// What the Workload API has done so far, if it is served.
    pub fn workload_stats(&self) -> Option<WorkloadStats> {
        Some(self.workload.as_ref()?.protocol().counters.stats())
    }

    /// Calls a function for every event, on the agent's own threads: it must not block.
    pub fn observe(&self, observer: impl Fn(&AgentEvent) + Send + Sync + 'static) {
        self.core.bus.subscribe(Box::new(observer));
    }

    /// Replaces the rules by these. If they are broken the old ones stay in force.
    pub fn replace_rules(&self, text: &str) -> Result<ReloadReport, RulesError> {
        self.core.rules.replace(text)
    }

    /// Reads the rules again. If they are broken the old ones stay in force.
    pub fn reload(&self) -> Result<ReloadReport, RulesError> {
        self.notify(Change::Reloading);
        let report = self.core.rules.reload();
        self.notify(Change::Ready);
        report
    }

    /// What the agent has done on its whoami socket so far.
    pub fn stats(&self) -> AgentStats {
        self.whoami.protocol().counters.stats()
    }

    /// Stops answering: removes the sockets, serves the connections that are there (for about a second, at most), and
    /// ends the threads. Closing twice is closing once.
    pub fn close(&self) {
        let mut closed = self.closed.lock().unwrap_or_else(PoisonError::into_inner);
        if *closed {
            return;
        }
        *closed = true;
        self.notify(Change::Stopping);
        if let Some(workload) = &self.workload {
            workload.close();
            workload.protocol().authority.close();
        }
        self.whoami.close();
        self.core.bus.publish(|| AgentEvent::Stopped);
        if let Some(record_writer) = self.record_writer.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            record_writer.close();
        }
        // Last: subscribers hear of the end.
        if let Some(control) = &self.control {
            control.close();
        }
        self.blocking_pool.close();
        if let Some(directory) = &self.temporary {
            directory.remove();
        }
        tracing::info!(target: log::TARGET, socket = %self.socket_path().display(), "closed");
    }

    fn notify(&self, change: Change) {
        if self.service_manager {
            service_manager::notify(change);
        }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.close();
    }
}

impl AgentError {
    fn os(what: &'static str) -> impl Fn(io::Error) -> AgentError {
        move |source| AgentError::Os { what, source }
    }
}

fn open_authority(workload: &WorkloadConfig) -> Result<Authority, AuthorityError> {
    match &workload.state_dir {
        Some(directory) => Authority::open(workload.trust_domain.clone(), workload.ca_ttl, directory),
        None => Authority::in_memory(workload.trust_domain.clone(), workload.ca_ttl),
    }
}

/// Serves the control socket. It reports on all other parts.
fn start_control(
    config: &AgentConfig,
    state_dir: Option<PathBuf>,
    core: &Arc<Core>,
    (record, kill_switch): (&Arc<Journal>, &Arc<KillSwitch>),
    whoami: &Endpoint<Whoami>,
    workload: Option<&Endpoint<Workload>>,
    socket: BoundSocket,
) -> io::Result<Endpoint<Control>> {
    let asked = &config.control;
    let sockets = SocketPaths {
        whoami: whoami.path().to_path_buf(),
        workload: workload.map(|workload| workload.path().to_path_buf()),
        control: socket.path().to_path_buf(),
    };
    let facts = workload.map(|workload| WorkloadFacts {
        trust_domain: workload.protocol().authority.trust_domain().clone(),
        counters: Arc::clone(&workload.protocol().counters),
    });
    let self_audit = SelfAudit {
        rules_file: core.rules.file().map(Path::to_path_buf),
        control_socket: sockets.control.clone(),
        control_mode: asked.access.mode,
        others_are_named: asked.others_are_named(),
        other_sockets: [Some(sockets.whoami.clone()), sockets.workload.clone()].into_iter().flatten().collect(),
        state_dir,
        audit_log: config.audit_log.clone(),
        is_dev: config.is_dev,
        seen: Mutex::default(),
    };
    let access = Access::new(rustix::process::geteuid().as_raw(), &asked.readers, &asked.writers);
    let control = Control::new(
        Arc::clone(core),
        (Arc::clone(&whoami.protocol().counters), facts),
        (Arc::clone(record), Arc::clone(kill_switch)),
        access,
        sockets,
        self_audit,
    );
    control.start(socket)
}

/// The sockets of an agent. Dropping them removes them again.
struct Sockets {
    whoami: BoundSocket,
    workload: Option<BoundSocket>,
    control: Option<BoundSocket>,
}

impl Sockets {
    fn open(config: &AgentConfig, workload: Option<&WorkloadConfig>) -> Result<Sockets, ListenError> {
        let offered = if config.service_manager { activated()? } else { Activated::default() };
        let open = |offered: Option<BoundSocket>, path: &Path, access: SocketAccess| match offered {
            Some(socket) => Ok(socket),
            None => BoundSocket::bind(path, access),
        };
        let whoami = open(offered.whoami, &config.whoami.socket, config.whoami.access)?;
        let workload = match workload {
            Some(workload) => Some(open(offered.workload, config.workload.socket(workload), config.workload.access)?),
            None => None,
        };
        let control = match &config.control.socket {
            ControlSocket::Required(path) => Some(open(offered.control, path, config.control.access)?),
            ControlSocket::Optional(path) => open(offered.control, path, config.control.access)
                .inspect_err(|error| {
                    tracing::error!(target: log::TARGET, %error, "operators are not answered: give --control-socket");
                })
                .ok(),
            ControlSocket::None => offered.control,
        };
        Ok(Sockets { whoami, workload, control })
    }
}
