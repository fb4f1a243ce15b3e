use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Digits of the number in the name of a rotated file: names sort as the files follow each other.
const DIGITS: usize = 20;

/// A file of a log.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Segment {
    /// The number of its first line; `None` for the file that is being written.
    pub first: Option<u64>,
    /// Where it is.
    pub path: PathBuf,
}

/// Where the head of the log lies.
pub fn head_path(log: &Path) -> PathBuf {
    beside(log, ".head")
}

/// Where the public half of its key lies; the private one lies beside it.
pub fn key_path(log: &Path) -> PathBuf {
    beside(log, ".pub")
}

/// Where a file goes whose first line has this number, when it is full.
pub fn rotated_path(log: &Path, first: u64) -> PathBuf {
    beside(log, &format!(".{first:0DIGITS$}"))
}

fn beside(log: &Path, end: &str) -> PathBuf {
    let mut name = log.as_os_str().to_owned();
    name.push(end);
    PathBuf::from(name)
}

/// The number in the name of a rotated file.
fn number_in(name: &str) -> Option<u64> {
    if name.len() != DIGITS || !name.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    name.parse().ok()
}

/// The number of the first line in a file, if its name is that of a rotated one.
pub(super) fn number_of(file: &Path) -> Option<u64> {
    number_in(file.file_name()?.to_str()?.rsplit_once('.')?.1)
}

/// The files of a log in the order of their lines: the rotated ones that are still there, and the one that is being
/// written. A rotated file by itself is a log of one file.
pub fn segments(log: &Path) -> io::Result<Vec<Segment>> {
    if let Some(first) = number_of(log) {
        return Ok(vec![Segment { first: Some(first), path: log.to_path_buf() }]);
    }
    let directory = match log.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let mut start = log.file_name().map(OsString::from).unwrap_or_default();
    start.push(".");
    let start = start.to_string_lossy().into_owned();
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        if let Some(first) = name.to_str().and_then(|name| name.strip_prefix(&start)).and_then(number_in) {
            found.push(Segment { first: Some(first), path: entry.path() });
        }
    }
    found.sort();
    if fs::symlink_metadata(log).is_ok() {
        found.push(Segment { first: None, path: log.to_path_buf() });
    }
    Ok(found)
}
