# A thin door to CMake. `make run` and `make test` work as the first command on a fresh Debian 12.
.PHONY: all deps build run test bench lint
all: build

deps:
	@tools/deps.sh

build: deps
	@test -f build/release/build.ninja || cmake --preset release >/dev/null
	@ninja -C build/release
