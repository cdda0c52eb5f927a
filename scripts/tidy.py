#!/usr/bin/env python3
"""Holds the shape of the house: which folder may include which, and who may open which door to the world.

usage: scripts/tidy.py [ROOT]      prints file:line: message for each breach; exit code 1 when there is one
       scripts/tidy.py --self-test

The arrows (a folder includes only what stands to its right):
    server -> command -> keyspace -> lsm -> os -> base        resp -> base        command, server -> resp        tool -> any
include/varve is what an embedder sees: it includes nothing of src. The doors: files, threads, clocks, randomness and libuv
are named in one folder each, so that everything else runs under a simulated world.
"""

import os
import re
import sys
import tempfile

CHAIN = ["base", "os", "lsm", "keyspace", "command", "server"]
MAY_INCLUDE = {folder: set(CHAIN[: i + 1]) for i, folder in enumerate(CHAIN)}
MAY_INCLUDE["resp"] = {"resp", "base"}
MAY_INCLUDE["command"].add("resp")
MAY_INCLUDE["server"].add("resp")
MAY_INCLUDE["tool"] = set(CHAIN) | {"resp", "tool"}

# What the embedder's Database is made of stands above the engine: the engine's own folder implements it, tools may use it.
DATABASE_USERS = {"lsm", "tool"}

# (what it is, pattern, places that may: a folder or a file below src)
DOORS = [
    ("libuv", r"\buv_\w+|#\s*include\s*<uv\.h>", ["server/"]),
    ("threads and locks",
     r"\bstd::(?:jthread|thread|mutex|shared_mutex|recursive_mutex|timed_mutex|condition_variable\w*|async|lock_guard"
     r"|unique_lock|scoped_lock|shared_lock|counting_semaphore|binary_semaphore|barrier|latch)\b|\bpthread_\w+"
     r"|#\s*include\s*<(?:thread|mutex|shared_mutex|condition_variable|future|semaphore|pthread\.h)>", ["os/"]),
    ("files",
     r"(?<![\w:>])::(?:open|openat|creat|read|pread|preadv2?|write|pwrite|pwritev2?|fsync|fdatasync|sync_file_range|fallocate"
     r"|posix_fallocate|ftruncate|truncate|rename|renameat2?|link|linkat|mkdir|rmdir|opendir|mmap|flock)\s*\("
     r"|\bf(?:re)?open\s*\(|\bstd::(?:i|o)?fstream\b|\bstd::filesystem\b|#\s*include\s*<(?:fstream|filesystem)>",
     ["os/", "base/log.cc"]),
    # The listener takes away its own stale Unix socket.
    ("removing files", r"(?<![\w:>])::(?:unlink|unlinkat|remove)\s*\(", ["os/", "server/listener.cc"]),
    ("the clock",
     r"\bclock_gettime\b|\bgettimeofday\b|_clock::now\b|(?<![\w.>:])(?:std::|::)time\s*\(|(?<![\w.>:])time\s*\(\s*(?:NULL|nullptr|0)\s*\)"
     r"|\b(?:u|nano)sleep\s*\(|\bsleep_(?:for|until)\b",
     ["base/clock.cc"]),
    ("randomness",
     r"\bgetrandom\b|\bgetentropy\b|\brandom_device\b|\bmt19937\w*|(?<![\w.>:])(?:std::|::)?s?rand\s*\(|\bdrand48\b"
     r"|/dev/u?random", ["base/random.cc"]),
]
SLEEPS = re.compile(r"\bsleep_(?:for|until)\b|(?<![\w.>])(?:::)?(?:u|nano)?sleep\s*\(")
SLEEPLESS_TESTS = ("tests/unit/", "tests/script/", "tests/random/", "tests/fault/", "tests/support/")

INCLUDE = re.compile(r'\s*#\s*include\s*"([^"]+)"')
LATER = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|X" r"XX)\b")
SOURCE = (".h", ".cc")
TEXT = (".h", ".cc", ".py", ".md", ".conf", ".build", ".txt", ".sh")

TOKENS = re.compile(
    r'//[^\n]*|/\*.*?\*/|R"(?P<d>[^(\s]*)\(.*?\)(?P=d)"|"(?:\\.|[^"\\\n])*"|(?<![0-9a-fA-F])\'(?:\\.|[^\'\\\n])+\'', re.DOTALL)


def code_only(text):
    """The text without comments and with empty strings; the lines keep their numbers. Include lines stay as they are."""
    def blank(match):
        token = match.group(0)
        start = text.rfind("\n", 0, match.start()) + 1
        if token[0] == '"' and re.match(r"\s*#\s*include", text[start : match.start()]):
            return token
        lines = "\n" * token.count("\n")
        return lines if token[0] == "/" else ('"' + lines + '"' if token[0] in 'R"' else "' '")

    return TOKENS.sub(blank, text)


class Tidy:
    def __init__(self, root):
        self.root = root
        self.breaches = []

    def breach(self, path, line, message):
        self.breaches.append(f"{path}:{line}: {message}")

    def files(self, *tops):
        for top in tops:
            for folder, folders, names in os.walk(os.path.join(self.root, top)):
                folders[:] = sorted(f for f in folders if f != "__pycache__")
                for name in sorted(names):
                    yield os.path.relpath(os.path.join(folder, name), self.root)

    def read(self, path):
        with open(os.path.join(self.root, path), encoding="utf-8", errors="replace") as file:
            return file.read()

    def check_header(self, path, text):
        if not text.lstrip().startswith("//"):
            self.breach(path, 1, "a header opens with a comment that says why it exists")
        if not re.search(r"^#pragma once$", text, re.MULTILINE):
            self.breach(path, 1, "a header needs #pragma once")

    def check_arrow(self, path, number, target):
        parts = path.split("/")
        folder = parts[1] if parts[0] == "src" else parts[0]
        goal = target.split("/")[0]
        if "/" not in target:
            self.breach(path, number, f'"{target}": name the folder, as in "lsm/{target}"')
        elif goal == ".." or "/../" in target:
            self.breach(path, number, f'"{target}": includes start at src or include, not at the file')
        elif parts[0] == "include":
            if goal != "varve":
                self.breach(path, number, f'include/varve is for embedders and may not include src ("{target}")')
        elif goal == "varve":
            if not os.path.exists(os.path.join(self.root, "include", target)):
                self.breach(path, number, f'"{target}" is not in include/')
            elif target == "varve/database.h" and folder not in DATABASE_USERS:
                self.breach(path, number, f"src/{folder} speaks to the engine (lsm/engine.h), not to the embedder's Database")
        elif goal not in MAY_INCLUDE.get(folder, ()):
            allowed = " ".join(sorted(MAY_INCLUDE.get(folder, ()))) or "nothing: add the folder to scripts/tidy.py"
            self.breach(path, number, f'src/{folder} may not include "{target}" (it may include: {allowed})')

    def check_doors(self, path, code):
        inside = path[len("src/"):] if path.startswith("src/") else path
        for name, pattern, places in DOORS:
            if any(inside.startswith(place) for place in places):
                continue
            for match in re.finditer(pattern, code):
                number = code.count("\n", 0, match.start()) + 1
                where = " or ".join("src/" + place for place in places)
                self.breach(path, number, f"{match.group(0).strip()}: {name} only in {where} (DESIGN.md, law 7)")

    def run(self):
        for path in self.files("src", "include"):
            if not path.endswith(SOURCE):
                continue
            text = self.read(path)
            if path.endswith(".h"):
                self.check_header(path, text)
            code = code_only(text)
            for number, line in enumerate(code.split("\n"), 1):
                include = INCLUDE.match(line)
                if include:
                    self.check_arrow(path, number, include.group(1))
            self.check_doors(path, code)
        for path in self.files("tests"):
            if path.endswith(SOURCE) and path.startswith(SLEEPLESS_TESTS):
                for number, line in enumerate(code_only(self.read(path)).split("\n"), 1):
                    if SLEEPS.search(line):
                        self.breach(path, number, "no test sleeps: pass a clock in")
            if path.endswith(".h"):
                self.check_header(path, self.read(path))
        for path in self.files("src", "include", "tests", "scripts", "conf"):
            if path.endswith(TEXT) or path == "scripts/dev":
                for number, line in enumerate(self.read(path).split("\n"), 1):
                    if LATER.search(line):
                        self.breach(path, number, f"{LATER.search(line).group(0)}: finish it or open an issue")
        src = os.path.join(self.root, "src")
        for folder in sorted(os.listdir(src)) if os.path.isdir(src) else []:
            if os.path.isdir(os.path.join(src, folder)) and not os.path.exists(os.path.join(src, folder, "README.md")):
                self.breach(f"src/{folder}", 1, "needs a README.md: what it owns, what it promises, what must always hold")
        return self.breaches


# ------------------------------------------------------------------------------------------------------------ self-test

GOOD_HEADER = "// good.h: why it exists.\n#pragma once\n"

# files, then the one breach they must give (None: all is well)
CASES = [
    ("clean", {"src/lsm/a.h": GOOD_HEADER + '#include "os/file_system.h"\n#include "varve/status.h"\n'}, None),
    ("arrow against the chain", {"src/os/a.cc": '\n#include "lsm/engine.h"\n'}, "src/os/a.cc:2: src/os may not include"),
    ("resp knows only base", {"src/resp/a.cc": '#include "os/executor.h"\n'}, "src/resp/a.cc:1: src/resp may not"),
    ("lsm does not speak resp", {"src/lsm/a.cc": '#include "resp/reply.h"\n'}, "src/lsm/a.cc:1: src/lsm may not"),
    ("command speaks resp", {"src/command/a.cc": '#include "resp/reply.h"\n#include "keyspace/k.h"\n'}, None),
    ("tool speaks to all", {"src/tool/a.cc": '#include "server/config.h"\n#include "varve/database.h"\n'}, None),
    ("nobody speaks to tool", {"src/server/a.cc": '#include "tool/a.h"\n'}, "src/server/a.cc:1: src/server may not"),
    ("embedders see no src", {"include/varve/a.h": GOOD_HEADER + '#include "base/coding.h"\n'}, "include/varve/a.h:3: include/varve"),
    ("database is for embedders", {"src/server/a.cc": '#include "varve/database.h"\n'}, "src/server/a.cc:1: src/server speaks"),
    ("unknown public header", {"src/lsm/a.cc": '#include "varve/nothing.h"\n'}, 'src/lsm/a.cc:1: "varve/nothing.h" is not'),
    ("bare include", {"src/lsm/a.cc": '#include "block.h"\n'}, 'src/lsm/a.cc:1: "block.h": name the folder'),
    ("relative include", {"src/lsm/a.cc": '#include "../os/x.h"\n'}, 'src/lsm/a.cc:1: "../os/x.h": includes start'),
    ("commented include", {"src/os/a.cc": '// #include "lsm/engine.h"\n'}, None),
    ("libuv outside", {"src/command/a.cc": "int f() { return uv_run(0, 0); }\n"}, "src/command/a.cc:1: uv_run: libuv only"),
    ("libuv inside", {"src/server/a.cc": "#include <uv.h>\nint f() { return uv_run(0, 0); }\n"}, None),
    ("libuv in words", {"src/os/a.cc": '// as uv_async_t does\nconst char* s = "uv_run";\n/* uv_x\n uv_y */\n'}, None),
    ("thread", {"src/lsm/a.cc": "\n\nstd::thread t;\n"}, "src/lsm/a.cc:3: std::thread: threads and locks only in src/os/"),
    ("mutex header", {"src/base/a.cc": "#include <mutex>\n"}, "src/base/a.cc:1: #include <mutex>: threads"),
    ("thread inside", {"src/os/a.cc": "std::thread t; std::mutex m;\n"}, None),
    ("file", {"src/lsm/a.cc": "int f() { return ::open(p, 0); }\n"}, "src/lsm/a.cc:1: ::open(: files only"),
    ("file by method", {"src/lsm/a.cc": "auto e = Engine::open(o); fs->open(p); fs.rename(a, b);\n"}, None),
    ("file stream", {"src/server/a.cc": "std::ifstream in;\n"}, "src/server/a.cc:1: std::ifstream: files only"),
    ("the log's file", {"src/base/log.cc": 'int fd = ::open(p, 0);\n'}, None),
    ("clock", {"src/lsm/a.cc": "auto t = std::chrono::steady_clock::now();\n"}, "src/lsm/a.cc:1: _clock::now: the clock"),
    ("clock by time", {"src/lsm/a.cc": "auto t = time(nullptr);\n"}, "src/lsm/a.cc:1: time(nullptr): the clock"),
    ("clock by interface", {"src/lsm/a.cc": "auto t = clock->time(); x.time(0);\n"}, None),
    ("clock inside", {"src/base/clock.cc": "clock_gettime(0, &t);\n"}, None),
    ("randomness", {"src/keyspace/a.cc": "int x = rand();\n"}, "src/keyspace/a.cc:1: rand(: randomness only"),
    ("randomness by name", {"src/keyspace/a.cc": "int x = operand(); random.next();\n"}, None),
    ("quotes do not hide", {"src/lsm/a.cc": "char c = '\"'; int n = 1'000; std::mutex m; // \"\n"}, "src/lsm/a.cc:1: std::mutex"),
    ("raw string", {"src/lsm/a.cc": 'auto s = R"x(\nstd::mutex "\n)x";\nstd::mutex m;\n'}, "src/lsm/a.cc:4: std::mutex"),
    ("no pragma", {"src/os/a.h": "// a.h: why.\n"}, "src/os/a.h:1: a header needs #pragma once"),
    ("no opening", {"src/os/a.h": "#pragma once\n"}, "src/os/a.h:1: a header opens"),
    ("later", {"src/os/a.cc": "\n// TO" "DO: later\n"}, "src/os/a.cc:2: TO" "DO: finish it"),
    ("sleeping test", {"tests/unit/a.cc": "void f() { usleep(5); }\n"}, "tests/unit/a.cc:1: no test sleeps"),
    ("no readme", {"src/tool/a.cc": "", "src/tool/README.md": None}, "src/tool:1: needs a README.md"),
]


def self_test():
    failures = 0
    for name, files, expected in CASES:
        with tempfile.TemporaryDirectory() as root:
            tree = {"include/varve/status.h": GOOD_HEADER, "include/varve/database.h": GOOD_HEADER}
            for path in files:
                if path.startswith("src/"):
                    tree["/".join(path.split("/")[:2]) + "/README.md"] = "what it owns\n"
            tree.update(files)
            for path, text in tree.items():
                if text is not None:
                    full = os.path.join(root, path)
                    os.makedirs(os.path.dirname(full), exist_ok=True)
                    with open(full, "w", encoding="utf-8") as file:
                        file.write(text)
            breaches = Tidy(root).run()
        good = not breaches if expected is None else len(breaches) == 1 and breaches[0].startswith(expected)
        if not good:
            failures += 1
            print(f"self-test {name}: expected {expected!r}, got {breaches!r}")
    print(f"tidy: {len(CASES) - failures} of {len(CASES)} cases as expected")
    return 1 if failures else 0


def main(arguments):
    if arguments == ["--self-test"]:
        return self_test()
    root = arguments[0] if arguments else os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
    breaches = Tidy(root).run()
    for breach in breaches:
        print(breach)
    if not breaches:
        print("tidy: the arrows and the doors hold")
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
