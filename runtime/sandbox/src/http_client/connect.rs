//! Resolves a name to the addresses that may be dialled: the connector gets exactly the addresses that were checked.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use anyhow::Context as _;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use reactor_core::world::HttpBody;

use super::address::is_public;

/// Sends requests, and keeps connections for later ones.
pub(super) type Connections = Client<HttpsConnector<HttpConnector<Resolver>>, HttpBody>;

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(5);
/// How long an idle connection is kept.
const IDLE: Duration = Duration::from_secs(30);
/// Idle connections kept per host.
const IDLE_EACH: usize = 6;

/// None of a name's addresses may be dialled.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is an address of this machine or of a private network")]
pub(super) struct Prohibited(String);

/// A client that connects only to checked addresses, with the system's certificates and without proxies.
pub(super) fn connections() -> anyhow::Result<Connections> {
    let mut tcp = HttpConnector::new_with_resolver(Resolver);
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(CONNECT));
    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let tls = rustls::ClientConfig::builder_with_provider(rustls::crypto::aws_lc_rs::default_provider().into())
        .with_safe_default_protocol_versions()
        .context("TLS")?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector =
        HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().wrap_connector(tcp);
    let mut client = Client::builder(TokioExecutor::new());
    client.pool_timer(TokioTimer::new()).pool_idle_timeout(IDLE).pool_max_idle_per_host(IDLE_EACH);
    Ok(client.build(connector))
}

/// Resolves names as the system does. Literal addresses bypass it: they are dialled only if a grant names them.
#[derive(Clone, Debug)]
pub(super) struct Resolver;

impl tower_service::Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            allowed(name.as_str(), found).map(Vec::into_iter)
        })
    }
}

/// The addresses of a name that may be dialled; an error if there are none.
fn allowed(name: &str, found: impl Iterator<Item = SocketAddr>) -> io::Result<Vec<SocketAddr>> {
    let may = |address: IpAddr| if is_localhost(name) { address.is_loopback() } else { is_public(address) };
    let allowed: Vec<_> = found.filter(|address| may(address.ip())).collect();
    if allowed.is_empty() {
        return Err(io::Error::other(Prohibited(name.to_owned())));
    }
    Ok(allowed)
}

/// A name that means this machine by definition.
fn is_localhost(name: &str) -> bool {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, found: &[&str]) -> Option<Vec<String>> {
        let found = found.iter().map(|address| SocketAddr::new(address.parse().expect("an address"), 0));
        let allowed = allowed(name, found).ok()?;
        Some(allowed.iter().map(|address| address.ip().to_string()).collect())
    }

    #[test]
    fn a_name_leads_to_public_addresses_only() {
        assert_eq!(check("api.example.com", &["8.8.8.8"]), Some(vec!["8.8.8.8".into()]));
        // The addresses that were checked are the ones dialled: a second lookup never happens.
        assert_eq!(check("rebound.example.com", &["127.0.0.1", "8.8.8.8", "10.0.0.1"]), Some(vec!["8.8.8.8".into()]));
        assert_eq!(check("rebound.example.com", &["127.0.0.1", "169.254.169.254", "::ffff:10.0.0.1"]), None);
        assert_eq!(check("nothing.example.com", &[]), None);
    }

    #[test]
    fn localhost_is_this_machine_and_nothing_else() {
        assert_eq!(check("localhost", &["::1", "127.0.0.1"]), Some(vec!["::1".into(), "127.0.0.1".into()]));
        assert_eq!(check("a.LOCALHOST.", &["127.0.0.1"]), Some(vec!["127.0.0.1".into()]));
        assert_eq!(check("localhost", &["8.8.8.8"]), None);
        assert_eq!(check("localhost.example.com", &["127.0.0.1"]), None);
    }
}
