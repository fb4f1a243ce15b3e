//! An addon with one function.

use napi_derive::napi;

/// The version, as the loader of every addon asks for it.
#[napi]
pub fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}
