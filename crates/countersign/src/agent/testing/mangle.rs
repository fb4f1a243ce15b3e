use prost::Message;
use prost::bytes::Bytes;

use super::fault::Fault;
use crate::spiffe::issue::{JwtIssuer, KeyUse, SigningKey};
use crate::spiffe::workload_api::Method;
use crate::spiffe::workload_api::framing::{frame, wiped};
use crate::spiffe::workload_api::proto::{
    JwtBundlesResponse, JwtSvidResponse, ValidateJwtSvidResponse, X509BundlesResponse, X509SvidResponse,
};

/// A gRPC frame begins with a flag and the length of the message.
const FRAME_HEADER: usize = 5;

/// Makes a framed message of this method what the fault says. A message no fault can change stays as it is.
pub(super) fn mangle(method: Method, framed: &Bytes, fault: &Fault) -> Bytes {
    match fault {
        // Field 1 of a type no message has.
        Fault::Garbage => frame_raw(b"\x0f\xff\xff\xff garbage"),
        Fault::BadFrame => Bytes::from_static(b"\x7f this is no frame"),
        Fault::Huge(length) => frame_raw(&vec![0; *length]),
        Fault::Respond(bytes) => frame_raw(bytes),
        Fault::Blank(_) | Fault::DuplicateHints | Fault::WrongKey => match method {
            Method::FetchX509Svid => changed::<X509SvidResponse>(framed, fault),
            Method::FetchX509Bundles => changed::<X509BundlesResponse>(framed, fault),
            Method::FetchJwtSvid => changed::<JwtSvidResponse>(framed, fault),
            Method::FetchJwtBundles => changed::<JwtBundlesResponse>(framed, fault),
            Method::ValidateJwtSvid => changed::<ValidateJwtSvidResponse>(framed, fault),
            Method::FetchWitSvid | Method::FetchWitBundles => framed.clone(),
        },
        Fault::Status(_) | Fault::Reset | Fault::End | Fault::Delay(_) => framed.clone(),
    }
}

/// The message with one thing wrong about it.
fn changed<R: Message + Mangled + Default>(framed: &Bytes, fault: &Fault) -> Bytes {
    let Ok(mut message) = R::decode(framed.slice(FRAME_HEADER.min(framed.len())..)) else { return framed.clone() };
    match fault {
        Fault::Blank(field) => message.blank(field),
        Fault::DuplicateHints => message.duplicate_hints(),
        Fault::WrongKey => message.wrong_key(),
        _ => {}
    }
    frame(&message)
}

fn frame_raw(message: &[u8]) -> Bytes {
    let mut framed = Vec::with_capacity(FRAME_HEADER + message.len());
    framed.push(0);
    framed.extend_from_slice(&(message.len() as u32).to_be_bytes());
    framed.extend_from_slice(message);
    framed.into()
}

/// What a fault can do to a message.
trait Mangled {
    /// Empties a field. A name the message does not have changes nothing.
    fn blank(&mut self, field: &str);
    fn duplicate_hints(&mut self) {}
    fn wrong_key(&mut self) {}
}

/// Gives all of them the same hint. An only one gets a twin.
fn share_a_hint<T: Clone>(svids: &mut Vec<T>, hint: impl Fn(&mut T) -> &mut String) {
    if let [only] = &svids[..] {
        let twin = only.clone();
        svids.push(twin);
    }
    svids.iter_mut().for_each(|svid| *hint(svid) = "duplicate".to_owned());
}

impl Mangled for X509SvidResponse {
    fn blank(&mut self, field: &str) {
        match field {
            "svids" => self.svids.clear(),
            "federated_bundles" => self.federated_bundles.clear(),
            "crl" => self.crl.clear(),
            _ => {}
        }
        for svid in &mut self.svids {
            match field {
                "spiffe_id" => svid.spiffe_id.clear(),
                "x509_svid" => svid.x509_svid.clear(),
                "x509_svid_key" => svid.x509_svid_key.clear(),
                "bundle" => svid.bundle.clear(),
                "hint" => svid.hint.clear(),
                _ => {}
            }
        }
    }

    fn duplicate_hints(&mut self) {
        share_a_hint(&mut self.svids, |svid| &mut svid.hint);
    }

    fn wrong_key(&mut self) {
        let stranger = SigningKey::generate(KeyUse::Certificates).and_then(|key| key.to_pkcs8());
        if let Ok(key) = stranger {
            let key = wiped(key);
            self.svids.iter_mut().for_each(|svid| svid.x509_svid_key = key.clone());
        }
    }
}

impl Mangled for X509BundlesResponse {
    fn blank(&mut self, field: &str) {
        match field {
            "bundles" => self.bundles.clear(),
            "bundle" => self.bundles.values_mut().for_each(Bytes::clear),
            "crl" => self.crl.clear(),
            _ => {}
        }
    }
}

impl Mangled for JwtBundlesResponse {
    fn blank(&mut self, field: &str) {
        match field {
            "bundles" => self.bundles.clear(),
            "bundle" => self.bundles.values_mut().for_each(Bytes::clear),
            _ => {}
        }
    }
}

impl Mangled for JwtSvidResponse {
    fn blank(&mut self, field: &str) {
        if field == "svids" {
            self.svids.clear();
        }
        for svid in &mut self.svids {
            match field {
                "spiffe_id" => svid.spiffe_id.clear(),
                "svid" => svid.svid.clear(),
                "hint" => svid.hint.clear(),
                _ => {}
            }
        }
    }

    fn duplicate_hints(&mut self) {
        share_a_hint(&mut self.svids, |svid| &mut svid.hint);
    }

    fn wrong_key(&mut self) {
        for svid in &mut self.svids {
            let Some((signed, _)) = svid.svid.rsplit_once('.') else { continue };
            let stranger = JwtIssuer::generate(i64::MAX).and_then(|key| key.sign_over(signed));
            if let Ok(token) = stranger {
                svid.svid = token.as_str().to_owned();
            }
        }
    }
}

impl Mangled for ValidateJwtSvidResponse {
    fn blank(&mut self, field: &str) {
        match field {
            "spiffe_id" => self.spiffe_id.clear(),
            "claims" => self.claims = None,
            _ => {}
        }
    }
}
