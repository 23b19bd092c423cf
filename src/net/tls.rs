//! Which certificates are accepted, from targets and from proxies that speak TLS.

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};

use crate::sync::Arc;

/// Which certificates are accepted.
#[derive(Debug, Clone, Default)]
pub enum Verification {
    /// Those of the system's authorities.
    #[default]
    System,
    /// Those of the authorities in this PEM text alone.
    Authorities(Box<str>),
    /// All.
    Nothing,
}

/// The certificate that this side shows, and its key: PEM texts, which may be one and the same.
#[derive(Clone)]
pub struct ClientCertificate {
    /// The certificate, and those that lead to its authority.
    pub chain: Box<str>,
    /// Its private key, without a password.
    pub key: Box<str>,
}

impl std::fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ClientCertificate(***)")
    }
}

/// The certificates given cannot be read, or none of them is one of an authority; or a key does not fit its certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadCertificates;

/// The settings that TLS connections are made with.
///
/// # Errors
/// [`BadCertificates`]
pub(crate) fn client_config(
    verification: &Verification,
    own: Option<&ClientCertificate>,
) -> Result<ClientConfig, BadCertificates> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|_| BadCertificates)?;
    let mut roots = RootCertStore::empty();
    let builder = match verification {
        Verification::Nothing => builder.dangerous().with_custom_certificate_verifier(Arc::new(Anything(provider))),
        Verification::System => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            builder.with_root_certificates(roots)
        }
        Verification::Authorities(pem) => {
            let (added, _) = roots.add_parsable_certificates(certificates(pem)?);
            if added == 0 {
                return Err(BadCertificates);
            }
            builder.with_root_certificates(roots)
        }
    };
    let mut config = match own {
        None => builder.with_no_client_auth(),
        Some(own) => {
            let key = PrivateKeyDer::from_pem_slice(own.key.as_bytes()).map_err(|_| BadCertificates)?;
            builder.with_client_auth_cert(certificates(&own.chain)?, key).map_err(|_| BadCertificates)?
        }
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, BadCertificates> {
    CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<_, _>>().map_err(|_| BadCertificates)
}

/// Accepts any certificate, but still proves that the other side has its key.
#[derive(Debug)]
struct Anything(Arc<CryptoProvider>);

impl ServerCertVerifier for Anything {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
