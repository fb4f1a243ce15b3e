//! What a Unix socket reports about its peer: the `getsockopt` calls the standard library has no word for.

use std::ffi::{c_int, c_void};
use std::io;
use std::mem;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

use crate::peer::{GroupList, InlineCredentials, PeerError, PeerIds};

// Newer than the C library's headers; the numbers are those of the generic ABI (x86, arm, riscv, ...).
const SO_PEERGROUPS: c_int = 59;
const SO_PEERPIDFD: c_int = 77;

/// An option a running kernel either knows or does not know, for every socket.
struct Feature(AtomicU8);

impl Feature {
    const fn unknown() -> Feature {
        Feature(AtomicU8::new(0))
    }
    fn known(&self) -> Option<bool> {
        match self.0.load(Relaxed) {
            0 => None,
            value => Some(value == 1),
        }
    }
    fn learn(&self, present: bool) {
        self.0.store(if present { 1 } else { 2 }, Relaxed);
    }
}

static PEER_PIDFD: Feature = Feature::unknown();
static PEER_LABEL: Feature = Feature::unknown();

/// Does the kernel give the pidfd of a peer (Linux 6.5 and later)? `None`: not asked yet.
pub(super) fn has_peer_pidfd() -> Option<bool> {
    PEER_PIDFD.known()
}

pub(super) enum PeerPidfd {
    Given(OwnedFd),
    UnknownOption,
}

pub(super) fn credentials(fd: RawFd) -> Result<InlineCredentials, PeerError> {
    let PeerIds { pid, uid, gid } = connected_peer(fd)?;
    Ok(InlineCredentials { pid, uid, gid, groups: groups(fd)?, security_label: label(fd) })
}

/// The credentials, once the descriptor is known to be a connected Unix socket.
///
/// `getpeername` proves both at the price of one call. The credentials alone prove neither: TCP and unconnected
/// sockets answer pid 0 and uid -1, a listening socket answers those of the process that called `listen`, which is
/// another process when the socket was inherited.
pub(super) fn connected_peer(fd: RawFd) -> Result<PeerIds, PeerError> {
    match name(fd, libc::getpeername) {
        Ok((libc::AF_UNIX, _)) => {}
        Ok(_) => return Err(PeerError::NotAUnixSocket("a socket of another family")),
        Err(error) => return Err(explain("getpeername", error, fd)),
    }
    ids(fd)
}

/// The credentials of a descriptor that is known to be a connected Unix socket.
pub(super) fn ids(fd: RawFd) -> Result<PeerIds, PeerError> {
    let mut ucred = libc::ucred { pid: 0, uid: 0, gid: 0 };
    get(fd, libc::SO_PEERCRED, &mut ucred).map_err(|error| explain("SO_PEERCRED", error, fd))?;
    if ucred.uid == u32::MAX {
        return Err(PeerError::NotAUnixSocket("a datagram socket has no peer credentials"));
    }
    // 0: the peer lives in a pid namespace that is not below ours.
    let pid = u32::try_from(ucred.pid).ok().filter(|pid| *pid != 0);
    Ok(PeerIds { pid, uid: Some(ucred.uid), gid: Some(ucred.gid) })
}

/// Has our end a name? The accepting side has the listener's; the connecting side has none, unless it took one.
pub(super) fn has_name(fd: RawFd) -> bool {
    // An unnamed socket answers with the family alone. If it cannot be determined, be strict.
    name(fd, libc::getsockname).map_or(true, |(_, len)| len > mem::size_of::<libc::sa_family_t>())
}

pub(super) fn duplicate(fd: RawFd) -> Result<OwnedFd, PeerError> {
    // SAFETY: F_DUPFD_CLOEXEC takes an integer and touches no memory of ours; any descriptor number may be asked.
    let copy = unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 0) };
    if copy < 0 {
        return Err(explain("dup", io::Error::last_os_error(), fd));
    }
    // SAFETY: the kernel has just made `copy` for us, and no other code knows its number.
    Ok(unsafe { OwnedFd::from_raw_fd(copy) })
}

pub(super) fn peer_pidfd(fd: RawFd) -> Result<PeerPidfd, PeerError> {
    let mut pidfd: c_int = -1;
    match get(fd, SO_PEERPIDFD, &mut pidfd) {
        Ok(_) if pidfd >= 0 => {
            PEER_PIDFD.learn(true);
            // SAFETY: the kernel has just made `pidfd` for us (close-on-exec), and no other code knows its number.
            Ok(PeerPidfd::Given(unsafe { OwnedFd::from_raw_fd(pidfd) }))
        }
        Ok(_) => Err(PeerError::Gone),
        Err(error) => match error.raw_os_error() {
            Some(libc::ENOPROTOOPT) => {
                PEER_PIDFD.learn(false);
                Ok(PeerPidfd::UnknownOption)
            }
            // What the kernels without pidfds for reaped processes say when there is no process left to point at.
            Some(libc::ESRCH | libc::EINVAL) => Err(PeerError::Gone),
            _ => Err(explain("SO_PEERPIDFD", error, fd)),
        },
    }
}

fn groups(fd: RawFd) -> Result<Option<GroupList>, PeerError> {
    let mut ids = [0u32; GroupList::INLINE];
    match get(fd, SO_PEERGROUPS, &mut ids) {
        Ok(bytes) => return Ok(Some(GroupList::few(ids, bytes / mem::size_of::<u32>()))),
        Err(error) if error.raw_os_error() == Some(libc::ERANGE) => {}
        // Before Linux 4.13, and in some sandboxes.
        Err(error) if error.raw_os_error() == Some(libc::ENOPROTOOPT) => return Ok(None),
        Err(error) => return Err(explain("SO_PEERGROUPS", error, fd)),
    }
    // 65536 is the most groups a Linux process can be in.
    let mut many = vec![0u32; 65_536];
    let bytes = get_bytes(fd, SO_PEERGROUPS, many.as_mut_ptr().cast(), mem::size_of_val(&many[..]))
        .map_err(|error| explain("SO_PEERGROUPS", error, fd))?;
    many.truncate(bytes / mem::size_of::<u32>());
    many.shrink_to_fit();
    Ok(Some(GroupList::many(many)))
}

fn label(fd: RawFd) -> Option<String> {
    if PEER_LABEL.known() == Some(false) {
        return None;
    }
    let mut room = vec![0u8; 256];
    loop {
        match get_bytes(fd, libc::SO_PEERSEC, room.as_mut_ptr().cast(), room.len()) {
            Ok(len) => {
                PEER_LABEL.learn(true);
                room.truncate(len);
                let text = String::from_utf8_lossy(&room);
                let text = text.trim_end_matches(['\0', '\n']);
                return (!text.is_empty()).then(|| text.to_owned());
            }
            Err(error) => match error.raw_os_error() {
                Some(libc::ERANGE) if room.len() < 65_536 => room.resize(room.len() * 4, 0),
                Some(libc::ENOPROTOOPT) => {
                    // No security module labels sockets; none can be loaded into a running kernel.
                    PEER_LABEL.learn(false);
                    return None;
                }
                _ => return None,
            },
        }
    }
}

/// A value of plain integers, for which every pattern of bytes is valid.
trait Plain {}
impl Plain for c_int {}
impl Plain for libc::ucred {}
impl Plain for [u32; GroupList::INLINE] {}

fn get<T: Plain>(fd: RawFd, option: c_int, value: &mut T) -> io::Result<usize> {
    get_bytes(fd, option, (value as *mut T).cast(), mem::size_of::<T>())
}

/// `room` must point at `len` writable bytes for which every pattern is valid.
fn get_bytes(fd: RawFd, option: c_int, room: *mut c_void, len: usize) -> io::Result<usize> {
    let mut len = len as libc::socklen_t;
    // SAFETY: every caller passes a pointer to, and the size of, a live buffer of integers it holds exclusively; the
    // kernel writes at most `len` bytes there. Any descriptor number may be asked.
    let answer = unsafe { libc::getsockopt(fd, libc::SOL_SOCKET, option, room, &mut len) };
    if answer == 0 { Ok(len as usize) } else { Err(io::Error::last_os_error()) }
}

type NameCall = unsafe extern "C" fn(c_int, *mut libc::sockaddr, *mut libc::socklen_t) -> c_int;

/// Family and length of the name of one end.
fn name(fd: RawFd, call: NameCall) -> io::Result<(c_int, usize)> {
    let mut family: libc::sa_family_t = 0;
    let mut len = mem::size_of_val(&family) as libc::socklen_t;
    // SAFETY: `call` is getsockname or getpeername: it writes at most `len` bytes to the address, which is exactly
    // the family field we have room for, and the full length to `len`.
    let answer = unsafe { call(fd, (&raw mut family).cast(), &mut len) };
    if answer == 0 { Ok((c_int::from(family), len as usize)) } else { Err(io::Error::last_os_error()) }
}

/// The cold side: why a descriptor is no connected Unix socket.
#[cold]
fn explain(what: &'static str, error: io::Error, fd: RawFd) -> PeerError {
    match error.raw_os_error() {
        Some(libc::EBADF) => PeerError::Closed,
        Some(libc::ENOTSOCK) => PeerError::NotAUnixSocket("not a socket"),
        Some(libc::ENOTCONN | libc::ENODATA) => {
            let ask = |option| {
                let mut value: c_int = 0;
                get(fd, option, &mut value).ok().map(|_| value)
            };
            match (ask(libc::SO_DOMAIN), ask(libc::SO_ACCEPTCONN)) {
                (Some(libc::AF_UNIX), Some(0)) => PeerError::NotAUnixSocket("not connected"),
                (Some(libc::AF_UNIX), _) => PeerError::NotAUnixSocket("listening, not connected"),
                _ => PeerError::NotAUnixSocket("a socket of another family"),
            }
        }
        _ => PeerError::Os { what, source: error },
    }
}
