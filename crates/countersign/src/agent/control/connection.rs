//! One operator: lines in, lines out, one after the other. Who has subscribed is told of alerts in between.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdStream;
use std::sync::Arc;
use std::time::Duration;

use rustix::net::{SendFlags, send};
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::Control;
use super::verbs::{answer, refuse};
use crate::agent::decisions::Caller;
use crate::agent::endpoint::quota::Place;
use crate::control::{ControlCode, Lines, MAX_REQUEST_LINE, Request, TooLong, Verb, error_frame};
use crate::peer::Peer;

/// How long a line may take from its first byte to its last.
const ARRIVAL: Duration = Duration::from_secs(10);
/// How long somebody may not read what is written before the connection is given up.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a stopping agent waits for who does not read.
const DRAIN_TIMEOUT: Duration = Duration::from_millis(500);
/// Alerts that are written in one go.
const AT_ONCE: usize = 256;

/// The place of a subscriber in the row of alerts.
pub(super) struct Following {
    pub(super) news: watch::Receiver<u64>,
    pub(super) told: u64,
}

/// Somebody on a connection.
pub(super) struct Operator {
    pub(super) caller: Caller,
    pub(super) following: Option<Following>,
}

/// Turns somebody away for whom there is no room.
pub(super) fn dismiss(socket: &OwnedFd) {
    let frame = error_frame(None, ControlCode::Busy, "too many connections, try again later");
    let _ = send(socket, frame.as_bytes(), SendFlags::NOSIGNAL);
}

/// The life of a connection.
pub(super) async fn attend(control: Arc<Control>, socket: OwnedFd, peer: Peer, place: Place) {
    let _place = place;
    let Ok(stream) = UnixStream::from_std(StdStream::from(socket)) else { return };
    let caller = Caller::of(&peer, peer.comm().unwrap_or_default());
    // It has said all there is to know; its pidfd is wanted by others.
    drop(peer);
    let operator = Operator { caller, following: None };
    let _ = converse(&control, stream, operator).await;
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

async fn converse(control: &Arc<Control>, mut stream: UnixStream, mut operator: Operator) -> std::io::Result<()> {
    let mut lines = Lines::new(MAX_REQUEST_LINE);
    let mut stop = control.stop.subscribe();
    let mut ended = false;
    loop {
        match next(&stream, &mut lines, &mut operator, &mut stop, &mut ended).await? {
            Next::End => return Ok(()),
            Next::News => tell_news(control, &mut stream, &mut operator).await?,
            // The last thing that is told.
            Next::Stop => {
                return match timeout(DRAIN_TIMEOUT, tell_news(control, &mut stream, &mut operator)).await {
                    Ok(told) => told,
                    Err(_) => Ok(()),
                };
            }
            Next::Broken(code, message) => {
                // Where the next line would begin cannot be told.
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

async fn tell_news(control: &Control, stream: &mut UnixStream, operator: &mut Operator) -> std::io::Result<()> {
    let Some(following) = &mut operator.following else { return Ok(()) };
    while let Some(told) = control.record.alerts.after(following.told, AT_ONCE) {
        following.told = told.last;
        write(stream, told.frames.as_bytes()).await?;
    }
    Ok(())
}

async fn next(
    stream: &UnixStream,
    lines: &mut Lines,
    operator: &mut Operator,
    stop: &mut watch::Receiver<bool>,
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
            _ = stop.wait_for(|stop| *stop) => return Ok(Next::Stop),
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

/// Somebody who does not read holds up nobody but itself, and that not for long.
async fn write(stream: &mut UnixStream, bytes: &[u8]) -> std::io::Result<()> {
    let mut rest = bytes;
    // Nearly always there is room, and no timer needed.
    match stream.try_write(rest) {
        Ok(count) => rest = &rest[count..],
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
        Err(error) => return Err(error),
    }
    if rest.is_empty() {
        return Ok(());
    }
    match timeout(PATIENCE, stream.write_all(rest)).await {
        Ok(written) => written,
        Err(_) => Err(std::io::ErrorKind::TimedOut.into()),
    }
}

/// What a request is called in the log.
pub(super) fn name_of(verb: &Verb) -> &'static str {
    match verb {
        Verb::Audit { fix: true, .. } => "audit fix",
        other => other.name(),
    }
}
