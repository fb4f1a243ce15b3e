//! Files that are the agent's own: nobody else can read or write them, and each is the old one or the new one, whenever
//! the power goes.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use zeroize::Zeroizing;

/// Why such a file could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum PrivateFileError {
    /// The operating system failed us.
    #[error("{}: {what}: {source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What was tried.
        what: &'static str,
        /// What came back.
        source: io::Error,
    },
    /// It is not ours alone.
    #[error("{}: {reason}", path.display())]
    Unsafe {
        /// The file or directory.
        path: PathBuf,
        /// Why it will not do.
        reason: String,
    },
}

impl PrivateFileError {
    fn io(path: &Path, what: &'static str) -> impl FnOnce(io::Error) -> PrivateFileError + use<> {
        let path = path.to_path_buf();
        move |source| PrivateFileError::Io { path, what, source }
    }
}

/// Makes sure of a directory nobody else can write to, and opens it.
pub(in crate::agent) fn directory(path: &Path) -> Result<File, PrivateFileError> {
    let io = |what| PrivateFileError::io(path, what);
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(io("making the directory"))?;
    let directory = File::open(path).map_err(io("opening the directory"))?;
    let found = directory.metadata().map_err(io("looking at the directory"))?;
    must_be_ours(path, &found, 0o022, "others could put files of their own there (chmod go-w)")?;
    Ok(directory)
}

/// Opens a file of ours, made closed to others if it is made. Symbolic links are not followed.
pub(in crate::agent) fn open(path: &Path, flags: OFlags) -> io::Result<File> {
    let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    Ok(rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR).map(File::from)?)
}

/// What is in a file; `None` when there is none. It is wiped after use: it may hold keys.
pub(in crate::agent) fn read(path: &Path, most: u64) -> Result<Option<Zeroizing<Vec<u8>>>, PrivateFileError> {
    let io = |what| PrivateFileError::io(path, what);
    let file = match open(path, OFlags::RDONLY) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io("opening the file")(error)),
    };
    let found = file.metadata().map_err(io("looking at the file"))?;
    if !found.is_file() || found.len() > most {
        let reason = format!("not a regular file of at most {most} bytes");
        return Err(PrivateFileError::Unsafe { path: path.to_path_buf(), reason });
    }
    must_be_ours(path, &found, 0o077, "others have access to it (chmod 600)")?;
    // Room for all of it at once: a buffer that grows leaves copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(found.len() as usize + 1));
    (&file).take(found.len() + 1).read_to_end(&mut bytes).map_err(io("reading the file"))?;
    Ok(Some(bytes))
}

/// Puts a new file in the place of the old one, in one move that outlives a crash. Nobody else may do so meanwhile.
pub(in crate::agent) fn replace(path: &Path, bytes: &[u8]) -> Result<(), PrivateFileError> {
    let io = |what| PrivateFileError::io(path, what);
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let new = PathBuf::from(new);
    // One that was left behind in the middle of being written is nobody's.
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

/// Has the names in the directory of a file reach the disk.
pub(in crate::agent) fn sync_directory(file: &Path) -> io::Result<()> {
    let directory = match file.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    File::open(directory)?.sync_all()
}

/// Owned by us, and without these bits.
pub(in crate::agent) fn must_be_ours(
    path: &Path,
    found: &fs::Metadata,
    forbidden: u32,
    why: &str,
) -> Result<(), PrivateFileError> {
    let own = rustix::process::geteuid().as_raw();
    let reason = if found.uid() != own {
        format!("owned by uid {}, expected {own}", found.uid())
    } else if found.mode() & forbidden != 0 {
        format!("mode {:04o}: {why}", found.mode() & 0o7777)
    } else {
        return Ok(());
    };
    Err(PrivateFileError::Unsafe { path: path.to_path_buf(), reason })
}
