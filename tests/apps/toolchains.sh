#!/usr/bin/env bash
# Tells which clients cannot be tested here for want of their language's tools, a line a language. On
# CI that is a failure.
set -euo pipefail

complete=true

needs() {
    local clients=$1 missing=() tool
    shift
    for tool in "$@"; do
        command -v "$tool" > /dev/null || missing+=("$tool")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    ! $complete || printf '%-16s %s\n' missing skipped
    printf '%-16s %s\n' "${missing[*]}" "$clients"
    complete=false
}

needs "Python SDK, plain HTTP from Python" python3
needs "JavaScript SDK over HTTP and gRPC, plain HTTP from Node" node npm
needs "Go SDK, plain HTTP from Go, grpcurl" go
needs "Java SDK, plain HTTP from Java" java mvn

$complete || [ "${CI:-}" != true ]
