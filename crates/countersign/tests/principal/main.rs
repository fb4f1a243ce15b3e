//! Principals: the rules of names and IDs as tables, what is read and written, and the judge of OIDC tokens.
#![allow(clippy::unwrap_used)] // a test that cannot build its input has failed

mod document;
mod ids;
#[allow(dead_code)]
#[path = "../spiffe/jwt_signers.rs"]
mod jwt_signers;
mod names;
mod oidc;
