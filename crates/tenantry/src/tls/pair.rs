//! A certificate with its key: two files, what they hold, and whether they belong together.

use super::validity::Validity;
use crate::config::{Config, Warning};
use jiff::Timestamp;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::fs::File;
use tokio::io::AsyncReadExt;

/// The most bytes of a file: no chain is longer, and `/dev/zero` never ends.
const FILE_MAX_BYTES: u64 = 1 << 20;
/// How long before its end a certificate should have been replaced.
const RENEWAL_TIME: Duration = Duration::from_secs(14 * 24 * 3600);

/// A certificate with its key.
#[derive(Debug)]
pub struct Pair {
    /// As handshakes use it.
    pub certified: Arc<CertifiedKey>,
    /// When the certificate is valid.
    pub validity: Validity,
}

/// Where a pair is.
#[derive(Clone)]
pub struct PairFiles {
    certificate: PathBuf,
    key: PathBuf,
}

/// What the files hold, or why they cannot be read.
#[derive(PartialEq, Eq)]
pub struct PairText {
    certificate: Result<Vec<u8>, String>,
    key: Result<Vec<u8>, String>,
}

impl PairFiles {
    /// The files of the settings.
    pub fn of(config: &Config) -> Option<Self> {
        Self::at(config.tls_cert_file.clone(), config.tls_key_file.clone())
    }

    /// The files of these two settings.
    pub fn at(certificate: Option<PathBuf>, key: Option<PathBuf>) -> Option<Self> {
        let (certificate, key) = certificate.zip(key)?;
        Some(Self { certificate, key })
    }

    /// What they hold.
    pub async fn read(&self) -> PairText {
        PairText {
            certificate: read(&self.certificate, "TLS_CERT_FILE").await,
            key: read(&self.key, "TLS_KEY_FILE").await,
        }
    }

    /// The pair that they hold.
    ///
    /// # Errors
    /// A sentence that names the file and what to do.
    pub fn parse(&self, text: &PairText) -> Result<Pair, String> {
        let (certificate_file, key_file) = (self.certificate.display(), self.key.display());
        let certificates = certificates(text.certificate.as_ref()?).map_err(|why| {
            format!(
                "TLS_CERT_FILE {certificate_file} {why}: it must be a PEM file with the certificate of the server, \
                 followed by those of its issuers."
            )
        })?;
        let key = PrivateKeyDer::from_pem_slice(text.key.as_ref()?).map_err(|error| {
            let what = no_key(text.key.as_deref().unwrap_or_default(), &error);
            format!("TLS_KEY_FILE {key_file} {what}.")
        })?;
        let validity = Validity::of(&certificates[0]).ok_or_else(|| {
            format!("TLS_CERT_FILE {certificate_file} begins with something else than an X.509 certificate.")
        })?;
        match CertifiedKey::from_der(certificates, key, &default_provider()) {
            Ok(certified) => Ok(Pair { certified: Arc::new(certified), validity }),
            Err(Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => Err(format!(
                "The key in TLS_KEY_FILE {key_file} does not belong to the first certificate in TLS_CERT_FILE \
                 {certificate_file}: name the key that this certificate was issued for; the certificate of the server \
                 comes before those of its issuers."
            )),
            Err(error) => Err(format!(
                "TLS_CERT_FILE {certificate_file} and TLS_KEY_FILE {key_file} cannot be used ({error}): the key must be \
                 RSA with 2048 to 8192 bits, ECDSA on the curve P-256, P-384 or P-521, or Ed25519."
            )),
        }
    }

    /// What is valid and rarely intended about `pair` and its files.
    pub fn warnings(&self, pair: &Pair, now: Timestamp) -> Vec<Warning> {
        let warning = |found: String, advice| Warning { found, advice };
        let (certificate_file, key_file) = (self.certificate.display(), self.key.display());
        let Validity { not_before, not_after } = pair.validity;
        let renewal = tenantry_domain::clock::after(now, RENEWAL_TIME);
        let dates = if not_after < now {
            Some((
                format!("the certificate in TLS_CERT_FILE {certificate_file} has expired ({not_after})"),
                "renew it",
            ))
        } else if not_before > now {
            let found = format!(
                "the certificate in TLS_CERT_FILE {certificate_file} is not valid before {not_before}"
            );
            Some((found, "check the clock of this machine, or use another certificate"))
        } else if not_after < renewal {
            let found =
                format!("the certificate in TLS_CERT_FILE {certificate_file} expires soon ({not_after})");
            Some((found, "renew it; the service takes the new one by itself"))
        } else {
            None
        };
        let mode = std::fs::metadata(&self.key).map_or(0, |metadata| metadata.mode() & 0o777);
        let open = (mode & 0o077 != 0).then(|| {
            let found = format!("TLS_KEY_FILE {key_file} can be read by other users (mode {mode:04o})");
            (found, "run `chmod 600` on it, as the owner the user of the service")
        });
        dates.into_iter().chain(open).map(|(found, advice)| warning(found, advice)).collect()
    }
}

async fn read(path: &Path, setting: &str) -> Result<Vec<u8>, String> {
    let read = async {
        let mut bytes = Vec::new();
        File::open(path).await?.take(FILE_MAX_BYTES + 1).read_to_end(&mut bytes).await?;
        std::io::Result::Ok(bytes)
    };
    let shown = path.display();
    let bytes = read.await.map_err(|error| {
        format!(
            "{setting} {shown} cannot be read ({error}): correct the path, or make the file readable to the user of the \
             service."
        )
    })?;
    if bytes.len() as u64 > FILE_MAX_BYTES {
        return Err(format!("{setting} {shown} is longer than 1 MiB: correct the path."));
    }
    Ok(bytes)
}

/// The certificates of a PEM file, at least one.
fn certificates(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, &'static str> {
    let found: Result<Vec<_>, pem::Error> = CertificateDer::pem_slice_iter(text).collect();
    match found {
        Ok(found) if found.is_empty() => Err("holds no certificate"),
        Ok(found) => Ok(found),
        Err(_) => Err("is damaged"),
    }
}

/// Why a text is no key that can be used.
fn no_key(text: &[u8], error: &pem::Error) -> &'static str {
    const ENCRYPTED: [&[u8]; 2] = [b"BEGIN ENCRYPTED PRIVATE KEY", b"Proc-Type: 4,ENCRYPTED"];
    let has = |part: &[u8]| text.windows(part.len()).any(|window| window == part);
    if ENCRYPTED.into_iter().any(has) {
        "is encrypted: store the key without a passphrase (`openssl pkey -in KEY -out NEW`), readable to the user of the \
         service alone"
    } else if matches!(error, pem::Error::NoItemsFound) {
        "holds no private key: it must be a PEM file with one (`BEGIN PRIVATE KEY`)"
    } else {
        "is damaged: it must be a PEM file with a private key"
    }
}
