//! Windows: the process at the other end of a named pipe. There are no numeric users and groups here.

use std::ffi::OsString;
use std::io;
use std::os::windows::ffi::OsStringExt;
use std::os::windows::io::{AsHandle, AsRawHandle, FromRawHandle, OwnedHandle};
use std::path::PathBuf;
use std::ptr;

use windows_sys::Win32::Foundation::{
    ERROR_BROKEN_PIPE, ERROR_INVALID_HANDLE, ERROR_INVALID_PARAMETER, ERROR_NO_DATA, ERROR_PIPE_NOT_CONNECTED,
    FILETIME, HANDLE, WAIT_OBJECT_0, WAIT_TIMEOUT,
};
use windows_sys::Win32::System::Pipes::{
    GetNamedPipeClientProcessId, GetNamedPipeInfo, GetNamedPipeServerProcessId, PIPE_SERVER_END, PeekNamedPipe,
};
use windows_sys::Win32::System::Threading::{
    GetProcessTimes, OpenProcess, PROCESS_QUERY_LIMITED_INFORMATION, PROCESS_SYNCHRONIZE, QueryFullProcessImageNameW,
    WaitForSingleObject,
};

use super::process::StartTime;
use super::{Exe, ExeDoubt, InlineCredentials, PeerCredentials, PeerError, PeerIds};

/// How this system names a pipe: the value of a handle.
pub type RawSocket = isize;

/// From the first of January 1601 to that of 1970, in tenths of microseconds.
const EPOCH: u64 = 116_444_736_000_000_000;

pub(super) fn credentials(pipe: RawSocket) -> Result<InlineCredentials, PeerError> {
    let pid = peer_pid(pipe as HANDLE)?;
    Ok(InlineCredentials { pid: Some(pid), uid: None, gid: None, groups: None, security_label: None })
}

/// The process at the other end of a named pipe, held by a handle: its pid is not given to another while we hold it.
pub struct Peer {
    credentials: PeerCredentials,
    process: OwnedHandle,
}

impl Peer {
    /// The peer of a connected named pipe.
    pub fn of(pipe: &impl AsHandle) -> Result<Peer, PeerError> {
        Peer::of_raw(pipe.as_handle().as_raw_handle() as RawSocket)
    }

    /// The same for a bare handle value.
    pub fn of_raw(pipe: RawSocket) -> Result<Peer, PeerError> {
        let pid = peer_pid(pipe as HANDLE)?;
        let peer = Peer::of_pid(pid)?;
        // Had the process ended before we held it, its end of the pipe would be broken.
        // SAFETY: no buffer is passed, so nothing is written; any handle value may be asked.
        let open = unsafe {
            PeekNamedPipe(pipe as HANDLE, ptr::null_mut(), 0, ptr::null_mut(), ptr::null_mut(), ptr::null_mut())
        };
        if open == 0 {
            return Err(explain("PeekNamedPipe"));
        }
        if peer_pid(pipe as HANDLE)? != pid || !peer.is_alive()? {
            return Err(PeerError::Gone);
        }
        Ok(peer)
    }

    /// A running process by pid instead of by pipe.
    pub fn of_pid(pid: u32) -> Result<Peer, PeerError> {
        // SAFETY: takes integers and touches no memory of ours.
        let handle = unsafe { OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION | PROCESS_SYNCHRONIZE, 0, pid) };
        if handle.is_null() {
            let error = io::Error::last_os_error();
            return Err(match error.raw_os_error() {
                Some(code) if code as u32 == ERROR_INVALID_PARAMETER => PeerError::Gone,
                _ => PeerError::Os { what: "OpenProcess", source: error },
            });
        }
        // SAFETY: the handle was just made for us, and no other code knows it.
        let process = unsafe { OwnedHandle::from_raw_handle(handle) };
        let credentials = PeerCredentials { pid: Some(pid), uid: None, gid: None, groups: None, security_label: None };
        Ok(Peer { credentials, process })
    }

    /// What the kernel recorded when the connection was made: the numbers alone.
    pub fn ids(&self) -> PeerIds {
        self.credentials.ids()
    }

    /// The same with what else is known.
    pub fn credentials(&self) -> &PeerCredentials {
        &self.credentials
    }

    /// The file name of the executable: processes have no other name here.
    pub fn comm(&self) -> Result<String, PeerError> {
        self.name()?.ok_or(PeerError::Unsupported("the name of this process"))
    }

    /// Always `None`: this system has no way to read the executable through the process.
    pub fn exe_sha256(&self) -> Result<Option<[u8; 32]>, PeerError> {
        Ok(None)
    }

    /// Is the process still there?
    pub fn is_alive(&self) -> Result<bool, PeerError> {
        // SAFETY: the handle is ours and open.
        match unsafe { WaitForSingleObject(self.process.as_raw_handle(), 0) } {
            WAIT_TIMEOUT => Ok(true),
            WAIT_OBJECT_0 => Ok(false),
            _ => Err(explain("WaitForSingleObject")),
        }
    }

    pub(super) fn name(&self) -> Result<Option<String>, PeerError> {
        let exe = self.exe()?;
        let name = exe.proven().and_then(|path| path.file_name());
        Ok(name.map(|name| name.to_string_lossy().into_owned()))
    }

    pub(super) fn cgroup(&self) -> Result<Option<String>, PeerError> {
        Ok(None)
    }

    pub(super) fn start_time(&self) -> Result<StartTime, PeerError> {
        let zero = FILETIME { dwLowDateTime: 0, dwHighDateTime: 0 };
        let [mut created, mut exited, mut kernel, mut user] = [zero; 4];
        let process = self.process.as_raw_handle();
        // SAFETY: the handle is ours and open, and the four times are ours to be written.
        let written = unsafe { GetProcessTimes(process, &mut created, &mut exited, &mut kernel, &mut user) };
        let ticks = u64::from(created.dwHighDateTime) << 32 | u64::from(created.dwLowDateTime);
        let unix_ms = (written != 0).then(|| ticks.saturating_sub(EPOCH) / 10_000);
        Ok(StartTime { ticks: None, unix_ms })
    }

    pub(super) fn exe(&self) -> Result<Exe, PeerError> {
        let mut room = vec![0u16; 32_768];
        let mut len = room.len() as u32;
        let process = self.process.as_raw_handle();
        // SAFETY: the handle is ours and open; at most `len` units are written to the room, which has that many.
        let written = unsafe { QueryFullProcessImageNameW(process, 0, room.as_mut_ptr(), &mut len) };
        if !self.is_alive()? {
            return Err(PeerError::Gone);
        }
        Ok(match room.get(..len as usize) {
            Some(path) if written != 0 => Exe::Proven(PathBuf::from(OsString::from_wide(path))),
            _ => Exe::Unknown(ExeDoubt::Permission),
        })
    }
}

fn peer_pid(pipe: HANDLE) -> Result<u32, PeerError> {
    let mut flags = 0;
    // SAFETY: the flags are ours to be written, and nothing else is asked for; any handle value may be asked.
    let written = unsafe { GetNamedPipeInfo(pipe, &mut flags, ptr::null_mut(), ptr::null_mut(), ptr::null_mut()) };
    if written == 0 {
        return Err(explain("GetNamedPipeInfo"));
    }
    let mut pid = 0;
    // SAFETY: the number is ours to be written; any handle value may be asked.
    let written = unsafe {
        if flags & PIPE_SERVER_END != 0 {
            GetNamedPipeClientProcessId(pipe, &mut pid)
        } else {
            GetNamedPipeServerProcessId(pipe, &mut pid)
        }
    };
    if written == 0 { Err(explain("GetNamedPipeProcessId")) } else { Ok(pid) }
}

fn explain(what: &'static str) -> PeerError {
    let error = io::Error::last_os_error();
    match error.raw_os_error().map(|code| code as u32) {
        Some(ERROR_INVALID_HANDLE) => PeerError::Closed,
        Some(ERROR_PIPE_NOT_CONNECTED) => PeerError::NotAUnixSocket("not connected"),
        Some(ERROR_BROKEN_PIPE | ERROR_NO_DATA) => PeerError::Gone,
        // ERROR_INVALID_FUNCTION: what a file or a device answers.
        Some(1) => PeerError::NotAUnixSocket("not a named pipe"),
        _ => PeerError::Os { what, source: error },
    }
}
