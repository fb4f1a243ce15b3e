use std::borrow::Cow;
use std::io::{self, BufRead, Read};

use data_encoding::HEXLOWER;
use serde::Deserialize;

use super::chain::{Chain, END, HASH, SIGNED};
use super::key::LogKey;
use crate::control::Timestamp;

/// The longest line that is looked at.
const MAX_LINE: u64 = 1024 * 1024;
/// The format of the log.
pub const FORMAT: u32 = 1;

/// What is known of a log while its files are read, one after the other.
#[derive(Debug, Clone, Default)]
pub struct Scan {
    /// The last line.
    pub chain: Chain,
    /// The first line that was read.
    pub first: Option<(u64, Timestamp)>,
    /// When the last line was written.
    pub last_time: Option<Timestamp>,
    /// The key, as the log names it.
    pub key: Option<LogKey>,
    /// The keys that may be named; none: any.
    pub allowed: Vec<LogKey>,
    /// The last line a signature stands for.
    pub signed: u64,
    /// Through this line the agent itself has removed what was there.
    pub removed: u64,
    /// The first line whose time lies before that of the line before it.
    pub went_back: Option<u64>,
    /// Lines whose hashes are wanted, and what they are when they came by.
    pub marks: Vec<(u64, Option<[u8; 32]>)>,
    /// The last two events: a file that was full ends with `rotated`, `signed`.
    pub events: [Option<End>; 2],
    /// Set by the first line of a file until its key has verified a signature.
    signature: Option<PendingSignature>,
}

/// The events that end a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The file was full.
    Rotated,
    /// What stands before was signed.
    Signed,
}

#[derive(Debug, Clone)]
struct PendingSignature {
    line: u64,
    message: Vec<u8>,
    text: String,
}

/// Where the lines of one file ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileEnd {
    /// Bytes of whole lines.
    pub whole: u64,
    /// Bytes behind the last line feed: a line that was being written.
    pub torn: u64,
}

/// Where a file is not what was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct Flaw {
    /// The line of the file, from 1.
    pub line: u64,
    /// Bytes of the file that hold together.
    pub whole: u64,
    /// What is wrong.
    pub reason: String,
}

/// Why a file could not be read to its end.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// The operating system failed us.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is not what was written.
    #[error(transparent)]
    Flaw(Flaw),
}

/// What is read of the few lines that say something about the log itself.
#[derive(Deserialize)]
struct About<'a> {
    format: Option<u32>,
    #[serde(borrow)]
    prev: Option<Cow<'a, str>>,
    #[serde(borrow)]
    key: Option<Cow<'a, str>>,
    #[serde(borrow)]
    signature: Option<Cow<'a, str>>,
    through: Option<u64>,
}

impl Scan {
    /// Nothing is read yet. With keys, no other may be named; the lines with these numbers are remembered.
    pub fn new(allowed: Vec<LogKey>, marks: impl IntoIterator<Item = u64>) -> Scan {
        Scan { allowed, marks: marks.into_iter().map(|seq| (seq, None)).collect(), ..Scan::default() }
    }

    /// Reads the next file of the log. Signatures are checked by the last of the file: it stands for every byte before.
    pub fn read(&mut self, mut file: impl BufRead) -> Result<FileEnd, ScanError> {
        let mut line = Vec::new();
        let mut number = 0;
        let mut whole = 0;
        let flaw = |line, whole, reason: &str| ScanError::Flaw(Flaw { line, whole, reason: reason.to_owned() });
        let end = loop {
            line.clear();
            let length = file.by_ref().take(MAX_LINE).read_until(b'\n', &mut line)? as u64;
            if line.last() != Some(&b'\n') {
                if length == MAX_LINE {
                    return Err(flaw(number + 1, whole, "it is longer than any line"));
                }
                break FileEnd { whole, torn: length };
            }
            number += 1;
            let content = &line[..line.len() - 1];
            self.line(content, number).map_err(|reason| flaw(number, whole, &reason))?;
            whole += length;
        };
        if number == 0 {
            return Err(flaw(1, 0, "there is no whole line in the file"));
        }
        self.check(whole).map_err(ScanError::Flaw)?;
        Ok(end)
    }

    /// Looks at the last signature that has gone by, for a caller that continues after a flaw.
    pub fn check(&mut self, whole: u64) -> Result<(), Flaw> {
        let Some(pending) = self.signature.take() else { return Ok(()) };
        match self.key {
            Some(key) if key.has_signed(&pending.message, &pending.text) => Ok(()),
            _ => {
                let reason = "the signature is not one of the key of the log".to_owned();
                Err(Flaw { line: pending.line, whole, reason })
            }
        }
    }

    fn line(&mut self, line: &[u8], number: u64) -> Result<(), String> {
        let content = line.len().checked_sub(HASH.len() + 64 + END.len()).ok_or("it is no line of a log")?;
        let (content, tail) = line.split_at(content);
        let hash = tail.strip_prefix(HASH.as_bytes()).and_then(|rest| rest.strip_suffix(END.as_bytes()));
        let hash = hash.ok_or("it is no line of a log")?;
        let (seq, time, event) = parts(content).ok_or("it is no line of a log")?;
        let about = || -> Result<About<'_>, String> {
            serde_json::from_slice(line).map_err(|_| "it is no line of a log".to_owned())
        };
        if number == 1 {
            if event != b"begin" {
                return Err("the file does not begin with its first line".into());
            }
            self.begin(seq, about()?)?;
        }
        if seq != self.chain.seq + 1 {
            return Err(format!("it has the number {seq}, and {} is next", self.chain.seq + 1));
        }
        let computed = self.chain.hash_of(content);
        if HEXLOWER.encode(&computed).as_bytes() != hash {
            return Err("its hash is not that of its content and of the lines before it".into());
        }
        let ending = match event {
            b"rotated" => Some(End::Rotated),
            event if event == SIGNED.as_bytes() => {
                let text = about()?.signature.ok_or("a signature is missing")?.into_owned();
                self.signature = Some(PendingSignature { line: number, message: self.chain.message(), text });
                self.signed = seq;
                Some(End::Signed)
            }
            b"removed" => {
                self.removed = self.removed.max(about()?.through.unwrap_or(0));
                None
            }
            _ => None,
        };
        self.events = [self.events[1], ending];
        if self.last_time.is_some_and(|last| time < last) {
            self.went_back.get_or_insert(seq);
        }
        self.first.get_or_insert((seq, time));
        self.last_time = Some(time);
        self.chain = Chain { seq, hash: computed };
        for mark in self.marks.iter_mut().filter(|(wanted, _)| *wanted == seq) {
            mark.1 = Some(computed);
        }
        Ok(())
    }

    /// The first line of a file names what it follows, and the key.
    fn begin(&mut self, seq: u64, about: About<'_>) -> Result<(), String> {
        if about.format != Some(FORMAT) {
            return Err(format!("the format is not {FORMAT}"));
        }
        let mut prev = [0; 32];
        let text = about.prev.unwrap_or_default();
        match HEXLOWER.decode_len(text.len()) {
            Ok(32) if HEXLOWER.decode_mut(text.as_bytes(), &mut prev).is_ok() => {}
            _ => return Err("it does not say what it follows".into()),
        }
        let key = about.key.and_then(|key| LogKey::parse(&key).ok()).ok_or("it names no key")?;
        if !self.allowed.is_empty() && !self.allowed.contains(&key) {
            return Err(format!("it is signed with the key {}, which is not the one that was given", key.to_base64()));
        }
        if self.allowed.is_empty() && self.key.is_some_and(|known| known != key) {
            return Err(format!("the key changed to {}", key.to_base64()));
        }
        self.key = Some(key);
        let before = seq.checked_sub(1).ok_or("lines are numbered from 1")?;
        if before == 0 && prev != [0; 32] {
            return Err("the first line of all follows another".into());
        }
        match self.first {
            // Files before this one may have been removed; whether the agent did it, the log says.
            None => self.chain = Chain { seq: before, hash: prev },
            Some(_) if self.chain.seq != before => {
                return Err(format!("lines {} to {before} are missing", self.chain.seq + 1));
            }
            Some(_) if self.chain.hash != prev => return Err("it does not follow the file before it".into()),
            Some(_) => {}
        }
        Ok(())
    }
}

/// Number, time and event. A log is written by one program, in one way, so nothing else is a line of one.
fn parts(content: &[u8]) -> Option<(u64, Timestamp, &[u8])> {
    let rest = content.strip_prefix(b"{\"seq\":")?;
    let digits = rest.iter().position(|byte| !byte.is_ascii_digit())?;
    let seq = std::str::from_utf8(&rest[..digits]).ok()?.parse().ok()?;
    let rest = rest[digits..].strip_prefix(b",\"time\":\"")?;
    let (time, rest) = rest.split_at_checked(30)?;
    let time = Timestamp::parse(std::str::from_utf8(time).ok()?)?;
    let rest = rest.strip_prefix(b"\",\"event\":\"")?;
    let end = rest.iter().position(|byte| *byte == b'"')?;
    Some((seq, time, &rest[..end]))
}
