use std::fmt;

/// The status codes of gRPC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum Code {
    Ok = 0,
    Cancelled = 1,
    Unknown = 2,
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    NotFound = 5,
    AlreadyExists = 6,
    PermissionDenied = 7,
    ResourceExhausted = 8,
    FailedPrecondition = 9,
    Aborted = 10,
    OutOfRange = 11,
    Unimplemented = 12,
    Internal = 13,
    Unavailable = 14,
    DataLoss = 15,
    Unauthenticated = 16,
}

impl Code {
    const ALL: [Code; 17] = [
        Code::Ok,
        Code::Cancelled,
        Code::Unknown,
        Code::InvalidArgument,
        Code::DeadlineExceeded,
        Code::NotFound,
        Code::AlreadyExists,
        Code::PermissionDenied,
        Code::ResourceExhausted,
        Code::FailedPrecondition,
        Code::Aborted,
        Code::OutOfRange,
        Code::Unimplemented,
        Code::Internal,
        Code::Unavailable,
        Code::DataLoss,
        Code::Unauthenticated,
    ];

    /// The code as it is written in `grpc-status`. What is no known code is [`Code::Unknown`].
    pub fn from_header(text: &[u8]) -> Code {
        let number = std::str::from_utf8(text).ok().and_then(|text| text.parse::<usize>().ok());
        number.and_then(|number| Code::ALL.get(number).copied()).unwrap_or(Code::Unknown)
    }

    /// What a response without any gRPC status means, by its HTTP status (gRPC's "HTTP to gRPC Status Code Mapping").
    pub fn from_http(status: u16) -> Code {
        match status {
            400 => Code::Internal,
            401 => Code::Unauthenticated,
            403 => Code::PermissionDenied,
            404 => Code::Unimplemented,
            429 | 502..=504 => Code::Unavailable,
            _ => Code::Unknown,
        }
    }

    /// The code of that name in capitals.
    pub fn from_name(name: &str) -> Option<Code> {
        Code::ALL.into_iter().find(|code| code.name() == name)
    }

    /// The name in capitals, such as `PERMISSION_DENIED`.
    pub const fn name(self) -> &'static str {
        match self {
            Code::Ok => "OK",
            Code::Cancelled => "CANCELLED",
            Code::Unknown => "UNKNOWN",
            Code::InvalidArgument => "INVALID_ARGUMENT",
            Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
            Code::NotFound => "NOT_FOUND",
            Code::AlreadyExists => "ALREADY_EXISTS",
            Code::PermissionDenied => "PERMISSION_DENIED",
            Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
            Code::FailedPrecondition => "FAILED_PRECONDITION",
            Code::Aborted => "ABORTED",
            Code::OutOfRange => "OUT_OF_RANGE",
            Code::Unimplemented => "UNIMPLEMENTED",
            Code::Internal => "INTERNAL",
            Code::Unavailable => "UNAVAILABLE",
            Code::DataLoss => "DATA_LOSS",
            Code::Unauthenticated => "UNAUTHENTICATED",
        }
    }
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// The code.
    pub code: Code,
    /// What the other side says about it.
    pub message: String,
}

impl Status {
    /// A status with a message.
    pub fn new(code: Code, message: impl Into<String>) -> Status {
        Status { code, message: message.into() }
    }

    /// From the headers `grpc-status` and `grpc-message`; `None` when the first is not there.
    pub fn from_headers(headers: &http::HeaderMap) -> Option<Status> {
        let code = Code::from_header(headers.get("grpc-status")?.as_bytes());
        let message = headers.get("grpc-message").map(|text| percent_decode(text.as_bytes())).unwrap_or_default();
        Some(Status { code, message })
    }

    /// The message as it is written in `grpc-message`: everything but printable ASCII, and `%`, as `%XX`.
    pub fn encoded_message(&self) -> String {
        use fmt::Write as _;
        let mut text = String::with_capacity(self.message.len());
        for byte in self.message.bytes() {
            match byte {
                b' '..=b'~' if byte != b'%' => text.push(byte.into()),
                _ => drop(write!(text, "%{byte:02X}")),
            }
        }
        text
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.message.as_str() {
            "" => f.write_str(self.code.name()),
            message => write!(f, "{}: {message}", self.code.name()),
        }
    }
}

/// The longest message that is kept of what the other side says.
const MESSAGE_BYTES: usize = 4096;

/// Tolerant, as the protocol asks for: what is not a valid `%XX` stays as it is.
fn percent_decode(text: &[u8]) -> String {
    let hex = |byte: &u8| char::from(*byte).to_digit(16).map(|digit| digit as u8);
    let text = &text[..text.len().min(MESSAGE_BYTES)];
    let mut bytes = Vec::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        match (text[at], text.get(at + 1).and_then(hex), text.get(at + 2).and_then(hex)) {
            (b'%', Some(high), Some(low)) => {
                bytes.push(high << 4 | low);
                at += 3;
            }
            (byte, ..) => {
                bytes.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(status: &str, message: Option<&str>) -> Option<Status> {
        let mut headers = http::HeaderMap::new();
        headers.insert("grpc-status", status.parse().unwrap());
        if let Some(message) = message {
            headers.insert("grpc-message", message.parse().unwrap());
        }
        Status::from_headers(&headers)
    }

    #[test]
    fn codes_and_messages_are_read_and_written() {
        assert_eq!(Status::from_headers(&http::HeaderMap::new()), None);
        assert_eq!(
            read("7", Some("no identity issued")),
            Some(Status::new(Code::PermissionDenied, "no identity issued"))
        );
        assert_eq!(read("17", None), Some(Status::new(Code::Unknown, "")));
        assert_eq!(read("-1", None), Some(Status::new(Code::Unknown, "")));
        assert_eq!(read("0", Some("a%20b%C3%A4%2")).unwrap().message, "a b\u{e4}%2");
        let status = Status::new(Code::Internal, "100 %\n\u{e4}");
        assert_eq!(status.encoded_message(), "100 %25%0A%C3%A4");
        assert_eq!(read("13", Some(&status.encoded_message())), Some(status));
        for (number, code) in Code::ALL.into_iter().enumerate() {
            assert_eq!(Code::from_header(number.to_string().as_bytes()), code);
            assert_eq!(code as usize, number);
        }
    }
}
