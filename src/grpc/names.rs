//! Which method names lead where.

/// The service that SDKs call.
pub const DAPR: &str = "dapr.proto.runtime.v1.Dapr";

/// Where the packages of Dapr's own services begin.
const RUNTIME_PACKAGES: &str = "dapr.proto.runtime.";

/// Where a call goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// A method of the service that is served.
    Dapr(&'static str),
    /// One of the two reflection services.
    Reflection,
    /// A method of Dapr's service that is not served.
    Unserved(&'static str),
    /// A method that Dapr's service does not have.
    Unknown,
    /// Another service.
    Foreign,
    /// No service at all.
    Malformed,
}

impl Destination {
    /// Whether a call is let in however much there is to do: it waits for nothing, and whoever looks
    /// after the sidecar needs it most then.
    pub fn is_exempt_from_limits(self) -> bool {
        matches!(self, Self::Dapr("GetMetadata" | "Shutdown"))
    }
}

/// Every method of Dapr's service, the busiest first.
pub fn methods() -> impl Iterator<Item = &'static str> {
    SERVED.into_iter().chain(UNSERVED)
}

/// Where `path` leads.
pub fn destination(path: &str) -> Destination {
    let relative = path.strip_prefix('/').unwrap_or(path);
    let Some((service, method)) = relative.rsplit_once('/') else { return Destination::Malformed };
    match service {
        DAPR => of_dapr(method),
        "grpc.reflection.v1.ServerReflection" | "grpc.reflection.v1alpha.ServerReflection" => {
            Destination::Reflection
        }
        _ if service.starts_with(RUNTIME_PACKAGES) => Destination::Unknown,
        _ => Destination::Foreign,
    }
}

fn of_dapr(method: &str) -> Destination {
    if let Some(name) = SERVED.iter().find(|name| **name == method) {
        return Destination::Dapr(name);
    }
    match UNSERVED.iter().find(|name| **name == method) {
        Some(name) => Destination::Unserved(name),
        None => Destination::Unknown,
    }
}

/// The methods served, the busiest first.
const SERVED: [&str; 10] = [
    "GetState",
    "SaveState",
    "DeleteState",
    "GetBulkState",
    "ExecuteStateTransaction",
    "DeleteBulkState",
    "QueryStateAlpha1",
    "GetMetadata",
    "SetMetadata",
    "Shutdown",
];

/// The other methods of Dapr's service.
const UNSERVED: [&str; 62] = [
    "InvokeService",
    "PublishEvent",
    "BulkPublishEventAlpha1",
    "BulkPublishEvent",
    "SubscribeTopicEventsAlpha1",
    "InvokeBinding",
    "GetSecret",
    "GetBulkSecret",
    "RegisterActorTimer",
    "UnregisterActorTimer",
    "RegisterActorReminder",
    "UnregisterActorReminder",
    "UnregisterActorRemindersByType",
    "ListActorReminders",
    "GetActorState",
    "GetActorReminder",
    "ExecuteActorStateTransaction",
    "InvokeActor",
    "SubscribeActorEventsAlpha1",
    "GetConfigurationAlpha1",
    "GetConfiguration",
    "SubscribeConfigurationAlpha1",
    "SubscribeConfiguration",
    "UnsubscribeConfigurationAlpha1",
    "UnsubscribeConfiguration",
    "TryLockAlpha1",
    "UnlockAlpha1",
    "EncryptAlpha1",
    "DecryptAlpha1",
    "SubtleGetKeyAlpha1",
    "SubtleEncryptAlpha1",
    "SubtleDecryptAlpha1",
    "SubtleWrapKeyAlpha1",
    "SubtleUnwrapKeyAlpha1",
    "SubtleSignAlpha1",
    "SubtleVerifyAlpha1",
    "StartWorkflowAlpha1",
    "GetWorkflowAlpha1",
    "PurgeWorkflowAlpha1",
    "TerminateWorkflowAlpha1",
    "PauseWorkflowAlpha1",
    "ResumeWorkflowAlpha1",
    "RaiseEventWorkflowAlpha1",
    "StartWorkflowBeta1",
    "GetWorkflowBeta1",
    "PurgeWorkflowBeta1",
    "TerminateWorkflowBeta1",
    "PauseWorkflowBeta1",
    "ResumeWorkflowBeta1",
    "RaiseEventWorkflowBeta1",
    "ScheduleJobAlpha1",
    "ScheduleJob",
    "GetJobAlpha1",
    "GetJob",
    "DeleteJobAlpha1",
    "DeleteJob",
    "DeleteJobsByPrefixAlpha1",
    "DeleteJobsByPrefix",
    "ListJobsAlpha1",
    "ListJobs",
    "ConverseAlpha1",
    "ConverseAlpha2",
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use prost::Message as _;
    use prost_types::FileDescriptorSet;

    use super::*;

    #[test]
    fn the_list_of_methods_served_is_that_of_the_descriptors() {
        let set = FileDescriptorSet::decode(crate::proto::DESCRIPTORS).unwrap();
        let declared: HashSet<_> = set
            .file
            .iter()
            .flat_map(|file| &file.service)
            .flat_map(|service| &service.method)
            .map(|method| method.name().to_owned())
            .collect();
        assert_eq!(declared, SERVED.iter().map(|name| (*name).to_owned()).collect());
        assert!(UNSERVED.iter().all(|name| !declared.contains(*name)));
    }

    #[test]
    fn paths_lead_where_their_names_say() {
        for (path, expected) in [
            ("/dapr.proto.runtime.v1.Dapr/GetState", Destination::Dapr("GetState")),
            ("/dapr.proto.runtime.v1.Dapr/PublishEvent", Destination::Unserved("PublishEvent")),
            ("/dapr.proto.runtime.v1.Dapr/getState", Destination::Unknown),
            ("/dapr.proto.runtime.v1.Dapr/", Destination::Unknown),
            ("/dapr.proto.runtime.v2.Other/X", Destination::Unknown),
            ("/dapr.proto.runtimes.Other/X", Destination::Foreign),
            ("/x.dapr.proto.runtime.v1.Dapr/GetState", Destination::Foreign),
            ("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", Destination::Reflection),
            (
                "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
                Destination::Reflection,
            ),
            ("/grpc.health.v1.Health/Check", Destination::Foreign),
            ("//x", Destination::Foreign),
            ("/nomethod", Destination::Malformed),
            ("/", Destination::Malformed),
        ] {
            assert_eq!(destination(path), expected, "{path}");
        }
    }
}
