//! The daemon: rules, attestation, and the server that answers.
//!
//! One connection is one question. The kernel names the client process, the first rule that matches it decides the
//! answer, and what the client claims about itself decides nothing.
//!
//! * [`Agent`] - a running daemon, on threads of its own; [`AgentStats`] and [`WhoamiCode`] say what it answered
//! * [`AgentOptions`], [`ParsedArgs`] - how it is to run: one definition for the library and every command line
//! * [`RuleSet`], [`Rule`], [`TokenSource`], [`RulesError`] - what the rules say, and where they are broken
//! * [`Explanation`], [`Finding`] - which rule a process gets and why, and which rules no process ever gets
//! * [`Authority`] - the keys of this machine's trust domain, prepared, active and old, on disk or in memory
//! * [`AgentEvent`] - what it does, as it happens; [`AuditLogOptions`] keeps a signed log of it
//! * [`BoundSocket`] - a listening socket: never in the place of another process's, never more open than asked for
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

#[expect(clippy::module_inception, reason = "the file of the type `Agent`")]
mod agent;
mod attest;
mod audit_log;
mod authority;
mod config;
mod control;
mod core;
mod decisions;
mod endpoint;
mod fs;
pub mod log;
mod record;
mod rules;
mod self_audit;
mod service_manager;
pub mod testing;
mod whoami;
mod workload;

pub use self::core::stats::{AgentStats, WorkloadStats};
pub use agent::{Agent, AgentError};
pub use audit_log::{AuditLogError, AuditLogOptions, LogFailure};
pub use authority::{Authority, AuthorityError, Issuing, Rotation};
pub use config::arguments::{ARGUMENTS, Argument, ParsedArgs};
pub use config::command_line::UsageError;
pub use config::options::{AgentOptions, DEFAULT_RULES_PATH, MAX_REQUEST_BYTES};
pub use decisions::{AgentEvent, Caller, KillOrder};
pub use endpoint::bind::{BoundSocket, ListenError, SocketAccess};
pub use fs::file_state::FileState;
pub use fs::private_file::PrivateFileError;
pub use fs::problem::{Problem, ProblemKind, Weight, Writers};
pub use rules::dev::DEV_IDENTITY;
pub use rules::error::{Position, RulesError};
pub use rules::explain::{Explanation, Verdict};
pub use rules::lint::{Finding, FindingKind};
pub use rules::rule::Rule;
pub use rules::ruleset::RuleSet;
pub use rules::source::{DEV_TRUST_DOMAIN, RulesSource};
pub use rules::store::ReloadReport;
pub use rules::svid_entry::SvidRule;
pub use rules::token::{TokenError, TokenSource};
pub use rules::workload_api::{
    BundleEndpoint, DEFAULT_CA_TTL, DEFAULT_STATE_DIR, DEFAULT_WORKLOAD_SOCKET_PATH, Federation, WorkloadSettings,
};

pub use crate::whoami::WhoamiCode;
