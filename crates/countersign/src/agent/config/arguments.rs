//! The options of the command line. The parser and the help text are made from this one table.

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
    /// The name of its value in the help text; `None` for a switch.
    pub value: Option<&'static str>,
    /// Its default.
    pub default: Option<&'static str>,
    /// One line about it.
    pub help: &'static str,
    pub(super) apply: Apply,
}

pub(super) enum Apply {
    Switch(fn(&mut Parsing)),
    Value(fn(&mut Parsing, &str) -> Result<(), String>),
    /// A number in a range, and the option it is.
    Count(RangeInclusive<usize>, fn(&mut AgentOptions) -> &mut usize),
}

/// What is known after the arguments that have been read so far.
pub(super) struct Parsing {
    pub(super) options: AgentOptions,
    rules_given: bool,
    dev: bool,
    /// What was asked for the audit log, and by which option.
    log: Vec<LogOption>,
    exit: Option<ParsedArgs>,
}

/// The option, the change it makes, and the number it was given.
type LogOption = (&'static str, fn(&mut AuditLogOptions, u64), u64);

/// What a command line asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParsedArgs {
    /// Run an agent.
    Run(Box<AgentOptions>),
    /// Print the help and exit.
    Help,
    /// Print the version and exit.
    Version,
}

/// All options.
pub const ARGUMENTS: &[Argument] = &[
    Argument {
        name: "--rules",
        value: Some("FILE"),
        default: Some(super::options::DEFAULT_RULES_PATH),
        help: "path of the rules file; read again when it changes and on SIGHUP",
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
        help: "path of the whoami socket",
        apply: Apply::Value(|parsing, value| {
            parsing.options.socket = Some(value.into());
            Ok(())
        }),
    },
    Argument {
        name: "--socket-mode",
        value: Some("OCTAL"),
        default: Some("0666"),
        help: "permission bits of the whoami and Workload API sockets",
        apply: Apply::Value(|parsing, value| {
            parsing.options.socket_mode = mode(value)?;
            Ok(())
        }),
    },
    Argument {
        name: "--socket-owner",
        value: Some("USER"),
        default: None,
        help: "user (name or number) that owns these sockets",
        apply: Apply::Value(|parsing, value| {
            parsing.options.socket_owner = Some(id(value, uid_of)?);
            Ok(())
        }),
    },
    Argument {
        name: "--socket-group",
        value: Some("GROUP"),
        default: None,
        help: "group (name or number) that owns these sockets",
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
        help: "path of the SPIFFE Workload API socket; enables the Workload API",
        apply: Apply::Value(|parsing, value| {
            parsing.options.workload_socket = Some(value.into());
            Ok(())
        }),
    },
    Argument {
        name: "--trust-domain",
        value: Some("NAME"),
        default: None,
        help: "trust domain whose SVIDs this agent issues; enables the Workload API",
        apply: Apply::Value(|parsing, value| {
            parsing.options.trust_domain = Some(TrustDomain::parse(value).map_err(|error| error.to_string())?);
            Ok(())
        }),
    },
    Argument {
        name: "--state-dir",
        value: Some("DIR"),
        default: Some(crate::agent::rules::workload_api::DEFAULT_STATE_DIR),
        help: "directory of the issuer's keys and the kill switch",
        apply: Apply::Value(|parsing, value| {
            parsing.options.state_dir = Some(value.into());
            Ok(())
        }),
    },
    Argument {
        name: "--control-socket",
        value: Some("PATH"),
        default: Some(crate::control::DEFAULT_CONTROL_SOCKET_PATH),
        help: "path of the control socket; with --socket there is none by default",
        apply: Apply::Value(|parsing, value| {
            parsing.options.control_socket = Some(value.into());
            Ok(())
        }),
    },
    Argument {
        name: "--control-socket-mode",
        value: Some("OCTAL"),
        default: None,
        help: "permission bits of the control socket; 0600 by default, 0666 with --control-read or --control-write",
        apply: Apply::Value(|parsing, value| {
            parsing.options.control_socket_mode = Some(mode(value)?);
            Ok(())
        }),
    },
    Argument {
        name: "--control-read",
        value: Some("USERS"),
        default: None,
        help: "users (names or numbers, separated by commas) with read access, besides root and the agent's user",
        apply: Apply::Value(|parsing, value| {
            parsing.options.control_readers = users(value)?;
            Ok(())
        }),
    },
    Argument {
        name: "--control-write",
        value: Some("USERS"),
        default: None,
        help: "users with write access as well: kill, resume, reload, repair",
        apply: Apply::Value(|parsing, value| {
            parsing.options.control_writers = users(value)?;
            Ok(())
        }),
    },
    Argument {
        name: "--audit-log",
        value: Some("FILE"),
        default: None,
        help: "path of the signed audit log, which records every decision",
        apply: Apply::Value(|parsing, value| {
            parsing.options.audit_log = Some(AuditLogOptions::new(value));
            Ok(())
        }),
    },
    Argument {
        name: "--log-sync",
        value: None,
        default: None,
        help: "send each response only after its audit log line is on disk",
        apply: Apply::Switch(|parsing| parsing.change_log("--log-sync", |log, _| log.sync = true, 0)),
    },
    Argument {
        name: "--log-max-mib",
        value: Some("N"),
        default: Some("64"),
        help: "rotate the audit log at this size in MiB",
        apply: Apply::Value(|parsing, value| {
            let mib = number(value, 1..=1024 * 1024)? as u64;
            parsing.change_log("--log-max-mib", |log, mib| log.max_bytes = mib * 1024 * 1024, mib);
            Ok(())
        }),
    },
    Argument {
        name: "--log-keep",
        value: Some("N"),
        default: Some("16"),
        help: "number of rotated audit log files to keep",
        apply: Apply::Value(|parsing, value| {
            let keep = number(value, 1..=1_000_000)? as u64;
            parsing.change_log("--log-keep", |log, keep| log.keep = keep as usize, keep);
            Ok(())
        }),
    },
    Argument {
        name: "--log-failure",
        value: Some("WHAT"),
        default: Some("refuse"),
        help: "what to do if the audit log cannot be written: refuse all requests, or continue",
        apply: Apply::Value(|parsing, value| {
            match value {
                "refuse" => parsing.change_log("--log-failure", |log, _| log.on_failure = LogFailure::Refuse, 0),
                "continue" => parsing.change_log("--log-failure", |log, _| log.on_failure = LogFailure::Continue, 0),
                _ => return Err("expected refuse or continue".into()),
            }
            Ok(())
        }),
    },
    Argument {
        name: "--dev",
        value: None,
        default: None,
        help: "development mode: no root, no rules file; private sockets, keys in memory, an identity for your own \
               processes",
        apply: Apply::Switch(|parsing| parsing.dev = true),
    },
    Argument {
        name: "--grace-ms",
        value: Some("MS"),
        default: Some("25"),
        help: "how long to wait for the request of a silent client before answering without it",
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
        help: "number of threads, at most one per core; all but the first are idle until clients queue up",
        apply: Apply::Count(1..=64, |options| &mut options.threads),
    },
    Argument {
        name: "--max-connections",
        value: Some("N"),
        default: Some("1024"),
        help: "maximum number of waiting connections; further ones receive E_BUSY",
        apply: Apply::Count(1..=1_000_000, |options| &mut options.max_connections),
    },
    Argument {
        name: "--max-connections-per-uid",
        value: Some("N"),
        default: Some("256"),
        help: "maximum number of waiting connections per user",
        apply: Apply::Count(1..=1_000_000, |options| &mut options.max_connections_per_uid),
    },
    Argument {
        name: "--log-format",
        value: Some("FORMAT"),
        default: Some("text"),
        help: "format of the log on stderr: text or json",
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
        help: "off, error, warn, info, debug or trace; info logs one line per decision",
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
        help: "print this help and exit",
        apply: Apply::Switch(|parsing| parsing.exit = Some(ParsedArgs::Help)),
    },
    Argument {
        name: "--version",
        value: None,
        default: None,
        help: "print the version and exit",
        apply: Apply::Switch(|parsing| {
            parsing.exit.get_or_insert(ParsedArgs::Version);
        }),
    },
];

impl Default for Parsing {
    fn default() -> Parsing {
        Parsing {
            options: AgentOptions { service_manager: true, ..AgentOptions::default() },
            rules_given: false,
            dev: false,
            log: Vec::new(),
            exit: None,
        }
    }
}

impl Parsing {
    /// What all arguments together ask for.
    pub(super) fn finish(mut self) -> Result<ParsedArgs, String> {
        if let Some(instead) = self.exit {
            return Ok(instead);
        }
        if let (None, Some((name, ..))) = (&self.options.audit_log, self.log.first()) {
            return Err(format!("{name} is about an audit log: give --audit-log"));
        }
        if let Some(log) = &mut self.options.audit_log {
            self.log.iter().for_each(|(_, apply, number)| apply(log, *number));
        }
        if self.dev {
            if self.rules_given {
                return Err("--dev brings its own rule: leave out --rules".into());
            }
            self.options.rules = RulesSource::Dev { exe: None };
            self.options.state_in_memory = self.options.state_dir.is_none();
        }
        Ok(ParsedArgs::Run(Box::new(self.options)))
    }

    /// Options of the audit log may stand before `--audit-log`.
    fn change_log(&mut self, name: &'static str, apply: fn(&mut AuditLogOptions, u64), number: u64) {
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

pub(super) fn number(value: &str, range: RangeInclusive<usize>) -> Result<usize, String> {
    value
        .parse()
        .ok()
        .filter(|number| range.contains(number))
        .ok_or_else(|| format!("expected a number from {} to {}", range.start(), range.end()))
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
