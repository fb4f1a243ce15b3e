//! Processes that ask repeatedly: their `/proc` directories stay open between two requests.

use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::io::Errno;

use super::alive;
use super::proc_dir::ProcDir;
use crate::recent_map::RecentMap;

/// Three descriptors each.
const MOST_KNOWN: usize = 32;
/// The file system that pidfds live in since Linux 6.9. Before, all of them shared one inode.
const PIDFS_MAGIC: u64 = 0x5049_4446;

/// The directories of the last few processes, each known by the inode of its pidfd: that number is given to one
/// process and never to another, so what was once proven to belong to it does so for good.
pub(crate) struct KnownProcesses(Mutex<RecentMap<u64, Arc<ProcDir>>>);

impl Default for KnownProcesses {
    fn default() -> Self {
        KnownProcesses(Mutex::new(RecentMap::new(MOST_KNOWN)))
    }
}

impl KnownProcesses {
    /// The directory of the process the pidfd names, which had this pid when it connected. One that is opened now
    /// is still to be proven to be that of this process.
    pub(super) fn dir(&self, pid: u32, pidfd: BorrowedFd<'_>) -> Result<Arc<ProcDir>, Errno> {
        let Some(inode) = inode(pidfd) else {
            return ProcDir::open(pid).map(Arc::new);
        };
        if let Some(dir) = self.lock().get(&inode) {
            return Ok(Arc::clone(dir));
        }
        let dir = Arc::new(ProcDir::open(pid)?);
        // Later it is found by the inode alone.
        if alive(pidfd).is_ok_and(|alive| alive) {
            self.lock().insert(inode, Arc::clone(&dir));
        }
        Ok(dir)
    }

    /// Gives all descriptors back.
    pub(crate) fn forget(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, RecentMap<u64, Arc<ProcDir>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What stands for the process a pidfd names, where such a thing exists.
fn inode(pidfd: BorrowedFd<'_>) -> Option<u64> {
    static ONE_EACH: AtomicU8 = AtomicU8::new(0);
    let one_each = match ONE_EACH.load(Relaxed) {
        0 => {
            // On 32 bits the kernel has no numbers to last.
            let pidfs = cfg!(target_pointer_width = "64")
                && rustix::fs::fstatfs(pidfd).is_ok_and(|fs| fs.f_type as u64 == PIDFS_MAGIC);
            ONE_EACH.store(if pidfs { 1 } else { 2 }, Relaxed);
            pidfs
        }
        known => known == 1,
    };
    if !one_each {
        return None;
    }
    rustix::fs::fstat(pidfd).ok().map(|stat| stat.st_ino)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;
    use std::process::{Command, Stdio};

    #[test]
    fn a_process_is_known_by_its_pidfd_and_few_are() {
        let known = KnownProcesses::default();
        let own = std::process::id();
        let pidfd = super::super::pidfd_open(own).unwrap();
        let first = known.dir(own, pidfd.as_fd()).unwrap();
        if inode(pidfd.as_fd()).is_none() {
            println!("SKIPPED: knowing processes again (needs Linux 6.9)");
            return;
        }
        let again = super::super::pidfd_open(own).unwrap();
        assert!(Arc::ptr_eq(&first, &known.dir(own, again.as_fd()).unwrap()));
        // Another process is not taken for it, even if it claims the same number.
        let mut child = Command::new("sleep").arg("60").stdin(Stdio::null()).spawn().unwrap();
        let its = super::super::pidfd_open(child.id()).unwrap();
        let dir = known.dir(own, its.as_fd()).unwrap();
        assert!(!Arc::ptr_eq(&first, &dir));
        child.kill().unwrap();
        child.wait().unwrap();
        for number in 0..2 * MOST_KNOWN as u64 {
            known.lock().insert(u64::MAX - number, Arc::clone(&first));
        }
        assert_eq!(known.lock().len(), MOST_KNOWN);
        known.forget();
        assert!(!Arc::ptr_eq(&first, &known.dir(own, pidfd.as_fd()).unwrap()));
    }
}
