//! The settings of a command that asks the service on this machine something.

use super::table::{ReadSetting, rows};
use std::net::IpAddr;
use std::path::PathBuf;

/// Where the service listens, for a command that asks it something on this machine.
#[derive(Debug, Clone)]
pub struct ListenConfig {
    /// The address.
    pub host: IpAddr,
    /// The port.
    pub port: u16,
    /// The certificate of TLS.
    pub tls_cert_file: Option<PathBuf>,
    /// Its key.
    pub tls_key_file: Option<PathBuf>,
}

impl ListenConfig {
    /// Reads only those rows; errors stay in `source`.
    pub fn read(source: &mut impl ReadSetting) -> Option<Self> {
        let host = source.read(&rows::host);
        let port = source.read(&rows::port);
        let tls_cert_file = source.read(&rows::tls_cert_file);
        let tls_key_file = source.read(&rows::tls_key_file);
        Some(Self { host: host?, port: port?, tls_cert_file: tls_cert_file?, tls_key_file: tls_key_file? })
    }
}
