//! SHA-256 of executables, remembered by what changes when the file does.

use std::fs::File;
use std::io::Read;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use rustix::fs::{FileType, OFlags};
use rustix::io::Errno;
use rustix::time::ClockId;
use sha2::{Digest, Sha256};

use super::proc_dir::ProcDir;
use crate::recent_map::RecentMap;

const MOST_REMEMBERED: usize = 128;
/// A sparse file can claim any size, and an executable of a terabyte would keep us busy for an hour.
const LARGEST: u64 = 1 << 30;

/// What stands for the content of a file: it cannot be written to without a new change time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct FileIdentity {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

type Digests = RecentMap<FileIdentity, [u8; 32]>;

fn remembered() -> MutexGuard<'static, Digests> {
    static REMEMBERED: LazyLock<Mutex<Digests>> = LazyLock::new(|| Mutex::new(RecentMap::new(MOST_REMEMBERED)));
    REMEMBERED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The hash of what the process runs, under any name. `None` when the file may not be read, is too large, or
/// changed meanwhile.
pub(super) fn of_exe(process: &ProcDir) -> Result<Option<[u8; 32]>, Errno> {
    let mut file = File::from(process.open_exe(OFlags::RDONLY | OFlags::NONBLOCK)?);
    let Some(identity) = identity(&file)? else {
        return Ok(None);
    };
    if let Some(hash) = remembered().get(&identity) {
        return Ok(Some(*hash));
    }
    let mut hasher = Sha256::new();
    let mut room = vec![0; 64 * 1024];
    loop {
        match file.read(&mut room) {
            Ok(0) => break,
            Ok(more) => hasher.update(&room[..more]),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Errno::from_io_error(&error).unwrap_or(Errno::IO)),
        }
    }
    let hash: [u8; 32] = hasher.finalize().into();
    if self::identity(&file)? != Some(identity) {
        return Ok(None);
    }
    if identity.is_settled() {
        remembered().insert(identity, hash);
    }
    Ok(Some(hash))
}

impl FileIdentity {
    /// File times move in steps: a file changed just before can change again without them showing it.
    fn is_settled(&self) -> bool {
        rustix::time::clock_gettime(ClockId::Realtime).tv_sec.saturating_sub(self.changed.0) >= 2
    }
}

fn identity(file: &File) -> Result<Option<FileIdentity>, Errno> {
    let stat = rustix::fs::fstat(file)?;
    let size = u64::try_from(stat.st_size).unwrap_or(u64::MAX);
    if !FileType::from_raw_mode(stat.st_mode).is_file() || size > LARGEST {
        return Ok(None);
    }
    Ok(Some(FileIdentity {
        device: stat.st_dev,
        inode: stat.st_ino,
        size,
        modified: (stat.st_mtime, stat.st_mtime_nsec as i64),
        changed: (stat.st_ctime, stat.st_ctime_nsec as i64),
    }))
}
