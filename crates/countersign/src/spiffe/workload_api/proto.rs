//! The messages of `SpiffeWorkloadAPI` (Workload API 4 to 7), written down by hand from the standard: the file has no
//! `package`, so the service is called `SpiffeWorkloadAPI` and nothing else.
//!
//! Bytes are slices of the message they came in, so that a message with a thousand bundles is copied once.

use std::collections::BTreeMap;

use prost::bytes::Bytes;
use prost::{Message, Oneof};

/// The methods, as they stand in the path of a request.
pub mod method {
    /// X.509 profile, server stream.
    pub const FETCH_X509_SVID: &str = "/SpiffeWorkloadAPI/FetchX509SVID";
    /// X.509 profile, server stream.
    pub const FETCH_X509_BUNDLES: &str = "/SpiffeWorkloadAPI/FetchX509Bundles";
    /// JWT profile, unary.
    pub const FETCH_JWT_SVID: &str = "/SpiffeWorkloadAPI/FetchJWTSVID";
    /// JWT profile, server stream.
    pub const FETCH_JWT_BUNDLES: &str = "/SpiffeWorkloadAPI/FetchJWTBundles";
    /// JWT profile, unary.
    pub const VALIDATE_JWT_SVID: &str = "/SpiffeWorkloadAPI/ValidateJWTSVID";
    /// WIT profile (incubating), server stream.
    pub const FETCH_WIT_SVID: &str = "/SpiffeWorkloadAPI/FetchWITSVID";
    /// WIT profile (incubating), server stream.
    pub const FETCH_WIT_BUNDLES: &str = "/SpiffeWorkloadAPI/FetchWITBundles";
}

/// The metadata every request must carry, exactly once, with the value `true` (Workload Endpoint 5).
pub const SECURITY_HEADER: &str = "workload.spiffe.io";

/// Asks for nothing in particular: every request without members.
#[derive(Clone, PartialEq, Message)]
pub struct Empty {}

/// All X509-SVIDs of the workload; each message replaces the one before.
#[derive(Clone, PartialEq, Message)]
pub struct X509SvidResponse {
    /// The SVIDs; the first is the default identity.
    #[prost(message, repeated, tag = "1")]
    pub svids: Vec<X509Svid>,
    /// Certificate revocation lists as DER.
    #[prost(bytes = "bytes", repeated, tag = "2")]
    pub crl: Vec<Bytes>,
    /// Bundles of foreign trust domains: trust domain ID to concatenated DER.
    #[prost(btree_map = "string, bytes", tag = "3")]
    pub federated_bundles: BTreeMap<String, Bytes>,
}

/// One X509-SVID. It holds a private key: never print it.
#[derive(Clone, PartialEq, Message)]
pub struct X509Svid {
    /// The name it is labelled with.
    #[prost(string, tag = "1")]
    pub spiffe_id: String,
    /// Concatenated DER, leaf first.
    #[prost(bytes = "bytes", tag = "2")]
    pub x509_svid: Bytes,
    /// PKCS#8, not encrypted.
    #[prost(bytes = "bytes", tag = "3")]
    pub x509_svid_key: Bytes,
    /// The authorities of its own trust domain, concatenated DER.
    #[prost(bytes = "bytes", tag = "4")]
    pub bundle: Bytes,
    /// What an operator calls it.
    #[prost(string, tag = "5")]
    pub hint: String,
}

/// The X.509 bundles of all trust domains the workload may know.
#[derive(Clone, PartialEq, Message)]
pub struct X509BundlesResponse {
    /// Certificate revocation lists as DER.
    #[prost(bytes = "bytes", repeated, tag = "1")]
    pub crl: Vec<Bytes>,
    /// Trust domain ID to concatenated DER.
    #[prost(btree_map = "string, bytes", tag = "2")]
    pub bundles: BTreeMap<String, Bytes>,
}

/// Asks for tokens.
#[derive(Clone, PartialEq, Message)]
pub struct JwtSvidRequest {
    /// The audience of the tokens; at least one.
    #[prost(string, repeated, tag = "1")]
    pub audience: Vec<String>,
    /// Only for this identity; empty for all.
    #[prost(string, tag = "2")]
    pub spiffe_id: String,
}

/// Tokens.
#[derive(Clone, PartialEq, Message)]
pub struct JwtSvidResponse {
    /// The tokens; the first is that of the default identity.
    #[prost(message, repeated, tag = "1")]
    pub svids: Vec<JwtSvid>,
}

/// One token. A secret: never print it.
#[derive(Clone, PartialEq, Message)]
pub struct JwtSvid {
    /// The name it is labelled with.
    #[prost(string, tag = "1")]
    pub spiffe_id: String,
    /// JWS in compact serialization.
    #[prost(string, tag = "2")]
    pub svid: String,
    /// What an operator calls it.
    #[prost(string, tag = "3")]
    pub hint: String,
}

/// The JWT bundles of all trust domains the workload may know.
#[derive(Clone, PartialEq, Message)]
pub struct JwtBundlesResponse {
    /// Trust domain ID to JWKS.
    #[prost(btree_map = "string, bytes", tag = "1")]
    pub bundles: BTreeMap<String, Bytes>,
}

/// Asks for a verdict on a token.
#[derive(Clone, PartialEq, Message)]
pub struct ValidateJwtSvidRequest {
    /// The name the validator answers to.
    #[prost(string, tag = "1")]
    pub audience: String,
    /// The token.
    #[prost(string, tag = "2")]
    pub svid: String,
}

/// The verdict on a good token.
#[derive(Clone, PartialEq, Message)]
pub struct ValidateJwtSvidResponse {
    /// The proven name.
    #[prost(string, tag = "1")]
    pub spiffe_id: String,
    /// Its claims.
    #[prost(message, optional, tag = "2")]
    pub claims: Option<Struct>,
}

/// Asks for WIT-SVIDs.
#[derive(Clone, PartialEq, Message)]
pub struct WitSvidRequest {
    /// Only for this identity; empty for all.
    #[prost(string, tag = "1")]
    pub spiffe_id: String,
}

/// All WIT-SVIDs of the workload.
#[derive(Clone, PartialEq, Message)]
pub struct WitSvidResponse {
    /// The SVIDs; the first is the default identity.
    #[prost(message, repeated, tag = "1")]
    pub svids: Vec<WitSvid>,
}

/// One WIT-SVID. It holds a private key: never print it.
#[derive(Clone, PartialEq, Message)]
pub struct WitSvid {
    /// The name it is labelled with.
    #[prost(string, tag = "1")]
    pub spiffe_id: String,
    /// JWS in compact serialization, `typ: wit+jwt`.
    #[prost(string, tag = "2")]
    pub wit_svid: String,
    /// The private key as a JWK.
    #[prost(string, tag = "3")]
    pub wit_svid_key: String,
    /// What an operator calls it.
    #[prost(string, tag = "4")]
    pub hint: String,
}

/// The WIT bundles of all trust domains the workload may know.
#[derive(Clone, PartialEq, Message)]
pub struct WitBundlesResponse {
    /// Trust domain ID to JWKS.
    #[prost(btree_map = "string, string", tag = "1")]
    pub bundles: BTreeMap<String, String>,
}

/// `google.protobuf.Struct`: a JSON object.
#[derive(Clone, PartialEq, Message)]
pub struct Struct {
    /// Its members.
    #[prost(btree_map = "string, message", tag = "1")]
    pub fields: BTreeMap<String, Value>,
}

/// `google.protobuf.Value`: a JSON value.
#[derive(Clone, PartialEq, Message)]
pub struct Value {
    /// Which one.
    #[prost(oneof = "Kind", tags = "1, 2, 3, 4, 5, 6")]
    pub kind: Option<Kind>,
}

/// The kinds of JSON values.
#[derive(Clone, PartialEq, Oneof)]
pub enum Kind {
    /// `null`; the number is always 0.
    #[prost(int32, tag = "1")]
    Null(i32),
    /// A number: every JSON number becomes a double here.
    #[prost(double, tag = "2")]
    Number(f64),
    /// A string.
    #[prost(string, tag = "3")]
    Text(String),
    /// `true` or `false`.
    #[prost(bool, tag = "4")]
    Bool(bool),
    /// An object.
    #[prost(message, tag = "5")]
    Object(Struct),
    /// A list.
    #[prost(message, tag = "6")]
    List(ListValue),
}

/// `google.protobuf.ListValue`: a JSON list.
#[derive(Clone, PartialEq, Message)]
pub struct ListValue {
    /// Its values.
    #[prost(message, repeated, tag = "1")]
    pub values: Vec<Value>,
}

impl Struct {
    /// The JSON object. What JSON has no form for (NaN, an infinity, a value of no kind) is `null`.
    pub fn to_json(&self) -> serde_json::Value {
        let member = |(name, value): (&String, &Value)| (name.clone(), value.to_json());
        serde_json::Value::Object(self.fields.iter().map(member).collect())
    }

    /// The message for a JSON object. Numbers become doubles, as the format has it.
    pub fn from_json(object: &serde_json::Map<String, serde_json::Value>) -> Struct {
        let member = |(name, value): (&String, &serde_json::Value)| (name.clone(), Value::from_json(value));
        Struct { fields: object.iter().map(member).collect() }
    }
}

impl Value {
    fn to_json(&self) -> serde_json::Value {
        match &self.kind {
            None | Some(Kind::Null(_)) => serde_json::Value::Null,
            Some(Kind::Number(number)) => json_number(*number),
            Some(Kind::Text(text)) => text.as_str().into(),
            Some(Kind::Bool(bool)) => (*bool).into(),
            Some(Kind::Object(object)) => object.to_json(),
            Some(Kind::List(list)) => list.values.iter().map(Value::to_json).collect(),
        }
    }

    fn from_json(value: &serde_json::Value) -> Value {
        let kind = match value {
            serde_json::Value::Null => Kind::Null(0),
            serde_json::Value::Bool(bool) => Kind::Bool(*bool),
            serde_json::Value::Number(number) => Kind::Number(number.as_f64().unwrap_or(f64::NAN)),
            serde_json::Value::String(text) => Kind::Text(text.clone()),
            serde_json::Value::Array(values) => {
                Kind::List(ListValue { values: values.iter().map(Value::from_json).collect() })
            }
            serde_json::Value::Object(object) => Kind::Object(Struct::from_json(object)),
        };
        Value { kind: Some(kind) }
    }
}

/// A double that is a whole number is written as one: `exp` is 1700000000, not 1700000000.0.
fn json_number(number: f64) -> serde_json::Value {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if number.fract() == 0.0 && number.abs() <= EXACT { (number as i64).into() } else { number.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_keep_their_kinds() {
        let text =
            r#"{"aud":["a"],"exp":1700000000,"flag":true,"half":0.5,"nested":{"none":null},"sub":"spiffe://a/b"}"#;
        let serde_json::Value::Object(object) = serde_json::from_str(text).unwrap() else { panic!("an object") };
        let sent = Struct::from_json(&object).encode_to_vec();
        assert_eq!(Struct::decode(&sent[..]).unwrap().to_json().to_string(), text);
        let odd = Value { kind: Some(Kind::Number(f64::INFINITY)) };
        assert_eq!(odd.to_json(), serde_json::Value::Null);
        assert_eq!(Value { kind: None }.to_json(), serde_json::Value::Null);
    }

    #[test]
    fn bytes_are_slices_of_the_message() {
        let sent = X509BundlesResponse {
            crl: vec![],
            bundles: [("spiffe://a".to_owned(), Bytes::from(vec![7; 1000]))].into(),
        };
        let message = Bytes::from(sent.encode_to_vec());
        let range = message.as_ptr_range();
        let read = X509BundlesResponse::decode(message.clone()).unwrap();
        assert!(read.bundles.values().all(|bundle| range.contains(&bundle.as_ptr())));
        assert_eq!(read, sent);
    }
}
