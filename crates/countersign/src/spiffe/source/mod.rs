//! Live sources: what a Workload API streams, kept fresh.
//!
//! * [`Feed`] - one stream of an endpoint and its newest message; it reconnects, withdraws, and sends events
//! * [`X509Source`] - the feed of X509-SVIDs
//! * [`Hub`] - the connections and feeds of a process, one for each endpoint
//! * [`State`], [`Snapshot`], [`Event`] - where a feed stands, and what happens to it

mod clock_watch;
mod event;
mod feed;
mod hub;
mod snapshot;
mod supervisor;

pub use event::{Event, Subscription};
pub use feed::{Feed, FeedCounters, X509Source};
pub use hub::Hub;
pub use snapshot::{Snapshot, State};
