//! What the agent decides, who may object, and who is told.

pub(super) mod event;
pub(super) mod kill_switch;
