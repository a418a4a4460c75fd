//! The only client of the service for addresses that its settings name: it gets one small document, from where it is
//! meant to be and nowhere else.
//!
//! # Pitfalls
//! A name is resolved once; the address is checked, and the connection goes to the address that was checked. To resolve
//! the name again would let its owner answer differently the second time.

mod address;

pub use address::{AddressPolicy, is_without_effect};

use crate::telemetry::otlp;
use futures_util::future::select_ok;
use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use reqwest::Url;
use rustls::ClientConfig;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::ServerName;
use rustls_platform_verifier::BuilderVerifierExt;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// How long a call may take, from the resolution of the name to the last byte.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(5);
/// The largest document, in bytes.
pub const DOCUMENT_MAX_BYTES: usize = 256 << 10;
/// How long an address may keep the next one from being tried.
const CONNECT_DELAY: Duration = Duration::from_millis(250);
/// Addresses of a host that are tried.
const ADDRESSES_MAX: usize = 8;
/// What the client calls itself.
const USER_AGENT: &str = concat!("tenantry/", env!("CARGO_PKG_VERSION"));

/// Why a document was not got: a sentence for the log.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The URL is of a kind that is never called.
    #[error("{0}")]
    Url(&'static str),
    /// Its host has no address that may be called.
    #[error("its host has no address that may be called: name private networks in `private_networks`")]
    Address,
    /// It cannot be reached.
    #[error("it cannot be reached: {0}")]
    Connect(String),
    /// It answers with another status than 200; redirects are not followed.
    #[error("it answers with status {0}; redirects are not followed")]
    Status(StatusCode),
    /// The document is too large.
    #[error("its document has more than {DOCUMENT_MAX_BYTES} bytes")]
    Size,
    /// It takes too long.
    #[error("it took longer than {} seconds", CALL_TIMEOUT.as_secs())]
    Timeout,
}

/// Gets documents.
#[derive(Default)]
pub struct GuardedClient {
    tls: OnceLock<Arc<ClientConfig>>,
}

/// Refuses a URL that is never called, whatever its host resolves to.
///
/// # Errors
/// [`FetchError::Url`].
pub fn check_url(url: &Url) -> Result<(), FetchError> {
    let refusal = match url.scheme() {
        _ if !url.username().is_empty() || url.password().is_some() => {
            "it must not carry a user or a password"
        }
        _ if url.fragment().is_some() => "it must not have a fragment",
        _ if url.host().is_none() => "it has no host",
        "https" => return Ok(()),
        "http" if address::is_loopback_host(url) => return Ok(()),
        _ => "it must begin with https://, or with http:// and a loopback address",
    };
    Err(FetchError::Url(refusal))
}

impl GuardedClient {
    /// The document at `url`, whose host may have the addresses that `policy` allows.
    ///
    /// # Errors
    /// A sentence.
    #[tracing::instrument(level = "debug", name = "get_document", skip_all)]
    pub async fn get(&self, url: &Url, policy: &AddressPolicy) -> Result<Vec<u8>, FetchError> {
        check_url(url)?;
        tokio::time::timeout(CALL_TIMEOUT, self.call(url, policy)).await.unwrap_or(Err(FetchError::Timeout))
    }

    async fn call(&self, url: &Url, policy: &AddressPolicy) -> Result<Vec<u8>, FetchError> {
        let stream = connect(&addresses(url, policy).await?).await?;
        if url.scheme() == "http" {
            return exchange(stream, url).await;
        }
        let name = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let name = ServerName::try_from(name).map_err(failed)?;
        let connector = TlsConnector::from(self.tls()?);
        exchange(connector.connect(name, stream).await.map_err(failed)?, url).await
    }

    fn tls(&self) -> Result<Arc<ClientConfig>, FetchError> {
        if let Some(config) = self.tls.get() {
            return Ok(Arc::clone(config));
        }
        let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()));
        let builder = builder.with_safe_default_protocol_versions().map_err(failed)?;
        let config = builder.with_platform_verifier().map_err(failed)?.with_no_client_auth();
        Ok(Arc::clone(self.tls.get_or_init(|| Arc::new(config))))
    }
}

/// The addresses of the host that may be called.
async fn addresses(url: &Url, policy: &AddressPolicy) -> Result<Vec<SocketAddr>, FetchError> {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let port = url.port_or_known_default().unwrap_or(443);
    let found = tokio::net::lookup_host((host, port)).await.map_err(failed)?;
    let is_loopback = address::is_loopback_host(url);
    let allowed: Vec<_> = found.filter(|found| policy.allows(found.ip(), is_loopback)).collect();
    if allowed.is_empty() { Err(FetchError::Address) } else { Ok(allowed) }
}

/// A connection to the first of the addresses that answers. None waits for the timeout of the one before: a network may
/// swallow what goes to one family.
async fn connect(addresses: &[SocketAddr]) -> Result<TcpStream, FetchError> {
    let attempts = (0..).zip(addresses.iter().take(ADDRESSES_MAX)).map(|(number, address)| {
        Box::pin(async move {
            tokio::time::sleep(CONNECT_DELAY * number).await;
            TcpStream::connect(address).await
        })
    });
    let (stream, _) = select_ok(attempts).await.map_err(failed)?;
    Ok(stream)
}

async fn exchange<S>(stream: S, url: &Url) -> Result<Vec<u8>, FetchError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
    let host = match url.port() {
        Some(port) => format!("{}:{port}", url.host_str().unwrap_or_default()),
        None => url.host_str().unwrap_or_default().to_owned(),
    };
    let path = &url.as_str()[start_of_path(url)..];
    let mut request = Request::get(path)
        .header(header::HOST, host)
        .header(header::ACCEPT, "application/jwk-set+json, application/json")
        .header(header::USER_AGENT, USER_AGENT)
        .header(header::CONNECTION, "close");
    if let Some(traceparent) = otlp::traceparent() {
        request = request.header("traceparent", traceparent);
    }
    let request = request.body(Empty::<Bytes>::new()).map_err(failed)?;
    // In this future, so that the connection ends with it.
    let reply = async {
        let response = sender.send_request(request).await.map_err(failed)?;
        read(response).await
    };
    tokio::pin!(connection);
    tokio::pin!(reply);
    tokio::select! {
        biased;
        document = &mut reply => document,
        ended = &mut connection => match ended {
            // What has arrived before the end may not have been read yet.
            Ok(()) => reply.await,
            Err(error) => Err(failed(error)),
        },
    }
}

/// Where path and query begin.
fn start_of_path(url: &Url) -> usize {
    url.as_str().len() - url.path().len() - url.query().map_or(0, |query| query.len() + 1)
}

async fn read(response: Response<Incoming>) -> Result<Vec<u8>, FetchError> {
    if response.status() != StatusCode::OK {
        return Err(FetchError::Status(response.status()));
    }
    let (mut document, mut body) = (Vec::new(), response.into_body());
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(failed)?;
        let Some(data) = frame.data_ref() else { continue };
        if document.len() + data.len() > DOCUMENT_MAX_BYTES {
            return Err(FetchError::Size);
        }
        document.extend_from_slice(data);
    }
    Ok(document)
}

fn failed(error: impl std::fmt::Display) -> FetchError {
    FetchError::Connect(error.to_string())
}

#[cfg(test)]
mod tests;
