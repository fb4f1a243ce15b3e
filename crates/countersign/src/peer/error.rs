use std::io;

/// Why a peer could not be determined.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    /// The descriptor is not open (EBADF) or the socket was closed.
    #[error("the descriptor is closed")]
    Closed,
    /// A file, a pipe, a TCP socket, a listening socket: not a connected Unix socket.
    #[error("not a connected Unix socket: {0}")]
    NotAUnixSocket(&'static str),
    /// The peer process ended (or its pid was taken over) before it could be looked at.
    #[error("the peer process is gone")]
    Gone,
    /// This operating system cannot say.
    #[error("{0} is not supported on this platform")]
    Unsupported(&'static str),
    /// Anything else the operating system answered.
    #[error("{what}: {source}")]
    Os {
        /// What was asked.
        what: &'static str,
        /// What came back.
        source: io::Error,
    },
}
