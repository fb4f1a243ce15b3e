use std::future::poll_fn;
use std::time::Duration;

use h2::server::SendResponse;
use h2::{Reason, SendStream};
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Response, StatusCode};
use prost::bytes::Bytes;

use super::interceptor::CallObserver;
use crate::agent::log;
use crate::spiffe::issue::IssueError;
use crate::spiffe::workload_api::proto::JwtSvidRequest;
use crate::spiffe::workload_api::{Code, Status};

const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");
/// How long a client may read nothing of an answer before its call is ended.
const STALLED: Duration = Duration::from_secs(60);

/// The way back to one caller.
pub(in crate::agent) struct Reply {
    respond: SendResponse<Bytes>,
    /// Once the head of the response is out.
    body: Option<SendStream<Bytes>>,
    observer: Option<Box<dyn CallObserver>>,
}

/// The caller is gone, or takes nothing any more.
#[derive(Debug)]
pub(in crate::agent) struct Gone;

impl Reply {
    pub(in crate::agent) fn new(respond: SendResponse<Bytes>) -> Reply {
        Reply { respond, body: None, observer: None }
    }

    /// The same, with an observer of what becomes of the call.
    pub(in crate::agent) fn observed(self, observer: Option<Box<dyn CallObserver>>) -> Reply {
        Reply { observer, ..self }
    }

    /// Notifies the observer of the method.
    pub(in crate::agent) fn asks_for(&self, request: &JwtSvidRequest) {
        if let Some(observer) = &self.observer {
            observer.token_requested(request);
        }
    }

    /// Sends bytes, never more than the caller has room for.
    pub(in crate::agent) async fn send(&mut self, mut bytes: Bytes) -> Result<(), Gone> {
        let body = self.body()?;
        while !bytes.is_empty() {
            body.reserve_capacity(bytes.len());
            let room = tokio::time::timeout(STALLED, poll_fn(|cx| body.poll_capacity(cx))).await;
            let Ok(room) = room else {
                self.reset(Reason::CANCEL);
                return Err(Gone);
            };
            let room = room.and_then(Result::ok).ok_or(Gone)?;
            body.send_data(bytes.split_to(room.min(bytes.len())), false).map_err(|_| Gone)?;
        }
        if let Some(observer) = &self.observer {
            observer.message_sent();
        }
        Ok(())
    }

    fn body(&mut self) -> Result<&mut SendStream<Bytes>, Gone> {
        if self.body.is_none() {
            let mut head = Response::new(());
            head.headers_mut().insert(CONTENT_TYPE, GRPC);
            self.body = Some(self.respond.send_response(head, false).map_err(|_| Gone)?);
        }
        self.body.as_mut().ok_or(Gone)
    }

    /// Ends the call with a status.
    pub(in crate::agent) fn finish(mut self, status: &Status) {
        if let Some(observer) = &self.observer {
            observer.ended(status.code);
        }
        let mut headers = HeaderMap::new();
        headers.insert("grpc-status", HeaderValue::from(status.code as u16));
        if !status.message.is_empty()
            && let Ok(message) = HeaderValue::from_str(&status.encoded_message())
        {
            headers.insert("grpc-message", message);
        }
        match self.body.take() {
            Some(mut body) => drop(body.send_trailers(headers)),
            None => {
                headers.insert(CONTENT_TYPE, GRPC);
                let mut head = Response::new(());
                *head.headers_mut() = headers;
                let _ = self.respond.send_response(head, true);
            }
        }
    }

    /// Ends the call in good order.
    pub(in crate::agent) fn done(self) {
        self.finish(&Status::new(Code::Ok, ""));
    }

    /// Refuses with an HTTP status: the client does not speak gRPC.
    pub(in crate::agent) fn refuse(mut self, status: StatusCode) {
        let mut head = Response::new(());
        *head.status_mut() = status;
        let _ = self.respond.send_response(head, true);
    }

    /// Ends the stream without a status.
    pub(in crate::agent) fn reset(&mut self, reason: Reason) {
        match &mut self.body {
            Some(body) => body.send_reset(reason),
            None => self.respond.send_reset(reason),
        }
    }

    /// Waits until the caller wants no more.
    pub(in crate::agent) async fn cancelled(&mut self) {
        match &mut self.body {
            Some(body) => drop(poll_fn(|cx| body.poll_reset(cx)).await),
            None => drop(poll_fn(|cx| self.respond.poll_reset(cx)).await),
        }
    }
}

/// The status for an SVID that could not be issued: the reason goes to the log, the caller learns no more.
pub(super) fn issuing_failed(error: &IssueError) -> Status {
    tracing::error!(target: log::TARGET, %error, "an SVID could not be issued");
    Status::new(Code::Internal, "the SVID could not be issued")
}
