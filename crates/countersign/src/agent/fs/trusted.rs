//! Which files the agent relies on: one decision for the start, every reload and the self audit.
//!
//! A path is walked from `/`, one name at a time and through every symbolic link, and each step is checked through its
//! open descriptor. What is read is a descriptor that was checked, so that nothing can be put in its place in between.
//! Only root and the agent's own user are trusted.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::mem::discriminant;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;
use zeroize::Zeroizing;

use super::file_state::FileState;
use super::problem::{Problem, ProblemKind, Seen, Weight, Writers};
use super::trust_policy::{Access, GroupWrite, Target, TrustPolicy};

/// How many symbolic links are followed, as in the kernel.
const MAX_LINKS: usize = 40;
const STICKY: u32 = 0o1000;

/// How a step is opened to look at it. `O_PATH` opens nothing: a device is not touched, a FIFO does not wait.
#[cfg(any(target_os = "linux", target_os = "android"))]
const LOOK: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const LOOK: OFlags =
    OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::CLOEXEC);

/// How a file is opened to read or write it.
const OPEN: OFlags = OFlags::NOFOLLOW.union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::CLOEXEC);

/// An open file that was found to be trusted.
#[derive(Debug)]
pub(in crate::agent) struct TrustedFile {
    file: File,
    found: Metadata,
    path: PathBuf,
    /// What is doubtful about it, although it is trusted.
    pub(in crate::agent) doubts: Vec<Problem>,
}

/// Opens a file for reading if the policy trusts it.
pub(in crate::agent) fn open(path: &Path, policy: &TrustPolicy) -> Result<TrustedFile, Problem> {
    open_with(path, policy, OFlags::RDONLY)
}

/// Opens a file for reading it and adding to its end, if the policy trusts it.
pub(in crate::agent) fn open_to_append(path: &Path, policy: &TrustPolicy) -> Result<File, Problem> {
    open_with(path, policy, OFlags::RDWR | OFlags::APPEND).map(|trusted| trusted.file)
}

/// Does the policy trust what is there? The error is the first thing that it refuses.
pub(in crate::agent) fn check(path: &Path, policy: &TrustPolicy) -> Result<(), Problem> {
    match inspect(path, policy).into_iter().find(|problem| problem.weight == Weight::Refused) {
        Some(problem) => Err(problem),
        None => Ok(()),
    }
}

fn open_with(path: &Path, policy: &TrustPolicy, access: OFlags) -> Result<TrustedFile, Problem> {
    let mut doubts = Vec::new();
    let mut report = |problem: Problem| match problem.weight {
        Weight::Refused => Err(problem),
        Weight::Doubtful => {
            doubts.push(problem);
            Ok(())
        }
    };
    let target = resolve(path, policy, &mut report)?;
    // A device or a FIFO is refused before it is opened.
    target.entry.must_be(policy.target, &target.path)?;
    let failed = |error: Errno| match error {
        Errno::LOOP => Problem::new(&target.path, ProblemKind::Changed),
        error => Problem::os(&target.path, error),
    };
    let file = match &target.name {
        Some(name) => rustix::fs::openat(&target.directory, name, OPEN | access, Mode::empty()),
        None => rustix::fs::openat(&target.directory, c".", OPEN | access, Mode::empty()),
    };
    let file = file.map(File::from).map_err(failed)?;
    let found = file.metadata().map_err(|error| Problem::os(&target.path, error))?;
    // It may be another file than the one checked before. Check the one that is read.
    check_target(&Entry::from(&found), &target.path, policy, &mut report)?;
    Ok(TrustedFile { file, found, path: target.path, doubts })
}

/// Everything that is wrong on the way to a file, and with the file itself. What [`open`] refuses is among it.
pub(in crate::agent) fn inspect(path: &Path, policy: &TrustPolicy) -> Vec<Problem> {
    let mut problems: Vec<Problem> = Vec::new();
    let mut report = |problem: Problem| {
        // A directory may be on the way more than once.
        let is_same =
            |known: &Problem| known.path == problem.path && discriminant(&known.kind) == discriminant(&problem.kind);
        if !problems.iter().any(is_same) {
            problems.push(problem);
        }
        Ok(())
    };
    let looked = resolve(path, policy, &mut report)
        .and_then(|target| check_target(&target.entry, &target.path, policy, &mut report));
    problems.extend(looked.err());
    problems
}

impl TrustedFile {
    pub(in crate::agent) fn metadata(&self) -> &Metadata {
        &self.found
    }

    /// All of the file. It is wiped after use: it may hold keys or tokens.
    pub(in crate::agent) fn read(&self, most: u64) -> Result<Zeroizing<Vec<u8>>, Problem> {
        let size = self.found.len();
        if size > most {
            return Err(Problem::new(&self.path, ProblemKind::TooLong(most)));
        }
        let os = |error: io::Error| Problem::os(&self.path, error);
        // Room for all of it at once: a buffer that grows leaves copies behind in freed memory.
        let mut bytes = Zeroizing::new(Vec::with_capacity(size as usize + 1));
        (&self.file).take(size + 1).read_to_end(&mut bytes).map_err(os)?;
        let now = self.file.metadata().map_err(os)?;
        if bytes.len() as u64 != size || FileState::from(&now) != FileState::from(&self.found) {
            return Err(Problem::new(&self.path, ProblemKind::Changed));
        }
        Ok(bytes)
    }
}

/// What a path leads to.
struct Resolved {
    /// The directory it is in, or the directory it is.
    directory: OwnedFd,
    /// Its name in that directory.
    name: Option<OsString>,
    path: PathBuf,
    entry: Entry,
}

/// A directory on the way.
struct Directory {
    fd: OwnedFd,
    path: PathBuf,
    entry: Entry,
}

/// What is checked about a file or a directory.
#[derive(Clone, Copy)]
struct Entry {
    kind: Kind,
    mode: u32,
    uid: u32,
    gid: u32,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    File,
    Directory,
    Link,
    Other,
}

impl From<&Metadata> for Entry {
    fn from(found: &Metadata) -> Entry {
        let kind = match found.file_type() {
            kind if kind.is_file() => Kind::File,
            kind if kind.is_dir() => Kind::Directory,
            kind if kind.is_symlink() => Kind::Link,
            _ => Kind::Other,
        };
        Entry { kind, mode: found.mode() & 0o7777, uid: found.uid(), gid: found.gid() }
    }
}

type Report<'a> = &'a mut dyn FnMut(Problem) -> Result<(), Problem>;

/// Walks to the end of a path and checks every directory on the way.
fn resolve(path: &Path, policy: &TrustPolicy, report: Report<'_>) -> Result<Resolved, Problem> {
    let absolute = std::path::absolute(path).map_err(|error| Problem::os(path, error))?;
    let mut rest: VecDeque<OsString> = names(&absolute).collect();
    let mut directories = vec![root()?];
    let mut links = 0;
    while let Some(name) = rest.pop_front() {
        let Some(directory) = directories.last() else { break };
        if name == ".." {
            // The directory above `/` is `/`.
            directories.truncate(directories.len().saturating_sub(1).max(1));
            continue;
        }
        let step = directory.path.join(&name);
        let looked = look(directory, &name, &step);
        // A directory is checked although the name is missing: others could put a file there.
        let next = looked.as_ref().ok().map(|(_, entry)| *entry);
        check_directory(directory, next, &step, rest.is_empty(), policy, report)?;
        let (fd, entry) = looked?;
        match entry.kind {
            Kind::Link if rest.is_empty() && !policy.follows_link => {
                return Err(Problem::new(&step, ProblemKind::NotA(policy.target.noun())));
            }
            Kind::Link => {
                links += 1;
                if links > MAX_LINKS {
                    return Err(Problem::new(&step, ProblemKind::TooManyLinks));
                }
                let target = read_link(directory, &name, fd.as_ref()).map_err(|error| Problem::os(&step, error))?;
                for name in names(&target).collect::<Vec<_>>().into_iter().rev() {
                    rest.push_front(name);
                }
                if target.is_absolute() {
                    directories.truncate(1);
                }
            }
            Kind::Directory => match fd {
                Some(fd) => directories.push(Directory { fd, path: step, entry }),
                None => return Err(Problem::new(&step, ProblemKind::Changed)),
            },
            _ if rest.is_empty() => {
                let directory = directory.fd.try_clone().map_err(|error| Problem::os(&step, error))?;
                return Ok(Resolved { directory, name: Some(name), path: step, entry });
            }
            _ => return Err(Problem::os(&step, Errno::NOTDIR)),
        }
    }
    match directories.pop() {
        Some(Directory { fd, path, entry }) => Ok(Resolved { directory: fd, name: None, path, entry }),
        None => Err(Problem::os(path, Errno::NOENT)),
    }
}

/// The names in a path, one for each step.
fn names(path: &Path) -> impl Iterator<Item = OsString> {
    path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    })
}

fn root() -> Result<Directory, Problem> {
    let path = PathBuf::from("/");
    let opened = rustix::fs::open(&path, LOOK | OFlags::DIRECTORY, Mode::empty());
    let file = opened.map(File::from).map_err(|error| Problem::os(&path, error))?;
    let found = file.metadata().map_err(|error| Problem::os(&path, error))?;
    Ok(Directory { fd: file.into(), path, entry: Entry::from(&found) })
}

/// Opens one name in a directory without following it. A link has no descriptor where the system gives none.
fn look(directory: &Directory, name: &OsStr, step: &Path) -> Result<(Option<OwnedFd>, Entry), Problem> {
    match rustix::fs::openat(&directory.fd, name, LOOK, Mode::empty()) {
        Ok(fd) => {
            let file = File::from(fd);
            let found = file.metadata().map_err(|error| Problem::os(step, error))?;
            Ok((Some(file.into()), Entry::from(&found)))
        }
        Err(Errno::LOOP | Errno::MLINK) => {
            let found = rustix::fs::statat(&directory.fd, name, AtFlags::SYMLINK_NOFOLLOW)
                .map_err(|error| Problem::os(step, error))?;
            Ok((None, Entry { kind: Kind::Link, mode: 0o777, uid: found.st_uid, gid: found.st_gid }))
        }
        Err(error) => Err(Problem::os(step, error)),
    }
}

fn read_link(directory: &Directory, name: &OsStr, link: Option<&OwnedFd>) -> Result<PathBuf, Errno> {
    let target = match link {
        Some(link) => rustix::fs::readlinkat(link, c"", Vec::new())?,
        None => rustix::fs::readlinkat(&directory.fd, name, Vec::new())?,
    };
    Ok(PathBuf::from(OsString::from_vec(target.into_bytes())))
}

impl Entry {
    fn seen(self, is_target: bool) -> Option<Seen> {
        Some(Seen { mode: self.mode, uid: self.uid, is_target })
    }

    fn must_be(self, target: Target, path: &Path) -> Result<(), Problem> {
        let fits = match target {
            Target::File => self.kind == Kind::File,
            Target::Directory => self.kind == Kind::Directory,
        };
        if fits { Ok(()) } else { Err(Problem::new(path, ProblemKind::NotA(target.noun()))) }
    }

    /// The owner, if the agent does not trust that user.
    fn foreign_owner(self) -> Option<ProblemKind> {
        let own = rustix::process::geteuid().as_raw();
        (self.uid != 0 && self.uid != own).then_some(ProblemKind::Owner { uid: self.uid, own })
    }

    /// Which other users can write to it, and how much that matters.
    fn writers(self, group_write: GroupWrite) -> Option<(Writers, Weight)> {
        let is_trusted_group = || self.gid == 0 || self.gid == rustix::process::getegid().as_raw();
        match (self.mode & 0o002 != 0, self.mode & 0o020 != 0) {
            (true, true) => Some((Writers::EveryoneAndGroup, Weight::Refused)),
            (true, false) => Some((Writers::Everyone, Weight::Refused)),
            (false, true) => {
                let weight = match group_write {
                    GroupWrite::Refused => Weight::Refused,
                    GroupWrite::TrustedGroupOnly if is_trusted_group() => Weight::Doubtful,
                    GroupWrite::TrustedGroupOnly => Weight::Refused,
                    GroupWrite::Doubtful => Weight::Doubtful,
                };
                Some((Writers::Group(self.gid), weight))
            }
            (false, false) => None,
        }
    }
}

/// Could others put something else in the place of the next step?
fn check_directory(
    directory: &Directory,
    next: Option<Entry>,
    step: &Path,
    is_last: bool,
    policy: &TrustPolicy,
    report: Report<'_>,
) -> Result<(), Problem> {
    let entry = directory.entry;
    let problem = |path: &Path, entry: Entry, kind, weight| Problem {
        path: path.to_path_buf(),
        kind,
        weight,
        seen: entry.seen(false),
    };
    if let Some(kind) = entry.foreign_owner() {
        report(problem(&directory.path, entry, kind, Weight::Refused))?;
    }
    let group_write = if is_last { GroupWrite::TrustedGroupOnly } else { policy.group_write_above };
    let Some((writers, weight)) = entry.writers(group_write) else { return Ok(()) };
    if entry.mode & STICKY == 0 {
        let kind = ProblemKind::Writable { mode: entry.mode, writers, risk: policy.risk_of_directory };
        return report(problem(&directory.path, entry, kind, weight));
    }
    // In a sticky directory only the owner of an entry can remove it.
    match next.filter(|next| next.foreign_owner().is_some()) {
        Some(next) => report(problem(step, next, ProblemKind::ForeignEntry { uid: next.uid }, Weight::Refused)),
        None => Ok(()),
    }
}

/// Is the file itself what the policy asks for?
fn check_target(entry: &Entry, path: &Path, policy: &TrustPolicy, report: Report<'_>) -> Result<(), Problem> {
    entry.must_be(policy.target, path)?;
    let problem = |kind, weight| Problem { path: path.to_path_buf(), kind, weight, seen: entry.seen(true) };
    let mode = entry.mode;
    match policy.access {
        Access::OwnerOnly if mode & 0o077 != 0 => {
            report(problem(ProblemKind::Accessible { mode }, Weight::Refused))?;
        }
        Access::StickyDirectory if mode & STICKY != 0 => {}
        Access::OwnerOnly => {}
        Access::OthersRead | Access::StickyDirectory => {
            if let Some((writers, weight)) = entry.writers(policy.group_write) {
                report(problem(ProblemKind::Writable { mode, writers, risk: policy.risk }, weight))?;
            }
        }
    }
    match entry.foreign_owner() {
        Some(kind) => report(problem(kind, Weight::Refused)),
        None => Ok(()),
    }
}
