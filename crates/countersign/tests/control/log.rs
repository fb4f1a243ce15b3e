//! A log that nobody has touched verifies, and no other does.

use std::fs;
use std::path::{Path, PathBuf};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use countersign::control::Timestamp;
use countersign::control::log::{
    Chain, Event, Head, LogError, LogKey, Verified, VerifyOptions, head_path, rotated_path, segments, verify,
};

/// Writes a log as an agent does.
struct Author {
    directory: tempfile::TempDir,
    key: Ed25519KeyPair,
    chain: Chain,
    /// The number of the first line of the file that is being written.
    first: u64,
    clock: u64,
}

impl Author {
    fn new() -> Author {
        let directory = tempfile::tempdir().unwrap();
        let key = Ed25519KeyPair::generate().unwrap();
        let mut author = Author { directory, key, chain: Chain::default(), first: 1, clock: 0 };
        author.begin();
        author
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("audit.jsonl")
    }

    fn key(&self) -> LogKey {
        LogKey(self.key.public_key().as_ref().try_into().unwrap())
    }

    fn now(&mut self) -> Timestamp {
        self.clock += 1;
        Timestamp::parse(&format!("2026-01-01T00:00:{:02}Z", self.clock % 60)).unwrap()
    }

    fn sign_with(&self) -> impl Fn(&[u8]) -> Result<[u8; 64], ()> {
        |message| self.key.sign(message).as_ref().try_into().map_err(|_| ())
    }

    fn write(&self, bytes: &[u8]) {
        use std::io::Write;
        fs::OpenOptions::new().create(true).append(true).open(self.path()).unwrap().write_all(bytes).unwrap();
    }

    fn begin(&mut self) {
        self.first = self.chain.seq + 1;
        let members =
            format!("\"format\":1,\"prev\":\"{}\",\"key\":\"{}\"", self.chain.hash_text(), self.key().to_base64());
        self.line("begin", &members);
    }

    fn line(&mut self, name: &str, members: &str) {
        let time = self.now();
        let mut bytes = Vec::new();
        self.chain.append(&mut bytes, &Event { time, name, members });
        self.write(&bytes);
    }

    fn sign(&mut self) {
        let time = self.now();
        let (mut bytes, mut chain) = (Vec::new(), self.chain.clone());
        chain.sign(&mut bytes, time, self.sign_with()).unwrap();
        self.chain = chain;
        self.write(&bytes);
    }

    fn head(&self) {
        let head = Head { at: self.chain.clone(), time: Timestamp::parse("2026-01-01T00:01:00Z").unwrap() };
        fs::write(head_path(&self.path()), head.write(self.sign_with()).unwrap()).unwrap();
    }

    fn rotate(&mut self) {
        self.line("rotated", "");
        self.sign();
        fs::rename(self.path(), rotated_path(&self.path(), self.first)).unwrap();
        self.begin();
    }

    /// Some lines, signed, and the head behind them.
    fn some(&mut self, lines: usize) {
        for number in 0..lines {
            self.line("answered", &format!("\"pid\":{number},\"code\":\"ok\""));
        }
        self.sign();
        self.head();
    }

    fn verify(&self) -> Result<Verified, LogError> {
        verify(&self.path(), &VerifyOptions { keys: vec![self.key()], ..VerifyOptions::default() })
    }

    #[track_caller]
    fn is_broken(&self, how: &str) -> String {
        match self.verify() {
            Ok(found) => panic!("{how}: {found:?}"),
            Err(error) => error.to_string(),
        }
    }
}

fn lines(path: &Path) -> Vec<String> {
    fs::read_to_string(path).unwrap().split_inclusive('\n').map(str::to_owned).collect()
}

#[test]
fn what_was_written_verifies() {
    let mut author = Author::new();
    author.some(3);
    let found = author.verify().unwrap();
    assert_eq!((found.first, found.last.seq, found.signed, found.torn, found.files), (1, 5, 5, 0, 1));
    assert_eq!(found.head.unwrap().at, author.chain);
    // Behind the head there may be more.
    author.line("answered", "\"pid\":7");
    let found = author.verify().unwrap();
    assert_eq!((found.last.seq, found.signed), (6, 5));
    author.write(b"{\"seq\":7,\"time\":");
    assert_eq!(author.verify().unwrap().torn, 16);
    // Any key will do when none is asked for, and no other when one is.
    assert!(verify(&author.path(), &VerifyOptions::default()).is_ok());
    let other = LogKey(Ed25519KeyPair::generate().unwrap().public_key().as_ref().try_into().unwrap());
    assert!(verify(&author.path(), &VerifyOptions { keys: vec![other], ..VerifyOptions::default() }).is_err());
}

#[test]
fn every_flip_of_a_byte_is_found() {
    let mut author = Author::new();
    author.some(2);
    author.line("answered", "\"pid\":1,\"who\":\"zoë\"");
    author.some(1);
    assert!(author.verify().is_ok());
    for file in [author.path(), head_path(&author.path())] {
        let intact = fs::read(&file).unwrap();
        for at in 0..intact.len() {
            for bit in 0..8 {
                let mut bytes = intact.clone();
                bytes[at] ^= 1 << bit;
                fs::write(&file, &bytes).unwrap();
                author.is_broken(&format!("{} byte {at} bit {bit}", file.display()));
            }
        }
        fs::write(&file, &intact).unwrap();
    }
    assert!(author.verify().is_ok());
}

#[test]
fn every_line_that_is_gone_moved_or_there_twice_is_found() {
    let mut author = Author::new();
    author.some(3);
    author.some(2);
    let intact = lines(&author.path());
    let broken = |lines: Vec<String>, how: String| {
        fs::write(author.path(), lines.concat()).unwrap();
        author.is_broken(&how);
    };
    for one in 0..intact.len() {
        let mut without = intact.clone();
        without.remove(one);
        broken(without, format!("without line {one}"));
        let mut twice = intact.clone();
        twice.insert(one, intact[one].clone());
        broken(twice, format!("line {one} twice"));
        for other in 0..one {
            let mut swapped = intact.clone();
            swapped.swap(one, other);
            broken(swapped, format!("lines {one} and {other} swapped"));
        }
        broken(intact[..one].to_vec(), format!("cut before line {one}"));
    }
    // Cut anywhere at all: the head knows better.
    let text = intact.concat();
    for length in 0..text.len() {
        fs::write(author.path(), &text.as_bytes()[..length]).unwrap();
        author.is_broken(&format!("cut at byte {length}"));
    }
    fs::write(author.path(), &text).unwrap();
    assert!(author.verify().is_ok());
}

#[test]
fn without_its_head_an_end_that_was_cut_off_is_not_noticed_and_that_is_said() {
    let mut author = Author::new();
    author.some(3);
    let whole = author.chain.clone();
    let before = fs::read(author.path()).unwrap();
    author.some(3);
    let old_head = Head { at: whole.clone(), time: Timestamp::now() }.write(author.sign_with()).unwrap();
    let last = author.chain.clone();
    fs::write(author.path(), &before).unwrap();
    assert!(author.is_broken("cut").contains("its end was cut off"));
    fs::remove_file(head_path(&author.path())).unwrap();
    assert!(author.is_broken("no head").contains("missing"));
    let options = VerifyOptions { without_head: true, ..VerifyOptions::default() };
    assert!(verify(&author.path(), &options).is_ok());
    // An old head goes with an old log: that only somebody else can know.
    fs::write(head_path(&author.path()), old_head).unwrap();
    assert!(author.verify().is_ok());
    let with =
        |anchor: Chain| verify(&author.path(), &VerifyOptions { anchor: Some(anchor), ..VerifyOptions::default() });
    assert!(with(whole.clone()).is_ok());
    assert!(with(last).unwrap_err().to_string().contains("cut off"));
    assert!(with(Chain { hash: [7; 32], ..whole }).unwrap_err().to_string().contains("another log"));
}

#[test]
fn a_chain_that_was_made_anew_lacks_the_signature() {
    let mut author = Author::new();
    author.some(3);
    // Somebody without the key writes the same lines again, one of them different.
    let text = fs::read_to_string(author.path()).unwrap();
    let mut chain = Chain::default();
    let mut forged = Vec::new();
    for line in text.lines() {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        let name = value["event"].as_str().unwrap();
        let start = line.find(name).unwrap() + name.len() + 1;
        let members =
            line[start..line.rfind(",\"hash\"").unwrap()].trim_start_matches(',').replace("\"pid\":1", "\"pid\":9");
        let time = Timestamp::parse(value["time"].as_str().unwrap()).unwrap();
        chain.append(&mut forged, &Event { time, name, members: &members });
    }
    assert_ne!(chain.hash, author.chain.hash);
    fs::write(author.path(), forged).unwrap();
    assert!(author.is_broken("forged").contains("signature"));
    let lax = VerifyOptions { without_head: true, ..VerifyOptions::default() };
    assert!(verify(&author.path(), &lax).is_err());
}

#[test]
fn files_follow_each_other() {
    let mut author = Author::new();
    author.some(2);
    author.rotate();
    author.some(2);
    author.rotate();
    author.some(2);
    let found = author.verify().unwrap();
    assert_eq!((found.files, found.first, found.last.seq), (3, 1, author.chain.seq));
    let files: Vec<PathBuf> = segments(&author.path()).unwrap().into_iter().map(|segment| segment.path).collect();
    assert_eq!(files.len(), 3);
    // Each that was full is a log by itself.
    let keys = vec![author.key()];
    for file in &files[..2] {
        let alone = VerifyOptions { keys: keys.clone(), ..VerifyOptions::default() };
        assert!(verify(file, &alone).is_ok());
        let intact = lines(file);
        fs::write(file, intact[..intact.len() - 1].concat()).unwrap();
        assert!(verify(file, &alone).unwrap_err().to_string().contains("cut off"));
        author.is_broken("a full file without its end");
        fs::write(file, intact.concat()).unwrap();
    }
    // One that is missing is missed, the first as well as one in the middle or the last.
    for file in &files {
        let away = author.directory.path().join("away");
        fs::rename(file, &away).unwrap();
        author.is_broken(&format!("without {}", file.display()));
        fs::rename(&away, file).unwrap();
    }
    let away = author.directory.path().join("away");
    fs::rename(&files[0], &away).unwrap();
    fs::rename(&files[1], &files[0]).unwrap();
    author.is_broken("renamed and one away");
    fs::rename(&away, &files[1]).unwrap();
    author.is_broken("two that changed names");
}

#[test]
fn files_the_agent_removed_itself_are_not_missed() {
    let mut author = Author::new();
    author.some(2);
    author.rotate();
    let gone = author.chain.seq - 1;
    fs::remove_file(rotated_path(&author.path(), 1)).unwrap();
    author.some(1);
    assert!(author.is_broken("removed by somebody").contains(&format!("lines 1 to {gone} are missing")));
    author.line("removed", &format!("\"through\":{}", gone - 1));
    author.some(0);
    author.is_broken("removed by the agent, but not all of it");
    author.line("removed", &format!("\"through\":{gone}"));
    author.some(0);
    assert_eq!(author.verify().unwrap().first, gone + 1);
}

/// Older agents called two events `shown` and `commanded`. Their logs stay valid, and newer agents go on with them.
#[test]
fn an_old_log_with_the_old_names_of_events_verifies() {
    let mut author = Author::new();
    author.line("shown", "\"pid\":1,\"method\":\"FetchX509Bundles\"");
    author.line("commanded", "\"pid\":1,\"verb\":\"kill\",\"code\":\"ok\"");
    author.rotate();
    author.line("bundlesSent", "\"pid\":1,\"method\":\"FetchX509Bundles\"");
    author.line("operatorRequest", "\"pid\":1,\"verb\":\"kill\",\"code\":\"ok\"");
    author.sign();
    author.head();
    let verified = author.verify().unwrap();
    assert_eq!(verified.last.seq, author.chain.seq);
}

#[test]
fn what_is_no_log_is_none() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("audit.jsonl");
    let lax = VerifyOptions { without_head: true, ..VerifyOptions::default() };
    assert!(matches!(verify(&path, &lax), Err(LogError::Io { .. })));
    for text in [&b""[..], b"\n", b"{}\n", b"\xff\xfe\n", b"{\"seq\":1,\"time\":\"", &[b'x'; 3_000_000], &[b'\n'; 100]]
    {
        fs::write(&path, text).unwrap();
        assert!(matches!(verify(&path, &lax), Err(LogError::Broken { .. })), "{:?}", &text[..text.len().min(20)]);
    }
}

#[test]
fn keys_are_read_as_the_log_and_as_other_tools_write_them() {
    let author = Author::new();
    let key = author.key();
    for text in [key.to_base64(), key.to_pem(), key.to_pem().replace('\n', "\r\n")] {
        assert_eq!(LogKey::parse(&text), Ok(key), "{text}");
    }
    for text in ["", "AAAA", &key.to_base64()[1..], "-----BEGIN PUBLIC KEY-----\nAAAA"] {
        assert!(LogKey::parse(text).is_err(), "{text}");
    }
}
