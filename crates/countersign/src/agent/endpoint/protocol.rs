use std::future::Future;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use super::quota::Quota;
use super::shutdown::Shutdown;

/// What an [`Endpoint`](super::endpoint::Endpoint) serves.
///
/// The endpoint accepts a connection and hands it to [`accept`](Protocol::accept). What is answered at once counts
/// against no quota. Anything else takes a permit, which is the one place where the share of a user is enforced, and
/// is then served by a task, or rejected.
pub(in crate::agent) trait Protocol: Send + Sync + Sized + 'static {
    /// The name of its threads. The kernel shows 15 bytes of it.
    const NAME: &'static str;
    /// How long a stopping agent waits for the connections it serves.
    const DRAIN: Duration;

    /// A connection that could not be answered at once.
    type Connection: Send + 'static;

    /// How many connections are served at once.
    fn quota(&self) -> &Arc<Quota>;

    /// What stops it.
    fn shutdown(&self) -> &Shutdown;

    /// Receives a new connection and, if that is possible without waiting, answers it. `buffer` may be used for
    /// reading.
    fn accept(&self, socket: OwnedFd, buffer: &mut [u8]) -> Accepted<Self::Connection>;

    /// Serves a connection to its end.
    fn serve(self: Arc<Self>, connection: Self::Connection) -> impl Future<Output = ()> + Send + 'static;

    /// Turns away a connection because the quota is used up. It must not wait.
    fn reject(&self, connection: Self::Connection, buffer: &mut [u8]);

    /// Runs beside the accept loop, and is cancelled when the endpoint stops.
    fn background(self: Arc<Self>) -> impl Future<Output = ()> + Send + 'static;

    /// The kernel refused a connection: no descriptors left, or no memory.
    fn accept_failed(&self) {}
}

/// What became of a new connection.
pub(in crate::agent) enum Accepted<C> {
    /// It is answered, or gone.
    Done,
    /// It is to be served by a task.
    Serve {
        /// The user whose share it takes.
        uid: Option<u32>,
        /// What is left to do.
        connection: C,
    },
}
