//! Waits until the application listens, as `--app-port` asks for. State calls do not wait for it.

use std::time::Duration;

use tokio::{net::TcpStream, time::Instant};

use crate::sidecar::announce::RUNTIME;

/// As daprd.
const POLL: Duration = Duration::from_millis(100);
const REMINDER: Duration = Duration::from_secs(10);

/// Resolves once something accepts connections on the port.
pub async fn wait(protocol: &str, address: &str, port: u16) {
    tracing::info!(
        target: RUNTIME,
        "application protocol: {protocol}. waiting on port {port}.  \
         This will block until the app is listening on that port."
    );
    let mut reminder = Instant::now() + REMINDER;
    while TcpStream::connect((address, port)).await.is_err() {
        tokio::time::sleep(POLL).await;
        if Instant::now() >= reminder {
            tracing::info!(target: RUNTIME, "waiting for application to listen on port {port}");
            reminder += REMINDER;
        }
    }
    tracing::info!(target: RUNTIME, "application discovered on port {port}");
}
