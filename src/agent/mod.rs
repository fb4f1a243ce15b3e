//! The agent for JavaScript: the command line's, in this very process.

mod events;
mod options;
mod rules;

use std::sync::Arc;

use countersign::agent::{
    Agent, AgentError, AgentOptions, BundleEndpoint, ParsedArgs, ReloadReport, Rotation, RulesError, RulesSource, log,
};
use countersign::spiffe::{SpiffeBundle, TrustDomain};
use napi::bindgen_prelude::{AsyncTask, Either, Either3};
use napi::{Env, Task};
use napi_derive::napi;
use serde_json::{Value, json};

pub(crate) use self::events::deliver_events;
pub(crate) use self::options::started;
use crate::host::failure::{Failure, answer, json_answer};
use crate::host::mailbox::Mailbox;
use crate::spiffe::failure;

/// A running agent. It lives on threads of its own and is closed with the object.
#[napi]
pub struct NativeAgent {
    agent: Arc<Agent>,
}

/// Closing takes time, in which the event loop must go on: clients of the agent may live on it.
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
    /// Start an agent as a command line asks for. A text is `help` or `version`: there is nothing to start. A failure
    /// of the command line itself has the detail `usage`. With `--dev`, only the executable of this process gets
    /// answers.
    #[napi(ts_return_type = "NativeAgent | 'help' | 'version' | Failure")]
    pub fn start(args: Vec<String>) -> Either3<NativeAgent, &'static str, Failure> {
        match AgentOptions::from_args(&args) {
            Ok(ParsedArgs::Run(options)) => match start_with(*options) {
                Ok(agent) => Either3::A(agent),
                Err(failure) => Either3::C(failure),
            },
            Ok(ParsedArgs::Help) => Either3::B("help"),
            Ok(ParsedArgs::Version) => Either3::B("version"),
            Err(error) => Either3::C(usage_failure(&error)),
        }
    }

    /// Start an agent in this process, as JSON options ask for. Its events are delivered under the key.
    #[napi(ts_return_type = "NativeAgent | Failure")]
    pub fn run(mailbox: &Mailbox, key: f64, options: String) -> Either<NativeAgent, Failure> {
        answer(started(&options, Agent::start).map(|agent| {
            deliver_events(&agent, mailbox, key);
            NativeAgent { agent: Arc::new(agent) }
        }))
    }

    /// Use these rules instead of those it was started with. JSON: `{rules, warnings}`. Or a failure.
    #[napi]
    pub fn replace_rules(&self, text: String) -> Either<String, Failure> {
        replaced(self.agent.replace_rules(&text))
    }

    /// Change the keys of the authority ahead of their time: `prepare`, `activate` or `forget`. Whether that changed
    /// anything, or a failure.
    #[napi]
    pub fn rotate(&self, step: String) -> Either<bool, Failure> {
        rotated(&self.agent, &step)
    }

    /// The bundle of its own trust domain, or of a foreign one, as a SPIFFE bundle document; undefined when it has
    /// none.
    #[napi]
    pub fn bundle(&self, trust_domain: Option<String>) -> Option<String> {
        bundle_of(&self.agent, trust_domain)
    }

    /// The endpoints of foreign trust domains, as JSON: `[{trustDomain, url, spiffeId, bundle}]`.
    #[napi]
    pub fn bundle_endpoints(&self) -> String {
        let value = |(name, endpoint): (TrustDomain, BundleEndpoint)| {
            let BundleEndpoint { url, spiffe_id, .. } = endpoint;
            json!({ "trustDomain": name, "url": url, "spiffeId": spiffe_id })
        };
        Value::Array(self.agent.bundle_endpoints().into_iter().map(value).collect()).to_string()
    }

    /// Take what such an endpoint served. JSON: `{changed, refreshHint}`. Or a failure.
    #[napi]
    pub fn take_foreign_bundle(&self, trust_domain: String, document: String) -> Either<String, Failure> {
        json_answer(take_foreign_bundle(&self.agent, &trust_domain, &document))
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

    /// Read the rules again. JSON: `{rules, warnings}`. Or a failure: broken rules change nothing.
    #[napi]
    pub fn reload(&self) -> Either<String, Failure> {
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

fn start_with(mut options: AgentOptions) -> Result<NativeAgent, Failure> {
    if let RulesSource::Dev { exe } = &mut options.rules {
        *exe = AgentOptions::own_exe();
    }
    log::init(options.log_format, &options.log_level).map_err(|error| usage_failure(&error))?;
    Ok(NativeAgent { agent: Arc::new(Agent::start(options)?) })
}

/// The command line is wrong, not the agent.
fn usage_failure(error: &dyn std::fmt::Display) -> Failure {
    Failure::invalid_argument(error).with("usage", true)
}

impl From<AgentError> for Failure {
    fn from(error: AgentError) -> Failure {
        match error {
            AgentError::Rules(error) => error.into(),
            other => Failure::new("ERR_AGENT", &other),
        }
    }
}

fn take_foreign_bundle(agent: &Agent, trust_domain: &str, document: &str) -> Result<Value, Failure> {
    let name = TrustDomain::parse(trust_domain).map_err(failure::trust_domain)?;
    let bundle = SpiffeBundle::parse(name.clone(), document.as_bytes())?;
    let hint = bundle.refresh_hint().map(|hint| hint.as_secs());
    match agent.take_foreign_bundle(&name, bundle) {
        Some(changed) => Ok(json!({ "changed": changed, "refreshHint": hint })),
        None => Err(Failure::new("ERR_INVALID_BUNDLE", &"it is older than the one that is known")),
    }
}

pub(crate) fn replaced(report: Result<ReloadReport, RulesError>) -> Either<String, Failure> {
    json_answer(report.map(|report| json!({ "rules": report.rules, "warnings": report.warnings })))
}

pub(crate) fn rotated(agent: &Agent, step: &str) -> Either<bool, Failure> {
    let step = match step {
        "prepare" => Rotation::Prepare,
        "activate" => Rotation::Activate,
        "forget" => Rotation::Forget,
        _ => return Either::B(Failure::invalid_argument(&"expected prepare, activate or forget")),
    };
    answer(agent.rotate_authority(step).map_err(|error| Failure::new("ERR_AGENT", &error)))
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
