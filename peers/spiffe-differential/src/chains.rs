//! Chains: both sides read a certificate chain and a key as an X509-SVID.

use countersign::spiffe::X509Svid;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName,
    ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose, SanType,
};

use crate::{
    issuer::{Ca, ca_params, key_usage, leaf_params, uri_san},
    random::Random,
    tally::{Settled, Tally, Verdict, only_ours_refuses, only_theirs_refuses},
};

const SETTLED: &[Settled] = &[
    Settled {
        rule: "2.11: the private key matches the leaf; theirs looks at its container only",
        applies: |ours, theirs| {
            let codes = [
                "private_key_mismatch",
                "malformed_private_key",
                "unsupported_key",
            ];
            only_ours_refuses(ours, theirs, &codes)
        },
    },
    Settled {
        rule: "2.1: every URI SAN counts; theirs overlooks one that is not UTF-8",
        applies: |ours, theirs| only_ours_refuses(ours, theirs, &["multiple_uri_sans"]),
    },
    Settled {
        rule: "2.3: RFC 5280 4.2.1.9, cA is false by default; theirs wants the extension to be there",
        applies: |ours, theirs| only_theirs_refuses(ours, theirs, "X509ExtensionId(\"2.5.29.19\")"),
    },
    Settled {
        rule: "2.4: X.509-SVID 4.3 wants key usage critical; theirs does not look",
        applies: |ours, theirs| only_ours_refuses(ours, theirs, &["leaf_key_usage_not_critical"]),
    },
    Settled {
        rule: "2.9: X.509-SVID 3.2, the ID of a signing certificate has no path; theirs does not look",
        applies: |ours, theirs| only_ours_refuses(ours, theirs, &["signing_id_with_path"]),
    },
    Settled {
        rule: "RFC 5280 4.2: an extension with rules of its own parses and is there once; theirs looks at fewer of them",
        applies: |ours, theirs| only_ours_refuses(ours, theirs, &["malformed_certificate"]),
    },
    Settled {
        rule: "X.690 10.1: a certificate is DER, with lengths in the fewest bytes; theirs takes longer ones",
        applies: |ours, theirs| only_ours_refuses(ours, theirs, &["malformed_chain"]),
    },
];

pub fn run(random: &mut Random, rounds: u64) -> Tally {
    let mut tally = Tally::new("chains", SETTLED);
    let root = Ca::root("root");
    let mut minted = Vec::new();
    for round in 0..rounds {
        // Minting costs signatures: most rounds bend bytes of what was minted before.
        if minted.len() < 40 || round % 8 == 0 {
            let case = mint(random, &root);
            if minted.len() < 400 {
                minted.push(case);
            } else {
                let place = random.below(minted.len());
                minted[place] = case;
            }
        }
        let (mut chain, key) = match round % 8 {
            0 => minted[minted.len() - 1].clone(),
            _ => random.pick(&minted).clone(),
        };
        let key = if random.one_in(50) {
            random.pick(&minted).1.clone()
        } else {
            key
        };
        if round % 8 != 0 {
            random.mutate(&mut chain);
        }
        let ours = X509Svid::from_der(&chain, &key);
        let theirs = spiffe::X509Svid::parse_from_der(&chain, &key);
        let ours: Verdict = match ours {
            Ok(svid) => Ok(format!(
                "{} {}",
                svid.spiffe_id(),
                svid.certificates().len()
            )),
            Err(error) => Err(error.code().to_owned()),
        };
        let theirs: Verdict = match theirs {
            Ok(svid) => Ok(format!("{} {}", svid.spiffe_id(), svid.cert_chain().len())),
            Err(error) => Err(format!("{error:?}")),
        };
        tally.compare(
            || format!("chain {}", data_encoding::BASE64.encode(&chain)),
            &ours,
            &theirs,
        );
    }
    tally
}

fn mint(random: &mut Random, root: &Ca) -> (Vec<u8>, Vec<u8>) {
    let mut leaf = leaf_params("spiffe://example.org/billing");
    for _ in 0..random.below(3) {
        bend(random, &mut leaf);
    }
    if random.one_in(2) {
        let leaf = root.issue(leaf);
        return (leaf.der, leaf.key);
    }
    let mut params = ca_params("intermediate");
    for _ in 0..random.below(2) {
        bend(random, &mut params);
    }
    let intermediate = root.intermediate(params);
    let leaf = intermediate.issue(leaf);
    let further = *random.pick(&[1, 1, 1, 2, 15, 16]);
    (
        [leaf.der, intermediate.der.repeat(further)].concat(),
        leaf.key,
    )
}

fn bend(random: &mut Random, params: &mut CertificateParams) {
    match random.below(12) {
        0 => params.subject_alt_names.clear(),
        1 => params
            .subject_alt_names
            .push(uri_san("spiffe://example.org/other")),
        2 => params
            .subject_alt_names
            .push(SanType::DnsName("a.example".try_into().expect("a name"))),
        3 => {
            let uri = *random.pick(&[
                "spiffe://example.org",
                "spiffe://example.org/",
                "https://a.example/",
                "SPIFFE://Example.org/a",
                "",
                "spiffe://example.org/a?b",
                "spiffe://partner.org/x",
            ]);
            params.subject_alt_names = vec![uri_san(uri)];
        }
        4 => params.is_ca = IsCa::NoCa,
        5 => params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained),
        6 => params.key_usages.clear(),
        7 => {
            params.key_usages = vec![*random.pick(&[
                KeyUsagePurpose::KeyCertSign,
                KeyUsagePurpose::CrlSign,
                KeyUsagePurpose::DigitalSignature,
                KeyUsagePurpose::KeyAgreement,
            ])];
        }
        8 => {
            params.key_usages.clear();
            params.custom_extensions = vec![key_usage(random.next() as u8 | 1, random.one_in(2))];
        }
        9 => params.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning],
        10 => params.distinguished_name = DistinguishedName::new(),
        _ => {
            let mut extension = CustomExtension::from_oid_content(&[1, 2, 3], vec![5, 0]);
            extension.set_criticality(random.one_in(2));
            params.custom_extensions = vec![extension];
        }
    }
}
