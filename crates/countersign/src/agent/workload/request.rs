use std::time::Duration;

use h2::RecvStream;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Request};
use prost::Message;
use prost::bytes::Bytes;

use crate::spiffe::workload_api::framing::{FrameFault, Messages};
use crate::spiffe::workload_api::proto::SECURITY_HEADER;
use crate::spiffe::workload_api::{Code, Method, Status};

/// The longest request that is read: a token of the largest size that is looked at, and then some.
pub(super) const MAX_REQUEST_BYTES: usize = 64 * 1024;
/// How long a request may take to arrive.
const ARRIVAL: Duration = Duration::from_secs(10);

/// The method a request asks for. The error is the status of a method that does not exist.
pub(super) fn method_of(path: &str) -> Result<Method, Status> {
    if let Some(method) = Method::from_path(path) {
        return Ok(method);
    }
    let message = match path.strip_prefix("/SpiffeWorkloadAPI/") {
        Some(name) => format!("unknown method {name} for service SpiffeWorkloadAPI"),
        None => {
            let service = path.trim_start_matches('/').split('/').next().unwrap_or_default();
            format!("unknown service {service}")
        }
    };
    Err(Status::new(Code::Unimplemented, message.chars().take(300).collect::<String>()))
}

/// Does the request speak gRPC? Its flavours after `+` and `;` do not matter.
pub(super) fn speaks_grpc(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).map(|kind| kind.as_bytes());
    let rest = kind.and_then(|kind| kind.strip_prefix(b"application/grpc"));
    rest.is_some_and(|rest| rest.first().is_none_or(|next| matches!(next, b'+' | b';')))
}

/// Workload Endpoint 5: the header keeps out requests that a confused proxy forwards here.
pub(super) fn must_carry_security_header(headers: &HeaderMap) -> Result<(), Status> {
    let mut values = headers.get_all(SECURITY_HEADER).iter();
    match (values.next(), values.next()) {
        (Some(value), None) if value.as_bytes() == b"true" => Ok(()),
        _ => Err(Status::new(Code::InvalidArgument, "security header missing from request")),
    }
}

/// How long the caller will wait (gRPC over HTTP/2, `Timeout`). What is malformed is not there.
pub(super) fn deadline(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(number * 3600),
        "M" => Duration::from_secs(number * 60),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    })
}

/// The one message of a request.
pub(super) async fn read<M: Message + Default>(request: Request<RecvStream>) -> Result<M, Status> {
    let message = match tokio::time::timeout(ARRIVAL, arrive(request.into_body())).await {
        Ok(message) => message?,
        Err(_) => return Err(Status::new(Code::DeadlineExceeded, "the request did not arrive in time")),
    };
    M::decode(message).map_err(|_| Status::new(Code::Internal, "the request is not the message it should be"))
}

async fn arrive(mut body: RecvStream) -> Result<Bytes, Status> {
    let mut messages = Messages::with_limit(MAX_REQUEST_BYTES);
    let mut only = None;
    while let Some(piece) = body.data().await {
        let mut piece = piece.map_err(|_| Status::new(Code::Cancelled, "the request was taken back"))?;
        let _ = body.flow_control().release_capacity(piece.len());
        while let Some(message) = messages.take(&mut piece).map_err(fault)? {
            if only.replace(message).is_some() {
                return Err(Status::new(Code::Internal, "the request holds more than one message"));
            }
        }
    }
    match only {
        Some(message) if !messages.is_amidst() => Ok(message),
        _ => Err(Status::new(Code::Internal, "the request ends before its message does")),
    }
}

fn fault(fault: FrameFault) -> Status {
    match fault {
        FrameFault::TooLarge(_) => {
            Status::new(Code::ResourceExhausted, format!("the request is longer than {MAX_REQUEST_BYTES} bytes"))
        }
        FrameFault::Compressed => Status::new(Code::Unimplemented, "compressed requests are not understood"),
        FrameFault::Flag => Status::new(Code::Internal, "the request is not framed as gRPC messages are"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, http::HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn the_security_header_is_there_exactly_once() {
        let carries = |pairs: &[_]| must_carry_security_header(&headers(pairs)).is_ok();
        assert!(carries(&[(SECURITY_HEADER, "true")]));
        for pairs in [
            &[][..],
            &[(SECURITY_HEADER, "")],
            &[(SECURITY_HEADER, "false")],
            &[(SECURITY_HEADER, "True")],
            &[(SECURITY_HEADER, "true,true")],
            &[(SECURITY_HEADER, "true"), (SECURITY_HEADER, "true")],
        ] {
            assert!(!carries(pairs), "{pairs:?}");
        }
    }

    #[test]
    fn deadlines_and_content_types() {
        let of = |text| deadline(&headers(&[("grpc-timeout", text)]));
        assert_eq!(of("1500m"), Some(Duration::from_millis(1500)));
        assert_eq!(of("99999999H"), Some(Duration::from_secs(99_999_999 * 3600)));
        for text in ["", "m", "1", "100000000S", "-1S", "1x", "1.5S"] {
            assert_eq!(of(text), None, "{text}");
        }
        for (kind, speaks) in [
            ("application/grpc", true),
            ("application/grpc+proto", true),
            ("application/grpc;charset=utf-8", true),
            ("application/grpcx", false),
            ("application/json", false),
        ] {
            assert_eq!(speaks_grpc(&headers(&[("content-type", kind)])), speaks, "{kind}");
        }
        assert!(!speaks_grpc(&HeaderMap::new()));
    }

    #[test]
    fn a_method_is_known_by_its_path() {
        for method in Method::ALL {
            assert_eq!(method_of(method.path()), Ok(method));
        }
        let refused = |path| method_of(path).err().map(|status| status.message);
        assert_eq!(
            refused("/spiffe.workload.SpiffeWorkloadAPI/FetchX509SVID").as_deref(),
            Some("unknown service spiffe.workload.SpiffeWorkloadAPI")
        );
        assert_eq!(
            refused("/SpiffeWorkloadAPI/Nope").as_deref(),
            Some("unknown method Nope for service SpiffeWorkloadAPI")
        );
    }
}
