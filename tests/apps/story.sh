#!/usr/bin/env bash
# The outage story on the quickstart's own resources: a Redis is stopped for half a minute while the
# order-processor runs, and the order-processor never knows. Shows what a user sees on a terminal,
# then checks that the lines of the story are there.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

target=${TARGET_DIR:-target}
work=$(mktemp -d)
redis_pid=
sidecar_pid=

clean_up() {
    [ -z "$sidecar_pid" ] || kill -INT "$sidecar_pid" 2> /dev/null || true
    [ -z "$sidecar_pid" ] || wait "$sidecar_pid" 2> /dev/null || true
    [ -z "$redis_pid" ] || kill "$redis_pid" 2> /dev/null || true
    [ -z "$redis_pid" ] || wait "$redis_pid" 2> /dev/null || true
    rm -rf "$work"
}
trap clean_up EXIT

say() { printf '\n--- %s\n' "$*"; }

is_taken() { (exec 3<> "/dev/tcp/127.0.0.1/$1") 2> /dev/null; }

resources=resources
port=6379
if is_taken $port; then
    while is_taken $port; do port=$((port + 1)); done
    cp -r resources "$work/resources"
    resources=$work/resources
    sed -i "s/localhost:6379/localhost:$port/" "$resources/statestore.yaml"
    say "port 6379 is taken: a copy of resources/ names port $port"
fi

start_redis() {
    redis-server --port "$port" --bind 127.0.0.1 --dir "$work" --save "" --appendonly yes \
        > "$work/redis.log" &
    redis_pid=$!
    until redis-cli -p "$port" ping 2> /dev/null | grep -q PONG; do sleep 0.1; done
}

app=("$target/debug/examples/order-processor")
if cmp -s tests/apps/python/requirements.txt tests/.venv/requirements.txt; then
    app=(tests/.venv/bin/python tests/apps/python/order_processor.py)
fi

say "redis-server on port $port, then: outrigger run --resources-path resources/ -- ${app[*]}"
start_redis
ORDERS=1000 PAUSE_MS=1000 "$target/debug/outrigger" run --app-id order-processor \
    --resources-path "$resources" -- "${app[@]}" > "$work/log" 2>&1 &
sidecar_pid=$!
tail -f -n +1 --pid=$sidecar_pid "$work/log" &

wait_for() { # text, seconds, how often
    for _ in $(seq $(($2 * 10))); do
        [ "$(grep -c -- "$1" "$work/log")" -lt "${3:-1}" ] || return 0
        sleep 0.1
    done
    say "no line with '$1' within $2 s"
    return 1
}

wait_for "Deleting Order: { orderId: '4' }" 30
say "redis-server is stopped"
kill "$redis_pid" && wait "$redis_pid" || true
redis_pid=
wait_for 'changed state from half-open to open' 60 2
say "redis-server is started"
start_redis
wait_for 'Recovered processing operation component\[statestore\] output after' 30
wait_for 'Deleting Order' 20 8
kill -INT "$sidecar_pid"
wait "$sidecar_pid" || { say "outrigger ended with code $?"; exit 1; }
sidecar_pid=

say "what happened"
grep -o 'Saving Order: .*' "$work/log" | sed 's/[^0-9]//g' > "$work/saved"
seq "$(wc -l < "$work/saved")" > "$work/expected"
cmp "$work/saved" "$work/expected"
echo "orders 1 to $(tail -n 1 "$work/saved"), each once and in sequence"
retries=$(grep -c 'Error processing operation component\[statestore\] output. Retrying in 5s' "$work/log")
opened=$(grep -c 'changed state from closed to open' "$work/log")
probes=$(grep -c 'changed state from open to half-open' "$work/log")
echo "retry line $retries time(s), breaker opened $opened time(s), $probes half-open tries"
grep -o 'Recovered processing operation.* attempts' "$work/log"
[ "$retries" = 1 ] && [ "$opened" = 1 ] && [ "$probes" -ge 3 ]
