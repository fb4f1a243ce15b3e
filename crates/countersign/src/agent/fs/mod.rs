//! Files and directories the agent relies on.

pub(super) mod file_state;
pub(super) mod private_file;
