//! The state on disk: one file that is either the old one or the new one, whenever the power goes.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use zeroize::Zeroizing;

use super::error::AuthorityError;
use crate::agent::fs::private_file::{self, PrivateFileError};
use crate::agent::fs::trust_policy::STATE_FILE;

pub(in crate::agent) const FILE: &str = "authority.json";
const LOCK: &str = "authority.lock";
/// The longest state that is read.
const MAX_BYTES: u64 = 1024 * 1024;

/// The directory of one authority, locked as long as this is held.
pub(super) struct StateDir {
    path: PathBuf,
    lock: File,
}

impl Drop for StateDir {
    /// A process that was started meanwhile has the lock's descriptor too until it becomes another program. Closing
    /// ours would leave the directory locked as long as that takes; unlocking does not.
    fn drop(&mut self) {
        let _ = self.lock.unlock();
    }
}

impl StateDir {
    pub(super) fn open(path: &Path) -> Result<StateDir, AuthorityError> {
        private_file::directory(path)?;
        let lock_path = path.join(LOCK);
        let io = |what| {
            let path = lock_path.clone();
            move |source| PrivateFileError::Io { path, what, source }
        };
        let lock = private_file::open(&lock_path, OFlags::RDWR | OFlags::CREATE).map_err(io("opening the lock"))?;
        match lock.try_lock() {
            Ok(()) => Ok(StateDir { path: path.to_path_buf(), lock }),
            Err(TryLockError::WouldBlock) => Err(AuthorityError::Locked(path.to_path_buf())),
            Err(TryLockError::Error(error)) => Err(io("locking")(error).into()),
        }
    }

    pub(super) fn file(&self) -> PathBuf {
        self.path.join(FILE)
    }

    /// The state; `None` when there never was one.
    pub(super) fn read(&self) -> Result<Option<Zeroizing<Vec<u8>>>, AuthorityError> {
        Ok(private_file::read(&self.file(), &STATE_FILE, MAX_BYTES)?)
    }

    /// Puts a new state in the place of the old one. The lock keeps others out.
    pub(super) fn write(&self, state: &[u8]) -> Result<(), AuthorityError> {
        Ok(private_file::replace(&self.file(), state)?)
    }
}
