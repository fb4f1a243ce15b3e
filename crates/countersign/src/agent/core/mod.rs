//! What every protocol of the agent may use, and nothing that belongs to one of them.

pub(super) mod blocking_pool;
#[expect(clippy::module_inception, reason = "the file of the type `Core`")]
mod core;
pub(super) mod stats;

pub(super) use self::core::Core;
