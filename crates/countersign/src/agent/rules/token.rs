use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use zeroize::Zeroizing;

use crate::whoami::Token;

/// The longest token a file may hold.
const MAX_TOKEN_BYTES: u64 = 64 * 1024;

/// Where a rule takes its token from.
pub enum TokenSource {
    /// The rule gives none: the answer carries the empty string.
    None,
    /// Written in the rules.
    Inline(Token),
    /// Read anew for every answer, so that a rotated token is handed out at once.
    File(PathBuf),
}

/// Why a token could not be had. For the log only: the client is told nothing about our files.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The file could not be opened or read.
    #[error("{}: {source}", path.display())]
    Io {
        /// The token file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The file is there, but must not be trusted or cannot be a token.
    #[error("{}: {reason}", path.display())]
    Refused {
        /// The token file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

impl TokenSource {
    /// The token as of now.
    pub fn read(&self) -> Result<Token, TokenError> {
        match self {
            TokenSource::None => Ok(Token::new(String::new())),
            TokenSource::Inline(token) => Ok(token.clone()),
            TokenSource::File(path) => read_file(path),
        }
    }
}

/// Says where the token comes from, never what it is.
impl fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TokenSource::None => f.write_str("None"),
            TokenSource::Inline(_) => f.write_str("Inline([redacted])"),
            TokenSource::File(path) => f.debug_tuple("File").field(path).finish(),
        }
    }
}

fn read_file(path: &Path) -> Result<Token, TokenError> {
    let io = |source: io::Error| TokenError::Io { path: path.to_path_buf(), source };
    let refused = |reason: String| TokenError::Refused { path: path.to_path_buf(), reason };
    // Without NONBLOCK a fifo put in the file's place would hang the daemon. Symbolic links are followed: mounted
    // secrets are made of them, and what counts is the file that was opened.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty()).map_err(|e| io(e.into()))?);
    let found = file.metadata().map_err(io)?;
    if !found.is_file() {
        return Err(refused("not a regular file".into()));
    }
    if found.mode() & 0o077 != 0 {
        return Err(refused(format!(
            "mode {:04o}: others than its owner have access to it (chmod 600)",
            found.mode() & 0o7777
        )));
    }
    let own = rustix::process::geteuid().as_raw();
    if found.uid() != own && found.uid() != 0 {
        return Err(refused(format!("owned by uid {}, expected {own} or 0", found.uid())));
    }
    // Room for all of it at once: a buffer that grows leaves copies of the secret behind in freed memory.
    let room = found.len().min(MAX_TOKEN_BYTES) as usize + 1;
    let mut bytes = Zeroizing::new(vec![0_u8; room]);
    let mut length = 0;
    loop {
        match (&file).read(&mut bytes[length..]) {
            Ok(0) => break,
            Ok(n) => length += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(io(e)),
        }
        if length == room {
            return Err(refused(if found.len() > MAX_TOKEN_BYTES {
                format!("longer than {MAX_TOKEN_BYTES} bytes")
            } else {
                "it grew while it was read".into()
            }));
        }
    }
    let text = std::str::from_utf8(&bytes[..length]).map_err(|_| refused("not UTF-8".into()))?;
    let token = text.strip_suffix("\r\n").or_else(|| text.strip_suffix('\n')).unwrap_or(text);
    Ok(Token::new(token.to_owned()))
}
