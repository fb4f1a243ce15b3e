use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use super::chain::Chain;
use super::head::Head;
use super::key::LogKey;
use super::scan::{End, Flaw, Scan, ScanError};
use super::segment::{head_path, number_of, segments};
use crate::control::Timestamp;

/// The longest head that is read.
const MAX_HEAD: u64 = 4096;

/// What a log is held against besides itself.
#[derive(Debug, Clone, Default)]
pub struct VerifyOptions {
    /// The keys it may be signed with. None: any key it names, which proves no more than that it holds together.
    pub keys: Vec<LogKey>,
    /// Do without the head: then an end that was cut off is not noticed.
    pub without_head: bool,
    /// A line that is known from elsewhere, and so must be there.
    pub anchor: Option<Chain>,
}

/// A log that holds together, and what that means.
#[derive(Debug, Clone)]
pub struct Verified {
    /// Its files.
    pub files: usize,
    /// The number of the first line that is there.
    pub first: u64,
    /// When that was written.
    pub first_time: Timestamp,
    /// The last line.
    pub last: Chain,
    /// When that was written.
    pub last_time: Timestamp,
    /// The last line a signature stands for. Lines behind it hold together, but anyone could have added them.
    pub signed: u64,
    /// Bytes of a line that was being written when the agent was ended by force.
    pub torn: u64,
    /// The key it is signed with.
    pub key: LogKey,
    /// How far it is known to have been on the disk.
    pub head: Option<Head>,
    /// The first line that is older than the one before it: the clock was set.
    pub clock_went_back: Option<u64>,
}

/// Why a log is not to be believed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// It could not be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// What.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is not what was written.
    #[error("{}: {flaw}", path.display())]
    Broken {
        /// The file.
        path: PathBuf,
        /// Where, and what is wrong.
        flaw: Flaw,
        /// The last line that holds together with those before it.
        last: u64,
    },
    /// Lines that must be there are not.
    #[error("{}: {reason}", path.display())]
    Cut {
        /// The log.
        path: PathBuf,
        /// Which.
        reason: String,
    },
    /// The head is missing, or not one of this log.
    #[error("{}: {reason}", path.display())]
    Head {
        /// The head.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

/// Reads a whole log, and says what is wrong with it or what can be known of it.
pub fn verify(log: &Path, options: &VerifyOptions) -> Result<Verified, LogError> {
    let io = |path: &Path| {
        let path = path.to_path_buf();
        move |source| LogError::Io { path, source }
    };
    // The head first: while the agent runs, the log only grows.
    let head_text = if options.without_head || number_of(log).is_some() { None } else { Some(read_head(log)?) };
    let files = segments(log).map_err(io(log))?;
    let Some(last) = files.last() else {
        return Err(io(log)(io::Error::from(io::ErrorKind::NotFound)));
    };
    // Where the head is, before it is known to be one: it is verified with the key of the log.
    let claimed = head_text.as_deref().and_then(|text| serde_json::from_str::<serde_json::Value>(text).ok());
    let claimed = claimed.and_then(|head| head["seq"].as_u64());
    let marks = claimed.into_iter().chain(options.anchor.as_ref().map(|anchor| anchor.seq));
    let mut scan = Scan::new(options.keys.clone(), marks);
    let mut torn = 0;
    for segment in &files {
        let file = File::open(&segment.path).map_err(io(&segment.path))?;
        match scan.read(BufReader::with_capacity(64 * 1024, file)) {
            Ok(end) if end.torn > 0 && segment != last => {
                let flaw =
                    Flaw { line: 0, whole: end.whole, reason: "its last line is not whole, and others follow".into() };
                return Err(LogError::Broken { path: segment.path.clone(), flaw, last: scan.chain.seq });
            }
            Ok(end) => torn = end.torn,
            Err(ScanError::Io(source)) => return Err(io(&segment.path)(source)),
            Err(ScanError::Flaw(flaw)) => {
                return Err(LogError::Broken { path: segment.path.clone(), flaw, last: scan.chain.seq });
            }
        }
    }
    finish(log, scan, torn, head_text.as_deref(), options, files.len())
}

fn finish(
    log: &Path,
    scan: Scan,
    torn: u64,
    head_text: Option<&str>,
    options: &VerifyOptions,
    files: usize,
) -> Result<Verified, LogError> {
    let cut = |reason: String| LogError::Cut { path: log.to_path_buf(), reason };
    let (Some((first, first_time)), Some(last_time), Some(key)) = (scan.first, scan.last_time, scan.key) else {
        return Err(cut("there is no line in it".into()));
    };
    let by_itself = number_of(log).is_some();
    if by_itself && scan.events != [Some(End::Rotated), Some(End::Signed)] {
        return Err(cut("it does not end as a file that was full: its end was cut off".into()));
    }
    if !by_itself && first > 1 && scan.removed < first - 1 {
        return Err(cut(format!(
            "lines 1 to {} are missing, and the log does not say that the agent removed them",
            first - 1
        )));
    }
    let head = match head_text {
        None => None,
        Some(text) => {
            let path = head_path(log);
            let broken = |reason: String| LogError::Head { path: path.clone(), reason };
            Some(Head::read(text, &key).map_err(broken)?)
        }
    };
    for known in head.iter().map(|head| &head.at).chain(&options.anchor) {
        must_have(&scan, known, first).map_err(cut)?;
    }
    Ok(Verified {
        files,
        first,
        first_time,
        last: scan.chain,
        last_time,
        signed: scan.signed,
        torn,
        key,
        head,
        clock_went_back: scan.went_back,
    })
}

/// A line that is known to have been there is there.
fn must_have(scan: &Scan, known: &Chain, first: u64) -> Result<(), String> {
    let last = scan.chain.seq;
    if known.seq > last {
        return Err(format!(
            "it ends with line {last}, and line {} is known to have been written: its end was cut off",
            known.seq
        ));
    }
    if known.seq < first {
        return Err(format!("line {} is known to have been written, and the log begins with line {first}", known.seq));
    }
    match scan.marks.iter().find(|(seq, _)| *seq == known.seq) {
        Some((_, Some(hash))) if *hash == known.hash => Ok(()),
        _ => Err(format!("line {} is not the one that is known to have been written: this is another log", known.seq)),
    }
}

fn read_head(log: &Path) -> Result<String, LogError> {
    let path = head_path(log);
    let mut text = String::new();
    let read = File::open(&path).and_then(|file| file.take(MAX_HEAD).read_to_string(&mut text));
    match read {
        Ok(_) => Ok(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let reason = "it is missing: without it an end that was cut off is not noticed";
            Err(LogError::Head { path, reason: reason.into() })
        }
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            Err(LogError::Head { path, reason: "it is not the head of a log".into() })
        }
        Err(source) => Err(LogError::Io { path, source }),
    }
}
