"""The tables of docs/operations.md against the program: options from `wsr serve --help`, metrics from /api/stats.

Check:   python3 options_table_test.py WSR docs/operations.md
Rewrite: python3 options_table_test.py WSR docs/operations.md --write     (the options table only)
Standard library only; loopback only.
"""
import json
import os
import re
import subprocess
import sys
import tempfile
import urllib.request

BEGIN, END = "<!-- options: begin -->\n", "<!-- options: end -->\n"
OPTION = re.compile(r"^  (?:-\w,)?--([\w-]+)(?: ([^\s=]+?)(?::U?INT in \[[^]]*\])?(?:=(\S+))?)?(?: \.\.\.)? \(Env:(\w+)\)\s*(.*)$")
METRICS_BEGIN, METRICS_END = "<!-- metrics: begin -->\n", "<!-- metrics: end -->\n"


def clean_environment(runtime="/nonexistent"):
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WSR_")}
    return kept | {"XDG_RUNTIME_DIR": runtime}


def options_of(wsr):
    """[(flag, type, default, variable, meaning)] in the order of the help."""
    text = subprocess.run([wsr, "serve", "--help"], env=clean_environment(), capture_output=True, text=True, check=True)
    options = []
    for line in text.stdout.split("\nExamples:")[0].splitlines():
        found = OPTION.match(line)
        if found:
            flag, kind, default, variable, meaning = found.groups()
            options.append([flag, kind, default, variable, meaning])
        elif line.startswith(" " * 20) and options:
            options[-1][4] = (options[-1][4] + " " + line.strip()).strip()
    return options


def table_of(options):
    lines = ["| flag | environment | config key | default | meaning |", "|---|---|---|---|---|"]
    for flag, kind, default, variable, meaning in options:
        said = re.search(r" ?\(default: ([^)]*)\)", meaning)
        if said:
            meaning = meaning.replace(said.group(0), "")
            default = said.group(1)
        elif kind is None:
            default = "off"
        elif default is None:
            default = "none"
        else:
            default = f"`{default}`"
        value = f" {kind}" if kind else ""
        cells = [f"`--{flag}{value}`", f"`{variable}`", f"`{flag}`", default, meaning]
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def between(text, begin, end):
    return text.split(begin)[1].split(end)[0]


def names_of(stats, prefix=""):
    for name, value in stats.items():
        if isinstance(value, dict):
            yield from names_of(value, f"{prefix}{name}.")
        else:
            yield prefix + name


def metrics_of(wsr):
    with tempfile.TemporaryDirectory() as runtime:
        server = subprocess.Popen([wsr, "serve", "-p", "0"], env=clean_environment(runtime), stdout=subprocess.PIPE,
                                  text=True)
        try:
            url = re.search(r"http://\S+", server.stdout.readline()).group(0)
            with urllib.request.urlopen(url + "/api/stats", timeout=10) as answer:
                return set(names_of(json.load(answer)))
        finally:
            server.terminate()
            server.wait(timeout=20)


def main(wsr, path, write):
    with open(path, encoding="utf-8") as file:
        text = file.read()
    options = options_of(wsr)
    assert len(options) >= 20, f"the help of wsr serve was not understood: {options}"
    wanted, found = table_of(options), between(text, BEGIN, END)
    if write:
        with open(path, "w", encoding="utf-8") as file:
            file.write(text.replace(BEGIN + found + END, BEGIN + wanted + END))
        return 0
    bad = 0
    for line in sorted(set(wanted.splitlines()) - set(found.splitlines())):
        bad = 1
        print("missing in the table of options:", line)
    for line in sorted(set(found.splitlines()) - set(wanted.splitlines())):
        bad = 1
        print("not what wsr serve --help says: ", line)
    listed = set()
    for line in between(text, METRICS_BEGIN, METRICS_END).splitlines():
        listed.update(re.findall(r"`([\w.]+)`", line.split("|")[1]) if line.startswith("| `") else [])
    answered = metrics_of(wsr)
    for name in sorted(answered - listed):
        bad = 1
        print("missing in the table of metrics:", name)
    for name in sorted(listed - answered):
        bad = 1
        print("not in /api/stats:", name)
    if bad:
        print(f"the options table is rewritten by: python3 {sys.argv[0]} {wsr} {path} --write")
    return bad


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[3:] == ["--write"]))
