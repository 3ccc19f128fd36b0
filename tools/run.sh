#!/bin/sh
# Start the server on ./data if none runs there, open the shell, and stop what was started.
set -eu
port=${PORT:-5433}
build/release/tuskd --data ./data --port "$port" 2>data.log &
server=$!
trap 'kill -TERM $server 2>/dev/null; wait $server 2>/dev/null; rm -f data.log' EXIT
tries=0
until grep -qs ' ready: ' data.log; do
    tries=$((tries + 1))
    if ! kill -0 $server 2>/dev/null || [ $tries -gt 600 ]; then
        cat data.log >&2
        ! grep -q 'Address already in use' data.log || echo "PORT=5434 make run uses another port." >&2
        exit 1
    fi
    sleep 0.1
done
build/release/tusk -h 127.0.0.1 -p "$port" -d postgres
