use data_encoding::{BASE64, HEXLOWER};
use serde::Deserialize;

use super::chain::Chain;
use super::key::LogKey;
use crate::control::Timestamp;

const PURPOSE: &[u8] = b"countersign audit head 1\n";
const SIGNATURE: &str = ",\"signature\":\"";
const END: &str = "\"}\n";

/// How far a log was on the disk, signed. It is a file of its own, written anew after the log was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The last line that is known to be on the disk.
    pub at: Chain,
    /// When that was known.
    pub time: Timestamp,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Form<'a> {
    seq: u64,
    line: &'a str,
    time: Timestamp,
    signature: &'a str,
}

impl Head {
    /// The file.
    pub fn write<E>(&self, sign: impl FnOnce(&[u8]) -> Result<[u8; 64], E>) -> Result<String, E> {
        let content =
            format!("{{\"seq\":{},\"line\":\"{}\",\"time\":\"{}\"", self.at.seq, self.at.hash_text(), self.time);
        let signature = BASE64.encode(&sign(&message(&content))?);
        Ok(format!("{content}{SIGNATURE}{signature}{END}"))
    }

    /// Reads the file. The error says what is wrong with it.
    pub fn read(text: &str, key: &LogKey) -> Result<Head, String> {
        let form: Form<'_> = serde_json::from_str(text).map_err(|_| "it is not the head of a log".to_owned())?;
        let signed = text.split_once(SIGNATURE).is_some_and(|(content, rest)| {
            // Byte for byte: nothing that is not signed has a place in it.
            rest.strip_suffix(END) == Some(form.signature) && key.has_signed(&message(content), form.signature)
        });
        if !signed {
            return Err("its signature is not one of the key of the log".into());
        }
        let mut hash = [0; 32];
        match HEXLOWER.decode_mut(form.line.as_bytes(), &mut hash) {
            Ok(32) if form.line.len() == 64 => {}
            _ => return Err("it is not the head of a log".into()),
        }
        Ok(Head { at: Chain { seq: form.seq, hash }, time: form.time })
    }
}

fn message(content: &str) -> Vec<u8> {
    [PURPOSE, content.as_bytes()].concat()
}
