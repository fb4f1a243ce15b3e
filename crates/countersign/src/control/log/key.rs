use std::fmt;

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use data_encoding::BASE64;

/// In front of the key in its DER form (RFC 8410 4).
const SPKI: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// The public half of the key a log is signed with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct LogKey(pub [u8; 32]);

/// A text that is no such key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an Ed25519 public key, as PEM or as the base64 of its 32 bytes")]
pub struct LogKeyError;

impl LogKey {
    /// Reads PEM (`PUBLIC KEY`), or the base64 of the 32 bytes, as the log has it.
    pub fn parse(text: &str) -> Result<LogKey, LogKeyError> {
        let text = text.trim();
        let base64: String = match text.strip_prefix("-----BEGIN PUBLIC KEY-----") {
            Some(rest) => {
                rest.strip_suffix("-----END PUBLIC KEY-----").ok_or(LogKeyError)?.split_whitespace().collect()
            }
            None => text.to_owned(),
        };
        let bytes = BASE64.decode(base64.as_bytes()).map_err(|_| LogKeyError)?;
        let raw = bytes.strip_prefix(&SPKI).unwrap_or(&bytes);
        raw.try_into().map(LogKey).map_err(|_| LogKeyError)
    }

    /// The base64 of the 32 bytes.
    pub fn to_base64(self) -> String {
        BASE64.encode(&self.0)
    }

    /// As other tools read it.
    pub fn to_pem(self) -> String {
        format!(
            "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
            BASE64.encode(&[&SPKI[..], &self.0].concat())
        )
    }

    /// Is this the signature over that message, by this key? The signature is base64.
    pub(super) fn has_signed(&self, message: &[u8], signature: &str) -> bool {
        let Ok(signature) = BASE64.decode(signature.as_bytes()) else { return false };
        UnparsedPublicKey::new(&ED25519, self.0).verify(message, &signature).is_ok()
    }
}

impl fmt::Debug for LogKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LogKey({})", self.to_base64())
    }
}
