use tokio::sync::watch;

/// Stops an endpoint, and everything that serves its connections.
pub(in crate::agent) struct Shutdown(watch::Sender<bool>);

/// Is notified of a [`Shutdown`].
pub(in crate::agent) struct Stop(watch::Receiver<bool>);

impl Default for Shutdown {
    fn default() -> Shutdown {
        Shutdown(watch::Sender::new(false))
    }
}

impl Shutdown {
    /// Asks everything to stop. It cannot be undone.
    pub(super) fn begin(&self) {
        self.0.send_replace(true);
    }

    pub(in crate::agent) fn subscribe(&self) -> Stop {
        Stop(self.0.subscribe())
    }
}

impl Stop {
    /// Waits until the endpoint is to stop.
    pub(in crate::agent) async fn requested(&mut self) {
        // A sender that is gone has nothing left to serve, either.
        let _ = self.0.wait_for(|stop| *stop).await;
    }

    pub(super) fn is_requested(&self) -> bool {
        *self.0.borrow()
    }
}
