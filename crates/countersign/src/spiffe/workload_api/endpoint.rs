use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Where a Workload API is served (SPIFFE Workload Endpoint 4): `unix:/path`, `unix:///path`, `tcp://IP:port`, or, on
/// Windows, `npipe:NAME`. What is there need not exist yet.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// A Unix socket at an absolute path.
    Unix(PathBuf),
    /// An address and port.
    Tcp(SocketAddr),
    /// A named pipe, without `\\.\pipe\`.
    Pipe(String),
}

/// The rule an endpoint breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// Nothing was given.
    #[error("the endpoint is empty")]
    Empty,
    /// No scheme, or another one.
    #[error("the endpoint must begin with unix:, tcp: or npipe:")]
    UnknownScheme,
    /// The path holds a NUL, which no socket's name does.
    #[error("the endpoint holds a NUL character")]
    Nul,
    /// `unix:` with nothing behind it.
    #[error("the endpoint names no socket path")]
    MissingPath,
    /// `unix:agent.sock`, `unix:.../`: relative to an unknown directory.
    #[error("the path of the socket must be absolute: unix:/path or unix:///path")]
    RelativePath,
    /// `unix://host/path`: a Unix socket has no host.
    #[error("a unix: endpoint names a host: write unix:/path or unix:///path")]
    UnixAuthority,
    /// A query or a fragment behind the path or the port.
    #[error("the endpoint has a query or a fragment")]
    QueryOrFragment,
    /// The address of the socket has no room for the path.
    #[error("the path of the socket is longer than 107 bytes")]
    PathTooLong,
    /// `tcp:` without two slashes.
    #[error("a tcp: endpoint is written tcp://IP:port")]
    MissingAuthority,
    /// `tcp://user@...`.
    #[error("the endpoint names a user")]
    UserInfo,
    /// `tcp://...:port/path`.
    #[error("a tcp: endpoint has a path")]
    TcpPath,
    /// A host name, or an address that is none: names are not looked up (Workload Endpoint 4).
    #[error("a tcp: endpoint needs an IP address, IPv6 in brackets")]
    NotAnAddress,
    /// No port, or one that is none.
    #[error("a tcp: endpoint needs a port from 1 to 65535")]
    InvalidPort,
    /// `npipe:` with nothing, or with slashes, behind it.
    #[error("an npipe: endpoint is written npipe:NAME")]
    InvalidPipe,
}

impl EndpointError {
    /// The stable name of the rule.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::UnknownScheme => "unknown_scheme",
            Self::Nul => "nul",
            Self::MissingPath => "missing_path",
            Self::RelativePath => "relative_path",
            Self::UnixAuthority => "unix_authority",
            Self::QueryOrFragment => "query_or_fragment",
            Self::PathTooLong => "path_too_long",
            Self::MissingAuthority => "missing_authority",
            Self::UserInfo => "user_info",
            Self::TcpPath => "tcp_path",
            Self::NotAnAddress => "not_an_address",
            Self::InvalidPort => "invalid_port",
            Self::InvalidPipe => "invalid_pipe",
        }
    }
}

/// What `sockaddr_un` holds, less the closing NUL.
const PATH_BYTES: usize = 107;

impl Endpoint {
    /// Reads an endpoint as it stands in `SPIFFE_ENDPOINT_SOCKET`.
    pub fn parse(text: &str) -> Result<Endpoint, EndpointError> {
        if text.is_empty() {
            return Err(EndpointError::Empty);
        }
        if text.contains('\0') {
            return Err(EndpointError::Nul);
        }
        let (scheme, rest) = text.split_once(':').ok_or(EndpointError::UnknownScheme)?;
        match scheme {
            "unix" => unix(rest),
            "tcp" => tcp(rest),
            "npipe" => pipe(rest),
            _ => Err(EndpointError::UnknownScheme),
        }
    }
}

fn unix(rest: &str) -> Result<Endpoint, EndpointError> {
    let path = match rest.strip_prefix("//") {
        None => rest,
        Some("") => return Err(EndpointError::MissingPath),
        Some(path) if path.starts_with('/') => path,
        Some(_) => return Err(EndpointError::UnixAuthority),
    };
    if path.is_empty() || path == "/" {
        return Err(EndpointError::MissingPath);
    }
    if path.contains(['?', '#']) {
        return Err(EndpointError::QueryOrFragment);
    }
    if !path.starts_with('/') {
        return Err(EndpointError::RelativePath);
    }
    if path.len() > PATH_BYTES {
        return Err(EndpointError::PathTooLong);
    }
    Ok(Endpoint::Unix(Path::new(path).to_owned()))
}

fn tcp(rest: &str) -> Result<Endpoint, EndpointError> {
    let authority = rest.strip_prefix("//").ok_or(EndpointError::MissingAuthority)?;
    if authority.contains(['?', '#']) {
        return Err(EndpointError::QueryOrFragment);
    }
    if authority.contains('@') {
        return Err(EndpointError::UserInfo);
    }
    if authority.contains('/') {
        return Err(EndpointError::TcpPath);
    }
    let (host, port) = match authority.strip_prefix('[') {
        Some(bracketed) => {
            let (host, behind) = bracketed.split_once(']').ok_or(EndpointError::NotAnAddress)?;
            let address: std::net::Ipv6Addr = host.parse().map_err(|_| EndpointError::NotAnAddress)?;
            (IpAddr::V6(address), behind.strip_prefix(':').ok_or(EndpointError::InvalidPort)?)
        }
        None => {
            let (host, port) = authority.rsplit_once(':').unwrap_or((authority, ""));
            let address: std::net::Ipv4Addr = host.parse().map_err(|_| EndpointError::NotAnAddress)?;
            (IpAddr::V4(address), port)
        }
    };
    // `parse` would take a sign.
    if port.is_empty() || !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(EndpointError::InvalidPort);
    }
    match port.parse::<u16>() {
        Ok(port) if port != 0 => Ok(Endpoint::Tcp(SocketAddr::new(host, port))),
        _ => Err(EndpointError::InvalidPort),
    }
}

fn pipe(name: &str) -> Result<Endpoint, EndpointError> {
    if name.is_empty() || name.len() > 256 || name.contains(['/', ':']) || name.starts_with('\\') {
        return Err(EndpointError::InvalidPipe);
    }
    Ok(Endpoint::Pipe(name.to_owned()))
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Endpoint::parse(text)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Endpoint::Unix(path) => {
                let path = path.display().to_string();
                write!(f, "unix:{}{path}", if path.starts_with("//") { "//" } else { "" })
            }
            Endpoint::Tcp(address) => write!(f, "tcp://{address}"),
            Endpoint::Pipe(name) => write!(f, "npipe:{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_read_and_written() {
        for (text, canonical) in [
            ("unix:/run/spire/agent.sock", "unix:/run/spire/agent.sock"),
            ("unix:///run/spire/agent.sock", "unix:/run/spire/agent.sock"),
            ("unix:/a b", "unix:/a b"),
            // Two slashes in front of a path would read as the start of a host.
            ("unix:////run/agent.sock", "unix:////run/agent.sock"),
            ("tcp://127.0.0.1:8000", "tcp://127.0.0.1:8000"),
            ("tcp://[::1]:8000", "tcp://[::1]:8000"),
            ("npipe:spire-agent\\public\\api", "npipe:spire-agent\\public\\api"),
        ] {
            let endpoint = Endpoint::parse(text).unwrap();
            assert_eq!(endpoint.to_string(), canonical);
            assert_eq!(Endpoint::parse(canonical), Ok(endpoint));
        }
    }

    #[test]
    fn every_malformed_form_is_told_apart() {
        let long = format!("unix:/{}", "a".repeat(107));
        for (text, code) in [
            ("", "empty"),
            ("/run/agent.sock", "unknown_scheme"),
            ("http://127.0.0.1:1", "unknown_scheme"),
            ("UNIX:/a", "unknown_scheme"),
            ("unix:/a\0b", "nul"),
            ("unix:", "missing_path"),
            ("unix://", "missing_path"),
            ("unix:/", "missing_path"),
            ("unix:///", "missing_path"),
            ("unix:agent.sock", "relative_path"),
            ("unix://foo", "unix_authority"),
            ("unix://foo/agent.sock", "unix_authority"),
            ("unix:/a?b", "query_or_fragment"),
            ("unix:/a#b", "query_or_fragment"),
            (&long, "path_too_long"),
            ("tcp:127.0.0.1:1", "missing_authority"),
            ("tcp://", "not_an_address"),
            ("tcp://localhost:1", "not_an_address"),
            ("tcp://::1:1", "not_an_address"),
            ("tcp://[::1", "not_an_address"),
            ("tcp://[127.0.0.1]:1", "not_an_address"),
            ("tcp://127.0.0.1", "invalid_port"),
            ("tcp://127.0.0.1:", "invalid_port"),
            ("tcp://127.0.0.1:0", "invalid_port"),
            ("tcp://127.0.0.1:+1", "invalid_port"),
            ("tcp://127.0.0.1:65536", "invalid_port"),
            ("tcp://[::1]", "invalid_port"),
            ("tcp://[::1]8000", "invalid_port"),
            ("tcp://u@127.0.0.1:1", "user_info"),
            ("tcp://127.0.0.1:1/a", "tcp_path"),
            ("tcp://127.0.0.1:1?a", "query_or_fragment"),
            ("npipe:", "invalid_pipe"),
            ("npipe:\\\\.\\pipe\\x", "invalid_pipe"),
        ] {
            assert_eq!(Endpoint::parse(text).map_err(|error| error.code()), Err(code), "{text:?}");
        }
    }
}
