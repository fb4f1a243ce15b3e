//! What all environments of the process share.

use std::sync::OnceLock;

use countersign::spiffe::source::Hub;

/// The connections and streams of the process.
pub fn hub() -> &'static Hub {
    static HUB: OnceLock<Hub> = OnceLock::new();
    HUB.get_or_init(Hub::new)
}
