//! The rules: their form in TOML, what they mean, where they come from, and what is doubtful about them.

pub(super) mod dev;
pub(super) mod error;
pub(super) mod explain;
pub(super) mod lint;
pub(super) mod load;
pub(super) mod rule;
pub(super) mod ruleset;
pub(super) mod schema;
pub(super) mod source;
pub(super) mod store;
pub(super) mod svid_entry;
pub(super) mod token;
pub(super) mod watch;
pub(super) mod workload_api;
