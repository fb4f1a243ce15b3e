use std::sync::Arc;
use std::time::Duration;

use h2::RecvStream;
use http::header::{CONTENT_TYPE, HeaderValue, TE, USER_AGENT};
use http::{Method, Request, Response};
use prost::Message;
use prost::bytes::Bytes;

use super::channel::{Channel, Lease};
use super::error::WorkloadApiError;
use super::framing::Messages;
use super::proto::SECURITY_HEADER;
use super::status::{Code, Status};

const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");
const AGENT: HeaderValue = HeaderValue::from_static(concat!("countersign/", env!("CARGO_PKG_VERSION")));

/// A call that was answered: the stream of its responses.
///
/// Dropping it resets the stream, which is how a client says that it wants no more.
pub(super) struct Call {
    body: RecvStream,
    messages: Messages,
    /// What came behind the last message.
    rest: Bytes,
    /// Nothing more comes: the server has said how it ended, or what came made no sense.
    over: bool,
    _holding: Arc<()>,
}

impl Call {
    /// Asks. Returns when the head of the response is there. `timeout` only tells the server how long we shall wait.
    ///
    /// `framed` is the request in its frame. What is not about one kind of message is here only once in the program.
    pub async fn open(
        channel: &Channel,
        method: &'static str,
        framed: Bytes,
        timeout: Option<Duration>,
    ) -> Result<Call, WorkloadApiError> {
        loop {
            let lease = channel.lease().await?;
            let (used_before, holding) = (lease.used_before, Arc::clone(&lease.holding));
            match Call::attempt(lease, method, framed.clone(), timeout).await {
                // A connection that died meanwhile, of an agent that was restarted say, says so to the first who uses
                // it. All calls of this API only ask, so asking twice does no harm.
                Err(WorkloadApiError::Transport(_)) if used_before => channel.forget(&holding).await,
                Err(error @ WorkloadApiError::Transport(_)) => {
                    channel.forget(&holding).await;
                    return Err(error);
                }
                answered => return answered,
            }
        }
    }

    async fn attempt(
        lease: Lease,
        method: &'static str,
        framed: Bytes,
        timeout: Option<Duration>,
    ) -> Result<Call, WorkloadApiError> {
        let Lease { mut sender, holding, .. } = lease;
        let (response, mut body) = sender.send_request(head(method, timeout), false)?;
        // A server may have answered before it heard the question; then the answer is what counts.
        let _ = body.send_data(framed, true);
        let (head, body) = response.await?.into_parts();
        let response = Response::from_parts(head, ());
        let mut call = Call { body, messages: Messages::default(), rest: Bytes::new(), over: false, _holding: holding };
        match refusal(&response) {
            None => Ok(call),
            Some(Ok(())) => {
                call.over = true;
                Ok(call)
            }
            Some(Err(status)) => Err(WorkloadApiError::Status(status)),
        }
    }

    /// The next response; `None` when the server ended the stream in good order. After an error, [`Call::is_over`] says
    /// whether more can come.
    pub async fn next<R: Message + Default>(&mut self) -> Result<Option<R>, WorkloadApiError> {
        Ok(self.message().await?.map(R::decode).transpose()?)
    }

    async fn message(&mut self) -> Result<Option<Bytes>, WorkloadApiError> {
        while !self.over {
            match self.messages.take(&mut self.rest) {
                Ok(Some(message)) => return Ok(Some(message)),
                Ok(None) => {}
                Err(fault) => {
                    self.over = true;
                    return Err(fault.into());
                }
            }
            match self.body.data().await {
                Some(Ok(piece)) => {
                    self.rest = piece;
                    // What was taken over may be sent again.
                    let _ = self.body.flow_control().release_capacity(self.rest.len());
                }
                Some(Err(error)) => {
                    self.over = true;
                    return Err(error.into());
                }
                None => {
                    self.over = true;
                    self.end().await?;
                }
            }
        }
        Ok(None)
    }

    /// Whether nothing more can come.
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// The only response of a call that has one.
    pub async fn only<R: Message + Default>(mut self) -> Result<R, WorkloadApiError> {
        let response = self.message().await?.ok_or(WorkloadApiError::Ended)?;
        match self.message().await? {
            None => Ok(R::decode(response)?),
            Some(_) => Err(WorkloadApiError::Malformed("there are several where one is due".to_owned())),
        }
    }

    async fn end(&mut self) -> Result<(), WorkloadApiError> {
        let trailers = self.body.trailers().await?;
        match trailers.as_ref().and_then(Status::from_headers) {
            Some(Status { code: Code::Ok, .. }) if self.messages.is_amidst() => {
                Err(WorkloadApiError::Malformed("it ends in the middle of a message".to_owned()))
            }
            Some(Status { code: Code::Ok, .. }) => Ok(()),
            Some(status) => Err(WorkloadApiError::Status(status)),
            None => Err(WorkloadApiError::Transport("the stream ended without a status".to_owned())),
        }
    }
}

fn head(method: &'static str, timeout: Option<Duration>) -> Request<()> {
    let mut request = Request::new(());
    *request.method_mut() = Method::POST;
    // Whatever the socket is called: servers take this name without looking, and some take no other (grpc/grpc#38142).
    let uri = http::Uri::builder().scheme("http").authority("localhost").path_and_query(method).build();
    *request.uri_mut() = uri.unwrap_or_default();
    let headers = request.headers_mut();
    headers.insert(TE, HeaderValue::from_static("trailers"));
    headers.insert(CONTENT_TYPE, GRPC);
    headers.insert(USER_AGENT, AGENT);
    headers.insert(SECURITY_HEADER, HeaderValue::from_static("true"));
    if let Some(timeout) = timeout {
        // At most eight digits; rounded up, because our own clock decides.
        let milliseconds = timeout.as_millis().saturating_add(1).min(99_999_999);
        if let Ok(value) = HeaderValue::from_str(&format!("{milliseconds}m")) {
            headers.insert("grpc-timeout", value);
        }
    }
    request
}

/// What the head of a response says already: that the call is over, and how. `None`: responses follow.
fn refusal(response: &Response<()>) -> Option<Result<(), Status>> {
    match Status::from_headers(response.headers()) {
        Some(Status { code: Code::Ok, .. }) => return Some(Ok(())),
        Some(status) => return Some(Err(status)),
        None => {}
    }
    let status = response.status();
    if status != http::StatusCode::OK {
        return Some(Err(Status::new(Code::from_http(status.as_u16()), format!("HTTP status {status}"))));
    }
    let is_grpc = |kind: &HeaderValue| kind.as_bytes().starts_with(b"application/grpc");
    match response.headers().get(CONTENT_TYPE) {
        Some(kind) if is_grpc(kind) => None,
        _ => Some(Err(Status::new(Code::Unknown, "the server does not speak gRPC"))),
    }
}
