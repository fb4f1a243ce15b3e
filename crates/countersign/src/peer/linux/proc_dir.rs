//! A process's directory in `/proc`, held open.

use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::OnceLock;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::time::ClockId;

use crate::peer::{Exe, ExeDoubt};

/// What is read through it is about the process the directory was opened for, or fails with ESRCH: procfs binds an
/// open directory to the process and not to the number.
pub(super) struct ProcDir {
    dir: OwnedFd,
    /// What is looked at for every connection stays open with it, and is as bound to the process.
    descriptors: OnceLock<OwnedFd>,
    comm: OnceLock<OwnedFd>,
}

/// The credentials of a process, out of its `status`.
pub(super) struct Status {
    pub uid: Option<u32>,
    pub gid: Option<u32>,
    pub groups: Option<Vec<u32>>,
}

impl ProcDir {
    pub fn open(pid: u32) -> Result<ProcDir, Errno> {
        if !proc_speaks_of_our_pids() {
            return Err(Errno::ACCESS);
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = rustix::fs::open(format!("/proc/{pid}"), flags, Mode::empty())?;
        Ok(ProcDir { dir, descriptors: OnceLock::new(), comm: OnceLock::new() })
    }

    pub fn comm(&self) -> Result<String, Errno> {
        let mut room = [0; 128];
        let comm = match self.comm.get() {
            Some(comm) => comm,
            None => {
                let opened = self.open_file("comm")?;
                self.comm.get_or_init(|| opened)
            }
        };
        let filled = read_line(comm, &mut room)?;
        let name = &room[..filled];
        let name = name.strip_suffix(b"\n").unwrap_or(name);
        Ok(String::from_utf8_lossy(name).into_owned())
    }

    pub fn start_ticks(&self) -> Result<u64, Errno> {
        let mut room = [0; 1024];
        let filled = read_line(&self.open_file("stat")?, &mut room)?;
        start_ticks_of_stat(&room[..filled]).ok_or(Errno::INVAL)
    }

    pub fn cgroup(&self) -> Result<Option<String>, Errno> {
        // A path may be 4 KiB and there may be a dozen hierarchies.
        let mut room = vec![0; 64 * 1024];
        let lines = self.read("cgroup", &mut room)?;
        Ok(std::str::from_utf8(lines).ok().and_then(cgroup_of_lines))
    }

    pub fn status(&self) -> Result<Status, Errno> {
        // Room for the 65536 groups a process can be in.
        let mut room = vec![0; 1024 * 1024];
        let text = String::from_utf8_lossy(self.read("status", &mut room)?);
        // `Uid:` and `Gid:` are real, effective, saved, filesystem.
        Ok(Status {
            uid: numbers_of(&text, "Uid:").and_then(|ids| ids.get(1).copied()),
            gid: numbers_of(&text, "Gid:").and_then(|ids| ids.get(1).copied()),
            groups: numbers_of(&text, "Groups:"),
        })
    }

    /// The executable. The path the kernel prints is only text from the peer's mount namespace: any process can mount
    /// something of his own over /usr/bin in a namespace of his own. So the file of that name is looked up in ours.
    pub fn exe(&self) -> Exe {
        let exe = match self.open_exe(OFlags::PATH) {
            Ok(exe) => exe,
            Err(_) => return Exe::Unknown(ExeDoubt::Permission),
        };
        // After an `exec` this is by now the name of another file than the one just opened; then it does not lead to
        // it. The one that is open cannot give up its inode number to a new file, so the comparison is exact.
        let printed = rustix::fs::readlinkat(&self.dir, "exe", Vec::new());
        let (Ok(printed), Ok(running)) = (printed, rustix::fs::fstat(&exe)) else {
            return Exe::Unknown(ExeDoubt::Permission);
        };
        let printed = printed.into_bytes();
        let path = |bytes: &[u8]| PathBuf::from(OsStr::from_bytes(bytes));
        let named = printed.strip_suffix(b" (deleted)");
        match rustix::fs::stat(path(&printed)) {
            Ok(ours) if (ours.st_dev, ours.st_ino) == (running.st_dev, running.st_ino) => Exe::Proven(path(&printed)),
            // So the kernel marks a file that was removed under this name, and an anonymous one that never had any.
            _ if named.is_some() => Exe::Doubtful(path(named.unwrap_or_default()), ExeDoubt::Deleted),
            _ => Exe::Doubtful(path(&printed), ExeDoubt::OtherMount),
        }
    }

    /// The file itself, through the magic link: whatever its name, and whether it still has one.
    pub fn open_exe(&self, flags: OFlags) -> Result<OwnedFd, Errno> {
        rustix::fs::openat(&self.dir, "exe", flags | OFlags::CLOEXEC, Mode::empty())
    }

    /// The directory of its descriptors, for looking one up.
    pub fn descriptors(&self) -> Result<BorrowedFd<'_>, Errno> {
        if let Some(known) = self.descriptors.get() {
            return Ok(known.as_fd());
        }
        let opened = self.open_descriptors()?;
        Ok(self.descriptors.get_or_init(|| opened).as_fd())
    }

    /// The same directory, for reading it from beginning to end.
    pub fn open_descriptors(&self) -> Result<OwnedFd, Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        rustix::fs::openat(&self.dir, "fd", flags, Mode::empty())
    }

    fn open_file(&self, name: &str) -> Result<OwnedFd, Errno> {
        rustix::fs::openat(&self.dir, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
    }

    fn read<'room>(&self, name: &str, room: &'room mut [u8]) -> Result<&'room [u8], Errno> {
        let file = self.open_file(name)?;
        let mut filled = 0;
        while filled < room.len() {
            match rustix::io::read(&file, &mut room[filled..]) {
                Ok(0) => break,
                Ok(more) => filled += more,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(&room[..filled])
    }
}

/// The first line, as it is now: the kernel hands over a file of a single line in one piece.
fn read_line(file: &OwnedFd, room: &mut [u8]) -> Result<usize, Errno> {
    loop {
        match rustix::io::pread(file, &mut *room, 0) {
            Err(Errno::INTR) => {}
            other => return other,
        }
    }
}

/// Start time in milliseconds since the Unix epoch, to the precision of a clock tick. When the system was booted is
/// worked out once, so that a process has the same start time every time it is asked for.
pub(super) fn unix_ms_of_ticks(ticks: u64) -> u64 {
    static BOOTED_MS: OnceLock<i128> = OnceLock::new();
    let booted = BOOTED_MS.get_or_init(|| {
        let nanoseconds = |clock| {
            let now = rustix::time::clock_gettime(clock);
            i128::from(now.tv_sec) * 1_000_000_000 + i128::from(now.tv_nsec)
        };
        (nanoseconds(ClockId::Realtime) - nanoseconds(ClockId::Boottime)) / 1_000_000
    });
    let since_boot = i128::from(ticks) * 1000 / i128::from(rustix::param::clock_ticks_per_second().max(1));
    u64::try_from(booted + since_boot).unwrap_or(0)
}

/// Is /proc the process file system, and of our own pid namespace? In any other the numbers mean other processes,
/// all of them alive.
fn proc_speaks_of_our_pids() -> bool {
    static ANSWER: OnceLock<bool> = OnceLock::new();
    *ANSWER.get_or_init(|| {
        let procfs = rustix::fs::statfs("/proc").is_ok_and(|fs| fs.f_type == rustix::fs::PROC_SUPER_MAGIC);
        let us = rustix::fs::readlinkat(rustix::fs::CWD, "/proc/self", Vec::new());
        procfs && us.is_ok_and(|us| us.to_str().is_ok_and(|us| us == std::process::id().to_string()))
    })
}

/// Field 22. The name in field 2 may itself hold spaces and parentheses, so the count starts after the last one.
fn start_ticks_of_stat(stat: &[u8]) -> Option<u64> {
    let name_ends = stat.iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(&stat[name_ends + 1..]).ok()?;
    rest.split_ascii_whitespace().nth(19)?.parse().ok()
}

/// The path in the unified hierarchy; on hosts that still run systemd in a hierarchy of its own, the path in that.
fn cgroup_of_lines(lines: &str) -> Option<String> {
    let mut unified = None;
    let mut systemd = None;
    for line in lines.lines() {
        let mut parts = line.splitn(3, ':');
        match (parts.next(), parts.next(), parts.next()) {
            (Some("0"), Some(""), Some(path)) => unified = Some(path),
            (Some(_), Some("name=systemd"), Some(path)) => systemd = Some(path),
            _ => {}
        }
    }
    // Where nothing uses the unified hierarchy, the kernel still prints it, and every process is in its root.
    let path = match (unified, systemd) {
        (Some("/") | None, Some(systemd)) => Some(systemd),
        (unified, _) => unified,
    };
    path.map(str::to_owned)
}

fn numbers_of(status: &str, key: &str) -> Option<Vec<u32>> {
    let line = status.lines().find_map(|line| line.strip_prefix(key))?;
    line.split_ascii_whitespace().map(|number| number.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_time_is_found_whatever_the_name() {
        let rest = "S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4242 20 21";
        for name in ["x", "a b", "a) S 1 2", "((", "", ")"] {
            assert_eq!(start_ticks_of_stat(format!("7 ({name}) {rest}").as_bytes()), Some(4242), "{name:?}");
        }
        assert_eq!(start_ticks_of_stat(b"7 (x) S 1"), None);
        assert_eq!(start_ticks_of_stat(b""), None);
    }

    #[test]
    fn the_cgroup_is_the_unified_one_unless_systemd_keeps_its_own() {
        for (lines, path) in [
            ("0::/system.slice/a.service\n", Some("/system.slice/a.service")),
            ("4:memory:/m\n1:name=systemd:/system.slice/a.service\n0::/\n", Some("/system.slice/a.service")),
            ("1:name=systemd:/old\n0::/new\n", Some("/new")),
            ("1:name=systemd:/a:b\n", Some("/a:b")),
            ("4:memory:/m\n0::/\n", Some("/")),
            ("4:memory:/m\n", None),
            ("", None),
        ] {
            assert_eq!(cgroup_of_lines(lines).as_deref(), path, "{lines:?}");
        }
    }

    #[test]
    fn our_own_start_time_lies_in_the_past() {
        let ticks = ProcDir::open(std::process::id()).and_then(|dir| dir.start_ticks()).unwrap();
        let started = unix_ms_of_ticks(ticks);
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as u64;
        assert!(started <= now + 20 && now - started < 3_600_000, "started {started}, now {now}");
    }
}
