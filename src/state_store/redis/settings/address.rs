//! `redisHost` and `redisPort`: where the server is.

use super::fields::Fields;

/// Where the server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) host: String,
    pub(super) port: u16,
}

const DEFAULT_PORT: u16 = 6379;

/// Reads both fields; what is wrong with them is told to `fields`.
pub(super) fn read(fields: &mut Fields) -> Address {
    let given_port = fields.port("redisPort").filter(|&port| port != 0);
    let text = fields.text("redisHost").unwrap_or_default();
    let text = text.trim();
    match split(text) {
        Ok((host, own_port)) => {
            if let (Some(own), Some(given)) = (own_port, given_port)
                && own != given
            {
                fields.problem(
                    "redisHost",
                    format!(
                        "redis host \"{text}\" already contains port {own}, but redisPort is set \
                         to {given}; either remove the port from redisHost or remove the \
                         redisPort setting"
                    ),
                );
            }
            let port = own_port.or(given_port).unwrap_or(DEFAULT_PORT);
            Address { host, port }
        }
        Err(message) => {
            fields.problem("redisHost", message);
            Address { host: String::new(), port: DEFAULT_PORT }
        }
    }
}

fn split(text: &str) -> Result<(String, Option<u16>), String> {
    if text.is_empty() {
        return Ok(("localhost".to_owned(), None));
    }
    if text.contains(',') {
        let message = "names several servers, which only a cluster or sentinels would need; \
                       neither is served: name the one server";
        return Err(message.to_owned());
    }
    if text.contains("://") || text.contains(char::is_whitespace) {
        return Err(format!("\"{text}\" is no address: write host or host:port"));
    }
    if let Some(rest) = text.strip_prefix('[') {
        let Some((host, after)) = rest.split_once(']') else {
            return Err(format!("\"{text}\" has no closing bracket"));
        };
        if after.is_empty() {
            return Ok((host.to_owned(), None));
        }
        let port = after.strip_prefix(':').ok_or_else(|| format!("\"{text}\" is no address"))?;
        return Ok((host.to_owned(), Some(read_port(text, port)?)));
    }
    match text.split_once(':') {
        // More than one colon and no brackets: an IPv6 address without a port.
        Some((_, rest)) if rest.contains(':') => Ok((text.to_owned(), None)),
        Some(("", port)) => Ok(("localhost".to_owned(), Some(read_port(text, port)?))),
        Some((host, port)) => Ok((host.to_owned(), Some(read_port(text, port)?))),
        None => Ok((text.to_owned(), None)),
    }
}

fn read_port(text: &str, port: &str) -> Result<u16, String> {
    match port.parse() {
        Ok(0) | Err(_) => Err(format!("\"{text}\" has no valid port: 1 to 65535 is one")),
        Ok(port) => Ok(port),
    }
}
