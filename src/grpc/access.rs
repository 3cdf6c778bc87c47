//! The RPCs that the rules of `spec.api` leave open.

use crate::{
    edge::access::{Access, ApiName},
    grpc::names::Destination,
};

/// Whether a call may go where its path leads. No RPC is exempt: with an allow list, whatever
/// belongs to none of its parts is closed.
pub fn permits(access: &Access, destination: Destination) -> bool {
    access.permits(|rule| is_meant(rule, destination))
}

fn is_meant(rule: &ApiName, destination: Destination) -> bool {
    let (Destination::Dapr(method) | Destination::Unserved(method)) = destination else {
        return false;
    };
    part(method).is_some_and(|(name, version)| rule.name == name && rule.version == version)
}

/// The part of the API that a method belongs to, by its name and version.
fn part(method: &str) -> Option<(&'static str, &'static str)> {
    match method {
        "GetState"
        | "GetBulkState"
        | "SaveState"
        | "DeleteState"
        | "DeleteBulkState"
        | "ExecuteStateTransaction" => Some(("state", "v1")),
        "QueryStateAlpha1" => Some(("state", "v1alpha1")),
        "GetMetadata" | "SetMetadata" => Some(("metadata", "v1")),
        "Shutdown" => Some(("shutdown", "v1")),
        // The others are not served, however open they are.
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grpc::names::destination;

    fn open(allowed: &[(&str, &str)], denied: &[(&str, &str)]) -> Vec<&'static str> {
        let rules = |names: &[(&str, &str)]| {
            let rule = |(name, version): &(&str, &str)| ApiName {
                name: (*name).to_owned(),
                version: (*version).to_owned(),
            };
            names.iter().map(rule).collect()
        };
        let access = Access { allowed: rules(allowed), denied: rules(denied) };
        let methods = ["SaveState", "QueryStateAlpha1", "SetMetadata", "Shutdown", "PublishEvent"];
        let is_open = |method: &&str| {
            permits(&access, destination(&format!("/dapr.proto.runtime.v1.Dapr/{method}")))
        };
        methods.into_iter().filter(is_open).collect()
    }

    #[test]
    fn rules_close_parts_of_the_api_and_an_allow_list_all_others() {
        let all = ["SaveState", "QueryStateAlpha1", "SetMetadata", "Shutdown", "PublishEvent"];
        assert_eq!(open(&[], &[]), all);
        assert_eq!(open(&[("state", "v1")], &[]), ["SaveState"]);
        assert_eq!(open(&[], &[("state", "v1")]), all[1..]);
        assert_eq!(
            open(&[("state", "v1"), ("metadata", "v1")], &[("state", "v1")]),
            ["SetMetadata"]
        );
        assert_eq!(open(&[("nope", "v1")], &[]), [""; 0]);
        assert_eq!(open(&[], &[("state", "v1.0"), ("State", "v1")]), all);
    }

    #[test]
    fn reflection_is_closed_by_any_allow_list() {
        let path = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
        let rule = ApiName { name: "state".to_owned(), version: "v1".to_owned() };
        let allowing = Access { allowed: vec![rule.clone()], denied: vec![] };
        let denying = Access { allowed: vec![], denied: vec![rule] };
        assert!(!permits(&allowing, destination(path)));
        assert!(permits(&denying, destination(path)));
    }
}
