use std::sync::Arc;
use std::time::SystemTime;

use crate::spiffe::workload_api::WorkloadApiError;

/// Where a feed stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// There was no message yet.
    Connecting,
    /// There is something to work with.
    Ready,
    /// The Workload API has no identity for this workload, and never had.
    NoIdentity,
    /// The Workload API withdrew what it had sent.
    Withdrawn,
    /// It is over: closed, or refused in a way that asking again will not change.
    Closed,
}

impl State {
    /// The name, in the spelling of JavaScript.
    pub const fn as_str(self) -> &'static str {
        match self {
            State::Connecting => "connecting",
            State::Ready => "ready",
            State::NoIdentity => "noIdentity",
            State::Withdrawn => "withdrawn",
            State::Closed => "closed",
        }
    }
}

/// A feed at one moment. What is in it belongs together.
#[derive(Debug)]
pub struct Snapshot<S> {
    /// Where it stands.
    pub state: State,
    /// The newest value; only while [`State::Ready`].
    pub value: Option<Arc<S>>,
    /// Grows with every change of the value or of the state.
    pub revision: u64,
    /// When the last message of the Workload API came, changed or not.
    pub told_at: Option<SystemTime>,
    /// The last error since the last message.
    pub last_error: Option<Arc<WorkloadApiError>>,
    /// Nothing tries to reconnect any more.
    pub given_up: bool,
}

impl<S> Clone for Snapshot<S> {
    fn clone(&self) -> Self {
        Snapshot {
            state: self.state,
            value: self.value.clone(),
            revision: self.revision,
            told_at: self.told_at,
            last_error: self.last_error.clone(),
            given_up: self.given_up,
        }
    }
}
