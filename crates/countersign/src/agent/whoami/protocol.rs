use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use super::connection::{self, Connection};
use super::shared::Whoami;
use crate::agent::config::resolve::WhoamiConfig;
use crate::agent::core::Core;
use crate::agent::endpoint::bind::BoundSocket;
use crate::agent::endpoint::endpoint::Endpoint;
use crate::agent::endpoint::protocol::{Accepted, Protocol};
use crate::agent::endpoint::quota::Quota;
use crate::agent::endpoint::shutdown::Shutdown;

impl Whoami {
    /// Serves the whoami socket.
    pub(in crate::agent) fn start(
        core: Arc<Core>,
        config: &WhoamiConfig,
        socket: BoundSocket,
    ) -> io::Result<Endpoint<Whoami>> {
        let whoami = Whoami::new(core, Arc::clone(&config.quota), config.grace, config.connection_timeout);
        Endpoint::start(whoami, socket, config.threads)
    }
}

impl Protocol for Whoami {
    const NAME: &'static str = "countersign-agent";
    const DRAIN: Duration = Duration::from_secs(1);

    type Connection = Connection;

    fn quota(&self) -> &Arc<Quota> {
        &self.quota
    }

    fn shutdown(&self) -> &Shutdown {
        &self.shutdown
    }

    fn accept(&self, socket: OwnedFd, buffer: &mut [u8]) -> Accepted<Connection> {
        connection::accept(self, socket, buffer)
    }

    async fn serve(self: Arc<Self>, connection: Connection) {
        connection::serve(self, connection).await;
    }

    fn reject(&self, connection: Connection, buffer: &mut [u8]) {
        connection::reject(self, &connection, buffer);
    }

    async fn background(self: Arc<Self>) {
        Arc::clone(&self.core.rules).watch(self.core.reload_interval).await;
    }

    fn accept_failed(&self) {
        self.counters.accept_error();
        self.core.known.forget();
    }
}
