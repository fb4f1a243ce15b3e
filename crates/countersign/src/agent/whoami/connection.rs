//! One connection: one request, one response.
//!
//! Most clients have sent their request before they are accepted. They are answered at once, without being registered
//! with the event loop. Every other connection is served by a task.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown, recv, send, shutdown};
use tokio::io::unix::AsyncFd;
use tokio::time::{Instant, sleep, timeout_at};
use tracing::debug;

use super::answer::Answer;
use super::decision::{Context, decide, publish_refusal};
use super::request::{Arrival, Request};
use super::shared::Whoami;
use crate::agent::attest::{Depth, HashingError, with_hashes};
use crate::agent::decisions::{AgentEvent, Caller};
use crate::agent::endpoint::protocol::Accepted;
use crate::agent::endpoint::readiness::watched;
use crate::agent::log;
use crate::peer::{Peer, PeerIds};
use crate::whoami::{RunnerContext, WhoamiCode};

/// How long an answered client may keep us waiting for the end of its own stream.
const LINGER: Duration = Duration::from_secs(1);
/// How much of what an answered client still sends is thrown away before we stop listening to it.
const MAX_DRAINED: usize = 4 * 1024 * 1024;

/// What keeps a connection from being answered at once.
enum Obstacle {
    /// The request is not there yet.
    Request(Request),
    /// The hash of an executable is needed.
    Hash(Request, Context),
    /// Not all of the answer could be written.
    Answer(Request, Answer, usize),
    /// The client has its answer, but has not ended its own stream.
    End,
}

/// A connection that could not be answered at once.
pub(in crate::agent) struct Connection {
    socket: Arc<OwnedFd>,
    peer: Peer,
    obstacle: Obstacle,
}

/// Receives a new connection: answers it now, or leaves it to a task.
pub(super) fn accept(whoami: &Whoami, socket: OwnedFd, buffer: &mut [u8]) -> Accepted<Connection> {
    let socket = Arc::new(socket);
    let peer = match Peer::of_accepted(Arc::clone(&socket), Arc::clone(&whoami.core.known)) {
        Ok(peer) => peer,
        Err(error) => {
            let answer = Answer::from(&error);
            whoami.count(answer.code());
            let code = answer.code().as_str();
            let caller = Caller::default();
            whoami.core.bus.publish(|| AgentEvent::Answered { caller, code: answer.code(), identity: None, exe: None });
            match answer.code() {
                // A client can cause this thousands of times a second.
                WhoamiCode::Busy => {
                    if let Some(times) = whoami.core.exhaustion.note() {
                        tracing::error!(target: log::TARGET, %error, times, code, "a peer could not be identified");
                    }
                }
                _ => tracing::warn!(target: log::TARGET, %error, code, "a peer could not be identified"),
            }
            answer_at_once(&socket, &answer, buffer);
            return Accepted::Done;
        }
    };
    let mut request = Request::default();
    let obstacle = match request.receive(&socket, buffer) {
        Arrival::Broken => return Accepted::Done,
        Arrival::Waiting => Some(Obstacle::Request(request)),
        arrival => advance(whoami, &peer, &socket, request, arrival, buffer),
    };
    match obstacle {
        None => Accepted::Done,
        Some(obstacle) => Accepted::Serve { uid: peer.ids().uid, connection: Connection { socket, peer, obstacle } },
    }
}

/// Turns away a client because the quota is used up.
pub(super) fn reject(whoami: &Whoami, connection: &Connection, buffer: &mut [u8]) {
    let Connection { socket, peer, obstacle } = connection;
    if matches!(obstacle, Obstacle::End) {
        // It has its answer.
        return;
    }
    let who = peer.ids();
    whoami.count(WhoamiCode::Busy);
    publish_refusal(&whoami.core, peer, WhoamiCode::Busy);
    debug!(target: log::TARGET, pid = who.pid, uid = who.uid, code = WhoamiCode::Busy.as_str(), "refused");
    answer_at_once(socket, &Answer::refusal(WhoamiCode::Busy, "too many connections, try again later"), buffer);
}

/// Decides about a request that has arrived, and answers. `None` when the connection is done with.
fn advance(
    whoami: &Whoami,
    peer: &Peer,
    socket: &OwnedFd,
    request: Request,
    arrival: Arrival,
    buffer: &mut [u8],
) -> Option<Obstacle> {
    let answer = match understand(&request, arrival) {
        Err(refusal) => {
            log_refusal(whoami, peer, &refusal);
            refusal
        }
        Ok(context) => match decide(&whoami.core, peer, context, Depth::Cheap) {
            Ok(answer) => answer,
            Err(context) => return Some(Obstacle::Hash(request, context)),
        },
    };
    reply(whoami, socket, request, answer, 0, buffer)
}

/// What the client claims about itself, or the answer to an invalid request.
fn understand(request: &Request, arrival: Arrival) -> Result<Context, Answer> {
    if arrival == Arrival::TooLarge {
        let limit = crate::agent::config::options::MAX_REQUEST_BYTES;
        return Err(Answer::refusal(WhoamiCode::TooLarge, format!("the request is longer than {limit} bytes")));
    }
    RunnerContext::parse_request(request.bytes())
        .map_err(|error| Answer::refusal(WhoamiCode::BadRequest, format!("the request cannot be understood: {error}")))
}

fn log_refusal(whoami: &Whoami, peer: &Peer, answer: &Answer) {
    publish_refusal(&whoami.core, peer, answer.code());
    let PeerIds { pid, uid, gid } = peer.ids();
    tracing::info!(target: log::TARGET, pid, uid, gid, code = answer.code().as_str(), "refused");
}

/// Writes an answer from an offset on, and ends the connection if that can be done without waiting.
fn reply(
    whoami: &Whoami,
    socket: &OwnedFd,
    request: Request,
    answer: Answer,
    mut written: usize,
    buffer: &mut [u8],
) -> Option<Obstacle> {
    while written < answer.body().len() {
        match send(socket, &answer.body()[written..], SendFlags::NOSIGNAL) {
            Ok(count) => written += count,
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => return Some(Obstacle::Answer(request, answer, written)),
            // The client is gone.
            Err(_) => return None,
        }
    }
    whoami.count(answer.code());
    if request.has_ended() {
        // Nothing is left unread, so closing cannot take the answer away.
        return None;
    }
    let _ = shutdown(socket, Shutdown::Write);
    match drain(socket, buffer, &mut 0) {
        Drained::Waiting => Some(Obstacle::End),
        Drained::Done => None,
    }
}

enum Drained {
    /// The client may still send something.
    Waiting,
    /// It has ended its stream, or sent more than we care for.
    Done,
}

/// Throws away what the client sends: closing with bytes unread would destroy the answer on its way.
fn drain(socket: impl AsFd, buffer: &mut [u8], total: &mut usize) -> Drained {
    while *total <= MAX_DRAINED {
        match recv(&socket, &mut *buffer, RecvFlags::empty()) {
            Ok((0, _)) => return Drained::Done,
            Ok((count, _)) => *total += count,
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => return Drained::Waiting,
            Err(_) => return Drained::Done,
        }
    }
    Drained::Done
}

/// Answers a client that is not served, as far as that is possible without waiting.
fn answer_at_once(socket: &OwnedFd, answer: &Answer, buffer: &mut [u8]) {
    let _ = send(socket, answer.body(), SendFlags::NOSIGNAL);
    let _ = shutdown(socket, Shutdown::Write);
    drain(socket, buffer, &mut 0);
}

/// Serves a connection that could not be answered at once.
pub(super) async fn serve(whoami: Arc<Whoami>, connection: Connection) {
    let Connection { socket, peer, obstacle } = connection;
    let deadline = Instant::now() + whoami.connection_timeout;
    let socket = match watched(socket) {
        Ok(socket) => socket,
        Err(error) => {
            tracing::error!(target: log::TARGET, %error, "a connection could not be waited for");
            return;
        }
    };
    let peer = Arc::new(peer);
    let mut buffer = vec![0; 4096];
    let mut next = Some(obstacle);
    while let Some(obstacle) = next {
        next = match obstacle {
            Obstacle::Request(mut request) => {
                let arrival = await_request(&whoami, &socket, &mut request, deadline, &mut buffer).await;
                match arrival {
                    Arrival::Broken => None,
                    Arrival::Waiting => {
                        let answer = Answer::refusal(WhoamiCode::Timeout, "the request did not end in time");
                        log_refusal(&whoami, &peer, &answer);
                        reply(&whoami, socket.get_ref(), request, answer, 0, &mut buffer)
                    }
                    arrival => advance(&whoami, &peer, socket.get_ref(), request, arrival, &mut buffer),
                }
            }
            Obstacle::Hash(request, context) => {
                let answer = decide_with_hashes(&whoami, &peer, context, deadline).await;
                reply(&whoami, socket.get_ref(), request, answer, 0, &mut buffer)
            }
            Obstacle::Answer(request, answer, written) if Instant::now() < deadline => {
                // Only an answer larger than the socket's buffer comes here, and only from a client that does not
                // read; polling is good enough for it.
                sleep(Duration::from_millis(5)).await;
                reply(&whoami, socket.get_ref(), request, answer, written, &mut buffer)
            }
            Obstacle::Answer(..) => None,
            Obstacle::End => {
                await_end(&socket, &mut buffer).await;
                None
            }
        };
    }
}

/// Waits for the request: briefly for its first byte, then for all of it. A client that says nothing has none.
async fn await_request(
    whoami: &Whoami,
    socket: &AsyncFd<Arc<OwnedFd>>,
    request: &mut Request,
    deadline: Instant,
    buffer: &mut [u8],
) -> Arrival {
    let patience = Instant::now() + whoami.grace;
    loop {
        let until = if request.has_begun() { deadline } else { patience.min(deadline) };
        let Ok(readable) = timeout_at(until, socket.readable()).await else {
            // The timer and the bytes may have come together.
            let arrival = request.receive(socket.get_ref(), buffer);
            return match arrival {
                Arrival::Waiting if !request.has_begun() => Arrival::Complete,
                Arrival::Waiting if Instant::now() < deadline => continue,
                arrival => arrival,
            };
        };
        let Ok(mut readable) = readable else { return Arrival::Broken };
        match request.receive(socket.get_ref(), buffer) {
            Arrival::Waiting => readable.clear_ready(),
            arrival => return arrival,
        }
    }
}

/// Decides with hashes, on a thread that may be kept busy by them.
async fn decide_with_hashes(whoami: &Arc<Whoami>, peer: &Arc<Peer>, context: Context, deadline: Instant) -> Answer {
    let work = {
        let (core, peer) = (Arc::clone(&whoami.core), Arc::clone(peer));
        move || decide(&core, &peer, context, Depth::Hash)
    };
    match with_hashes(&whoami.core.blocking, deadline, work).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(_)) | Err(HashingError::Aborted) => {
            Answer::refusal(WhoamiCode::Internal, "the process that asked could not be examined")
        }
        Err(HashingError::TimedOut) => {
            let answer = Answer::refusal(WhoamiCode::Timeout, "the executable could not be examined in time");
            log_refusal(whoami, peer, &answer);
            answer
        }
    }
}

/// Waits, not for long, until an answered client has ended its stream.
async fn await_end(socket: &AsyncFd<Arc<OwnedFd>>, buffer: &mut [u8]) {
    let until = Instant::now() + LINGER;
    let mut total = 0;
    while let Ok(Ok(mut readable)) = timeout_at(until, socket.readable()).await {
        match drain(socket.get_ref(), buffer, &mut total) {
            Drained::Waiting => readable.clear_ready(),
            Drained::Done => return,
        }
    }
}
