use std::sync::Arc;

use data_encoding::BASE64;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::error::AuthorityError;
use super::keyring::{Held, Keyring, Retired, Rotation};
use crate::spiffe::issue::{JwtIssuer, X509Issuer};
use crate::spiffe::{Curve, JwtAuthority, PublicKey, TrustDomain};

/// The version of the file's format.
const FORMAT: u32 = 1;
/// Seconds a root is valid before it is made: clocks of peers may lag.
const BACKDATED: i64 = 60;

/// Everything an authority is.
#[derive(Clone)]
pub(super) struct State {
    pub(super) x509: Keyring<Arc<X509Issuer>, Vec<u8>>,
    pub(super) jwt: Keyring<Arc<JwtIssuer>, Option<JwtAuthority>>,
    pub(super) sequence: u64,
}

impl State {
    pub(super) fn generate(trust_domain: &TrustDomain, now: i64, ttl: i64) -> Result<State, AuthorityError> {
        Ok(State {
            x509: Keyring::new(x509_key(trust_domain, now, ttl)?),
            jwt: Keyring::new(jwt_key(now, ttl)?),
            sequence: 1,
        })
    }

    pub(super) fn advance(&mut self, trust_domain: &TrustDomain, now: i64, ttl: i64) -> Result<bool, AuthorityError> {
        let x509 = self.x509.advance(now, || x509_key(trust_domain, now, ttl), |key| key.certificate().to_vec())?;
        let jwt = self.jwt.advance(now, || jwt_key(now, ttl), |key| key.authority())?;
        Ok(x509 || jwt)
    }

    pub(super) fn rotate(
        &mut self,
        rotation: Rotation,
        trust_domain: &TrustDomain,
        now: i64,
        ttl: i64,
    ) -> Result<bool, AuthorityError> {
        let x509 = self.x509.rotate(rotation, || x509_key(trust_domain, now, ttl), |key| key.certificate().to_vec())?;
        let jwt = self.jwt.rotate(rotation, || jwt_key(now, ttl), |key| key.authority())?;
        Ok(x509 || jwt)
    }

    pub(super) fn to_json(&self, trust_domain: &TrustDomain) -> Result<Zeroizing<Vec<u8>>, AuthorityError> {
        let encode = |key: Zeroizing<Vec<u8>>| Zeroizing::new(BASE64.encode(&key));
        let x509 = |held: &Held<Arc<X509Issuer>>| -> Result<Written, AuthorityError> {
            let certificate = Some(BASE64.encode(held.key.certificate()));
            Ok(Written::new(held, certificate, encode(held.key.key_der()?)))
        };
        let jwt = |held: &Held<Arc<JwtIssuer>>| -> Result<Written, AuthorityError> {
            Ok(Written::new(held, None, encode(held.key.key_der()?)))
        };
        let old_jwt = |old: &Retired<Option<JwtAuthority>>| match old.public.as_ref().map(JwtAuthority::public_key) {
            Some(PublicKey::Ec { point, .. }) => Some(WrittenOld::new(point, old.not_after)),
            _ => None,
        };
        let (x509_prepared, jwt_prepared) = (&self.x509.prepared, &self.jwt.prepared);
        let keys = [
            Some(x509(&self.x509.active)?),
            x509_prepared.as_ref().map(x509).transpose()?,
            Some(jwt(&self.jwt.active)?),
            jwt_prepared.as_ref().map(jwt).transpose()?,
        ];
        let [x509_active, x509_prepared, jwt_active, jwt_prepared] =
            keys.each_ref().map(|key| key.as_ref().map(Written::form));
        let x509_old: Vec<_> = self.x509.old.iter().map(|old| WrittenOld::new(&old.public, old.not_after)).collect();
        let jwt_old: Vec<_> = self.jwt.old.iter().filter_map(old_jwt).collect();
        let form = StateForm {
            format: FORMAT,
            trust_domain: trust_domain.name(),
            sequence: self.sequence,
            x509: RingForm {
                active: x509_active,
                prepared: x509_prepared,
                old: x509_old.iter().map(WrittenOld::form).collect(),
            },
            jwt: RingForm {
                active: jwt_active,
                prepared: jwt_prepared,
                old: jwt_old.iter().map(WrittenOld::form).collect(),
            },
        };
        // Room for all of it at once: a buffer that grows leaves copies of the keys behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(8192 + 2048 * (x509_old.len() + jwt_old.len())));
        serde_json::to_writer(&mut *bytes, &form).map_err(|error| AuthorityError::Keys(error.to_string()))?;
        Ok(bytes)
    }

    /// Reads what [`State::to_json`] wrote. The error says what is wrong and repeats nothing.
    pub(super) fn from_json(bytes: &[u8], trust_domain: &TrustDomain) -> Result<State, String> {
        let form: StateForm<'_> = serde_json::from_slice(bytes).map_err(|error| {
            format!("not the state of an authority (line {}, column {})", error.line(), error.column())
        })?;
        if form.format != FORMAT {
            return Err(format!("its format is {}, this agent reads {FORMAT}", form.format));
        }
        if form.trust_domain != trust_domain.name() {
            let actual: String = form.trust_domain.chars().take(255).filter(|c| !c.is_control()).collect();
            return Err(format!("it is the authority of {actual}, not of {trust_domain}"));
        }
        let decode = |text: &str| {
            BASE64.decode(text.as_bytes()).map(Zeroizing::new).map_err(|_| "a key is not base64".to_owned())
        };
        let text = |error: crate::spiffe::issue::IssueError| error.to_string();
        let x509 = |form: &KeyForm<'_>| -> Result<Held<Arc<X509Issuer>>, String> {
            let certificate = decode(form.certificate.ok_or("a root without a certificate")?)?;
            let key = X509Issuer::from_parts(&certificate, &decode(form.key)?).map_err(text)?;
            Ok(Held { published: form.published, not_after: key.not_after(), key: Arc::new(key) })
        };
        let jwt = |form: &KeyForm<'_>| -> Result<Held<Arc<JwtIssuer>>, String> {
            let key = JwtIssuer::from_parts(&decode(form.key)?, form.not_after).map_err(text)?;
            Ok(Held { published: form.published, not_after: form.not_after, key: Arc::new(key) })
        };
        let old_x509 =
            |old: &OldForm<'_>| Ok(Retired { public: decode(old.public)?.to_vec(), not_after: old.not_after });
        let old_jwt = |old: &OldForm<'_>| {
            let point = decode(old.public)?;
            let key_id = JwtIssuer::key_id_of(&point).ok_or("an old key is no point on P-256")?;
            let public = JwtAuthority::new(&key_id, PublicKey::Ec { curve: Curve::P256, point: point[..].into() });
            Ok(Retired { public, not_after: old.not_after })
        };
        Ok(State {
            x509: Keyring {
                active: x509(form.x509.active.as_ref().ok_or("there is no active root")?)?,
                prepared: form.x509.prepared.as_ref().map(x509).transpose()?,
                old: form.x509.old.iter().map(old_x509).collect::<Result<_, String>>()?,
            },
            jwt: Keyring {
                active: jwt(form.jwt.active.as_ref().ok_or("there is no active key for tokens")?)?,
                prepared: form.jwt.prepared.as_ref().map(jwt).transpose()?,
                old: form.jwt.old.iter().map(old_jwt).collect::<Result<_, String>>()?,
            },
            sequence: form.sequence,
        })
    }
}

fn x509_key(trust_domain: &TrustDomain, now: i64, ttl: i64) -> Result<Held<Arc<X509Issuer>>, AuthorityError> {
    let key = X509Issuer::generate(trust_domain, now - BACKDATED, now.saturating_add(ttl))?;
    Ok(Held { published: now, not_after: key.not_after(), key: Arc::new(key) })
}

fn jwt_key(now: i64, ttl: i64) -> Result<Held<Arc<JwtIssuer>>, AuthorityError> {
    let not_after = now.saturating_add(ttl);
    Ok(Held { published: now, not_after, key: Arc::new(JwtIssuer::generate(not_after)?) })
}

/// The file. Texts are slices of the file's bytes, which are wiped: keys leave no copy behind.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StateForm<'a> {
    format: u32,
    trust_domain: &'a str,
    sequence: u64,
    #[serde(borrow)]
    x509: RingForm<'a>,
    #[serde(borrow)]
    jwt: RingForm<'a>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RingForm<'a> {
    #[serde(borrow)]
    active: Option<KeyForm<'a>>,
    #[serde(borrow)]
    prepared: Option<KeyForm<'a>>,
    #[serde(borrow)]
    old: Vec<OldForm<'a>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyForm<'a> {
    published: i64,
    not_after: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate: Option<&'a str>,
    /// PKCS#8 in base64.
    key: &'a str,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct OldForm<'a> {
    /// A certificate, or the point of a key for tokens, in base64.
    public: &'a str,
    not_after: i64,
}

/// Owns what a [`KeyForm`] points to.
struct Written {
    published: i64,
    not_after: i64,
    certificate: Option<String>,
    key: Zeroizing<String>,
}

impl Written {
    fn new<K>(held: &Held<K>, certificate: Option<String>, key: Zeroizing<String>) -> Written {
        Written { published: held.published, not_after: held.not_after, certificate, key }
    }

    fn form(&self) -> KeyForm<'_> {
        let certificate = self.certificate.as_deref();
        KeyForm { published: self.published, not_after: self.not_after, certificate, key: &self.key }
    }
}

struct WrittenOld {
    public: String,
    not_after: i64,
}

impl WrittenOld {
    fn new(public: &[u8], not_after: i64) -> WrittenOld {
        WrittenOld { public: BASE64.encode(public), not_after }
    }

    fn form(&self) -> OldForm<'_> {
        OldForm { public: &self.public, not_after: self.not_after }
    }
}
