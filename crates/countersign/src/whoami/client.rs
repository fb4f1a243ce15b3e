use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::{
    DEFAULT_SOCKET_PATH, DEFAULT_TIMEOUT, Exchange, Identity, MAX_CLIENT_REQUEST, Opened, Progress, RunnerContext,
    WhoamiError,
};
use crate::backoff::Backoff;

/// Pauses between attempts to connect to a daemon whose backlog is full: there is no event for room in it.
const BUSY: Backoff = Backoff::new(Duration::from_millis(1), Duration::from_millis(20));

/// The blocking client: one connection a call, one deadline over all of it.
#[derive(Debug, Clone)]
pub struct Client {
    socket_path: PathBuf,
    timeout: Option<Duration>,
}

impl Default for Client {
    fn default() -> Self {
        Client { socket_path: DEFAULT_SOCKET_PATH.into(), timeout: Some(DEFAULT_TIMEOUT) }
    }
}

impl Client {
    /// A client of the daemon at this path.
    pub fn new(socket_path: impl Into<PathBuf>) -> Client {
        Client { socket_path: socket_path.into(), ..Client::default() }
    }

    /// The deadline of a whole call; `None` waits for ever.
    pub fn with_timeout(mut self, timeout: Option<Duration>) -> Client {
        self.timeout = timeout;
        self
    }

    /// Where the daemon listens.
    pub fn socket_path(&self) -> &Path {
        &self.socket_path
    }

    /// The deadline.
    pub fn timeout(&self) -> Option<Duration> {
        self.timeout
    }

    /// Ask for the identity of this process.
    pub fn get_identity(&self, runner: &RunnerContext) -> Result<Identity, WhoamiError> {
        let request = runner.to_request().map_err(|error| WhoamiError::InvalidArgument(error.to_string()))?;
        self.ask(request, |_| Ok(()))
    }

    /// Ask with a request that is already written, and verify the server between connecting and sending: when `verify`
    /// refuses, nothing was sent.
    pub fn ask<E: From<WhoamiError>>(
        &self,
        request: Vec<u8>,
        verify: impl FnOnce(&Exchange) -> Result<(), E>,
    ) -> Result<Identity, E> {
        if request.len() > MAX_CLIENT_REQUEST {
            let reason = format!("the request is larger than {MAX_CLIENT_REQUEST} bytes");
            return Err(WhoamiError::InvalidArgument(reason).into());
        }
        let deadline = self.timeout.and_then(|after| Instant::now().checked_add(after));
        let mut exchange = self.connect(request, deadline)?;
        verify(&exchange)?;
        let mut progress = exchange.begin();
        loop {
            let events = match progress {
                Progress::Done(outcome) => return outcome.map_err(E::from),
                Progress::Readable => PollFlags::IN,
                Progress::Writable => PollFlags::IN | PollFlags::OUT,
            };
            self.wait(&exchange, events, deadline)?;
            progress = exchange.advance();
        }
    }

    fn connect(&self, request: Vec<u8>, deadline: Option<Instant>) -> Result<Exchange, WhoamiError> {
        let mut request = request;
        let mut backoff = BUSY.clone();
        loop {
            // The request is kept back for another try: a busy listener takes nothing.
            match Exchange::open(&self.socket_path, std::mem::take(&mut request))? {
                Opened::Connected(exchange) => return Ok(exchange),
                Opened::Busy(returned) => request = returned,
            }
            let left = self.left(deadline, "connecting: the daemon's backlog is full")?;
            let pause = backoff.pause();
            std::thread::sleep(left.map_or(pause, |left| left.min(pause)));
        }
    }

    fn wait(&self, exchange: &Exchange, events: PollFlags, deadline: Option<Instant>) -> Result<(), WhoamiError> {
        loop {
            let left = self.left(deadline, exchange.stage())?;
            let timeout = left.map(|left| Timespec {
                tv_sec: left.as_secs().min(i32::MAX as u64) as _,
                tv_nsec: left.subsec_nanos() as _,
            });
            match poll(&mut [PollFd::new(exchange, events)], timeout.as_ref()) {
                Ok(0) | Err(Errno::INTR) => continue,
                Ok(_) => return Ok(()),
                Err(errno) => return Err(WhoamiError::Read(errno.into())),
            }
        }
    }

    /// Time left, `None` for ever; an error when none is left.
    fn left(&self, deadline: Option<Instant>, stage: &'static str) -> Result<Option<Duration>, WhoamiError> {
        let Some(deadline) = deadline else {
            return Ok(None);
        };
        match deadline.checked_duration_since(Instant::now()) {
            Some(left) if !left.is_zero() => Ok(Some(left)),
            _ => Err(WhoamiError::Timeout { after: self.timeout.unwrap_or_default(), stage }),
        }
    }
}
