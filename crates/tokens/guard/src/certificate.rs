//! The client certificate of a TLS connection (RFC 8705).

/// The certificate with which a client authenticated the connection, in DER.
///
/// Put it into the connection's data where the connection is accepted, with
/// `HttpServer::on_connect`: there the TLS stream is at hand. With rustls that is
/// `on_connect(ClientCertificate::remember)`, by the feature `rustls`. Never make one from a header.
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

    /// Remembers the certificate of a connection that `HttpServer::bind_rustls_0_23` has accepted;
    /// what to give to `HttpServer::on_connect`. A client that showed none is remembered with none.
    ///
    /// Which certificates are accepted at all is the affair of the `ClientCertVerifier` in the
    /// server's configuration: for tokens that are bound to a self-signed certificate (RFC 8705
    /// §2.2) it has to let those in.
    #[cfg(feature = "rustls")]
    pub fn remember(connection: &dyn std::any::Any, data: &mut actix_web::dev::Extensions) {
        use actix_tls::accept::rustls_0_23::TlsStream;
        use actix_web::rt::net::TcpStream;

        let Some(stream) = connection.downcast_ref::<TlsStream<TcpStream>>() else {
            return;
        };
        // The wrapper of actix around the stream of tokio-rustls around the connection.
        let stream: &tokio_rustls::server::TlsStream<TcpStream> = stream;
        let (_, connection) = stream.get_ref();
        if let Some(certificate) = connection.peer_certificates().and_then(<[_]>::first) {
            data.insert(ClientCertificate::new(certificate.to_vec()));
        }
    }
}
