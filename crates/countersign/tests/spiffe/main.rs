//! The rules of the SPIFFE standards as tables: each test bears the number of the rule it holds to.
//! 1 names, 2 X509-SVIDs, 3 JWT-SVIDs, 5 bundles, 8 the order of judgement.
#![allow(clippy::unwrap_used)] // a test that cannot build its input has failed

mod authorizer;
mod bundle;
mod bundle_set;
mod corpus;
mod id;
mod issuer;
mod jwt;
mod jwt_signers;
mod openssl;
mod round_trips;
mod x509_svid;
mod x509_verify;
