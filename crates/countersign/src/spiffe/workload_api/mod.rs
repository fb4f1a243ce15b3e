//! The Workload API: its endpoint, its messages, and the client (SPIFFE Workload Endpoint, Workload API).
//!
//! * [`Endpoint`] - where it is served
//! * [`WorkloadApiClient`] - every method of `SpiffeWorkloadAPI`, over a [`Channel`] that connects by itself
//! * [`X509Context`], [`JwtSvids`], [`Validated`], [`WitSvids`] - what it answers, read and verified
//! * [`WorkloadApiError`], [`Ignored`] - what went wrong with all of it, or with a part
//! * [`Method`], [`proto`], [`framing`], [`Status`] - the wire, for both sides

mod call;
mod channel;
mod client;
mod connection;
mod driver;
mod endpoint;
mod error;
pub mod framing;
mod jwt_svids;
mod method;
pub mod proto;
mod stage;
mod status;
mod subject;
mod trust_bundles;
mod wit_svids;
mod x509_context;

pub use channel::{Channel, WeakChannel};
pub use client::{Responses, WorkloadApiClient};
pub use driver::poll_eagerly;
pub use endpoint::{Endpoint, EndpointError};
pub use error::{Ignored, IgnoredReason, WorkloadApiError};
pub use jwt_svids::{JwtSvids, Validated};
pub use method::Method;
pub use status::{Code, Status};
pub use subject::Subject;
pub use trust_bundles::{JwtBundles, X509Bundles};
pub use wit_svids::{WitBundles, WitSvid, WitSvids};
pub use x509_context::{X509Context, X509Memory};
