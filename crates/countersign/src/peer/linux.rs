//! Linux: `SO_PEERCRED` and `SO_PEERPIDFD`, and `/proc` read under the pidfd's eye.

mod digest;
mod fd_table;
mod proc_dir;
mod sock_diag;
mod socket;

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::OnceLock;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags};

use self::fd_table::{FdTable, Link};
use self::proc_dir::ProcDir;
use self::socket::PeerPidfd;
use super::process::StartTime;
use super::{
    Denied, Examination, Exe, ExeDoubt, InlineCredentials, PeerCredentials, PeerError, PeerPolicy, PeerProcess,
};

/// How this system names a socket: a descriptor number.
pub type RawSocket = RawFd;

pub(super) fn credentials(socket: RawSocket) -> Result<InlineCredentials, PeerError> {
    socket::credentials(socket)
}

/// A race-free hold on the process at the other end of a socket: its credentials as of connect/listen, and its
/// pidfd. What is read later is proven against that pidfd, and read only when asked for.
///
/// It holds a descriptor of the socket, so the connection stays open until the last `Peer` of it is dropped.
pub struct Peer {
    /// Our end; `None` for a process looked up by pid.
    socket: Option<OwnedFd>,
    pid: Option<u32>,
    credentials: OnceLock<PeerCredentials>,
    pidfd: OnceLock<OwnedFd>,
    dir: OnceLock<Option<ProcDir>>,
    /// Where the kernel hands out no pidfd for a socket: the start time of whoever had the pid when we first looked.
    first_seen: Option<u64>,
}

/// Is the process we look at still the program that holds the other end of the socket?
enum Holding {
    /// The question makes no sense here (see [`Peer::holding`]).
    NotAsked,
    Held(FdTable, Link),
    Not(ExeDoubt),
}

impl Peer {
    /// The peer of a connected Unix socket.
    pub fn of(socket: &impl AsFd) -> Result<Peer, PeerError> {
        Peer::of_raw(socket.as_fd().as_raw_fd())
    }

    /// The same for a bare descriptor number: a number that is not open is [`PeerError::Closed`].
    pub fn of_raw(fd: RawFd) -> Result<Peer, PeerError> {
        Peer::new(socket::duplicate(fd)?, socket::has_peer_pidfd())
    }

    fn new(socket: OwnedFd, kernel_gives_pidfds: Option<bool>) -> Result<Peer, PeerError> {
        let pid = socket::connected_peer(socket.as_raw_fd())?.pid;
        let mut peer = Peer { socket: Some(socket), ..Peer::unread(pid) };
        let known = match kernel_gives_pidfds {
            Some(known) => known,
            // The first peer of this process: ask now, because the other way has to note the start time now.
            None => peer.pidfd_of_socket()?.is_some(),
        };
        if let (false, Some(pid)) = (known, pid) {
            let start = ProcDir::open(pid).and_then(|dir| dir.start_ticks()).map_err(|error| match error {
                Errno::NOENT | Errno::SRCH => PeerError::Gone,
                other => os("/proc", other),
            })?;
            peer.first_seen = Some(start);
        }
        Ok(peer)
    }

    /// A running process by pid instead of by socket (for `countersign check --as-pid`).
    pub fn of_pid(pid: u32) -> Result<Peer, PeerError> {
        let peer = Peer::unread(Some(pid));
        let _ = peer.pidfd.set(pidfd_open(pid)?);
        let status = peer.look(|dir| dir.status())?;
        let status = status.ok_or_else(|| os("/proc/<pid>/status", Errno::ACCESS))?;
        let _ = peer.credentials.set(PeerCredentials {
            pid: Some(pid),
            uid: status.uid,
            gid: status.gid,
            groups: status.groups,
            security_label: None,
        });
        Ok(peer)
    }

    fn unread(pid: Option<u32>) -> Peer {
        Peer {
            socket: None,
            pid,
            credentials: OnceLock::new(),
            pidfd: OnceLock::new(),
            dir: OnceLock::new(),
            first_seen: None,
        }
    }

    /// What the kernel recorded when the connection was made.
    pub fn credentials(&self) -> &PeerCredentials {
        self.credentials.get_or_init(|| {
            let told = self.socket.as_ref().and_then(|socket| socket::credentials(socket.as_raw_fd()).ok());
            match told {
                Some(told) => told.into(),
                // Cannot be: the same socket answered when we were made. Nobody matches a policy with these.
                None => PeerCredentials { pid: None, uid: None, gid: None, groups: None, security_label: None },
            }
        })
    }

    /// Everything, proven.
    pub fn process(&self) -> Result<PeerProcess, PeerError> {
        self.examine().process()
    }

    /// One look at the peer, to be held against many policies.
    pub fn examine(&self) -> Examination<'_> {
        Examination::new(self)
    }

    /// Only the process name (cheap: for the answer's `process` field), proven to be the peer's.
    pub fn comm(&self) -> Result<String, PeerError> {
        self.name()?.ok_or_else(|| os("/proc/<pid>/comm", Errno::ACCESS))
    }

    /// Does the peer meet the policy? Reads only what the policy asks for. `Ok(Err(denied))` names the first
    /// condition that fails; `Err(Gone)` when the peer died meanwhile.
    pub fn check(&self, policy: &PeerPolicy) -> Result<Result<(), Denied>, PeerError> {
        self.examine().check(policy)
    }

    /// SHA-256 of the executable, read through the process itself and cached by file identity. `None` when it
    /// cannot be read, or is not known to be what holds the other end of the socket.
    pub fn exe_sha256(&self) -> Result<Option<[u8; 32]>, PeerError> {
        match self.holding()? {
            Holding::Not(_) => Ok(None),
            Holding::NotAsked => Ok(self.look(digest::of_exe)?.flatten()),
            Holding::Held(table, link) => {
                let hash = self.look(digest::of_exe)?.flatten();
                Ok(hash.filter(|_| table.still_holds(&link)))
            }
        }
    }

    /// Is the process still there?
    pub fn is_alive(&self) -> Result<bool, PeerError> {
        match self.pidfd() {
            Ok(pidfd) => alive(pidfd),
            Err(PeerError::Gone) => Ok(false),
            Err(other) => Err(other),
        }
    }

    /// A descriptor that becomes readable when the process ends.
    pub fn death(&self) -> Result<OwnedFd, PeerError> {
        let pidfd = self.pidfd()?;
        if !alive(pidfd)? {
            return Err(PeerError::Gone);
        }
        rustix::io::fcntl_dupfd_cloexec(pidfd, 0).map_err(|error| os("dup", error))
    }

    pub(super) fn name(&self) -> Result<Option<String>, PeerError> {
        self.look(ProcDir::comm)
    }

    pub(super) fn cgroup(&self) -> Result<Option<String>, PeerError> {
        Ok(self.look(ProcDir::cgroup)?.flatten())
    }

    pub(super) fn start_time(&self) -> Result<StartTime, PeerError> {
        let ticks = self.look(ProcDir::start_ticks)?;
        Ok(StartTime { ticks, unix_ms: ticks.map(proc_dir::unix_ms_of_ticks) })
    }

    pub(super) fn exe(&self) -> Result<Exe, PeerError> {
        let holding = self.holding()?;
        let exe = self.look(|dir| Ok(dir.exe()))?.unwrap_or(Exe::Unknown(ExeDoubt::Permission));
        Ok(match holding {
            Holding::NotAsked => exe,
            Holding::Not(doubt) => exe.doubted(doubt),
            Holding::Held(table, link) if table.still_holds(&link) => exe,
            Holding::Held(..) => exe.doubted(ExeDoubt::NotHolder),
        })
    }

    /// An `exec` leaves pid, pidfd and start time as they were, and closes what is marked close-on-exec: a program
    /// that holds the other end of the socket before and after we read its file is the one the file belongs to.
    ///
    /// Asked only where we accepted the connection (our end then has the listener's name). Where we connected, the
    /// credentials are those of who called `listen`, who may well leave the connections to others; a socket pair
    /// names whoever made it.
    fn holding(&self) -> Result<Holding, PeerError> {
        let Some(socket) = &self.socket else {
            return Ok(Holding::NotAsked);
        };
        if !socket::has_name(socket.as_raw_fd()) {
            return Ok(Holding::NotAsked);
        }
        // Only a proven directory may be searched: until then it could be anybody's.
        let Some(pid) = self.pid else {
            return Ok(Holding::Not(ExeDoubt::Permission));
        };
        let found = self.look(|dir| search(dir, pid, socket.as_fd()))?;
        Ok(found.unwrap_or(Holding::Not(ExeDoubt::Permission)))
    }

    /// Reads from the peer's `/proc` directory, and believes it only if the peer was alive to the end. `None` where
    /// a living peer cannot be seen.
    fn look<T>(&self, read: impl FnOnce(&ProcDir) -> Result<T, Errno>) -> Result<Option<T>, PeerError> {
        let Some(dir) = self.dir()? else {
            return Ok(None);
        };
        let read = read(dir);
        if !alive(self.pidfd()?)? {
            return Err(PeerError::Gone);
        }
        match read {
            Ok(value) => Ok(Some(value)),
            // It lives, so this is not its absence but our eyes (hidepid, ptrace rules, a kernel thread).
            Err(Errno::ACCESS | Errno::PERM | Errno::NOENT | Errno::SRCH) => Ok(None),
            Err(other) => Err(os("/proc/<pid>", other)),
        }
    }

    /// The peer's `/proc` directory. An open one stays with its process and never shows a later owner of the pid:
    /// it is the peer's for good if the peer was alive after it was opened.
    fn dir(&self) -> Result<Option<&ProcDir>, PeerError> {
        if let Some(dir) = self.dir.get() {
            return Ok(dir.as_ref());
        }
        let Some(pid) = self.pid else { return Ok(None) };
        let pidfd = self.pidfd()?;
        let opened = ProcDir::open(pid);
        if !alive(pidfd)? {
            return Err(PeerError::Gone);
        }
        let dir = match opened {
            Ok(dir) => Some(dir),
            Err(Errno::ACCESS | Errno::PERM | Errno::NOENT | Errno::SRCH) => None,
            Err(other) => return Err(os("/proc/<pid>", other)),
        };
        Ok(self.dir.get_or_init(|| dir).as_ref())
    }

    fn pidfd(&self) -> Result<BorrowedFd<'_>, PeerError> {
        if let Some(pidfd) = self.pidfd.get() {
            return Ok(pidfd.as_fd());
        }
        let pidfd = match (self.first_seen, self.pid) {
            (None, _) => self.pidfd_of_socket()?.ok_or_else(|| os("SO_PEERPIDFD", Errno::NOPROTOOPT))?,
            (Some(first_seen), Some(pid)) => self.pidfd_by_number(pid, first_seen)?,
            (Some(_), None) => return Err(PeerError::Gone),
        };
        Ok(self.pidfd.get_or_init(|| pidfd).as_fd())
    }

    fn pidfd_of_socket(&self) -> Result<Option<OwnedFd>, PeerError> {
        let Some(socket) = &self.socket else {
            return Ok(None);
        };
        match socket::peer_pidfd(socket.as_raw_fd())? {
            PeerPidfd::Given(pidfd) => Ok(Some(pidfd)),
            PeerPidfd::UnknownOption => Ok(None),
        }
    }

    /// For kernels without `SO_PEERPIDFD`: the process that has the number now, if it is the one that had it when we
    /// first looked, and (where that can be told) if it holds the other end of the socket, for the number may have
    /// changed hands even before we looked.
    fn pidfd_by_number(&self, pid: u32, first_seen: u64) -> Result<OwnedFd, PeerError> {
        let pidfd = pidfd_open(pid)?;
        let gone = |error| match error {
            Errno::NOENT | Errno::SRCH => PeerError::Gone,
            other => os("/proc/<pid>", other),
        };
        let dir = ProcDir::open(pid).map_err(gone)?;
        if dir.start_ticks().map_err(gone)? != first_seen {
            return Err(PeerError::Gone);
        }
        if let Some(socket) = self.socket.as_ref().filter(|socket| socket::has_name(socket.as_raw_fd()))
            && let Ok(Holding::Not(ExeDoubt::NotHolder)) = search(&dir, pid, socket.as_fd())
        {
            return Err(PeerError::Gone);
        }
        if alive(pidfd.as_fd())? { Ok(pidfd) } else { Err(PeerError::Gone) }
    }
}

/// Looks for the other end of `socket` among the descriptors of a process.
fn search(dir: &ProcDir, pid: u32, socket: BorrowedFd<'_>) -> Result<Holding, Errno> {
    let other_end = match sock_diag::peer_inode(socket) {
        Ok(Some(other_end)) => other_end,
        // Closed: nobody holds it.
        Ok(None) => return Ok(Holding::Not(ExeDoubt::NotHolder)),
        Err(_) => return Ok(Holding::Not(ExeDoubt::Permission)),
    };
    let table = FdTable::open(dir, pid)?;
    Ok(match table.find(other_end)? {
        Some(link) => Holding::Held(table, link),
        None => Holding::Not(ExeDoubt::NotHolder),
    })
}

fn pidfd_open(pid: u32) -> Result<OwnedFd, PeerError> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or(PeerError::Gone)?;
    rustix::process::pidfd_open(pid, PidfdFlags::empty()).map_err(|error| match error {
        Errno::SRCH => PeerError::Gone,
        other => os("pidfd_open", other),
    })
}

/// A pidfd may outlive its process and newer kernels hand out pidfds of dead ones: only this tells life.
fn alive(pidfd: BorrowedFd<'_>) -> Result<bool, PeerError> {
    let mut fds = [PollFd::new(&pidfd, PollFlags::IN)];
    loop {
        match rustix::event::poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })) {
            Ok(ready) => return Ok(ready == 0),
            Err(Errno::INTR) => {}
            Err(error) => return Err(os("poll", error)),
        }
    }
}

fn os(what: &'static str, errno: Errno) -> PeerError {
    PeerError::Os { what, source: io::Error::from(errno) }
}

#[cfg(test)]
mod tests;
