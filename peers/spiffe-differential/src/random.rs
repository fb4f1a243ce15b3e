//! A small generator of pseudo-random numbers: a run must be repeatable from its seed, and nothing more.

pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// xorshift64*
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub fn below(&mut self, end: usize) -> usize {
        (self.next() >> 16) as usize % end.max(1)
    }

    pub fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }

    /// Changes, inserts, removes, repeats or cuts bytes in one to three places.
    pub fn mutate(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..=self.below(3) {
            if bytes.is_empty() {
                bytes.push(self.next() as u8);
                continue;
            }
            let place = self.below(bytes.len());
            match self.below(7) {
                0 => bytes[place] ^= 1 << self.below(8),
                1 => bytes[place] = self.next() as u8,
                2 => bytes[place] = bytes[place].wrapping_add(1),
                3 => bytes.insert(place, self.next() as u8),
                4 => drop(bytes.remove(place)),
                5 => {
                    let end = (place + 1 + self.below(8)).min(bytes.len());
                    let again = bytes[place..end].to_vec();
                    bytes.splice(place..place, again);
                }
                _ if self.one_in(8) => bytes.truncate(place),
                _ => bytes[place] ^= 0x80,
            }
        }
    }
}
