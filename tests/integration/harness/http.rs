//! Plain HTTP requests.

use std::time::Duration;

use ureq::{Agent, http::Request};

/// What came back.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The header `content-type`; empty if there is none.
    pub content_type: String,
    /// The body.
    pub body: String,
}

/// Sends a request to a port of this machine; an error is one of the connection.
pub fn request(
    method: &str,
    port: u16,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Result<Answer, ureq::Error> {
    let agent: Agent = Agent::config_builder()
        .http_status_as_error(false)
        .proxy(None)
        .timeout_global(Some(Duration::from_secs(10)))
        .allow_non_standard_methods(true)
        .build()
        .into();
    let mut request =
        Request::builder().method(method).uri(format!("http://127.0.0.1:{port}{path}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let mut response = if body.is_empty() {
        agent.run(request.body(()).expect("a request"))?
    } else {
        agent.run(request.body(body).expect("a request"))?
    };
    let content_type = response.headers().get("content-type");
    let content_type = content_type.map_or("", |value| value.to_str().unwrap_or("not text"));
    Ok(Answer {
        status: response.status().as_u16(),
        content_type: content_type.to_owned(),
        body: response.body_mut().read_to_string()?,
    })
}
