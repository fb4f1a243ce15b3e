//! Mints the seeds of the fuzz targets: `cargo test -p countersign --test spiffe -- --ignored mint_the_fuzz_corpus`.

use std::{fs, path::Path};

use countersign::spiffe::{BundleMap, JwsAlgorithm, JwtBundle, SpiffeBundle, X509Svid};
use rcgen::{PKCS_ED25519, PKCS_RSA_SHA256};
use serde_json::json;

use crate::{
    issuer::{Ca, ID, NOW, ca_params, leaf_params, td},
    jwt_signers::Signer,
};

#[test]
#[ignore = "writes into the tree"]
fn mint_the_fuzz_corpus() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let write = |name: &str, bytes: &[u8]| {
        let path = corpus.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    };
    write("spiffe_id/whole", ID.as_bytes());
    write("spiffe_id/loud", b"SPIFFE://Example.org/A/b.c/..d/-_");
    write("spiffe_id/domain", b"example.org");

    let (ec, rsa) = (Signer::ec(JwsAlgorithm::ES256), Signer::rsa());
    let mut keys = JwtBundle::new(td("example.org"));
    for (key_id, signer) in [("a", &ec), ("r", &rsa), ("e", &Signer::ec(JwsAlgorithm::ES512))] {
        keys.add_authority(signer.authority(key_id)).unwrap();
    }
    write("jwks/whole", keys.to_jwks().unwrap().as_bytes());
    let claims = json!({ "sub": ID, "aud": ["reports", "x"], "exp": NOW + 300, "nbf": NOW - 5, "iat": NOW });
    for (name, header) in [
        ("whole", json!({ "alg": "ES256", "kid": "a", "typ": "JWT" })),
        ("extra", json!({ "alg": "ES256", "kid": "b", "cty": "x", "crit": ["x"] })),
    ] {
        let token = ec.sign(JwsAlgorithm::ES256, &header.to_string(), &claims.to_string());
        write(&format!("jwt/{name}"), token.as_bytes());
    }

    let root = Ca::root("root");
    let intermediate = root.intermediate(ca_params("intermediate"));
    let leaf = intermediate.issue(leaf_params(ID));
    let svid = X509Svid::from_der(&[&leaf.der[..], &intermediate.der].concat(), &leaf.key).unwrap();
    write("key", &leaf.key);
    write("der_chain/root", &root.der);
    write("der_chain/chain", svid.chain_der());
    write("der_chain/pem", format!("{}{}", svid.chain_pem(), *svid.key_pem()).as_bytes());
    for (name, algorithm) in [("rsa", &PKCS_RSA_SHA256), ("ed25519", &PKCS_ED25519)] {
        write(&format!("der_chain/{name}"), &Ca::self_signed_for(ca_params("root"), algorithm).der);
    }

    let bundle = SpiffeBundle::from_bundles(root.bundle("example.org"), keys).unwrap();
    let bundle = bundle.with_sequence(Some(u64::MAX));
    write("spiffe_bundle/whole", bundle.to_json().unwrap().as_bytes());
    let mut map = BundleMap::new();
    map.insert(bundle);
    map.insert(SpiffeBundle::new(td("partner.org")));
    write("spiffe_bundle/map", map.to_json().unwrap().as_bytes());
}
