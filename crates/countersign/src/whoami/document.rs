/// Finds the end of one JSON object while its bytes arrive, without parsing it: neither side has to wait for the
/// end of a stream that may never come.
#[derive(Debug, Clone, Default)]
pub struct DocumentScanner {
    depth: usize,
    in_string: bool,
    escaped: bool,
    started: bool,
    complete: bool,
}

/// What the bytes so far amount to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scan {
    /// The object is not closed yet.
    NeedMore,
    /// The object is closed; any bytes that follow belong to the same buffer and is checked by the parser.
    Complete,
    /// The first byte that is not white space does not open an object.
    NotAnObject,
}

impl DocumentScanner {
    /// Look at the next bytes.
    pub fn feed(&mut self, bytes: &[u8]) -> Scan {
        if self.complete {
            return Scan::Complete;
        }
        for &byte in bytes {
            if !self.started {
                match byte {
                    b' ' | b'\t' | b'\r' | b'\n' => continue,
                    b'{' => self.started = true,
                    _ => return Scan::NotAnObject,
                }
            }
            if self.in_string {
                match byte {
                    _ if self.escaped => self.escaped = false,
                    b'\\' => self.escaped = true,
                    b'"' => self.in_string = false,
                    _ => {}
                }
                continue;
            }
            match byte {
                b'"' => self.in_string = true,
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => {
                    // A closing bracket of the wrong kind still ends here: the parser is the one to refuse it.
                    self.depth -= 1;
                    if self.depth == 0 {
                        self.complete = true;
                        return Scan::Complete;
                    }
                }
                _ => {}
            }
        }
        Scan::NeedMore
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(text: &str) -> Scan {
        // Byte by byte: the state must survive every split.
        let mut scanner = DocumentScanner::default();
        let mut last = Scan::NeedMore;
        for byte in text.as_bytes() {
            last = scanner.feed(std::slice::from_ref(byte));
            if last == Scan::NotAnObject {
                break;
            }
        }
        last
    }

    #[test]
    fn tells_the_end_of_an_object() {
        assert_eq!(scan(r#"{}"#), Scan::Complete);
        assert_eq!(scan(" \t\r\n{\"a\":[1,{\"b\":\"}\"}]}"), Scan::Complete);
        assert_eq!(scan(r#"{"a":"\"}"#), Scan::NeedMore);
        assert_eq!(scan(r#"{"a":"\\"}"#), Scan::Complete);
        assert_eq!(scan(r#"{"a":[}"#), Scan::NeedMore);
        assert_eq!(scan("   "), Scan::NeedMore);
        assert_eq!(scan(""), Scan::NeedMore);
    }

    #[test]
    fn refuses_what_is_not_an_object_at_its_first_byte() {
        for text in ["[]", "null", "\u{feff}{}", "\0{}", "}", "\"{}\""] {
            assert_eq!(scan(text), Scan::NotAnObject, "{text:?}");
        }
    }

    #[test]
    fn stays_complete_whatever_follows() {
        let mut scanner = DocumentScanner::default();
        assert_eq!(scanner.feed(b"{}{"), Scan::Complete);
        assert_eq!(scanner.feed(b"}"), Scan::Complete);
    }
}
