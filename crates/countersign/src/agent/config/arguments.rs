//! The command line of the agent. One table says what there is; the parser and the help text both come from it.

use std::fmt::Write as _;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::options::AgentOptions;
use crate::agent::audit_log::{AuditLogOptions, LogFailure};
use crate::agent::log::LogFormat;
use crate::agent::rules::source::RulesSource;
use crate::peer::{Group, uid_of_user};
use crate::spiffe::TrustDomain;

/// One option of the command line.
pub struct Argument {
    /// Its name, with the dashes.
    pub name: &'static str,
    /// What its value is called in the help; `None` for a switch.
    pub value: Option<&'static str>,
    /// What holds when it is not given.
    pub default: Option<&'static str>,
    /// One line about it.
    pub help: &'static str,
    apply: Apply,
}

enum Apply {
    Switch(fn(&mut Parsing)),
    Value(fn(&mut Parsing, &str) -> Result<(), String>),
    /// A number in a range, and the option it is.
    Count(RangeInclusive<usize>, fn(&mut AgentOptions) -> &mut usize),
}

struct Parsing {
    options: AgentOptions,
    rules_given: bool,
    dev: bool,
    /// What was said about a log, and by which option.
    log: Vec<LogOption>,
    leave: Option<ParsedArgs>,
}

/// The option, what it does to the log, and the number it does that with.
type LogOption = (&'static str, fn(&mut AuditLogOptions, u64), u64);

/// What a command line asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParsedArgs {
    /// Run an agent.
    Run(Box<AgentOptions>),
    /// Print the help and leave.
    Help,
    /// Print the version and leave.
    Version,
}

/// A command line that cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UsageError(pub String);

/// Every option there is.
pub const ARGUMENTS: &[Argument] = &[
    Argument {
        name: "--rules",
        value: Some("FILE"),
        default: Some(super::options::DEFAULT_RULES_PATH),
        help: "the rules; read again when the file changes and on SIGHUP",
        apply: Apply::Value(|parsing, value| {
            parsing.rules_given = true;
            parsing.options.rules = RulesSource::File(value.into());
            Ok(())
        }),
    },
    Argument {
        name: "--socket",
        value: Some("PATH"),
        default: Some(crate::whoami::DEFAULT_SOCKET_PATH),
        help: "the socket to answer on who asks who it is",
        apply: Apply::Value(|parsing, value| {
            parsing.options.socket = Some(value.into());
            Ok(())
        }),
    },
    Argument {
        name: "--socket-mode",
        value: Some("OCTAL"),
        default: Some("0666"),
        help: "permission bits of the sockets",
        apply: Apply::Value(|parsing, value| {
            parsing.options.socket_mode = mode(value)?;
            Ok(())
        }),
    },
    Argument {
        name: "--socket-owner",
        value: Some("USER"),
        default: None,
        help: "user (name or number) that shall own the sockets",
        apply: Apply::Value(|parsing, value| {
            parsing.options.socket_owner = Some(id(value, uid_of)?);
            Ok(())
        }),
    },
    Argument {
        name: "--socket-group",
        value: Some("GROUP"),
        default: None,
        help: "group (name or number) that shall own the sockets",
        apply: Apply::Value(|parsing, value| {
            parsing.options.socket_group =
                Some(id(value, |name| Group::named(name).map(|group| group.gid).map_err(|error| error.to_string()))?);
            Ok(())
        }),
    },
    Argument {
        name: "--workload-socket",
        value: Some("PATH"),
        default: Some(crate::agent::rules::workload_api::DEFAULT_WORKLOAD_SOCKET_PATH),
        help: "the socket of the SPIFFE Workload API; giving it serves one",
        apply: Apply::Value(|parsing, value| {
            parsing.options.workload_socket = Some(value.into());
            Ok(())
        }),
    },
    Argument {
        name: "--trust-domain",
        value: Some("NAME"),
        default: None,
        help: "be the authority of this trust domain, for this machine; giving it serves the Workload API",
        apply: Apply::Value(|parsing, value| {
            parsing.options.trust_domain = Some(TrustDomain::parse(value).map_err(|error| error.to_string())?);
            Ok(())
        }),
    },
    Argument {
        name: "--state-dir",
        value: Some("DIR"),
        default: Some(crate::agent::rules::workload_api::DEFAULT_STATE_DIR),
        help: "where the keys of the authority are kept",
        apply: Apply::Value(|parsing, value| {
            parsing.options.state_dir = Some(value.into());
            Ok(())
        }),
    },
    Argument {
        name: "--control-socket",
        value: Some("PATH"),
        default: Some(crate::control::DEFAULT_CONTROL_SOCKET_PATH),
        help: "the socket the operator is answered on; with --socket there is none unless it is given",
        apply: Apply::Value(|parsing, value| {
            parsing.options.control_socket = Some(value.into());
            Ok(())
        }),
    },
    Argument {
        name: "--control-socket-mode",
        value: Some("OCTAL"),
        default: None,
        help: "its permission bits: 0600, or 0666 with --control-read or --control-write, unless given",
        apply: Apply::Value(|parsing, value| {
            parsing.options.control_socket_mode = Some(mode(value)?);
            Ok(())
        }),
    },
    Argument {
        name: "--control-read",
        value: Some("USERS"),
        default: None,
        help: "users (names or numbers, with commas) who may look, besides the agent's own and root",
        apply: Apply::Value(|parsing, value| {
            parsing.options.control_readers = users(value)?;
            Ok(())
        }),
    },
    Argument {
        name: "--control-write",
        value: Some("USERS"),
        default: None,
        help: "users who may look and steer: kill, resume, reload, repair",
        apply: Apply::Value(|parsing, value| {
            parsing.options.control_writers = users(value)?;
            Ok(())
        }),
    },
    Argument {
        name: "--audit-log",
        value: Some("FILE"),
        default: None,
        help: "keep a signed log of every decision in this file",
        apply: Apply::Value(|parsing, value| {
            parsing.options.audit_log = Some(AuditLogOptions::new(value));
            Ok(())
        }),
    },
    Argument {
        name: "--log-sync",
        value: None,
        default: None,
        help: "let no answer leave before its line in the audit log is on the disk",
        apply: Apply::Switch(|parsing| parsing.say("--log-sync", |log, _| log.sync = true, 0)),
    },
    Argument {
        name: "--log-max-mib",
        value: Some("N"),
        default: Some("64"),
        help: "begin another file of the audit log from so many MiB on",
        apply: Apply::Value(|parsing, value| {
            let mib = number(value, 1..=1024 * 1024)? as u64;
            parsing.say("--log-max-mib", |log, mib| log.max_bytes = mib * 1024 * 1024, mib);
            Ok(())
        }),
    },
    Argument {
        name: "--log-keep",
        value: Some("N"),
        default: Some("16"),
        help: "keep so many full files of the audit log",
        apply: Apply::Value(|parsing, value| {
            let keep = number(value, 1..=1_000_000)? as u64;
            parsing.say("--log-keep", |log, keep| log.keep = keep as usize, keep);
            Ok(())
        }),
    },
    Argument {
        name: "--log-failure",
        value: Some("WHAT"),
        default: Some("refuse"),
        help: "when the audit log cannot be written: refuse (vouch for nobody) or continue",
        apply: Apply::Value(|parsing, value| {
            match value {
                "refuse" => parsing.say("--log-failure", |log, _| log.on_failure = LogFailure::Refuse, 0),
                "continue" => parsing.say("--log-failure", |log, _| log.on_failure = LogFailure::Continue, 0),
                _ => return Err("expected refuse or continue".into()),
            }
            Ok(())
        }),
    },
    Argument {
        name: "--dev",
        value: None,
        default: None,
        help: "no root, no rules file: private sockets, and an identity for your own processes; keys in memory",
        apply: Apply::Switch(|parsing| parsing.dev = true),
    },
    Argument {
        name: "--grace-ms",
        value: Some("MS"),
        default: Some("25"),
        help: "how long a client that says nothing is given before it is answered all the same",
        apply: Apply::Value(|parsing, value| {
            let ms = number(value, 0..=60_000)?;
            parsing.options.grace = Duration::from_millis(ms as u64);
            Ok(())
        }),
    },
    Argument {
        name: "--threads",
        value: Some("N"),
        default: Some("2"),
        help: "threads that answer, at most one a core; all but the first rest until clients queue up",
        apply: Apply::Count(1..=64, |options| &mut options.threads),
    },
    Argument {
        name: "--max-connections",
        value: Some("N"),
        default: Some("1024"),
        help: "connections kept waiting at once; one more is told E_BUSY",
        apply: Apply::Count(1..=1_000_000, |options| &mut options.max_connections),
    },
    Argument {
        name: "--max-connections-per-uid",
        value: Some("N"),
        default: Some("256"),
        help: "the same for the processes of one user",
        apply: Apply::Count(1..=1_000_000, |options| &mut options.max_connections_per_uid),
    },
    Argument {
        name: "--log-format",
        value: Some("FORMAT"),
        default: Some("text"),
        help: "text or json, on stderr",
        apply: Apply::Value(|parsing, value| {
            parsing.options.log_format = match value {
                "text" => LogFormat::Text,
                "json" => LogFormat::Json,
                _ => return Err("expected text or json".into()),
            };
            Ok(())
        }),
    },
    Argument {
        name: "--log-level",
        value: Some("LEVEL"),
        default: Some("info"),
        help: "off, error, warn, info, debug or trace; info has one line per decision",
        apply: Apply::Value(|parsing, value| {
            if !["off", "error", "warn", "info", "debug", "trace"].contains(&value) {
                return Err("expected off, error, warn, info, debug or trace".into());
            }
            parsing.options.log_level = value.to_owned();
            Ok(())
        }),
    },
    Argument {
        name: "--help",
        value: None,
        default: None,
        help: "print this and leave",
        apply: Apply::Switch(|parsing| parsing.leave = Some(ParsedArgs::Help)),
    },
    Argument {
        name: "--version",
        value: None,
        default: None,
        help: "print the version and leave",
        apply: Apply::Switch(|parsing| {
            parsing.leave.get_or_insert(ParsedArgs::Version);
        }),
    },
];

impl AgentOptions {
    /// Reads a command line (without the program's name). Values are given as `--name value` or `--name=value`.
    pub fn from_args(args: &[String]) -> Result<ParsedArgs, UsageError> {
        let mut parsing = Parsing {
            options: AgentOptions { service_manager: true, ..AgentOptions::default() },
            rules_given: false,
            dev: false,
            log: Vec::new(),
            leave: None,
        };
        let mut seen = Vec::new();
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let (name, glued) = match arg.split_once('=') {
                Some((name, value)) if name.starts_with("--") => (name, Some(value)),
                _ => (if arg == "-h" { "--help" } else { arg }, None),
            };
            let argument = ARGUMENTS
                .iter()
                .find(|argument| argument.name == name)
                .ok_or_else(|| UsageError(format!("unknown argument {name:?}")))?;
            if seen.contains(&argument.name) {
                return Err(UsageError(format!("{name} is given twice")));
            }
            seen.push(argument.name);
            let mut value = || value_of(name, glued, &mut args);
            let invalid = |value: &str, problem: String| UsageError(format!("{name} {value}: {problem}"));
            match &argument.apply {
                Apply::Switch(_) if glued.is_some() => return Err(UsageError(format!("{name} takes no value"))),
                Apply::Switch(apply) => apply(&mut parsing),
                Apply::Value(apply) => {
                    let value = value()?;
                    apply(&mut parsing, value).map_err(|problem| invalid(value, problem))?;
                }
                Apply::Count(range, option) => {
                    let value = value()?;
                    let count = number(value, range.clone()).map_err(|problem| invalid(value, problem))?;
                    *option(&mut parsing.options) = count;
                }
            }
        }
        if let Some(leave) = parsing.leave {
            return Ok(leave);
        }
        if let (None, Some((name, ..))) = (&parsing.options.audit_log, parsing.log.first()) {
            return Err(UsageError(format!("{name} is about an audit log: give --audit-log")));
        }
        if let Some(log) = &mut parsing.options.audit_log {
            parsing.log.iter().for_each(|(_, apply, number)| apply(log, *number));
        }
        if parsing.dev {
            if parsing.rules_given {
                return Err(UsageError("--dev brings its own rule: leave out --rules".into()));
            }
            parsing.options.rules = RulesSource::Dev { exe: None };
            parsing.options.state_in_memory = parsing.options.state_dir.is_none();
        }
        Ok(ParsedArgs::Run(Box::new(parsing.options)))
    }

    /// What `--help` prints about the options: one line each.
    pub fn help() -> String {
        let left = |argument: &Argument| match argument.value {
            Some(value) => format!("{} {value}", argument.name),
            None => argument.name.to_owned(),
        };
        let width = ARGUMENTS.iter().map(|a| left(a).len()).max().unwrap_or(0);
        let mut help = String::new();
        for argument in ARGUMENTS {
            let _ = write!(help, "  {:width$}  {}", left(argument), argument.help);
            if let Some(default) = argument.default {
                let _ = write!(help, " (default {default})");
            }
            help.push('\n');
        }
        help
    }
}

impl Parsing {
    /// Options of the log may stand before the one that gives it.
    fn say(&mut self, name: &'static str, apply: fn(&mut AuditLogOptions, u64), number: u64) {
        self.log.push((name, apply, number));
    }
}

fn mode(value: &str) -> Result<u32, String> {
    u32::from_str_radix(value, 8)
        .ok()
        .filter(|mode| *mode <= 0o777)
        .ok_or_else(|| "expected octal permission bits such as 0660".to_owned())
}

fn users(value: &str) -> Result<Vec<u32>, String> {
    value.split(',').map(|user| id(user.trim(), uid_of)).collect()
}

fn number(value: &str, range: RangeInclusive<usize>) -> Result<usize, String> {
    value
        .parse()
        .ok()
        .filter(|number| range.contains(number))
        .ok_or_else(|| format!("expected a number from {} to {}", range.start(), range.end()))
}

/// The value of an option: behind its `=`, or the next argument.
fn value_of<'a>(
    name: &str,
    glued: Option<&'a str>,
    args: &mut std::slice::Iter<'a, String>,
) -> Result<&'a str, UsageError> {
    let next = || args.next().map(String::as_str).filter(|value| !value.starts_with("--"));
    let value = glued.or_else(next).filter(|value| !value.is_empty());
    value.ok_or_else(|| UsageError(format!("{name} needs a value")))
}

fn id(value: &str, by_name: fn(&str) -> Result<u32, String>) -> Result<u32, String> {
    match value.parse::<u32>() {
        Ok(u32::MAX) => Err("4294967295 means \"no such id\"".into()),
        Ok(id) => Ok(id),
        Err(_) => by_name(value),
    }
}

fn uid_of(name: &str) -> Result<u32, String> {
    uid_of_user(name).map_err(|error| error.to_string())
}
