//! The same rules on certificates minted by the openssl command line: another encoder, other defaults.

use std::{fs, path::Path, process::Command};

use countersign::spiffe::{BundleSet, X509Bundle, X509Svid, X509VerifyOptions, verify_x509_svid};

use crate::issuer::td;

const CONFIG: &str = "
[req]
distinguished_name = dn
prompt = no
[dn]
O = SPIRE
[empty]
[root]
basicConstraints = critical,CA:TRUE
subjectKeyIdentifier = hash
[signing]
basicConstraints = critical,CA:TRUE,pathlen:0
keyUsage = critical,keyCertSign,cRLSign
subjectAltName = URI:spiffe://example.org
[leaf]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature,keyEncipherment,keyAgreement
extendedKeyUsage = serverAuth,clientAuth
subjectAltName = URI:spiffe://example.org/billing,DNS:billing.example.org
authorityKeyIdentifier = keyid
[leaf_san_critical]
keyUsage = critical,digitalSignature
subjectAltName = critical,URI:spiffe://example.org/billing
[leaf_no_usage]
subjectAltName = URI:spiffe://example.org/billing
[leaf_usage_not_critical]
keyUsage = digitalSignature
subjectAltName = URI:spiffe://example.org/billing
[leaf_two_uris]
keyUsage = critical,digitalSignature
subjectAltName = URI:spiffe://example.org/billing,URI:spiffe://example.org/other
";

struct Mint(tempdir::Dir);

mod tempdir {
    use std::path::PathBuf;

    pub struct Dir(pub PathBuf);

    impl Dir {
        pub fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("countersign-{name}-{}", std::process::id()));
            std::fs::create_dir_all(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Dir {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

impl Mint {
    fn new(name: &str) -> Self {
        let dir = tempdir::Dir::new(name);
        fs::write(dir.0.join("config"), CONFIG).unwrap();
        Self(dir)
    }

    fn openssl(&self, arguments: &str) {
        let output = Command::new("openssl")
            .args(arguments.split_whitespace())
            .current_dir(&self.0.0)
            .output()
            .expect("the openssl command line");
        assert!(output.status.success(), "{arguments}: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn key(&self, name: &str, kind: &str) {
        let options = match kind {
            "rsa" => "-algorithm RSA -pkeyopt rsa_keygen_bits:2048",
            "ed25519" => "-algorithm ED25519",
            curve => &format!("-algorithm EC -pkeyopt ec_paramgen_curve:{curve}"),
        };
        self.openssl(&format!("genpkey {options} -out {name}.key"));
    }

    fn root(&self, kind: &str) {
        self.key("root", kind);
        self.openssl(
            "req -x509 -new -key root.key -days 2 -config config -extensions root -subj /CN=root -out root.pem",
        );
    }

    fn sign(&self, name: &str, kind: &str, issuer: &str, section: &str, subject: &str) {
        self.key(name, kind);
        self.openssl(&format!("req -new -key {name}.key -config config -subj {subject} -out {name}.csr"));
        self.openssl(&format!(
            "x509 -req -in {name}.csr -CA {issuer}.pem -CAkey {issuer}.key -CAcreateserial -days 1 \
             -extfile config -extensions {section} -out {name}.pem"
        ));
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(Path::new(&self.0.0).join(name)).unwrap()
    }

    fn set(&self) -> BundleSet {
        [X509Bundle::from_pem(td("example.org"), &self.read("root.pem")).unwrap()].into_iter().collect()
    }
}

#[test]
fn rule_2_11_every_key_type_minted_by_openssl() {
    for kind in ["P-256", "P-384", "P-521", "ed25519", "rsa"] {
        let mint = Mint::new(&format!("kinds-{kind}"));
        mint.root(kind);
        mint.sign("middle", kind, "root", "signing", "/CN=middle");
        mint.sign("leaf", kind, "middle", "leaf", "/O=SPIRE");
        let chain = [mint.read("leaf.pem"), mint.read("middle.pem")].concat();
        let svid = X509Svid::from_pem(&chain, Some(&mint.read("leaf.key"))).unwrap();
        assert_eq!(svid.spiffe_id().as_str(), "spiffe://example.org/billing", "{kind}");
        let presented: Vec<&[u8]> = svid.certificates().collect();
        verify_x509_svid(&presented, &mint.set(), &X509VerifyOptions::default())
            .unwrap_or_else(|error| panic!("{kind}: {error}"));
        let other = X509Svid::from_pem(&chain, Some(&mint.read("root.key"))).unwrap_err();
        assert_eq!(other.code(), "private_key_mismatch", "{kind}");

        // The path length of the intermediate allows no second one.
        mint.sign("second", "P-256", "middle", "signing", "/CN=second");
        mint.sign("deep", "P-256", "second", "leaf", "/O=SPIRE");
        let chain = [mint.read("deep.pem"), mint.read("second.pem"), mint.read("middle.pem")].concat();
        let deep = X509Svid::from_pem(&chain, Some(&mint.read("deep.key"))).unwrap();
        let presented: Vec<&[u8]> = deep.certificates().collect();
        let error = verify_x509_svid(&presented, &mint.set(), &X509VerifyOptions::default()).unwrap_err();
        assert_eq!(error.code(), "path_length", "{kind}");
    }
}

#[test]
fn rule_2_1_to_2_8_leaves_minted_by_openssl() {
    let mint = Mint::new("leaves");
    mint.root("P-256");
    for (section, subject, verdict) in [
        ("leaf", "/O=SPIRE", "accepted"),
        ("leaf_san_critical", "/", "accepted"),
        ("leaf_no_usage", "/O=SPIRE", "leaf_missing_key_usage"),
        ("leaf_usage_not_critical", "/O=SPIRE", "leaf_key_usage_not_critical"),
        ("leaf_two_uris", "/O=SPIRE", "multiple_uri_sans"),
    ] {
        mint.sign("leaf", "P-256", "root", section, subject);
        let leaf = mint.read("leaf.pem");
        let parsed = X509Svid::from_pem(&leaf, Some(&mint.read("leaf.key")));
        assert_eq!(parsed.as_ref().map_or_else(|error| error.code(), |_| "accepted"), verdict, "{section}");
        let der = X509Bundle::from_der_lazy(td("x"), &pem_body(&leaf)).unwrap().to_der().to_vec();
        let verified = verify_x509_svid(&[der], &mint.set(), &X509VerifyOptions::default());
        assert_eq!(verified.map_or_else(|error| error.code(), |_| "accepted"), verdict, "{section}");
        if section == "leaf_san_critical" {
            let svid = parsed.unwrap();
            assert!(svid.leaf().subject_is_empty && svid.leaf().san_is_critical);
        }
    }
}

#[test]
fn rule_2_11_keys_in_other_forms_are_named() {
    let mint = Mint::new("forms");
    mint.root("P-256");
    mint.sign("leaf", "P-256", "root", "leaf", "/O=SPIRE");
    mint.openssl("ec -in leaf.key -out sec1.key");
    mint.openssl("pkcs8 -topk8 -in leaf.key -passout pass:x -out locked.key");
    for key in ["sec1.key", "locked.key"] {
        let error = X509Svid::from_pem(&mint.read("leaf.pem"), Some(&mint.read(key))).unwrap_err();
        assert_eq!(error.code(), "private_key_form", "{key}");
    }
}

fn pem_body(pem: &[u8]) -> Vec<u8> {
    let text: String = String::from_utf8_lossy(pem).lines().filter(|line| !line.starts_with("-----")).collect();
    data_encoding::BASE64.decode(text.as_bytes()).unwrap()
}
