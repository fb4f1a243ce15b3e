//! Peers of local sockets for JavaScript.

use std::sync::Arc;

use countersign::peer::{
    self, Denied, Examination, ExeDoubt, Peer, PeerConditions, PeerError, PeerPolicy, PeerProcess, Plain,
    PolicyDocument, PolicyError, RawSocket,
};
use napi::bindgen_prelude::Either;
use napi::{Env, Unknown};
use napi_derive::napi;
use serde_json::{Value, json};

use crate::host::failure::{Failure, answer, json_answer};
use crate::host::scratch;

/// Words of the scratch: flags, pid, uid, gid, the number of groups, the groups.
const HEAD: usize = 5;
const HAS_PID: u32 = 1;
const HAS_UID: u32 = 2;
const HAS_GID: u32 = 4;
const HAS_GROUPS: u32 = 8;

/// Some memory, and a function that writes the credentials of a descriptor's peer there. False: ask
/// `peerCredentialsFull`, which gives a failure, or what does not fit (many groups, a security label).
#[napi(ts_return_type = "[ArrayBuffer, (socket: number) => boolean] | null")]
pub fn peer_scratch(env: &Env) -> Option<Unknown<'_>> {
    scratch::with::<Credentials>(env)
}

struct Credentials;

impl scratch::Fill for Credentials {
    fn fill(socket: i32, words: &mut [u32; scratch::WORDS]) -> bool {
        let Ok(credentials) = peer::credentials_inline(socket as RawSocket) else { return false };
        let groups = credentials.groups.as_deref().unwrap_or_default();
        if credentials.security_label.is_some() || groups.len() > scratch::WORDS - HEAD {
            return false;
        }
        let mut flags = if credentials.groups.is_some() { HAS_GROUPS } else { 0 };
        let numbers = [(credentials.pid, HAS_PID), (credentials.uid, HAS_UID), (credentials.gid, HAS_GID)];
        for (word, (value, flag)) in words[1..HEAD - 1].iter_mut().zip(numbers) {
            if let Some(value) = value {
                *word = value;
                flags |= flag;
            }
        }
        words[0] = flags;
        words[HEAD - 1] = groups.len() as u32;
        words[HEAD..HEAD + groups.len()].copy_from_slice(groups);
        true
    }
}

/// The same as JSON text, with everything, or a failure.
#[napi]
pub fn peer_credentials_full(socket: i32) -> Either<String, Failure> {
    json_answer(peer::credentials(socket as RawSocket).map(|credentials| credentials_value(&credentials)))
}

/// The process behind a descriptor, as JSON text, or a failure; with `sha256` the hash of its executable
/// too.
#[napi]
pub fn peer_process(socket: i32, sha256: bool) -> Either<String, Failure> {
    json_answer(Peer::of_raw(socket as RawSocket).and_then(|peer| process_value(&peer, &peer.examine(), sha256)))
}

/// Policies, checked once and kept.
#[napi]
pub struct PolicySet {
    policies: Arc<Vec<PeerPolicy>>,
}

#[napi]
impl PolicySet {
    /// `text` is a JSON array of policies with names and types already checked; a failure says what is wrong.
    #[napi(ts_return_type = "PolicySet | Failure")]
    pub fn parse(text: String) -> Either<PolicySet, Failure> {
        let policies = parse_policies(&text).map_err(|reason| Failure::invalid_argument(&reason));
        answer(policies.map(|policies| PolicySet { policies: Arc::new(policies) }))
    }

    /// The process behind a descriptor if one of the policies accepts it, as JSON text, or a failure; a refusal
    /// carries the field that failed in each policy.
    #[napi]
    pub fn authorize(&self, socket: i32) -> Either<String, Failure> {
        json_answer(Peer::of_raw(socket as RawSocket).and_then(|peer| self.evaluate(&peer)))
    }

    fn evaluate(&self, peer: &Peer) -> Result<Value, PeerError> {
        let examination = peer.examine();
        let mut denials = Vec::new();
        for policy in self.policies.iter() {
            match examination.check(policy)? {
                Ok(()) => return process_value(peer, &examination, policy.exe_sha256.is_some()),
                Err(denied) => denials.push(denied),
            }
        }
        let denials: Vec<Value> = denials.iter().map(denial_value).collect();
        Ok(json!({ "denied": denials, "credentials": credentials_value(peer.credentials()) }))
    }
}

impl From<PeerError> for Failure {
    fn from(error: PeerError) -> Failure {
        let code = match &error {
            PeerError::Closed => "ERR_CLOSED",
            PeerError::NotAUnixSocket(_) => "ERR_NOT_A_UNIX_SOCKET",
            PeerError::Gone => "ERR_PEER_GONE",
            PeerError::Unsupported(_) => "ERR_UNSUPPORTED_PLATFORM",
            PeerError::Os { .. } => "ERR_PEER_UNREADABLE",
        };
        let failure = Failure::new(code, &error);
        match &error {
            PeerError::Os { source, .. } => failure.with("errno", source.raw_os_error()),
            _ => failure,
        }
    }
}

fn credentials_value(credentials: &peer::PeerCredentials) -> Value {
    json!({
        "pid": credentials.pid,
        "uid": credentials.uid,
        "gid": credentials.gid,
        "groups": credentials.groups,
        "securityLabel": credentials.security_label,
    })
}

/// What one examination saw: the facts that were evaluated are the facts that are returned.
fn process_value(peer: &Peer, examination: &Examination<'_>, sha256: bool) -> Result<Value, PeerError> {
    let process: PeerProcess = examination.process()?;
    let mut value = credentials_value(&process.credentials);
    value["process"] = json!(process.process);
    value["startTime"] = json!(process.start_time_ms);
    value["cgroup"] = json!(process.cgroup);
    value["exe"] = json!(process.exe.proven().map(|path| path.to_string_lossy()));
    if let Some(doubt) = process.exe.doubt() {
        let path = process.exe.printed().map(|path| path.to_string_lossy());
        value["exeDoubt"] = json!({ "reason": doubt_name(doubt), "path": path });
    }
    if sha256 {
        value["exeSha256"] = json!(peer.exe_sha256()?.map(hex));
    }
    Ok(value)
}

fn doubt_name(doubt: ExeDoubt) -> &'static str {
    match doubt {
        ExeDoubt::Deleted => "deleted",
        ExeDoubt::OtherMount => "other_mount",
        ExeDoubt::NotHolder => "not_holder",
        ExeDoubt::Permission => "permission",
        ExeDoubt::Unsupported => "unsupported",
    }
}

fn denial_value(denied: &Denied) -> Value {
    json!({ "field": camel_case(denied.field), "expected": denied.expected, "actual": denied.actual })
}

fn hex(bytes: [u8; 32]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn parse_policies(text: &str) -> Result<Vec<PeerPolicy>, String> {
    let Ok(Value::Array(items)) = serde_json::from_str(text) else { return Err("not a list of policies".into()) };
    let many = items.len() > 1;
    let parse = |(index, item): (usize, Value)| {
        parse_policy(item).map_err(|text| if many { format!("policy {index}: {text}") } else { text })
    };
    items.into_iter().enumerate().map(parse).collect()
}

const SPOOFABLE: &str = "`process` alone proves nothing (a process names itself): add uid, gid, group, exe, exeSha256, \
                         cgroup or unit, or set allowSpoofable";

/// A member that the document does not know is an error, like a value of another type.
fn parse_policy(item: Value) -> Result<PeerPolicy, String> {
    let Value::Object(members) = item else { return Err("not an object".into()) };
    let members = members.into_iter().map(|(name, value)| (snake_case(&name), value)).collect();
    let document: PolicyDocument<Plain> =
        serde_json::from_value(Value::Object(members)).map_err(|error| error.to_string())?;
    document.conditions().map_err(|error| error.error).and_then(PeerConditions::build).map_err(|error| match error {
        PolicyError::Spoofable => SPOOFABLE.to_owned(),
        PolicyError::Invalid { field, reason } => format!("{}: {reason}", camel_case(field)),
        PolicyError::Empty => error.to_string(),
    })
}

/// The name of a policy field in JavaScript.
fn camel_case(field: &str) -> String {
    let mut words = field.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |name, word| {
        let (initial, rest) = word.split_at(word.len().min(1));
        name + &initial.to_ascii_uppercase() + rest
    })
}

/// The name of a policy field in the core. A name that is not JavaScript's own stays unknown.
fn snake_case(name: &str) -> String {
    name.chars().fold(String::new(), |mut field, letter| {
        match letter {
            '_' => field.push('-'),
            'A'..='Z' => field.extend(['_', letter.to_ascii_lowercase()]),
            _ => field.push(letter),
        }
        field
    })
}
