//! The options of an agent in the process of its program, as JSON.

use std::fmt::Display;
use std::path::PathBuf;

use countersign::agent::{AgentError, AgentOptions, AuditLogOptions, LogFailure};
use countersign::spiffe::TrustDomain;
use serde::Deserialize;

use crate::host::failure::Failure;

/// What a program asks for.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RunForm {
    rules: Option<String>,
    rules_file: Option<PathBuf>,
    #[serde(default)]
    dev: bool,
    socket: Option<PathBuf>,
    workload_socket: Option<PathBuf>,
    socket_mode: Option<u32>,
    trust_domain: Option<String>,
    state_dir: Option<PathBuf>,
    #[serde(default)]
    in_memory: bool,
    control_socket: Option<PathBuf>,
    control_socket_mode: Option<u32>,
    #[serde(default)]
    control_readers: Vec<u32>,
    #[serde(default)]
    control_writers: Vec<u32>,
    audit_log: Option<AuditLogForm>,
    max_workload_connections: Option<usize>,
    max_workload_connections_per_uid: Option<usize>,
}

/// How it keeps its audit log.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct AuditLogForm {
    path: PathBuf,
    #[serde(default)]
    sync: bool,
    max_bytes: Option<u64>,
    keep: Option<usize>,
    #[serde(default)]
    go_on: bool,
}

impl AuditLogForm {
    fn options(self) -> AuditLogOptions {
        let usual = AuditLogOptions::new(self.path);
        AuditLogOptions {
            sync: self.sync,
            max_bytes: self.max_bytes.unwrap_or(usual.max_bytes),
            keep: self.keep.unwrap_or(usual.keep),
            on_failure: if self.go_on { LogFailure::Continue } else { LogFailure::Refuse },
            ..usual
        }
    }
}

/// Starts an agent as JSON options ask for.
pub(crate) fn started<T>(
    options: &str,
    start: impl FnOnce(AgentOptions) -> Result<T, AgentError>,
) -> Result<T, Failure> {
    let form: RunForm = serde_json::from_str(options).map_err(|error| invalid(&error))?;
    Ok(start(form.options()?)?)
}

fn invalid(reason: &dyn Display) -> Failure {
    Failure::invalid_argument(&format!("options: {reason}"))
}

impl RunForm {
    fn options(self) -> Result<AgentOptions, Failure> {
        let mut options = match (self.rules, self.rules_file) {
            (Some(text), _) => AgentOptions::default().rules_text(text),
            (None, Some(file)) => AgentOptions::default().rules_file(file),
            (None, None) if self.dev => AgentOptions::dev(AgentOptions::own_exe()),
            (None, None) => return Err(invalid(&"expected rules, rulesFile or dev")),
        };
        if let Some(name) = self.trust_domain {
            let name = TrustDomain::parse(&name)
                .map_err(|error| Failure::invalid_argument(&format!("trustDomain: {error}")))?;
            options.trust_domain = Some(name);
        }
        options.socket = self.socket;
        options.workload_socket = self.workload_socket;
        options.socket_mode = self.socket_mode.unwrap_or(options.socket_mode);
        options.state_in_memory |= self.in_memory;
        options.state_dir = self.state_dir;
        options.control_socket = self.control_socket;
        options.control_socket_mode = self.control_socket_mode;
        options.control_readers = self.control_readers;
        options.control_writers = self.control_writers;
        options.audit_log = self.audit_log.map(AuditLogForm::options);
        if let Some(limit) = self.max_workload_connections {
            options.max_workload_connections = limit;
        }
        if let Some(limit) = self.max_workload_connections_per_uid {
            options.max_workload_connections_per_uid = limit;
        }
        Ok(options)
    }
}
