use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use aws_lc_rs::digest::{Context, SHA256};

use super::x509::Role;
use crate::spiffe::{LeafFacts, limits::VERIFIED_CHAINS};

/// The chains that were verified lately, so that a peer who connects again costs a hash instead of signatures.
///
/// Only success is remembered, together with the bundle it rests on and the time for which every certificate of the path
/// is valid. A memory counts only while the trust domain still has that very bundle (a changed bundle has another
/// revision) and inside of that time; the authorizer is asked anew each time. So the memory can be shared by all states
/// of a bundle set, and nothing ever has to be flushed for safety.
#[derive(Default)]
pub struct VerifiedChains {
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    chains: HashMap<ChainKey, (Verdict, u64)>,
    clock: u64,
}

/// SHA-256 over the role and every certificate with its length.
pub(super) type ChainKey = [u8; 32];

/// What is remembered of a chain.
#[derive(Clone)]
pub(super) struct Verdict {
    pub leaf: Arc<LeafFacts>,
    pub bundle_revision: u64,
    pub not_before: i64,
    pub not_after: i64,
}

pub(super) fn chain_key<C: AsRef<[u8]>>(chain: &[C], role: Option<Role>) -> ChainKey {
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
    let mut key = ChainKey::default();
    key.copy_from_slice(context.finish().as_ref());
    key
}

impl VerifiedChains {
    pub(super) fn get(&self, key: &ChainKey) -> Option<Verdict> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.clock += 1;
        let now = seen.clock;
        let (verdict, last_used) = seen.chains.get_mut(key)?;
        *last_used = now;
        Some(verdict.clone())
    }

    pub(super) fn put(&self, key: ChainKey, verdict: Verdict) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.clock += 1;
        let now = seen.clock;
        // Looking for the oldest costs little next to the signatures that were just checked.
        if seen.chains.len() >= VERIFIED_CHAINS && !seen.chains.contains_key(&key) {
            let oldest = seen.chains.iter().min_by_key(|(_, (_, last_used))| *last_used);
            if let Some(oldest) = oldest.map(|(key, _)| *key) {
                seen.chains.remove(&oldest);
            }
        }
        seen.chains.insert(key, (verdict, now));
    }

    /// How many chains are remembered.
    pub fn len(&self) -> usize {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).chains.len()
    }

    /// Whether no chain is remembered.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl fmt::Debug for VerifiedChains {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifiedChains({})", self.len())
    }
}
