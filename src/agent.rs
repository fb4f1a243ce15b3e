//! The agent for JavaScript: the command line's, in this very process.

use std::path::{Path, PathBuf};

use countersign::agent::{Agent, AgentError, AgentOptions, ParsedArgs, RuleSet, RulesError, RulesSource, log};
use countersign::peer::Peer;
use napi::bindgen_prelude::Either;
use napi_derive::napi;
use serde_json::{Value, json};

use crate::peer::peer_error_value;

/// A running agent. It lives on threads of its own and is closed with the object.
#[napi]
pub struct NativeAgent {
    agent: Agent,
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
            Ok(agent) => Either::A(NativeAgent { agent }),
            Err(error) => other(json!({ "err": agent_error_value(&error) })),
        }
    }

    /// Where it listens.
    #[napi(getter)]
    pub fn socket_path(&self) -> String {
        self.agent.socket_path().to_string_lossy().into_owned()
    }

    /// The shell line that points a client at it.
    #[napi(getter)]
    pub fn export_line(&self) -> String {
        self.agent.export_line()
    }

    /// Read the rules again: `{ok: {rules, warnings}}` or `{err: {...}}`; broken rules change nothing.
    #[napi]
    pub fn reload(&self) -> String {
        match self.agent.reload() {
            Ok(report) => json!({ "ok": { "rules": report.rules, "warnings": report.warnings } }),
            Err(error) => json!({ "err": rules_error_value(&error) }),
        }
        .to_string()
    }

    /// Answer what is being answered, remove the socket, end.
    #[napi]
    pub fn close(&self) {
        self.agent.close();
    }
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
                    let (number, identity) = (verdict.rule + 1, &verdict.identity);
                    json!({ "rule": number, "identity": identity, "line": verdict.line, "denied": denied })
                })
                .collect();
            let winner = explanation.winner().map(|verdict| verdict.rule + 1);
            json!({ "ok": { "verdicts": verdicts, "winner": winner } })
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
                "match": rule.policy.to_string(),
            })
        })
        .collect();
    let findings: Vec<String> = rules.lint().iter().map(ToString::to_string).collect();
    json!({ "rules": all, "warnings": rules.warnings(), "findings": findings })
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
