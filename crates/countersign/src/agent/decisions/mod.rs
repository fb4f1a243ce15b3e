//! What the agent decides: the events that say so, the bus that publishes them, and the gate every credential passes.

mod bus;
mod event;
mod gate;
mod kill_switch;

pub(super) use self::bus::{Denial, EventBus, Recorder};
pub use self::event::{AgentEvent, Caller};
pub(super) use self::gate::{Authorized, Gate};
pub use self::kill_switch::KillOrder;
pub(super) use self::kill_switch::KillSwitch;
