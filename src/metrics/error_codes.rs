//! Failed calls by the code their callers were told.

use super::{families, instrument::Counter, text::Scrape};

const STATE: &str = "state";
const COMMON: &str = "common";
const HEALTH: &str = "health";

/// Every code there is, with its category. The first one has two: a key with `||` is the state's.
const CODES: [(&str, &str); 18] = [
    ("ERR_MALFORMED_REQUEST", COMMON),
    ("ERR_MALFORMED_REQUEST", STATE),
    ("ERR_BODY_READ", COMMON),
    ("ERR_STATE_STORE_NOT_CONFIGURED", STATE),
    ("ERR_STATE_STORE_NOT_FOUND", STATE),
    ("ERR_STATE_GET", STATE),
    ("ERR_STATE_BULK_GET", STATE),
    ("ERR_STATE_SAVE", STATE),
    ("ERR_STATE_DELETE", STATE),
    ("ERR_STATE_BULK_DELETE", STATE),
    ("ERR_STATE_TRANSACTION", STATE),
    ("ERR_NOT_SUPPORTED_STATE_OPERATION", STATE),
    ("ERR_STATE_STORE_NOT_SUPPORTED", STATE),
    ("ERR_STATE_QUERY", STATE),
    ("ERR_HEALTH_NOT_READY", HEALTH),
    ("ERR_OUTBOUND_HEALTH_NOT_READY", HEALTH),
    ("ERR_HEALTH_APPID_NOT_MATCH", HEALTH),
    ("ERR_DIRECT_INVOKE", "service-invocation"),
];

/// A code as a caller was told it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrorCode {
    /// The code.
    pub code: &'static str,
    /// Whether the state API has it from what it was asked and not from how.
    pub is_about_state: bool,
}

/// What is counted for each code.
#[derive(Debug, Default)]
pub struct ErrorCodes {
    counters: [Counter; CODES.len()],
}

impl ErrorCodes {
    /// A call failed with this code.
    pub fn record(&self, told: ErrorCode) {
        let known = CODES.iter().position(|(code, category)| {
            *code == told.code && (!told.is_about_state || *category == STATE)
        });
        if let Some(known) = known {
            self.counters[known].add_one();
        }
    }

    /// Puts the codes' series into a scrape.
    pub fn collect(&self, scrape: &mut Scrape, app_id: &str) {
        for ((code, category), count) in CODES.iter().zip(&self.counters) {
            let labels = [("app_id", app_id), ("category", category), ("error_code", code)];
            scrape.counter(&families::ERROR_CODES, labels, count.get());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_counted_under_its_category() {
        let codes = ErrorCodes::default();
        for (code, is_about_state) in [
            ("ERR_MALFORMED_REQUEST", false),
            ("ERR_MALFORMED_REQUEST", true),
            ("ERR_STATE_GET", true),
            ("ERR_DIRECT_INVOKE", false),
            ("ERROR", false),
        ] {
            codes.record(ErrorCode { code, is_about_state });
        }
        let mut scrape = Scrape::default();
        codes.collect(&mut scrape, "a");
        let text = scrape.into_text();
        let lines: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(
            lines,
            [
                "dapr_error_code_total{app_id=\"a\",category=\"common\",error_code=\"ERR_MALFORMED_REQUEST\"} 1",
                "dapr_error_code_total{app_id=\"a\",category=\"service-invocation\",error_code=\"ERR_DIRECT_INVOKE\"} 1",
                "dapr_error_code_total{app_id=\"a\",category=\"state\",error_code=\"ERR_MALFORMED_REQUEST\"} 1",
                "dapr_error_code_total{app_id=\"a\",category=\"state\",error_code=\"ERR_STATE_GET\"} 1",
            ]
        );
    }
}
