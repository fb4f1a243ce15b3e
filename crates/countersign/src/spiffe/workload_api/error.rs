use std::io;
use std::time::Duration;

use super::endpoint::Endpoint;
use super::framing::FrameFault;
use super::status::{Code, Status};
use crate::spiffe::limits::{HINT_BYTES, MESSAGE_BYTES, SVIDS};
use crate::spiffe::{BundleError, SpiffeIdError, TokenError, X509SvidError};

/// Why the Workload API gave no answer, or none that can be used.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum WorkloadApiError {
    /// Nothing is reached at the endpoint.
    #[error("cannot connect to {endpoint}: {}", .source.as_ref())]
    Connect {
        /// The endpoint.
        endpoint: Endpoint,
        /// What the operating system says.
        source: std::sync::Arc<io::Error>,
    },
    /// The connection broke, or the other side does not speak HTTP/2.
    #[error("the connection to the Workload API broke: {0}")]
    Transport(String),
    /// The call alone broke; the connection goes on.
    #[error("the call to the Workload API was reset: {said}")]
    Reset {
        /// The error code of HTTP/2.
        code: u32,
        /// The same for people.
        said: String,
    },
    /// The call took too long.
    #[error("no answer from the Workload API within {after:?} ({stage})")]
    Timeout {
        /// How long it was given.
        after: Duration,
        /// What it was doing.
        stage: &'static str,
    },
    /// The server ended the call with a status of its own.
    #[error("the Workload API answers {0}")]
    Status(Status),
    /// What answers is no Workload API, at least not now; the status is what its HTTP status stands for in gRPC.
    #[error("the Workload API answers {0}")]
    NotGrpc(Status),
    /// The stream ended in good order. A stream of the Workload API is not meant to.
    #[error("the Workload API ended the stream")]
    Ended,
    /// A response longer than is read.
    #[error("a response of {bytes} bytes, at most {limit} are read")]
    TooLarge {
        /// How long it is, or says that it will be.
        bytes: usize,
        /// How long it may be.
        limit: usize,
    },
    /// The response is none.
    #[error("the response cannot be read: {0}")]
    Malformed(String),
    /// The response holds nothing.
    #[error("the response holds no {0}")]
    Empty(&'static str),
    /// A mandatory field is at its default value (Workload API 4.1): the whole message is refused.
    #[error("the response lacks the mandatory field {0}")]
    MissingField(String),
    /// More SVIDs than are looked at.
    #[error("a response with {0} SVIDs, at most {SVIDS} are read")]
    TooManySvids(usize),
    /// Everything that was offered had to be ignored.
    #[error("none of the offered SVIDs can be used: {}", .0.first().map_or_else(String::new, ToString::to_string))]
    NothingUsable(Vec<Ignored>),
    /// An argument the API can make nothing of.
    #[error("{0}")]
    Argument(String),
    /// The source was closed.
    #[error("it is closed")]
    Closed,
}

/// Something in a response that had to be ignored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {reason}")]
pub struct Ignored {
    /// Which part of the response.
    pub what: String,
    /// Why.
    #[source]
    pub reason: IgnoredReason,
}

/// Why a part of a response had to be ignored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IgnoredReason {
    /// The label is no SPIFFE ID.
    #[error("its label is no SPIFFE ID: {0}")]
    Label(SpiffeIdError),
    /// The SVID is about another name than it is labelled with.
    #[error("it is about {actual}")]
    OtherName {
        /// The name in the SVID.
        actual: String,
    },
    /// The SVID breaks a rule, or its key is another one's.
    #[error("{0}")]
    Svid(X509SvidError),
    /// The chain does not lead to the bundle that came with it.
    #[error("{0}")]
    Chain(crate::spiffe::X509VerifyError),
    /// The token cannot be read.
    #[error("{0}")]
    Token(TokenError),
    /// The token is not for whom it was asked for.
    #[error("it is not for all of the audience that was asked for")]
    OtherAudience,
    /// The bundle cannot be read.
    #[error("{0}")]
    Bundle(BundleError),
    /// The bundle is empty: its trust domain is not trusted (Workload API 4.1).
    #[error("the bundle is empty, so no SVID of this trust domain is trusted")]
    EmptyBundle,
    /// A federated bundle claims the workload's own trust domain.
    #[error("a federated bundle never replaces that of the workload's own trust domain")]
    OwnTrustDomain,
    /// SVIDs of one trust domain came with different bundles; the first counts.
    #[error("its bundle differs from that of an earlier SVID of the same trust domain, which counts")]
    OtherBundle,
    /// An earlier SVID has the same hint; the first counts (Workload API 5.2.1).
    #[error("an earlier SVID has the same hint")]
    DuplicateHint,
    /// The hint is longer than allowed; the SVID is taken without it.
    #[error("its hint is longer than {HINT_BYTES} bytes")]
    HintTooLong,
}

impl IgnoredReason {
    /// The stable name.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Label(error) => error.code(),
            Self::OtherName { .. } => "other_name",
            Self::Svid(error) => error.code(),
            Self::Chain(error) => error.code(),
            Self::Token(error) => error.code(),
            Self::OtherAudience => "other_audience",
            Self::Bundle(error) => error.code(),
            Self::EmptyBundle => "empty_bundle",
            Self::OwnTrustDomain => "own_trust_domain",
            Self::OtherBundle => "other_bundle",
            Self::DuplicateHint => "duplicate_hint",
            Self::HintTooLong => "hint_too_long",
        }
    }
}

impl WorkloadApiError {
    /// Whether a server says this, too, of a call whose time it thinks is over.
    pub(super) fn may_mean_late(&self) -> bool {
        match self {
            Self::Reset { .. } => true,
            Self::Status(status) => matches!(status.code, Code::DeadlineExceeded | Code::Cancelled),
            _ => false,
        }
    }

    /// The status the server sent.
    pub fn status(&self) -> Option<&Status> {
        match self {
            Self::Status(status) | Self::NotGrpc(status) => Some(status),
            _ => None,
        }
    }

    /// The server will never answer otherwise (Workload Endpoint 6): asking again is of no use.
    pub fn is_terminal(&self) -> bool {
        match self {
            Self::Argument(_) | Self::Closed => true,
            // Not what HTTP alone says: a proxy whose agent is away may well say 404.
            Self::Status(status) => matches!(status.code, Code::InvalidArgument | Code::Unimplemented),
            _ => false,
        }
    }

    /// The server says that this workload has no identity, or has lost it.
    pub fn is_denial(&self) -> bool {
        self.status().is_some_and(|status| status.code == Code::PermissionDenied)
    }
}

impl From<h2::Error> for WorkloadApiError {
    fn from(error: h2::Error) -> Self {
        match (error.get_io(), error.reason()) {
            (Some(error), _) => Self::Transport(error.to_string()),
            (None, Some(reason)) if error.is_reset() => Self::Reset { code: reason.into(), said: error.to_string() },
            _ => Self::Transport(error.to_string()),
        }
    }
}

impl From<FrameFault> for WorkloadApiError {
    fn from(fault: FrameFault) -> Self {
        match fault {
            FrameFault::TooLarge(bytes) => Self::TooLarge { bytes, limit: MESSAGE_BYTES },
            FrameFault::Compressed => Self::Malformed("it is compressed, which was not agreed on".to_owned()),
            FrameFault::Flag => Self::Malformed("it is no gRPC message".to_owned()),
        }
    }
}

impl From<prost::DecodeError> for WorkloadApiError {
    fn from(error: prost::DecodeError) -> Self {
        Self::Malformed(error.to_string())
    }
}
