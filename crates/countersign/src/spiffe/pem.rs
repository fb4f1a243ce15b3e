//! PEM (RFC 7468): certificates and one private key between dashed lines. Every buffer that held key material is wiped.

use data_encoding::BASE64;
use zeroize::Zeroizing;

use super::limits::PEM_BYTES;

/// What a PEM text holds, in its order.
#[derive(Default)]
pub(crate) struct Pem {
    pub certificates: Vec<Vec<u8>>,
    /// PKCS#8, unencrypted.
    pub keys: Vec<Zeroizing<Vec<u8>>>,
    /// The label of a private key in a form that is not taken.
    pub foreign_key: Option<&'static str>,
}

/// Why a text is no PEM.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PemFault {
    #[error("the PEM text is longer than {PEM_BYTES} bytes")]
    TooLarge,
    #[error("a BEGIN line has no END line of the same label")]
    NoEnd,
    #[error("what stands between BEGIN and END is not base64")]
    Base64,
}

const BEGIN: &[u8] = b"-----BEGIN ";
const DASHES: &[u8] = b"-----";
/// Private keys in clear, but not as PKCS#8, or not in clear.
const FOREIGN_KEYS: [&str; 4] = ["ENCRYPTED PRIVATE KEY", "EC PRIVATE KEY", "RSA PRIVATE KEY", "DSA PRIVATE KEY"];

impl Pem {
    /// Reads every certificate and private key; other sections and the text around them do not matter.
    pub fn read(text: &[u8]) -> Result<Self, PemFault> {
        if text.len() > PEM_BYTES {
            return Err(PemFault::TooLarge);
        }
        let mut found = Self::default();
        let mut lines = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
        while let Some(line) = lines.next() {
            let Some(label) = line.strip_prefix(BEGIN).and_then(|rest| rest.strip_suffix(DASHES)) else {
                continue;
            };
            let end = [b"-----END ", label, DASHES].concat();
            let mut base64 = Zeroizing::new(Vec::with_capacity(longest_section(text)));
            loop {
                let line = lines.next().ok_or(PemFault::NoEnd)?;
                if line == end {
                    break;
                }
                base64.extend(line.iter().filter(|byte| !byte.is_ascii_whitespace()));
            }
            match label {
                b"CERTIFICATE" => found.certificates.push(decode(&base64)?.to_vec()),
                b"PRIVATE KEY" => found.keys.push(decode(&base64)?),
                _ => {
                    let foreign = FOREIGN_KEYS.into_iter().find(|known| known.as_bytes() == label);
                    found.foreign_key = found.foreign_key.or(foreign);
                }
            }
        }
        Ok(found)
    }
}

/// Room for any key, so that the buffer does not grow and leave copies behind. Certificates may make it grow.
fn longest_section(text: &[u8]) -> usize {
    text.len().min(super::limits::PRIVATE_KEY_BYTES * 4 / 3 + 4)
}

fn decode(base64: &[u8]) -> Result<Zeroizing<Vec<u8>>, PemFault> {
    let room = BASE64.decode_len(base64.len()).map_err(|_| PemFault::Base64)?;
    let mut der = Zeroizing::new(vec![0; room]);
    let len = BASE64.decode_mut(base64, &mut der).map_err(|_| PemFault::Base64)?;
    der.truncate(len);
    Ok(der)
}

/// Puts one PEM section behind the text (RFC 7468 2: lines of 64 characters).
pub(crate) fn write(text: &mut String, label: &str, der: &[u8]) {
    let base64 = Zeroizing::new(BASE64.encode(der));
    text.reserve(base64.len() + base64.len() / 64 + 2 * label.len() + 40);
    text.push_str("-----BEGIN ");
    text.push_str(label);
    text.push_str("-----\n");
    let mut rest = base64.as_str();
    while !rest.is_empty() {
        let (line, tail) = rest.split_at(rest.len().min(64));
        text.push_str(line);
        text.push('\n');
        rest = tail;
    }
    text.push_str("-----END ");
    text.push_str(label);
    text.push_str("-----\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        let mut text = String::from("a note above\n");
        write(&mut text, "CERTIFICATE", &[7; 100]);
        write(&mut text, "PRIVATE KEY", &[8; 48]);
        let pem = Pem::read(text.replace('\n', "\r\n").as_bytes()).expect("PEM");
        assert_eq!(pem.certificates, [vec![7; 100]]);
        assert_eq!(*pem.keys[0], vec![8; 48]);
        assert_eq!(pem.foreign_key, None);
    }

    #[test]
    fn names_the_kinds_of_keys_it_does_not_take() {
        let mut text = String::new();
        write(&mut text, "EC PRIVATE KEY", &[1]);
        assert_eq!(Pem::read(text.as_bytes()).expect("PEM").foreign_key, Some("EC PRIVATE KEY"));
    }

    #[test]
    fn refuses_broken_sections() {
        let fault = |text: &str| Pem::read(text.as_bytes()).err();
        assert_eq!(fault("-----BEGIN CERTIFICATE-----\nAAAA\n"), Some(PemFault::NoEnd));
        assert_eq!(fault("-----BEGIN CERTIFICATE-----\n*\n-----END CERTIFICATE-----"), Some(PemFault::Base64));
    }
}
