//! Which certificates are accepted, from targets and from proxies that speak TLS.

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WantsClientCert, WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, ConfigBuilder, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    WantsVerifier,
};
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
            trusting(builder, roots, provider)?
        }
        Verification::Authorities(pem) => {
            let (added, _) = roots.add_parsable_certificates(certificates(pem)?);
            if added == 0 {
                return Err(BadCertificates);
            }
            trusting(builder, roots, provider)?
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

fn trusting(
    builder: ConfigBuilder<ClientConfig, WantsVerifier>,
    roots: RootCertStore,
    provider: Arc<CryptoProvider>,
) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, BadCertificates> {
    if roots.is_empty() {
        return Ok(builder.with_root_certificates(roots));
    }
    let roots = Arc::new(roots);
    let chains = WebPkiServerVerifier::builder_with_provider(Arc::clone(&roots), provider)
        .build()
        .map_err(|_| BadCertificates)?;
    Ok(builder.dangerous().with_custom_certificate_verifier(Arc::new(Trusted { roots, chains })))
}

/// Accepts what an authority has signed, and an authority that is a server itself: certificates that `openssl req -x509`
/// makes are such, and OpenSSL accepts them where they are trusted.
#[derive(Debug)]
struct Trusted {
    roots: Arc<RootCertStore>,
    chains: Arc<WebPkiServerVerifier>,
}

impl Trusted {
    /// Whether a certificate has the name and the key of an authority that may vouch for any name.
    fn is_root(&self, certificate: &CertificateDer<'_>) -> bool {
        let mut own = RootCertStore::empty();
        own.add(certificate.clone().into_owned()).is_ok()
            && own.roots.iter().all(|own| own.name_constraints.is_none() && self.roots.roots.contains(own))
    }
}

impl ServerCertVerifier for Trusted {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified = self.chains.verify_server_cert(certificate, chain, name, ocsp, now);
        let is_authority = matches!(&verified, Err(error) if is_of_an_authority(error));
        if !is_authority || !self.is_root(certificate) {
            return verified;
        }
        verify_server_name(&ParsedCertificate::try_from(certificate)?, name)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chains.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chains.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chains.supported_verify_schemes()
    }
}

/// Whether a certificate is refused for being that of an authority. The time for which it is valid is looked at before.
fn is_of_an_authority(error: &Error) -> bool {
    let Error::InvalidCertificate(CertificateError::Other(why)) = error else { return false };
    why.0.downcast_ref() == Some(&webpki::Error::CaUsedAsEndEntity)
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
