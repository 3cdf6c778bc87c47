//! `state.redis` component metadata: text in, parsed settings or all problems at once out.

use std::{fmt, time::Duration};

use super::tls::Identity;
use crate::state_store::Ttl;

mod address;
mod fields;
#[cfg(test)]
mod tests;

use self::fields::Fields;

/// Everything a component says about its Redis.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisSettings {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) username: Option<String>,
    pub(super) password: Option<String>,
    pub(super) database: u8,
    pub(super) tls: Option<TlsSettings>,
    /// How long one try to connect may take.
    pub(super) connect_timeout: Duration,
    /// How long an attempt waits for an answer; `None` is for ever.
    pub(super) read_timeout: Option<Duration>,
    /// The same for writes, where it is shorter.
    pub(super) write_timeout: Option<Duration>,
    /// What a write without `ttlInSeconds` does to the time to live.
    pub(super) default_ttl: Ttl,
}

/// How the connection is secured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TlsSettings {
    pub(super) verify: bool,
    pub(super) identity: Option<Identity>,
}

/// One reason why a component's metadata cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct SettingsProblem {
    /// The field's name as the user wrote it.
    pub field: String,
    /// What is wrong and what is valid.
    pub message: String,
}

/// Something about a component's metadata that does not stop it from being used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsWarning {
    /// The field's name as the user wrote it.
    pub field: String,
    /// What will not happen although it was asked for.
    pub message: String,
    /// How much it matters.
    pub weight: Weight,
}

/// How much a [`SettingsWarning`] matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// For debug output: the setting tunes something that does not exist here.
    Note,
    /// For the user: what was asked for does not happen.
    Warning,
}

impl RedisSettings {
    /// Reads a component's metadata, given as names and values in their order.
    pub fn parse(
        metadata: &[(String, String)],
    ) -> Result<(Self, Vec<SettingsWarning>), Vec<SettingsProblem>> {
        let mut fields = Fields::sort(metadata);
        let address = address::read(&mut fields);
        let (read_timeout, write_timeout) = read_timeouts(&mut fields);
        let settings = Self {
            host: address.host,
            port: address.port,
            username: read_username(&mut fields),
            password: fields.text("redisPassword"),
            database: read_database(&mut fields),
            tls: read_tls(&mut fields),
            connect_timeout: read_connect_timeout(&mut fields),
            read_timeout,
            write_timeout,
            default_ttl: read_default_ttl(&mut fields),
        };
        let warnings = fields.finish()?;
        Ok((settings, warnings))
    }

    /// The server's address as people write it.
    pub fn address(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

// By hand, because the password must never be shown.
impl fmt::Debug for RedisSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisSettings")
            .field("address", &self.address())
            .field("database", &self.database)
            .field("username", &self.username)
            .field("has_password", &self.password.is_some())
            .field("tls", &self.tls)
            .field("connect_timeout", &self.connect_timeout)
            .field("read_timeout", &self.read_timeout)
            .field("write_timeout", &self.write_timeout)
            .field("default_ttl", &self.default_ttl)
            .finish()
    }
}

fn read_username(fields: &mut Fields) -> Option<String> {
    let username = fields.text("redisUsername")?;
    if fields.text("redisPassword").is_none() {
        fields.without_effect("redisUsername", "has no effect without redisPassword");
    }
    Some(username)
}

fn read_database(fields: &mut Fields) -> u8 {
    let Some(number) = fields.int("redisDB") else { return 0 };
    u8::try_from(number).unwrap_or_else(|_| {
        fields.problem("redisDB", format!("database {number} is not in the range 0 to 255"));
        0
    })
}

fn read_connect_timeout(fields: &mut Fields) -> Duration {
    // Short, because connecting is tried again and again, and calls wait for the first outcome.
    const DEFAULT: Duration = Duration::from_secs(1);
    match fields.time("dialTimeout") {
        None | Some(Time::Default) => DEFAULT,
        Some(Time::Off) => Duration::from_secs(3600),
        Some(Time::After(time)) => time,
    }
}

fn read_timeouts(fields: &mut Fields) -> (Option<Duration>, Option<Duration>) {
    const DEFAULT: Duration = Duration::from_secs(3);
    let read = match fields.time("readTimeout") {
        None | Some(Time::Default) => Some(DEFAULT),
        Some(Time::Off) => None,
        Some(Time::After(time)) => Some(time),
    };
    let write = match fields.time("writeTimeout") {
        None | Some(Time::Default | Time::Off) => read,
        Some(Time::After(time)) => Some(read.map_or(time, |read| read.min(time))),
    };
    (read, write)
}

fn read_default_ttl(fields: &mut Fields) -> Ttl {
    let Some(seconds) = fields.int("ttlInSeconds") else { return Ttl::Unchanged };
    super::ttl(seconds).unwrap_or_else(|| {
        let message = format!("{seconds} seconds are more than redis can keep");
        fields.problem("ttlInSeconds", message);
        Ttl::Unchanged
    })
}

fn read_tls(fields: &mut Fields) -> Option<TlsSettings> {
    let enabled = fields.bool("enableTLS").unwrap_or(false);
    let skip_verify = fields.bool("insecureSkipTLSVerify").unwrap_or(false);
    let certificate = fields.text("clientCert");
    let key = fields.text("clientKey");
    if !enabled {
        for field in ["insecureSkipTLSVerify", "clientCert", "clientKey"] {
            fields.without_effect(field, "has no effect without enableTLS");
        }
        return None;
    }
    let identity = match (certificate, key) {
        (Some(certificate), Some(key)) => {
            Identity::read(&certificate, &key).map_err(|wrong| fields.problem_in(wrong)).ok()
        }
        (Some(_), None) => {
            fields.without_effect("clientCert", "has no effect without clientKey");
            None
        }
        (None, Some(_)) => {
            fields.without_effect("clientKey", "has no effect without clientCert");
            None
        }
        (None, None) => None,
    };
    Some(TlsSettings { verify: !skip_verify, identity })
}

/// A time as the metadata gives it: nought and nothing are the default, below nought is "none".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Time {
    Default,
    Off,
    After(Duration),
}
