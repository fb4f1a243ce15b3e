use std::fmt;

use data_encoding::BASE64URL_NOPAD;
use serde::Serialize;
use zeroize::Zeroizing;

use super::key::{IssueError, KeyUse, SigningKey};
use crate::spiffe::{JwtAuthority, SpiffeId};

/// A key of a trust domain that signs JWT-SVIDs with ES256.
pub struct JwtIssuer {
    key: SigningKey,
    key_id: String,
    not_after: i64,
}

/// The claims (JWT-SVID 3; `aud` always as a list, which every reader takes).
#[derive(Serialize)]
struct Claims<'a> {
    aud: &'a [String],
    exp: i64,
    iat: i64,
    sub: &'a str,
}

impl JwtIssuer {
    /// A new key, to be used until this second since 1970.
    pub fn generate(not_after: i64) -> Result<JwtIssuer, IssueError> {
        Ok(JwtIssuer::of(SigningKey::generate(KeyUse::Tokens)?, not_after))
    }

    /// A key that was made before, as PKCS#8.
    pub fn from_parts(key_der: &[u8], not_after: i64) -> Result<JwtIssuer, IssueError> {
        Ok(JwtIssuer::of(SigningKey::from_pkcs8(KeyUse::Tokens, key_der)?, not_after))
    }

    fn of(key: SigningKey, not_after: i64) -> JwtIssuer {
        let key_id = JwtIssuer::key_id_of(key.point()).unwrap_or_default();
        JwtIssuer { key, key_id, not_after }
    }

    /// The name of the key with this uncompressed point: its RFC 7638 thumbprint, the same in every document.
    pub fn key_id_of(point: &[u8]) -> Option<String> {
        let [4, coordinates @ ..] = point else { return None };
        let (x, y) = coordinates.split_at_checked(32).filter(|(_, y)| y.len() == 32)?;
        let (x, y) = (BASE64URL_NOPAD.encode(x), BASE64URL_NOPAD.encode(y));
        let members = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
        let thumbprint = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, members.as_bytes());
        Some(BASE64URL_NOPAD.encode(thumbprint.as_ref()))
    }

    /// Signs a token. `expiry` is cut to the last second of the key.
    pub fn issue(
        &self,
        subject: &SpiffeId,
        audience: &[String],
        issued_at: i64,
        expiry: i64,
    ) -> Result<Zeroizing<String>, IssueError> {
        let claims = Claims { aud: audience, exp: expiry.min(self.not_after), iat: issued_at, sub: subject.as_str() };
        let claims = serde_json::to_string(&claims).map_err(|error| IssueError::Unwritable(error.to_string()))?;
        self.sign(&format!(r#"{{"alg":"ES256","kid":"{}","typ":"JWT"}}"#, self.key_id), &claims)
    }

    /// Signs any header and payload.
    pub(crate) fn sign(&self, header: &str, payload: &str) -> Result<Zeroizing<String>, IssueError> {
        // Room for all of it at once: a text that grows leaves copies of a secret behind.
        let room = (header.len() + payload.len() + 64) * 4 / 3 + 16;
        let mut token = Zeroizing::new(String::with_capacity(room));
        BASE64URL_NOPAD.encode_append(header.as_bytes(), &mut token);
        token.push('.');
        BASE64URL_NOPAD.encode_append(payload.as_bytes(), &mut token);
        let signature = self.key.sign(token.as_bytes())?;
        token.push('.');
        BASE64URL_NOPAD.encode_append(signature.as_ref(), &mut token);
        Ok(token)
    }

    /// Puts this key's signature behind header and payload as they stand in a token: what the agent for tests does
    /// wrong.
    #[cfg(target_os = "linux")]
    pub(crate) fn sign_over(&self, signed: &str) -> Result<Zeroizing<String>, IssueError> {
        let signature = BASE64URL_NOPAD.encode(self.key.sign(signed.as_bytes())?.as_ref());
        Ok(Zeroizing::new(format!("{signed}.{signature}")))
    }

    /// The public half, for a bundle.
    pub fn authority(&self) -> Option<JwtAuthority> {
        JwtAuthority::new(&self.key_id, self.key.public_key())
    }

    /// The name of the key.
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// The key as PKCS#8.
    pub fn key_der(&self) -> Result<Zeroizing<Vec<u8>>, IssueError> {
        self.key.to_pkcs8()
    }

    /// The last second it signs for, since 1970.
    pub fn not_after(&self) -> i64 {
        self.not_after
    }
}

impl fmt::Debug for JwtIssuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JwtIssuer({:?})", self.key_id)
    }
}
