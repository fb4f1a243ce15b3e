//! The Workload API for JavaScript: every method, answered through a mailbox.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use countersign::spiffe::SpiffeId;
use countersign::spiffe::workload_api::{
    Endpoint, JwtSvids, WitBundles, WitSvids, WorkloadApiClient, WorkloadApiError,
};
use napi::Result;
use napi::bindgen_prelude::Either;
use napi_derive::napi;
use serde_json::json;
use zeroize::Zeroizing;

use super::hub::hub;
use super::jwt_svid;
use super::x509_context::{X509Context, ignored_value};
use crate::host::failure::{Failure, answer};
use crate::host::mailbox::{Attachment, Mailbox, Sender};

/// A client of one endpoint. Outcomes are texts; SVIDs and bundles come beside an empty text.
#[napi]
pub struct WorkloadClient {
    client: WorkloadApiClient,
    sender: Arc<Sender>,
}

#[napi]
impl WorkloadClient {
    /// A client; or the failure that says what is wrong with the endpoint.
    #[napi(ts_return_type = "WorkloadClient | Failure")]
    pub fn open(mailbox: &Mailbox, endpoint: String) -> Either<WorkloadClient, Failure> {
        answer(Endpoint::parse(&endpoint).map(|endpoint| WorkloadClient {
            client: WorkloadApiClient::over(hub().channel(&endpoint)),
            sender: mailbox.sender(),
        }))
    }

    /// The endpoint as it is written.
    #[napi(getter)]
    pub fn endpoint(&self) -> String {
        self.client.channel().endpoint().to_string()
    }

    fn call<T, F>(
        &self,
        key: f64,
        timeout: f64,
        ask: impl FnOnce(WorkloadApiClient) -> F + Send + 'static,
        deliver: impl FnOnce(T) -> (String, Option<Attachment>) + Send + 'static,
    ) -> Result<()>
    where
        F: Future<Output = std::result::Result<T, WorkloadApiError>> + Send,
    {
        let client = self.client.clone().with_timeout(Duration::try_from_secs_f64(timeout / 1000.0).ok());
        let call = async move { ask(client).await.map(deliver).map_err(|error| Failure::from(&error)) };
        self.sender.call(key, call)
    }

    /// The current SVIDs and bundles.
    #[napi]
    pub fn fetch_x509_context(&self, key: f64, timeout: f64) -> Result<()> {
        let ask = |client: WorkloadApiClient| async move { client.fetch_x509_context().await };
        self.call(key, timeout, ask, beside_text)
    }

    /// The current X.509 bundles.
    #[napi]
    pub fn fetch_x509_bundles(&self, key: f64, timeout: f64) -> Result<()> {
        let ask = |client: WorkloadApiClient| async move { client.fetch_x509_bundles().await };
        self.call(key, timeout, ask, beside_text)
    }

    /// The current JWT bundles.
    #[napi]
    pub fn fetch_jwt_bundles(&self, key: f64, timeout: f64) -> Result<()> {
        let ask = |client: WorkloadApiClient| async move { client.fetch_jwt_bundles().await };
        self.call(key, timeout, ask, beside_text)
    }

    /// Tokens, as JSON: `{svids: [[token, facts, hint], ...], ignored}`. The ID is one that was checked.
    #[napi]
    pub fn fetch_jwt_svids(
        &self,
        key: f64,
        timeout: f64,
        audience: Vec<String>,
        spiffe_id: Option<String>,
    ) -> Result<()> {
        let id = spiffe_id.and_then(|id| SpiffeId::parse(&id).ok());
        let ask = |client: WorkloadApiClient| async move { client.fetch_jwt_svids(&audience, id.as_ref()).await };
        self.call(key, timeout, ask, |response: JwtSvids| {
            let svids: Vec<_> =
                response.svids.iter().map(|svid| (svid.token(), jwt_svid::facts(svid), svid.hint())).collect();
            (json!({ "svids": svids, "ignored": ignored_value(&response.ignored) }).to_string(), None)
        })
    }

    /// Whether a token is valid, as JSON: `[spiffeId, claims]`.
    #[napi]
    pub fn validate_jwt_svid(&self, key: f64, timeout: f64, audience: String, token: String) -> Result<()> {
        let token = Zeroizing::new(token);
        let ask = |client: WorkloadApiClient| async move { client.validate_jwt_svid(&audience, &token).await };
        self.call(key, timeout, ask, |verdict| {
            (format!("[{},{}]", json!(verdict.spiffe_id.as_str()), verdict.claims_json), None)
        })
    }

    /// WIT-SVIDs, as JSON: `[[spiffeId, token, key, hint], ...]`.
    #[napi]
    pub fn fetch_wit_svids(&self, key: f64, timeout: f64, spiffe_id: Option<String>) -> Result<()> {
        let id = spiffe_id.and_then(|id| SpiffeId::parse(&id).ok());
        let ask = |client: WorkloadApiClient| async move { client.fetch_wit_svids(id.as_ref()).await };
        self.call(key, timeout, ask, |response: WitSvids| {
            let svids: Vec<_> = response
                .svids
                .iter()
                .map(|svid| (svid.spiffe_id.as_str(), svid.token.as_str(), svid.key_jwk.as_str(), &svid.hint))
                .collect();
            (json!(svids).to_string(), None)
        })
    }

    /// WIT bundles, as JSON: `{trustDomain: jwks, ...}`.
    #[napi]
    pub fn fetch_wit_bundles(&self, key: f64, timeout: f64) -> Result<()> {
        let ask = |client: WorkloadApiClient| async move { client.fetch_wit_bundles().await };
        self.call(key, timeout, ask, |response: WitBundles| (json!(response.bundles).to_string(), None))
    }
}

/// What no text can hold.
fn beside_text<T>(response: T) -> (String, Option<Attachment>)
where
    X509Context: From<Arc<T>>,
{
    (String::new(), Some(Attachment::new(X509Context::from(Arc::new(response)))))
}
