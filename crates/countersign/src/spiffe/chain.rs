use std::borrow::Cow;

use super::{
    X509VerifyError,
    der::split_sequences,
    limits::{CHAIN_BYTES, CHAIN_CERTIFICATES},
    pem::Pem,
};

/// The certificates a peer presents, leaf first, taken apart but not read.
///
/// ```no_run
/// # use countersign::spiffe::{BundleSet, PresentedChain, X509VerifyOptions, verify_x509_svid};
/// # let (der, bundles) = (Vec::new(), BundleSet::new());
/// let chain = PresentedChain::from_der(&der)?;
/// let verified = verify_x509_svid(chain.certificates(), &bundles, &X509VerifyOptions::default())?;
/// # Ok::<(), countersign::spiffe::X509VerifyError>(())
/// ```
pub struct PresentedChain<'a>(Vec<Cow<'a, [u8]>>);

impl<'a> PresentedChain<'a> {
    /// From certificates as concatenated DER, the form of the Workload API.
    pub fn from_der(der: &'a [u8]) -> Result<Self, X509VerifyError> {
        if der.len() > CHAIN_BYTES {
            return Err(X509VerifyError::ChainTooLong);
        }
        let ranges = split_sequences(der, CHAIN_CERTIFICATES)
            .map_err(|_| X509VerifyError::MalformedChain)?
            .ok_or(X509VerifyError::ChainTooLong)?;
        Ok(Self(ranges.into_iter().map(|range| Cow::Borrowed(&der[range])).collect()))
    }

    /// From the certificates in a PEM text. Whatever else is in it does not matter.
    pub fn from_pem(text: &[u8]) -> Result<Self, X509VerifyError> {
        let pem = Pem::read(text).map_err(|_| X509VerifyError::MalformedChain)?;
        Ok(Self(pem.certificates.into_iter().map(Cow::Owned).collect()))
    }

    /// Every certificate as DER, leaf first.
    pub fn certificates(&self) -> &[Cow<'a, [u8]>] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(chain: Result<PresentedChain<'_>, X509VerifyError>) -> Result<Vec<Vec<u8>>, &'static str> {
        match chain {
            Ok(chain) => Ok(chain.certificates().iter().map(|der| der.to_vec()).collect()),
            Err(error) => Err(error.code()),
        }
    }

    #[test]
    fn takes_a_chain_apart() {
        let (first, second) = (vec![0x30, 0x01, 0xaa], vec![0x30, 0x00]);
        let both = [first.clone(), second.clone()];
        assert_eq!(pieces(PresentedChain::from_der(&both.concat())), Ok(both.to_vec()));
        assert_eq!(pieces(PresentedChain::from_der(&[])), Ok(vec![]));
        let mut text = String::from("subject: whoever\n");
        for der in &both {
            crate::spiffe::pem::write(&mut text, "CERTIFICATE", der);
        }
        crate::spiffe::pem::write(&mut text, "PRIVATE KEY", &[1]);
        assert_eq!(pieces(PresentedChain::from_pem(text.as_bytes())), Ok(both.to_vec()));
    }

    #[test]
    fn keeps_the_limits() {
        let too_many = [0x30, 0x00].repeat(CHAIN_CERTIFICATES + 1);
        assert_eq!(pieces(PresentedChain::from_der(&too_many)), Err("chain_too_long"));
        assert_eq!(pieces(PresentedChain::from_der(&vec![0x30; CHAIN_BYTES + 1])), Err("chain_too_long"));
        assert_eq!(pieces(PresentedChain::from_der(&[0x30, 0x00, 0x41])), Err("malformed_chain"));
        assert_eq!(pieces(PresentedChain::from_pem(b"-----BEGIN CERTIFICATE-----\n")), Err("malformed_chain"));
    }
}
