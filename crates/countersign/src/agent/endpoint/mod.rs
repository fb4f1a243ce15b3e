//! What every socket of the agent has: how it is made, how connections are accepted, and how many of them.

pub(super) mod accept;
pub(super) mod bind;
pub(super) mod quota;
pub(super) mod readiness;
pub(super) mod throttled_log;
