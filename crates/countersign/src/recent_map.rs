//! A map that keeps what was used last.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;

/// A map of bounded size. When it is full, a new entry takes the place of the one that was not used for longest.
#[derive(Debug)]
pub(crate) struct RecentMap<K, V> {
    entries: HashMap<K, Entry<V>>,
    most: usize,
    /// Counts uses: each entry has the number of its last one.
    uses: u64,
}

#[derive(Debug)]
struct Entry<V> {
    value: V,
    last_use: u64,
}

impl<K: Eq + Hash + Clone, V> RecentMap<K, V> {
    /// An empty map for so many entries.
    pub(crate) fn new(most: usize) -> RecentMap<K, V> {
        RecentMap { entries: HashMap::new(), most, uses: 0 }
    }

    /// The value of a key. This counts as a use of it.
    pub(crate) fn get<Q: Eq + Hash + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        let entry = self.entries.get_mut(key)?;
        self.uses += 1;
        entry.last_use = self.uses;
        Some(&mut entry.value)
    }

    /// The value of a key, without counting as a use.
    pub(crate) fn peek<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.entries.get(key).map(|entry| &entry.value)
    }

    /// Puts a value in place of the one the key had.
    pub(crate) fn insert(&mut self, key: K, value: V) {
        if self.entries.len() >= self.most && !self.entries.contains_key(&key) {
            self.remove_least_recent();
        }
        self.uses += 1;
        self.entries.insert(key, Entry { value, last_use: self.uses });
    }

    /// Removes a key.
    pub(crate) fn remove<Q: Eq + Hash + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        self.entries.remove(key).map(|entry| entry.value)
    }

    /// All values, in no particular order.
    pub(crate) fn values(&self) -> impl Iterator<Item = &V> {
        self.entries.values().map(|entry| &entry.value)
    }

    /// How many entries there are.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Removes everything.
    pub(crate) fn clear(&mut self) {
        self.entries.clear();
    }

    /// The maps are small, and what is put into them costs more to make than this search.
    fn remove_least_recent(&mut self) {
        let oldest = self.entries.iter().min_by_key(|(_, entry)| entry.last_use);
        if let Some(key) = oldest.map(|(key, _)| key.clone()) {
            self.entries.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_entry_that_was_not_used_for_longest_is_replaced() {
        let mut map = RecentMap::new(3);
        for key in ["a", "b", "c"] {
            map.insert(key, key.len());
        }
        assert!(map.get("a").is_some());
        map.insert("d", 1);
        assert_eq!(map.len(), 3);
        assert!(map.peek("b").is_none());
        for key in ["a", "c", "d"] {
            assert!(map.peek(key).is_some(), "{key}");
        }
    }

    #[test]
    fn a_new_value_of_a_key_is_a_use_and_takes_no_further_place() {
        let mut map = RecentMap::new(2);
        map.insert(1, "one");
        map.insert(2, "two");
        map.insert(1, "uno");
        assert_eq!((map.len(), map.peek(&1)), (2, Some(&"uno")));
        map.insert(3, "three");
        assert!(map.peek(&2).is_none());
        assert!(map.peek(&1).is_some());
    }

    #[test]
    fn looking_without_use_does_not_keep_an_entry() {
        let mut map = RecentMap::new(2);
        map.insert(1, ());
        map.insert(2, ());
        assert!(map.peek(&1).is_some());
        map.insert(3, ());
        assert!(map.peek(&1).is_none());
    }

    #[test]
    fn size_is_bounded_and_entries_can_be_removed() {
        let mut map = RecentMap::new(8);
        for key in 0..1000 {
            map.insert(key, key);
            assert!(map.len() <= 8);
        }
        assert_eq!(map.remove(&999), Some(999));
        assert_eq!(map.remove(&0), None);
        assert_eq!(map.values().sum::<i32>(), (992..999).sum::<i32>());
        map.clear();
        assert_eq!(map.len(), 0);
    }
}
