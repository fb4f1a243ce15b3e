//! Files and directories the agent relies on.

pub(super) mod file_state;
pub(super) mod private_file;
pub(super) mod problem;
pub(super) mod trust_policy;
pub(super) mod trusted;
