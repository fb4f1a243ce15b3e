//! The Workload API for JavaScript: every method, answered through a mailbox.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use countersign::spiffe::SpiffeId;
use countersign::spiffe::workload_api::{
    Endpoint, JwtBundles, JwtSvids, WitBundles, WitSvids, WorkloadApiError, X509Bundles,
};
use countersign::spiffe::workload_api::{WorkloadApiClient, X509Context as Told};
use napi::Result;
use napi::bindgen_prelude::Either;
use napi_derive::napi;
use serde_json::json;
use zeroize::Zeroizing;

use super::mailbox::{Mailbox, Outcome, Post};
use super::x509_context::ignored_value;
use super::{failure, jwt_svid, runtime};

/// A client of one endpoint. Outcomes are texts; what holds SVIDs or bundles comes beside an empty text.
#[napi]
pub struct WorkloadClient {
    client: WorkloadApiClient,
    post: Arc<Post>,
}

#[napi]
impl WorkloadClient {
    /// A client; or what is wrong with the endpoint.
    #[napi(ts_return_type = "WorkloadClient | string")]
    pub fn open(mailbox: &Mailbox, endpoint: String) -> Either<WorkloadClient, String> {
        match Endpoint::parse(&endpoint) {
            Ok(endpoint) => {
                let client = WorkloadApiClient::over(runtime::hub().channel(&endpoint));
                Either::A(WorkloadClient { client, post: Arc::clone(&mailbox.post) })
            }
            Err(error) => Either::B(failure::endpoint(&error)),
        }
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
        told: impl FnOnce(T) -> Outcome + Send + 'static,
    ) -> Result<()>
    where
        F: Future<Output = std::result::Result<T, WorkloadApiError>> + Send,
    {
        let client = self.client.clone().with_timeout(Duration::try_from_secs_f64(timeout / 1000.0).ok());
        let call = async move {
            match ask(client).await {
                Ok(value) => told(value),
                Err(error) => (failure::workload_api(&error), None),
            }
        };
        self.post.call(key, call)
    }

    /// The SVIDs and bundles of now.
    #[napi]
    pub fn fetch_x509_context(&self, key: f64, timeout: f64) -> Result<()> {
        let ask = |client: WorkloadApiClient| async move { client.fetch_x509_context().await };
        self.call(key, timeout, ask, |told: Told| (String::new(), Some(Arc::new(told).into())))
    }

    /// The X.509 bundles of now.
    #[napi]
    pub fn fetch_x509_bundles(&self, key: f64, timeout: f64) -> Result<()> {
        let ask = |client: WorkloadApiClient| async move { client.fetch_x509_bundles().await };
        self.call(key, timeout, ask, |told: X509Bundles| (String::new(), Some(Arc::new(told).into())))
    }

    /// The JWT bundles of now.
    #[napi]
    pub fn fetch_jwt_bundles(&self, key: f64, timeout: f64) -> Result<()> {
        let ask = |client: WorkloadApiClient| async move { client.fetch_jwt_bundles().await };
        self.call(key, timeout, ask, |told: JwtBundles| (String::new(), Some(Arc::new(told).into())))
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
        self.call(key, timeout, ask, |told: JwtSvids| {
            let svids: Vec<_> =
                told.svids.iter().map(|svid| (svid.token(), jwt_svid::facts(svid), svid.hint())).collect();
            (json!({ "svids": svids, "ignored": ignored_value(&told.ignored) }).to_string(), None)
        })
    }

    /// A verdict on a token, as JSON: `[spiffeId, claims]`.
    #[napi]
    pub fn validate_jwt_svid(&self, key: f64, timeout: f64, audience: String, token: String) -> Result<()> {
        let token = Zeroizing::new(token);
        let ask = |client: WorkloadApiClient| async move { client.validate_jwt_svid(&audience, &token).await };
        self.call(key, timeout, ask, |told| {
            (format!("[{},{}]", json!(told.spiffe_id.as_str()), told.claims_json), None)
        })
    }

    /// WIT-SVIDs, as JSON: `[[spiffeId, token, key, hint], ...]`.
    #[napi]
    pub fn fetch_wit_svids(&self, key: f64, timeout: f64, spiffe_id: Option<String>) -> Result<()> {
        let id = spiffe_id.and_then(|id| SpiffeId::parse(&id).ok());
        let ask = |client: WorkloadApiClient| async move { client.fetch_wit_svids(id.as_ref()).await };
        self.call(key, timeout, ask, |told: WitSvids| {
            let svids: Vec<_> = told
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
        self.call(key, timeout, ask, |told: WitBundles| (json!(told.bundles).to_string(), None))
    }
}
