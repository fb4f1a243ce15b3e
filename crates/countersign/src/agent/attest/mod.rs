//! From a process the kernel vouches for, and the rules, to the rules that match it.

mod attestor;
mod hashing;

pub(super) use self::attestor::{Attested, Attestor, Depth, Evaluation, Question, is_exhaustion};
pub(super) use self::hashing::{HashingError, with_hashes};
