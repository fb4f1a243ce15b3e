/// Bytes that arrive in pieces, as lines. A line is what stands before a line feed, or before the end of the stream.
///
/// ```
/// use countersign::control::Lines;
///
/// let mut lines = Lines::new(16);
/// lines.feed(b"first\r\nsec");
/// assert_eq!(lines.next_line(), Ok(Some(b"first".to_vec())));
/// assert_eq!(lines.next_line(), Ok(None));
/// lines.feed(b"ond");
/// assert_eq!(lines.last_line(), Ok(Some(b"second".to_vec())));
/// ```
#[derive(Debug)]
pub struct Lines {
    bytes: Vec<u8>,
    /// Where the line that is next begins.
    start: usize,
    /// Up to here there is no line feed.
    searched: usize,
    limit: usize,
}

/// A line is longer than it may be: where the next one begins is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a line is longer than {0} bytes")]
pub struct TooLong(pub usize);

impl Lines {
    /// Lines of at most so many bytes, blanks at their ends included.
    pub fn new(limit: usize) -> Lines {
        Lines { bytes: Vec::new(), start: 0, searched: 0, limit }
    }

    /// Takes in what has arrived.
    pub fn feed(&mut self, bytes: &[u8]) {
        if self.start > 0 {
            self.bytes.drain(..self.start);
            self.searched -= self.start;
            self.start = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// The next line without its line feed and the blanks at its ends, if it has ended.
    pub fn next_line(&mut self) -> Result<Option<Vec<u8>>, TooLong> {
        let found = self.bytes[self.searched..].iter().position(|byte| *byte == b'\n');
        let end = found.map_or(self.bytes.len(), |at| self.searched + at);
        if end - self.start > self.limit {
            return Err(TooLong(self.limit));
        }
        if found.is_none() {
            self.searched = end;
            return Ok(None);
        }
        let line = self.bytes[self.start..end].trim_ascii().to_vec();
        (self.start, self.searched) = (end + 1, end + 1);
        Ok(Some(line))
    }

    /// What is left when the stream has ended: a line without a line feed, if there is one.
    pub fn last_line(&mut self) -> Result<Option<Vec<u8>>, TooLong> {
        if let Some(line) = self.next_line()? {
            return Ok(Some(line));
        }
        let line = self.bytes[self.start..].trim_ascii().to_vec();
        let nothing = self.start == self.bytes.len();
        (self.start, self.searched) = (self.bytes.len(), self.bytes.len());
        Ok((!nothing).then_some(line))
    }

    /// Has a line begun that has not ended?
    pub fn is_amidst(&self) -> bool {
        self.start < self.bytes.len()
    }
}
