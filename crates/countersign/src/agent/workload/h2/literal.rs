//! Integers and texts of a header block (RFC 7541, section 5), read and written.

/// The code of Appendix B is canonical: of each length, the first code and how many there are.
const CODES: [(u32, u32, u32); 21] = [
    (5, 0x0, 10),
    (6, 0x14, 26),
    (7, 0x5c, 32),
    (8, 0xf8, 6),
    (10, 0x3f8, 5),
    (11, 0x7fa, 3),
    (12, 0xffa, 2),
    (13, 0x1ff8, 6),
    (14, 0x3ffc, 2),
    (15, 0x7ffc, 3),
    (19, 0x7fff0, 3),
    (20, 0xfffe6, 8),
    (21, 0x1fffdc, 13),
    (22, 0x3fffd2, 26),
    (23, 0x7fffd8, 29),
    (24, 0xffffea, 12),
    (25, 0x1ffffec, 4),
    (26, 0x3ffffe0, 15),
    (27, 0x7ffffde, 19),
    (28, 0xfffffe2, 29),
    (30, 0x3ffffffc, 4),
];

/// What keeps a block from being written again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BlockFault {
    /// The block breaks a rule of HPACK.
    Malformed,
    /// It unfolds to more than is taken.
    TooLarge,
}

/// A text as it came.
#[derive(Clone)]
pub(super) struct Text {
    pub(super) huffman: bool,
    pub(super) bytes: Box<[u8]>,
    /// Its length when decoded.
    pub(super) length: usize,
}

pub(super) fn put_text(written: &mut Vec<u8>, text: &Text) {
    put_integer(written, if text.huffman { 0x80 } else { 0 }, 7, text.bytes.len());
    written.extend_from_slice(&text.bytes);
}

/// 5.1, with `head` in the bits above the prefix.
pub(super) fn put_integer(written: &mut Vec<u8>, head: u8, prefix: u32, value: usize) {
    let most = (1 << prefix) - 1;
    if value < most {
        return written.push(head | value as u8);
    }
    written.push(head | most as u8);
    let mut rest = value - most;
    while rest >= 0x80 {
        written.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    written.push(rest as u8);
}

/// 5.1. Nothing here is as large as 2^21.
pub(super) fn integer(rest: &mut &[u8], prefix: u32) -> Result<usize, BlockFault> {
    let most = (1 << prefix) - 1;
    let mut value = usize::from(byte(rest)?) & most;
    if value < most {
        return Ok(value);
    }
    for shift in [0, 7, 14] {
        let next = byte(rest)?;
        value += usize::from(next & 0x7f) << shift;
        if next & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(BlockFault::Malformed)
}

pub(super) fn byte(rest: &mut &[u8]) -> Result<u8, BlockFault> {
    let (first, after) = rest.split_first().ok_or(BlockFault::Malformed)?;
    *rest = after;
    Ok(*first)
}

/// 5.2.
pub(super) fn text(rest: &mut &[u8]) -> Result<Text, BlockFault> {
    let huffman = rest.first().is_some_and(|first| first & 0x80 != 0);
    let length = integer(rest, 7)?;
    let (bytes, after) = rest.split_at_checked(length).ok_or(BlockFault::Malformed)?;
    *rest = after;
    let length = if huffman { huffman_length(bytes)? } else { length };
    Ok(Text { huffman, bytes: bytes.into(), length })
}

/// How many octets a Huffman-coded text has when decoded. What is left at the end is padding, of less than an octet.
fn huffman_length(bytes: &[u8]) -> Result<usize, BlockFault> {
    let (mut count, mut bits, mut held) = (0, 0_u64, 0);
    let mut bytes = bytes.iter();
    loop {
        while held <= 32
            && let Some(byte) = bytes.next()
        {
            bits = bits << 8 | u64::from(*byte);
            held += 8;
        }
        let found = CODES.iter().find(|(length, first, codes)| {
            held >= *length && {
                let code = (bits >> (held - length)) as u32 & (u32::MAX >> (32 - length));
                code >= *first && code - first < *codes
            }
        });
        match found {
            // The last code of all means the end, which must not be written (5.2).
            Some((30, ..)) if (bits >> (held - 30)) & 0x3fff_ffff == 0x3fff_ffff => return Err(BlockFault::Malformed),
            Some((length, ..)) => {
                held -= length;
                count += 1;
            }
            None if held < 8 && bits & ((1 << held) - 1) == (1 << held) - 1 => return Ok(count),
            None => return Err(BlockFault::Malformed),
        }
    }
}
