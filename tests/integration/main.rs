//! The whole product, tested from outside: one binary, a module a concern.

mod abuse; // ten thousand bad requests
mod architecture; // import rows, who names which crate, file lengths, words that may not stand in src
mod ci_docs; // what docs/ci.md, the Dockerfile and the Kubernetes manifest say works
mod commands; // list, stop, health
mod daprd; // in the place where Dapr's CLI looks for daprd
mod deadlines; // a call lasts no longer than its caller waits
mod documents; // links of README and docs
mod doors; // public port, sockets, origins, API rules, lines about calls
mod dotnet; // what .NET sends, sent without .NET
mod failures; // the failure table: its document, and each of its rows for real
mod ghosts; // nothing is written after its caller was told that it was not
mod go_sdk; // the published Go SDK, and plain HTTP from Go
mod grpcurl; // the published grpcurl, by reflection alone
mod harness; // Redis, sidecar, clients, proxy, canaries
mod java_sdk; // the published Java SDK, and plain HTTP from Java
mod javascript_sdk; // the published JavaScript SDK, over HTTP and gRPC
mod licences; // what we build with may be built with
mod lifecycle; // exit codes, signals, grace
mod limits; // sizes, tokens, unknown methods, reflection
mod metrics; // what a scrape says, and what docs/metrics.md says of it
mod migration; // from daprd, beside it, and back
mod multi_app; // run -f: several apps in one command
mod output; // log formats, outputs that are blocked or closed
mod overload; // calls, bytes, connections, streams: what is too much
mod plain_http; // no SDK: HTTP from Python and from Node
mod python_sdk; // the published Python SDK, its blocking and its asynchronous client
mod recovery; // Redis down at start, wrong password, TLS, flushed scripts, stalls, replicas, metadata
mod retries; // what a retry repeats, and what is told in the end
mod run; // the sidecar and its app in one command
mod shared_redis; // the hashes that daprd and we share
mod sleep; // the thread that serves calls has no timers
mod story; // the outage story: stopped, killed, frozen
