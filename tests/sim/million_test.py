"""million_test.py WSR SCENARIOS OUT: a million clients on a thousand servers at one seed.

It passes, in less than 1.1 KiB of memory a client (the checkers take a tenth of it), and leaves junit.xml.
"""
import json
import pathlib
import resource
import subprocess
import sys

wsr, scenarios, out = sys.argv[1:]
subprocess.run([wsr, "simulate", f"{scenarios}/million-clients.json", "--seed", "1", "--out", out], check=True)
result = json.loads(pathlib.Path(out, "result.json").read_text())["scenarios"][0]
assert result["ending"] == "passed", result["ending"]
assert result["runs"][0]["counts"]["connect.open"] >= 1_000_000, result["runs"][0]["counts"]
assert "<testsuites>" in pathlib.Path(out, "junit.xml").read_text()
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024  # bytes
print(f"{result['seconds']:.1f} s, at its most {peak / 1e6:.0f} MB")
assert peak < 1.1 * 1024 * 1_000_000, peak
