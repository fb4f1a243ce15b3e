use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use super::connection::{self, Connection};
use super::shared::Workload;
use super::upkeep;
use crate::agent::decisions::{AgentEvent, Caller};
use crate::agent::endpoint::bind::BoundSocket;
use crate::agent::endpoint::endpoint::Endpoint;
use crate::agent::endpoint::protocol::{Accepted, Protocol};
use crate::agent::endpoint::quota::Quota;
use crate::agent::endpoint::shutdown::Shutdown;
use crate::agent::log;
use crate::peer::Peer;
use crate::spiffe::workload_api::Code;

impl Workload {
    /// Serves the Workload API.
    pub(in crate::agent) fn start(self: Arc<Self>, socket: BoundSocket) -> io::Result<Endpoint<Workload>> {
        let endpoint = Endpoint::start(self, socket, 1)?;
        let workload = endpoint.protocol();
        let rules = workload.core.rules.current();
        let state_dir = rules.workload.as_ref().and_then(|config| config.state_dir.as_ref());
        tracing::info!(
            target: log::TARGET,
            socket = %endpoint.path().display(),
            trust_domain = workload.authority.trust_domain().name(),
            keys = state_dir.map_or_else(|| "in memory".into(), |path| path.display().to_string()),
            "serving the Workload API"
        );
        Ok(endpoint)
    }
}

impl Protocol for Workload {
    const NAME: &'static str = "countersign-spiffe";
    const DRAIN: Duration = Duration::from_millis(1200);

    type Connection = Connection;

    fn quota(&self) -> &Arc<Quota> {
        &self.quota
    }

    fn shutdown(&self) -> &Shutdown {
        &self.shutdown
    }

    /// Nothing is answered at once: HTTP/2 begins with a handshake.
    fn accept(&self, socket: OwnedFd, _buffer: &mut [u8]) -> Accepted<Connection> {
        match Peer::of(&socket) {
            Ok(peer) => Accepted::Serve { uid: peer.credentials().uid, connection: Connection { socket, peer } },
            Err(error) => {
                tracing::warn!(target: log::TARGET, %error, "the kernel does not say which process connected");
                let code = Code::Unauthenticated;
                self.core.bus.publish(|| AgentEvent::Refused { caller: Caller::default(), method: None, code });
                Accepted::Done
            }
        }
    }

    async fn serve(self: Arc<Self>, connection: Connection) {
        connection::serve(self, connection).await;
    }

    fn reject(&self, connection: Connection, buffer: &mut [u8]) {
        let Connection { socket, peer } = connection;
        self.counters.turned_away();
        self.core.bus.publish(|| AgentEvent::Refused {
            caller: Caller::of(&peer, ""),
            method: None,
            code: Code::ResourceExhausted,
        });
        let who = peer.credentials();
        tracing::debug!(target: log::TARGET, pid = who.pid, uid = who.uid, "too many connections to the Workload API");
        connection::turn_away(&socket, buffer);
    }

    async fn background(self: Arc<Self>) {
        upkeep::keep_trust(self).await;
    }
}
