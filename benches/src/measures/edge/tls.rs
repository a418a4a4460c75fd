//! What TLS costs the service on connections that are kept: point reads within TLS, and without, in turns.

use super::side::Side;
use crate::Bench;
use crate::data::organizations::seed_embedded;
use crate::load::Load;
use crate::report::{Aim, Finding};
use crate::server::Server;
use crate::tenant::Tenant;
use anyhow::Result;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::{ClientConfig, RootCertStore};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;

/// Documents of the organization.
const DOCUMENTS: u32 = 1_000;
/// Connections, each with one request under way.
const CONNECTIONS: usize = 32;
/// Threads of the load.
const THREADS: usize = 2;

/// Two services with the same data; the handshakes are over before anything is measured.
pub fn measure(bench: &Bench) -> Result<Vec<Finding>> {
    let certificate = Certificate::make(bench)?;
    let what = "edge: processor time per read within TLS, to plain HTTP";
    let sides = [side(bench, Some(&certificate))?, side(bench, None)?];
    Ok(vec![Side::compare(bench, sides, "edge_tls", what, Aim::AtMost(1.25))?])
}

/// A certificate that signs itself: the files for the service, and a client that trusts it.
struct Certificate {
    file: PathBuf,
    key_file: PathBuf,
    client: Arc<ClientConfig>,
}

impl Certificate {
    fn make(bench: &Bench) -> Result<Self> {
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()])?;
        let folder = bench.directory.path();
        let (file, key_file) = (folder.join("certificate.pem"), folder.join("key.pem"));
        fs::write(&file, cert.pem())?;
        fs::write(&key_file, signing_key.serialize_pem())?;
        fs::set_permissions(&key_file, Permissions::from_mode(0o600))?;
        let mut roots = RootCertStore::empty();
        roots.add(cert.der().clone())?;
        let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()));
        let builder = builder.with_safe_default_protocol_versions()?;
        // No ALPN: both sides speak HTTP/1.1.
        let client = Arc::new(builder.with_root_certificates(roots).with_no_client_auth());
        Ok(Self { file, key_file, client })
    }
}

/// A service with documents. It gets them without TLS; each side is started again afterwards, so that both have done the same.
fn side(bench: &Bench, certificate: Option<&Certificate>) -> Result<Side> {
    let data_dir = bench.directory.path().join(if certificate.is_some() { "tls" } else { "no-tls" });
    seed_embedded(&data_dir, 1)?;
    let filling = Server::service(bench, &data_dir, &[])?;
    let tenant = Tenant::sign_in(&filling, 0)?;
    tenant.fill(DOCUMENTS)?;
    filling.stop()?;
    let server = match certificate {
        None => Server::service(bench, &data_dir, &[])?,
        Some(Certificate { file, key_file, client }) => {
            let file = format!("--tls-cert-file={}", file.display());
            let key_file = format!("--tls-key-file={}", key_file.display());
            Server::service_by_tls(bench, &data_dir, &[&file, &key_file], client)?
        }
    };
    let client = certificate.map(|certificate| &certificate.client);
    let load = Load::open_by(server.address, client, THREADS, CONNECTIONS)?;
    Ok(Side { server, load, reads: tenant.reads(DOCUMENTS) })
}
