use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use aws_lc_rs::digest::{SHA256, digest};

use crate::spiffe::{limits::VERIFIED_TOKENS, svid::TokenFacts};

/// The tokens whose signature was checked lately, so that a token that is shown with every request costs a hash.
///
/// Only success is remembered: the hash of the token (never the token), what it says, and the bundle whose key signed
/// it. A memory counts only while the trust domain still has that very bundle. Audience and times are judged anew each
/// time, so a memory never outlives an expiry, and nothing ever has to be flushed for safety.
#[derive(Default)]
pub struct VerifiedTokens {
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    tokens: HashMap<TokenKey, (Verdict, u64)>,
    clock: u64,
}

pub(super) type TokenKey = [u8; 32];

#[derive(Clone)]
pub(super) struct Verdict {
    pub facts: Arc<TokenFacts>,
    pub bundle_revision: u64,
    /// It bore headers beyond the three.
    pub extra_headers: bool,
}

pub(super) fn token_key(token: &str) -> TokenKey {
    let mut key = TokenKey::default();
    key.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
    key
}

impl VerifiedTokens {
    pub(super) fn get(&self, key: &TokenKey) -> Option<Verdict> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.clock += 1;
        let now = seen.clock;
        let (verdict, last_used) = seen.tokens.get_mut(key)?;
        *last_used = now;
        Some(verdict.clone())
    }

    pub(super) fn put(&self, key: TokenKey, verdict: Verdict) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.clock += 1;
        let now = seen.clock;
        // Looking for the oldest costs little next to the signature that was just checked.
        if seen.tokens.len() >= VERIFIED_TOKENS && !seen.tokens.contains_key(&key) {
            let oldest = seen.tokens.iter().min_by_key(|(_, (_, last_used))| *last_used);
            if let Some(oldest) = oldest.map(|(key, _)| *key) {
                seen.tokens.remove(&oldest);
            }
        }
        seen.tokens.insert(key, (verdict, now));
    }

    /// How many tokens are remembered.
    pub fn len(&self) -> usize {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).tokens.len()
    }

    /// Whether no token is remembered.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl fmt::Debug for VerifiedTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifiedTokens({})", self.len())
    }
}
