//! Rules files for JavaScript: what is in them, and what they mean for a process.

use std::path::Path;

use countersign::agent::{Rule, RuleSet, RulesError, Verdict};
use countersign::peer::Peer;
use napi::bindgen_prelude::Either;
use napi_derive::napi;
use serde_json::{Value, json};

use crate::host::failure::{Failure, json_answer};

/// What is in a rules file, as JSON text: `{rules, warnings, findings}`. Or a failure.
#[napi]
pub fn check_rules(file: String) -> Either<String, Failure> {
    json_answer(RuleSet::load(Path::new(&file)).map(|rules| rules_value(&rules)))
}

/// Which rule of the file a running process would get, as JSON text: `{verdicts, winner, svids}`. Or a failure.
#[napi]
pub fn explain_rules(file: String, pid: u32) -> Either<String, Failure> {
    json_answer(explained(Path::new(&file), pid))
}

fn explained(file: &Path, pid: u32) -> Result<Value, Failure> {
    let rules = RuleSet::load(file)?;
    let explanation = rules.explain(&Peer::of_pid(pid)?)?;
    let verdicts: Vec<Value> = explanation.verdicts.iter().map(verdict_value).collect();
    let winner = explanation.winner().map(|verdict| verdict.rule + 1);
    let svids: Vec<usize> = explanation.svids().map(|verdict| verdict.rule + 1).collect();
    Ok(json!({ "verdicts": verdicts, "winner": winner, "svids": svids }))
}

fn verdict_value(verdict: &Verdict) -> Value {
    let denied = verdict.denied.as_ref();
    json!({
        "rule": verdict.rule + 1,
        "identity": verdict.identity,
        "spiffeId": verdict.spiffe_id,
        "line": verdict.line,
        "denied": denied.map(|denied| json!({
            "field": denied.field,
            "expected": denied.expected,
            "actual": denied.actual,
        })),
    })
}

fn rules_value(rules: &RuleSet) -> Value {
    let all: Vec<Value> = rules.rules().iter().enumerate().map(|(index, rule)| rule_value(index + 1, rule)).collect();
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

fn rule_value(number: usize, rule: &Rule) -> Value {
    json!({
        "rule": number,
        "line": rule.position.map(|position| position.line),
        "identity": rule.identity,
        "spiffeId": rule.svid.as_ref().map(|svid| &svid.spiffe_id),
        "hint": rule.svid.as_ref().map(|svid| &svid.hint).filter(|hint| !hint.is_empty()),
        "match": rule.policy.to_string(),
    })
}

impl From<RulesError> for Failure {
    fn from(error: RulesError) -> Failure {
        Failure::new("ERR_INVALID_RULES", &error)
            .with("file", json!(error.file))
            .with("line", error.position.map(|position| position.line))
            .with("column", error.position.map(|position| position.column))
    }
}
