//! TLS with a private authority, client certificates, and what happens without trust.

use std::{path::Path, process::Command};

use outrigger::state_store::{StateStore, StoreError};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

use crate::{
    ports::free_port,
    redis::Server,
    support::{eventually, key, read, set, store_with, write},
};

/// Tells the child of a test that it is one.
const CHILD: &str = "OUTRIGGER_TEST_TLS_DIRECTORY";

/// Writes an authority, a server's and a client's certificate.
fn make_certificates(directory: &Path) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    std::fs::write(directory.join("ca.pem"), authority.pem()).unwrap();
    for (name, host) in [("server", "localhost"), ("client", "client")] {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([host.to_owned()]).unwrap();
        // A name of its own: one like the authority's looks self-signed to OpenSSL.
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = params.signed_by(&key, &authority).unwrap();
        std::fs::write(directory.join(format!("{name}.pem")), certificate.pem()).unwrap();
        std::fs::write(directory.join(format!("{name}.key")), key.serialize_pem()).unwrap();
    }
}

fn tls_server(directory: &Path, clients: &str) -> Server {
    let path = |name: &str| directory.join(name).to_str().unwrap().to_owned();
    let port = free_port();
    let mut server = Server::stopped(&[
        "--port",
        "0",
        "--tls-port",
        &port.to_string(),
        "--tls-cert-file",
        &path("server.pem"),
        "--tls-key-file",
        &path("server.key"),
        "--tls-ca-cert-file",
        &path("ca.pem"),
        "--tls-auth-clients",
        clients,
    ]);
    server.port = port;
    server.run();
    server
}

// The system's roots are looked up by an environment variable, and a process cannot safely change
// its own: the test runs itself once more with the variable set.
#[tokio::test]
async fn redis_is_reached_through_tls() {
    if let Some(directory) = std::env::var_os(CHILD) {
        return speaks_tls(Path::new(&directory)).await;
    }
    let directory = tempfile::tempdir().unwrap();
    make_certificates(directory.path());
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "tls::redis_is_reached_through_tls", "--nocapture"])
        .env(CHILD, directory.path())
        .env("SSL_CERT_FILE", directory.path().join("ca.pem"))
        .env_remove("SSL_CERT_DIR")
        .output()
        .unwrap();
    let output = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success(), "{output}{}", String::from_utf8_lossy(&child.stderr));
    assert!(output.contains("1 passed"), "{output}");
}

async fn speaks_tls(directory: &Path) {
    let file = |name: &str| std::fs::read_to_string(directory.join(name)).unwrap();
    let tls = ("enableTLS", "true");
    let server = tls_server(directory, "no");
    let trusting = store_with(&server, &[tls]);
    write(&trusting, set("k", "1")).await.unwrap();
    assert_eq!(read(&trusting, "k").await.unwrap().data, "1");

    // The certificate is for another name.
    let host = format!("127.0.0.1:{}", server.port);
    let other_name = store_with(&server, &[("redisHost", &host), tls]);
    let refused = other_name.get(&key("k")).await.unwrap_err();
    let StoreError::Unreachable(outage) = refused else { panic!("{refused:?}") };
    let text = outage.to_string();
    assert!(text.starts_with(&format!("dial tcp {host}: tls: ")), "{text}");
    let unverified =
        store_with(&server, &[("redisHost", &host), tls, ("insecureSkipTLSVerify", "true")]);
    assert_eq!(read(&unverified, "k").await.unwrap().data, "1");

    let plain = store_with(&server, &[]);
    assert!(matches!(plain.get(&key("k")).await, Err(StoreError::Unreachable(_))));

    let strict = tls_server(directory, "yes");
    let (certificate, secret) = (file("client.pem"), file("client.key"));
    let known = [tls, ("clientCert", certificate.as_str()), ("clientKey", secret.as_str())];
    let known = store_with(&strict, &known);
    eventually("the client's certificate is taken", || async {
        write(&known, set("k", "1")).await.is_ok()
    })
    .await;
    let unknown = store_with(&strict, &[tls]);
    assert!(matches!(unknown.get(&key("k")).await, Err(StoreError::Unreachable(_))));
}

#[tokio::test]
async fn an_authority_nobody_trusts_is_told() {
    let directory = tempfile::tempdir().unwrap();
    make_certificates(directory.path());
    let server = tls_server(directory.path(), "no");
    let store = store_with(&server, &[("enableTLS", "true")]);
    let refused = store.get(&key("k")).await.unwrap_err();
    let StoreError::Unreachable(outage) = refused else { panic!("{refused:?}") };
    let text = outage.to_string();
    assert!(text.contains("tls: "), "{text}");
}
