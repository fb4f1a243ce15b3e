//! One connection: the kernel says which process made it, and the rules are evaluated anew for every call.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::{Method as HttpMethod, Request, StatusCode};
use prost::bytes::Bytes;
use rustix::net::{RecvFlags, SendFlags, Shutdown, recv, send, shutdown};
use tokio::io::unix::AsyncFd;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::bundles::{JwtBundles, X509Bundles};
use super::call::Call;
use super::h2::frame_reader::{ClientFrames, HEADER_BYTES};
use super::interceptor::Ending;
use super::reply::Reply;
use super::request::{deadline, method_of, must_carry_security_header, read, speaks_grpc};
use super::x509::X509Svids;
use super::{Workload, jwt, stream};
use crate::agent::endpoint::readiness::watched;
use crate::agent::log;
use crate::peer::{Peer, PeerError, PeerIds};
use crate::spiffe::workload_api::proto::Empty;
use crate::spiffe::workload_api::{Code, Method, Status};

/// How long the HTTP/2 handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Calls at once on one connection.
const MAX_STREAMS: u32 = 100;
/// How long a stopping agent waits until callers have read the end of their calls.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);
/// Streams a client may reset before the agent has read their request.
const MAX_RESET_STREAMS: usize = 100;
/// Bytes that are buffered for a caller that does not read.
const SEND_BUFFER: usize = 64 * 1024;

/// What a client is sent when the quota is used up: our settings, then GOAWAY with `ENHANCE_YOUR_CALM`.
const NO_ROOM: &[u8] = b"\0\0\0\x04\0\0\0\0\0\0\0\x1b\x07\0\0\0\0\0\0\0\0\0\0\0\0\x0btoo many connections";

/// A connection, and the process that made it.
pub(in crate::agent) struct Connection {
    pub(super) socket: OwnedFd,
    pub(super) peer: Peer,
}

/// Answers a client that it is not served, as far as that is possible without waiting.
pub(super) fn turn_away(socket: &OwnedFd, buffer: &mut [u8]) {
    let _ = send(socket, NO_ROOM, SendFlags::NOSIGNAL);
    let _ = shutdown(socket, Shutdown::Write);
    // Closing with bytes unread would destroy the message on its way.
    for _ in 0..16 {
        if recv(socket, &mut *buffer, RecvFlags::empty()).map_or(0, |(count, _)| count) == 0 {
            return;
        }
    }
}

/// Serves a connection to its end.
pub(super) async fn serve(workload: Arc<Workload>, connection: Connection) {
    let Connection { socket, peer } = connection;
    let death = match watch_death(&peer) {
        Ok(death) => death,
        // The process has died, and its pid may belong to another one now.
        Err(error) => return tracing::debug!(target: log::TARGET, %error, "a connection without a process"),
    };
    let Ok(socket) = tokio::net::UnixStream::from_std(UnixStream::from(socket)) else { return };
    let flooding = Arc::new(Notify::new());
    let frames = ClientFrames::new(socket, Arc::clone(&flooding));
    let handshake = http2().handshake::<_, Bytes>(frames);
    let mut stop = workload.shutdown.subscribe();
    let mut connection = tokio::select! {
        shaken = timeout(HANDSHAKE, handshake) => match shaken {
            Ok(Ok(connection)) => connection,
            _ => return,
        },
        () = stop.requested() => return,
        _ = death.readable() => return,
    };
    let peer = Arc::new(peer);
    // Dropping it ends the calls with the connection.
    let mut calls = JoinSet::new();
    let mut until: Option<Instant> = None;
    loop {
        let drain = async {
            match until {
                Some(until) => tokio::time::sleep_until(until).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            _ = death.readable() => return,
            () = flooding.notified() => {
                log_flood(&workload, &peer);
                connection.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
                until.get_or_insert(Instant::now() + DRAIN_TIMEOUT);
            }
            // The calls end by themselves; then the connection is closed when the client has read it.
            () = stop.requested(), if until.is_none() => {
                connection.graceful_shutdown();
                until = Some(Instant::now() + DRAIN_TIMEOUT);
            }
            () = drain => return,
            Some(_) = calls.join_next() => {}
            accepted = connection.accept() => match accepted {
                Some(Ok((request, respond))) => {
                    let (workload, peer) = (Arc::clone(&workload), Arc::clone(&peer));
                    calls.spawn(async move { call(&workload, &peer, request, respond).await });
                }
                Some(Err(_)) | None => return,
            },
        }
    }
}

fn watch_death(peer: &Peer) -> Result<AsyncFd<OwnedFd>, PeerError> {
    watched(peer.death()?).map_err(|source| PeerError::Os { what: "watching a pidfd", source })
}

/// HTTP/2 with the limits of this server.
fn http2() -> h2::server::Builder {
    let mut builder = h2::server::Builder::new();
    builder
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(HEADER_BYTES as u32)
        .max_pending_accept_reset_streams(MAX_RESET_STREAMS)
        .max_concurrent_reset_streams(MAX_RESET_STREAMS)
        .max_send_buffer_size(SEND_BUFFER);
    builder
}

fn log_flood(workload: &Workload, peer: &Peer) {
    if let Some(times) = workload.floods.note() {
        let PeerIds { pid, uid, .. } = peer.ids();
        tracing::warn!(target: log::TARGET, pid, uid, times, "a client floods the Workload API and is cut off");
    }
}

/// One call.
async fn call(workload: &Workload, peer: &Arc<Peer>, request: Request<RecvStream>, respond: SendResponse<Bytes>) {
    let reply = Reply::new(respond);
    if *request.method() != HttpMethod::POST {
        return reply.refuse(StatusCode::METHOD_NOT_ALLOWED);
    }
    if !speaks_grpc(request.headers()) {
        return reply.refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
    let header = must_carry_security_header(request.headers());
    let method = method_of(request.uri().path());
    let name = method.as_ref().map_or_else(|_| request.uri().path(), |method| method.name());
    let observer = workload.interceptor.call_arrived(name, peer, header.is_ok());
    let mut reply = reply.observed(observer);
    let method = match method.and_then(|method| header.map(|()| method)) {
        Ok(method) => method,
        Err(status) => return reply.finish(&status),
    };
    if let Some(before) = workload.interceptor.before_call(method) {
        let ending = tokio::select! {
            () = reply.cancelled() => return,
            ending = before => ending,
        };
        if let Some(ending) = ending {
            return end(reply, ending);
        }
    }
    let call = Call { workload, peer, method };
    match deadline(request.headers()) {
        None => dispatch(&call, request, reply).await,
        // The caller has given up by then, and needs no message.
        Some(deadline) => drop(timeout(deadline, dispatch(&call, request, reply)).await),
    }
}

/// Ends a call that is not served.
fn end(mut reply: Reply, ending: Ending) {
    match ending {
        Ending::Status(status) => reply.finish(&status),
        Ending::Done => reply.done(),
        Ending::Reset => reply.reset(Reason::INTERNAL_ERROR),
    }
}

async fn dispatch(call: &Call<'_>, request: Request<RecvStream>, reply: Reply) {
    match call.method {
        Method::FetchX509Svid => match read::<Empty>(request).await {
            Ok(_) => stream::tell(call, reply, X509Svids::default()).await,
            Err(status) => reply.finish(&status),
        },
        Method::FetchX509Bundles => match read::<Empty>(request).await {
            Ok(_) => stream::tell(call, reply, X509Bundles).await,
            Err(status) => reply.finish(&status),
        },
        Method::FetchJwtBundles => match read::<Empty>(request).await {
            Ok(_) => stream::tell(call, reply, JwtBundles).await,
            Err(status) => reply.finish(&status),
        },
        Method::FetchJwtSvid => {
            let answered = match read(request).await {
                Ok(request) => {
                    reply.asks_for(&request);
                    jwt::fetch(call, request).await
                }
                Err(status) => Err(status),
            };
            stream::answer(call, reply, answered).await;
        }
        Method::ValidateJwtSvid => {
            let answered = match read(request).await {
                Ok(request) => jwt::validate(call, request).await,
                Err(status) => Err(status),
            };
            stream::answer(call, reply, answered).await;
        }
        Method::FetchWitSvid | Method::FetchWitBundles => {
            let message = format!("{} is not served: the WIT profile is incubating", call.method.name());
            reply.finish(&Status::new(Code::Unimplemented, message));
        }
    }
}
