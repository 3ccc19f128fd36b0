#!/bin/sh
# Install what is missing of the Debian packages that building and testing need.
set -eu
build="gcc cmake ninja-build lemon liblz4-dev libreadline-dev libboost-context-dev libisal-dev
libxxhash-dev libgmp-dev libssl-dev libpcre2-dev libcmocka-dev libcjson-dev libcurl4-openssl-dev
python3"
tests="clang clang-format libclang-rt-14-dev postgresql-15 postgresql-client-15 libpg-query-dev
libprotobuf-c-dev python3-psycopg2 python3-psycopg python3-asyncpg python3-sqlalchemy python3-django
libdbd-pg-perl libpostgresql-jdbc-java etcd-server etcd-client libpq-dev pgbouncer openssl"
case "${1:-build}" in
    build) wanted=$build ;;
    test) wanted="$build $tests" ;;
esac
missing=""
for package in $wanted; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
# These may be there from elsewhere than Debian.
if [ "${1:-build}" = test ]; then
    for pair in node:nodejs npm:npm javac:default-jdk-headless; do
        command -v "${pair%%:*}" >/dev/null || missing="$missing ${pair#*:}"
    done
fi
[ -z "$missing" ] && exit 0
echo "installing:$missing"
# A server that Debian starts by itself is not wanted: the benchmark starts its own.
export DEBIAN_FRONTEND=noninteractive
sudo=""
[ "$(id -u)" = 0 ] || sudo=sudo
$sudo apt-get update -qq
# shellcheck disable=SC2086
$sudo apt-get install -y -qq --no-install-recommends $missing >/dev/null
