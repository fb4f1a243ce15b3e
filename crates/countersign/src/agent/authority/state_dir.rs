//! The state on disk: one file that is either the old one or the new one, whenever the power goes.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use zeroize::Zeroizing;

use super::error::AuthorityError;

const FILE: &str = "authority.json";
const NEW_FILE: &str = "authority.json.new";
const LOCK: &str = "authority.lock";
/// The longest state that is read.
const MAX_BYTES: u64 = 1024 * 1024;

/// The directory of one authority, locked as long as this is held.
pub(super) struct StateDir {
    path: PathBuf,
    directory: File,
    lock: File,
}

impl Drop for StateDir {
    /// A process that was started meanwhile has the lock's descriptor too until it becomes another program. Closing ours
    /// would leave the directory locked as long as that takes; unlocking does not.
    fn drop(&mut self) {
        let _ = self.lock.unlock();
    }
}

impl StateDir {
    pub(super) fn open(path: &Path) -> Result<StateDir, AuthorityError> {
        let io = |what, at: &Path| {
            let at = at.to_path_buf();
            move |source: io::Error| AuthorityError::Io { path: at, what, source }
        };
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(io("making the directory", path))?;
        let directory = File::open(path).map_err(io("opening the directory", path))?;
        let found = directory.metadata().map_err(io("looking at the directory", path))?;
        must_be_ours(path, found.uid(), found.mode(), 0o022, "others could put keys of their own there (chmod go-w)")?;
        let lock_path = path.join(LOCK);
        let lock = open(&lock_path, OFlags::RDWR | OFlags::CREATE).map_err(io("opening the lock", &lock_path))?;
        match lock.try_lock() {
            Ok(()) => Ok(StateDir { path: path.to_path_buf(), directory, lock }),
            Err(TryLockError::WouldBlock) => Err(AuthorityError::Locked(path.to_path_buf())),
            Err(TryLockError::Error(error)) => Err(io("locking", &lock_path)(error)),
        }
    }

    pub(super) fn file(&self) -> PathBuf {
        self.path.join(FILE)
    }

    /// The state; `None` when there never was one.
    pub(super) fn read(&self) -> Result<Option<Zeroizing<Vec<u8>>>, AuthorityError> {
        let path = self.file();
        let io = |what| {
            let path = path.clone();
            move |source: io::Error| AuthorityError::Io { path, what, source }
        };
        let file = match open(&path, OFlags::RDONLY | OFlags::NONBLOCK) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io("opening the state")(error)),
        };
        let found = file.metadata().map_err(io("looking at the state"))?;
        if !found.is_file() || found.len() > MAX_BYTES {
            let reason = format!("not a regular file of at most {MAX_BYTES} bytes");
            return Err(AuthorityError::State { file: path, reason });
        }
        must_be_ours(&path, found.uid(), found.mode(), 0o077, "others have access to the keys in it (chmod 600)")?;
        let mut bytes = Zeroizing::new(Vec::with_capacity(found.len() as usize + 1));
        (&file).take(found.len() + 1).read_to_end(&mut bytes).map_err(io("reading the state"))?;
        Ok(Some(bytes))
    }

    /// Puts a new state in the place of the old one, in one move that outlives a crash.
    pub(super) fn write(&self, state: &[u8]) -> Result<(), AuthorityError> {
        let new = self.path.join(NEW_FILE);
        let io = |what| {
            let path = new.clone();
            move |source: io::Error| AuthorityError::Io { path, what, source }
        };
        // One that was left behind in the middle of being written is nobody's. The lock keeps others out.
        match fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(io("removing what was left behind")(error));
            }
            _ => {}
        }
        let mut file =
            open(&new, OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL).map_err(io("making the new state"))?;
        file.write_all(state).map_err(io("writing the new state"))?;
        file.sync_all().map_err(io("writing the new state"))?;
        fs::rename(&new, self.file()).map_err(io("putting the new state in place"))?;
        self.directory.sync_all().map_err(io("putting the new state in place"))
    }
}

fn open(path: &Path, flags: OFlags) -> io::Result<File> {
    let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    Ok(rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR).map(File::from)?)
}

fn must_be_ours(path: &Path, uid: u32, mode: u32, forbidden: u32, why: &str) -> Result<(), AuthorityError> {
    let own = rustix::process::geteuid().as_raw();
    if uid != own {
        let reason = format!("owned by uid {uid}, expected {own}");
        return Err(AuthorityError::Unsafe { path: path.to_path_buf(), reason });
    }
    if mode & forbidden != 0 {
        let reason = format!("mode {:04o}: {why}", mode & 0o7777);
        return Err(AuthorityError::Unsafe { path: path.to_path_buf(), reason });
    }
    Ok(())
}
