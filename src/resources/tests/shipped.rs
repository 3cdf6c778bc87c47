//! The files in `resources/`, as a user gets them.

use std::{path::Path, time::Duration};

use super::*;
use crate::resiliency::{backoff::Backoff, retry::RetryPolicy};

#[test]
fn the_shipped_resources_load_without_a_word_of_warning() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("resources");
    for mode in [Strictness::Strict, Strictness::Lenient] {
        let resources = load(&LoadOptions {
            resources_paths: std::slice::from_ref(&folder),
            config_paths: &[],
            app_id: "order-processor",
            namespace: None,
            mode,
            environment: &BTreeMap::new(),
        })
        .unwrap();
        let said: Vec<(Level, &str)> =
            resources.notices.iter().map(|it| (it.level, it.text.as_str())).collect();
        assert_eq!(
            said,
            [
                (Level::Info, "loading default configuration"),
                (Level::Debug, "Found 1 resiliency configurations in resources path"),
                (Level::Info, "Loading Resiliency configuration: myresiliency"),
            ]
        );
        assert_eq!(resources.components[0].log_name(), "statestore (state.redis/v1)");
        let policy = resources.policies.outbound("statestore");
        let backoff = Backoff::Constant { duration: Duration::from_secs(5) };
        assert_eq!(policy.retry(), Some(RetryPolicy { backoff, max_retries: None }));
        assert!(policy.breaker().is_some());
        assert_eq!(policy.timeout(), None);
    }
}
