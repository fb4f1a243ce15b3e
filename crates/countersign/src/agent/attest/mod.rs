//! From a process the kernel vouches for, and the rules, to what it is entitled to.

pub(super) mod attestor;
pub(super) mod entitlement;
