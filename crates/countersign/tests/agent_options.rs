//! The command line as data, and what can be told about rules without a client.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

mod agent_scene;

use std::time::Duration;

use agent_scene::{is_root, own_rule};
use countersign::agent::log::LogFormat;
use countersign::agent::{ARGUMENTS, AgentOptions, FindingKind, ParsedArgs, RuleSet, RulesSource};
use countersign::peer::Peer;

fn parse(args: &[&str]) -> Result<ParsedArgs, String> {
    let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
    AgentOptions::from_args(&args).map_err(|error| error.to_string())
}

#[track_caller]
fn options(args: &[&str]) -> AgentOptions {
    match parse(args).unwrap() {
        ParsedArgs::Run(options) => *options,
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_option_is_understood() {
    let given = options(&[
        "--rules",
        "/r",
        "--socket=/s=x",
        "--socket-mode",
        "0660",
        "--socket-owner",
        "root",
        "--socket-group",
        "7",
        "--grace-ms",
        "0",
        "--threads",
        "3",
        "--max-connections",
        "10",
        "--max-connections-per-uid",
        "5",
        "--log-format",
        "json",
        "--log-level=debug",
        "--workload-socket",
        "/w",
        "--trust-domain=spiffe://Example.org",
        "--state-dir",
        "/state",
    ]);
    assert_eq!(given.workload_socket, Some("/w".into()));
    assert_eq!(given.trust_domain.as_ref().map(|name| name.name()), Some("example.org"));
    assert_eq!((given.state_dir, given.state_in_memory), (Some("/state".into()), false));
    assert!(options(&["--dev"]).state_in_memory && !options(&["--dev", "--state-dir", "/s"]).state_in_memory);
    assert_eq!(given.rules, RulesSource::File("/r".into()));
    assert_eq!(given.socket, Some("/s=x".into()));
    assert_eq!(given.socket_mode, 0o660);
    assert_eq!((given.socket_owner, given.socket_group), (Some(0), Some(7)));
    assert_eq!((given.grace, given.threads), (Duration::ZERO, 3));
    assert_eq!((given.max_connections, given.max_connections_per_uid), (10, 5));
    assert_eq!((given.log_format, &*given.log_level), (LogFormat::Json, "debug"));
    assert!(options(&["--dev"]).is_dev());
    assert_eq!(options(&[]), AgentOptions { service_manager: true, ..AgentOptions::default() });
    assert_eq!(parse(&["--socket", "/s", "--help"]), Ok(ParsedArgs::Help));
    assert_eq!(parse(&["-h"]), Ok(ParsedArgs::Help));
    assert_eq!(parse(&["--version"]), Ok(ParsedArgs::Version));
}

#[test]
fn what_is_not_understood_is_named() {
    for (args, says) in [
        (&["--rule", "x"][..], "unknown argument \"--rule\""),
        (&["rules.toml"], "unknown argument \"rules.toml\""),
        (&["--rules"], "--rules needs a value"),
        (&["--rules", "--dev"], "--rules needs a value"),
        (&["--rules="], "--rules needs a value"),
        (&["--dev=yes"], "--dev takes no value"),
        (&["--rules", "a", "--rules", "b"], "given twice"),
        (&["--socket-mode", "0888"], "octal"),
        (&["--socket-mode", "4755"], "octal"),
        (&["--socket-owner", "no-such-user"], "no-such-user"),
        (&["--socket-group", "no-such-group"], "no-such-group"),
        (&["--grace-ms", "-1"], "a number from 0"),
        (&["--threads", "0"], "a number from 1"),
        (&["--threads", "1000"], "to 64"),
        (&["--max-connections", "0"], "a number from 1"),
        (&["--log-format", "xml"], "text or json"),
        (&["--trust-domain", "a b"], "--trust-domain a b"),
        (&["--log-level", "loud"], "expected off"),
        (&["--control-socket-mode", "4755"], "octal"),
        (&["--control-read", "0,no-such-user"], "no-such-user"),
        (&["--log-sync"], "give --audit-log"),
        (&["--audit-log", "x", "--log-failure", "panic"], "refuse or continue"),
        (&["--audit-log", "x", "--log-keep", "0"], "a number from 1"),
        (&["--dev", "--rules", "x"], "leave out --rules"),
    ] {
        let error = parse(args).unwrap_err();
        assert!(error.contains(says), "{args:?}: {error}");
    }
}

/// Where a default is only what holds when the rules, or development, say nothing else.
const PATHS: [&str; 5] = ["--socket", "--rules", "--workload-socket", "--state-dir", "--control-socket"];
/// What is said about an audit log goes with one.
const ABOUT_THE_LOG: [&str; 3] = ["--log-max-mib", "--log-keep", "--log-failure"];

#[test]
fn the_help_and_the_defaults_come_from_the_same_table() {
    let help = AgentOptions::help();
    assert_eq!(help.lines().count(), ARGUMENTS.len());
    for argument in ARGUMENTS {
        assert!(help.contains(argument.name) && help.contains(argument.help), "{}", argument.name);
        // Saying the default out loud changes nothing but what it says.
        if let (Some(default), false) = (argument.default, PATHS.contains(&argument.name)) {
            let with: &[&str] = if ABOUT_THE_LOG.contains(&argument.name) { &["--audit-log", "x"] } else { &[] };
            assert_eq!(options(&[with, &[argument.name, default]].concat()), options(with), "{}", argument.name);
        }
    }
}

#[test]
fn rules_nobody_gets_to_are_found() {
    let rules = |conditions: &[&str]| {
        let text: String =
            conditions.iter().map(|with| format!("[[rule]]\nidentity = \"A\"\nmatch = {{ {with} }}\n")).collect();
        RuleSet::parse(&text).unwrap().lint()
    };
    let found = rules(&[
        "exe = \"/opt/acme/*\"",
        "exe = \"/opt/acme/bin/x\", uid = 1",
        "exe = \"/opt/*\"",
        "uid = 1",
        "uid = 1",
        "group = 5, uid = 7",
        "gid = 5, uid = 7",
        "gid = 5",
    ]);
    let pairs: Vec<_> = found.iter().map(|finding| (finding.rule, finding.earlier, finding.kind)).collect();
    assert_eq!(pairs, [(1, 0, FindingKind::Shadowed), (4, 3, FindingKind::Duplicate), (6, 5, FindingKind::Shadowed)]);
    assert_eq!(found[0].to_string(), "rule 2 (line 4) is never reached, it is narrower than rule 1 (line 1)");
    assert!(rules(&["exe = \"/opt/a\"", "exe = \"/opt/a/*\"", "cgroup = \"/opt/a\""]).is_empty());
}

#[test]
fn it_is_told_which_rule_a_process_gets_and_why() {
    let text = format!(
        "[[rule]]\nidentity = \"OTHER\"\nmatch = {{ uid = 4242 }}\n[[rule]]\nidentity = \"GROUP\"\nmatch = {{ group = 4711 }}\n{}[[rule]]\nidentity = \"LATE\"\nmatch = {{ exe = \"/*/../x\" }}\n",
        own_rule("OWN")
    )
    .replace("/*/../x", "/usr/none");
    let rules = RuleSet::parse(&text).unwrap();
    let explanation = rules.explain(&Peer::of_pid(std::process::id()).unwrap()).unwrap();
    let denied: Vec<_> =
        explanation.verdicts.iter().map(|verdict| verdict.denied.as_ref().map(|denied| denied.field)).collect();
    assert_eq!(denied, [Some("uid"), Some("group"), None, Some("exe")]);
    let winner = explanation.winner().unwrap();
    assert_eq!((winner.rule, winner.identity.as_deref(), winner.line), (2, Some("OWN"), Some(7)));
    let uid = explanation.verdicts[0].denied.clone().unwrap();
    assert_eq!(uid.expected, "4242");
    if is_root("pid 1") {
        let init = rules.explain(&Peer::of_pid(1).unwrap()).unwrap();
        assert!(init.winner().is_none());
    }
}
