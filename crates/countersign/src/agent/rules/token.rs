use std::fmt;
use std::path::{Path, PathBuf};

use crate::agent::fs::problem::Problem;
use crate::agent::fs::trust_policy::SECRET;
use crate::agent::fs::trusted;
use crate::whoami::Token;

/// The longest token a file may hold.
const MAX_TOKEN_BYTES: u64 = 64 * 1024;

/// Where the token of a rule comes from.
pub enum TokenSource {
    /// The rule gives none: the answer carries the empty string.
    None,
    /// Written in the rules.
    Inline(Token),
    /// Read for every response, so that a rotated token is given at once.
    File(PathBuf),
}

/// Why a token could not be read. For the log only: the client learns nothing about our files.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The file cannot be read, or is not trusted.
    #[error(transparent)]
    File(#[from] Problem),
    /// The file is not a text.
    #[error("{}: not UTF-8", .0.display())]
    NotUtf8(PathBuf),
}

impl TokenSource {
    /// The token, read now.
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
    let bytes = trusted::open(path, &SECRET).and_then(|file| file.read(MAX_TOKEN_BYTES))?;
    let text = std::str::from_utf8(&bytes).map_err(|_| TokenError::NotUtf8(path.to_path_buf()))?;
    let token = text.strip_suffix("\r\n").or_else(|| text.strip_suffix('\n')).unwrap_or(text);
    Ok(Token::new(token.to_owned()))
}
