//! The daemon: rules, attestation, and the server that answers.
