//! Certificates made at start: an authority, and a leaf for every name that is asked for.
//!
//! A wildcard for `*.test` would be simpler, but OpenSSL matches none directly below a top-level name; so each name
//! that a client asks for (SNI) gets a leaf of its own, made when first asked and kept.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use lru::LruCache;
use parking_lot::Mutex;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, SerialNumber,
};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{self, ServerConfig};

use super::error::FleetError;

/// The names of the leaf for clients that send no server name, or an address.
const OWN_NAMES: [&str; 4] = ["localhost", "origin.test", "127.0.0.1", "::1"];
/// More names than this are made anew each time.
const LEAVES_MAX: NonZeroUsize = NonZeroUsize::new(1024).expect("not zero");

/// The fleet's TLS: what servers accept with, and the authority that clients shall trust.
pub(crate) struct Tls {
    /// For the origin and for TLS proxies alike.
    pub(crate) acceptor: TlsAcceptor,
    /// The authority's certificate.
    pub(crate) ca_pem: String,
}

impl Tls {
    pub(crate) fn new() -> Result<Self, FleetError> {
        let provider = Arc::new(ring::default_provider());
        let issuer = Issuer::new(Arc::clone(&provider)).map_err(certificate)?;
        let ca_pem = issuer.authority.pem();
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| FleetError::Certificate(error.to_string()))?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(issuer));
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), ca_pem })
    }
}

fn certificate(error: rcgen::Error) -> FleetError {
    FleetError::Certificate(error.to_string())
}

/// Makes leaves and keeps them.
struct Issuer {
    authority: CertifiedIssuer<'static, KeyPair>,
    /// One key for all leaves: making one is the dear part, and nothing here is secret.
    key: KeyPair,
    provider: Arc<CryptoProvider>,
    own: Arc<CertifiedKey>,
    leaves: Mutex<LruCache<String, Arc<CertifiedKey>>>,
    /// Serial numbers have to differ, no more; the own leaf has 1.
    serial: AtomicU64,
}

impl std::fmt::Debug for Issuer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Issuer").finish_non_exhaustive()
    }
}

impl Issuer {
    fn new(provider: Arc<CryptoProvider>) -> Result<Self, rcgen::Error> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.distinguished_name.push(DnType::CommonName, "proxywhirl test fleet authority");
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        let key = KeyPair::generate()?;
        let own = leaf(&authority, &key, &provider, &OWN_NAMES, 1)?;
        Ok(Self {
            authority,
            key,
            provider,
            own: Arc::new(own),
            leaves: Mutex::new(LruCache::new(LEAVES_MAX)),
            serial: AtomicU64::new(2),
        })
    }

    fn leaf_for(&self, name: &str) -> Option<Arc<CertifiedKey>> {
        let mut leaves = self.leaves.lock();
        if let Some(leaf) = leaves.get(name) {
            return Some(Arc::clone(leaf));
        }
        let serial = self.serial.fetch_add(1, Ordering::Relaxed);
        let leaf = leaf(&self.authority, &self.key, &self.provider, &[name], serial).ok()?;
        let leaf = Arc::new(leaf);
        leaves.put(name.to_owned(), Arc::clone(&leaf));
        Some(leaf)
    }
}

fn leaf(
    authority: &CertifiedIssuer<'static, KeyPair>,
    key: &KeyPair,
    provider: &CryptoProvider,
    names: &[&str],
    serial: u64,
) -> Result<CertifiedKey, rcgen::Error> {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names.clone())?;
    params.distinguished_name.push(DnType::CommonName, names[0].as_str());
    params.serial_number = Some(SerialNumber::from(serial));
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let certificate = params.signed_by(key, authority)?;
    let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    // A key that rcgen just made is one that the same cryptography can read.
    let signer =
        provider.key_provider.load_private_key(der).map_err(|_: rustls::Error| rcgen::Error::CouldNotParseKeyPair)?;
    Ok(CertifiedKey::new(vec![certificate.der().clone()], signer))
}

impl ResolvesServerCert for Issuer {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        match hello.server_name() {
            Some(name) if !OWN_NAMES.contains(&name) => self.leaf_for(name),
            _ => Some(Arc::clone(&self.own)),
        }
    }
}
