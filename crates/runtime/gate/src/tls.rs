//! TLS of both listeners: rustls on aws-lc-rs, with certificates of clients where they are asked for.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::config::{ClientCertificates, TlsSettings};

/// Why TLS cannot be offered.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read, or is no PEM.
    #[error("`{}` cannot be used: {reason}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Certificate and key do not fit together, or the library refuses them.
    #[error("the certificate in `{}` cannot be served: {reason}", .path.display())]
    Certificate {
        /// The file of the certificate.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

/// Reads what the settings name.
pub(crate) fn load(settings: &TlsSettings) -> Result<Arc<ServerConfig>, TlsError> {
    let refuse = |reason: String| TlsError::Certificate {
        path: settings.cert.clone(),
        reason,
    };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| refuse(error.to_string()))?;
    let builder = match &settings.client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(path)? {
                roots
                    .add(certificate)
                    .map_err(|error| unusable(path, error.to_string()))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
            let verifier = match settings.client_certificates {
                ClientCertificates::Optional => verifier.allow_unauthenticated(),
                ClientCertificates::Required => verifier,
            };
            let verifier = verifier
                .build()
                .map_err(|error| unusable(path, error.to_string()))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let key = PrivateKeyDer::from_pem_file(&settings.key)
        .map_err(|error| unusable(&settings.key, error.to_string()))?;
    let mut config = builder
        .with_single_cert(certificates(&settings.cert)?, key)
        .map_err(|error| refuse(error.to_string()))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|error| unusable(path, error.to_string()));
    match certificates {
        Ok(certificates) if certificates.is_empty() => {
            Err(unusable(path, "there is no certificate in it".to_owned()))
        }
        certificates => certificates,
    }
}

fn unusable(path: &Path, reason: String) -> TlsError {
    TlsError::File {
        path: path.to_owned(),
        reason,
    }
}
