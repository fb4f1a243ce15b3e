use std::sync::Arc;
use std::time::Duration;

use h2::RecvStream;
use http::header::{CONTENT_TYPE, HeaderValue, TE, USER_AGENT};
use http::{Method, Request, Response};
use prost::Message;
use prost::bytes::Bytes;
use prost::encoding::{DecodeContext, decode_key, skip_field};

use super::channel::{Channel, Lease};
use super::connection::{Connection, Waiting};
use super::error::WorkloadApiError;
use super::framing::Messages;
use super::proto::SECURITY_HEADER;
use super::stage::Stage;
use super::status::{Code, Status};
use crate::spiffe::limits::MESSAGE_FIELDS;

/// What a server resets a call with that it has not looked at, and one that it does not want.
const REFUSED: u32 = 7;
const UNWANTED: [u32; 3] = [0, REFUSED, 8];
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
    _connection: Arc<Connection>,
}

impl Call {
    /// Asks. Returns when the head of the response is there. `timeout` only informs the server how long we shall wait.
    ///
    /// `framed` is the request in its frame. What is not about one kind of message is here only once in the program.
    pub async fn open(
        channel: &Channel,
        method: &'static str,
        framed: Bytes,
        timeout: Option<Duration>,
        stage: &Stage,
    ) -> Result<Call, WorkloadApiError> {
        let mut refused = false;
        loop {
            stage.enter(Stage::CONNECTING);
            let lease = channel.lease().await?;
            stage.enter(Stage::WAITING);
            let (used_before, connection) = (lease.used_before, Arc::clone(&lease.connection));
            let outcome = Call::attempt(lease, method, framed.clone(), timeout).await;
            match &outcome {
                // The server says that it has not looked at it (RFC 9113 8.7).
                Err(WorkloadApiError::Reset { code, .. }) if *code == REFUSED && !refused => refused = true,
                Err(error) if is_about_connection(error) => {
                    channel.forget(&connection).await;
                    // A connection that died meanwhile, of an agent that was restarted say, says so to the first who
                    // uses it. All calls of this API only ask, so asking twice does no harm.
                    if !used_before {
                        return outcome;
                    }
                }
                _ => {
                    stage.enter(Stage::READING);
                    return outcome;
                }
            }
        }
    }

    async fn attempt(
        lease: Lease,
        method: &'static str,
        framed: Bytes,
        timeout: Option<Duration>,
    ) -> Result<Call, WorkloadApiError> {
        let Lease { mut sender, connection, .. } = lease;
        let waiting = Waiting::on(&connection);
        let (response, mut body) = sender.send_request(head(method, timeout), false)?;
        // A server may have answered before it heard the question; then the answer is what counts.
        let _ = body.send_data(framed, true);
        let (head, body) = response.await?.into_parts();
        waiting.answered();
        let response = Response::from_parts(head, ());
        let mut call =
            Call { body, messages: Messages::default(), rest: Bytes::new(), over: false, _connection: connection };
        match refusal(&response, call.body.is_end_stream()) {
            None => Ok(call),
            Some(Ok(())) => {
                call.over = true;
                Ok(call)
            }
            Some(Err(error)) => Err(error),
        }
    }

    /// The next response; `None` when the server ended the stream in good order. After an error, [`Call::is_over`] says
    /// whether more can come.
    pub async fn next<R: Message + Default>(&mut self) -> Result<Option<R>, WorkloadApiError> {
        self.message().await?.map(decoded).transpose()
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

    /// The only response of a call that has one, if it is not longer than that.
    pub async fn only<R: Message + Default>(mut self, limit: usize) -> Result<R, WorkloadApiError> {
        let response = self.message().await?.ok_or(WorkloadApiError::Ended)?;
        if response.len() > limit {
            return Err(WorkloadApiError::TooLarge { bytes: response.len(), limit });
        }
        match self.message().await? {
            None => decoded(response),
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

/// Whether the next call had better go over another connection. One that is reset may be the only one, or one of all
/// that a server resets on a connection it is at odds with.
fn is_about_connection(error: &WorkloadApiError) -> bool {
    match error {
        WorkloadApiError::Transport(_) => true,
        WorkloadApiError::Reset { code, .. } => !UNWANTED.contains(code),
        _ => false,
    }
}

/// Reads a message, but not one whose many empty parts would take a hundred times its bytes in memory.
fn decoded<R: Message + Default>(message: Bytes) -> Result<R, WorkloadApiError> {
    let (mut rest, mut fields) = (&message[..], 0);
    while !rest.is_empty() {
        fields += 1;
        if fields > MESSAGE_FIELDS {
            return Err(WorkloadApiError::Malformed(format!("it has more than {MESSAGE_FIELDS} fields")));
        }
        let (tag, kind) = decode_key(&mut rest)?;
        skip_field(kind, tag, &mut rest, DecodeContext::default())?;
    }
    Ok(R::decode(message)?)
}

fn head(method: &'static str, timeout: Option<Duration>) -> Request<()> {
    let mut request = Request::new(());
    *request.method_mut() = Method::POST;
    // The same for every socket: servers take this name without looking, and some take no other (grpc/grpc#38142).
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
fn refusal(response: &Response<()>, is_all: bool) -> Option<Result<(), WorkloadApiError>> {
    match Status::from_headers(response.headers()) {
        // Only at the end is it a status of the call.
        Some(Status { code: Code::Ok, .. }) if is_all => return Some(Ok(())),
        Some(Status { code: Code::Ok, .. }) | None => {}
        Some(status) => return Some(Err(WorkloadApiError::Status(status))),
    }
    let status = response.status();
    if status != http::StatusCode::OK {
        let status = Status::new(Code::from_http(status.as_u16()), format!("HTTP status {status}"));
        return Some(Err(WorkloadApiError::NotGrpc(status)));
    }
    let is_grpc = |kind: &HeaderValue| kind.as_bytes().starts_with(b"application/grpc");
    match response.headers().get(CONTENT_TYPE) {
        Some(kind) if is_grpc(kind) => None,
        _ => {
            let status = Status::new(Code::Unknown, "the server does not speak gRPC");
            Some(Err(WorkloadApiError::NotGrpc(status)))
        }
    }
}
