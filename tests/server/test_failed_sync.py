"""A failed fsync: nothing is acknowledged any more, the reason is told, what was durable stays readable."""

import signal
import subprocess
import time

from harness import ReplyError, Skip, check, check_equal, test


def inject_failures(t, pid, calls="fdatasync,fsync,pwritev2", error="EIO"):
    """strace on every thread of the process: from now on these calls fail; by default all that make bytes durable."""
    t.need("strace")
    out = open(t.path("strace.txt"), "ab")
    process = subprocess.Popen(["strace", "-f", "-qq", "-p", str(pid), "-e", "trace=fdatasync,fsync,pwritev2",
                                "-e", f"inject={calls}:error={error}"], stdout=out, stderr=out)
    t.processes.append(process)
    for _ in range(100):
        if process.poll() is not None:
            with open(t.path("strace.txt"), encoding="utf-8", errors="replace") as file:
                raise Skip(f"strace cannot attach: {file.read().strip()[:200]}")
        with open(f"/proc/{pid}/status", encoding="ascii") as file:
            if f"TracerPid:\t{process.pid}" in file.read():
                time.sleep(0.3)  # the other threads follow
                return process
        time.sleep(0.05)
    raise Skip("strace did not attach within 5 s")


@test
def failed_sync(t):
    t.only_varve()
    server = t.server().start()
    with server.client() as client:
        for i in range(1000):
            check_equal(client.ok("SET", f"k{i}", f"v{i}"), "OK", "SET")
    tracer = inject_failures(t, server.pid)
    with server.client() as client:
        try:
            reply = client("SET", "lost", "1")
        except (ConnectionError, OSError):
            reply = "closed"
        check(reply != "OK", "a write was acknowledged although fsync failed")
    tracer.send_signal(signal.SIGINT)  # the disk is well again; the server must not believe it
    tracer.wait(10)
    with server.client() as client:
        for i in range(0, 1000, 50):
            check_equal(client.ok("GET", f"k{i}"), f"v{i}".encode(), "GET of durable data")
        reply = client("SET", "after", "1")
        check(isinstance(reply, ReplyError), f"SET after a failed fsync: {reply}")
        told = [line for line in client.ok("INFO", "everything").decode().split("\r\n") if "fence" in line or "EIO" in line]
        check(told, "INFO does not tell of the failed fsync")
    check(any(word in server.log() for word in ("sync", "fence")), "the log does not tell of the failed fsync")
    server.kill()
    server.start()
    with server.client() as client:
        for i in range(1000):
            check_equal(client.ok("GET", f"k{i}"), f"v{i}".encode(), "GET after the restart")
        check(client.ok("EXISTS", "after") == 0, "a refused write is there")
        check_equal(client.ok("SET", "after", "1"), "OK", "SET after the restart")
    print(f"         failed_sync: SET answered {reply}; INFO says {told[0]}")
    server.stop()


# Goal: where the log's one call is not to be had, or not past the cache, writes are as durable by the ordinary ones.
@test
def refused_direct_writes(t):
    t.only_varve()
    for number, error in enumerate(("EINVAL", "EOPNOTSUPP"), 1):
        server = t.server().start()
        tracer = inject_failures(t, server.pid, "pwritev2", error)
        with server.client() as client:
            for i in range(300):
                check_equal(client.ok("SET", f"{error}{i}", f"v{i}"), "OK", f"SET while pwritev2 says {error}")
        server.kill()
        tracer.wait(10)
        with open(t.path("strace.txt"), encoding="utf-8", errors="replace") as file:
            calls = file.readlines()
        check(any(error in line for line in calls), f"no pwritev2 was refused with {error}")
        check(sum("fdatasync" in line for line in calls) >= 300 * number, "an acknowledged SET was not synced")
        server.start()
        with server.client() as client:
            for i in range(300):
                check_equal(client.ok("GET", f"{error}{i}"), f"v{i}".encode(), "GET after kill -9")
        server.stop()
