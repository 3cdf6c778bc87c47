//! TLS towards Redis: the system's roots, a client certificate, verification switched off.

use std::{fmt, sync::Arc};

use fred::types::config::TlsConnector;
use rustls::{
    ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
};

use super::settings::TlsSettings;

/// A client certificate with its key.
#[derive(Clone)]
pub(super) struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: Arc<PrivateKeyDer<'static>>,
}

impl Identity {
    /// Reads both from PEM text; an error names the setting that is wrong.
    pub(super) fn read(certificate: &str, key: &str) -> Result<Self, (&'static str, String)> {
        let chain: Vec<_> = CertificateDer::pem_slice_iter(certificate.as_bytes())
            .collect::<Result<_, _>>()
            .map_err(|error| ("clientCert", format!("is no PEM certificate: {error}")))?;
        if chain.is_empty() {
            return Err(("clientCert", "holds no PEM certificate".to_owned()));
        }
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes())
            .map_err(|_| ("clientKey", "is no PEM private key".to_owned()))?;
        let identity = Self { chain, key: Arc::new(key) };
        identity
            .used_by(base_config(RootCertStore::empty()).map_err(|text| ("clientCert", text))?)
            .map_err(|text| ("clientKey", format!("does not fit the certificate: {text}")))?;
        Ok(identity)
    }

    fn used_by(&self, builder: Builder) -> Result<ClientConfig, String> {
        builder
            .with_client_auth_cert(self.chain.clone(), self.key.clone_key())
            .map_err(|error| error.to_string())
    }
}

impl PartialEq for Identity {
    fn eq(&self, other: &Self) -> bool {
        self.chain == other.chain && self.key.secret_der() == other.key.secret_der()
    }
}

impl Eq for Identity {}

// By hand, because the key must never be shown.
impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("certificates", &self.chain.len()).finish_non_exhaustive()
    }
}

type Builder = rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert>;

/// What fred needs to speak TLS by these settings. Reads the system's roots, so it can fail now
/// and work later.
pub(super) fn connector(settings: &TlsSettings) -> Result<TlsConnector, String> {
    let roots = if settings.verify { system_roots()? } else { RootCertStore::empty() };
    let builder = base_config(roots)?;
    let mut config = match &settings.identity {
        Some(identity) => identity.used_by(builder)?,
        None => builder.with_no_client_auth(),
    };
    if !settings.verify {
        let provider = config.crypto_provider().clone();
        config.dangerous().set_certificate_verifier(Arc::new(Unverified { provider }));
    }
    Ok(config.into())
}

fn base_config(roots: RootCertStore) -> Result<Builder, String> {
    // Named here, because a process-wide default may be missing or another one.
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    Ok(builder.with_root_certificates(roots))
}

fn system_roots() -> Result<RootCertStore, String> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if !roots.is_empty() {
        return Ok(roots);
    }
    let why = found.errors.first().map_or("none was found".to_owned(), ToString::to_string);
    Err(format!("tls: no root certificate of the system can be used: {why}"))
}

/// Takes every certificate: what `insecureSkipTLSVerify` asks for. Signatures are still checked.
#[derive(Debug)]
struct Unverified {
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Unverified {
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
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
