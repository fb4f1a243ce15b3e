//! Signs tokens for the tests: with the crypto library the judge rests on, and with Node's, which knows nothing of it.

use std::{
    collections::BTreeMap,
    io::Write as _,
    process::{Command, Stdio},
};

use aws_lc_rs::{
    encoding::AsDer,
    rand::SystemRandom,
    rsa::KeySize,
    signature::{self as aws, EcdsaKeyPair, EcdsaSigningAlgorithm, KeyPair as _, RsaEncoding, RsaKeyPair},
};
use countersign::spiffe::{JwsAlgorithm, JwtAuthority, PublicKey};
use data_encoding::BASE64URL_NOPAD;

/// A key that signs tokens, by any algorithm that suits it.
pub enum Signer {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair),
}

impl Signer {
    pub fn rsa() -> Self {
        Self::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).unwrap())
    }

    pub fn ec(algorithm: JwsAlgorithm) -> Self {
        let curve: &'static EcdsaSigningAlgorithm = match algorithm {
            JwsAlgorithm::ES256 => &aws::ECDSA_P256_SHA256_FIXED_SIGNING,
            JwsAlgorithm::ES384 => &aws::ECDSA_P384_SHA384_FIXED_SIGNING,
            JwsAlgorithm::ES512 => &aws::ECDSA_P521_SHA512_FIXED_SIGNING,
            _ => panic!("{algorithm} has no curve"),
        };
        Self::Ec(EcdsaKeyPair::generate(curve).unwrap())
    }

    pub fn suiting(algorithm: JwsAlgorithm) -> Self {
        if algorithm.curve().is_some() { Self::ec(algorithm) } else { Self::rsa() }
    }

    pub fn public_key(&self) -> PublicKey {
        let spki = match self {
            Self::Rsa(key) => key.public_key().as_der().unwrap().as_ref().to_vec(),
            Self::Ec(key) => key.public_key().as_der().unwrap().as_ref().to_vec(),
        };
        PublicKey::from_spki_der(&spki).unwrap()
    }

    pub fn authority(&self, key_id: &str) -> JwtAuthority {
        JwtAuthority::new(key_id, self.public_key()).unwrap()
    }

    /// Signs whatever header and payload there are.
    pub fn sign(&self, algorithm: JwsAlgorithm, header: &str, payload: &str) -> String {
        let (header, payload) = (encode(header), encode(payload));
        let signed = format!("{header}.{payload}");
        let signature = self.signature(algorithm, signed.as_bytes());
        format!("{signed}.{}", BASE64URL_NOPAD.encode(&signature))
    }

    fn signature(&self, algorithm: JwsAlgorithm, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Ec(key) => key.sign(&random, message).unwrap().as_ref().to_vec(),
            Self::Rsa(key) => {
                let padding: &'static dyn RsaEncoding = match algorithm {
                    JwsAlgorithm::RS256 => &aws::RSA_PKCS1_SHA256,
                    JwsAlgorithm::RS384 => &aws::RSA_PKCS1_SHA384,
                    JwsAlgorithm::RS512 => &aws::RSA_PKCS1_SHA512,
                    JwsAlgorithm::PS256 => &aws::RSA_PSS_SHA256,
                    JwsAlgorithm::PS384 => &aws::RSA_PSS_SHA384,
                    JwsAlgorithm::PS512 => &aws::RSA_PSS_SHA512,
                    _ => panic!("{algorithm} is not of RSA"),
                };
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(padding, &random, message, &mut signature).unwrap();
                signature
            }
        }
    }
}

pub fn encode(text: &str) -> String {
    BASE64URL_NOPAD.encode(text.as_bytes())
}

/// What Node signed: a JWKS, and a token by each algorithm.
#[derive(serde::Deserialize)]
pub struct SignedByNode {
    pub tokens: BTreeMap<String, String>,
    pub jwks: String,
}

pub fn signed_by_node(payload: &str) -> SignedByNode {
    let mut node = Command::new("node")
        .args(["--input-type=module", "--eval", include_str!("sign.mjs")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("node");
    node.stdin.take().unwrap().write_all(payload.as_bytes()).unwrap();
    let output = node.wait_with_output().unwrap();
    assert!(output.status.success());
    serde_json::from_slice(&output.stdout).unwrap()
}
