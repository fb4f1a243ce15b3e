//! The daemon: rules, attestation, and the server that answers.
//!
//! One connection is one question. The kernel says who asks, the first rule that fits that process says what it is
//! told, and what the client claims about itself decides nothing.
//!
//! * rules: [`RuleSet`], [`Rule`], [`TokenSource`], [`RulesError`] - what the file says, and where it is broken
//! * options: [`AgentOptions`], [`ParsedArgs`] - one definition for the library, the daemon and every command line

mod arguments;
pub mod log;
mod options;
mod rule;
mod rule_form;
mod rules;
mod rules_error;
mod token;

pub use arguments::{ARGUMENTS, Argument, ParsedArgs, UsageError};
pub use options::{
    AgentOptions, DEFAULT_RULES_PATH, DEFAULT_SOCKET_PATH, MAX_REQUEST_BYTES, RulesSource,
};
pub use rule::Rule;
pub use rules::{FileState, RuleSet};
pub use rules_error::{Position, RulesError};
pub use token::{TokenError, TokenSource};
