# A thin door to CMake. `make run` and `make test` work as the first command on a fresh Debian 12.
.PHONY: all deps test-deps build run cluster test torture simulate bench bench-bulk bench-storage isolation-matrix lint clean
all: build

deps:
	@tools/deps.sh build

test-deps:
	@tools/deps.sh test

build: deps
	@test -f build/release/build.ninja || cmake --preset release >/dev/null
	@ninja -C build/release --quiet

# The server with the shell, on ./data. Leaving the shell stops the server.
cluster: test-deps build
	tools/cluster.sh

run: build
	@tools/run.sh

# Everything: unit tests under sanitizers, golden files, torture in its short form.
test: test-deps
	@tests/run.py

# Long forms, until interrupted.
torture: test-deps build
	@build/release/tusk_sim --seed $$(date +%s) --seconds 600
	@build/release/tusk_sim_cluster --seed 1 --count 12 --trouble
	@tests/isolation/isolation.py --spawn release
	@tests/isolation/isolationtester.py --spawn release --limit 0 --level "read committed" \
	    --level "repeatable read"
	@tests/isolation/checker.py --spawn release --clients 16 --seconds 60
	@tests/isolation/checker.py --spawn release --clients 16 --seconds 60 --idle-snapshot
	@tests/isolation/checker.py --spawn release --clients 16 --seconds 60 --level "repeatable read"
	@tests/isolation/checker.py --spawn release --clients 16 --seconds 120 --kill 5
	@tests/isolation/checker.py --spawn release --clients 16 --seconds 60 --kill 5 --level "repeatable read"
	@tests/isolation/checker.py --spawn release --clients 16 --seconds 60 --kill 5 --level "read committed"
	@tests/isolation/checker.py --spawn release --clients 16 --seconds 60 --kill 5 --tiny
	@tests/isolation/checker.py --spawn tsan --clients 16 --seconds 60
	@tests/system/hot_row.py --rounds 100
	@tests/system/differential.py --seed $$(date +%s) --rounds 400
	@tests/system/differential_calls.py --seed $$(date +%s) --calls 200000
	@tests/cluster/bank.py --seconds 120 --moves
	@tests/cluster/damage.py release --seconds 120 --seed $$(date +%s)
	@tests/system/kill.py --rounds 1000000

# The whole server in the simulator, seed after seed, until interrupted.
simulate: build
	@build/release/tusk_sim --seed $$(date +%s) --count 1000000000

# Beside PostgreSQL 15, alternately, on this machine.
bench: test-deps build
	@bench/pgbench.py
	@bench/oltp.py
	@bench/tpch.py
	@bench/router.py --short

# Every anomaly at every isolation level, beside PostgreSQL 15; README.md shows it.
isolation-matrix: test-deps build
	@tests/isolation/matrix.py --readme

# Five million rows: loading, indexing, scanning, sorting, grouping, joining.
bench-bulk: test-deps build
	@bench/bulk.py

# Recovery and size on disk beside PostgreSQL; throughput beside checkpoints by the second, in memory
# and larger than memory; P6 and 4 GiB at length.
bench-storage: test-deps build
	@bench/recovery.py
	@bench/size.py
	@bench/checkpoint_series.py --seconds 120
	@bench/checkpoint_series.py --seconds 120 --cache 64MB --scale 20
	@tests/system/bloat.py --long
	@tests/system/larger_than_memory.py --long

lint: test-deps
	@tools/tidy.py . --dead
	@git ls-files '*.c' '*.h' | xargs clang-format --dry-run --Werror
	@test -f build/clang/build.ninja || cmake --preset clang >/dev/null
	@ninja -C build/clang --quiet

clean:
	rm -rf build
