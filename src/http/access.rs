//! The routes that the rules of `spec.api` leave open. One that they close does not exist.

use axum::{Router, routing::MethodRouter};

use crate::edge::access::Access;

/// The parts of the API that routes belong to, by the names that rules have for them.
pub(super) const STATE: &str = "v1/state";
pub(super) const STATE_ALPHA: &str = "v1alpha1/state";
pub(super) const METADATA: &str = "v1/metadata";
pub(super) const SHUTDOWN: &str = "v1/shutdown";

/// Whether rules leave open what no route matches, which is service invocation.
pub fn permits_invocation(access: &Access) -> bool {
    permits(access, "v1/invoke", "/v1.0/invoke/")
}

/// Adds the routes to `router` that `access` leaves open: each with its part of the API.
pub(super) fn add_open<S, const N: usize>(
    router: Router<S>,
    access: &Access,
    routes: [(&str, &str, MethodRouter<S>); N],
) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    let open = routes.into_iter().filter(|(part, path, _)| permits(access, part, path));
    open.fold(router, |router, (_, path, handlers)| router.route(path, handlers))
}

/// A rule means a part of the API by its name, or routes by how they begin.
pub(super) fn permits(access: &Access, part: &str, path: &str) -> bool {
    access.permits(|rule| {
        let rule = format!("{}/{}", rule.version, rule.name);
        rule == part || path[1..].starts_with(&rule)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edge::access::ApiName;

    #[test]
    fn a_rule_means_a_part_of_the_api_or_a_beginning_of_routes() {
        for (version, name, meant) in [
            ("v1", "state", [true, false]),
            ("v1alpha1", "state", [false, true]),
            ("v1.0", "state", [true, false]),
            ("v1.0-alpha1", "state", [false, true]),
            ("v1", "metadata", [false, false]),
            ("V1", "state", [false, false]),
            ("", "state", [false, false]),
        ] {
            let rule = ApiName { name: name.to_owned(), version: version.to_owned() };
            let access = Access { allowed: vec![rule], denied: vec![] };
            let found = [
                permits(&access, STATE, "/v1.0/state/{store}"),
                permits(&access, STATE_ALPHA, "/v1.0-alpha1/state/{store}/query"),
            ];
            assert_eq!(found, meant, "{version}/{name}");
        }
    }
}
