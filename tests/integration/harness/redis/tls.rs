//! Certificates for a redis-server and for those who talk to it.

use std::{fs, path::PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair,
};
use tempfile::TempDir;

/// Whether a server asks its clients for a certificate.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Clients {
    /// It does not.
    Anonymous,
    /// It refuses those without one.
    WithCertificate,
}

/// What a client of a server with TLS needs to know.
pub struct TlsFacts {
    /// The server's port for TLS.
    pub port: u16,
    /// The file with the authority to trust.
    pub authority_file: PathBuf,
    /// A client's certificate as PEM.
    pub client_certificate: String,
    /// Its key as PEM.
    pub client_key: String,
}

/// An authority and what it signed, in files.
pub struct Certificates {
    folder: TempDir,
    client: (String, String),
}

impl Certificates {
    /// Makes them.
    pub fn new(folder: TempDir) -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        // OpenSSL takes a certificate that is named like its authority for a self-signed one.
        params.distinguished_name.push(DnType::CommonName, "authority of the tests");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let authority = CertifiedIssuer::self_signed(params, key).expect("an authority");
        let server = signed(&authority, ExtendedKeyUsagePurpose::ServerAuth);
        let client = signed(&authority, ExtendedKeyUsagePurpose::ClientAuth);
        let write = |name, text: &str| {
            fs::write(folder.path().join(name), text).expect("a file for a certificate");
        };
        write("ca.pem", &authority.pem());
        write("server.pem", &server.0);
        write("server.key", &server.1);
        Self { folder, client }
    }

    /// The flags that give a redis-server a port for TLS.
    pub fn server_args(&self, port: u16, clients: Clients) -> Vec<String> {
        let file = |name: &str| self.folder.path().join(name).to_str().expect("UTF-8").to_owned();
        let asks = if clients == Clients::WithCertificate { "yes" } else { "no" };
        let flags = [
            ("--tls-port", port.to_string()),
            ("--tls-cert-file", file("server.pem")),
            ("--tls-key-file", file("server.key")),
            ("--tls-ca-cert-file", file("ca.pem")),
            ("--tls-auth-clients", asks.to_owned()),
        ];
        flags.into_iter().flat_map(|(flag, value)| [flag.to_owned(), value]).collect()
    }

    /// What a client needs.
    pub fn facts(&self, port: u16) -> TlsFacts {
        TlsFacts {
            port,
            authority_file: self.folder.path().join("ca.pem"),
            client_certificate: self.client.0.clone(),
            client_key: self.client.1.clone(),
        }
    }
}

fn signed(
    authority: &CertifiedIssuer<'_, KeyPair>,
    usage: ExtendedKeyUsagePurpose,
) -> (String, String) {
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let mut params = CertificateParams::new(names).expect("good names");
    params.extended_key_usages = vec![usage];
    let key = KeyPair::generate().expect("a key");
    let certificate = params.signed_by(&key, authority).expect("a certificate");
    (certificate.pem(), key.serialize_pem())
}
