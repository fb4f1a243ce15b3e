use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Map, Value};

use super::MAX_REPLY_LINE;
use super::alert::Alert;
use super::error::ControlError;
use super::lines::Lines;
use super::reply::Reply;
use super::request::{Request, RequestId, Verb};
use crate::peer::{Peer, PeerPolicy};

/// How long an answer is waited for by default.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Asks an agent, one thing after the other, over one connection. It blocks.
pub struct ControlClient {
    stream: UnixStream,
    lines: Lines,
    timeout: Option<Duration>,
    last_id: u64,
    /// What was asked and not answered in time, and what is being asked: answers without an `id` come in this order.
    awaited: VecDeque<u64>,
}

/// The alerts of an agent, from now on.
pub struct Subscription {
    client: ControlClient,
    /// The reply of the agent to the subscription.
    pub acknowledgement: Map<String, Value>,
}

impl ControlClient {
    /// Connects to an agent, without verifying it.
    pub fn connect(path: impl AsRef<Path>) -> Result<ControlClient, ControlError> {
        let path = path.as_ref();
        let stream =
            UnixStream::connect(path).map_err(|source| ControlError::Connect { path: path.to_path_buf(), source })?;
        Ok(ControlClient {
            stream,
            lines: Lines::new(MAX_REPLY_LINE),
            timeout: Some(TIMEOUT),
            last_id: 0,
            awaited: VecDeque::new(),
        })
    }

    /// Connects to an agent, and says nothing to any other process.
    pub fn connect_verified(path: impl AsRef<Path>, expected: &PeerPolicy) -> Result<ControlClient, ControlError> {
        let path = path.as_ref();
        let client = ControlClient::connect(path)?;
        let peer = |source| ControlError::Peer { path: path.to_path_buf(), source };
        match Peer::of(&client.stream).and_then(|peer| peer.check(expected)).map_err(peer)? {
            Ok(()) => Ok(client),
            Err(denied) => Err(ControlError::Untrusted { path: path.to_path_buf(), denied }),
        }
    }

    /// How long an answer is waited for; `None` for ever. Default: 5 seconds.
    pub fn with_timeout(mut self, timeout: Option<Duration>) -> ControlClient {
        self.timeout = timeout;
        self
    }

    /// Asks, and waits for the answer. One that comes too late is passed over when the next thing is asked.
    pub fn request(&mut self, verb: &Verb) -> Result<Map<String, Value>, ControlError> {
        let deadline = self.timeout.map(|timeout| Instant::now() + timeout);
        let id = self.send(verb)?;
        loop {
            let (answered, result) = match self.read(deadline) {
                Ok(Reply::Alert(_)) => continue,
                Ok(Reply::Ok { id, payload }) => (id, Ok(payload)),
                Ok(Reply::Err { id, code, message }) => (id, Err(ControlError::Refused { code, message })),
                Ok(Reply::Blank) => (None, Err(ControlError::Blank)),
                // Some line came, so one of the requests is answered.
                Err(error @ ControlError::Codec(_)) => (None, Err(error)),
                Err(error) => return Err(error),
            };
            let mine = match answered {
                Some(answered) => answered == RequestId::from(id),
                // An agent that does not echo the id answers in order.
                None => self.awaited.front() == Some(&id),
            };
            match mine {
                true => {
                    self.awaited.retain(|awaited| *awaited != id);
                    return result;
                }
                false => drop(self.awaited.pop_front()),
            }
        }
    }

    /// Subscribes to all alerts that come after the given one.
    pub fn subscribe(mut self, after: Option<u64>) -> Result<Subscription, ControlError> {
        let acknowledgement = self.request(&Verb::Subscribe { after })?;
        Ok(Subscription { client: self, acknowledgement })
    }

    fn send(&mut self, verb: &Verb) -> Result<u64, ControlError> {
        self.last_id += 1;
        let request = Request { id: Some(self.last_id.into()), verb: verb.clone() };
        self.stream.set_write_timeout(self.timeout)?;
        match self.stream.write_all((request.to_line() + "\n").as_bytes()) {
            Ok(()) => {}
            Err(error) if is_late(error.kind()) => {
                return Err(ControlError::Timeout(self.timeout.unwrap_or_default()));
            }
            Err(error) => return Err(error.into()),
        }
        self.awaited.push_back(self.last_id);
        Ok(self.last_id)
    }

    fn read(&mut self, deadline: Option<Instant>) -> Result<Reply, ControlError> {
        loop {
            if let Some(line) = self.lines.next_line()? {
                return Reply::parse(&line).map_err(ControlError::Codec);
            }
            let late = || ControlError::Timeout(self.timeout.unwrap_or_default());
            let left = match deadline.map(|deadline| deadline.checked_duration_since(Instant::now())) {
                None => None,
                Some(Some(left)) if !left.is_zero() => Some(left),
                Some(_) => return Err(late()),
            };
            self.stream.set_read_timeout(left)?;
            let mut buffer = [0; 16 * 1024];
            match self.stream.read(&mut buffer) {
                Ok(0) => return self.end(),
                Ok(count) => self.lines.feed(&buffer[..count]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if is_late(error.kind()) => return Err(late()),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The stream has ended. What stands there without a line feed may still be a reply.
    fn end(&mut self) -> Result<Reply, ControlError> {
        match self.lines.last_line()? {
            Some(line) => Reply::parse(&line).map_err(|_| ControlError::Closed),
            None => Err(ControlError::Closed),
        }
    }
}

impl Subscription {
    /// Waits for the next alert, as long as it takes. `None`: the agent has ended the connection.
    pub fn next_alert(&mut self) -> Result<Option<Alert>, ControlError> {
        self.next_alert_within(None)
    }

    /// The same, for so long at most.
    pub fn next_alert_within(&mut self, timeout: Option<Duration>) -> Result<Option<Alert>, ControlError> {
        self.client.timeout = timeout;
        let deadline = timeout.map(|timeout| Instant::now() + timeout);
        loop {
            match self.client.read(deadline) {
                Ok(Reply::Alert(alert)) => return Ok(Some(alert)),
                Ok(_) => {}
                Err(ControlError::Closed) => return Ok(None),
                Err(error) => return Err(error),
            }
        }
    }
}

fn is_late(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut)
}
