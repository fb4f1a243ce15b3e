//! gRPC's framing: one byte that says whether a message is compressed, four bytes of length, the message.

use prost::Message;
use prost::bytes::{Buf, Bytes};
use zeroize::Zeroizing;

use crate::spiffe::limits::MESSAGE_BYTES;

/// The bytes in front of a message.
const HEAD: usize = 5;

/// A message with its frame around it. It may hold a private key: it is wiped.
pub fn frame(message: &impl Message) -> Bytes {
    let length = message.encoded_len();
    let mut framed = Zeroizing::new(Vec::with_capacity(HEAD + length));
    framed.push(0);
    framed.extend_from_slice(&(length as u32).to_be_bytes());
    // Room was made for all of it.
    let _ = message.encode(&mut *framed);
    Bytes::from_owner(Wiped(framed))
}

/// What keeps bytes from being a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameFault {
    /// The message is longer than is read.
    TooLarge(usize),
    /// The flag says compressed; no compression was agreed on.
    Compressed,
    /// The flag is neither 0 nor 1.
    Flag,
}

/// Puts messages together out of the pieces they arrive in. What is held here may be a private key: it is wiped.
pub struct Messages {
    limit: usize,
    head: [u8; HEAD],
    /// How many bytes of the head are there.
    headed: usize,
    body: Zeroizing<Vec<u8>>,
    /// How long the body will be, once the head is known.
    length: usize,
}

impl Default for Messages {
    fn default() -> Messages {
        Messages::with_limit(MESSAGE_BYTES)
    }
}

impl Messages {
    /// Messages of at most so many bytes.
    pub fn with_limit(limit: usize) -> Messages {
        Messages { limit, head: [0; HEAD], headed: 0, body: Zeroizing::default(), length: 0 }
    }

    /// Takes bytes from the front of a piece. `Some`: a message is complete; the rest of the piece is for the next
    /// call.
    pub fn take(&mut self, piece: &mut Bytes) -> Result<Option<Bytes>, FrameFault> {
        while self.headed < HEAD {
            if piece.is_empty() {
                return Ok(None);
            }
            self.head[self.headed] = piece.get_u8();
            self.headed += 1;
            if self.headed == HEAD {
                self.begin()?;
            }
        }
        let count = piece.len().min(self.length - self.body.len());
        self.body.extend_from_slice(&piece.split_to(count));
        if self.body.len() < self.length {
            return Ok(None);
        }
        self.headed = 0;
        let body = std::mem::take(&mut self.body);
        // Slices of it share the owner; the last one to go wipes it.
        Ok(Some(Bytes::from_owner(Wiped(body))))
    }

    fn begin(&mut self) -> Result<(), FrameFault> {
        match self.head[0] {
            0 => {}
            1 => return Err(FrameFault::Compressed),
            _ => return Err(FrameFault::Flag),
        }
        let [_, length @ ..] = self.head;
        self.length = u32::from_be_bytes(length) as usize;
        if self.length > self.limit {
            return Err(FrameFault::TooLarge(self.length));
        }
        // The announced length is only a promise: a large buffer grows with what really comes. Growing wipes nothing,
        // so the common sizes get their room at once.
        self.body = Zeroizing::new(Vec::with_capacity(self.length.min(1 << 20)));
        Ok(())
    }

    /// Whether a message has begun and not ended.
    pub fn is_amidst(&self) -> bool {
        self.headed > 0
    }
}

/// Secret bytes that are wiped when the last slice of them is dropped.
pub fn wiped(bytes: Zeroizing<Vec<u8>>) -> Bytes {
    Bytes::from_owner(Wiped(bytes))
}

struct Wiped(Zeroizing<Vec<u8>>);

impl AsRef<[u8]> for Wiped {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spiffe::workload_api::proto::JwtSvidRequest;

    fn request(audience: &str) -> JwtSvidRequest {
        JwtSvidRequest { audience: vec![audience.to_owned()], spiffe_id: String::new() }
    }

    #[test]
    fn messages_survive_every_cut() {
        let sent = [request("a"), request(&"b".repeat(300)), JwtSvidRequest::default()];
        let all: Vec<u8> = sent.iter().flat_map(|message| frame(message).to_vec()).collect();
        for size in 1..all.len() {
            let mut messages = Messages::default();
            let mut read = Vec::new();
            for piece in all.chunks(size) {
                let mut piece = Bytes::copy_from_slice(piece);
                while let Some(message) = messages.take(&mut piece).unwrap() {
                    read.push(JwtSvidRequest::decode(message).unwrap());
                }
                assert!(piece.is_empty());
            }
            assert_eq!(read, sent, "pieces of {size}");
            assert!(!messages.is_amidst());
        }
        let mut messages = Messages::default();
        assert_eq!(messages.take(&mut Bytes::copy_from_slice(&all[..7])), Ok(None));
        assert!(messages.is_amidst());
    }

    #[test]
    fn compressed_and_unknown_frames_are_refused() {
        let take = |bytes: &[u8]| Messages::default().take(&mut Bytes::copy_from_slice(bytes));
        assert_eq!(take(&[1, 0, 0, 0, 0]), Err(FrameFault::Compressed));
        assert_eq!(take(&[9, 0, 0, 0, 0]), Err(FrameFault::Flag));
        assert_eq!(take(&[0, 0xff, 0xff, 0xff, 0xff]), Err(FrameFault::TooLarge(0xffff_ffff)));
        assert_eq!(take(&[0, 0, 0, 0, 0]), Ok(Some(Bytes::new())));
    }
}
