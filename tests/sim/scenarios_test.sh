#!/usr/bin/env bash
# scenarios_test.sh WSR FOLDER SEEDS OUT: every scenario with these seeds; the million clients have a test of their own. OUT gets
# result.json and junit.xml, and of each scenario that fails its trace and its report.
set -euo pipefail
wsr=$1 folder=$2 seeds=$3 out=$4
rm -rf "$out"
mkdir -p "$out"
mapfile -t files < <(find "$folder" -name '*.json' ! -name '*.schema.json' ! -name 'million-clients.json' | sort)
status=0
"$wsr" simulate "${files[@]}" --seeds "$seeds" --out "$out" || status=$?
grep -q '<testsuites>' "$out/junit.xml"
exit "$status"
