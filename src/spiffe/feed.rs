//! Live streams for JavaScript: read without waiting, their events delivered through a mailbox.

use std::sync::Arc;
use std::time::UNIX_EPOCH;

use countersign::spiffe::source::{self, Event, Snapshot, Subscription};
use countersign::spiffe::workload_api::{self, Endpoint, Subject, WorkloadApiError};
use napi::bindgen_prelude::Either;
use napi::{Result, Status};
use napi_derive::napi;
use serde_json::{Value, json};

use super::hub::hub;
use super::x509_context::{X509Context, ignored_value};
use crate::host::failure::Failure;
use crate::host::mailbox::{Mailbox, Sender};
use crate::host::runtime;

/// A live stream, one for the whole process; this is one environment's reference to it.
#[napi]
pub struct Feed {
    feed: Kind,
    subscription: Option<Subscription>,
}

enum Kind {
    X509(Arc<source::Feed<workload_api::X509Context>>),
    X509Bundles(Arc<source::Feed<workload_api::X509Bundles>>),
    JwtBundles(Arc<source::Feed<workload_api::JwtBundles>>),
    /// Given up.
    Closed,
}

/// Runs the expression for whichever kind of feed it is, the other one when it was given up.
macro_rules! each {
    ($feed:expr, $one:ident => $do:expr, $closed:expr) => {
        match $feed {
            Kind::X509($one) => $do,
            Kind::X509Bundles($one) => $do,
            Kind::JwtBundles($one) => $do,
            Kind::Closed => $closed,
        }
    };
}

#[napi]
impl Feed {
    /// Hold a feed of an endpoint: `subject` 0 are X509-SVIDs, 1 X.509 bundles, 2 JWT bundles. What happens to it is
    /// delivered under the key, as JSON. A failure says what is wrong with the endpoint.
    #[napi(ts_return_type = "Feed | Failure")]
    pub fn open(mailbox: &Mailbox, key: f64, endpoint: String, subject: u32) -> Result<Either<Feed, Failure>> {
        let endpoint = match Endpoint::parse(&endpoint) {
            Ok(endpoint) => endpoint,
            Err(error) => return Ok(Either::B(error.into())),
        };
        let _inside = runtime::handle()?.enter();
        let (hub, sender) = (hub(), mailbox.sender());
        let feed = match subject {
            0 => Kind::X509(hub.x509(&endpoint)),
            1 => Kind::X509Bundles(hub.x509_bundles(&endpoint)),
            2 => Kind::JwtBundles(hub.jwt_bundles(&endpoint)),
            _ => return Err(napi::Error::new(Status::InvalidArg, "no such subject")),
        };
        let subscription = each!(&feed, feed => Some(feed.subscribe(move |event| send(&sender, key, event))), None);
        each!(&feed, feed => feed.begin(), ());
        Ok(Either::A(Feed { feed, subscription }))
    }

    /// Release it. The stream ends with its last reference in the process.
    #[napi]
    pub fn close(&mut self) {
        self.subscription = None;
        self.feed = Kind::Closed;
    }

    /// The revision of the snapshot: another one after every change.
    #[napi]
    pub fn revision(&self) -> f64 {
        each!(&self.feed, feed => feed.revision(), 0) as f64
    }

    /// How it stands, as JSON: `{state, revision, toldAt, error, givenUp}`.
    #[napi]
    pub fn snapshot(&self) -> String {
        each!(&self.feed, feed => snapshot_text(&feed.snapshot()), CLOSED.to_owned())
    }

    /// The newest message, while it is valid.
    #[napi]
    pub fn context(&self) -> Option<X509Context> {
        each!(&self.feed, feed => feed.snapshot().value.map(Into::into), None)
    }

    /// What it did so far, as JSON.
    #[napi]
    pub fn counters(&self) -> String {
        let counters = each!(&self.feed, feed => feed.counters(), Default::default());
        json!({
            "connects": counters.connects,
            "updates": counters.updates,
            "unchanged": counters.unchanged,
            "errors": counters.errors,
            "withdrawals": counters.withdrawals,
            "ignored": counters.ignored,
        })
        .to_string()
    }
}

/// How a feed stands that was given up.
const CLOSED: &str = r#"{"state":"closed","revision":0,"toldAt":null,"error":null,"givenUp":true}"#;

fn snapshot_text<S: Subject>(snapshot: &Snapshot<S>) -> String {
    let told_at = snapshot.told_at.and_then(|told| told.duration_since(UNIX_EPOCH).ok());
    json!({
        "state": snapshot.state.as_str(),
        "revision": snapshot.revision,
        "toldAt": told_at.map(|since| since.as_millis() as u64),
        "error": snapshot.last_error.as_deref().map(error_value),
        "givenUp": snapshot.given_up,
    })
    .to_string()
}

fn error_value(error: &WorkloadApiError) -> Value {
    Failure::from(error).value()
}

fn send(sender: &Sender, key: f64, event: &Event) {
    let milliseconds = |duration: &std::time::Duration| duration.as_millis() as u64;
    let value = match event {
        Event::Connected => json!({ "type": "connect" }),
        Event::Updated { revision } => json!({ "type": "update", "revision": revision }),
        Event::Ignored(ignored) => json!({ "type": "ignore", "ignored": ignored_value(ignored) }),
        Event::Failed { error, retry_in } => {
            json!({ "type": "error", "error": error_value(error), "retryIn": retry_in.as_ref().map(milliseconds) })
        }
        Event::Denied { error, withdrawn, revision, retry_in } => json!({
            "type": "withdraw",
            "error": error_value(error),
            "withdrawn": withdrawn,
            "revision": revision,
            "retryIn": milliseconds(retry_in),
        }),
        Event::Overdue { expires_at } => json!({ "type": "overdue", "expiresAt": expires_at * 1000 }),
        Event::Expired { expired_at } => json!({ "type": "expire", "expiresAt": expired_at * 1000 }),
        Event::Closed { error, revision } => {
            json!({ "type": "close", "error": error.as_deref().map(error_value), "revision": revision })
        }
    };
    sender.send(key, value.to_string());
}
