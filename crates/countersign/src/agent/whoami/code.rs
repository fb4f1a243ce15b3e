/// How a question was answered: `ok`, or the error code the client is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Code {
    /// An identity was handed out.
    Ok,
    /// `E_NO_MATCH`: no rule is for this process.
    NoMatch,
    /// `E_BAD_REQUEST`: what the client sent is not a request.
    BadRequest,
    /// `E_TOO_LARGE`: the request is longer than [`MAX_REQUEST_BYTES`](crate::agent::MAX_REQUEST_BYTES).
    TooLarge,
    /// `E_TIMEOUT`: the request did not end in time.
    Timeout,
    /// `E_PEER_GONE`: the process that connected ended (or its pid was taken over) before it could be looked at.
    PeerGone,
    /// `E_INTERNAL`: something on our side failed; the log says what.
    Internal,
    /// `E_BUSY`: too many connections; try again later.
    Busy,
    /// `E_KILLED`: the kill switch is on, and nobody is vouched for.
    Killed,
}

impl Code {
    /// Every code, in the order of their numbers.
    pub const ALL: [Code; 9] = [
        Code::Ok,
        Code::NoMatch,
        Code::BadRequest,
        Code::TooLarge,
        Code::Timeout,
        Code::PeerGone,
        Code::Internal,
        Code::Busy,
        Code::Killed,
    ];

    /// As it stands on the wire and in the log.
    pub fn as_str(self) -> &'static str {
        match self {
            Code::Ok => "ok",
            Code::NoMatch => "E_NO_MATCH",
            Code::BadRequest => "E_BAD_REQUEST",
            Code::TooLarge => "E_TOO_LARGE",
            Code::Timeout => "E_TIMEOUT",
            Code::PeerGone => "E_PEER_GONE",
            Code::Internal => "E_INTERNAL",
            Code::Busy => "E_BUSY",
            Code::Killed => "E_KILLED",
        }
    }
}
