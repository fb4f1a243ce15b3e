use std::io::Write;

use data_encoding::{BASE64, HEXLOWER};
use sha2::{Digest, Sha256};

use crate::control::Timestamp;

/// The event of a line that signs what stands before it.
pub const SIGNED: &str = "signed";
/// What stands between the content of a line and its hash.
pub(super) const HASH: &str = ",\"hash\":\"";
/// What stands behind the hash.
pub(super) const END: &str = "\"}";
/// In front of what is signed, so that no signature over anything else can be taken for one over a log.
const PURPOSE: &[u8] = b"countersign audit log 1\n";

/// How far a log has come: the number and the hash of its last line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Chain {
    /// The number of the last line; 0 before the first.
    pub seq: u64,
    /// The hash of the last line; zeros before the first.
    pub hash: [u8; 32],
}

/// What a line says besides its number and its hash.
pub struct Event<'a> {
    /// When.
    pub time: Timestamp,
    /// What kind.
    pub name: &'a str,
    /// The other members of the object, as JSON, without braces; may be empty.
    pub members: &'a str,
}

impl Chain {
    /// Puts a line behind the others.
    pub fn append(&mut self, lines: &mut Vec<u8>, event: &Event<'_>) {
        let start = lines.len();
        self.seq += 1;
        // Writing to memory does not fail.
        let _ = write!(lines, "{{\"seq\":{},\"time\":\"", self.seq);
        lines.extend_from_slice(&event.time.to_bytes());
        lines.extend_from_slice(b"\",\"event\":\"");
        lines.extend_from_slice(event.name.as_bytes());
        lines.push(b'"');
        if !event.members.is_empty() {
            lines.push(b',');
            lines.extend_from_slice(event.members.as_bytes());
        }
        self.hash = self.hash_of(&lines[start..]);
        lines.extend_from_slice(HASH.as_bytes());
        let mut digits = [0; 64];
        HEXLOWER.encode_mut(&self.hash, &mut digits);
        lines.extend_from_slice(&digits);
        lines.extend_from_slice(END.as_bytes());
        lines.push(b'\n');
    }

    /// Puts a line behind the others that signs them.
    pub fn sign<E>(
        &mut self,
        lines: &mut Vec<u8>,
        time: Timestamp,
        sign: impl FnOnce(&[u8]) -> Result<[u8; 64], E>,
    ) -> Result<(), E> {
        let signature = sign(&self.message())?;
        let members = format!("\"signature\":\"{}\"", BASE64.encode(&signature));
        self.append(lines, &Event { time, name: SIGNED, members: &members });
        Ok(())
    }

    /// What is signed when everything up to here is.
    pub(super) fn message(&self) -> Vec<u8> {
        let mut message = PURPOSE.to_vec();
        message.extend_from_slice(self.hash_text().as_bytes());
        message
    }

    /// The hash as it stands in the log.
    pub fn hash_text(&self) -> String {
        HEXLOWER.encode(&self.hash)
    }

    /// The hash of a line that follows, of which this is everything before the hash.
    pub(super) fn hash_of(&self, content: &[u8]) -> [u8; 32] {
        let mut hasher = Sha256::new();
        hasher.update(self.hash);
        hasher.update(content);
        hasher.finalize().into()
    }
}
