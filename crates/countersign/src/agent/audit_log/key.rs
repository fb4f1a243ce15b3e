use std::fs::{self, File, Permissions, TryLockError};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use rustix::fs::OFlags;
use zeroize::Zeroizing;

use super::error::AuditLogError;
use crate::agent::fs::private_file::{self, PrivateFileError};
use crate::agent::fs::trust_policy::LOG_KEY;
use crate::control::log::{LogKey, key_path};
use crate::spiffe::pem::{self, Pem};

/// The longest key that is read.
const MAX_BYTES: u64 = 16 * 1024;

/// Signs a log.
pub(super) struct SigningKey {
    pair: Ed25519KeyPair,
}

/// The right to write a log. While it is held no other process can have it.
pub(in crate::agent) struct LogLock(File);

impl Drop for LogLock {
    /// A process that was started meanwhile may have the descriptor too: closing ours would not unlock.
    fn drop(&mut self) {
        let _ = self.0.unlock();
    }
}

/// The path of the private key of a log.
pub(in crate::agent) fn private_key_path(log: &Path) -> PathBuf {
    let mut name = log.as_os_str().to_owned();
    name.push(".key");
    PathBuf::from(name)
}

impl SigningKey {
    /// The key of this log, made now if there is none.
    pub(super) fn open(log: &Path) -> Result<SigningKey, AuditLogError> {
        let path = private_key_path(log);
        let bad = |reason| AuditLogError::Key { path: path.clone(), reason };
        let pair = match private_file::read(&path, &LOG_KEY, MAX_BYTES)? {
            Some(text) => {
                let found = Pem::read(&text).map_err(|_| bad("not PEM"))?;
                let [der] = &found.keys[..] else { return Err(bad("expected one unencrypted private key in it")) };
                Ed25519KeyPair::from_pkcs8(der).map_err(|_| bad("not an Ed25519 key"))?
            }
            None => {
                let pair = Ed25519KeyPair::generate().map_err(|_| bad("the crypto library could not make a key"))?;
                let der = pair.to_pkcs8v1().map_err(|_| bad("the crypto library could not write a key"))?;
                let mut text = Zeroizing::new(String::with_capacity(512));
                pem::write(&mut text, "PRIVATE KEY", der.as_ref());
                private_file::replace(&path, text.as_bytes())?;
                pair
            }
        };
        let key = SigningKey { pair };
        key.publish(log)?;
        Ok(key)
    }

    /// Puts the public half into a file that every user can read.
    fn publish(&self, log: &Path) -> Result<(), AuditLogError> {
        let path = key_path(log);
        let pem = self.public().to_pem();
        if fs::read_to_string(&path).is_ok_and(|found| found == pem) {
            return Ok(());
        }
        private_file::replace(&path, pem.as_bytes())?;
        let opened = fs::set_permissions(&path, Permissions::from_mode(0o644));
        opened.map_err(|source| AuditLogError::Io { path, what: "changing its mode", source })
    }

    pub(super) fn public(&self) -> LogKey {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(self.pair.public_key().as_ref());
        LogKey(bytes)
    }

    pub(super) fn sign(&self, message: &[u8]) -> std::io::Result<[u8; 64]> {
        let failed = || std::io::Error::other("the crypto library could not sign");
        let signature = self.pair.try_sign(message).map_err(|_| failed())?;
        signature.as_ref().try_into().map_err(|_| failed())
    }
}

/// The key file is replaced when it is made, so the lock is a file of its own.
pub(super) fn lock(log: &Path) -> Result<LogLock, AuditLogError> {
    let mut name = log.as_os_str().to_owned();
    name.push(".lock");
    let path = PathBuf::from(name);
    let io = |what| {
        let path = path.clone();
        move |source| PrivateFileError::Io { path, what, source }
    };
    let file = private_file::open(&path, OFlags::RDWR | OFlags::CREATE).map_err(io("opening the lock"))?;
    match file.try_lock() {
        Ok(()) => Ok(LogLock(file)),
        Err(TryLockError::WouldBlock) => Err(AuditLogError::Locked(log.to_path_buf())),
        Err(TryLockError::Error(error)) => Err(io("locking")(error).into()),
    }
}
