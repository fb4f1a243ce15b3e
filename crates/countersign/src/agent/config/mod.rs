//! How an agent runs: what was asked for (options, command line), and what holds (resolve).

pub(super) mod arguments;
pub(super) mod command_line;
pub(super) mod dev;
pub(super) mod options;
pub(super) mod resolve;
