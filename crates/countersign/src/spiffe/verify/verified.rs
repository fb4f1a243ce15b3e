use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_lc_rs::digest::{Context, SHA256};

use super::x509::Role;
use crate::recent_map::RecentMap;
use crate::spiffe::{
    LeafFacts,
    limits::{VERIFIED_CHAINS, VERIFIED_TOKENS},
    svid::TokenFacts,
};

/// What was verified lately, so that the same document costs a hash the next time instead of signatures.
///
/// Only success is remembered, together with the revision of the bundle it rests on. An entry counts only while the
/// trust domain still has that very bundle (a changed bundle has another revision). Everything that depends on the
/// moment or on the verifier (times, audience, authorizer) is checked anew each time. So one memory can be shared by
/// all states of a bundle set, and nothing ever has to be flushed for safety.
pub struct Verified<V>(Mutex<RecentMap<Digest, V>>);

/// The chains that were verified lately, by the SHA-256 of role and certificates.
pub type VerifiedChains = Verified<VerifiedChain>;
/// The tokens whose signature was verified lately, by their SHA-256: the tokens themselves are not kept.
pub type VerifiedTokens = Verified<VerifiedToken>;

/// A SHA-256.
pub type Digest = [u8; 32];

/// What is remembered of a document.
pub trait Remembered: Clone {
    /// How many are remembered.
    const MOST: usize;
}

/// What is remembered of a chain.
#[derive(Clone)]
pub struct VerifiedChain {
    pub(super) leaf: Arc<LeafFacts>,
    pub(super) bundle_revision: u64,
    /// Every certificate of the path is valid from here...
    pub(super) not_before: i64,
    /// ...to here.
    pub(super) not_after: i64,
}

impl Remembered for VerifiedChain {
    const MOST: usize = VERIFIED_CHAINS;
}

/// What is remembered of a token.
#[derive(Clone)]
pub struct VerifiedToken {
    pub(super) facts: Arc<TokenFacts>,
    pub(super) bundle_revision: u64,
    /// It has headers beyond the three.
    pub(super) extra_headers: bool,
}

impl Remembered for VerifiedToken {
    const MOST: usize = VERIFIED_TOKENS;
}

/// SHA-256 over the role and every certificate with its length.
pub(super) fn chain_digest<C: AsRef<[u8]>>(chain: &[C], role: Option<Role>) -> Digest {
    let mut context = Context::new(&SHA256);
    context.update(&[match role {
        None => 0,
        Some(Role::Server) => 1,
        Some(Role::Client) => 2,
    }]);
    for certificate in chain {
        let certificate = certificate.as_ref();
        context.update(&(certificate.len() as u64).to_le_bytes());
        context.update(certificate);
    }
    finish(context)
}

pub(super) fn token_digest(token: &str) -> Digest {
    let mut context = Context::new(&SHA256);
    context.update(token.as_bytes());
    finish(context)
}

fn finish(context: Context) -> Digest {
    let mut digest = Digest::default();
    digest.copy_from_slice(context.finish().as_ref());
    digest
}

impl<V: Remembered> Verified<V> {
    pub(super) fn get(&self, digest: &Digest) -> Option<V> {
        self.lock().get(digest).cloned()
    }

    pub(super) fn put(&self, digest: Digest, verified: V) {
        self.lock().insert(digest, verified);
    }

    /// How many are remembered.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn lock(&self) -> MutexGuard<'_, RecentMap<Digest, V>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<V: Remembered> Default for Verified<V> {
    fn default() -> Self {
        Verified(Mutex::new(RecentMap::new(V::MOST)))
    }
}

impl<V: Remembered> fmt::Debug for Verified<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Verified({} of {})", self.len(), V::MOST)
    }
}
