//! Linux: `SO_PEERCRED` and `SO_PEERPIDFD`, and `/proc` read under the pidfd's eye.

mod digest;
mod fd_table;
mod known;
mod proc_dir;
mod sock_diag;
mod socket;

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::{Arc, OnceLock};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags};

use self::fd_table::{FdTable, Link};
pub(crate) use self::known::KnownProcesses;
use self::proc_dir::ProcDir;
use self::socket::PeerPidfd;
use super::process::StartTime;
use super::{Exe, ExeDoubt, InlineCredentials, PeerCredentials, PeerError, PeerIds};

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
    socket: Option<Arc<OwnedFd>>,
    /// Our end came out of `accept`: it has the listener's name, which need not be asked for.
    accepted: bool,
    ids: PeerIds,
    credentials: OnceLock<PeerCredentials>,
    pidfd: OnceLock<OwnedFd>,
    dir: OnceLock<Arc<ProcDir>>,
    known: Option<Arc<KnownProcesses>>,
    /// Where the kernel gives no pidfd for a socket: the start time of the process that had the pid when we first
    /// looked.
    first_seen: Option<u64>,
}

/// Is the process we look at still the program that holds the other end of the socket?
enum Holding<'a> {
    /// The question makes no sense here (see [`Peer::holding`]).
    NotAsked,
    Held(FdTable<'a>, Link),
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

    /// The peer of a connection that a listening Unix stream socket has just given us. It shares the descriptor
    /// instead of making one of its own, and takes the family and the state of the socket as known.
    pub(crate) fn of_accepted(socket: Arc<OwnedFd>, known: Arc<KnownProcesses>) -> Result<Peer, PeerError> {
        let ids = socket::ids(socket.as_raw_fd())?;
        let peer = Peer { socket: Some(socket), accepted: true, known: Some(known), ..Peer::unread(ids) };
        peer.tracked(socket::has_peer_pidfd())
    }

    fn new(socket: OwnedFd, kernel_gives_pidfds: Option<bool>) -> Result<Peer, PeerError> {
        let ids = socket::connected_peer(socket.as_raw_fd())?;
        Peer { socket: Some(Arc::new(socket)), ..Peer::unread(ids) }.tracked(kernel_gives_pidfds)
    }

    /// Notes the start time of the peer where there will be no pidfd to know it by.
    fn tracked(mut self, kernel_gives_pidfds: Option<bool>) -> Result<Peer, PeerError> {
        let known = match kernel_gives_pidfds {
            Some(known) => known,
            // The first peer of this process: ask now, because the other way has to note the start time now.
            None => self.pidfd_of_socket()?.is_some(),
        };
        if let (false, Some(pid)) = (known, self.ids.pid) {
            let start = ProcDir::open(pid).and_then(|dir| dir.start_ticks()).map_err(|error| match error {
                Errno::NOENT | Errno::SRCH => PeerError::Gone,
                other => os("/proc", other),
            })?;
            self.first_seen = Some(start);
        }
        Ok(self)
    }

    /// A running process by pid instead of by socket (for `countersign check --as-pid`).
    pub fn of_pid(pid: u32) -> Result<Peer, PeerError> {
        let mut peer = Peer::unread(PeerIds { pid: Some(pid), uid: None, gid: None });
        let _ = peer.pidfd.set(pidfd_open(pid)?);
        let status = peer.look(|dir| dir.status())?;
        let status = status.ok_or_else(|| os("/proc/<pid>/status", Errno::ACCESS))?;
        (peer.ids.uid, peer.ids.gid) = (status.uid, status.gid);
        let _ = peer.credentials.set(PeerCredentials {
            pid: Some(pid),
            uid: status.uid,
            gid: status.gid,
            groups: status.groups,
            security_label: None,
        });
        Ok(peer)
    }

    fn unread(ids: PeerIds) -> Peer {
        Peer {
            socket: None,
            accepted: false,
            ids,
            credentials: OnceLock::new(),
            pidfd: OnceLock::new(),
            dir: OnceLock::new(),
            known: None,
            first_seen: None,
        }
    }

    /// What the kernel recorded when the connection was made: the numbers alone, which are known already.
    pub fn ids(&self) -> PeerIds {
        self.ids
    }

    /// The same with the groups and the security label.
    pub fn credentials(&self) -> &PeerCredentials {
        self.credentials.get_or_init(|| {
            let answered = self.socket.as_ref().and_then(|socket| socket::credentials(socket.as_raw_fd()).ok());
            match answered {
                Some(credentials) => credentials.into(),
                // Cannot be: the same socket answered when we were made. No policy matches these.
                None => PeerCredentials { pid: None, uid: None, gid: None, groups: None, security_label: None },
            }
        })
    }

    /// Only the process name (cheap: for the answer's `process` field), proven to be the peer's.
    pub fn comm(&self) -> Result<String, PeerError> {
        self.name()?.ok_or_else(|| os("/proc/<pid>/comm", Errno::ACCESS))
    }

    /// SHA-256 of the executable, read through the process itself and cached by file identity. `None` when it
    /// cannot be read, or is not known to be what holds the other end of the socket.
    pub fn exe_sha256(&self) -> Result<Option<[u8; 32]>, PeerError> {
        let hash = self.look(|dir| match self.holding(dir)? {
            Holding::Not(_) => Ok(None),
            Holding::NotAsked => digest::of_exe(dir),
            Holding::Held(table, link) => Ok(digest::of_exe(dir)?.filter(|_| table.still_holds(&link))),
        });
        Ok(hash?.flatten())
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
        let exe = self.look(|dir| {
            let holding = self.holding(dir)?;
            let exe = dir.exe();
            Ok(match holding {
                Holding::NotAsked => exe,
                Holding::Not(doubt) => exe.doubted(doubt),
                Holding::Held(table, link) if table.still_holds(&link) => exe,
                Holding::Held(..) => exe.doubted(ExeDoubt::NotHolder),
            })
        });
        Ok(exe?.unwrap_or(Exe::Unknown(ExeDoubt::Permission)))
    }

    /// An `exec` leaves pid, pidfd and start time as they were, and closes what is marked close-on-exec: a program
    /// that holds the other end of the socket before and after we read its file is the one the file belongs to.
    ///
    /// Asked only where we accepted the connection (our end then has the listener's name). Where we connected, the
    /// credentials are those of the process that called `listen`, which may leave the connections to others; a socket
    /// pair names the process that made it.
    fn holding<'a>(&self, dir: &'a ProcDir) -> Result<Holding<'a>, Errno> {
        let Some(socket) = &self.socket else {
            return Ok(Holding::NotAsked);
        };
        if !self.accepted && !socket::has_name(socket.as_raw_fd()) {
            return Ok(Holding::NotAsked);
        }
        let Some(pid) = self.ids.pid else {
            return Ok(Holding::Not(ExeDoubt::Permission));
        };
        match search(dir, pid, socket.as_fd()) {
            Err(error) if is_blindness(error) => Ok(Holding::Not(ExeDoubt::Permission)),
            other => other,
        }
    }

    /// Reads from the peer's `/proc` directory, and believes it only if the peer was alive to the end. `None` where
    /// a living peer cannot be seen.
    ///
    /// An open directory stays with its process and never shows a later owner of the pid. So one look at the pidfd
    /// afterwards proves all of it: a peer that lives then has had its pid ever since it connected, the directory
    /// that was opened by that number is the peer's, and whatever was read through it is about the peer.
    fn look<T>(&self, read: impl FnOnce(&ProcDir) -> Result<T, Errno>) -> Result<Option<T>, PeerError> {
        let Some(pid) = self.ids.pid else {
            return Ok(None);
        };
        let pidfd = self.pidfd()?;
        let read = self.dir(pid, pidfd).and_then(read);
        if !alive(pidfd)? {
            return Err(PeerError::Gone);
        }
        match read {
            Ok(value) => Ok(Some(value)),
            // It lives, so this is not its absence but our eyes.
            Err(error) if is_blindness(error) => Ok(None),
            Err(other) => Err(os("/proc/<pid>", other)),
        }
    }

    /// The directory in `/proc`, still to be proven to be the peer's.
    fn dir(&self, pid: u32, pidfd: BorrowedFd<'_>) -> Result<&ProcDir, Errno> {
        if let Some(dir) = self.dir.get() {
            return Ok(dir);
        }
        let opened = match &self.known {
            Some(known) => known.dir(pid, pidfd)?,
            None => Arc::new(ProcDir::open(pid)?),
        };
        Ok(self.dir.get_or_init(|| opened))
    }

    fn pidfd(&self) -> Result<BorrowedFd<'_>, PeerError> {
        if let Some(pidfd) = self.pidfd.get() {
            return Ok(pidfd.as_fd());
        }
        let pidfd = match (self.first_seen, self.ids.pid) {
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
    /// first looked, and (where that can be determined) if it holds the other end of the socket, for the number may
    /// have changed hands even before we looked.
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
fn search<'a>(dir: &'a ProcDir, pid: u32, socket: BorrowedFd<'_>) -> Result<Holding<'a>, Errno> {
    let other_end = match sock_diag::peer_inode(socket) {
        Ok(Some(other_end)) => other_end,
        // Closed: no process holds it.
        Ok(None) => return Ok(Holding::Not(ExeDoubt::NotHolder)),
        Err(_) => return Ok(Holding::Not(ExeDoubt::Permission)),
    };
    let table = FdTable::of(dir, pid)?;
    Ok(match table.find(other_end)? {
        Some(link) => Holding::Held(table, link),
        None => Holding::Not(ExeDoubt::NotHolder),
    })
}

/// What stands for a process that we may not see (hidepid, ptrace rules, a kernel thread), and of one that is gone.
fn is_blindness(error: Errno) -> bool {
    matches!(error, Errno::ACCESS | Errno::PERM | Errno::NOENT | Errno::SRCH)
}

fn pidfd_open(pid: u32) -> Result<OwnedFd, PeerError> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or(PeerError::Gone)?;
    rustix::process::pidfd_open(pid, PidfdFlags::empty()).map_err(|error| match error {
        Errno::SRCH => PeerError::Gone,
        other => os("pidfd_open", other),
    })
}

/// A pidfd may outlive its process and newer kernels hand out pidfds of dead ones: only this shows that it lives.
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
