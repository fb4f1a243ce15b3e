//! Making the socket: never in the place of another process's socket, and never, not even briefly, with more
//! permissions than asked for.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, Metadata, Permissions, TryLockError};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};
use rustix::io::{Errno, FdFlags};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType};

use crate::agent::fs::trust_policy::SOCKET_DIR;
use crate::agent::fs::trusted;

/// How many clients may wait to be accepted. The kernel cuts it to `net.core.somaxconn`.
const BACKLOG: i32 = 4096;
/// How long to wait for another agent that is just starting or stopping on the same path.
const LOCK_PATIENCE: Duration = Duration::from_secs(2);

/// Why there is no socket to answer on.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Another process answers there already.
    #[error("{}: another process is listening on it", .0.display())]
    Live(PathBuf),
    /// What is there is not a dead socket of this user, so it is left alone.
    #[error("{}: {reason}", path.display())]
    Foreign {
        /// The path.
        path: PathBuf,
        /// What is there instead.
        reason: String,
    },
    /// Other users could put a socket of their own in the place of this one.
    #[error("{}: {reason}", directory.display())]
    UnsafeDirectory {
        /// The directory that is open to others.
        directory: PathBuf,
        /// Why it will not do.
        reason: String,
    },
    /// Another agent is starting or stopping on the same path, and takes too long.
    #[error("{}: another agent holds this lock", .0.display())]
    Locked(PathBuf),
    /// The service manager offers something that cannot be answered on.
    #[error("socket activation: {0}")]
    Activation(String),
    /// Anything else the operating system says.
    #[error("{}: {what}: {source}", path.display())]
    Io {
        /// The path.
        path: PathBuf,
        /// What was tried.
        what: &'static str,
        /// What came back.
        source: io::Error,
    },
}

/// A listening socket, and the right to remove its path again: dropping it does so.
#[derive(Debug)]
pub struct BoundSocket {
    listener: UnixListener,
    path: PathBuf,
    /// The file that was made; `None` for a socket that was adopted, or whose path is removed.
    made: Mutex<Option<FileId>>,
}

/// Device and inode.
type FileId = (u64, u64);

/// Permissions and owner of a new socket.
#[derive(Debug, Clone, Copy)]
pub struct SocketAccess {
    /// Permission bits.
    pub mode: u32,
    /// User that shall own it.
    pub owner: Option<u32>,
    /// Group that shall own it.
    pub group: Option<u32>,
}

impl BoundSocket {
    /// Makes a socket at `path` and listens on it.
    pub fn bind(path: &Path, access: SocketAccess) -> Result<BoundSocket, ListenError> {
        let (directory, name) = split(path)?;
        make_directory(directory)?;
        refuse_unsafe(directory)?;
        let _lock = Lock::take(directory, name)?;
        clear_the_way(path, access.owner)?;
        let listener = listen(path, access)?;
        let found = fs::symlink_metadata(path).map_err(|e| io_error(path, "looking at the new socket", e))?;
        let made = Mutex::new(Some((found.dev(), found.ino())));
        Ok(BoundSocket { listener, path: path.to_path_buf(), made })
    }

    /// Takes over a socket that another process has made and will remove.
    pub fn adopt(listener: UnixListener) -> Result<BoundSocket, ListenError> {
        let broken = |error: io::Error| ListenError::Activation(error.to_string());
        let path = match listener.local_addr().map_err(broken)?.as_pathname() {
            Some(path) => path.to_path_buf(),
            None => return Err(ListenError::Activation("the socket has no path".into())),
        };
        listener.set_nonblocking(true).map_err(broken)?;
        Ok(BoundSocket { listener, path, made: Mutex::new(None) })
    }

    /// The path clients connect to.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Removes the path, if it still leads to this socket: no more clients can connect. Says whether this socket was
    /// made here, so that no other process will accept the clients that are in its queue.
    pub fn unlink(&self) -> bool {
        let Some(made) = self.made.lock().unwrap_or_else(PoisonError::into_inner).take() else { return false };
        // Without the lock another agent could be putting its socket there between our look and our unlink. A dead
        // socket left behind does no harm: the next agent replaces it.
        if let Ok((directory, name)) = split(&self.path)
            && let Ok(_lock) = Lock::take(directory, name)
            && fs::symlink_metadata(&self.path).is_ok_and(|found| (found.dev(), found.ino()) == made)
        {
            let _ = fs::remove_file(&self.path);
        }
        true
    }
}

impl Drop for BoundSocket {
    fn drop(&mut self) {
        self.unlink();
    }
}

impl AsFd for BoundSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }
}

impl AsRawFd for BoundSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.listener.as_raw_fd()
    }
}

fn io_error(path: &Path, what: &'static str, source: impl Into<io::Error>) -> ListenError {
    ListenError::Io { path: path.to_path_buf(), what, source: source.into() }
}

fn split(path: &Path) -> Result<(&Path, &std::ffi::OsStr), ListenError> {
    let foreign = |reason: &str| ListenError::Foreign { path: path.to_path_buf(), reason: reason.into() };
    let name = path.file_name().ok_or_else(|| foreign("not a path a socket could have"))?;
    match path.parent() {
        Some(parent) if parent == Path::new("") => Ok((Path::new("."), name)),
        Some(parent) => Ok((parent, name)),
        None => Err(foreign("not a path a socket could have")),
    }
}

fn make_directory(directory: &Path) -> Result<(), ListenError> {
    if directory.is_dir() {
        return Ok(());
    }
    if let Some(parent) = directory.parent().filter(|parent| *parent != Path::new("")) {
        make_directory(parent)?;
    }
    match DirBuilder::new().mode(0o755).create(directory) {
        // The umask may have taken bits away that clients need to get through.
        Ok(()) => fs::set_permissions(directory, Permissions::from_mode(0o755)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && directory.is_dir() => Ok(()),
        Err(error) => Err(error),
    }
    .map_err(|error| io_error(directory, "making the directory", error))
}

/// Refuses a directory in which others could replace the socket. Every directory above it counts.
fn refuse_unsafe(directory: &Path) -> Result<(), ListenError> {
    trusted::check(directory, &SOCKET_DIR)
        .map_err(|problem| ListenError::UnsafeDirectory { reason: problem.kind.to_string(), directory: problem.path })
}

/// Removes a dead socket of this user; refuses anything else that is in the way.
fn clear_the_way(path: &Path, owner: Option<u32>) -> Result<(), ListenError> {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(io_error(path, "looking at what is there", error)),
    };
    let foreign = |reason: String| Err(ListenError::Foreign { path: path.to_path_buf(), reason });
    if !found.file_type().is_socket() {
        return foreign("it exists and is not a socket".into());
    }
    match probe(path) {
        Ok(()) | Err(Errno::AGAIN) => return Err(ListenError::Live(path.to_path_buf())),
        Err(Errno::CONNREFUSED) => {}
        // A datagram socket, or one that may not even be connected to: it belongs to another process.
        Err(errno) => return foreign(format!("a socket that cannot be told to be dead: {}", io::Error::from(errno))),
    }
    let own = rustix::process::geteuid().as_raw();
    if found.uid() != own && Some(found.uid()) != owner {
        return foreign(format!("a dead socket of uid {}, not ours ({own}): remove it by hand", found.uid()));
    }
    fs::remove_file(path).map_err(|error| io_error(path, "removing the dead socket", error))
}

/// Is a process listening? This does not wait: a full backlog is an answer too.
fn probe(path: &Path) -> Result<(), Errno> {
    let socket = stream_socket()?;
    rustix::net::connect(&socket, &SocketAddrUnix::new(path)?)
}

fn stream_socket() -> Result<OwnedFd, Errno> {
    let socket = rustix::net::socket(AddressFamily::UNIX, SocketType::STREAM, None)?;
    rustix::io::fcntl_setfd(&socket, FdFlags::CLOEXEC)?;
    rustix::io::ioctl_fionbio(&socket, true)?;
    Ok(socket)
}

/// No client can connect before `listen`, so mode and owner are set before the socket can be reached.
fn listen(path: &Path, access: SocketAccess) -> Result<UnixListener, ListenError> {
    let socket = stream_socket().map_err(|e| io_error(path, "making a socket", e))?;
    let address = SocketAddrUnix::new(path).map_err(|e| io_error(path, "the path", e))?;
    rustix::net::bind(&socket, &address).map_err(|e| match e {
        Errno::ADDRINUSE => {
            ListenError::Foreign { path: path.to_path_buf(), reason: "another process took the path just now".into() }
        }
        other => io_error(path, "binding the socket", other),
    })?;
    let listening = set_access(path, access)
        .and_then(|()| rustix::net::listen(&socket, BACKLOG).map_err(|e| io_error(path, "listening", e)));
    if let Err(error) = listening {
        let _ = fs::remove_file(path);
        return Err(error);
    }
    Ok(UnixListener::from(socket))
}

fn set_access(path: &Path, access: SocketAccess) -> Result<(), ListenError> {
    if access.owner.is_some() || access.group.is_some() {
        std::os::unix::fs::lchown(path, access.owner, access.group)
            .map_err(|e| io_error(path, "changing its owner", e))?;
    }
    fs::set_permissions(path, Permissions::from_mode(access.mode)).map_err(|e| io_error(path, "changing its mode", e))
}

/// The lock that keeps two agents from probing and binding at the same time. Its file is removed with the lock.
struct Lock {
    path: PathBuf,
    _file: File,
}

impl Lock {
    fn take(directory: &Path, name: &std::ffi::OsStr) -> Result<Lock, ListenError> {
        let mut lock_name = OsString::from(".");
        lock_name.push(name);
        lock_name.push(".lock");
        let path = directory.join(lock_name);
        let deadline = Instant::now() + LOCK_PATIENCE;
        loop {
            let file = Lock::open(&path)?;
            match file.try_lock() {
                // The previous holder removes the file. A lock on a removed file locks no other agent out, so it only
                // counts while the path still leads to it.
                Ok(()) if same_file(&path, &file) => return Ok(Lock { path, _file: file }),
                Ok(()) => continue,
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(10));
                }
                Err(TryLockError::WouldBlock) => return Err(ListenError::Locked(path)),
                Err(TryLockError::Error(error)) => return Err(io_error(&path, "locking", error)),
            }
        }
    }

    fn open(path: &Path) -> Result<File, ListenError> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR)
            .map(File::from)
            .map_err(|e| io_error(path, "opening the lock", e))?;
        let found: Metadata = file.metadata().map_err(|e| io_error(path, "opening the lock", e))?;
        if !found.is_file() || found.uid() != rustix::process::geteuid().as_raw() {
            return Err(ListenError::Foreign { path: path.to_path_buf(), reason: "not a lock file of ours".into() });
        }
        Ok(file)
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Before the lock is given up, so that no other agent's file is removed.
        let _ = fs::remove_file(&self.path);
    }
}

fn same_file(path: &Path, file: &File) -> bool {
    match (fs::symlink_metadata(path), file.metadata()) {
        (Ok(named), Ok(open)) => (named.dev(), named.ino()) == (open.dev(), open.ino()),
        _ => false,
    }
}
