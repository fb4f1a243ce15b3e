use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::OFlags;

use super::error::AuditLogError;
use super::form::{Entry, fresh, members};
use super::key::{LogLock, SigningKey, lock};
use super::on_disk::OnDisk;
use super::options::AuditLogOptions;
use super::recovery::{Current, Recovered, recover};
use crate::agent::fs::private_file;
use crate::control::Timestamp;
use crate::control::log::{Chain, Event, FORMAT, rotated_path, segments};

/// Writes a log. One thread uses it, and no other waits for the file.
pub(in crate::agent) struct LogWriter {
    path: PathBuf,
    key: Arc<SigningKey>,
    chain: Chain,
    /// `None` between two files.
    file: Option<Arc<File>>,
    /// The number of the first line in the file.
    first: u64,
    size: u64,
    /// Lines that are not all written yet, and how many of their bytes are.
    pending: Vec<u8>,
    written: usize,
    /// The last line a signature in `pending` or before it stands for.
    signed: u64,
    members: String,
    max_bytes: u64,
    keep: usize,
    on_disk: Arc<OnDisk>,
    /// A damaged log found at the start, to be reported.
    pub(in crate::agent) set_aside: Option<(PathBuf, String)>,
    /// For the owner of the threads that write.
    pub(in crate::agent) lock: Option<LogLock>,
}

impl LogWriter {
    /// Goes on with the log, or begins one. No other process can write it meanwhile.
    pub(in crate::agent) fn open(options: &AuditLogOptions) -> Result<LogWriter, AuditLogError> {
        let path = options.path.as_path();
        let io = |what| {
            let path = path.to_path_buf();
            move |source| AuditLogError::Io { path, what, source }
        };
        if let Some(directory) = path.parent().filter(|parent| *parent != Path::new("")) {
            fs::DirBuilder::new().recursive(true).create(directory).map_err(io("making the directory"))?;
        }
        let lock = lock(path)?;
        let key = Arc::new(SigningKey::open(path)?);
        let Recovered { chain, current, left, set_aside } = recover(path, &key)?;
        let on_disk = Arc::new(OnDisk::new(path, Arc::clone(&key)));
        let mut writer = LogWriter {
            path: path.to_path_buf(),
            key,
            signed: chain.seq.saturating_sub(left.unsigned),
            chain,
            file: None,
            first: 0,
            size: 0,
            pending: Vec::new(),
            written: 0,
            members: String::new(),
            max_bytes: options.max_bytes,
            keep: options.keep,
            on_disk,
            set_aside,
            lock: Some(lock),
        };
        match current {
            Some(Current { file, size, first }) => {
                (writer.file, writer.size, writer.first) = (Some(Arc::new(file)), size, first);
            }
            None => writer.begin(),
        }
        if left.unsigned > 0 || left.dropped.is_some() || left.headless {
            let mut line = fresh(&mut writer.members);
            line.number("unsigned", left.unsigned);
            if left.headless {
                line.text("head", "missing");
            }
            if let Some((bytes, hash)) = left.dropped {
                line.number("dropped", bytes).text("droppedSha256", &hash);
            }
            writer.line(Timestamp::now(), "recovered");
        }
        writer.flush().map_err(io("writing it"))?;
        writer.on_disk.sync().map_err(io("writing it to the disk"))?;
        Ok(writer)
    }

    pub(in crate::agent) fn on_disk(&self) -> &Arc<OnDisk> {
        &self.on_disk
    }

    /// Is there something that could not be written yet?
    pub(in crate::agent) fn is_behind(&self) -> bool {
        !self.pending.is_empty() || self.signed < self.chain.seq
    }

    /// Puts a line behind the others. It is written by the next [`LogWriter::flush`].
    pub(in crate::agent) fn append(&mut self, entry: &Entry) {
        let name = members(&mut self.members, &entry.event);
        self.line(entry.timestamp(), name);
    }

    /// Says what the log lacks.
    pub(in crate::agent) fn append_gap(&mut self, lost: u64, reason: &str) {
        fresh(&mut self.members).number("lost", lost).text("reason", reason);
        self.line(Timestamp::now(), "lost");
    }

    fn line(&mut self, time: Timestamp, name: &str) {
        self.chain.append(&mut self.pending, &Event { time, name, members: &self.members });
    }

    /// The first line of a file.
    fn begin(&mut self) {
        self.first = self.chain.seq + 1;
        let prev = self.chain.hash_text();
        let mut line = fresh(&mut self.members);
        line.number("format", FORMAT).text("prev", &prev).text("key", &self.key.public().to_base64());
        line.text("agent", env!("CARGO_PKG_VERSION"));
        if let Some((aside, reason)) = &self.set_aside
            && self.chain.seq == 0
        {
            line.text("setAside", &aside.display().to_string()).text("reason", reason);
        }
        self.line(Timestamp::now(), "begin");
    }

    /// Writes what was put behind the others, signed. After an error it is still there, and the next call goes on.
    pub(in crate::agent) fn flush(&mut self) -> io::Result<()> {
        self.write()?;
        if self.size >= self.max_bytes {
            self.rotate()?;
        }
        Ok(())
    }

    fn write(&mut self) -> io::Result<()> {
        if self.signed < self.chain.seq {
            let key = &self.key;
            self.chain.sign(&mut self.pending, Timestamp::now(), |message| key.sign(message))?;
            self.signed = self.chain.seq;
        }
        let file = match &self.file {
            Some(file) => Arc::clone(file),
            None => Arc::clone(self.file.insert(Arc::new(create(&self.path)?))),
        };
        while self.written < self.pending.len() {
            match (&*file).write(&self.pending[self.written..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    self.written += count;
                    self.size += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.pending.clear();
        self.written = 0;
        self.on_disk.wrote(&file, &self.chain);
        Ok(())
    }

    /// Ends the file and begins another. What is in the old one is on the disk before its name changes.
    fn rotate(&mut self) -> io::Result<()> {
        self.members.clear();
        self.line(Timestamp::now(), "rotated");
        self.write()?;
        self.on_disk.sync()?;
        fs::rename(&self.path, rotated_path(&self.path, self.first))?;
        private_file::sync_directory(&self.path)?;
        (self.file, self.size) = (None, 0);
        self.begin();
        self.write()?;
        private_file::sync_directory(&self.path)?;
        self.discard()
    }

    /// Removes the oldest files beyond those that are kept. The log says so first: a reader learns why they are
    /// missing.
    fn discard(&mut self) -> io::Result<()> {
        let mut rotated = segments(&self.path)?;
        rotated.retain(|segment| segment.first.is_some());
        let too_many = rotated.len().saturating_sub(self.keep);
        if too_many == 0 {
            return Ok(());
        }
        let next = rotated.get(too_many).and_then(|segment| segment.first).unwrap_or(self.first);
        fresh(&mut self.members).number("through", next - 1);
        self.line(Timestamp::now(), "removed");
        self.write()?;
        self.on_disk.sync()?;
        rotated[..too_many].iter().try_for_each(|segment| fs::remove_file(&segment.path))
    }
}

fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .append(true)
        .create_new(true)
        .mode(0o600)
        .custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
        .open(path)
}
