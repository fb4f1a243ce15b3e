//! The agent for JavaScript: the command line's, in this very process.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use countersign::agent::{
    Agent, AgentError, AgentEvent, AgentOptions, AuditLogOptions, BundleEndpoint, LogFailure, ParsedArgs, ReloadReport,
    Rotation, RuleSet, RulesError, RulesSource, log,
};
use countersign::peer::Peer;
use countersign::spiffe::workload_api::Method;
use countersign::spiffe::{SpiffeBundle, TrustDomain};
use napi::bindgen_prelude::{AsyncTask, Either};
use napi::{Env, Task};
use napi_derive::napi;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::peer::peer_error_value;
use crate::spiffe::mailbox::Mailbox;

/// A running agent. It lives on threads of its own and is closed with the object.
#[napi]
pub struct NativeAgent {
    agent: Arc<Agent>,
}

/// Closing takes a moment, in which the event loop must go on: those who are told goodbye may live on it.
pub struct Closing(pub(crate) Box<dyn FnOnce() + Send>);

impl Task for Closing {
    type Output = ();
    type JsValue = ();

    fn compute(&mut self) -> napi::Result<()> {
        let close = std::mem::replace(&mut self.0, Box::new(|| ()));
        close();
        Ok(())
    }

    fn resolve(&mut self, _: Env, (): ()) -> napi::Result<()> {
        Ok(())
    }
}

/// What the options of the agent are: one line each, as its `--help` has them.
#[napi]
pub fn agent_help() -> String {
    AgentOptions::help()
}

#[napi]
impl NativeAgent {
    /// Start an agent as a command line asks for. A string is JSON: `{help}`, `{version}`, `{usage: message}` or
    /// `{err: {...}}`. With `--dev`, only the executable of this process is told anything.
    #[napi(ts_return_type = "NativeAgent | string")]
    pub fn start(args: Vec<String>) -> Either<NativeAgent, String> {
        let other = |value: Value| Either::B(value.to_string());
        let mut options = match AgentOptions::from_args(&args) {
            Ok(ParsedArgs::Run(options)) => *options,
            Ok(ParsedArgs::Help) => return other(json!({ "help": true })),
            Ok(ParsedArgs::Version) => return other(json!({ "version": true })),
            Err(error) => return other(json!({ "usage": error.to_string() })),
        };
        if let RulesSource::Dev { exe } = &mut options.rules {
            *exe = AgentOptions::own_exe();
        }
        if let Err(error) = log::init(options.log_format, &options.log_level) {
            return other(json!({ "usage": error.to_string() }));
        }
        match Agent::start(options) {
            Ok(agent) => Either::A(NativeAgent { agent: Arc::new(agent) }),
            Err(error) => other(json!({ "err": agent_error_value(&error) })),
        }
    }

    /// Start an agent in this process, as JSON options ask for: `{rules | rulesFile | dev, socket, workloadSocket, socketMode,
    /// trustDomain, stateDir, inMemory, graceMs, maxConnections, maxConnectionsPerUid}`. A string is what went wrong, as
    /// JSON. What it does is delivered under the key.
    #[napi(ts_return_type = "NativeAgent | string")]
    pub fn run(mailbox: &Mailbox, key: f64, options: String) -> Either<NativeAgent, String> {
        match started(&options, Agent::start) {
            Ok(agent) => {
                tell(&agent, mailbox, key);
                Either::A(NativeAgent { agent: Arc::new(agent) })
            }
            Err(error) => Either::B(error),
        }
    }

    /// Go by this text instead of the rules it was started with: `{ok: {rules, warnings}}` or `{err: {...}}`.
    #[napi]
    pub fn replace_rules(&self, text: String) -> String {
        replaced(self.agent.replace_rules(&text))
    }

    /// Change the keys of the authority ahead of their time: `prepare`, `activate` or `forget`.
    #[napi]
    pub fn rotate(&self, step: String) -> String {
        rotated(&self.agent, &step)
    }

    /// The bundle of its own trust domain, or of a foreign one, as a SPIFFE bundle document; undefined when it has none.
    #[napi]
    pub fn bundle(&self, trust_domain: Option<String>) -> Option<String> {
        bundle_of(&self.agent, trust_domain)
    }

    /// The endpoints of foreign trust domains, as JSON: `[{trustDomain, url, spiffeId, bundle}]`.
    #[napi]
    pub fn bundle_endpoints(&self) -> String {
        let endpoint = |(name, endpoint): (TrustDomain, BundleEndpoint)| json!({ "trustDomain": name, "url": endpoint.url, "spiffeId": endpoint.spiffe_id });
        Value::Array(self.agent.bundle_endpoints().into_iter().map(endpoint).collect()).to_string()
    }

    /// Take what such an endpoint served. JSON: `{ok: {changed, refreshHint}}`, or `{err}`.
    #[napi]
    pub fn take_foreign_bundle(&self, trust_domain: String, document: String) -> String {
        let name = match TrustDomain::parse(&trust_domain) {
            Ok(name) => name,
            Err(error) => return json!({ "err": error.to_string() }).to_string(),
        };
        match SpiffeBundle::parse(name.clone(), document.as_bytes()) {
            Ok(bundle) => {
                let hint = bundle.refresh_hint().map(|hint| hint.as_secs());
                match self.agent.take_foreign_bundle(&name, bundle) {
                    Some(changed) => json!({ "ok": { "changed": changed, "refreshHint": hint } }),
                    None => json!({ "err": "it is older than the one that is known" }),
                }
            }
            Err(error) => json!({ "err": error.to_string() }),
        }
        .to_string()
    }

    /// What it did so far, as JSON.
    #[napi]
    pub fn stats(&self) -> String {
        stats_of(&self.agent)
    }

    /// Where it listens.
    #[napi(getter)]
    pub fn socket_path(&self) -> String {
        self.agent.socket_path().to_string_lossy().into_owned()
    }

    /// Where operators are answered; undefined when they are not.
    #[napi(getter)]
    pub fn control_socket_path(&self) -> Option<String> {
        self.agent.control_socket_path().map(|path| path.to_string_lossy().into_owned())
    }

    /// The shell lines that point clients at it.
    #[napi(getter)]
    pub fn export_lines(&self) -> String {
        self.agent.export_lines()
    }

    /// Where the Workload API is served, as `unix:` and a path; undefined when it is not.
    #[napi(getter)]
    pub fn endpoint(&self) -> Option<String> {
        self.agent.endpoint()
    }

    /// The trust domain this machine is the authority of; undefined when it is of none.
    #[napi(getter)]
    pub fn trust_domain(&self) -> Option<String> {
        self.agent.authority().map(|authority| authority.trust_domain().name().to_owned())
    }

    /// Read the rules again: `{ok: {rules, warnings}}` or `{err: {...}}`; broken rules change nothing.
    #[napi]
    pub fn reload(&self) -> String {
        replaced(self.agent.reload())
    }

    /// Answer what is being answered, remove the sockets, end.
    #[napi]
    pub fn close(&self) {
        self.agent.close();
    }

    /// The same, without keeping the event loop from going on.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn close_soon(&self) -> AsyncTask<Closing> {
        let agent = Arc::clone(&self.agent);
        AsyncTask::new(Closing(Box::new(move || agent.close())))
    }
}

/// What a program asks of an agent in its own process.
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

/// Starts an agent as JSON options ask for. The error is JSON.
pub(crate) fn started<T>(
    options: &str,
    start: impl FnOnce(AgentOptions) -> Result<T, AgentError>,
) -> Result<T, String> {
    let form: RunForm = serde_json::from_str(options).map_err(|error| invalid(&format!("options: {error}")))?;
    start(form.options()?).map_err(|error| json!({ "err": agent_error_value(&error) }).to_string())
}

fn invalid(message: &str) -> String {
    json!({ "err": { "code": "ERR_INVALID_ARGUMENT", "message": message } }).to_string()
}

impl RunForm {
    fn options(self) -> Result<AgentOptions, String> {
        let mut options = match (self.rules, self.rules_file) {
            (Some(text), _) => AgentOptions::default().rules_text(text),
            (None, Some(file)) => AgentOptions::default().rules_file(file),
            (None, None) if self.dev => AgentOptions::dev(AgentOptions::own_exe()),
            (None, None) => return Err(invalid("options: expected rules, rulesFile or dev")),
        };
        if let Some(name) = self.trust_domain {
            let name = TrustDomain::parse(&name).map_err(|error| invalid(&format!("trustDomain: {error}")))?;
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

/// Delivers what an agent does.
pub(crate) fn tell(agent: &Agent, mailbox: &Mailbox, key: f64) {
    let post = Arc::clone(&mailbox.post);
    agent.observe(move |event| {
        let value = match event {
            AgentEvent::Issued { caller, method, spiffe_id, .. } => {
                let method = method.name();
                json!({ "type": "issued", "pid": caller.pid, "uid": caller.uid, "method": method, "spiffeId": spiffe_id })
            }
            AgentEvent::Refused { caller, method, code } => {
                // No method was called yet if there was no room for the connection.
                let (method, status) = (method.map_or("", Method::name), code.name());
                json!({ "type": "refused", "pid": caller.pid, "uid": caller.uid, "method": method, "status": status })
            }
            AgentEvent::Killed { by, reason } => json!({ "type": "kill", "by": by, "reason": reason }),
            AgentEvent::Resumed { by } => json!({ "type": "resume", "by": by }),
            AgentEvent::Reloaded { rules } => json!({ "type": "reload", "rules": rules }),
            AgentEvent::ReloadFailed { error } => json!({ "type": "reloaderror", "message": error }),
            AgentEvent::KeysChanged { sequence } => json!({ "type": "keys", "sequence": sequence }),
            _ => return,
        };
        post.send(key, value.to_string(), None);
    });
}

pub(crate) fn replaced(report: Result<ReloadReport, RulesError>) -> String {
    match report {
        Ok(report) => json!({ "ok": { "rules": report.rules, "warnings": report.warnings } }),
        Err(error) => json!({ "err": rules_error_value(&error) }),
    }
    .to_string()
}

pub(crate) fn rotated(agent: &Agent, step: &str) -> String {
    let step = match step {
        "prepare" => Rotation::Prepare,
        "activate" => Rotation::Activate,
        "forget" => Rotation::Forget,
        _ => return invalid("expected prepare, activate or forget"),
    };
    match agent.rotate_authority(step) {
        Ok(changed) => json!({ "ok": changed }),
        Err(error) => json!({ "err": { "code": "ERR_AGENT", "message": error.to_string() } }),
    }
    .to_string()
}

pub(crate) fn bundle_of(agent: &Agent, trust_domain: Option<String>) -> Option<String> {
    let bundle = match trust_domain {
        None => agent.authority()?.bundle().ok()?,
        Some(name) => agent.foreign_bundle(&TrustDomain::parse(&name).ok()?)?,
    };
    bundle.to_json().ok()
}

pub(crate) fn stats_of(agent: &Agent) -> String {
    let answered: serde_json::Map<String, Value> =
        agent.stats().answered.iter().map(|(code, count)| (code.as_str().to_owned(), (*count).into())).collect();
    let workload = agent.workload_stats().map(|stats| {
        json!({
            "connections": stats.connections,
            "x509Svids": stats.x509_svids,
            "jwtSvids": stats.jwt_svids,
            "turnedAway": stats.turned_away,
        })
    });
    json!({ "answered": answered, "workloadApi": workload }).to_string()
}

/// Read a rules file and say what is in it, as JSON text: `{ok: {rules, warnings, findings}}` or `{err: {...}}`.
#[napi]
pub fn check_rules(file: String) -> String {
    match RuleSet::load(Path::new(&file)) {
        Ok(rules) => json!({ "ok": rules_value(&rules) }),
        Err(error) => json!({ "err": rules_error_value(&error) }),
    }
    .to_string()
}

/// Which rule of the file a running process would get, as JSON text: `{ok: {verdicts, winner}}` or `{err: {...}}`.
#[napi]
pub fn explain_rules(file: String, pid: u32) -> String {
    let rules = match RuleSet::load(&PathBuf::from(file)) {
        Ok(rules) => rules,
        Err(error) => return json!({ "err": rules_error_value(&error) }).to_string(),
    };
    let explained = Peer::of_pid(pid).and_then(|peer| rules.explain(&peer));
    match explained {
        Ok(explanation) => {
            let verdicts: Vec<Value> = explanation
                .verdicts
                .iter()
                .map(|verdict| {
                    let denied = verdict.denied.as_ref().map(
                        |denied| json!({ "field": denied.field, "expected": denied.expected, "actual": denied.actual }),
                    );
                    json!({
                        "rule": verdict.rule + 1,
                        "identity": verdict.identity,
                        "spiffeId": verdict.spiffe_id,
                        "line": verdict.line,
                        "denied": denied,
                    })
                })
                .collect();
            let winner = explanation.winner().map(|verdict| verdict.rule + 1);
            let svids: Vec<usize> = explanation.svids().map(|verdict| verdict.rule + 1).collect();
            json!({ "ok": { "verdicts": verdicts, "winner": winner, "svids": svids } })
        }
        Err(error) => json!({ "err": peer_error_value(&error) }),
    }
    .to_string()
}

fn rules_value(rules: &RuleSet) -> Value {
    let all: Vec<Value> = rules
        .rules()
        .iter()
        .enumerate()
        .map(|(number, rule)| {
            json!({
                "rule": number + 1,
                "line": rule.position.map(|position| position.line),
                "identity": rule.identity,
                "spiffeId": rule.svid.as_ref().map(|svid| &svid.spiffe_id),
                "hint": rule.svid.as_ref().map(|svid| &svid.hint).filter(|hint| !hint.is_empty()),
                "match": rule.policy.to_string(),
            })
        })
        .collect();
    let findings: Vec<String> = rules.lint().iter().map(ToString::to_string).collect();
    let trust_domain = rules.workload_api().and_then(|settings| settings.trust_domain.as_ref());
    let federations = rules.workload_api().into_iter().flat_map(|settings| &settings.federates_with);
    let federations: Vec<Value> = federations
        .map(|(name, federation)| {
            let url = federation.endpoint.as_ref().map(|endpoint| &endpoint.url);
            json!({ "trustDomain": name, "bundleFile": federation.bundle_file, "url": url })
        })
        .collect();
    json!({
        "rules": all,
        "warnings": rules.warnings(),
        "findings": findings,
        "trustDomain": trust_domain,
        "federatesWith": federations,
    })
}

fn rules_error_value(error: &RulesError) -> Value {
    json!({
        "code": "ERR_INVALID_RULES",
        "message": error.to_string(),
        "file": error.file,
        "line": error.position.map(|position| position.line),
        "column": error.position.map(|position| position.column),
    })
}

fn agent_error_value(error: &AgentError) -> Value {
    match error {
        AgentError::Rules(error) => rules_error_value(error),
        other => json!({ "code": "ERR_AGENT", "message": other.to_string() }),
    }
}
