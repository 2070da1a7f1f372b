"""The documents against the tree and the program: what they name exists, and they read as they should.

Run: python3 documents_test.py WSR ROOT
     WSR: the binary; ROOT: the source tree.

Checked in every document:
- lines have at most 120 columns outside tables and code blocks
- relative links lead to files that exist, and anchors to headings that exist; so do anchors that the code names
- paths of this tree that stand in code spans or in shell blocks exist
- commands exist: `./dev VERB`, and `wsr COMMAND` with each of its flags
- none of the phrases below, which do not read as English
And of docs/newcomer.md: each question leads to files that answer it.
Standard library only.
"""
import functools
import glob
import os
import re
import subprocess
import sys

COLUMNS_MAX = 120
TOP_FOLDERS = ("bench", "cli", "cmake", "core", "docs", "examples", "scenarios", "sim", "tests")
PATH = re.compile(rf"(?<![\w./-])(?:{'|'.join(TOP_FOLDERS)})/[\w./*-]*[\w*/]")
# Phrases that are not English here, with what to write instead.
PHRASES = {
    r"\bsay `?--": "pass `--x`",
    r"\bis none\b": "is not valid, there is none",
    r"\balso (when|if|while)\b": "even when, even if, even while",
    r"(?<!-)\bfigures?\b": "metrics, counters, measurements, numbers",
    r"\bfor so long\b": "for this long",
    r"\bso long after\b": "this long after",
    r"\b(one|in a|the|its|their|true|other|another|no) words?\b(?! of (a|its|their)\b)": "outcome",
    r"\bof those, how many\b": "burst size",
    r"\balthough anybody can say\b": "even though clients are not authenticated",
    r"\bnames himself\b": "clients choose their own id",
}
# What a newcomer asks, and what the files that the page names must say for the answer to be found in them.
QUESTIONS = {
    "Where does a message wait for a slow reader?": {
        "core/routing/outbox.hpp": r"slow client",
        "core/routing/limits.hpp": r"outbox_bytes_max",
    },
    "Who decides that a server is dead?": {
        "core/routing/keeper.hpp": r"renews the lease",
        "core/redis/scripts/renew.lua": r"proves that it lives",
        "core/redis/sweep.hpp": r"one server left behind",
    },
    "What does a join do when Redis is away?": {
        "core/redis/connection.hpp": r"ends with `unavailable`",
        "core/routing/room_channels.hpp": r"Only then\s.*may a roster list",
    },
    "Where does a message get its outcome?": {
        "core/routing/outcome.hpp": r"sent = delivered",
    },
}

WSR, ROOT = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
problems = []


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


def documents():
    found = glob.glob("*.md", root_dir=ROOT) + glob.glob("docs/*.md", root_dir=ROOT)
    return sorted(found) + ["scenarios/README.md"]


def parts_of(text):
    """Each line with its number and kind: prose, table, or the language of its code block."""
    language = None
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("```"):
            language = None if language is not None else line.strip().strip("`") or "text"
            yield number, "fence", line
        elif language is not None:
            yield number, language, line
        else:
            yield number, "table" if line.startswith("|") else "prose", line


def slug_of(heading):
    """The anchor that GitHub gives to a heading."""
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "")
    return re.sub(r"[^\w\- ]", "", plain.strip().lower()).replace(" ", "-")


@functools.lru_cache(maxsize=None)
def anchors_of(path):
    seen, anchors = {}, set()
    for _, kind, line in parts_of(read(path)):
        if kind == "prose" and re.match(r"#{1,6} ", line):
            slug = slug_of(line.lstrip("#"))
            anchors.add(slug if slug not in seen else f"{slug}-{seen[slug]}")
            seen[slug] = seen.get(slug, 0) + 1
        anchors.update(re.findall(r'<a (?:id|name)="([^"]+)"', line))
    return anchors


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    return done.stdout + done.stderr


@functools.lru_cache(maxsize=None)
def help_of(*command):
    return run(WSR, *command, "--help")


def commands_in(text):
    """The names below 'Subcommands:' of a help."""
    return set(re.findall(r"^  ([a-z][\w-]*) +\S", text.split("Subcommands:")[-1], re.M)) if "Subcommands:" in text else set()


VERBS = {"help"} | {name for verbs in re.findall(r"^  ([a-z][a-z |]*?)(?:  | [A-Z\[]|$)", run("./dev", "help"), re.M)
                    for name in re.split(r"[ |]+", verbs) if name}


def check_wsr(words):
    """What is wrong with `wsr WORDS...`, or None."""
    command = []
    while words and words[0] in commands_in(help_of(*command)):
        command.append(words.pop(0))
    if not command:
        if not words or not re.match(r"[a-z]", words[0]):
            return None  # `wsr` itself, or a placeholder such as COMMAND
        return f"there is no command '{words[0]}'"
    for word in words:
        if word in ("|", "&", ">", "&&", "#", ";") or word.startswith("#"):
            break
        flag = re.match(r"--[a-z][\w-]*", word)
        # A flag may stand behind a command of its command: `wsr room watch ROOM --json`.
        helps = "\n".join(help_of(*command[:depth]) for depth in range(1, len(command) + 1))
        if flag and not re.search(rf"(?<![\w-]){re.escape(flag.group(0))}(?![\w-])", helps):
            return f"`wsr {' '.join(command)}` has no {flag.group(0)}"
    return None


def check_command(line):
    """What is wrong with this command line, or None."""
    words = line.strip().lstrip("$ ").split()
    while words and re.match(r"[A-Z_]+=", words[0]):
        words.pop(0)
    if words[:1] == ["./dev"] and len(words) > 1 and re.match(r"[a-z]", words[1]):
        if words[1] not in VERBS:
            return f"there is no verb './dev {words[1]}'"
        return check_wsr(words[2:]) if words[1] == "run" else None
    if words[:1] == ["wsr"]:
        return check_wsr(words[1:])
    return None


def path_exists(path):
    return bool(glob.glob(os.path.join(ROOT, path.rstrip("/"))))


def elsewhere(path):
    """Where a file of that name is now."""
    name = os.path.basename(path.rstrip("/"))
    for folder, folders, files in os.walk(ROOT):
        folders[:] = [each for each in folders if each not in (".git", "build")]
        if name in files or name in folders:
            return f"; is it {os.path.relpath(os.path.join(folder, name), ROOT)}?"
    return ""


def check_links(path, where, line):
    for target in re.findall(r"\]\(([^)\s]+)\)", line):
        if re.match(r"\w+:", target):
            continue
        file, _, anchor = target.partition("#")
        to = os.path.normpath(os.path.join(os.path.dirname(path), file)) if file else path
        if not os.path.exists(os.path.join(ROOT, to)):
            problems.append(f"{where}: the link {target} leads nowhere")
        elif anchor and to.endswith(".md") and anchor not in anchors_of(to):
            problems.append(f"{where}: {to} has no heading #{anchor}")


def check_document(path):
    for number, kind, line in parts_of(read(path)):
        where = f"{path}:{number}"
        spans = re.findall(r"`([^`]+)`", line) if kind in ("prose", "table") else []
        if kind == "prose" and len(line) > COLUMNS_MAX:
            problems.append(f"{where}: {len(line)} columns; at most {COLUMNS_MAX}")
        if kind in ("prose", "table"):
            check_links(path, where, re.sub(r"`[^`]*`", "``", line))
            for phrase, better in PHRASES.items():
                found = re.search(phrase, re.sub(r"`[^`-][^`]*`", "``", line), re.I)
                if found:
                    problems.append(f"{where}: '{found.group(0)}' does not read as English here: {better}")
        for text in spans + ([line] if kind == "sh" else []):
            for named in PATH.findall(text):
                if not path_exists(named):
                    problems.append(f"{where}: there is no {named}{elsewhere(named)}")
        for command in spans + ([line] if kind == "sh" else []):
            wrong = check_command(command)
            if wrong:
                problems.append(f"{where}: {wrong}: {command.strip()}")


def check_code():
    """Comments and messages that name a heading of a document."""
    for folder in ("core", "cli", "sim", "tests", "bench"):
        for path in glob.glob(f"{folder}/**/*.[chp]pp", root_dir=ROOT, recursive=True):
            for file, anchor in re.findall(r"((?:docs/)?\w+\.md)#([\w-]+)", read(path)):
                if not os.path.exists(os.path.join(ROOT, file)):
                    problems.append(f"{path}: there is no {file}")
                elif anchor not in anchors_of(file):
                    problems.append(f"{path}: {file} has no heading #{anchor}")


def check_newcomer():
    sections = {section.split("\n", 1)[0]: section for section in read("docs/newcomer.md").split("\n## ")[1:]}
    for question, answers in QUESTIONS.items():
        section = sections.get(question)
        if section is None:
            problems.append(f"docs/newcomer.md does not ask: {question}")
            continue
        for path, says in answers.items():
            if f"`{path}`" not in section:
                problems.append(f"docs/newcomer.md does not name {path} for: {question}")
            elif path_exists(path) and not re.search(says, read(path)):
                problems.append(f"{path} no longer says '{says}', which answers: {question}")


assert len(VERBS) >= 10, f"./dev help was not understood: {VERBS}"
assert "serve" in commands_in(help_of()), f"wsr --help was not understood: {help_of()}"
for document in documents():
    check_document(document)
check_code()
check_newcomer()
for problem in problems:
    print(problem)
print(f"{len(documents())} documents, {len(problems)} problems")
sys.exit(1 if problems else 0)
