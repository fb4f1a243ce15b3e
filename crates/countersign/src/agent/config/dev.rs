//! The private place for the sockets of a development agent.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// A directory for the sockets of one agent.
pub(super) struct Place {
    pub(super) directory: PathBuf,
    /// Set if the directory was made for this agent alone.
    pub(super) temporary: Option<TemporaryDirectory>,
}

/// A directory that is removed with its owner, if it is empty by then.
#[derive(Debug)]
pub(in crate::agent) struct TemporaryDirectory(PathBuf);

impl TemporaryDirectory {
    pub(in crate::agent) fn remove(&self) {
        let _ = std::fs::remove_dir(&self.0);
    }
}

impl Drop for TemporaryDirectory {
    fn drop(&mut self) {
        self.remove();
    }
}

/// `$XDG_RUNTIME_DIR/countersign`, or a fresh directory that only this user may enter.
pub(super) fn place() -> io::Result<Place> {
    if let Some(runtime) = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|path| is_ours(path)) {
        let directory = runtime.join("countersign");
        match make_private(&directory) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && is_ours(&directory) => {}
            made => made?,
        }
        return Ok(Place { directory, temporary: None });
    }
    let directory = private_directory()?;
    Ok(Place { directory: directory.clone(), temporary: Some(TemporaryDirectory(directory)) })
}

/// A fresh directory that only this user may enter.
pub(in crate::agent) fn private_directory() -> io::Result<PathBuf> {
    let mut seed = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.subsec_nanos());
    loop {
        let name = format!("countersign-{}-{seed:08x}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        match make_private(&directory) {
            // Another process may have guessed the name: never use a directory that was there before.
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
