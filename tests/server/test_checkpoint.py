"""Backup and restore as the README tells: BGSAVE, copy the checkpoint, start a server on the copy."""

import os
import shutil
import time

from harness import check, check_equal, test


def fill(client, generation, count=20000):
    for start in range(0, count, 1000):
        client.pipeline([("SET", f"key:{i}", f"{generation}:{i}:" + "x" * (i % 300)) for i in range(start, start + 1000)])
    client.ok("SET", "long", f"{generation}" * 200000)


def contents(client):
    keys = sorted(client.scan("COUNT", 1000))
    pairs = {}
    for start in range(0, len(keys), 500):
        some = keys[start : start + 500]
        pairs.update(zip(some, client.ok("MGET", *some)))
    return pairs


def wait_for_save(client, since):
    for _ in range(600):
        if client.ok("LASTSAVE") >= since and client.info("persistence")["rdb_bgsave_in_progress"] == "0":
            return
        time.sleep(0.1)
    raise AssertionError("BGSAVE did not end within a minute")


def checkpoints(directory):
    return sorted((os.path.join(directory, name) for name in os.listdir(directory)), key=os.path.getmtime)


@test
def checkpoint(t):
    t.only_varve()
    server = t.server(checkpoint_dir=t.path("checkpoints")).start()
    with server.client() as client:
        fill(client, "one")
        since = client.ok("TIME")
        check(client.ok("BGSAVE").startswith("Background saving"), "BGSAVE")
        wait_for_save(client, int(since[0]))
        expected = contents(client)
        made = checkpoints(t.path("checkpoints"))
        check_equal(len(made), 1, "checkpoints")
        shutil.copytree(made[0], t.path("copy"))
        fill(client, "two")  # what comes later is not in it
        copy = t.server(t.path("copy")).start()
        with copy.client() as other:
            check(contents(other) == expected, "the copy differs from what stood there at BGSAVE")
            other.ok("SET", "key:0", "changed in the copy")
            check_equal(other.ok("DBSIZE"), len(expected), "DBSIZE of the copy")
        check(client.ok("GET", "key:0").startswith(b"two:0:"), "the original changed with its copy")
        copy.kill()
        copy.start()
        with copy.client() as other:
            check_equal(other.ok("GET", "key:0"), b"changed in the copy", "the copy's own write")
        copy.stop()
        check_equal(client.ok("SAVE"), "OK", "SAVE")
        check(1 <= len(checkpoints(t.path("checkpoints"))) <= 2, "checkpoints kept after SAVE")
        t.tool("check", checkpoints(t.path("checkpoints"))[-1])
    server.stop()
    t.tool("check", server.directory)
