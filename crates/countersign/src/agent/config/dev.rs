//! A private place for the sockets of a development agent.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// A private place for the sockets.
pub(in crate::agent) struct Place {
    pub(in crate::agent) socket: PathBuf,
    pub(in crate::agent) workload_socket: PathBuf,
    pub(in crate::agent) control_socket: PathBuf,
    /// A directory made for this agent alone, to be removed with it.
    pub(in crate::agent) temporary: Option<PathBuf>,
}

impl Place {
    fn in_directory(directory: PathBuf, temporary: Option<PathBuf>) -> Place {
        Place {
            socket: directory.join("whoami.sock"),
            workload_socket: directory.join("workload.sock"),
            control_socket: directory.join("control.sock"),
            temporary,
        }
    }
}

/// `$XDG_RUNTIME_DIR/countersign/whoami.sock`, or one in a fresh directory that only we may enter.
pub(in crate::agent) fn place() -> io::Result<Place> {
    if let Some(runtime) = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|path| is_ours(path)) {
        let directory = runtime.join("countersign");
        match make_private(&directory) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && is_ours(&directory) => {}
            made => made?,
        }
        return Ok(Place::in_directory(directory, None));
    }
    let directory = private_directory()?;
    Ok(Place::in_directory(directory.clone(), Some(directory)))
}

/// A fresh directory that only we may enter.
pub(in crate::agent) fn private_directory() -> io::Result<PathBuf> {
    let mut seed = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.subsec_nanos());
    loop {
        let name = format!("countersign-{}-{seed:08x}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        match make_private(&directory) {
            // Somebody may have guessed the name: never use a directory that was there before.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => seed = seed.wrapping_add(1),
            Err(error) => return Err(error),
            Ok(()) => return Ok(directory),
        }
    }
}

fn make_private(directory: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(directory)
}

fn is_ours(path: &Path) -> bool {
    let own = rustix::process::geteuid().as_raw();
    path.is_absolute() && std::fs::metadata(path).is_ok_and(|found| found.is_dir() && found.uid() == own)
}
