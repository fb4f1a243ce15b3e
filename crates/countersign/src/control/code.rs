/// Why an agent refused a request. The text is what stands on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ControlCode {
    /// `E_DENIED`: this user, as the kernel reports it, has no permission.
    Denied,
    /// `E_BAD_REQUEST`: the line is no request.
    BadRequest,
    /// `E_TOO_LARGE`: the line is longer than [`MAX_REQUEST_LINE`](super::MAX_REQUEST_LINE).
    TooLarge,
    /// `E_TIMEOUT`: the line did not end in time.
    Timeout,
    /// `E_BUSY`: too many connections.
    Busy,
    /// `E_RULES`: the new rules are broken; the old ones stay in force.
    Rules,
    /// `E_STATE`: what has to outlive the agent could not be written or removed.
    State,
    /// `E_INTERNAL`: something on the agent's side failed; its log says what.
    Internal,
}

impl ControlCode {
    /// As it stands on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            ControlCode::Denied => "E_DENIED",
            ControlCode::BadRequest => "E_BAD_REQUEST",
            ControlCode::TooLarge => "E_TOO_LARGE",
            ControlCode::Timeout => "E_TIMEOUT",
            ControlCode::Busy => "E_BUSY",
            ControlCode::Rules => "E_RULES",
            ControlCode::State => "E_STATE",
            ControlCode::Internal => "E_INTERNAL",
        }
    }
}
