use std::time::Duration;

use prost::bytes::Bytes;

use crate::spiffe::workload_api::{Method, Status};

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The call ends with this status.
    Status(Status),
    /// The stream is reset without a status.
    Reset,
    /// The stream ends in good order before anything was sent.
    End,
    /// The call is answered later.
    Delay(Duration),
    /// A message that is none.
    Garbage,
    /// Bytes that are not framed as gRPC messages are.
    BadFrame,
    /// A message of so many bytes.
    Huge(usize),
    /// A message without this field, or with an empty one.
    Blank(String),
    /// A message in which all SVIDs have the same hint; an only one comes twice.
    DuplicateHints,
    /// A message whose keys or signatures are those of a stranger.
    WrongKey,
    /// This message instead.
    Respond(Bytes),
}

impl Fault {
    /// Does it happen when a call arrives, not when a message is sent?
    pub(super) fn is_about_the_call(&self) -> bool {
        matches!(self, Fault::Status(_) | Fault::Reset | Fault::End | Fault::Delay(_))
    }
}

/// A fault that waits for its call or message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Of which method; `None`: of any.
    pub method: Option<Method>,
    /// How often; `None`: until it is taken back.
    pub times: Option<u32>,
    /// What goes wrong.
    pub fault: Fault,
}
