use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::agent::audit_log::AuditLogOptions;
use crate::agent::log::LogFormat;
use crate::agent::rules::source::RulesSource;
use crate::spiffe::TrustDomain;

/// Where the rules file is looked for by default.
pub const DEFAULT_RULES_PATH: &str = "/etc/countersign/rules.toml";
/// The longest request that is read.
pub const MAX_REQUEST_BYTES: usize = 64 * 1024;

/// How an agent is to run. [`AgentOptions::default`] is the agent of a machine; [`AgentOptions::dev`] one for a
/// developer without root.
///
/// ```
/// use countersign::agent::AgentOptions;
///
/// let options = AgentOptions::default()
///     .rules_file("/etc/acme/rules.toml")
///     .socket("/run/acme/whoami.sock");
/// assert_eq!(options.socket_mode, 0o666);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentOptions {
    /// Where the rules come from.
    pub rules: RulesSource,
    /// The socket to make; `None` for [`DEFAULT_SOCKET_PATH`](crate::whoami::DEFAULT_SOCKET_PATH), or a private place
    /// in development.
    pub socket: Option<PathBuf>,
    /// Permission bits of the socket. By default every user may connect: the rules decide the answers.
    pub socket_mode: u32,
    /// User id that shall own the socket.
    pub socket_owner: Option<u32>,
    /// Group id that shall own the socket.
    pub socket_group: Option<u32>,
    /// How long a client that says nothing has before it is answered without a request.
    pub grace: Duration,
    /// How long a connection may take in all.
    pub connection_timeout: Duration,
    /// Threads that answer; all but the first rest until clients queue up. No more are started than there are cores.
    pub threads: usize,
    /// Connections kept waiting at once, in all. Those answered at once do not count.
    pub max_connections: usize,
    /// Connections kept waiting at once for one user.
    pub max_connections_per_uid: usize,
    /// How often the rules file is looked at for changes.
    pub reload_interval: Duration,
    /// Take a listening socket from the service manager when it offers one, and tell it when we are ready, reload
    /// or stop (`LISTEN_FDS`, `NOTIFY_SOCKET`). Both belong to the whole process, so only its owner may ask for it.
    pub service_manager: bool,
    /// The socket of the Workload API; `None` for that of the rules, or for a private place in development.
    pub workload_socket: Option<PathBuf>,
    /// The trust domain to be the authority of, when the rules do not say. Giving one serves the Workload API.
    pub trust_domain: Option<TrustDomain>,
    /// Where the keys of the authority are kept, instead of where the rules say.
    pub state_dir: Option<PathBuf>,
    /// Keep the keys nowhere: the authority is gone with the agent. Always so in development.
    pub state_in_memory: bool,
    /// Connections to the Workload API at once, in all.
    pub max_workload_connections: usize,
    /// Connections to the Workload API at once for one user.
    pub max_workload_connections_per_uid: usize,
    /// The socket an operator is answered on. `None`: that of the machine for the agent of the machine, a private
    /// place in development, and none for an agent with a whoami socket of its own.
    pub control_socket: Option<PathBuf>,
    /// Permission bits of that socket. `None`: 0600, or 0666 when others than the owner are named below. Permissions
    /// depend on the user id that the kernel reports, in either case.
    pub control_socket_mode: Option<u32>,
    /// Users with read access, besides the owner (the agent's own user, and root).
    pub control_readers: Vec<u32>,
    /// Users with read and write access, besides the owner.
    pub control_writers: Vec<u32>,
    /// Keep an audit log.
    pub audit_log: Option<AuditLogOptions>,
    /// For the program that sets up the log; the agent itself installs none.
    pub log_format: LogFormat,
    /// For the program that sets up the log, in the syntax of [`crate::agent::log::init`].
    pub log_level: String,
}

impl Default for AgentOptions {
    fn default() -> AgentOptions {
        AgentOptions {
            rules: RulesSource::File(PathBuf::from(DEFAULT_RULES_PATH)),
            socket: None,
            socket_mode: 0o666,
            socket_owner: None,
            socket_group: None,
            grace: Duration::from_millis(25),
            connection_timeout: Duration::from_secs(5),
            threads: 2,
            max_connections: 1024,
            max_connections_per_uid: 256,
            reload_interval: Duration::from_secs(1),
            service_manager: false,
            workload_socket: None,
            trust_domain: None,
            state_dir: None,
            state_in_memory: false,
            max_workload_connections: 16_384,
            max_workload_connections_per_uid: 4096,
            control_socket: None,
            control_socket_mode: None,
            control_readers: Vec::new(),
            control_writers: Vec::new(),
            audit_log: None,
            log_format: LogFormat::Text,
            log_level: "info".to_owned(),
        }
    }
}

impl AgentOptions {
    /// An agent for development: no root, a private socket, one rule for our own user (and `exe`, when given).
    pub fn dev(exe: Option<PathBuf>) -> AgentOptions {
        AgentOptions { rules: RulesSource::Dev { exe }, state_in_memory: true, ..AgentOptions::default() }
    }

    /// Takes the rules from a file and watches it.
    pub fn rules_file(mut self, path: impl Into<PathBuf>) -> AgentOptions {
        self.rules = RulesSource::File(path.into());
        self
    }

    /// Takes the rules from TOML text.
    pub fn rules_text(mut self, text: impl Into<String>) -> AgentOptions {
        self.rules = RulesSource::Text(zeroize::Zeroizing::new(text.into()));
        self
    }

    /// Makes the socket at `path`.
    pub fn socket(mut self, path: impl Into<PathBuf>) -> AgentOptions {
        self.socket = Some(path.into());
        self
    }

    /// Permission bits of the socket.
    pub fn socket_mode(mut self, mode: u32) -> AgentOptions {
        self.socket_mode = mode;
        self
    }

    /// How long a silent client is given.
    pub fn grace(mut self, grace: Duration) -> AgentOptions {
        self.grace = grace;
        self
    }

    /// How long a connection may take in all.
    pub fn connection_timeout(mut self, timeout: Duration) -> AgentOptions {
        self.connection_timeout = timeout;
        self
    }

    /// How many threads answer, at most.
    pub fn threads(mut self, threads: usize) -> AgentOptions {
        self.threads = threads;
        self
    }

    /// Connections kept waiting at once: in all, and for one user.
    pub fn connections(mut self, total: usize, per_uid: usize) -> AgentOptions {
        self.max_connections = total;
        self.max_connections_per_uid = per_uid;
        self
    }

    /// How often the rules file is looked at for changes.
    pub fn reload_interval(mut self, interval: Duration) -> AgentOptions {
        self.reload_interval = interval;
        self
    }

    /// Makes the socket of the Workload API at `path`.
    pub fn workload_socket(mut self, path: impl Into<PathBuf>) -> AgentOptions {
        self.workload_socket = Some(path.into());
        self
    }

    /// Serves the Workload API as the authority of this trust domain.
    pub fn trust_domain(mut self, trust_domain: TrustDomain) -> AgentOptions {
        self.trust_domain = Some(trust_domain);
        self
    }

    /// Keeps the keys of the authority in this directory.
    pub fn state_dir(mut self, path: impl Into<PathBuf>) -> AgentOptions {
        self.state_dir = Some(path.into());
        self
    }

    /// Keeps the keys of the authority nowhere.
    pub fn state_in_memory(mut self) -> AgentOptions {
        self.state_in_memory = true;
        self
    }

    /// Connections to the Workload API at once: in all, and for one user.
    pub fn workload_connections(mut self, total: usize, per_uid: usize) -> AgentOptions {
        self.max_workload_connections = total;
        self.max_workload_connections_per_uid = per_uid;
        self
    }

    /// Answers the operator at `path`.
    pub fn control_socket(mut self, path: impl Into<PathBuf>) -> AgentOptions {
        self.control_socket = Some(path.into());
        self
    }

    /// Lets these users look.
    pub fn control_readers(mut self, uids: impl IntoIterator<Item = u32>) -> AgentOptions {
        self.control_readers.extend(uids);
        self
    }

    /// Gives these users read and write access.
    pub fn control_writers(mut self, uids: impl IntoIterator<Item = u32>) -> AgentOptions {
        self.control_writers.extend(uids);
        self
    }

    /// Keeps an audit log.
    pub fn audit_log(mut self, log: AuditLogOptions) -> AgentOptions {
        self.audit_log = Some(log);
        self
    }

    /// Is this a development agent?
    pub fn is_dev(&self) -> bool {
        matches!(self.rules, RulesSource::Dev { .. })
    }

    /// The executable of this very process: what a host passes to [`AgentOptions::dev`] to answer only programs
    /// run by the same interpreter.
    pub fn own_exe() -> Option<PathBuf> {
        std::env::current_exe().ok().filter(|path| path != Path::new(""))
    }
}
