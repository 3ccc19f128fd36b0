#!/bin/sh
# etcd, three shards and a router on this machine, below ./cluster; then the shell at the router. What
# was started is stopped at the end. PORT (default 5433) is the router's; the shards' follow it.
set -eu
port=${PORT:-5433}
etcd=$((port + 10))
mkdir -p cluster
started=""
# shellcheck disable=SC2086
trap 'kill -TERM $started 2>/dev/null; wait $started 2>/dev/null || true' EXIT
etcd --data-dir cluster/etcd --listen-client-urls "http://127.0.0.1:$etcd" \
    --advertise-client-urls "http://127.0.0.1:$etcd" \
    --listen-peer-urls "http://127.0.0.1:$((etcd + 1))" --log-level error >cluster/etcd.log 2>&1 &
started="$started $!"

# Until the log of the process says that it is ready.
wait_for() {
    tries=0
    until grep -q ' ready: ' "$2"; do
        tries=$((tries + 1))
        if ! kill -0 "$1" 2>/dev/null || [ $tries -gt 600 ]; then
            cat "$2" >&2
            exit 1
        fi
        sleep 0.1
    done
}

nodes=""
for n in 1 2 3; do
    build/release/tuskd --data "cluster/n$n" --port $((port + n)) -c "cluster_node=n$n" \
        -c "cluster_control=etcd://127.0.0.1:$etcd/tusk/" \
        --cache-size 256MB 2>"cluster/n$n.log" &
    started="$! $started"
    wait_for $! "cluster/n$n.log"
    nodes="$nodes${nodes:+,}n$n=127.0.0.1:$((port + n))"
done
build/release/tusk-router --data cluster/router --port "$port" --nodes "$nodes" \
    -c "router_control=etcd://127.0.0.1:$etcd/tusk/" 2>cluster/router.log &
started="$! $started"
wait_for $! cluster/router.log
echo "router: port $port; shards: $nodes; etcd: $etcd"
build/release/tusk -h 127.0.0.1 -p "$port" -d postgres -U postgres "$@"
