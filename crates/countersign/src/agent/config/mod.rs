//! How an agent runs: what was asked for, and what holds.

pub(super) mod arguments;
pub(super) mod dev;
pub(super) mod options;
