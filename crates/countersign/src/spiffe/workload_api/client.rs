use std::future::Future;
use std::marker::PhantomData;
use std::time::Duration;

use prost::bytes::Bytes;
use tokio::time::Instant;

use super::call::Call;
use super::channel::Channel;
use super::endpoint::Endpoint;
use super::error::WorkloadApiError;
use super::framing::frame;
use super::jwt_svids::{JwtSvids, Validated};
use super::proto::{
    Empty, JwtSvidRequest, JwtSvidResponse, ValidateJwtSvidRequest, ValidateJwtSvidResponse, WitSvidRequest, method,
};
use super::stage::Stage;
use super::subject::Subject;
use super::trust_bundles::{JwtBundles, X509Bundles};
use super::wit_svids::{WitBundles, WitSvids};
use super::x509_context::X509Context;
use crate::spiffe::SpiffeId;
use crate::spiffe::limits::{AUDIENCES, MESSAGE_BYTES, VERDICT_BYTES};

/// Asks a Workload API. Cheap to clone: clones share the connection. It has to be used inside of a tokio runtime.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use countersign::spiffe::workload_api::{Endpoint, WorkloadApiClient};
///
/// let client = WorkloadApiClient::new(Endpoint::parse("unix:/run/spire/agent.sock")?);
/// let context = client.fetch_x509_context().await?;
/// println!("I am {}", context.svids[0].spiffe_id());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct WorkloadApiClient {
    channel: Channel,
    timeout: Option<Duration>,
}

impl WorkloadApiClient {
    /// A client of this endpoint. Nothing is connected yet, and nothing need be there.
    pub fn new(endpoint: Endpoint) -> WorkloadApiClient {
        WorkloadApiClient::over(Channel::new(endpoint))
    }

    /// A client that shares a connection with others.
    pub fn over(channel: Channel) -> WorkloadApiClient {
        WorkloadApiClient { channel, timeout: None }
    }

    /// The same client with a limit on how long each of its fetches may take, and each of its watches until it is open.
    pub fn with_timeout(mut self, timeout: Option<Duration>) -> WorkloadApiClient {
        self.timeout = timeout;
        self
    }

    /// What it asks over.
    pub fn channel(&self) -> &Channel {
        &self.channel
    }

    /// The current SVIDs and bundles.
    pub async fn fetch_x509_context(&self) -> Result<X509Context, WorkloadApiError> {
        let stage = Stage::default();
        self.in_time(&stage, async {
            let framed = frame(&Empty {});
            let mut call = Call::open(&self.channel, X509Context::METHOD, framed, self.timeout, &stage).await?;
            let response = call.next().await?.ok_or(WorkloadApiError::Ended)?;
            let context = X509Context::read(response, self.channel.memory().as_ref())?;
            self.channel.remember(context.memory());
            Ok(context)
        })
        .await
    }

    /// The current X.509 bundles.
    pub async fn fetch_x509_bundles(&self) -> Result<X509Bundles, WorkloadApiError> {
        self.first(frame(&Empty {})).await
    }

    /// The current JWT bundles.
    pub async fn fetch_jwt_bundles(&self) -> Result<JwtBundles, WorkloadApiError> {
        self.first(frame(&Empty {})).await
    }

    /// The current WIT-SVIDs (incubating), of one identity or of all.
    pub async fn fetch_wit_svids(&self, spiffe_id: Option<&SpiffeId>) -> Result<WitSvids, WorkloadApiError> {
        self.first(frame(&WitSvidRequest { spiffe_id: written(spiffe_id) })).await
    }

    /// The current WIT bundles (incubating).
    pub async fn fetch_wit_bundles(&self) -> Result<WitBundles, WorkloadApiError> {
        self.first(frame(&Empty {})).await
    }

    /// Tokens for an audience, of one identity or of all.
    pub async fn fetch_jwt_svids(
        &self,
        audience: &[String],
        spiffe_id: Option<&SpiffeId>,
    ) -> Result<JwtSvids, WorkloadApiError> {
        if audience.is_empty() || audience.iter().any(String::is_empty) {
            return Err(WorkloadApiError::Argument(
                "a token is asked for with at least one audience, none empty".into(),
            ));
        }
        if audience.len() > AUDIENCES {
            return Err(WorkloadApiError::Argument(format!("at most {AUDIENCES} audiences can be asked for")));
        }
        let request = JwtSvidRequest { audience: audience.to_vec(), spiffe_id: written(spiffe_id) };
        let stage = Stage::default();
        self.in_time(&stage, async {
            let call = Call::open(&self.channel, method::FETCH_JWT_SVID, frame(&request), self.timeout, &stage).await?;
            JwtSvids::read(&call.only::<JwtSvidResponse>(MESSAGE_BYTES).await?, audience)
        })
        .await
    }

    /// Has the Workload API validate a token. A bad token is answered with a status, commonly `InvalidArgument`.
    pub async fn validate_jwt_svid(&self, audience: &str, token: &str) -> Result<Validated, WorkloadApiError> {
        let request = ValidateJwtSvidRequest { audience: audience.to_owned(), svid: token.to_owned() };
        let stage = Stage::default();
        self.in_time(&stage, async {
            let method = method::VALIDATE_JWT_SVID;
            let call = Call::open(&self.channel, method, frame(&request), self.timeout, &stage).await?;
            Validated::read(&call.only::<ValidateJwtSvidResponse>(VERDICT_BYTES).await?)
        })
        .await
    }

    /// All messages from now on.
    pub async fn watch<S: Subject>(&self) -> Result<Responses<S>, WorkloadApiError> {
        let stage = Stage::default();
        let opening = Call::open(&self.channel, S::METHOD, frame(&Empty {}), None, &stage);
        let call = self.in_time(&stage, opening).await?;
        Ok(Responses { call, subject: PhantomData })
    }

    async fn first<S: Subject>(&self, framed: Bytes) -> Result<S, WorkloadApiError> {
        let stage = Stage::default();
        self.in_time(&stage, async {
            let mut call = Call::open(&self.channel, S::METHOD, framed, self.timeout, &stage).await?;
            let response = call.next().await?.ok_or(WorkloadApiError::Ended)?;
            S::read(response, None)
        })
        .await
    }

    async fn in_time<T>(
        &self,
        stage: &Stage,
        call: impl Future<Output = Result<T, WorkloadApiError>>,
    ) -> Result<T, WorkloadApiError> {
        let Some(after) = self.timeout else { return call.await };
        let begun = Instant::now();
        match tokio::time::timeout(after, call).await {
            // A server that was told how long we wait ends the call by then; on a busy machine that is heard first.
            Ok(Err(error)) if error.may_mean_late() && begun.elapsed() >= after => {}
            Ok(answered) => return answered,
            Err(_) => {}
        }
        Err(WorkloadApiError::Timeout { after, stage: stage.name() })
    }
}

fn written(spiffe_id: Option<&SpiffeId>) -> String {
    spiffe_id.map(|id| id.as_str().to_owned()).unwrap_or_default()
}

/// A stream of the Workload API. It ends with its connection; a live source opens it anew.
pub struct Responses<S: Subject> {
    call: Call,
    subject: PhantomData<fn() -> S>,
}

impl<S: Subject> Responses<S> {
    /// The next message, read in the light of an earlier one.
    pub async fn next(&mut self, memory: Option<&S::Memory>) -> Result<S, WorkloadApiError> {
        S::read(self.call.next().await?.ok_or(WorkloadApiError::Ended)?, memory)
    }

    /// Whether nothing more can come after an error: else that was about one message only.
    pub fn is_over(&self) -> bool {
        self.call.is_over()
    }
}

#[cfg(all(test, unix))]
#[allow(clippy::unwrap_used)] // an endpoint that cannot be read fails the test
mod tests {
    use super::*;
    use crate::spiffe::workload_api::status::{Code, Status};

    #[tokio::test(start_paused = true)]
    async fn a_server_that_calls_time_as_we_do_is_late() {
        let after = Duration::from_millis(100);
        let channel = Channel::new(Endpoint::parse("unix:/nowhere/agent.sock").unwrap());
        let client = WorkloadApiClient::over(channel).with_timeout(Some(after));
        let stage = Stage::default();
        let fails = async |when: Duration, error: WorkloadApiError| {
            client
                .in_time(&stage, async {
                    tokio::time::sleep(when).await;
                    Err::<(), _>(error)
                })
                .await
                .unwrap_err()
        };
        let reset = || WorkloadApiError::Reset { code: 8, said: String::new() };
        let status = |code| WorkloadApiError::Status(Status::new(code, "said"));
        for error in [reset(), status(Code::DeadlineExceeded), status(Code::Cancelled)] {
            let said = fails(after, error).await;
            assert!(matches!(said, WorkloadApiError::Timeout { .. }), "{said}");
        }
        // Before that, and about something else, it is what the server says it is.
        let said = fails(after / 2, reset()).await;
        assert!(matches!(said, WorkloadApiError::Reset { .. }), "{said}");
        let said = fails(after, status(Code::PermissionDenied)).await;
        assert!(matches!(said, WorkloadApiError::Status(_)), "{said}");
    }
}
