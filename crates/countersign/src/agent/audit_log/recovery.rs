//! Going on where the last agent ended, however it ended.

use std::fs::{self, DirBuilder, File};
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use super::error::AuditLogError;
use super::key::SigningKey;
use crate::agent::fs::private_file;
use crate::agent::fs::problem::ProblemKind;
use crate::agent::fs::trust_policy::LOG;
use crate::agent::fs::trusted;
use crate::control::log::{Chain, Head, Scan, ScanError, Segment, head_path, segments};

/// Where a log goes on.
#[derive(Default)]
pub(super) struct Recovered {
    pub(super) chain: Chain,
    /// The file that is written to, if it is there.
    pub(super) current: Option<Current>,
    /// What the last agent left behind when it was ended by force.
    pub(super) left: Left,
    /// The directory a log was moved to that is not what was written, and what is wrong with it.
    pub(super) set_aside: Option<(PathBuf, String)>,
}

pub(super) struct Current {
    pub(super) file: File,
    pub(super) size: u64,
    /// The number of its first line.
    pub(super) first: u64,
}

/// What was there behind the last signature.
#[derive(Default)]
pub(super) struct Left {
    /// Lines that hold together, and that no signature stands for yet.
    pub(super) unsigned: u64,
    /// Bytes that were cut off, and their hash.
    pub(super) dropped: Option<(u64, String)>,
    /// There is a log, and no head that says how far it came: an end that was cut off would not have been noticed.
    pub(super) headless: bool,
}

/// Looks at what is there, cuts off what was torn, and moves away what is not to be believed.
pub(super) fn recover(log: &Path, key: &SigningKey) -> Result<Recovered, AuditLogError> {
    let io = |path: &Path, what| {
        let path = path.to_path_buf();
        move |source| AuditLogError::Io { path, what, source }
    };
    let mut files = segments(log).map_err(io(log, "looking for its files"))?;
    let mut left = Left::default();
    if let Some(torn) = drop_unbegun(&mut files).map_err(io(log, "reading it"))? {
        left.dropped = Some(torn);
    }
    match resume(log, key, files.last()).map_err(io(log, "reading it"))? {
        Ok(mut recovered) => {
            recovered.left.dropped = recovered.left.dropped.or(left.dropped);
            Ok(recovered)
        }
        Err(reason) => {
            let aside = set_aside(log, &files).map_err(io(log, "moving it away"))?;
            Ok(Recovered { set_aside: Some((aside, reason)), ..Recovered::default() })
        }
    }
}

/// A file that was made and has no whole line yet says nothing: the one before it is gone on with.
fn drop_unbegun(files: &mut Vec<Segment>) -> io::Result<Option<(u64, String)>> {
    let Some(Segment { first: None, path }) = files.last() else { return Ok(None) };
    let mut file = open(path)?;
    let mut start = Vec::new();
    (&file).take(64 * 1024).read_to_end(&mut start)?;
    let length = file.metadata()?.len();
    if start.contains(&b'\n') || length > start.len() as u64 {
        return Ok(None);
    }
    let dropped = (length, hash_from(&mut file, 0)?);
    fs::remove_file(path)?;
    files.pop();
    Ok(Some(dropped).filter(|(bytes, _)| *bytes > 0))
}

/// The inner error says why the log is not to be gone on with.
fn resume(log: &Path, key: &SigningKey, last: Option<&Segment>) -> io::Result<Result<Recovered, String>> {
    let head = match read_head(log, key)? {
        Ok(head) => head,
        Err(reason) => return Ok(Err(reason)),
    };
    let Some(last) = last else {
        return Ok(match head {
            None => Ok(Recovered::default()),
            Some(head) => Err(format!("{} lines are known to have been written, and there is no file", head.seq)),
        });
    };
    let is_current = last.first.is_none();
    let mut file = if is_current { open(&last.path)? } else { File::open(&last.path)? };
    let mut scan = Scan::new(vec![key.public()], head.iter().map(|head| head.seq));
    let whole = match scan.read(BufReader::with_capacity(64 * 1024, &file)) {
        Ok(end) if end.torn > 0 && !is_current => return Ok(Err("the last line of a full file is not whole".into())),
        Ok(end) => end.whole,
        Err(ScanError::Io(error)) => return Err(error),
        // Behind what is known to be on the disk anything may stand after the power went, but only there.
        Err(ScanError::Flaw(flaw)) if !is_current || head.as_ref().is_none_or(|head| scan.chain.seq < head.seq) => {
            return Ok(Err(flaw.to_string()));
        }
        Err(ScanError::Flaw(flaw)) => match scan.check(flaw.whole) {
            Ok(()) if flaw.whole < file.metadata()?.len() => flaw.whole,
            _ => return Ok(Err(flaw.to_string())),
        },
    };
    let (Some((first, _)), last_seq) = (scan.first, scan.chain.seq) else {
        return Ok(Err("there is no line in it".into()));
    };
    if let Some(head) = &head {
        // Between two files the head may still be about the one before.
        let known = scan.marks.first().and_then(|mark| mark.1);
        if head.seq > last_seq || (head.seq >= first && known != Some(head.hash)) {
            return Ok(Err(format!("line {} is known to have been written, and is not there", head.seq)));
        }
    }
    if !is_current {
        return Ok(Ok(Recovered { chain: scan.chain, ..Recovered::default() }));
    }
    let length = file.metadata()?.len();
    let unsigned = last_seq.saturating_sub(scan.signed);
    let mut left = Left { unsigned, dropped: None, headless: head.is_none() };
    if whole < length {
        left.dropped = Some((length - whole, hash_from(&mut file, whole)?));
        file.set_len(whole)?;
        file.sync_all()?;
    }
    Ok(Ok(Recovered { chain: scan.chain, current: Some(Current { file, size: whole, first }), left, set_aside: None }))
}

/// How far the log is known to have come. The inner error says why its head is none.
fn read_head(log: &Path, key: &SigningKey) -> io::Result<Result<Option<Chain>, String>> {
    match fs::read_to_string(head_path(log)) {
        Ok(text) => Ok(match Head::read(&text, &key.public()) {
            Ok(head) => Ok(Some(head.at)),
            Err(reason) => Err(format!("its head: {reason}")),
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Ok(None)),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Ok(Err("its head is not text".into())),
        Err(error) => Err(error),
    }
}

fn open(path: &Path) -> io::Result<File> {
    trusted::open_to_append(path, &LOG).map_err(|problem| match problem.kind {
        ProblemKind::Os(error) => error,
        _ => io::Error::new(io::ErrorKind::PermissionDenied, problem.to_string()),
    })
}

fn hash_from(file: &mut File, start: u64) -> io::Result<String> {
    file.seek(SeekFrom::Start(start))?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(HEXLOWER.encode(&hasher.finalize())),
            count => hasher.update(&buffer[..count]),
        }
    }
}

/// Moves all files of a log into a directory of their own: they are evidence.
fn set_aside(log: &Path, files: &[Segment]) -> io::Result<PathBuf> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    let mut name = log.as_os_str().to_owned();
    name.push(format!(".broken-{now}"));
    let aside = PathBuf::from(name);
    DirBuilder::new().mode(0o700).create(&aside)?;
    let head = head_path(log);
    for path in files.iter().map(|segment| segment.path.as_path()).chain([head.as_path()]) {
        let Some(name) = path.file_name() else { continue };
        match fs::rename(path, aside.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    private_file::sync_directory(log)?;
    Ok(aside)
}
