//! Where one DER value ends and the next begins: enough to take a concatenation of certificates apart without reading
//! them.

use std::ops::Range;

const SEQUENCE: u8 = 0x30;

/// The concatenation does not split into DER sequences.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotDer;

/// The range of every value in a concatenation of DER sequences (the form of the Workload API, 5.2.1). At most `limit`
/// values are looked for; `None` when there are more.
pub(crate) fn split_sequences(der: &[u8], limit: usize) -> Result<Option<Vec<Range<usize>>>, NotDer> {
    let mut ranges = Vec::new();
    let mut start = 0;
    while start < der.len() {
        if ranges.len() == limit {
            return Ok(None);
        }
        let end = start + sequence_len(&der[start..]).ok_or(NotDer)?;
        ranges.push(start..end);
        start = end;
    }
    Ok(Some(ranges))
}

/// The length of the sequence at the start, header included, when all of it is there. X.690 10.1: the length is written
/// in the fewest bytes.
fn sequence_len(der: &[u8]) -> Option<usize> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    if tag != SEQUENCE {
        return None;
    }
    let (header, content) = match first {
        0..=0x7f => (2, usize::from(first)),
        0x81..=0x84 => {
            let count = usize::from(first & 0x7f);
            let bytes = rest.get(..count)?;
            let content = bytes.iter().fold(0u64, |sum, byte| sum << 8 | u64::from(*byte));
            if bytes[0] == 0 || content < 0x80 {
                return None;
            }
            (2 + count, usize::try_from(content).ok()?)
        }
        // 0x80 is the indefinite length of BER.
        _ => return None,
    };
    let whole = header.checked_add(content)?;
    (whole <= der.len()).then_some(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_a_concatenation() {
        let der = [0x30, 0x01, 0xaa, 0x30, 0x00];
        assert_eq!(split_sequences(&der, 9), Ok(Some(vec![0..3, 3..5])));
        assert_eq!(split_sequences(&der, 1), Ok(None));
        assert_eq!(split_sequences(&[], 9), Ok(Some(vec![])));
    }

    #[test]
    fn long_lengths() {
        let mut der = vec![0x30, 0x82, 0x01, 0x00];
        der.extend([0; 256]);
        let whole = 0..260;
        assert_eq!(split_sequences(&der, 9), Ok(Some(vec![whole])));
        der.pop();
        assert_eq!(split_sequences(&der, 9), Err(NotDer));
    }

    #[test]
    fn refuses_what_is_not_der() {
        for der in [
            &[0x31, 0x00][..],                           // a set
            &[0x30],                                     // no length
            &[0x30, 0x80, 0x00, 0x00],                   // indefinite length
            &[0x30, 0x81, 0x01, 0x00],                   // a length in more bytes than needed
            &[0x30, 0x82, 0x00, 0x01, 0x00],             // the same
            &[0x30, 0x85, 0x01, 0x00, 0x00, 0x00, 0x00], // more than four bytes of length
            &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff],       // longer than there is
        ] {
            assert_eq!(split_sequences(der, 9), Err(NotDer), "{der:02x?}");
        }
    }
}
