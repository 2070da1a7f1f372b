"""scenario.schema.json, which editors use, held against the scenarios and against what the reader refuses.

Run: python3 schema_test.py FOLDER_OF_SCENARIOS. Needs the package python3-jsonschema; without it, skips (77).
"""
import copy
import glob
import json
import os
import sys

try:
    import jsonschema
except ImportError:
    print("skipped: there is no python3-jsonschema here (Debian: apt-get install python3-jsonschema)")
    sys.exit(77)

FOLDER = os.path.abspath(sys.argv[1])


def without_comments(text):
    """JSON with its comments, outside of strings, taken away."""
    out, in_string, i = [], False, 0
    while i < len(text):
        c = text[i]
        if in_string and c == "\\":
            out.append(text[i:i + 2])
            i += 2
            continue
        if c == '"':
            in_string = not in_string
        if not in_string and text.startswith("//", i):
            i = text.find("\n", i)
            if i < 0:
                break
            continue
        if not in_string and text.startswith("/*", i):
            i = text.index("*/", i) + 2
            continue
        out.append(c)
        i += 1
    return "".join(out)


def objects(node):
    if isinstance(node, dict):
        yield node
        for each in node.values():
            yield from objects(each)
    elif isinstance(node, list):
        for each in node:
            yield from objects(each)


with open(os.path.join(FOLDER, "scenario.schema.json"), encoding="utf-8") as file:
    schema = json.load(file)
validator_of = jsonschema.validators.validator_for(schema)
validator_of.check_schema(schema)
validator = validator_of(schema)
problems = []
files = [path for path in glob.glob(FOLDER + "/**/*.json", recursive=True) if not path.endswith("schema.json")]
refused = 0
for path in sorted(files):
    with open(path, encoding="utf-8") as file:
        scenario = json.loads(without_comments(file.read()))
    for error in validator.iter_errors(scenario):
        problems.append(f"{path}: {'/'.join(map(str, error.absolute_path))}: {error.message}")
    # An unknown key is refused wherever it stands, but for the free ones: what `config`, `groups` and `vary` hold.
    count = sum(1 for _ in objects(scenario))
    for n in range(count):
        broken = copy.deepcopy(scenario)
        target = list(objects(broken))[n]
        free = [broken.get("cluster", {}).get("servers", {}).get("config"), broken.get("cluster", {}).get("groups"),
                broken.get("sweep", {}).get("vary")]
        if any(target is each for each in free):
            continue
        target["no such key"] = 1
        if validator.is_valid(broken):
            problems.append(f"{path}: an unknown key passes in {json.dumps(target)[:100]}")
        refused += 1
if len(files) < 30 or refused < 200:
    problems.append("too few files or objects were looked at")
for problem in problems:
    print(problem)
print(f"{len(files)} scenarios are valid, {refused} with an unknown key are refused" if not problems else "FAILED")
sys.exit(1 if problems else 0)
