use super::error::AuthorityError;

/// What to do with the keys ahead of their time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rotation {
    /// Publish the next keys, unless they are published already.
    Prepare,
    /// Let the next keys sign; what the present ones signed stays valid.
    Activate,
    /// Take the keys that no longer sign out of the bundle: everything they signed is refused from now on.
    Forget,
}

/// Seconds a verifier may lag behind: an old key stays published that much longer.
const GRACE: i64 = 120;

/// The keys of one kind, in the order of their lives.
#[derive(Clone)]
pub(super) struct Keyring<K, P> {
    pub(super) active: Held<K>,
    pub(super) prepared: Option<Held<K>>,
    /// Public halves only.
    pub(super) old: Vec<Retired<P>>,
}

/// A key that signs or will sign.
#[derive(Clone)]
pub(super) struct Held<K> {
    pub(super) key: K,
    /// When it was first in the bundle, in seconds since 1970.
    pub(super) published: i64,
    pub(super) not_after: i64,
}

/// A key that signs no more.
#[derive(Clone)]
pub(super) struct Retired<P> {
    pub(super) public: P,
    pub(super) not_after: i64,
}

impl<K, P: Clone> Keyring<K, P> {
    pub(super) fn new(first: Held<K>) -> Self {
        Keyring { active: first, prepared: None, old: Vec::new() }
    }

    pub(super) fn active(&self) -> &K {
        &self.active.key
    }

    /// What is published: of the keys that sign or will sign, this; of the old ones, what is left of them.
    pub(super) fn published(&self, of: impl Fn(&K) -> P) -> Vec<P> {
        let held = [Some(&self.active), self.prepared.as_ref()];
        let held = held.into_iter().flatten().map(|held| of(&held.key));
        held.chain(self.old.iter().map(|old| old.public.clone())).collect()
    }

    /// Does what is due. `make` makes the next key; `public` is what is kept of one that retires.
    pub(super) fn advance(
        &mut self,
        now: i64,
        make: impl Fn() -> Result<Held<K>, AuthorityError>,
        public: impl Fn(&K) -> P,
    ) -> Result<bool, AuthorityError> {
        let before = self.old.len();
        self.old.retain(|old| now < old.not_after.saturating_add(GRACE));
        let mut changed = self.old.len() != before;
        let lifetime = self.active.not_after.saturating_sub(self.active.published).max(1);
        if self.prepared.is_none() && now >= self.active.published.saturating_add(lifetime / 2) {
            self.prepared = Some(make()?);
            changed = true;
        }
        if let Some(prepared) = &self.prepared {
            // Five sixths: what it signed before can live for a sixth more. The next key was published for a while,
            // too, unless the present one is over: after a long sleep there is no while to wait.
            let due = now >= self.active.published.saturating_add(lifetime - lifetime / 6);
            let known = now >= prepared.published.saturating_add(lifetime / 6);
            let over = now >= self.active.not_after;
            if (due && known) || over {
                self.activate(&make, &public)?;
                if now >= self.active.not_after {
                    // It, too, was slept through.
                    self.prepared = Some(make()?);
                    self.activate(&make, &public)?;
                }
                self.old.retain(|old| now < old.not_after.saturating_add(GRACE));
                changed = true;
            }
        }
        Ok(changed)
    }

    /// Does it now.
    pub(super) fn rotate(
        &mut self,
        rotation: Rotation,
        make: impl Fn() -> Result<Held<K>, AuthorityError>,
        public: impl Fn(&K) -> P,
    ) -> Result<bool, AuthorityError> {
        match rotation {
            Rotation::Prepare if self.prepared.is_some() => Ok(false),
            Rotation::Prepare => {
                self.prepared = Some(make()?);
                Ok(true)
            }
            Rotation::Activate => self.activate(&make, &public).map(|()| true),
            Rotation::Forget => {
                let some = !self.old.is_empty();
                self.old.clear();
                Ok(some)
            }
        }
    }

    fn activate(
        &mut self,
        make: &impl Fn() -> Result<Held<K>, AuthorityError>,
        public: &impl Fn(&K) -> P,
    ) -> Result<(), AuthorityError> {
        let next = match self.prepared.take() {
            Some(prepared) => prepared,
            None => make()?,
        };
        let last = std::mem::replace(&mut self.active, next);
        self.old.push(Retired { public: public(&last.key), not_after: last.not_after });
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a key that cannot be made fails the test
mod tests {
    use super::*;

    type Ring = Keyring<i64, i64>;

    fn made(at: i64) -> Held<i64> {
        Held { key: at, published: at, not_after: at + 600 }
    }

    fn advance(ring: &mut Ring, now: i64) -> (i64, Option<i64>, Vec<i64>) {
        ring.advance(now, || Ok(made(now)), |key| *key).unwrap();
        (*ring.active(), ring.prepared.as_ref().map(|held| held.key), ring.old.iter().map(|old| old.public).collect())
    }

    #[test]
    fn a_key_is_published_before_it_signs_and_after() {
        let mut ring = Ring::new(made(0));
        assert_eq!(advance(&mut ring, 299), (0, None, vec![]));
        assert_eq!(advance(&mut ring, 300), (0, Some(300), vec![]));
        assert_eq!(advance(&mut ring, 499), (0, Some(300), vec![]));
        assert_eq!(advance(&mut ring, 500), (300, None, vec![0]));
        assert_eq!(ring.published(|key| *key), [300, 0]);
        assert_eq!(advance(&mut ring, 719), (300, Some(719), vec![0]));
        assert_eq!(advance(&mut ring, 720), (300, Some(719), vec![]));
    }

    #[test]
    fn after_a_nap_the_next_key_is_published_before_it_signs_as_long_as_that_is_possible() {
        let mut ring = Ring::new(made(0));
        assert_eq!(advance(&mut ring, 510), (0, Some(510), vec![]));
        assert_eq!(advance(&mut ring, 599), (0, Some(510), vec![]));
        assert_eq!(advance(&mut ring, 600), (510, None, vec![0]));
        // Asleep for longer than any key lives.
        assert_eq!(advance(&mut ring, 9000), (9000, None, vec![]));
        assert!(!ring.advance(9001, || Ok(made(9001)), |key| *key).unwrap());
    }

    #[test]
    fn ahead_of_time() {
        let mut ring = Ring::new(made(0));
        let mut rotate = |what, at| ring.rotate(what, || Ok(made(at)), |key| *key).unwrap();
        assert!(rotate(Rotation::Prepare, 1));
        assert!(!rotate(Rotation::Prepare, 2));
        assert!(rotate(Rotation::Activate, 3));
        assert!(rotate(Rotation::Activate, 4));
        assert!(rotate(Rotation::Forget, 5));
        assert!(!rotate(Rotation::Forget, 6));
        assert_eq!(ring.published(|key| *key), [4]);
    }
}
