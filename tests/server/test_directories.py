"""varve-tool on directories that real servers wrote, and servers on what varve-tool made of damaged ones."""

import hashlib
import os
import shutil

from harness import Skip, check, check_equal, test
from test_starts import damaged_copy, filled_directory, flip, named, refused, written_bytes

ROWS = 20000


def row(number):
    return f"value {number} ".encode() + b"x" * 200


def hashes(directory):
    """Of every file below, but the lock that a start leaves."""
    found = {}
    for folder, _, names in os.walk(directory):
        for name in names:
            path = os.path.join(folder, name)
            with open(path, "rb") as file:
                if name != "LOCK":
                    found[os.path.relpath(path, directory)] = hashlib.sha256(file.read()).hexdigest()
    return found


def tables(directory):
    return named(directory, lambda n: n.endswith(".sst"))


def log_in_use(directory):
    logs = named(directory, lambda n: n.endswith(".log"))
    return max(logs, key=lambda n: written_bytes(os.path.join(directory, n)))


@test
def check_and_dump_after_a_server(t):
    """check finds nothing wrong in what a server leaves, killed or stopped, and changes nothing; dump shows what is in it."""
    t.only_varve()
    directory = filled_directory(t)  # its server was killed
    for end in ("killed", "stopped"):
        before = hashes(directory)
        code, out, err = t.tool("check", directory, code=None)
        check_equal(code, 0, f"check of a directory whose server was {end}: {out}{err}")
        manifest = named(directory, lambda n: n.startswith("MANIFEST"))[-1]
        out, _ = t.tool("dump", "manifest", os.path.join(directory, manifest))
        check(tables(directory)[0].split(".")[0].lstrip("0") in out, f"no table in the dump of {manifest}:\n{out[:2000]}")
        dumped = "".join(t.tool("dump", "table", os.path.join(directory, name), "--records")[0] for name in tables(directory))
        check("key:19999" in dumped, "key:19999 is in no table")
        log = os.path.join(directory, log_in_use(directory))
        out, _ = t.tool("dump", "wal", log, "--ops")
        check(end == "stopped" or "late:499" in out, f"late:499 is not in the dump of {log}:\n{out[-2000:]}")
        check_equal(hashes(directory), before, "the files after check and dump")

        server = t.server(directory).start()
        code, out, err = t.tool("check", directory, code=None)
        check_equal(code, 2, f"check of a directory in use: {out}{err}")
        with server.client() as client:
            check_equal(client.ok("DBSIZE"), ROWS + 500, "DBSIZE")
            check_equal(client.ok("GET", "key:7"), row(7), "GET")
        server.stop()


@test
def salvage_loses_nothing_intact(t):
    """Out of the directory of a killed server everything comes along: databases, long values, deadlines, deletes."""
    t.only_varve()
    server = t.server().start()
    long_value = bytes(range(256)) * 4096
    with server.client() as client:
        client.pipeline([("SET", f"key:{i}", f"{i}") for i in range(3000)])
        client.ok("SET", "long", long_value)
        client.ok("DEBUG", "FLUSH")
        client.pipeline([("DEL", f"key:{i}") for i in range(0, 3000, 3)])
        client.ok("SET", "deadline", "x", "PXAT", "4000000000000")
        client.ok("SETRANGE", "long", "100000", "changed")
        client.ok("SELECT", "5")
        client.ok("SET", "elsewhere", "5")
    server.kill()
    out_directory = t.path("salvaged")
    code, out, err = t.tool("salvage", server.directory, out_directory, code=None)
    check_equal(code, 0, f"salvage of an intact directory: {out}{err}")
    t.tool("check", out_directory)
    salvaged = t.server(out_directory).start()
    with salvaged.client() as client:
        check_equal(client.ok("DBSIZE"), 2002, "DBSIZE")
        got = client.pipeline([("GET", f"key:{i}") for i in range(3000)])
        check_equal(got, [None if i % 3 == 0 else b"%d" % i for i in range(3000)], "the values")
        check_equal(client.ok("PEXPIRETIME", "deadline"), 4000000000000, "PEXPIRETIME")
        check_equal(client.ok("GET", "long"), long_value[:100000] + b"changed" + long_value[100007:], "the long value")
        client.ok("SELECT", "5")
        check_equal(client.ok("GET", "elsewhere"), b"5", "GET in database 5")
        check_equal(client.ok("SET", "more", "1"), "OK", "SET")
    salvaged.stop()


@test
def salvage_of_damage_is_served(t):
    """What salvage makes of a damaged directory is whole in itself: right values, or none."""
    t.only_varve()
    directory = filled_directory(t)
    table = tables(directory)[0]
    damages = [
        ("a block of a table", damaged_copy(t, directory, table, flip(1000))),
        ("the end of a table", damaged_copy(t, directory, table, lambda data: data[: len(data) - 100])),
        ("CURRENT", damaged_copy(t, directory, "CURRENT", flip(-5))),
        ("the log", damaged_copy(t, directory, log_in_use(directory), flip(4096 + 60))),
    ]
    for what, damaged in damages:
        before = hashes(damaged)
        out_directory = damaged + "-salvaged"
        code, out, err = t.tool("salvage", damaged, out_directory, code=None)
        check(code in (0, 1), f"salvage with damage in {what}: code {code}\n{out}{err}")
        check_equal(hashes(damaged), before, "the damaged directory afterwards")
        t.tool("check", out_directory)
        server = t.server(out_directory).start()
        with server.client() as client:
            wrong, missing = [], 0
            for start in range(0, ROWS, 1000):
                got = client.pipeline([("GET", f"key:{i}") for i in range(start, start + 1000)])
                missing += got.count(None)
                wrong += [i for i, value in enumerate(got, start) if value not in (None, row(i))]
            late = client.pipeline([("GET", f"late:{i}") for i in range(500)])
            missing += late.count(None)
            wrong += [f"late:{i}" for i, value in enumerate(late) if value not in (None, b"%d" % i)]
            check_equal(wrong, [], f"keys with wrong values after damage in {what}")
            check(missing < ROWS / 10, f"{missing} keys are gone after damage in {what}:\n{out}")
            check(missing > 0 or what != "a block of a table", f"the damage in {what} took nothing: this shows nothing")
            check_equal(code == 1, missing > 0, f"does the exit code after damage in {what} tell of losses ({missing}):\n{out}")
            check_equal(client.ok("DBSIZE"), ROWS + 500 - missing, f"DBSIZE after damage in {what}")
        server.stop()


@test
def newer_format(t):
    """The directory of a later version is refused by everyone, with a word about it, and stays as it is."""
    t.only_varve()
    program = os.path.join(os.path.dirname(t.options.server), "tests", "make_newer")
    if not os.path.exists(program):
        raise Skip(f"there is no {program}")
    directory = filled_directory(t)
    for kind in ("current", "manifest", "table", "log"):
        newer = t.path(f"newer-{kind}")
        shutil.copytree(directory, newer)
        t.run([program, newer, kind])
        before = hashes(newer)
        refused(t, t.server(newer), newer, "is newer than")
        code, out, err = t.tool("check", newer, code=None)
        check(code == 2 and "is newer than" in err, f"check of a newer {kind}: code {code}\n{out}{err}")
        code, out, err = t.tool("salvage", newer, newer + "-salvaged", code=None)
        check(code == 2 and "is newer than" in err, f"salvage of a newer {kind}: code {code}\n{out}{err}")
        check_equal(hashes(newer), before, f"the directory with a newer {kind} afterwards")
