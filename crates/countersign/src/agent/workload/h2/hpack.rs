//! Header blocks (HPACK, RFC 7541) with another `:authority` in them.
//!
//! A block is taken apart as far as it must be to know which fields it holds, and written again without the dynamic
//! table. Texts stay as they came, Huffman code included: the HTTP/2 library behind this reads and validates them. Of a
//! Huffman-coded text only the length matters here (4.1), so that our dynamic table forgets what the client's forgets.

use std::collections::VecDeque;

use super::literal::{BlockFault, Text, integer, put_integer, put_text, text};

/// The size of the dynamic table while nothing else was agreed on (RFC 9113 6.5.2).
const TABLE_BYTES: usize = 4096;
/// What an entry costs beyond its texts (4.1).
const ENTRY_OVERHEAD: usize = 32;
/// `:authority` in the static table.
const AUTHORITY: usize = 1;
/// The field that takes its place: literal without indexing, name 1, nine octets as they are.
const LOCALHOST: &[u8] = b"\x01\x09localhost";
/// `:authority` as a literal name: as it is, and in Huffman code.
const AUTHORITY_NAMES: [(bool, &[u8]); 2] =
    [(false, b":authority"), (true, &[0xb8, 0x3b, 0x53, 0x39, 0xec, 0x32, 0x7d, 0x7f])];

/// Lengths of the names in the static table (Appendix A), for the entries that borrow a name from there.
const STATIC_NAMES: [u8; 61] = [
    10, 7, 7, 5, 5, 7, 7, 7, 7, 7, 7, 7, 7, 7, 14, 15, 15, 13, 6, 27, 3, 5, 13, 13, 19, 16, 16, 14, 16, 13, 12, 6, 4,
    4, 6, 7, 4, 4, 8, 17, 13, 8, 19, 13, 4, 8, 12, 18, 19, 5, 7, 7, 11, 6, 10, 25, 17, 10, 4, 3, 16,
];

/// The dynamic table of a client's encoder, and the rewriting of its blocks.
pub(in crate::agent) struct Rewriter {
    entries: VecDeque<Entry>,
    size: usize,
    limit: usize,
}

struct Entry {
    name: Name,
    value: Text,
}

/// Where a name comes from.
#[derive(Clone)]
enum Name {
    Static(usize),
    Literal(Text),
}

impl Rewriter {
    pub(in crate::agent) fn new() -> Rewriter {
        Rewriter { entries: VecDeque::new(), size: 0, limit: TABLE_BYTES }
    }

    /// The same fields in the same order, `:authority` being `localhost`, in at most `most` bytes.
    pub(in crate::agent) fn rewrite(&mut self, block: &[u8], most: usize) -> Result<Vec<u8>, BlockFault> {
        let mut rest = block;
        let mut written = Vec::with_capacity(block.len() + 128);
        while let Some(&first) = rest.first() {
            match first {
                0x80.. => match integer(&mut rest, 7)? {
                    0 => return Err(BlockFault::Malformed),
                    AUTHORITY => written.extend_from_slice(LOCALHOST),
                    index if index <= STATIC_NAMES.len() => put_integer(&mut written, 0x80, 7, index),
                    index => {
                        let entry = self.entry(index)?;
                        put_field(&mut written, 0, &entry.name, &entry.value);
                    }
                },
                // A new limit for the table. The limit of the reader behind us stays what it is: its table is empty.
                0x20..0x40 => {
                    let limit = integer(&mut rest, 5)?;
                    if limit > TABLE_BYTES {
                        return Err(BlockFault::Malformed);
                    }
                    self.limit = limit;
                    self.evict(0);
                }
                _ => {
                    let (kind, prefix) = match first {
                        0x40.. => (0, 6),
                        // Never indexed stays that.
                        first => (first & 0x10, 4),
                    };
                    let name = match integer(&mut rest, prefix)? {
                        0 => Name::Literal(text(&mut rest)?),
                        index if index <= STATIC_NAMES.len() => Name::Static(index),
                        index => self.entry(index)?.name.clone(),
                    };
                    let value = text(&mut rest)?;
                    put_field(&mut written, kind, &name, &value);
                    if prefix == 6 {
                        self.add(Entry { name, value });
                    }
                }
            }
            if written.len() > most {
                return Err(BlockFault::TooLarge);
            }
        }
        Ok(written)
    }

    fn entry(&self, index: usize) -> Result<&Entry, BlockFault> {
        self.entries.get(index - STATIC_NAMES.len() - 1).ok_or(BlockFault::Malformed)
    }

    fn add(&mut self, entry: Entry) {
        let size = entry.size();
        self.evict(size);
        // One that is larger than the table empties it and is not taken (4.4).
        if size <= self.limit {
            self.size += size;
            self.entries.push_front(entry);
        }
    }

    fn evict(&mut self, room: usize) {
        while self.size + room > self.limit {
            let Some(oldest) = self.entries.pop_back() else { return };
            self.size -= oldest.size();
        }
    }
}

impl Entry {
    fn size(&self) -> usize {
        let name = match &self.name {
            Name::Static(index) => usize::from(STATIC_NAMES[index - 1]),
            Name::Literal(name) => name.length,
        };
        name + self.value.length + ENTRY_OVERHEAD
    }
}

impl Name {
    fn is_authority(&self) -> bool {
        match self {
            Name::Static(index) => *index == AUTHORITY,
            Name::Literal(text) => AUTHORITY_NAMES.contains(&(text.huffman, &text.bytes)),
        }
    }
}

fn put_field(written: &mut Vec<u8>, kind: u8, name: &Name, value: &Text) {
    if name.is_authority() {
        return written.extend_from_slice(LOCALHOST);
    }
    match name {
        Name::Static(index) => put_integer(written, kind, 4, *index),
        Name::Literal(name) => {
            written.push(kind);
            put_text(written, name);
        }
    }
    put_text(written, value);
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a block that cannot be made fails the test
mod tests {
    use loona_hpack::{Decoder, Encoder};
    use proptest::prelude::*;

    use super::*;

    type Fields = Vec<(Vec<u8>, Vec<u8>)>;

    fn field(name: &str, value: &str) -> (Vec<u8>, Vec<u8>) {
        (name.as_bytes().to_vec(), value.as_bytes().to_vec())
    }

    fn expected(fields: &Fields) -> Fields {
        let swap = |(name, value): &(Vec<u8>, Vec<u8>)| match &name[..] {
            b":authority" => field(":authority", "localhost"),
            _ => (name.clone(), value.clone()),
        };
        fields.iter().map(swap).collect()
    }

    /// A reader with a table of its own, which must stay empty.
    fn read(block: &[u8]) -> Fields {
        Decoder::new().decode(block).unwrap()
    }

    #[test]
    fn the_examples_of_the_standard() {
        // C.3 plain, C.4 in Huffman code: three requests that build on each other.
        let hex = |text: &str| data_encoding::HEXLOWER.decode(text.replace(' ', "").as_bytes()).unwrap();
        for blocks in [
            [
                "828684410f7777772e6578616d706c652e636f6d",
                "828684be58086e6f2d6361636865",
                "828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565",
            ],
            [
                "828684418cf1e3c2e5f23a6ba0ab90f4ff",
                "828684be5886a8eb10649cbf",
                "828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf",
            ],
        ] {
            let mut rewriter = Rewriter::new();
            let mut peer = Decoder::new();
            for block in blocks.map(hex) {
                let fields = peer.decode(&block).unwrap();
                assert_eq!(fields[3], field(":authority", "www.example.com"));
                assert_eq!(read(&rewriter.rewrite(&block, 1000).unwrap()), expected(&fields));
            }
            assert_eq!(rewriter.size, 164);
        }
    }

    #[test]
    fn an_authority_is_found_however_it_is_written() {
        let huffman_name = [&[0x00, 0x88][..], AUTHORITY_NAMES[1].1, b"\x01x"].concat();
        let mut decoder = Decoder::new();
        assert_eq!(decoder.decode(&huffman_name).unwrap(), [field(":authority", "x")]);
        for block in [&b"\x81"[..], b"\x01\x00", b"\x41\x00", b"\x11\x01x", b"\x00\x0a:authority\x01x", &huffman_name] {
            assert_eq!(read(&Rewriter::new().rewrite(block, 100).unwrap()), [field(":authority", "localhost")]);
        }
        // From the dynamic table, too.
        let mut rewriter = Rewriter::new();
        rewriter.rewrite(b"\x40\x0a:authority\x16%2Ftmp%2Fworkload.sock", 100).unwrap();
        assert_eq!(read(&rewriter.rewrite(b"\xbe", 100).unwrap()), [field(":authority", "localhost")]);
    }

    #[test]
    fn broken_blocks_are_refused() {
        let fault = |block: &[u8]| Rewriter::new().rewrite(block, 1000).err();
        for block in [
            &b"\x80"[..],                // no index
            b"\xbe",                     // nothing in the dynamic table
            b"\xff\xff\xff\xff\x0f",     // an index without end
            b"\x7f\x00\x01x",            // a name that is not there
            b"\x40",                     // no name
            b"\x40\x05abc",              // less than announced
            b"\x3f\xe2\x1f",             // a table larger than agreed
            b"\x41\x81\x00",             // padding of zeros
            b"\x41\x82\xff\xff",         // padding of more than an octet
            b"\x41\x84\xff\xff\xff\xff", // the end, written out
        ] {
            assert_eq!(fault(block), Some(BlockFault::Malformed), "{block:02x?}");
        }
        // A few bytes that unfold to many.
        let mut bomb = [&b"\x40\x01a\x7f\x81\x1e"[..], &[b'x'; 4000]].concat();
        bomb.extend_from_slice(&[0xbe; 1000]);
        assert_eq!(Rewriter::new().rewrite(&bomb, 16_384).err(), Some(BlockFault::TooLarge));
    }

    proptest! {
        /// Blocks of another library's encoder, one after the other, with everything it indexes and evicts.
        #[test]
        fn another_library_reads_the_same(
            blocks in prop::collection::vec(
                prop::collection::vec((0..12_usize, prop::collection::vec(any::<u8>(), 0..900)), 0..12),
                1..30,
            )
        ) {
            let names = [
                ":authority", ":path", ":method", "te", "content-type", "workload.spiffe.io", "user-agent", "a", "b",
                "x-long-name-of-its-own", "cookie", "grpc-timeout",
            ];
            let (mut encoder, mut rewriter) = (Encoder::new(), Rewriter::new());
            for block in blocks {
                let fields: Fields =
                    block.into_iter().map(|(name, value)| (names[name].as_bytes().to_vec(), value)).collect();
                let encoded = encoder.encode(fields.iter().map(|(name, value)| (&name[..], &value[..])));
                prop_assert_eq!(read(&rewriter.rewrite(&encoded, 1 << 20).unwrap()), expected(&fields));
            }
        }

        /// Any bytes are a block or a fault: no panic.
        #[test]
        fn nothing_makes_it_panic(blocks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 1..8)) {
            let mut rewriter = Rewriter::new();
            let mut peer = Decoder::new();
            peer.set_max_allowed_table_size(TABLE_BYTES);
            for block in blocks {
                let Ok(written) = rewriter.rewrite(&block, 1 << 20) else { return Ok(()) };
                // Where the other library can read it as well, it reads the same.
                let Ok(fields) = peer.decode(&block) else { return Ok(()) };
                prop_assert_eq!(read(&written), expected(&fields));
            }
        }
    }
}
