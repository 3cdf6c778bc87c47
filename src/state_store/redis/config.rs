//! fred's settings: everything it would do by itself is switched off.

use std::time::Duration;

use fred::{
    clients::Client,
    types::config::{Config, ConnectionConfig, Server, ServerConfig, TcpConfig},
};

use super::{settings::RedisSettings, tls};

/// How long Redis may take for what is sent while a connection is set up, unless connecting itself
/// may take longer.
const SETUP: Duration = Duration::from_secs(1);

/// How long a try to connect may take in all.
pub(super) fn connect_budget(settings: &RedisSettings) -> Duration {
    settings.connect_timeout + setup_time(settings)
}

/// A client that is not connected yet.
pub(super) fn client(settings: &RedisSettings) -> Result<Client, String> {
    let tls = settings.tls.as_ref().map(tls::connector).transpose()?;
    let config = Config {
        fail_fast: true,
        username: settings.username.clone(),
        password: settings.password.clone(),
        server: ServerConfig::Centralized {
            server: Server::new(settings.host.clone(), settings.port),
        },
        database: (settings.database != 0).then_some(settings.database),
        tls: tls.map(Into::into),
        ..Config::default()
    };
    // Without a timeout of commands: whoever sends one waits no longer than the store's own, and the
    // watchdog ends a connection that does not answer. A policy would reconnect and send again what
    // was told to have failed.
    Ok(Client::new(config, None, Some(connection(settings)), None))
}

fn setup_time(settings: &RedisSettings) -> Duration {
    settings.connect_timeout.max(SETUP)
}

fn connection(settings: &RedisSettings) -> ConnectionConfig {
    ConnectionConfig {
        connection_timeout: settings.connect_timeout,
        internal_command_timeout: setup_time(settings),
        max_command_attempts: 1,
        max_redirections: 0,
        // Nought is no limit; with any other, fred stops flushing after the first refusal.
        max_command_buffer_len: 0,
        tcp: TcpConfig {
            nodelay: Some(true),
            // What a dead connection did not write must not be written later.
            linger: Some(Duration::ZERO),
            ..TcpConfig::default()
        },
        // With these, fred would give one call's answer to all that are on the wire.
        reconnect_errors: Vec::new(),
        ..ConnectionConfig::default()
    }
}
