use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Why a file or a directory is not trusted.
///
/// Prints as `path: reason (remedy)`. The path is that of the step that is wrong: it may be a directory far above the
/// file, or lie behind a symbolic link.
#[derive(Debug, thiserror::Error)]
#[error("{}: {kind}", path.display())]
pub struct Problem {
    /// The file or directory that is wrong.
    pub path: PathBuf,
    /// What is wrong with it.
    pub kind: ProblemKind,
    /// Is the file refused, or only worth a warning?
    pub weight: Weight,
    pub(super) seen: Option<Seen>,
}

/// How much a [`Problem`] matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// The file is not used.
    Refused,
    /// The file is used, and a warning says what is doubtful.
    Doubtful,
}

/// The mode and the owner of what is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) mode: u32,
    pub(super) uid: u32,
    /// Is it the file itself, and not a directory on the way to it?
    pub(super) is_target: bool,
}

/// What is wrong with a file or directory.
#[derive(Debug)]
pub enum ProblemKind {
    /// The operating system refused an operation.
    Os(io::Error),
    /// It is something else than it has to be.
    NotA(&'static str),
    /// It belongs to a user the agent does not trust.
    Owner {
        /// The owner.
        uid: u32,
        /// The agent's user.
        own: u32,
    },
    /// Others can write to it.
    Writable {
        /// Its permission bits.
        mode: u32,
        /// Who can.
        writers: Writers,
        /// What they could do.
        risk: &'static str,
    },
    /// Others than its owner have access to a secret.
    Accessible {
        /// Its permission bits.
        mode: u32,
    },
    /// It lies in a directory where all users have files, and this one belongs to another user.
    ForeignEntry {
        /// Its owner.
        uid: u32,
    },
    /// It has more bytes than are read.
    TooLong(u64),
    /// It changed while it was read.
    Changed,
    /// One symbolic link leads to the next, too many times.
    TooManyLinks,
}

/// The users that can write to a file, besides the users the agent trusts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writers {
    /// Every user.
    Everyone,
    /// Every user, and the group has the permission as well.
    EveryoneAndGroup,
    /// The members of this group.
    Group(u32),
}

impl Problem {
    pub(super) fn os(path: &Path, error: impl Into<io::Error>) -> Problem {
        Problem::new(path, ProblemKind::Os(error.into()))
    }

    pub(super) fn new(path: &Path, kind: ProblemKind) -> Problem {
        Problem { path: path.to_path_buf(), kind, weight: Weight::Refused, seen: None }
    }

    /// There is no such file.
    pub(in crate::agent) fn is_missing(&self) -> bool {
        matches!(&self.kind, ProblemKind::Os(error) if error.kind() == io::ErrorKind::NotFound)
    }

    /// The operating system did not let us look.
    pub(in crate::agent) fn is_os_error(&self) -> bool {
        matches!(self.kind, ProblemKind::Os(_))
    }

    /// The reason alone if the path is this one, and the path with it if it is another. A file is missing however much
    /// of its path is.
    pub(in crate::agent) fn about(&self, path: &Path) -> String {
        let is_this = self.path == path || self.is_missing() && path.starts_with(&self.path);
        if is_this { self.kind.to_string() } else { self.to_string() }
    }

    /// What repairs it.
    pub(in crate::agent) fn remedy(&self) -> String {
        let path = self.path.display();
        match self.kind.remedy() {
            Some(command) if command.starts_with("ch") => format!("{command} {path}"),
            Some(advice) => advice,
            None => format!("Look at {path}."),
        }
    }

    /// The permission bits that repair the file itself, if bits are what is wrong. The directories above it may be
    /// shared with other programs.
    pub(in crate::agent) fn repaired_mode(&self) -> Option<u32> {
        self.seen.filter(|seen| seen.is_target)?;
        match self.kind {
            ProblemKind::Writable { mode, .. } => Some(mode & !0o022),
            ProblemKind::Accessible { .. } => Some(0o600),
            _ => None,
        }
    }

    /// The path, with the mode and the owner where they are known.
    pub(in crate::agent) fn evidence(&self) -> String {
        match self.seen {
            Some(Seen { mode, uid, .. }) => format!("{}: mode {mode:04o}, uid {uid}", self.path.display()),
            None => self.to_string(),
        }
    }
}

impl ProblemKind {
    fn remedy(&self) -> Option<String> {
        match self {
            ProblemKind::Owner { own, .. } => {
                Some(if *own == 0 { "chown root".into() } else { format!("chown {own}") })
            }
            ProblemKind::Writable { writers, .. } => Some(format!("chmod {}", writers.without())),
            ProblemKind::Accessible { .. } => Some("chmod 600".into()),
            ProblemKind::ForeignEntry { .. } => Some("use a directory of its own".into()),
            ProblemKind::Os(_)
            | ProblemKind::NotA(_)
            | ProblemKind::TooLong(_)
            | ProblemKind::Changed
            | ProblemKind::TooManyLinks => None,
        }
    }
}

impl Writers {
    fn without(self) -> &'static str {
        match self {
            Writers::Everyone => "o-w",
            Writers::EveryoneAndGroup => "go-w",
            Writers::Group(_) => "g-w",
        }
    }
}

impl fmt::Display for Writers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Writers::Everyone | Writers::EveryoneAndGroup => f.write_str("every user"),
            Writers::Group(gid) => write!(f, "group {gid}"),
        }
    }
}

impl fmt::Display for ProblemKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ProblemKind::Os(error) => write!(f, "{error}"),
            ProblemKind::NotA(what) => write!(f, "not a {what}"),
            ProblemKind::Owner { uid, own: 0 } => write!(f, "owned by uid {uid}, expected 0"),
            ProblemKind::Owner { uid, own } => write!(f, "owned by uid {uid}, expected {own} or 0"),
            ProblemKind::Writable { mode, writers, risk } => write!(f, "mode {mode:04o}: {writers} could {risk}"),
            ProblemKind::Accessible { mode } => {
                write!(f, "mode {mode:04o}: others than its owner have access to it")
            }
            ProblemKind::ForeignEntry { uid } => {
                write!(f, "owned by uid {uid}, in a directory that others can write to")
            }
            ProblemKind::TooLong(most) => write!(f, "longer than {most} bytes"),
            ProblemKind::Changed => f.write_str("the file changed while it was read"),
            ProblemKind::TooManyLinks => f.write_str("too many symbolic links"),
        }?;
        match self.remedy() {
            Some(remedy) => write!(f, " ({remedy})"),
            None => Ok(()),
        }
    }
}
