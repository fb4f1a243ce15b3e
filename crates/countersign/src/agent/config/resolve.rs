//! What holds: every default is decided here, once, and nowhere else.

use std::io;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::dev::{self, Place, TemporaryDirectory};
use super::options::AgentOptions;
use crate::agent::audit_log::AuditLogOptions;
use crate::agent::endpoint::bind::SocketAccess;
use crate::agent::endpoint::quota::Quota;
use crate::agent::rules::source::{RulesSource, StateLocation, WorkloadOverrides};
use crate::agent::rules::workload_api::{DEFAULT_STATE_DIR, DEFAULT_WORKLOAD_SOCKET_PATH, WorkloadConfig};
use crate::control::DEFAULT_CONTROL_SOCKET_PATH;
use crate::whoami::DEFAULT_SOCKET_PATH;

/// How an agent runs.
pub(in crate::agent) struct AgentConfig {
    pub(in crate::agent) rules: RulesSource,
    pub(in crate::agent) overrides: WorkloadOverrides,
    /// How often files that may change are looked at.
    pub(in crate::agent) reload_interval: Duration,
    pub(in crate::agent) whoami: WhoamiConfig,
    pub(in crate::agent) workload: WorkloadEndpointConfig,
    pub(in crate::agent) control: ControlConfig,
    /// `None`: none is kept.
    pub(in crate::agent) audit_log: Option<AuditLogOptions>,
    pub(in crate::agent) service_manager: bool,
    /// Is this the agent of the machine, at the usual places?
    of_the_machine: bool,
    pub(in crate::agent) is_dev: bool,
    /// Holds the sockets of a development agent.
    pub(in crate::agent) temporary: Option<TemporaryDirectory>,
}

pub(in crate::agent) struct WhoamiConfig {
    pub(in crate::agent) socket: PathBuf,
    pub(in crate::agent) access: SocketAccess,
    pub(in crate::agent) threads: usize,
    pub(in crate::agent) grace: Duration,
    pub(in crate::agent) connection_timeout: Duration,
    pub(in crate::agent) quota: Arc<Quota>,
}

pub(in crate::agent) struct WorkloadEndpointConfig {
    /// Where it is served if the rules do not say.
    default_socket: PathBuf,
    pub(in crate::agent) access: SocketAccess,
    pub(in crate::agent) quota: Arc<Quota>,
}

pub(in crate::agent) struct ControlConfig {
    pub(in crate::agent) socket: ControlSocket,
    pub(in crate::agent) access: SocketAccess,
    /// Users with read access, besides the owner.
    pub(in crate::agent) readers: Vec<u32>,
    /// Users with read and write access, besides the owner.
    pub(in crate::agent) writers: Vec<u32>,
}

/// Whether operators are answered, and where.
pub(in crate::agent) enum ControlSocket {
    None,
    /// The agent does not start without it.
    Required(PathBuf),
    /// The agent starts without it, too: there may be another agent on the machine, or no right to the usual place.
    Optional(PathBuf),
}

impl AgentConfig {
    /// Decides what holds. A development agent gets a private place for its sockets.
    pub(in crate::agent) fn resolve(options: AgentOptions) -> io::Result<AgentConfig> {
        let AgentOptions {
            rules,
            socket,
            socket_mode,
            socket_owner,
            socket_group,
            grace,
            connection_timeout,
            threads,
            max_connections,
            max_connections_per_uid,
            reload_interval,
            service_manager,
            workload_socket,
            trust_domain,
            state_dir,
            state_in_memory,
            max_workload_connections,
            max_workload_connections_per_uid,
            control_socket,
            control_socket_mode,
            control_readers,
            control_writers,
            audit_log,
            // For the log of the process, which its owner sets up.
            log_format: _,
            log_level: _,
        } = options;
        let is_dev = matches!(rules, RulesSource::Dev { .. });
        let of_the_machine = socket.is_none() && !is_dev;
        let place = if is_dev { Some(dev::place()?) } else { None };
        let private = |name: &str| place.as_ref().map(|place: &Place| place.directory.join(name));
        let access = SocketAccess { mode: socket_mode, owner: socket_owner, group: socket_group };
        let whoami = WhoamiConfig {
            socket: socket.or_else(|| private("whoami.sock")).unwrap_or_else(|| DEFAULT_SOCKET_PATH.into()),
            access,
            threads: threads.min(cores()),
            grace,
            connection_timeout,
            quota: quota(max_connections, max_connections_per_uid),
        };
        let quota = quota(max_workload_connections, max_workload_connections_per_uid);
        let workload = WorkloadEndpointConfig::resolve(private("workload.sock"), access, quota);
        let socket = ControlSocket::resolve(control_socket.or_else(|| private("control.sock")), of_the_machine);
        let control = ControlConfig::resolve(socket, control_socket_mode, control_readers, control_writers);
        let state = state_location(state_in_memory, state_dir);
        Ok(AgentConfig {
            rules,
            overrides: WorkloadOverrides { socket: workload_socket, trust_domain, state },
            reload_interval,
            whoami,
            workload,
            control,
            audit_log,
            service_manager,
            of_the_machine,
            is_dev,
            temporary: place.and_then(|place| place.temporary),
        })
    }

    /// Where the keys and the kill switch are, if anywhere. The rules can name the place.
    pub(in crate::agent) fn state_dir(&self, workload: Option<&WorkloadConfig>) -> Option<PathBuf> {
        match (workload, &self.overrides.state) {
            (Some(config), _) => config.state_dir.clone(),
            (None, StateLocation::Directory(path)) => Some(path.clone()),
            (None, StateLocation::Default) if self.of_the_machine => Some(DEFAULT_STATE_DIR.into()),
            (None, StateLocation::Default | StateLocation::Memory) => None,
        }
    }
}

impl WorkloadEndpointConfig {
    fn resolve(private: Option<PathBuf>, access: SocketAccess, quota: Arc<Quota>) -> WorkloadEndpointConfig {
        let default_socket = private.unwrap_or_else(|| DEFAULT_WORKLOAD_SOCKET_PATH.into());
        WorkloadEndpointConfig { default_socket, access, quota }
    }

    /// Where the Workload API is served.
    pub(in crate::agent) fn socket<'a>(&'a self, workload: &'a WorkloadConfig) -> &'a Path {
        workload.socket.as_deref().unwrap_or(&self.default_socket)
    }
}

impl ControlSocket {
    fn resolve(given: Option<PathBuf>, of_the_machine: bool) -> ControlSocket {
        match given {
            Some(path) => ControlSocket::Required(path),
            None if of_the_machine => ControlSocket::Optional(DEFAULT_CONTROL_SOCKET_PATH.into()),
            None => ControlSocket::None,
        }
    }
}

impl ControlConfig {
    fn resolve(socket: ControlSocket, mode: Option<u32>, readers: Vec<u32>, writers: Vec<u32>) -> ControlConfig {
        let mut control =
            ControlConfig { socket, access: SocketAccess { mode: 0o600, owner: None, group: None }, readers, writers };
        if control.others_are_named() {
            control.access.mode = 0o666;
        }
        control.access.mode = mode.unwrap_or(control.access.mode);
        control
    }

    /// May other users than the owner connect?
    pub(in crate::agent) fn others_are_named(&self) -> bool {
        !self.readers.is_empty() || !self.writers.is_empty()
    }
}

fn quota(total: usize, per_uid: usize) -> Arc<Quota> {
    Arc::new(Quota::new(total, per_uid))
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

fn state_location(in_memory: bool, directory: Option<PathBuf>) -> StateLocation {
    match directory {
        _ if in_memory => StateLocation::Memory,
        Some(directory) => StateLocation::Directory(directory),
        None => StateLocation::Default,
    }
}
