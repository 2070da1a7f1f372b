#!/usr/bin/env bash
# scenarios_test.sh WSR FOLDER SEEDS: every scenario with these seeds, but the million clients with one (in the bench).
set -euo pipefail
wsr=$1 folder=$2 seeds=$3
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
mapfile -t files < <(find "$folder" -name '*.json' ! -name '*.schema.json' ! -name 'million-clients.json' | sort)
status=0
"$wsr" simulate "${files[@]}" --seeds "$seeds" --out "$out" || status=$?
grep -q '<testsuites>' "$out/junit.xml"
exit "$status"
