"""docs/scenarios.md against the program: its tutorial does what it says, its example runs and passes, and its key
reference leaves nothing out.

Run: python3 docs_test.py WSR docs/scenarios.md scenarios/scenario.schema.json core/routing/stats.hpp
Standard library only.
"""
import json
import os
import re
import subprocess
import sys
import tempfile

WSR, DOCS, SCHEMA, STATS = sys.argv[1:5]


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def simulate(text, *options):
    """What `wsr simulate` makes of this file: (exit code, what it says)."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "scenario.json")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        run = subprocess.run([WSR, "simulate", path, *options], capture_output=True, text=True, check=False)
        return run.returncode, run.stdout + run.stderr


def keys_and_choices(node):
    """Every key that the schema has, and every word that one of them chooses from."""
    if isinstance(node, dict):
        yield from node.get("properties", {})
        yield from node.get("enum", [])
        for each in node.values():
            yield from keys_and_choices(each)
    elif isinstance(node, list):
        for each in node:
            yield from keys_and_choices(each)


problems = []
section = read(DOCS).split("\n## The file\n")[1].split("\n## ")[0]
example = section.split("```jsonc\n")[1].split("```")[0]
code, said = simulate(example)
sent = re.search(r"messages +(\d+) sent", said)
if code != 0:
    problems.append(f"the example exits with {code}:\n{said}")
elif not sent or int(sent.group(1)) == 0:
    problems.append(f"the example sends nothing:\n{said}")

# The words that stand as code in the reference, a key also by its end: clients.reconnect.on.
words = set()
for code_span in re.findall(r"`([^`]+)`", section.split("```")[2]):
    for word in re.split(r"[^\w$.-]+", code_span):
        words.add(word)
        words.add(word.split(".")[-1])
wanted = set(keys_and_choices(json.loads(read(SCHEMA))))
wanted |= set(re.findall(r'\{"(\w+)", &Stats::', read(STATS)))
_, said = simulate(example.replace('"lease"', '"wibblewobble"', 1))
options = re.search(r"that a simulation knows; there are: ([\w, -]+)", said)
if options:
    wanted |= set(options.group(1).split(", "))
else:
    problems.append(f"the options that config takes were not said:\n{said}")
problems += [f"the reference does not name {word}" for word in sorted(wanted - words)]

# The tutorial: its file, and each of its commands in its order, with the exit code that it promises (0 if none).
tutorial = read(DOCS).split("\n## Tutorial\n")[1].split("\n## ")[0]
commands = [line for block in tutorial.split("```sh\n")[1:] for line in block.split("```")[0].splitlines()
            if line.startswith("wsr simulate ")]
with tempfile.TemporaryDirectory() as folder:
    with open(os.path.join(folder, "first.json"), "w", encoding="utf-8") as file:
        file.write(tutorial.split("```jsonc\n")[1].split("```")[0])
    for command in commands:
        words, _, comment = command.partition("#")
        promised = re.search(r"exit code (\d+)", comment)
        run = subprocess.run([WSR, *words.split()[1:]], cwd=folder, capture_output=True, text=True, check=False)
        if run.returncode != (int(promised.group(1)) if promised else 0):
            problems.append(f"the tutorial's `{words.strip()}` exits with {run.returncode}:\n{run.stdout}{run.stderr}")
if len(commands) < 8:
    problems.append(f"the tutorial has {len(commands)} commands: was it understood?")

for problem in problems:
    print(problem)
print(f"docs/scenarios.md: {len(wanted)} names, {len(problems)} problems")
sys.exit(1 if problems else 0)
