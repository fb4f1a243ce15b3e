use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use h2::{Ping, PingPong};
use tokio::runtime::Handle;

use super::channel::Stream;
use super::driver::Driver;

/// When calls have waited this long, one after the other, and none was answered, the server is asked whether it is
/// still there.
const DOUBT: Duration = Duration::from_secs(5);
/// How long such a question may stay without an answer.
const PONG: Duration = Duration::from_secs(5);
/// No question again for so long after one that was answered: servers of gRPC take more for an attack (gRPC A8).
const TRUST: Duration = Duration::from_secs(60);

/// A connection that was made, shared by all of its streams.
pub(super) struct Connection {
    driver: Arc<Driver>,
    /// Since when calls have been waiting, and none was answered.
    unanswered: Mutex<Option<Instant>>,
    /// `None` while it is in use, and when the server cannot be asked.
    probe: Mutex<Option<Probe>>,
}

struct Probe {
    pings: PingPong,
    answered: Option<Instant>,
}

impl Connection {
    /// Takes it over.
    pub fn new(mut connection: h2::client::Connection<Box<dyn Stream>>) -> Connection {
        let probe = connection.ping_pong().map(|pings| Probe { pings, answered: None });
        Connection { driver: Driver::start(connection), unanswered: Mutex::new(None), probe: Mutex::new(probe) }
    }

    /// Asks whether the server is still there, and ends the whole connection when it is not: streams that have
    /// nothing to say would otherwise never notice.
    fn doubt(self: &Arc<Connection>) {
        // Calls end inside of the runtime; at its own end the result does not matter any more.
        let Ok(runtime) = Handle::try_current() else { return };
        let mut place = locked(&self.probe);
        if place.as_ref().is_none_or(|probe| probe.answered.is_some_and(|answered| answered.elapsed() < TRUST)) {
            return;
        }
        let Some(mut probe) = place.take() else { return };
        let connection = Arc::clone(self);
        runtime.spawn(async move {
            match tokio::time::timeout(PONG, probe.pings.ping(Ping::opaque())).await {
                Ok(Ok(_)) => {
                    probe.answered = Some(Instant::now());
                    *locked(&connection.probe) = Some(probe);
                    *locked(&connection.unanswered) = None;
                }
                _ => connection.driver.end(),
            }
        });
    }
}

/// A call that waits for its answer. To be dropped when it no longer waits, for any reason.
pub(super) struct Waiting {
    connection: Arc<Connection>,
    answered: bool,
}

impl Waiting {
    pub fn on(connection: &Arc<Connection>) -> Waiting {
        locked(&connection.unanswered).get_or_insert_with(Instant::now);
        Waiting { connection: Arc::clone(connection), answered: false }
    }

    /// Something came.
    pub fn answered(mut self) {
        self.answered = true;
        *locked(&self.connection.unanswered) = None;
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        // A call with a short timeout may never wait long enough by itself: what all of them waited counts.
        if !self.answered && locked(&self.connection.unanswered).is_some_and(|since| since.elapsed() >= DOUBT) {
            self.connection.doubt();
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
