use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Why a rules file was not taken, and where in it the trouble is.
///
/// Prints as `file:line:column: message`. The message never quotes the text of the file: it may hold tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RulesError {
    /// The file, when the rules came from one.
    pub file: Option<PathBuf>,
    /// Line and column, both from 1 and the column in characters; `None` when the trouble is the file itself.
    pub position: Option<Position>,
    /// What is wrong, and what was expected.
    pub message: String,
}

/// A place in a text: both numbers start at 1, the column counts characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

impl Position {
    /// The position of a byte offset. An offset past the end is the end; one inside a character is its start.
    pub(in crate::agent) fn of(text: &str, offset: usize) -> Position {
        let mut offset = offset.min(text.len());
        while !text.is_char_boundary(offset) {
            offset -= 1;
        }
        let before = &text[..offset];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Position { line: before.matches('\n').count() + 1, column: before[line_start..].chars().count() + 1 }
    }
}

impl RulesError {
    /// Something wrong with the file as a whole.
    pub(in crate::agent) fn whole(message: impl Into<String>) -> RulesError {
        RulesError { file: None, position: None, message: message.into() }
    }

    /// Something wrong at one place of the text.
    pub(in crate::agent) fn at(text: &str, span: Range<usize>, message: impl Into<String>) -> RulesError {
        RulesError { file: None, position: Some(Position::of(text, span.start)), message: message.into() }
    }

    pub(in crate::agent) fn in_file(mut self, file: &Path) -> RulesError {
        self.file = Some(file.to_path_buf());
        self
    }
}

impl fmt::Display for RulesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.file {
            Some(file) => write!(f, "{}", file.display())?,
            None => f.write_str("rules")?,
        }
        if let Some(Position { line, column }) = self.position {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}", self.message)
    }
}

impl std::error::Error for RulesError {}
