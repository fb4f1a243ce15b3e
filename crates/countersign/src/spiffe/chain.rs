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
