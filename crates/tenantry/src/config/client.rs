//! The settings of commands that talk to a running server: some rows of the table, with words of their own.

use super::secret::Secret;
use super::setting::Setting;
use super::table::{ReadSetting, rows};
use reqwest::Url;
use std::path::PathBuf;

/// The settings of a command that talks to a running server, under the same names.
#[derive(Debug, Clone)]
pub struct ClientConfig {
    /// The server.
    pub server_url: Url,
    /// The operator key, if it is set.
    pub operator_key: Option<Secret>,
    /// Where a server on this machine keeps the operator key.
    pub data_dir: PathBuf,
}

impl ClientConfig {
    /// The rows it is read from.
    pub const SETTINGS: [Setting; 3] = [
        rows::server_url,
        Setting {
            help: "The operator key. Without it, it is read from `operator.key` in `DATA_DIR`.",
            ..rows::operator_key
        },
        Setting {
            help: "Where a server on this machine keeps its data and the operator key.",
            ..rows::data_dir
        },
    ];

    /// Reads only those rows; errors stay in `layers`.
    pub fn read(source: &mut impl ReadSetting) -> Option<Self> {
        // Reads all of them before it checks any, so that all errors are reported at once.
        let server_url = source.read(&rows::server_url);
        let operator_key = source.read(&rows::operator_key);
        let data_dir = source.read(&rows::data_dir);
        Some(Self { server_url: server_url?, operator_key: operator_key?, data_dir: data_dir? })
    }
}
