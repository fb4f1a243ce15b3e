use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::buffer::spare_capacity;
use rustix::io::Errno;
use rustix::net::{self, AddressFamily, RecvFlags, SendFlags, Shutdown, SocketAddrUnix, SocketFlags, SocketType};
use zeroize::Zeroizing;

use super::{DocumentScanner, Identity, MAX_ANSWER, Scan, WhoamiError, parse_answer};

/// One question over one non-blocking socket. It owns no clock and no loop: its driver waits for what
/// [`Progress`] asks for and calls [`Exchange::advance`] again.
#[derive(Debug)]
pub struct Exchange {
    socket: OwnedFd,
    request: Vec<u8>,
    sent: usize,
    /// The write side is done with, one way or the other; if it failed, with what. The answer may be there
    /// all the same: a daemon may answer without reading.
    write: Option<Result<(), Errno>>,
    answer: Zeroizing<Vec<u8>>,
    scanner: DocumentScanner,
}

/// How an attempt to connect ended.
#[derive(Debug)]
pub enum Opened {
    /// Connected: nothing was sent yet, so the server can still be verified.
    Connected(Exchange),
    /// The listener's backlog is full; a Unix socket has no event for that, so try again soon.
    /// The request comes back unsent.
    Busy(Vec<u8>),
}

/// What the exchange waits for. It is returned, looked at and gone: boxing the outcome would only add an allocation.
#[allow(clippy::large_enum_variant)]
#[derive(Debug)]
pub enum Progress {
    /// Until the socket is readable.
    Readable,
    /// Until the socket is readable or writable.
    Writable,
    /// For nothing any more.
    Done(Result<Identity, WhoamiError>),
}

impl Exchange {
    /// Connect. A Unix socket connects at once or not at all; there is nothing to wait for.
    pub fn open(path: &Path, request: Vec<u8>) -> Result<Opened, WhoamiError> {
        let failed = |errno: Errno| WhoamiError::ConnectionFailed { path: path.to_owned(), source: errno.into() };
        if path.as_os_str().is_empty() {
            return Err(WhoamiError::InvalidArgument("the socket path is empty".into()));
        }
        let address = SocketAddrUnix::new(path).map_err(|_| {
            WhoamiError::InvalidArgument(format!(
                "not a socket path: {} ({} bytes; at most 107, none of them NUL)",
                path.display(),
                path.as_os_str().len()
            ))
        })?;
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None).map_err(failed)?;
        loop {
            match net::connect(&socket, &address) {
                Ok(()) => break,
                Err(Errno::INTR) => continue,
                Err(Errno::AGAIN) => return Ok(Opened::Busy(request)),
                Err(Errno::NOENT) => {
                    return Err(WhoamiError::SocketNotFound { path: path.to_owned() });
                }
                Err(errno) => return Err(failed(errno)),
            }
        }
        Ok(Opened::Connected(Exchange {
            socket,
            request,
            sent: 0,
            write: None,
            // Large enough that an ordinary answer, and the token in it, is never moved by a reallocation.
            answer: Zeroizing::new(Vec::with_capacity(4096)),
            scanner: DocumentScanner::default(),
        }))
    }

    /// Write what is left to write, read what is there to read.
    pub fn advance(&mut self) -> Progress {
        if self.write.is_none() {
            self.send();
        }
        match self.receive() {
            Some(outcome) => Progress::Done(outcome),
            None if self.write.is_none() => Progress::Writable,
            None => Progress::Readable,
        }
    }

    /// Only write (right after connecting there is nothing to read yet).
    pub fn begin(&mut self) -> Progress {
        self.send();
        if self.write.is_none() { Progress::Writable } else { Progress::Readable }
    }

    /// What the exchange is doing, for the message of a timeout.
    pub fn stage(&self) -> &'static str {
        if self.write.is_none() { "writing the request" } else { "waiting for the answer" }
    }

    fn send(&mut self) {
        while self.sent < self.request.len() {
            match net::send(&self.socket, &self.request[self.sent..], SendFlags::NOSIGNAL) {
                Ok(count) => self.sent += count,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                Err(errno) => {
                    self.write = Some(Err(errno));
                    return;
                }
            }
        }
        // A daemon that already closed makes this fail; its answer, or the lack of one, is what counts.
        let _ = net::shutdown(&self.socket, Shutdown::Write);
        self.write = Some(Ok(()));
    }

    fn receive(&mut self) -> Option<Result<Identity, WhoamiError>> {
        loop {
            let old = self.answer.len();
            self.answer.reserve(old.clamp(4096, 256 * 1024));
            let spare = spare_capacity(&mut self.answer);
            let count = match net::recv(&self.socket, spare, RecvFlags::empty()) {
                Ok((_, count)) => count,
                Err(Errno::INTR) => continue,
                Err(Errno::AGAIN) => return None,
                Err(errno) => return Some(self.broken(errno)),
            };
            if count == 0 {
                return Some(self.ended());
            }
            match self.scanner.feed(&self.answer[old..]) {
                _ if self.answer.len() > MAX_ANSWER => {
                    return Some(Err(WhoamiError::ResponseTooLarge { limit: MAX_ANSWER }));
                }
                Scan::NeedMore => {}
                Scan::Complete | Scan::NotAnObject => return Some(parse_answer(&self.answer)),
            }
        }
    }

    fn ended(&self) -> Result<Identity, WhoamiError> {
        match (&self.write, self.answer.is_empty()) {
            (Some(Err(errno)), true) => Err(WhoamiError::Write((*errno).into())),
            _ => parse_answer(&self.answer),
        }
    }

    /// The stream broke before the document was complete (a complete one is answered on the spot).
    fn broken(&self, errno: Errno) -> Result<Identity, WhoamiError> {
        match &self.write {
            Some(Err(write)) if self.answer.is_empty() => Err(WhoamiError::Write((*write).into())),
            _ => Err(WhoamiError::Read(io::Error::from(errno))),
        }
    }
}

impl AsFd for Exchange {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
