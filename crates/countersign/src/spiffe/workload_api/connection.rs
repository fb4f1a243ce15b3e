use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use h2::{Ping, PingPong};
use prost::bytes::Bytes;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::Handle;
use tokio::task::AbortHandle;

/// A call that waited this long in vain asks whether anybody is still there.
const DOUBT: Duration = Duration::from_secs(5);
/// How long such a question may stay without an answer.
const PONG: Duration = Duration::from_secs(5);
/// No question again for so long after one that was answered: servers of gRPC take more for an attack (gRPC A8).
const TRUST: Duration = Duration::from_secs(300);

/// A connection that was made, shared by all of its streams.
pub(super) struct Connection {
    driver: AbortHandle,
    /// Not there while somebody is asking, and when it cannot be asked.
    probe: Mutex<Option<Probe>>,
}

struct Probe {
    pings: PingPong,
    answered: Option<Instant>,
}

impl Connection {
    /// Sees to it that what is sent is sent and what comes is read.
    pub fn drive<T>(mut connection: h2::client::Connection<T, Bytes>) -> Connection
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let probe = connection.ping_pong().map(|pings| Probe { pings, answered: None });
        let driver = tokio::spawn(async move {
            // It ends when the other side goes, or nobody has a handle or a stream of it any more. Those who have learn
            // of an error from their streams.
            let _ = connection.await;
        });
        Connection { driver: driver.abort_handle(), probe: Mutex::new(probe) }
    }

    /// Asks whether the server is still there, and ends the connection for everybody when it is not: streams that have
    /// nothing to say would otherwise never notice.
    fn doubt(self: &Arc<Connection>) {
        // Calls end inside of the runtime; at its own end nobody is interested any more.
        let Ok(runtime) = Handle::try_current() else { return };
        let mut place = self.probe.lock().unwrap_or_else(PoisonError::into_inner);
        if place.as_ref().is_none_or(|probe| probe.answered.is_some_and(|answered| answered.elapsed() < TRUST)) {
            return;
        }
        let Some(mut probe) = place.take() else { return };
        let connection = Arc::clone(self);
        runtime.spawn(async move {
            match tokio::time::timeout(PONG, probe.pings.ping(Ping::opaque())).await {
                Ok(Ok(_)) => {
                    probe.answered = Some(Instant::now());
                    *connection.probe.lock().unwrap_or_else(PoisonError::into_inner) = Some(probe);
                }
                _ => connection.driver.abort(),
            }
        });
    }
}

/// A call that waits for its answer. To be dropped when it waits no more, whatever the reason.
pub(super) struct Waiting {
    connection: Arc<Connection>,
    since: Instant,
    answered: bool,
}

impl Waiting {
    pub fn on(connection: &Arc<Connection>) -> Waiting {
        Waiting { connection: Arc::clone(connection), since: Instant::now(), answered: false }
    }

    /// Something came.
    pub fn answered(mut self) {
        self.answered = true;
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if !self.answered && self.since.elapsed() >= DOUBT {
            self.connection.doubt();
        }
    }
}
