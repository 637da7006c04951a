//! Where a module may send requests: the exact scheme, host and port.

use http::Uri;

/// An origin with an explicit port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Origin {
    scheme: String,
    host: String,
    port: u16,
}

impl Origin {
    /// The origin of a grant such as `https://api.example.com` or `http://[::1]:8080`.
    pub(super) fn of_grant(text: &str) -> Option<Self> {
        text.parse::<Uri>().ok().and_then(|uri| Self::of(&uri))
    }

    /// The origin of a request. `None` if it names a user, or no host.
    pub(super) fn of(uri: &Uri) -> Option<Self> {
        let scheme = uri.scheme_str()?.to_ascii_lowercase();
        let authority = uri.authority().filter(|authority| !authority.as_str().contains('@'))?;
        let port = match (authority.port_u16(), scheme.as_str()) {
            (Some(port), _) => port,
            (None, "https") => 443,
            (None, "http") => 80,
            (None, _) => return None,
        };
        let host = authority.host().to_ascii_lowercase();
        (!host.is_empty()).then_some(Self { scheme, host, port })
    }

    /// The origin in the form of a grant.
    pub(super) fn grant(&self) -> String {
        let Self { scheme, host, port } = self;
        match (scheme.as_str(), port) {
            ("https", 443) | ("http", 80) => format!("{scheme}://{host}"),
            _ => format!("{scheme}://{host}:{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(grant: &str, uri: &str) -> bool {
        Origin::of_grant(grant).expect(grant) == Origin::of(&uri.parse().expect(uri)).expect(uri)
    }

    #[test]
    fn scheme_host_and_port_have_to_be_equal() {
        for (grant, uri) in [
            ("https://api.example.com", "https://api.example.com/v1?x=y"),
            ("https://api.example.com", "https://API.example.com:443/"),
            ("http://api.example.com", "http://api.example.com:80"),
            ("http://127.0.0.1:9000", "http://127.0.0.1:9000/a"),
            ("http://[::1]:9000", "http://[::1]:9000/a"),
        ] {
            assert!(same(grant, uri), "{grant} {uri}");
        }
        for (grant, uri) in [
            ("https://api.example.com", "http://api.example.com"),
            ("https://api.example.com", "https://api.example.com:8443"),
            ("https://api.example.com", "https://api.example.com.evil.example"),
            ("https://api.example.com", "https://evil.example/api.example.com"),
            ("https://api.example.com", "https://example.com"),
            ("http://127.0.0.1:9000", "http://127.0.0.2:9000"),
        ] {
            assert!(!same(grant, uri), "{grant} {uri}");
        }
        assert_eq!(Origin::of(&"https://api.example.com@evil.example/".parse().expect("a URI")), None);
        assert_eq!(Origin::of(&"/path".parse().expect("a URI")), None);
    }
}
