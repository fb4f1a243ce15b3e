use std::os::fd::AsFd;

use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};

use crate::agent::config::options::MAX_REQUEST_BYTES;
use crate::whoami::{DocumentScanner, Scan};

/// What a client sent so far.
#[derive(Default)]
pub(in crate::agent) struct Request {
    bytes: Vec<u8>,
    scanner: DocumentScanner,
    complete: bool,
    ended: bool,
}

/// How far a request has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::agent) enum Arrival {
    /// Nothing more is there now.
    Waiting,
    /// Nothing more is needed: the document is complete, cannot become one, or the client has finished.
    Complete,
    /// More than is read.
    TooLarge,
    /// The connection is broken: no answer is possible.
    Broken,
}

impl Request {
    /// Takes in what has arrived, through a buffer that is lent for the moment.
    pub(in crate::agent) fn receive(&mut self, socket: impl AsFd, buffer: &mut [u8]) -> Arrival {
        loop {
            let count = match recv(&socket, &mut *buffer, RecvFlags::empty()) {
                Ok((count, _)) => count,
                Err(Errno::INTR) => continue,
                Err(Errno::AGAIN) if self.complete => return Arrival::Complete,
                Err(Errno::AGAIN) => return Arrival::Waiting,
                Err(_) => return Arrival::Broken,
            };
            if count == 0 {
                self.ended = true;
                return Arrival::Complete;
            }
            if self.bytes.len() + count > MAX_REQUEST_BYTES {
                return Arrival::TooLarge;
            }
            // Once complete, one more read shows whether the client has finished too; then nothing has to be drained.
            self.complete |= self.scanner.feed(&buffer[..count]) != Scan::NeedMore;
            self.bytes.extend_from_slice(&buffer[..count]);
        }
    }

    pub(in crate::agent) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Has the client sent anything?
    pub(in crate::agent) fn has_begun(&self) -> bool {
        !self.bytes.is_empty()
    }

    /// Has the client closed its writing side?
    pub(in crate::agent) fn has_ended(&self) -> bool {
        self.ended
    }
}
