//! macOS: `LOCAL_PEERCRED`, `LOCAL_PEERTOKEN`, and libproc under the eye of the pid version.
//!
//! The pid version in an audit token changes with every `exec` and is never given twice, so an unchanged one proves
//! both that the process is the same and that it still runs the same program.

use std::ffi::{OsString, c_int, c_void};
use std::io;
use std::mem;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use super::process::StartTime;
use super::{Exe, ExeDoubt, GroupList, InlineCredentials, PeerCredentials, PeerError, PeerIds};

/// How this system names a socket: a descriptor number.
pub type RawSocket = RawFd;

const SOL_LOCAL: c_int = 0;
/// `struct proc_uniqidentifierinfo`, which the C library crate does not know.
const PROC_PIDUNIQIDENTIFIERINFO: c_int = 17;

#[repr(C)]
#[derive(Default)]
struct UniqueIdentifier {
    uuid: [u8; 16],
    unique: u64,
    parent: u64,
    version: i32,
    parent_version: i32,
    reserved: [u64; 2],
}

/// A value of plain integers, for which every pattern of bytes is valid.
trait Plain: Copy {}
impl Plain for c_int {}
impl Plain for libc::xucred {}
/// An audit token: audit uid, euid, egid, uid, gid, pid, session, pid version.
impl Plain for [u32; 8] {}

pub(super) fn credentials(socket: RawSocket) -> Result<InlineCredentials, PeerError> {
    connected(socket)?;
    let mut cred = libc::xucred { cr_version: 0, cr_uid: 0, cr_ngroups: 0, cr_groups: [0; 16] };
    get(socket, libc::LOCAL_PEERCRED, &mut cred).map_err(|error| explain("LOCAL_PEERCRED", error))?;
    let mut pid: c_int = 0;
    get(socket, libc::LOCAL_PEERPID, &mut pid).map_err(|error| explain("LOCAL_PEERPID", error))?;
    let count = usize::try_from(cred.cr_ngroups).unwrap_or(0).min(cred.cr_groups.len());
    // The first is the effective group.
    let mut ids = [0; GroupList::INLINE];
    let supplementary = count.saturating_sub(1);
    ids[..supplementary].copy_from_slice(&cred.cr_groups[count - supplementary..count]);
    Ok(InlineCredentials {
        pid: u32::try_from(pid).ok().filter(|pid| *pid != 0),
        uid: Some(cred.cr_uid),
        gid: (count > 0).then(|| cred.cr_groups[0]),
        groups: Some(GroupList::few(ids, supplementary)),
        security_label: None,
    })
}

/// The process at the other end of a socket, held by its pid version.
pub struct Peer {
    credentials: PeerCredentials,
    process: Option<(c_int, i32)>,
}

impl Peer {
    /// The peer of a connected Unix socket.
    pub fn of(socket: &impl AsFd) -> Result<Peer, PeerError> {
        Peer::of_raw(socket.as_fd().as_raw_fd())
    }

    /// The same for a bare descriptor number: a number that is not open is [`PeerError::Closed`].
    pub fn of_raw(fd: RawFd) -> Result<Peer, PeerError> {
        let credentials = PeerCredentials::from(credentials(fd)?);
        let mut token = [0u32; 8];
        get(fd, libc::LOCAL_PEERTOKEN, &mut token).map_err(|error| explain("LOCAL_PEERTOKEN", error))?;
        let pid = token[5] as c_int;
        if credentials.pid.is_some_and(|pid| pid != token[5]) {
            return Err(PeerError::Gone);
        }
        Ok(Peer { credentials, process: (pid != 0).then_some((pid, token[7] as i32)) })
    }

    /// A running process by pid instead of by socket.
    pub fn of_pid(pid: u32) -> Result<Peer, PeerError> {
        let number = c_int::try_from(pid).map_err(|_| PeerError::Gone)?;
        let version = version_of(number).ok_or(PeerError::Gone)?;
        let info = bsd_info(number).ok_or(PeerError::Gone)?;
        let credentials = PeerCredentials {
            pid: Some(pid),
            uid: Some(info.pbi_uid),
            gid: Some(info.pbi_gid),
            groups: None,
            security_label: None,
        };
        let peer = Peer { credentials, process: Some((number, version)) };
        if peer.is_alive()? { Ok(peer) } else { Err(PeerError::Gone) }
    }

    /// What the kernel recorded when the connection was made: the numbers alone.
    pub fn ids(&self) -> PeerIds {
        self.credentials.ids()
    }

    /// The same with the groups.
    pub fn credentials(&self) -> &PeerCredentials {
        &self.credentials
    }

    /// Only the process name, proven to be the peer's.
    pub fn comm(&self) -> Result<String, PeerError> {
        self.name()?.ok_or(PeerError::Unsupported("the name of this process"))
    }

    /// Always `None`: this system has no way to read the executable through the process, and the file of that name
    /// may be another one by now.
    pub fn exe_sha256(&self) -> Result<Option<[u8; 32]>, PeerError> {
        Ok(None)
    }

    /// Is the process still there, and still the same program?
    pub fn is_alive(&self) -> Result<bool, PeerError> {
        let (pid, version) = self.process.ok_or(PeerError::Unsupported("holding this process"))?;
        Ok(version_of(pid) == Some(version))
    }

    pub(super) fn name(&self) -> Result<Option<String>, PeerError> {
        Ok(self.look(bsd_info)?.map(|info| {
            let bytes: Vec<u8> = info.pbi_comm.iter().map(|c| *c as u8).take_while(|byte| *byte != 0).collect();
            String::from_utf8_lossy(&bytes).into_owned()
        }))
    }

    pub(super) fn cgroup(&self) -> Result<Option<String>, PeerError> {
        Ok(None)
    }

    pub(super) fn start_time(&self) -> Result<StartTime, PeerError> {
        let info = self.look(bsd_info)?;
        let unix_ms = info.map(|info| info.pbi_start_tvsec * 1000 + info.pbi_start_tvusec / 1000);
        Ok(StartTime { ticks: None, unix_ms })
    }

    pub(super) fn exe(&self) -> Result<Exe, PeerError> {
        Ok(match self.look(path_of)? {
            Some(path) => Exe::Proven(path),
            None => Exe::Unknown(ExeDoubt::Permission),
        })
    }

    /// Believes what is read only if the pid version is the same afterwards.
    fn look<T>(&self, read: impl FnOnce(c_int) -> Option<T>) -> Result<Option<T>, PeerError> {
        let Some((pid, _)) = self.process else {
            return Ok(None);
        };
        let value = read(pid);
        if self.is_alive()? { Ok(value) } else { Err(PeerError::Gone) }
    }
}

fn connected(fd: RawFd) -> Result<(), PeerError> {
    // SAFETY: all zeros is a valid address of integers.
    let mut address: libc::sockaddr_un = unsafe { mem::zeroed() };
    let mut len = mem::size_of_val(&address) as libc::socklen_t;
    // SAFETY: the kernel writes at most `len` bytes to the address, which has that many.
    let answer = unsafe { libc::getpeername(fd, (&raw mut address).cast(), &mut len) };
    if answer != 0 {
        return Err(explain("getpeername", io::Error::last_os_error()));
    }
    if c_int::from(address.sun_family) != libc::AF_UNIX {
        return Err(PeerError::NotAUnixSocket("a socket of another family"));
    }
    Ok(())
}

fn get<T: Plain>(fd: RawFd, option: c_int, value: &mut T) -> io::Result<()> {
    let mut len = mem::size_of::<T>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `len` bytes to `value`, which has that many and takes any pattern of them.
    let answer = unsafe { libc::getsockopt(fd, SOL_LOCAL, option, (value as *mut T).cast::<c_void>(), &mut len) };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn version_of(pid: c_int) -> Option<i32> {
    let mut info = UniqueIdentifier::default();
    let size = mem::size_of::<UniqueIdentifier>() as c_int;
    // SAFETY: libproc writes at most `size` bytes to `info`, which has that many and takes any pattern of them.
    let filled = unsafe { libc::proc_pidinfo(pid, PROC_PIDUNIQIDENTIFIERINFO, 0, (&raw mut info).cast(), size) };
    (filled == size).then_some(info.version)
}

fn bsd_info(pid: c_int) -> Option<libc::proc_bsdinfo> {
    // SAFETY: all zeros is a valid structure of integers.
    let mut info: libc::proc_bsdinfo = unsafe { mem::zeroed() };
    let size = mem::size_of::<libc::proc_bsdinfo>() as c_int;
    // SAFETY: libproc writes at most `size` bytes to `info`, which has that many and takes any pattern of them.
    let filled = unsafe { libc::proc_pidinfo(pid, libc::PROC_PIDTBSDINFO, 0, (&raw mut info).cast(), size) };
    (filled == size).then_some(info)
}

fn path_of(pid: c_int) -> Option<PathBuf> {
    let mut room = vec![0u8; libc::PROC_PIDPATHINFO_MAXSIZE as usize];
    // SAFETY: libproc writes at most `room.len()` bytes to the room.
    let len = unsafe { libc::proc_pidpath(pid, room.as_mut_ptr().cast(), room.len() as u32) };
    room.truncate(usize::try_from(len).ok().filter(|len| *len > 0)?);
    Some(PathBuf::from(OsString::from_vec(room)))
}

fn explain(what: &'static str, error: io::Error) -> PeerError {
    match error.raw_os_error() {
        Some(libc::EBADF) => PeerError::Closed,
        Some(libc::ENOTSOCK) => PeerError::NotAUnixSocket("not a socket"),
        Some(libc::ENOTCONN | libc::EINVAL) => PeerError::NotAUnixSocket("not connected"),
        Some(libc::ENOPROTOOPT) => PeerError::NotAUnixSocket("a socket of another family"),
        Some(libc::ESRCH) => PeerError::Gone,
        _ => PeerError::Os { what, source: error },
    }
}
