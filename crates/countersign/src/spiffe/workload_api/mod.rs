//! The Workload API: where it is found.

mod endpoint;

pub use endpoint::{Endpoint, EndpointError};
