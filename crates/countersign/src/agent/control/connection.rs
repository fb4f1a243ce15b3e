//! One operator: one line in, one line out. Subscribers receive alerts in between.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdStream;
use std::sync::Arc;
use std::time::Duration;

use rustix::net::{SendFlags, send};
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::time::{Instant, timeout};

use super::operator::Operator;
use super::shared::Control;
use super::verbs::{answer, refuse};
use crate::agent::decisions::Caller;
use crate::agent::endpoint::shutdown::Stop;
use crate::control::{ControlCode, Lines, MAX_REQUEST_LINE, Request, TooLong, error_frame};
use crate::peer::Peer;

/// How long a line may take from its first byte to its last.
const ARRIVAL: Duration = Duration::from_secs(10);
/// How long a client may leave what is written unread before the connection is closed.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a stopping agent waits for a client that does not read.
const DRAIN_TIMEOUT: Duration = Duration::from_millis(500);
/// Alerts that are written at once.
const AT_ONCE: usize = 256;

/// A connection, and the process that made it.
pub(in crate::agent) struct Connection {
    pub(super) socket: OwnedFd,
    pub(super) peer: Peer,
}

/// Answers a client that the quota is used up.
pub(super) fn turn_away(socket: &OwnedFd) {
    let frame = error_frame(None, ControlCode::Busy, "too many connections, try again later");
    let _ = send(socket, frame.as_bytes(), SendFlags::NOSIGNAL);
}

/// Serves a connection to its end.
pub(super) async fn serve(control: Arc<Control>, connection: Connection) {
    let Connection { socket, peer } = connection;
    let Ok(stream) = UnixStream::from_std(StdStream::from(socket)) else { return };
    let caller = Caller::of(&peer, peer.comm().unwrap_or_default());
    // Nothing more is asked of it, and descriptors are scarce: it holds a pidfd.
    drop(peer);
    let operator = Operator { caller, following: None };
    let _ = run(&control, stream, operator).await;
}

/// What comes next.
enum Next {
    Line(Vec<u8>),
    News,
    /// The agent ends.
    Stop,
    /// The rest of a line did not come, or is too much.
    Broken(ControlCode, String),
    End,
}

async fn run(control: &Arc<Control>, mut stream: UnixStream, mut operator: Operator) -> std::io::Result<()> {
    let mut lines = Lines::new(MAX_REQUEST_LINE);
    let mut stop = control.shutdown.subscribe();
    let mut ended = false;
    loop {
        match next(&stream, &mut lines, &mut operator, &mut stop, &mut ended).await? {
            Next::End => return Ok(()),
            Next::News => send_news(control, &mut stream, &mut operator).await?,
            // The last alerts are written before the connection ends.
            Next::Stop => {
                return match timeout(DRAIN_TIMEOUT, send_news(control, &mut stream, &mut operator)).await {
                    Ok(sent) => sent,
                    Err(_) => Ok(()),
                };
            }
            Next::Broken(code, message) => {
                // It is unknown where the next line would begin.
                return write(&mut stream, error_frame(None, code, &message).as_bytes()).await;
            }
            Next::Line(line) => {
                let reply = match Request::parse(&line) {
                    Ok(request) => answer(control, &mut operator, request).await,
                    Err(error) => refuse(control, &operator, error.id.as_ref(), &error.message),
                };
                write(&mut stream, reply.as_bytes()).await?;
            }
        }
    }
}

async fn send_news(control: &Control, stream: &mut UnixStream, operator: &mut Operator) -> std::io::Result<()> {
    let Some(following) = &mut operator.following else { return Ok(()) };
    while let Some(batch) = control.record.alerts.after(following.sent, AT_ONCE) {
        following.sent = batch.last;
        write(stream, batch.frames.as_bytes()).await?;
    }
    Ok(())
}

async fn next(
    stream: &UnixStream,
    lines: &mut Lines,
    operator: &mut Operator,
    stop: &mut Stop,
    ended: &mut bool,
) -> std::io::Result<Next> {
    let too_long = |error: TooLong| Ok(Next::Broken(ControlCode::TooLarge, error.to_string()));
    let deadline = Instant::now() + ARRIVAL;
    loop {
        match lines.next_line() {
            Ok(Some(line)) => return Ok(Next::Line(line)),
            Ok(None) if *ended => {
                return match lines.last_line() {
                    Ok(Some(line)) if !line.is_empty() => Ok(Next::Line(line)),
                    Ok(_) => Ok(Next::End),
                    Err(error) => too_long(error),
                };
            }
            Ok(None) => {}
            Err(error) => return too_long(error),
        }
        let news = async {
            match &mut operator.following {
                Some(following) => match following.news.changed().await {
                    Ok(()) => {}
                    // The sender lives as long as the agent.
                    Err(_) => std::future::pending().await,
                },
                None => std::future::pending().await,
            }
        };
        let late = async {
            match lines.is_amidst() {
                true => tokio::time::sleep_until(deadline).await,
                false => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = stop.requested() => return Ok(Next::Stop),
            readable = stream.readable() => readable?,
            () = news => return Ok(Next::News),
            () = late => return Ok(Next::Broken(ControlCode::Timeout, "the line did not end in time".into())),
        }
        let mut buffer = [0; 16 * 1024];
        match stream.try_read(&mut buffer) {
            Ok(0) => *ended = true,
            Ok(count) => lines.feed(&buffer[..count]),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

/// A client that does not read holds up only itself, and only for a while.
async fn write(stream: &mut UnixStream, bytes: &[u8]) -> std::io::Result<()> {
    let mut rest = bytes;
    // Nearly always there is room, and no timer is needed.
    match stream.try_write(rest) {
        Ok(count) => rest = &rest[count..],
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
        Err(error) => return Err(error),
    }
    if rest.is_empty() {
        return Ok(());
    }
    match timeout(WRITE_TIMEOUT, stream.write_all(rest)).await {
        Ok(written) => written,
        Err(_) => Err(std::io::ErrorKind::TimedOut.into()),
    }
}
