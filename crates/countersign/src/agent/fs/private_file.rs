//! The agent's own files. No other user can read or write them. A new version replaces the old one as a whole: when the
//! power fails, the file is either the old one or the new one.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use zeroize::Zeroizing;

use super::problem::Problem;
use super::trust_policy::{STATE_DIR, TrustPolicy};
use super::trusted;

/// Why such a file could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum PrivateFileError {
    /// The operating system refused an operation.
    #[error("{}: {what}: {source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What was tried.
        what: &'static str,
        /// What it answered.
        source: io::Error,
    },
    /// Others than the agent's user can read or write it.
    #[error(transparent)]
    Untrusted(#[from] Problem),
}

impl PrivateFileError {
    fn io(path: &Path, what: &'static str) -> impl FnOnce(io::Error) -> PrivateFileError + use<> {
        let path = path.to_path_buf();
        move |source| PrivateFileError::Io { path, what, source }
    }
}

/// Makes the directory if it is missing. No other user must be able to write to it.
pub(in crate::agent) fn directory(path: &Path) -> Result<(), PrivateFileError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(PrivateFileError::io(path, "making the directory"))?;
    Ok(trusted::check(path, &STATE_DIR)?)
}

/// Opens a file of the agent. If it is created, only its owner has access. Symbolic links are not followed.
pub(in crate::agent) fn open(path: &Path, flags: OFlags) -> io::Result<File> {
    let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    Ok(rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR).map(File::from)?)
}

/// The content of a file; `None` when there is none. It is wiped after use: it may hold keys.
pub(in crate::agent) fn read(
    path: &Path,
    policy: &TrustPolicy,
    most: u64,
) -> Result<Option<Zeroizing<Vec<u8>>>, PrivateFileError> {
    match trusted::open(path, policy) {
        Ok(file) => Ok(Some(file.read(most)?)),
        Err(problem) if problem.is_missing() => Ok(None),
        Err(problem) => Err(problem.into()),
    }
}

/// Replaces a file by a new one, in one step that survives a crash. Two callers must not do so at the same time.
pub(in crate::agent) fn replace(path: &Path, bytes: &[u8]) -> Result<(), PrivateFileError> {
    let io = |what| PrivateFileError::io(path, what);
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let new = PathBuf::from(new);
    // An earlier attempt may have been interrupted.
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(io("removing what was left behind")(error));
        }
        _ => {}
    }
    let mut file = open(&new, OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL).map_err(io("making the new file"))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(io("writing the new file"))?;
    fs::rename(&new, path).map_err(io("putting the new file in place"))?;
    sync_directory(path).map_err(io("putting the new file in place"))
}

/// Writes the names in the directory of a file to the disk.
pub(in crate::agent) fn sync_directory(file: &Path) -> io::Result<()> {
    let directory = match file.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    File::open(directory)?.sync_all()
}
