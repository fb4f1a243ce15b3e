/// How a question was answered: `ok`, or the error code that the client receives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WhoamiCode {
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
    /// `E_KILLED`: the kill switch is on, and no credential is issued.
    Killed,
}

impl WhoamiCode {
    /// Every code, in the order of their numbers.
    pub const ALL: [WhoamiCode; 9] = [
        WhoamiCode::Ok,
        WhoamiCode::NoMatch,
        WhoamiCode::BadRequest,
        WhoamiCode::TooLarge,
        WhoamiCode::Timeout,
        WhoamiCode::PeerGone,
        WhoamiCode::Internal,
        WhoamiCode::Busy,
        WhoamiCode::Killed,
    ];

    /// As it stands on the wire and in the log.
    pub fn as_str(self) -> &'static str {
        match self {
            WhoamiCode::Ok => "ok",
            WhoamiCode::NoMatch => "E_NO_MATCH",
            WhoamiCode::BadRequest => "E_BAD_REQUEST",
            WhoamiCode::TooLarge => "E_TOO_LARGE",
            WhoamiCode::Timeout => "E_TIMEOUT",
            WhoamiCode::PeerGone => "E_PEER_GONE",
            WhoamiCode::Internal => "E_INTERNAL",
            WhoamiCode::Busy => "E_BUSY",
            WhoamiCode::Killed => "E_KILLED",
        }
    }
}
