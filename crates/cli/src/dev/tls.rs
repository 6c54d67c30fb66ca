//! The certificate of `--dev --tls`: one for this machine, by an authority that is made with it.

use super::files::Files;
use crate::input::Failure;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};

/// Makes `tls/ca.pem`, `tls/server.pem` and `tls/server.key`, unless they are there. The key of the
/// authority is forgotten at once, so that it vouches for nothing else.
pub(super) fn prepare(files: &Files) -> Result<(), Failure> {
    if files.path("tls/server.key").exists() {
        return Ok(());
    }
    let failed = |error: rcgen::Error| Failure::new(format!("cannot make a certificate: {error}"));
    let mut params = CertificateParams::new(Vec::new()).map_err(failed)?;
    params
        .distinguished_name
        .push(DnType::CommonName, "cofferdam gate --dev");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let key = KeyPair::generate().map_err(failed)?;
    let authority = params.self_signed(&key).map_err(failed)?;
    let issuer = Issuer::new(params, key);

    let names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
    let mut params = CertificateParams::new(names).map_err(failed)?;
    params
        .distinguished_name
        .push(DnType::CommonName, "localhost");
    let key = KeyPair::generate().map_err(failed)?;
    let server = params.signed_by(&key, &issuer).map_err(failed)?;
    files.write("tls/ca.pem", &authority.pem())?;
    files.write("tls/server.pem", &server.pem())?;
    files.write("tls/server.key", &key.serialize_pem())
}
