//! Files and directories the agent relies on.

pub(super) mod private_file;
