use zeroize::Zeroizing;

use crate::agent::attest::is_exhaustion;
use crate::agent::decisions::{Authorized, Denial};
use crate::peer::PeerError;
use crate::whoami::{DaemonRefusal, Identity, WhoamiCode};

/// The response to a client.
pub(super) struct Answer {
    code: WhoamiCode,
    /// The whole document; wiped after use, because it may hold a token.
    body: Zeroizing<Vec<u8>>,
}

impl Answer {
    /// An identity. It leaves only if it is on record.
    pub(super) fn identity(identity: &Authorized<Identity>) -> Answer {
        Answer { code: WhoamiCode::Ok, body: Zeroizing::new(identity.to_json()) }
    }

    pub(super) fn refusal(code: WhoamiCode, message: impl Into<String>) -> Answer {
        let refusal = DaemonRefusal { error_code: code.as_str().to_owned(), message: message.into() };
        Answer { code, body: Zeroizing::new(refusal.to_json()) }
    }

    pub(super) fn code(&self) -> WhoamiCode {
        self.code
    }

    pub(super) fn body(&self) -> &[u8] {
        &self.body
    }
}

impl From<Denial> for Answer {
    fn from(denial: Denial) -> Answer {
        match denial {
            Denial::Killed => Answer::refusal(WhoamiCode::Killed, "the kill switch is on: no credential is issued"),
            Denial::Unrecorded => Answer::refusal(WhoamiCode::Internal, "the decision could not be recorded"),
        }
    }
}

impl From<&PeerError> for Answer {
    /// The answer to a process that could not be examined.
    fn from(error: &PeerError) -> Answer {
        match error {
            PeerError::Gone => Answer::refusal(WhoamiCode::PeerGone, "the process that asked is gone"),
            error if is_exhaustion(error) => Answer::refusal(WhoamiCode::Busy, "too many connections"),
            _ => Answer::refusal(WhoamiCode::Internal, "the process that asked could not be examined"),
        }
    }
}
