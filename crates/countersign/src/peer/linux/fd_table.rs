//! The descriptors of a process, searched for one socket.

use std::mem::MaybeUninit;
use std::os::fd::BorrowedFd;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use rustix::fs::RawDir;
use rustix::io::Errno;
use rustix::path::DecInt;

use super::proc_dir::ProcDir;
use crate::recent_map::RecentMap;

/// A process could make us read as many links as it is allowed descriptors, for every connection.
const MOST_LINKS: usize = 65_536;
/// How far around the last find to look before reading the whole table.
const NEIGHBOURS: u32 = 16;
const MOST_RECENT: usize = 32;
const MOST_PROCESSES: usize = 64;
const MOST_HINTS: usize = 2_048;

/// The `fd` directory of a process.
pub(super) struct FdTable<'a> {
    process: &'a ProcDir,
    dir: BorrowedFd<'a>,
    pid: u32,
}

/// A descriptor that was seen to be the socket looked for.
pub(super) struct Link {
    fd: u32,
    inode: u32,
}

impl<'a> FdTable<'a> {
    pub fn of(process: &'a ProcDir, pid: u32) -> Result<FdTable<'a>, Errno> {
        Ok(FdTable { process, dir: process.descriptors()?, pid })
    }

    /// Which descriptor is this socket? Where the last ones were is tried first; nothing is believed unread.
    pub fn find(&self, inode: u32) -> Result<Option<Link>, Errno> {
        // In a statement of its own, so that the lock is not held while links are read.
        let guesses = Hints::lock().guesses(self.pid, inode);
        let mut seen = Vec::new();
        for fd in guesses {
            let socket = self.socket_at(fd)?;
            seen.push((fd, socket));
            if socket == Some(inode) {
                Hints::lock().found(self.pid, &seen);
                return Ok(Some(Link { fd, inode }));
            }
        }
        self.search(inode)
    }

    /// Is the descriptor still that socket?
    pub fn still_holds(&self, link: &Link) -> bool {
        matches!(self.socket_at(link.fd), Ok(Some(inode)) if inode == link.inode)
    }

    fn search(&self, inode: u32) -> Result<Option<Link>, Errno> {
        let mut found = None;
        let mut sockets = Vec::new();
        let mut room = [MaybeUninit::uninit(); 8 * 1024];
        // Not the one that is kept: two that read it at a time would each miss what the other one gets.
        let dir = self.process.open_descriptors()?;
        let mut entries = RawDir::new(&dir, &mut room);
        for _ in 0..MOST_LINKS {
            let Some(entry) = entries.next() else { break };
            let entry = entry?;
            let Some(fd) = entry.file_name().to_str().ok().and_then(|name| name.parse().ok()) else {
                continue;
            };
            let Some(socket) = self.socket_at(fd)? else {
                continue;
            };
            if socket == inode {
                found = Some(fd);
            }
            // A burst of connections is in the table all at once: what is read now answers for the next ones.
            if sockets.len() < MOST_HINTS {
                sockets.push((socket, fd));
            } else if found.is_some() {
                break;
            }
        }
        Hints::lock().learn(self.pid, sockets, found);
        Ok(found.map(|fd| Link { fd, inode }))
    }

    fn socket_at(&self, fd: u32) -> Result<Option<u32>, Errno> {
        let mut room = [MaybeUninit::uninit(); 64];
        match rustix::fs::readlinkat_raw(self.dir, DecInt::new(fd), &mut room) {
            Ok((link, _)) => Ok(socket_inode(link)),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn socket_inode(link: &[u8]) -> Option<u32> {
    let number = link.strip_prefix(b"socket:[")?.strip_suffix(b"]")?;
    std::str::from_utf8(number).ok()?.parse().ok()
}

/// Where sockets of the last few processes were found. Only guesses: a pid that changed hands costs a few wrong ones.
struct Hints(RecentMap<u32, ProcessHints>);

#[derive(Default)]
struct ProcessHints {
    /// By inode, ascending: what was read when the whole table was.
    sockets: Vec<(u32, u32)>,
    /// Descriptors that were what was looked for, the latest last, and the socket seen there since. The
    /// process that was answered first asks again first, and the lowest free number is the next one given out.
    recent: Vec<(u32, Option<u32>)>,
}

impl Hints {
    fn new() -> Hints {
        Hints(RecentMap::new(MOST_PROCESSES))
    }

    fn lock() -> MutexGuard<'static, Hints> {
        static HINTS: LazyLock<Mutex<Hints>> = LazyLock::new(|| Mutex::new(Hints::new()));
        HINTS.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn guesses(&self, pid: u32, inode: u32) -> Vec<u32> {
        let Some(process) = self.0.peek(&pid) else { return Vec::new() };
        let mut guesses = Vec::with_capacity(MOST_RECENT + 2 * NEIGHBOURS as usize + 1);
        if let Ok(at) = process.sockets.binary_search_by_key(&inode, |(socket, _)| *socket) {
            guesses.push(process.sockets[at].1);
        }
        let recent = &process.recent;
        guesses.extend(recent.iter().filter(|(_, socket)| *socket == Some(inode)).map(|(fd, _)| fd));
        // A socket that waits for its turn is where it was seen: look behind the others first.
        guesses.extend(recent.iter().filter(|(_, socket)| socket.is_none()).map(|(fd, _)| fd));
        guesses.extend(recent.iter().filter(|(_, socket)| socket.is_some_and(|it| it != inode)).map(|(fd, _)| fd));
        if let Some((last, _)) = recent.last() {
            for distance in 1..=NEIGHBOURS {
                let both = [last.checked_add(distance), last.checked_sub(distance)];
                guesses.extend(both.into_iter().flatten().filter(|fd| !recent.iter().any(|(known, _)| known == fd)));
            }
        }
        guesses
    }

    /// The last of these descriptors was the one looked for; the others are what they are.
    fn found(&mut self, pid: u32, seen: &[(u32, Option<u32>)]) {
        let Some(((found, _), others)) = seen.split_last() else { return };
        let Some(ProcessHints { recent, .. }) = self.0.get(&pid) else { return };
        for (fd, socket) in others {
            match (recent.iter().position(|(known, _)| known == fd), socket) {
                (Some(at), Some(_)) => recent[at].1 = *socket,
                (Some(at), None) => drop(recent.remove(at)),
                (None, _) => {}
            }
        }
        note(recent, *found);
    }

    fn learn(&mut self, pid: u32, mut sockets: Vec<(u32, u32)>, found: Option<u32>) {
        sockets.sort_unstable();
        let ProcessHints { mut recent, .. } = self.0.remove(&pid).unwrap_or_default();
        if let Some(fd) = found {
            note(&mut recent, fd);
        }
        self.0.insert(pid, ProcessHints { sockets, recent });
    }
}

fn note(recent: &mut Vec<(u32, Option<u32>)>, fd: u32) {
    recent.retain(|(known, _)| *known != fd);
    if recent.len() >= MOST_RECENT {
        recent.remove(0);
    }
    recent.push((fd, None));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_socket_link_is_a_socket() {
        assert_eq!(socket_inode(b"socket:[123]"), Some(123));
        for link in [
            &b"socket:[]"[..],
            b"socket:[1",
            b"pipe:[123]",
            b"/tmp/socket:[123]",
            b"socket:[x]",
            b"anon_inode:[eventpoll]",
        ] {
            assert_eq!(socket_inode(link), None);
        }
    }

    #[test]
    fn a_socket_is_found_in_our_own_table_and_missed_once_closed() {
        let pid = std::process::id();
        let process = ProcDir::open(pid).unwrap();
        let table = FdTable::of(&process, pid).unwrap();
        let (end, _other) = std::os::unix::net::UnixStream::pair().unwrap();
        let inode = rustix::fs::fstat(&end).unwrap().st_ino as u32;
        let link = table.find(inode).unwrap().unwrap();
        assert!(table.still_holds(&link));
        assert_eq!(table.find(inode).unwrap().map(|link| link.fd), Some(link.fd));
        // Found again by a guess alone.
        assert!(Hints::lock().guesses(pid, inode).contains(&link.fd));
        drop(end);
        assert!(!table.still_holds(&link));
        assert!(table.find(inode).unwrap().is_none());
    }

    #[test]
    fn the_memory_is_bounded() {
        let mut hints = Hints::new();
        for pid in 0..10 * MOST_PROCESSES as u32 {
            hints.learn(pid, vec![(2, 2), (1, 1)], Some(2));
            hints.found(0, &[(pid, Some(pid))]);
        }
        assert_eq!(hints.0.len(), MOST_PROCESSES);
        assert_eq!(hints.0.peek(&0).unwrap().recent.len(), MOST_RECENT);
        assert_eq!(hints.guesses(0, 1)[0], 1, "what is used stays");
    }

    #[test]
    fn the_longest_unused_place_is_tried_first_and_a_place_seen_taken_last() {
        let mut hints = Hints::new();
        hints.learn(1, Vec::new(), Some(3));
        for fd in 4..7 {
            hints.found(1, &[(fd, Some(100 + fd))]);
        }
        assert_eq!(hints.guesses(1, 1)[..4], [3, 4, 5, 6]);
        // Another socket was seen behind 3, and nothing any more behind 4.
        hints.found(1, &[(3, Some(203)), (4, None), (5, Some(205))]);
        assert_eq!(hints.guesses(1, 1)[..3], [6, 5, 3]);
        assert_eq!(hints.guesses(1, 203)[..3], [3, 6, 5]);
    }
}
