"""A full disk: writes are refused, reads go on, and writing resumes by itself when there is space again."""

import os
import time

from harness import ReplyError, Skip, check, check_equal, test

SIZE_MB = 512


def fill_up(disk, ballast):
    """Leaves about 4 MB; the server may take some at the same time."""
    with open(ballast, "wb") as file:
        for _ in range(1000):
            free = os.statvfs(disk)
            try:
                os.posix_fallocate(file.fileno(), 0, max(4096, free.f_bavail * free.f_frsize - (4 << 20)))
                return
            except OSError:
                time.sleep(0.01)
    raise AssertionError("the disk cannot be filled")


@test
def disk_full(t):
    t.only_varve()
    t.need_root()
    t.need("mount", "umount")
    disk = t.path("disk")
    os.mkdir(disk)
    code, _, err = t.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE_MB}m", "tmpfs", disk], code=None)
    if code != 0:
        raise Skip(f"cannot mount a small disk: {err.strip()}")
    t.cleanups.append(lambda: t.run(["umount", "-l", disk], code=None))
    server = t.server(os.path.join(disk, "data")).start()
    ballast = os.path.join(disk, "ballast")
    value = os.urandom(5000).hex()
    with server.client() as client:
        client.ok("SET", "first", "1")
        fill_up(disk, ballast)
        acknowledged, refusal = 0, None
        for i in range(200000):
            reply = client("SET", f"k{i}", value)
            if isinstance(reply, ReplyError):
                refusal = str(reply)
                break
            acknowledged = i + 1
        check(refusal is not None, f"{acknowledged} writes went onto a full disk")
        check(not refusal.startswith("ERR unknown"), refusal)
        check_equal(client.ok("GET", "first"), b"1", "GET on a full disk")
        for i in range(0, acknowledged, max(1, acknowledged // 500)):
            check_equal(client.ok("GET", f"k{i}"), value.encode(), f"k{i} on a full disk")
        check_equal(client("DEL", "first"), 1, "DEL on a full disk: the last segment is kept for it")
        os.remove(ballast)
        for _ in range(300):
            reply = client("SET", "again", "1")
            if reply == "OK":
                break
            time.sleep(0.1)
        check_equal(reply, "OK", "SET within 30 s after space came back")
    server.kill()
    server.start()
    with server.client() as client:
        check_equal(client.ok("GET", "again"), b"1", "the write after the full disk, after kill -9")
        check_equal(client.ok("EXISTS", "first"), 0, "the key deleted on the full disk")
        for i in range(0, acknowledged, max(1, acknowledged // 500)):
            check_equal(client.ok("GET", f"k{i}"), value.encode(), f"k{i} after kill -9")
    print(f"         disk_full: refused after {acknowledged} writes with: {refusal}")
    server.stop()
