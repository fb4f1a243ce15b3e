use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use super::connection::{self, Connection};
use super::shared::Control;
use crate::agent::endpoint::bind::BoundSocket;
use crate::agent::endpoint::endpoint::Endpoint;
use crate::agent::endpoint::protocol::{Accepted, Protocol};
use crate::agent::endpoint::quota::Quota;
use crate::agent::endpoint::shutdown::Shutdown;
use crate::agent::log;
use crate::peer::Peer;

/// How often the agent audits itself.
const CHECKS: Duration = Duration::from_secs(3600);

impl Control {
    /// Serves the control socket.
    pub(in crate::agent) fn start(self: Arc<Self>, socket: BoundSocket) -> io::Result<Endpoint<Control>> {
        let endpoint = Endpoint::start(self, socket, 1)?;
        tracing::info!(target: log::TARGET, socket = %endpoint.path().display(), "answering operators");
        Ok(endpoint)
    }
}

impl Protocol for Control {
    const NAME: &'static str = "countersign-ctl";
    const DRAIN: Duration = Duration::from_secs(1);

    type Connection = Connection;

    fn quota(&self) -> &Arc<Quota> {
        &self.quota
    }

    fn shutdown(&self) -> &Shutdown {
        &self.shutdown
    }

    fn accept(&self, socket: OwnedFd, _buffer: &mut [u8]) -> Accepted<Connection> {
        match Peer::of(&socket) {
            Ok(peer) => Accepted::Serve { uid: peer.credentials().uid, connection: Connection { socket, peer } },
            Err(error) => {
                tracing::warn!(target: log::TARGET, %error, "the kernel does not name the operator");
                Accepted::Done
            }
        }
    }

    async fn serve(self: Arc<Self>, connection: Connection) {
        connection::serve(self, connection).await;
    }

    fn reject(&self, connection: Connection, _buffer: &mut [u8]) {
        connection::turn_away(&connection.socket);
    }

    async fn background(self: Arc<Self>) {
        keep_checking(self).await;
    }
}

/// Audits the agent at the start, when the rules have changed, and once in a while. New findings are published.
async fn keep_checking(control: Arc<Control>) {
    let mut snapshots = control.core.rules.subscribe();
    loop {
        snapshots.mark_unchanged();
        let checking = Arc::clone(&control);
        let _ = tokio::task::spawn_blocking(move || checking.check(false, false)).await;
        tokio::select! {
            _ = snapshots.changed() => {}
            () = tokio::time::sleep(CHECKS) => {}
        }
    }
}
