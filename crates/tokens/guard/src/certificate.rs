//! The client certificate of a TLS connection (RFC 8705).

/// The certificate with which a client authenticated the connection, in DER.
///
/// Put it into the connection's data where the connection is accepted, with
/// `HttpServer::on_connect`: there the TLS stream is at hand. Never make one from a header.
#[derive(Clone, Debug)]
pub struct ClientCertificate(Vec<u8>);

impl ClientCertificate {
    /// The certificate of the connection, the first of the chain that the client sent.
    pub fn new(der: Vec<u8>) -> ClientCertificate {
        ClientCertificate(der)
    }

    /// The DER.
    pub fn der(&self) -> &[u8] {
        &self.0
    }
}
