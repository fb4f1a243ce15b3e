//! One message of a Workload API: SVIDs and bundles that belong together.

use std::sync::Arc;

use countersign::spiffe::workload_api::{self, Ignored};
use napi::bindgen_prelude::BufferSlice;
use napi::{Env, Result};
use napi_derive::napi;
use serde_json::json;

use super::{bundle_set::BundleSet, x509_svid::X509Svid};

/// SVIDs, bundles and revocation lists of one message.
#[napi]
pub struct X509Context(Message);

enum Message {
    Context(Arc<workload_api::X509Context>),
    X509Bundles(Arc<workload_api::X509Bundles>),
    JwtBundles(Arc<workload_api::JwtBundles>),
}

impl From<Arc<workload_api::X509Context>> for X509Context {
    fn from(context: Arc<workload_api::X509Context>) -> Self {
        Self(Message::Context(context))
    }
}

impl From<Arc<workload_api::X509Bundles>> for X509Context {
    fn from(bundles: Arc<workload_api::X509Bundles>) -> Self {
        Self(Message::X509Bundles(bundles))
    }
}

impl From<Arc<workload_api::JwtBundles>> for X509Context {
    fn from(bundles: Arc<workload_api::JwtBundles>) -> Self {
        Self(Message::JwtBundles(bundles))
    }
}

/// What was ignored, as JSON: `[{what, reason, message}, ...]`.
pub fn ignored_value(ignored: &[Ignored]) -> serde_json::Value {
    let one = |one: &Ignored| json!({ "what": one.what, "reason": one.reason.code(), "message": one.to_string() });
    ignored.iter().map(one).collect()
}

#[napi]
impl X509Context {
    fn all_svids(&self) -> &[countersign::spiffe::X509Svid] {
        match &self.0 {
            Message::Context(context) => &context.svids,
            Message::X509Bundles(_) | Message::JwtBundles(_) => &[],
        }
    }

    /// The names and hints of the SVIDs, as JSON: `[[spiffeId, hint], ...]`.
    #[napi]
    pub fn labels(&self) -> String {
        let labels: Vec<_> = self.all_svids().iter().map(|svid| (svid.spiffe_id().as_str(), svid.hint())).collect();
        json!(labels).to_string()
    }

    /// One of the SVIDs.
    #[napi]
    pub fn svid(&self, index: u32) -> Option<X509Svid> {
        self.all_svids().get(index as usize).cloned().map(X509Svid)
    }

    /// The bundles.
    #[napi]
    pub fn bundles(&self) -> BundleSet {
        BundleSet(match &self.0 {
            Message::Context(context) => context.bundles.clone(),
            Message::X509Bundles(bundles) => bundles.bundles.clone(),
            Message::JwtBundles(bundles) => bundles.bundles.clone(),
        })
    }

    /// Certificate revocation lists as DER.
    #[napi(ts_return_type = "Buffer[]")]
    pub fn crls<'a>(&self, env: &'a Env) -> Result<Vec<BufferSlice<'a>>> {
        let crls = match &self.0 {
            Message::Context(context) => &context.crls[..],
            Message::X509Bundles(bundles) => &bundles.crls[..],
            Message::JwtBundles(_) => &[],
        };
        crls.iter().map(|der| BufferSlice::copy_from(env, der)).collect()
    }

    /// What had to be ignored, as JSON: `[{what, reason, message}, ...]`.
    #[napi]
    pub fn ignored(&self) -> String {
        let ignored = match &self.0 {
            Message::Context(context) => &context.ignored,
            Message::X509Bundles(bundles) => &bundles.ignored,
            Message::JwtBundles(bundles) => &bundles.ignored,
        };
        ignored_value(ignored).to_string()
    }
}
