use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::key::SigningKey;
use crate::agent::fs::private_file::{self, PrivateFileError};
use crate::control::Timestamp;
use crate::control::log::{Chain, Head, head_path};

/// What of a log is written, and what of that is on the disk. Only the thread that brings it there waits for the disk.
pub(in crate::agent) struct OnDisk {
    path: PathBuf,
    key: Arc<SigningKey>,
    written: Mutex<Written>,
    /// What the head says. Held while one is written: it never goes back.
    head: Mutex<Chain>,
}

#[derive(Clone, Default)]
struct Written {
    file: Option<Arc<File>>,
    at: Chain,
}

impl OnDisk {
    pub(super) fn new(path: &Path, key: Arc<SigningKey>) -> OnDisk {
        OnDisk { path: path.to_path_buf(), key, written: Mutex::default(), head: Mutex::default() }
    }

    /// Up to here everything is written and signed, and the last of it is in this file.
    pub(super) fn wrote(&self, file: &Arc<File>, at: &Chain) {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        *written = Written { file: Some(Arc::clone(file)), at: at.clone() };
    }

    /// The last line that is written and signed.
    pub(in crate::agent) fn written(&self) -> Chain {
        self.written.lock().unwrap_or_else(PoisonError::into_inner).at.clone()
    }

    /// The last line that is known to be on the disk.
    pub(in crate::agent) fn head(&self) -> Chain {
        self.head.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until what is written is on the disk, and says so in the head. Says how far that is.
    pub(in crate::agent) fn sync(&self) -> io::Result<Chain> {
        let Written { file, at } = self.written.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut head = self.head.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(file) = file.filter(|_| at.seq > head.seq) else { return Ok(head.clone()) };
        file.sync_data()?;
        let text = Head { at: at.clone(), time: Timestamp::now() }.write(|message| self.key.sign(message))?;
        private_file::replace(&head_path(&self.path), text.as_bytes()).map_err(|error| match error {
            PrivateFileError::Io { source, .. } => source,
            other => io::Error::other(other.to_string()),
        })?;
        *head = at;
        Ok(head.clone())
    }

    /// Waits until what is written is on the disk. The head follows later.
    pub(in crate::agent) fn sync_lines(&self) -> io::Result<()> {
        let file = self.written.lock().unwrap_or_else(PoisonError::into_inner).file.clone();
        file.map_or(Ok(()), |file| file.sync_data())
    }

    /// Is the file that is written still the one its name leads to?
    pub(in crate::agent) fn is_in_place(&self) -> bool {
        let file = self.written.lock().unwrap_or_else(PoisonError::into_inner).file.clone();
        let Some(open) = file.and_then(|file| file.metadata().ok()) else { return true };
        fs::symlink_metadata(&self.path).is_ok_and(|found| (found.dev(), found.ino()) == (open.dev(), open.ino()))
    }

    pub(in crate::agent) fn path(&self) -> &Path {
        &self.path
    }

    /// The public half of the key.
    pub(in crate::agent) fn key(&self) -> crate::control::log::LogKey {
        self.key.public()
    }
}
