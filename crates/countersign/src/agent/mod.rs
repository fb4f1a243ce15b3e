//! The daemon: rules, attestation, and the server that answers.
//!
//! One connection is one question. The kernel says who asks, the first rule that fits that process says what it is
//! told, and what the client claims about itself decides nothing.
//!
//! * [`Agent`] - a running daemon, on threads of its own; [`AgentStats`] and [`Code`] say what it answered
//! * [`AgentOptions`], [`ParsedArgs`] - how it is to run: one definition for the library and every command line
//! * [`RuleSet`], [`Rule`], [`TokenSource`], [`RulesError`] - what the rules say, and where they are broken
//! * [`Explanation`], [`Finding`] - which rule a process gets and why, and which rules nobody ever gets
//! * [`Authority`] - the keys of this machine's trust domain, prepared, active and old, on disk or in memory
//! * [`AgentEvent`] - what it does, as it happens; [`AuditLogOptions`] keeps a signed log of it
//! * [`Listener`] - the socket: never over somebody else's, never more open than asked for
//! * [`log`] - the log of a process that is an agent and nothing else
//!
//! ```
//! use countersign::agent::{Agent, AgentOptions};
//!
//! let directory = std::env::temp_dir().join(format!("countersign-doc-{}", std::process::id()));
//! let options = AgentOptions::default()
//!     .rules_text("[[rule]]\nidentity = \"ROOT\"\nmatch = { uid = 0 }\n")
//!     .socket(directory.join("whoami.sock"));
//! let agent = Agent::start(options)?;
//! println!("{}", agent.export_lines());
//! agent.close();
//! # std::fs::remove_dir(directory).ok();
//! # Ok::<(), countersign::agent::AgentError>(())
//! ```

mod acceptor;
mod arguments;
mod attestation;
mod audit_log;
mod authority;
mod code;
mod complaint;
mod connection;
mod control;
mod crew;
mod daemon;
mod dev;
mod event;
mod explain;
mod kill_switch;
mod limits;
mod lint;
mod listener;
pub mod log;
mod options;
mod posture;
mod private_file;
mod readiness;
mod record;
mod reload;
mod request;
mod rule;
mod rule_form;
mod rules;
mod rules_error;
mod server;
mod service;
mod stats;
mod svid_rule;
pub mod testing;
mod token;
mod workload;
mod workload_settings;

pub use arguments::{ARGUMENTS, Argument, ParsedArgs, UsageError};
pub use audit_log::{AuditLogError, AuditLogOptions, LogFailure};
pub use authority::{Authority, AuthorityError, DEFAULT_CA_TTL, Issuing, Rotation};
pub use code::Code;
pub use daemon::{Agent, AgentError};
pub use dev::DEV_IDENTITY;
pub use event::{AgentEvent, Caller};
pub use explain::{Explanation, Verdict};
pub use kill_switch::KillOrder;
pub use lint::{Finding, FindingKind};
pub use listener::{ListenError, Listener, SocketAccess};
pub use options::{AgentOptions, DEFAULT_RULES_PATH, MAX_REQUEST_BYTES, RulesSource};
pub use private_file::PrivateFileError;
pub use reload::ReloadReport;
pub use rule::Rule;
pub use rules::{FileState, RuleSet};
pub use rules_error::{Position, RulesError};
pub use stats::{AgentStats, WorkloadStats};
pub use svid_rule::SvidRule;
pub use token::{TokenError, TokenSource};
pub use workload_settings::{
    BundleEndpoint, DEFAULT_STATE_DIR, DEFAULT_WORKLOAD_SOCKET_PATH, DEV_TRUST_DOMAIN, Federation, WorkloadSettings,
};
