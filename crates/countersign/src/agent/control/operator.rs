use tokio::sync::watch;

use crate::agent::decisions::Caller;

/// How far a subscriber has read the alerts.
pub(super) struct Following {
    pub(super) news: watch::Receiver<u64>,
    pub(super) sent: u64,
}

/// The client of a connection.
pub(super) struct Operator {
    pub(super) caller: Caller,
    pub(super) following: Option<Following>,
}
