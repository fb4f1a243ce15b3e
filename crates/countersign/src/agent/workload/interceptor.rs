//! Where a test agent may step in. The agent itself has [`Untouched`], which costs a virtual call that returns nothing.

use std::future::Future;
use std::pin::Pin;

use prost::bytes::Bytes;
use tokio::sync::watch;

use crate::peer::Peer;
use crate::spiffe::workload_api::proto::JwtSvidRequest;
use crate::spiffe::workload_api::{Code, Method, Status};

/// What an interceptor does later.
pub(in crate::agent) type Later<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// How a call ends instead of being served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::agent) enum Ending {
    /// With this status.
    Status(Status),
    /// In good order, before any message.
    Done,
    /// The stream is reset without a status.
    Reset,
}

/// What open streams must do at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// Nothing.
    None,
    /// Send the last message once more.
    Resend,
    /// Issue new SVIDs, regardless of the age of the present ones.
    Reissue,
    /// End with this status.
    Finish(Status),
    /// End without a status.
    Reset,
}

/// Steps in at four points of a call. `None` always means: go on as usual.
pub(in crate::agent) trait Interceptor: Send + Sync {
    /// A call arrived, for this method or (when it is not known) this path. The observer is notified of its outcome.
    fn call_arrived(&self, _method: &str, _peer: &Peer, _security_header: bool) -> Option<Box<dyn CallObserver>> {
        None
    }

    /// The call is about to be served.
    fn before_call(&self, _method: Method) -> Option<Later<'_, Option<Ending>>> {
        None
    }

    /// A message, framed for gRPC, is about to be sent. These bytes are sent instead.
    fn before_message(&self, _method: Method, _framed: &Bytes) -> Option<Later<'_, Bytes>> {
        None
    }

    /// Orders to streams that are open.
    fn orders(&self) -> Option<watch::Receiver<Order>> {
        None
    }
}

/// Is notified of the outcome of one call. It is dropped with the call.
pub(in crate::agent) trait CallObserver: Send + Sync {
    /// The request asked for this token.
    fn token_requested(&self, request: &JwtSvidRequest);
    /// A message was sent.
    fn message_sent(&self);
    /// The call ended with this code.
    fn ended(&self, code: Code);
}

/// Steps in nowhere.
pub(in crate::agent) struct Untouched;

impl Interceptor for Untouched {}
