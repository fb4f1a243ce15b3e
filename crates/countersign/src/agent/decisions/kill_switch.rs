use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use crate::agent::fs::private_file::{self, PrivateFileError};
use crate::agent::fs::trust_policy::{STATE_DIR, STATE_FILE};
use crate::agent::fs::trusted;
use crate::control::Timestamp;

const FILE: &str = "killswitch";
const MAX_BYTES: u64 = 64 * 1024;
/// The reason of an operator who gave none.
const NO_REASON: &str = "Manual activation";

/// While it is on, the agent vouches for no process. It is on as long as its file is there: an agent that starts looks
/// for that file before it answers.
pub(in crate::agent) struct KillSwitch {
    on: AtomicBool,
    /// Held while it is turned.
    order: Mutex<Option<KillOrder>>,
    /// `None`: it is forgotten when the agent ends.
    file: Option<PathBuf>,
}

/// The order that turned the kill switch on. Its file has the form of the one of `secureops`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KillOrder {
    /// When.
    pub activated: String,
    /// Why.
    pub reason: String,
    /// By which operator.
    pub activated_by: String,
}

impl KillSwitch {
    /// Finds out whether it is on. A file that cannot be looked at is an error: it may be there.
    pub(in crate::agent) fn open(directory: Option<&Path>) -> Result<KillSwitch, PrivateFileError> {
        let file = directory.map(|directory| directory.join(FILE));
        let order = match (&file, directory) {
            (Some(path), Some(directory)) if directory.is_dir() => {
                // Others could remove the file of a directory that they can write to.
                trusted::check(directory, &STATE_DIR)?;
                found(path)?
            }
            (Some(path), _) => found(path)?,
            (None, _) => None,
        };
        Ok(KillSwitch { on: AtomicBool::new(order.is_some()), order: Mutex::new(order), file })
    }

    pub(in crate::agent) fn is_on(&self) -> bool {
        self.on.load(Ordering::SeqCst)
    }

    /// The order that turned it on, if it is on.
    pub(in crate::agent) fn order(&self) -> Option<KillOrder> {
        self.lock().clone()
    }

    /// Does it stay on when the agent restarts?
    pub(in crate::agent) fn outlives_us(&self) -> bool {
        self.file.is_some()
    }

    /// Turns it on. It is on when this returns, also when it could not be written down.
    pub(in crate::agent) fn kill(&self, reason: Option<String>, by: String) -> Result<KillOrder, PrivateFileError> {
        let mut order = self.lock();
        self.on.store(true, Ordering::SeqCst);
        let reason = reason.filter(|reason| !reason.is_empty()).unwrap_or_else(|| NO_REASON.to_owned());
        let given = KillOrder { activated: Timestamp::now().to_string(), reason, activated_by: by };
        *order = Some(given.clone());
        if let Some(path) = &self.file {
            if let Some(directory) = path.parent() {
                private_file::directory(directory)?;
            }
            // Strings: there is nothing in it that could not be written.
            let text = serde_json::to_string_pretty(&given).unwrap_or_default() + "\n";
            private_file::replace(path, text.as_bytes())?;
        }
        Ok(given)
    }

    /// Turns it off, and returns whether it was on. It stays on if its file cannot be removed.
    pub(in crate::agent) fn resume(&self) -> Result<bool, PrivateFileError> {
        let mut order = self.lock();
        if let Some(path) = &self.file {
            let io = |what| {
                let path = path.clone();
                move |source| PrivateFileError::Io { path, what, source }
            };
            match fs::remove_file(path) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(io("removing the kill switch")(error)),
                Ok(()) => private_file::sync_directory(path).map_err(io("removing the kill switch"))?,
                Err(_) => {}
            }
        }
        *order = None;
        Ok(self.on.swap(false, Ordering::SeqCst))
    }

    fn lock(&self) -> MutexGuard<'_, Option<KillOrder>> {
        self.order.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The order in the file, if the file is there. It is on with any content.
fn found(path: &Path) -> Result<Option<KillOrder>, PrivateFileError> {
    match fs::symlink_metadata(path) {
        Ok(_) => {}
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
        Err(source) => {
            return Err(PrivateFileError::Io { path: path.to_path_buf(), what: "looking for the kill switch", source });
        }
    }
    let text = private_file::read(path, &STATE_FILE, MAX_BYTES).ok().flatten();
    let order = text.and_then(|text| serde_json::from_slice(&text).ok());
    Ok(Some(order.unwrap_or_else(|| KillOrder {
        activated: String::new(),
        reason: format!("{} is there", path.display()),
        activated_by: String::new(),
    })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_on_as_long_as_its_file_is_there() {
        let directory = tempfile::tempdir().unwrap();
        let open = || KillSwitch::open(Some(directory.path())).unwrap();
        let switch = open();
        assert!(!switch.is_on());
        switch.kill(Some("because".into()), "me".into()).unwrap();
        assert!(switch.is_on() && open().is_on());
        assert_eq!(open().order().unwrap().reason, "because");
        assert!(switch.resume().unwrap() && !switch.is_on() && !open().is_on());
        assert!(!switch.resume().unwrap());
        // Regardless of its type and contents.
        fs::write(directory.path().join(FILE), "nonsense").unwrap();
        assert!(open().is_on());
    }

    #[test]
    fn it_is_on_although_it_could_not_be_written_down() {
        let directory = tempfile::tempdir().unwrap();
        let switch = KillSwitch::open(Some(&directory.path().join("state"))).unwrap();
        fs::write(directory.path().join("state"), "in the way").unwrap();
        assert!(switch.kill(None, "me".into()).is_err());
        assert!(switch.is_on());
        assert_eq!(switch.order().unwrap().reason, NO_REASON);
    }
}
