use super::proto::method;

/// A method of `SpiffeWorkloadAPI`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// `FetchX509SVID`
    FetchX509Svid,
    /// `FetchX509Bundles`
    FetchX509Bundles,
    /// `FetchJWTSVID`
    FetchJwtSvid,
    /// `FetchJWTBundles`
    FetchJwtBundles,
    /// `ValidateJWTSVID`
    ValidateJwtSvid,
    /// `FetchWITSVID`
    FetchWitSvid,
    /// `FetchWITBundles`
    FetchWitBundles,
}

impl Method {
    /// All of them.
    pub const ALL: [Method; 7] = [
        Method::FetchX509Svid,
        Method::FetchX509Bundles,
        Method::FetchJwtSvid,
        Method::FetchJwtBundles,
        Method::ValidateJwtSvid,
        Method::FetchWitSvid,
        Method::FetchWitBundles,
    ];

    /// As it stands in the path of a request.
    pub fn path(self) -> &'static str {
        match self {
            Method::FetchX509Svid => method::FETCH_X509_SVID,
            Method::FetchX509Bundles => method::FETCH_X509_BUNDLES,
            Method::FetchJwtSvid => method::FETCH_JWT_SVID,
            Method::FetchJwtBundles => method::FETCH_JWT_BUNDLES,
            Method::ValidateJwtSvid => method::VALIDATE_JWT_SVID,
            Method::FetchWitSvid => method::FETCH_WIT_SVID,
            Method::FetchWitBundles => method::FETCH_WIT_BUNDLES,
        }
    }

    /// The name without the service.
    pub fn name(self) -> &'static str {
        self.path().rsplit('/').next().unwrap_or_default()
    }

    /// The method of that name.
    pub fn from_name(name: &str) -> Option<Method> {
        Method::ALL.into_iter().find(|method| method.name() == name)
    }

    /// The method with this path.
    pub fn from_path(path: &str) -> Option<Method> {
        Method::ALL.into_iter().find(|method| method.path() == path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_have_their_names() {
        for method in Method::ALL {
            assert_eq!(Method::from_path(method.path()), Some(method));
            assert_eq!(Method::from_name(method.name()), Some(method));
        }
        assert_eq!(Method::FetchX509Svid.name(), "FetchX509SVID");
        assert_eq!(Method::from_path("FetchX509SVID"), None);
        assert_eq!(Method::from_name("/SpiffeWorkloadAPI/FetchX509SVID"), None);
    }
}
